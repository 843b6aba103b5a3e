// SPDX-License-Identifier: GPL-2.0
//! `sgctl cluster push`: gives the file to the agents of all other machines, if each of them would take
//! it.

use std::net::TcpStream;
use std::thread;

use serde::Serialize;

use super::door::{prepared, unreached};
use super::keys;
use super::meet::{self, Me, LIMIT};
use super::offer::{self, Offer, Wish};
use super::own;
use super::tls::Purpose;
use crate::cli::ClusterPushArgs;
use crate::cluster::file::links::Machine;
use crate::cluster::file::store;
use crate::{output, Failure};

/// What a machine has answered.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Answer {
    machine: String,
    /// Whether it has the file, or would take it.
    ok: bool,
    /// Why not.
    reason: Option<String>,
}

/// What all have answered, as `--json` tells it.
#[derive(Debug, Serialize)]
struct Outcome {
    /// Whether the file was given to them.
    given: bool,
    machines: Vec<Answer>,
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
    let mut offer = Offer {
        wish: Wish::Check,
        text: store::text(&args.file)?,
    };
    let mut machines = ask_all(&me, &offer);
    let given = !args.dry_run && (args.anyway || machines.iter().all(|answer| answer.ok));
    if given {
        offer.wish = Wish::Take;
        machines = ask_all(&me, &offer);
    }
    tell(args, &Outcome { given, machines })
}

/// Asks all at the same time.
fn ask_all(me: &Me, offer: &Offer) -> Vec<Answer> {
    thread::scope(|scope| {
        let ask = |peer| scope.spawn(move || ask(me, peer, offer));
        let asked: Vec<_> = me.roster.peers.iter().map(|it| (it, ask(it))).collect();
        let answers = asked.into_iter().map(|(peer, asked)| {
            let panicked = |_| Err("it could not be asked".to_owned());
            let outcome = asked.join().unwrap_or_else(panicked);
            let reason = outcome.unwrap_or_else(Some);
            Answer {
                machine: peer.name.clone(),
                ok: reason.is_none(),
                reason,
            }
        });
        answers.collect()
    })
}

fn ask(me: &Me, peer: &Machine, offer: &Offer) -> Result<Option<String>, String> {
    let socket = TcpStream::connect_timeout(&peer.listen, LIMIT)
        .map_err(|error| unreached(peer.listen, &error))?;
    let met = meet::connect(me, peer, Purpose::Control, prepared(socket)?)?;
    offer::make(met, offer)
}

fn tell(args: &ClusterPushArgs, outcome: &Outcome) -> Result<(), Failure> {
    match args.json {
        true => output::json(outcome)?,
        false => output::text(&outcome.words(args.dry_run))?,
    }
    let refused = outcome.machines.iter().filter(|answer| !answer.ok).count();
    match (refused, outcome.given || args.dry_run) {
        (0, _) => Ok(()),
        (_, true) => Err(Failure::new(format!(
            "{} not take the file",
            match refused {
                1 => "1 machine does".to_owned(),
                count => format!("{count} machines do"),
            }
        ))),
        (_, false) => Err(Failure::new(
            "no machine was given the file, as not all take it: correct the reasons, or give it to \
             the others with --anyway",
        )),
    }
}

impl Outcome {
    fn words(&self, dry_run: bool) -> String {
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
        let answer = |machine: &str, reason: Option<&str>| Answer {
            machine: machine.to_owned(),
            ok: reason.is_none(),
            reason: reason.map(str::to_owned),
        };
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
    }
}
