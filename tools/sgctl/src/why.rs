// SPDX-License-Identifier: GPL-2.0
//! `sgctl why`: what became of one connection, and why.
//!
//! The kernel remembers those that did not stay with the listener that it looked
//! up, and names sockets by their cookies. Which sockets these are is looked up here. Of a cluster IP it is
//! told first which machine the connection belongs to.

use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use serde::Serialize;
use service_group::netlink::{Connection, Decision, Error, Member, Outcome};

use crate::cli::WhyArgs;
use crate::cluster::file::{store, FILE};
use crate::cluster::whose::{whose, WhoseView};
use crate::view::{endpoint, milliseconds};
use crate::{output, Failure};

/// What became of it, as `--json` tells it.
#[derive(Debug, Serialize)]
struct Report {
    local: String,
    peer: String,
    cluster: Option<WhoseView>,
    #[serde(flatten)]
    decision: DecisionView,
}

/// What became of it in a group; all null if nothing is remembered.
#[derive(Debug, Default, Serialize)]
struct DecisionView {
    group: Option<u32>,
    outcome: Option<&'static str>,
    reason: Option<&'static str>,
    home: Option<SocketView>,
    taker: Option<SocketView>,
    moves: Option<u32>,
    age_ms: Option<u64>,
}

/// A socket that is a member, or was one.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct SocketView {
    cookie: u64,
    inode: Option<u64>,
    address: Option<String>,
    port: Option<u16>,
}

/// Runs the subcommand.
pub fn run(args: &WhyArgs) -> Result<(), Failure> {
    let mut kernel = Connection::open()?;
    let decision = kernel.decision(args.local, args.peer).map_err(refusal)?;
    let members = kernel.members(None)?;
    let whose = whose(&mut kernel, args.local, args.peer)?;
    if decision.is_none() && whose.is_none() {
        return Err(nothing(args, &members));
    }
    // Names only.
    let file = Path::new(FILE);
    let text = store::text(file);
    let config = text.and_then(|text| store::config(file, &text)).ok();
    let config = config.as_ref();
    if args.json {
        let view = whose.map(|whose| whose.view(config));
        return output::json(&report(args, view, decision.as_ref(), &members));
    }
    let whose = whose.map(|whose| whose.sentence(config));
    let became = match &decision {
        Some(decision) => sentences(decision, &members),
        None => "No group is remembered to have moved or dropped it.\n".to_owned(),
    };
    output::text(&(whose.unwrap_or_default() + &became))
}

fn refusal(error: Error) -> Failure {
    match error {
        Error::Refused(number) if Errno::from_raw_os_error(number) == Errno::OPNOTSUPP => {
            Failure::new(
                "the module does not remember connections: load the module that belongs to \
                 this program",
            )
        }
        error => error.into(),
    }
}

/// Why there is nothing to tell.
fn nothing(args: &WhyArgs, members: &[Member]) -> Failure {
    let (local, peer) = (args.local, args.peer);
    let port = local.port();
    if !members.iter().any(|member| member.port == port) {
        return Failure::new(format!(
            "no group has a member at port {port}: give the server's address first, then the \
             client's; \"sgctl show\" shows all groups"
        ));
    }
    Failure::new(format!(
        "nothing is remembered of {local} from {peer}: it stayed with the listener that the \
         kernel looked up, or it is too long ago, as later connections take its place"
    ))
}

fn find(cookie: u64, members: &[Member]) -> Option<&Member> {
    members.iter().find(|member| member.cookie == cookie)
}

/// The socket with this cookie, in words.
fn name(cookie: u64, members: &[Member]) -> String {
    match find(cookie, members) {
        Some(member) => format!("{} (inode {})", endpoint(member), member.inode),
        None => format!("a socket that is no member any more (cookie {cookie})"),
    }
}

fn sentences(decision: &Decision, members: &[Member]) -> String {
    let Decision { group, moves, .. } = *decision;
    let done = format!(
        "{} {}, because {}",
        ago(decision.age),
        decision.outcome.text(),
        decision.reason.text()
    );
    let home = name(decision.home, members);
    let taker = decision.taker.map(|cookie| name(cookie, members));
    match (taker, decision.outcome) {
        (Some(taker), _) if moves > 1 => format!(
            "{done}: it is with {taker} of group {group} now. It came for {home}, and was moved \
             {moves} times.\n"
        ),
        (Some(taker), _) => format!("{done}: from {home} to {taker}, in group {group}.\n"),
        (None, Outcome::Dropped) => format!(
            "{done}: it came for {home} of group {group}. That the listener took what the client \
             sent again would not be told here.\n"
        ),
        (None, _) => format!("{done}: it came for {home} of group {group}.\n"),
    }
}

/// When it was, to begin a sentence with.
fn ago(age: Duration) -> String {
    if age.is_zero() {
        return "Less than 1ms ago".to_owned();
    }
    format!("{} ago", humantime::format_duration(age))
}

fn report(
    args: &WhyArgs,
    cluster: Option<WhoseView>,
    decision: Option<&Decision>,
    members: &[Member],
) -> Report {
    Report {
        local: args.local.to_string(),
        peer: args.peer.to_string(),
        cluster,
        decision: decision.map_or_else(DecisionView::default, |it| decision_view(it, members)),
    }
}

fn decision_view(decision: &Decision, members: &[Member]) -> DecisionView {
    let view = |cookie| {
        let member = find(cookie, members);
        let address = member.and_then(|member| member.address);
        SocketView {
            cookie,
            inode: member.map(|member| member.inode),
            address: address.map(|address| address.to_string()),
            port: member.map(|member| member.port),
        }
    };
    DecisionView {
        group: Some(decision.group),
        outcome: Some(decision.outcome.name()),
        reason: Some(decision.reason.name()),
        home: Some(view(decision.home)),
        taker: decision.taker.map(view),
        moves: Some(decision.moves),
        age_ms: Some(milliseconds(decision.age)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, to_value};
    use service_group::netlink::Reason;

    fn args() -> WhyArgs {
        WhyArgs {
            local: ([10, 0, 0, 1], 80).into(),
            peer: ([10, 0, 0, 9], 4000).into(),
            json: false,
        }
    }

    fn members() -> [Member; 2] {
        [11, 12].map(|number: u8| Member {
            group: 3,
            cookie: number.into(),
            inode: 100 + u64::from(number),
            port: 80,
            address: Some([10, 0, 0, number].into()),
            ..Member::default()
        })
    }

    fn decision() -> Decision {
        Decision {
            group: 3,
            outcome: Outcome::Rescued,
            reason: Reason::Stalled,
            home: 11,
            taker: Some(12),
            moves: 1,
            age: Duration::from_millis(12),
        }
    }

    #[test]
    fn one_sentence_says_where_it_went_and_why() {
        assert_eq!(
            sentences(&decision(), &members()),
            "12ms ago a sibling took over the complete connection, because the member was \
             stalled: from 10.0.0.11:80 (inode 111) to 10.0.0.12:80 (inode 112), in group 3.\n"
        );
        let gone = sentences(&decision(), &[]);
        assert!(gone.contains("no member any more (cookie 11)"), "{gone}");
    }

    #[test]
    fn moves_and_drops_are_told_apart() {
        let moved = Decision {
            moves: 3,
            ..decision()
        };
        let text = sentences(&moved, &members());
        assert!(
            text.contains("it is with 10.0.0.12:80 (inode 112)") && text.contains("3 times"),
            "{text}"
        );
        for (outcome, told) in [
            (Outcome::Dropped, "sent again"),
            (Outcome::Reset, "with a reset"),
        ] {
            let decision = Decision {
                outcome,
                reason: Reason::Full,
                taker: None,
                moves: 0,
                age: Duration::ZERO,
                ..decision()
            };
            let text = sentences(&decision, &members());
            assert!(
                text.starts_with("Less than 1ms ago its SYN was ") && text.contains(told),
                "{text}"
            );
            assert!(text.contains("because no member had room: it came for 10.0.0.11:80"));
        }
    }

    #[test]
    fn json_has_the_documented_shape() {
        let nothing = to_value(report(&args(), None, None, &[])).expect("it is JSON");
        let keys = nothing.as_object().expect("it is an object");
        assert_eq!(keys.len(), 10, "{nothing}");
        assert!(keys
            .iter()
            .all(|(key, value)| value.is_null() != (key == "local" || key == "peer")));
        let report = to_value(report(&args(), None, Some(&decision()), &members()[..1]));
        let expected = json!({
            "local": "10.0.0.1:80", "peer": "10.0.0.9:4000", "cluster": null, "group": 3,
            "outcome": "rescued", "reason": "stalled", "moves": 1, "age_ms": 12,
            "home": {"cookie": 11, "inode": 111, "address": "10.0.0.11", "port": 80},
            "taker": {"cookie": 12, "inode": null, "address": null, "port": null},
        });
        assert_eq!(report.expect("it is JSON"), expected);
    }

    #[test]
    fn nothing_is_a_sentence_too() {
        let kept = nothing(&args(), &members()).to_string();
        assert!(
            kept.contains("10.0.0.1:80 from 10.0.0.9:4000") && kept.contains("stayed"),
            "{kept}"
        );
        let swapped = WhyArgs {
            local: args().peer,
            peer: args().local,
            json: true,
        };
        let failure = nothing(&swapped, &members()).to_string();
        assert!(failure.contains("port 4000"), "{failure}");
    }

    #[test]
    fn an_older_module_is_told() {
        let text = refusal(Error::Refused(Errno::OPNOTSUPP.raw_os_error())).to_string();
        assert!(text.contains("load the module"), "{text}");
    }
}
