// SPDX-License-Identifier: GPL-2.0
//! A change of the file for all machines: where this one is linked to the others, these are asked
//! whether they would take the file before anything changes, and given it afterwards.

use service_group::netlink::Connection;

use crate::agent::keys;
use crate::agent::push::{not_taken, Others, Outcome, Wish};
use crate::agent::roster::Roster;
use crate::cli::ChangeArgs;
use crate::cluster::apply::own_name;
use crate::cluster::file::links::Machine;
use crate::cluster::file::Config;
use crate::Failure;

/// Whom a changed file is given to.
#[derive(Debug)]
pub(super) enum Reach {
    /// This machine alone, for this reason; it need not be told if there is none.
    Here(Option<String>),
    /// These, too.
    All {
        /// The machines that are asked.
        others: Others,
        /// The names of those that are new, and cannot be asked.
        new: Vec<String>,
    },
}

impl Reach {
    /// Whom the change of a file from this to that can be given to.
    pub(super) fn of(args: &ChangeArgs, before: &Config, after: &Config) -> Self {
        if args.no_apply || args.no_push || before.links.is_none() {
            return Self::Here(None);
        }
        match Self::all(args, before, after) {
            Ok(all) => all,
            Err(why) => Self::Here(Some(why)),
        }
    }

    fn all(args: &ChangeArgs, before: &Config, after: &Config) -> Result<Self, String> {
        if !is_linked(before) {
            return Err("no agent runs here".to_owned());
        }
        let text = |failure: Failure| failure.to_string();
        let own = own_name(after, args.node.as_deref()).map_err(text)?;
        let mut roster = Roster::new(after, &own).map_err(text)?;
        if !roster.links.is_secure {
            return Err(
                "link-security is \"none\", and a file is given to machines that are \
                        proved only"
                    .to_owned(),
            );
        }
        let known = before.linked();
        let (peers, new) = roster
            .peers
            .drain(..)
            .partition::<Vec<_>, _>(|peer| known.iter().any(|old| old.id == peer.id));
        // An agent listens where the old file says until it has the new one.
        let as_before = |peer: Machine| {
            let old = known.iter().find(|old| old.id == peer.id);
            let listen = old.map_or(peer.listen, |old| old.listen);
            Machine { listen, ..peer }
        };
        roster.peers = peers.into_iter().map(as_before).collect();
        let folder = keys::folder(args.keys.as_deref(), &args.file);
        Ok(Self::All {
            others: Others::new(roster, &folder).map_err(text)?,
            new: new.into_iter().map(|peer| peer.name).collect(),
        })
    }

    /// What is to be done next, when the file is written; `others` is what they are called.
    pub(super) fn next(&self, file: &str, others: &str) -> String {
        let by_hand =
            format!("copy it to the {others}machines, and run there: sgctl cluster apply {file}\n");
        match self {
            Self::Here(None) => format!("{file} is written: {by_hand}"),
            Self::Here(Some(why)) => {
                format!("{file} is written on this machine only, as {why}: {by_hand}")
            }
            Self::All { new, .. } => {
                let new = new
                    .iter()
                    .map(|name| format!("{name} is new: copy {file} there, and start its agent\n"));
                new.collect()
            }
        }
    }

    /// What the others say of the file.
    pub(super) fn ask(&self, text: &str, wish: Wish) -> Option<Outcome> {
        match self {
            Self::Here(_) => None,
            Self::All { others, .. } => Some(others.ask(text, wish)),
        }
    }
}

/// Why nothing is changed, if some refuse it.
pub(super) fn check(asked: Option<&Outcome>, args: &ChangeArgs) -> Result<(), Failure> {
    let refused = asked.map_or(0, Outcome::refused);
    match refused {
        0 => Ok(()),
        _ if args.anyway => Ok(()),
        count => Err(not_taken(count).and(
            "nothing was changed: correct the reasons, change the file for the others with --anyway, \
             or here alone with --no-push",
        )),
    }
}

/// Whether the kernel knows this machine as one of the cluster's, as an agent has told it.
fn is_linked(config: &Config) -> bool {
    let Some(links) = config.links else {
        return false;
    };
    let kernel = Connection::if_loaded().unwrap_or_default();
    let machine = kernel.and_then(|mut kernel| kernel.machine().ok().flatten());
    machine.is_some_and(|machine| machine.cluster == links.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::push::Answer;
    use crate::cli::{Cli, ClusterCommand, Command};
    use clap::Parser;

    fn args(line: &str) -> ChangeArgs {
        let words = ["sgctl", "cluster", "drain", "b"].into_iter();
        let cli = Cli::try_parse_from(words.chain(line.split_whitespace())).expect(line);
        match cli.command {
            Command::Cluster(args) => match args.command {
                ClusterCommand::Drain(args) => args.change,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn outcome(reason: Option<&str>) -> Outcome {
        Outcome {
            given: false,
            machines: vec![Answer {
                machine: "b".to_owned(),
                ok: reason.is_none(),
                reason: reason.map(str::to_owned),
            }],
        }
    }

    #[test]
    fn one_that_refuses_keeps_all_from_it() {
        let refused = outcome(Some("x:3: no"));
        assert_eq!(check(None, &args("")), Ok(()));
        assert_eq!(check(Some(&outcome(None)), &args("")), Ok(()));
        assert_eq!(check(Some(&refused), &args("--anyway")), Ok(()));
        let told = check(Some(&refused), &args(""))
            .expect_err("b refuses")
            .to_string();
        assert!(
            told.contains("1 machine does not take the file; nothing was changed"),
            "{told}"
        );
    }

    #[test]
    fn without_links_nobody_is_asked() {
        let none = Config::default();
        for line in ["", "--no-push", "--no-apply"] {
            let reach = Reach::of(&args(line), &none, &none);
            assert!(matches!(reach, Reach::Here(None)), "{line}: {reach:?}");
        }
    }
}
