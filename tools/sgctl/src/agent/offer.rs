// SPDX-License-Identifier: GPL-2.0
//! A file that one machine offers to another, under the purpose `service-group-control/1`.
//!
//! The side that has connected says what it wants (u8: 0 to have it checked, 1 to have it taken), the
//! length of the file (u32, little-endian) and the file. The other side answers with a verdict, as in an
//! introduction. That is all of a connection.

use std::io::{self, Read, Write};
use std::sync::mpsc::{sync_channel, SyncSender};
use std::time::{Duration, Instant};

use super::introduce::{read_verdict, write_verdict};
use super::meet::{self, Met};
use super::News;

/// Largest file.
const MOST: usize = 1 << 20;
/// How long an offer may take, with all that a machine does about it.
const LIMIT: Duration = Duration::from_secs(30);

/// What is wanted of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To know whether it would be taken.
    Check,
    /// That it is applied, and kept.
    Take,
}

/// A file that is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What is wanted.
    pub wish: Wish,
    /// The file.
    pub text: String,
}

impl Offer {
    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let length = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        to.write_all(&[u8::from(self.wish == Wish::Take)])?;
        to.write_all(&length.to_le_bytes())?;
        to.write_all(self.text.as_bytes())?;
        to.flush()
    }

    fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut head = [0; 5];
        from.read_exact(&mut head)?;
        let [wish, length @ ..] = head;
        let wish = match wish {
            0 => Wish::Check,
            1 => Wish::Take,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > MOST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut text = vec![0; length];
        from.read_exact(&mut text)?;
        let text = String::from_utf8(text).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(Self { wish, text })
    }
}

/// Offers it to a machine that was met; why it is refused, if it is. An error is a part of a sentence
/// about the machine.
pub fn make(mut met: Met, offer: &Offer) -> Result<Option<String>, String> {
    if offer.text.len() > MOST {
        return Err(format!(
            "a file of more than {MOST} bytes is not given to it"
        ));
    }
    met.line.extend(Instant::now() + LIMIT);
    let line = &mut met.line;
    let heard = offer.write(line).and_then(|()| read_verdict(line));
    heard.map_err(|error| meet::connection(&error))
}

/// Hears what the machine that was met offers, has the agent decide, and answers.
pub fn hear(mut met: Met, news: &SyncSender<News>) -> Result<(), String> {
    met.line.extend(Instant::now() + LIMIT);
    let line = &mut met.line;
    let offer = Offer::read(line).map_err(|error| meet::connection(&error))?;
    let (answer, verdict) = sync_channel(1);
    let offered = News::Offered(met.peer.name.clone(), offer, answer);
    // If the agent ends, the other side is not answered.
    let sent = news.send(offered).ok();
    let Some(verdict) = sent.and_then(|()| verdict.recv().ok()) else {
        return Ok(());
    };
    met.line.extend(Instant::now() + LIMIT);
    let line = &mut met.line;
    let answered = write_verdict(line, verdict.as_deref()).and_then(|()| line.flush());
    answered.map_err(|error| meet::connection(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(offer: &Offer) -> Vec<u8> {
        let mut bytes = Vec::new();
        offer.write(&mut bytes).expect("there is room");
        bytes
    }

    #[test]
    fn what_is_offered_is_what_is_heard() {
        for wish in [Wish::Check, Wish::Take] {
            let text = "[cluster]\n".to_owned();
            let offer = Offer { wish, text };
            assert_eq!(Offer::read(&mut &bytes(&offer)[..]).ok(), Some(offer));
        }
    }

    #[test]
    fn what_is_no_offer_is_refused_before_memory_is_had_for_it() {
        let mut long = vec![1];
        long.extend(u32::MAX.to_le_bytes());
        for broken in [
            &[][..],
            &[2, 0, 0, 0, 0],
            &[0, 1, 0, 0, 0],
            &[0, 1, 0, 0, 0, 0xff],
            &long,
        ] {
            assert!(Offer::read(&mut &broken[..]).is_err(), "{broken:?}");
        }
    }
}
