// SPDX-License-Identifier: GPL-2.0
//! Giving the file to the agents of all other machines, if each of them would take it: `sgctl cluster
//! push`, and what changes the file.

use std::path::Path;
use std::thread;

use serde::Serialize;

use super::door::reach;
use super::keys;
use super::meet::{self, Me};
use super::offer::{self, Offer};
use super::own::{self, verified};
use super::roster::Roster;
use super::tls::Purpose;
use crate::cli::ClusterPushArgs;
use crate::cluster::file::links::Machine;
use crate::cluster::file::store;
use crate::{output, Failure};

pub use super::offer::Wish;

/// The other machines, which this one proves itself to.
#[derive(Debug)]
pub struct Others(Me);

/// What a machine has answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Its name.
    pub machine: String,
    /// Whether it has the file, or would take it.
    pub ok: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// What all have answered, as `--json` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Whether the file was given to them.
    pub given: bool,
    /// The answer of each.
    pub machines: Vec<Answer>,
}

/// Runs the subcommand.
pub fn run(args: &ClusterPushArgs) -> Result<(), Failure> {
    let folder = keys::folder(args.keys.as_deref(), &args.file);
    let (me, _) = own::read(&args.file, &folder, args.node.as_deref())?;
    if me.keys.is_none() {
        return Err(Failure::new(
            "a file is given to machines that are proved only, and link-security is \"none\": copy it",
        ));
    }
    let (others, text) = (Others(me), store::text(&args.file)?);
    let asked = others.ask(&text, Wish::Check);
    let given = !args.dry_run && (args.anyway || asked.refused() == 0);
    let outcome = match given {
        true => others.ask(&text, Wish::Take),
        false => asked,
    };
    tell(args, &outcome)
}

impl Others {
    /// These, as this machine knows them, which has its keys in that folder; they are secure.
    pub fn new(roster: Roster, folder: &Path) -> Result<Self, Failure> {
        let keys = verified(&roster, folder)?;
        Ok(Self(Me { roster, keys }))
    }

    /// Asks all at the same time.
    pub fn ask(&self, text: &str, wish: Wish) -> Outcome {
        let offer = Offer {
            wish,
            text: text.to_owned(),
        };
        let (me, offer) = (&self.0, &offer);
        let machines = thread::scope(|scope| {
            let ask = |peer| scope.spawn(move || ask(me, peer, offer));
            let asked: Vec<_> = me.roster.peers.iter().map(|it| (it, ask(it))).collect();
            let answers = asked.into_iter().map(|(peer, asked)| {
                let panicked = |_| Err("it could not be asked".to_owned());
                let outcome = asked.join().unwrap_or_else(panicked);
                Answer::new(&peer.name, outcome.unwrap_or_else(Some))
            });
            answers.collect()
        });
        Outcome {
            given: wish == Wish::Take,
            machines,
        }
    }
}

impl Answer {
    /// Of the machine with this name, which refuses the file for this reason, if for any.
    fn new(machine: &str, reason: Option<String>) -> Self {
        Self {
            machine: machine.to_owned(),
            ok: reason.is_none(),
            reason,
        }
    }
}

fn ask(me: &Me, peer: &Machine, offer: &Offer) -> Result<Option<String>, String> {
    let met = meet::connect(me, peer, Purpose::Control, reach(me, peer)?)?;
    offer::make(met, offer)
}

fn tell(args: &ClusterPushArgs, outcome: &Outcome) -> Result<(), Failure> {
    match args.json {
        true => output::json(outcome)?,
        false => output::text(&outcome.words(args.dry_run))?,
    }
    match (outcome.refused(), outcome.given || args.dry_run) {
        (0, _) => Ok(()),
        (count, true) => Err(not_taken(count)),
        (_, false) => Err(Failure::new(
            "no machine was given the file, as not all take it: correct the reasons, or give it to \
             the others with --anyway",
        )),
    }
}

/// So many machines do not take it.
pub fn not_taken(count: usize) -> Failure {
    let who = match count {
        1 => "1 machine does".to_owned(),
        count => format!("{count} machines do"),
    };
    Failure::new(format!("{who} not take the file"))
}

impl Outcome {
    /// How many do not take it, or have not answered.
    pub fn refused(&self) -> usize {
        self.machines.iter().filter(|answer| !answer.ok).count()
    }

    /// A line for each machine.
    pub fn words(&self, dry_run: bool) -> String {
        let done = match (self.given, dry_run) {
            (true, _) => "has the file",
            (false, true) => "would take it",
            (false, false) => "would have taken it",
        };
        let lines = self.machines.iter().map(|answer| match &answer.reason {
            None => format!("{}: {done}\n", answer.machine),
            Some(why) => format!("{}: {why}\n", answer.machine),
        });
        lines.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_is_told() {
        let answer = |machine, why: Option<&str>| Answer::new(machine, why.map(str::to_owned));
        let mut outcome = Outcome {
            given: false,
            machines: vec![answer("b", None), answer("c", Some("x.toml:3: no"))],
        };
        assert_eq!(outcome.words(true), "b: would take it\nc: x.toml:3: no\n");
        assert!(outcome.words(false).starts_with("b: would have"));
        outcome.given = true;
        assert!(outcome.words(false).starts_with("b: has the file\n"));
        let json = serde_json::to_value(&outcome).expect("it is JSON");
        assert_eq!(json["machines"][1]["reason"], "x.toml:3: no");
        assert_eq!(outcome.refused(), 1);
        assert_eq!(not_taken(1).to_string(), "1 machine does not take the file");
    }
}
