// SPDX-License-Identifier: GPL-2.0

//! Which one of several directors is active.
//!
//! The directors of a cluster IP are ranked; each tells the others in its heartbeats whether it *can* direct,
//! whether it is *active*, and the epoch of its table. Each decides for itself, by what it sees:
//!
//! - The first one in the order of ranks that is there is active; all others stand by.
//! - A director of a better rank that comes back takes over from an active one (it *preempts* it). Not while
//!   the one holds the other back, and not with a table that is older than that of the active one; both count
//!   only while somebody else is active.
//! - The active one stays so until it hears that the better one is active: there is no gap.
//! - Of two active ones that see each other, as after a partition, the one with the newer table stays, of equal
//!   ones the one of the better rank. The other one stands by.
//!
//! So of directors that all see each other, one is active when all have heard of the latest change. Of directors
//! that do not see each other, each may be active. All direct alike, by the same table: that does no harm but
//! that neighbours may take the one for the other. So the active one *announces* the address anew when another
//! director appears, or stops being active.

#![forbid(unsafe_code)]

use crate::logic::cluster::slots::NodeId;

/// How many directors a cluster IP has at most whose roles follow links.
pub const MAX_DIRECTORS: usize = 32;

/// What a machine knows of another director.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is not there, or cannot direct.
    Absent,
    /// Whether it is there is not known yet.
    Unknown,
    /// It is there, and can direct.
    There(Claim),
}

/// What another director says, and whether that counts at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whether it is active.
    pub active: bool,
    /// Whether the one of both holds the other one back, as it came and went.
    pub held: bool,
    /// Number of its table.
    pub epoch: u32,
}

/// What a director knows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// Whether it can direct.
    pub able: bool,
    /// Whether it is active.
    pub active: bool,
    /// Number of its table.
    pub epoch: u32,
}

/// Why a machine has its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is active: no director of a better rank is there.
    First,
    /// It is active until a director of a better rank is, which is there.
    Leaving,
    /// It stands by: a director of a better rank is there.
    Preferred,
    /// It stands by: another one is active, and the one of both holds the other one back.
    Held,
    /// It stands by: another one is active, and has a newer table.
    Older,
    /// It stands by: it is not known yet whether others are there.
    Waiting,
    /// It stands by: it cannot direct.
    Unable,
    /// It stands by: nobody has said which machine this is, or it is none of the directors.
    Unlinked,
}

/// Which of the others are there, and which are active: a bit for each rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    there: u32,
    active: u32,
}

impl Sight {
    /// Whether neighbours may have been told something else since this was seen than the active one says: it
    /// is to tell them anew.
    pub fn is_followed_by_doubt(&self, now: &Self) -> bool {
        now.there & !self.there != 0 || self.active & !now.active != 0
    }
}

/// What a machine is, and what it believes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is active.
    pub active: bool,
    /// Why.
    pub reason: Reason,
    /// Who is active, as it believes: of several the first one.
    pub acting: Option<NodeId>,
    /// What it sees of the others.
    pub sight: Sight,
}

/// Decides for the machine with the id `this`. `directors` are in the order of their ranks, at most
/// [`MAX_DIRECTORS`]; `seen` is asked for each of them but this one.
pub fn decide(
    directors: &[NodeId],
    this: Option<NodeId>,
    own: Own,
    seen: impl Fn(NodeId) -> Seen,
) -> Decision {
    let others = Others {
        directors,
        this,
        seen,
    };
    let rank = directors.iter().position(|&id| Some(id) == this);
    let (active, reason) = match rank {
        None => (false, Reason::Unlinked),
        Some(_) if !own.able => (false, Reason::Unable),
        Some(rank) if own.active => others.may_stay(rank, own.epoch),
        Some(rank) => others.may_begin(rank, own.epoch),
    };
    Decision {
        active,
        reason,
        acting: match active {
            true => this,
            false => others.acting(),
        },
        sight: others.sight(),
    }
}

/// The directors but for this one.
struct Others<'a, S> {
    directors: &'a [NodeId],
    this: Option<NodeId>,
    seen: S,
}

impl<S: Fn(NodeId) -> Seen> Others<'_, S> {
    /// What is seen of each, with its rank.
    fn all(&self) -> impl Iterator<Item = (usize, Seen)> + '_ {
        let ranked = self.directors.iter().enumerate().take(MAX_DIRECTORS);
        let others = ranked.filter(|&(_, &id)| Some(id) != self.this);
        others.map(|(rank, &id)| (rank, (self.seen)(id)))
    }

    /// Those that are there.
    fn there(&self) -> impl Iterator<Item = (usize, Claim)> + '_ {
        self.all().filter_map(|(rank, seen)| match seen {
            Seen::There(claim) => Some((rank, claim)),
            Seen::Absent | Seen::Unknown => None,
        })
    }

    fn active(&self) -> impl Iterator<Item = (usize, Claim)> + '_ {
        self.there().filter(|(_, claim)| claim.active)
    }

    /// Whether one of a better rank is there.
    fn is_behind(&self, rank: usize) -> bool {
        self.there().any(|(other, _)| other < rank)
    }

    /// Of the active one.
    fn may_stay(&self, rank: usize, epoch: u32) -> (bool, Reason) {
        let mut active = self.active();
        if active.any(|(other, claim)| claim.epoch == epoch && other < rank) {
            return (false, Reason::Preferred);
        }
        if self.active().any(|(_, claim)| claim.epoch > epoch) {
            return (false, Reason::Older);
        }
        match self.is_behind(rank) {
            true => (true, Reason::Leaving),
            false => (true, Reason::First),
        }
    }

    /// Of one that stands by.
    fn may_begin(&self, rank: usize, epoch: u32) -> (bool, Reason) {
        if self.is_behind(rank) {
            return (false, Reason::Preferred);
        }
        if self.all().any(|(_, seen)| seen == Seen::Unknown) {
            return (false, Reason::Waiting);
        }
        if self.active().any(|(_, claim)| claim.epoch > epoch) {
            return (false, Reason::Older);
        }
        match self.active().any(|(_, claim)| claim.held) {
            true => (false, Reason::Held),
            false => (true, Reason::First),
        }
    }

    fn acting(&self) -> Option<NodeId> {
        let (rank, _) = self.active().next()?;
        self.directors.get(rank).copied()
    }

    fn sight(&self) -> Sight {
        let bit = |rank: usize| u32::try_from(rank).map_or(0, |rank| 1u32.wrapping_shl(rank));
        Sight {
            there: self.there().fold(0, |bits, (rank, _)| bits | bit(rank)),
            active: self.active().fold(0, |bits, (rank, _)| bits | bit(rank)),
        }
    }
}

/// How often an address is announced: as often as keepalived does (`vrrp_garp_master_repeat`).
const ANNOUNCEMENTS: u32 = 5;
/// How many nanoseconds lie between two of them: RFC 4861 wants a second at least (`RETRANS_TIMER`, for
/// `MAX_NEIGHBOR_ADVERTISEMENT`), and what keepalived sends at once may be lost at once.
const BETWEEN: u64 = 1_000_000_000;

/// The announcements of an address that are to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Announcements {
    left: u32,
    next: u64,
}

impl Announcements {
    /// All of them anew: the first one now, but no sooner after the latest one than any other.
    pub fn again(self, now: u64) -> Self {
        Self {
            left: ANNOUNCEMENTS,
            next: self.next.max(now),
        }
    }

    /// No more of them.
    pub fn stop(&mut self) {
        self.left = 0;
    }

    /// Whether one is to be sent now; the caller does so.
    pub fn take(&mut self, now: u64) -> bool {
        let is_due = self.left > 0 && now >= self.next;
        if is_due {
            self.left = self.left.saturating_sub(1);
            self.next = now.saturating_add(BETWEEN);
        }
        is_due
    }

    /// In how many nanoseconds the next one is due, if there is one.
    pub fn due_in(&self, now: u64) -> Option<u64> {
        (self.left > 0).then(|| self.next.saturating_sub(now))
    }
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[path = "director_tests.rs"]
mod director_tests;
