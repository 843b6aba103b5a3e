// SPDX-License-Identifier: GPL-2.0

//! Which listener takes a SYN: collects the facts, asks [`select::choose`], counts.

#![forbid(unsafe_code)]

use super::{
    counters::Counter,
    decision::{Done, Why},
    Member, //
};
use crate::{
    cluster::spill::spill,
    logic::{
        room::Load,
        select::{self, Decision, Reason},
        settings::WhenFull, //
    },
    sys::socket::{
        flowlog::Packet, //
        listener::Sock,
    },
};
use kernel::sync::{
    atomic::Relaxed,
    rcu::Guard, //
};

/// What is to be done with a SYN.
pub(crate) enum Outcome<'g> {
    /// This listener takes it. One that is full drops it, and counts it in `ListenOverflows` as it
    /// always did.
    Target(&'g Sock),
    /// It is dropped.
    Drop,
    /// It is answered with a reset.
    Reset,
    /// Another machine of the cluster has it.
    Spilled,
}

/// Decides about a SYN that was looked up for `home`, the socket of `member`, which is so full.
/// Softirq context.
pub(crate) fn syn<'g>(
    member: &'g Member,
    home: &'g Sock,
    load: Load,
    packet: &Packet<'_>,
    guard: &'g Guard,
) -> Outcome<'g> {
    // Most stay, and no more need be known for that.
    if select::stays(
        member.group.settings.policy(),
        load,
        member.is_stalled(),
        member.leaving.load(Relaxed),
    ) {
        member.counters.count(Counter::Home);
        return Outcome::Target(home);
    }
    choose(member, home, packet, guard)
}

/// What comes of it when all members are looked at.
#[inline(never)]
fn choose<'g>(
    member: &'g Member,
    home: &'g Sock,
    packet: &Packet<'_>,
    guard: &'g Guard,
) -> Outcome<'g> {
    let group = &member.group;
    let policy = group.settings.policy();
    let facts = member.facts(guard);
    let family = packet.family();
    let decision = group.search(member, guard, Decision::is_taken, |siblings| {
        select::choose(policy, &facts, family, siblings)
    });
    let (counter, outcome) = match decision {
        Decision::Home => (Counter::Home, Outcome::Target(home)),
        Decision::HomeUnpromised => (Counter::HomeUnpromised, Outcome::Target(home)),
        Decision::Sibling(sibling, reason) => {
            member.leads_astray(reason);
            sibling.counters.count(Counter::RedirectedIn);
            (counter_of(reason), Outcome::Target(sibling.sock(guard)))
        }
        Decision::DropFull | Decision::DropUnfit if spill(home.net().clusters(), packet, guard) => {
            (Counter::Spilled, Outcome::Spilled)
        }
        Decision::DropFull | Decision::DropUnfit
            if group.settings.when_full() == WhenFull::Reset =>
        {
            (Counter::Reset, Outcome::Reset)
        }
        Decision::DropFull => (Counter::DroppedFull, Outcome::Drop),
        Decision::DropUnfit => (Counter::DroppedUnfit, Outcome::Drop),
    };
    member.counters.count(counter);
    note(member, home, packet, &decision, &outcome);
    outcome
}

/// Remembers what did not go home.
fn note(
    member: &Member,
    home: &Sock,
    packet: &Packet<'_>,
    decision: &Decision<&Member>,
    outcome: &Outcome<'_>,
) {
    let why = match decision {
        Decision::Home | Decision::HomeUnpromised => return,
        Decision::Sibling(_, reason) => Why::Select(*reason),
        Decision::DropFull => Why::Full,
        Decision::DropUnfit => Why::Unfit,
    };
    let (done, to) = match outcome {
        Outcome::Target(target) => (Done::Redirected, Some(*target)),
        Outcome::Drop => (Done::Dropped, None),
        Outcome::Reset => (Done::Reset, None),
        Outcome::Spilled => (Done::Spilled, None),
    };
    member.group.note(&packet.flow(), done, why, home, to);
}

fn counter_of(reason: Reason) -> Counter {
    match reason {
        Reason::QueueFull => Counter::RedirectedQueueFull,
        Reason::Promised => Counter::RedirectedPromised,
        Reason::Stalled => Counter::RedirectedStalled,
        Reason::Balanced => Counter::RedirectedBalanced,
        Reason::Leaving => Counter::RedirectedLeaving,
    }
}
