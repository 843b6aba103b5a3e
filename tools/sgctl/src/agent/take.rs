// SPDX-License-Identifier: GPL-2.0
//! What the agent does about a file that another machine offers: it is checked as any file is, and
//! taken as a whole or not at all.

use super::health::check_programs;
use super::offer::{Offer, Wish};
use super::own::verified;
use super::roster::Roster;
use super::work::Agent;
use crate::cluster::apply::{alone, own_name, prepare, How};
use crate::cluster::file::lock::Lock;
use crate::cluster::file::store::{self, Draft};
use crate::Failure;

impl Agent {
    /// Does what is wanted of a file; why not, if it is refused.
    pub(super) fn offered(&mut self, from: &str, offer: &Offer) -> Result<Option<String>, Failure> {
        let outcome = self.take(offer);
        let refused = outcome.err().map(|failure| failure.to_string());
        match (&refused, offer.wish) {
            (Some(why), _) => {
                let text = format!("the file that it offers was refused: {why}");
                self.log.tell("refused", from, &text)?;
            }
            (None, Wish::Take) => {
                self.log
                    .tell("taken", from, "the file that it offers was taken")?;
                self.reload()?;
            }
            (None, Wish::Check) => {}
        }
        Ok(refused)
    }

    fn take(&mut self, offer: &Offer) -> Result<(), Failure> {
        let config = store::config(&self.file, &offer.text)?;
        let own = own_name(&config, self.node.as_deref())?;
        let roster = Roster::new(&config, &own)?;
        if roster.links.id != self.me().roster.links.id {
            return Err(Failure::new(
                "the file is of another cluster, whose id differs",
            ));
        }
        verified(&roster, &self.folder)?;
        check_programs(&self.file, &config, &own)?;
        let is_taken = offer.wish == Wish::Take;
        let how = How {
            node: Some(&own),
            dry_run: !is_taken,
            goes_on: true,
        };
        // Also if it is only checked: whoever has no place for it is to say so before others take it.
        let _lock = Lock::wait(&self.file)?;
        let draft = Draft::write(&self.file, &offer.text)?;
        if !is_taken {
            return prepare(&self.file, &config, how, None).map(|_| ());
        }
        let prepared = prepare(&self.file, &config, how, alone(false))?;
        prepared.carry_out(|| draft.publish()).map(|_| ())
    }
}
