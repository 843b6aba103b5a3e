// SPDX-License-Identifier: GPL-2.0

//! What decisions need to know of a listener.
//!
//! A redirected connection has passed the checks of its home listener only (TCP-MD5 and TCP-AO
//! keys, socket filter, IPsec policy, minimum TTL, device). So both must be without checks of
//! their own, or have equal ones: [`Facts::can_replace`].

#![forbid(unsafe_code)]

use super::room::Load;

/// The network protocol of the packet that is to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// An IPv4 packet, whatever the family of the socket that it was looked up for.
    Ipv4,
    /// An IPv6 packet.
    Ipv6,
}

/// What a decision needs to know of one listener, read at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whether it is listening.
    pub listening: bool,
    /// How full it is.
    pub load: Load,
    /// How many connections it is to have waiting, compared with others; not 0.
    pub weight: u32,
    /// Whether its program has accepted a connection and not looked for another one since.
    pub busy: bool,
    /// Whether it has not accepted for too long although connections wait.
    pub stalled: bool,
    /// Whether it is about to stop.
    pub leaving: bool,
    /// The port that it is bound to, host byte order.
    pub port: u16,
    /// Index of the device that it is bound to, 0 for none.
    pub device: u32,
    /// `IP_MINTTL` and `IPV6_MINHOPCOUNT`, one byte each.
    pub min_ttl: u16,
    /// Whether it has TCP-MD5 or TCP-AO keys, a socket filter or an IPsec policy of its own.
    pub guarded: bool,
    /// Whether it is an IPv6 socket, whatever it serves.
    pub ipv6_socket: bool,
    /// Whether it serves IPv4 packets: an IPv4 socket, or an IPv6 one that is not confined to
    /// IPv6.
    pub serves_ipv4: bool,
    /// Whether it serves IPv6 packets.
    pub serves_ipv6: bool,
}

impl Default for Facts {
    /// A socket that serves nothing, of weight 1.
    fn default() -> Self {
        Self {
            listening: false,
            load: Load::default(),
            weight: 1,
            busy: false,
            stalled: false,
            leaving: false,
            port: 0,
            device: 0,
            min_ttl: 0,
            guarded: false,
            ipv6_socket: false,
            serves_ipv4: false,
            serves_ipv6: false,
        }
    }
}

/// How good a place a listener is for a connection; the smaller the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// It has a slot that is neither taken nor promised.
    Free,
    /// Its accept queue has room, but half-open requests have promised it.
    Promised,
    /// As `Free`, but it is stalled.
    StalledFree,
    /// As `Promised`, but it is stalled.
    StalledPromised,
}

impl Facts {
    /// Whether a connection that was looked up for `home` may be served by this listener.
    pub fn can_replace(&self, home: &Facts, family: Family) -> bool {
        let serves = match family {
            Family::Ipv4 => self.serves_ipv4,
            Family::Ipv6 => self.serves_ipv6,
        };
        self.listening
            && serves
            && !self.guarded
            && !home.guarded
            && self.port == home.port
            && self.device == home.device
            && self.min_ttl == home.min_ttl
    }

    /// What it has to offer to a new connection; nothing when it has no room or is leaving.
    pub fn place(&self) -> Option<Place> {
        if !self.listening || self.leaving {
            return None;
        }
        match (
            self.load.has_unpromised_room(),
            self.load.has_queue_room(),
            self.stalled,
        ) {
            (true, _, false) => Some(Place::Free),
            (false, true, false) => Some(Place::Promised),
            (true, _, true) => Some(Place::StalledFree),
            (false, true, true) => Some(Place::StalledPromised),
            (false, false, _) => None,
        }
    }

    /// Whether one more connection would wait for less here than there, each load divided by its
    /// weight ("shortest expected delay", as in the kernel's `ip_vs_sed.c`). What a program is busy
    /// with is waited for, too.
    pub fn is_less_loaded(&self, other: &Facts) -> bool {
        let cost = |facts: &Facts, weight: u32| {
            // At most (2^33 + 2) × 2^16 with a weight in its range.
            facts
                .load
                .waiting()
                .saturating_add(u64::from(facts.busy))
                .saturating_add(1)
                .saturating_mul(u64::from(weight))
        };
        cost(self, other.weight) < cost(other, self.weight)
    }

    /// Whether a connection that waits for another one can be given to it now. Promises do not
    /// count here: a connection that is there takes the slot.
    pub fn can_take(&self) -> bool {
        matches!(self.place(), Some(Place::Free | Place::Promised))
    }

    /// Whether it is to give a waiting connection to a member whose program has none: its own is
    /// busy. A connection that is about to be accepted stays.
    pub fn can_spare(&self) -> bool {
        self.busy && self.load.queued > 0 && !self.leaving
    }
}

/// Listeners for the tests of the decisions.
#[cfg(any(test, CONFIG_KUNIT = "y"))]
pub(super) mod samples {
    use super::*;

    /// One of port 80 that serves IPv4, and takes ten.
    pub(in super::super) fn listener(queued: u32, half_open: u32) -> Facts {
        Facts {
            listening: true,
            load: Load {
                queued,
                half_open,
                backlog: 9,
            },
            port: 80,
            serves_ipv4: true,
            ..Facts::default()
        }
    }

    pub(in super::super) fn stalled(facts: Facts) -> Facts {
        Facts {
            stalled: true,
            ..facts
        }
    }

    pub(in super::super) fn busy(facts: Facts) -> Facts {
        Facts {
            busy: true,
            ..facts
        }
    }
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(CONFIG_KUNIT = "y", kernel::macros::kunit_tests(service_group_facts))]
mod tests {
    use super::{samples::*, *};

    fn loaded(queued: u32, weight: u32) -> Facts {
        Facts {
            weight,
            ..listener(queued, 0)
        }
    }

    #[test]
    fn places() {
        let promised = Facts {
            load: Load {
                queued: 5,
                half_open: 5,
                backlog: 9,
            },
            ..loaded(0, 1)
        };
        let table = [
            (loaded(9, 1), Some(Place::Free)),
            (promised, Some(Place::Promised)),
            (loaded(10, 1), None),
            (stalled(loaded(9, 1)), Some(Place::StalledFree)),
            (stalled(promised), Some(Place::StalledPromised)),
            (stalled(loaded(10, 1)), None),
            (
                Facts {
                    leaving: true,
                    ..loaded(0, 1)
                },
                None,
            ),
            (Facts::default(), None),
        ];
        for (facts, place) in table {
            assert_eq!(facts.place(), place);
            assert_eq!(
                facts.can_take(),
                facts.place() < Some(Place::StalledFree) && place.is_some()
            );
        }
        assert!(Place::Free < Place::Promised);
        assert!(Place::Promised < Place::StalledFree);
        assert!(Place::StalledFree < Place::StalledPromised);
    }

    #[test]
    fn loads_are_compared_by_weight() {
        // (queued, weight) of both, and whether the first is less loaded.
        let table = [
            ((0, 1), (0, 1), false),
            ((0, 1), (1, 1), true),
            ((1, 1), (0, 1), false),
            ((0, 2), (0, 1), true),
            ((1, 2), (0, 1), false),
            ((2, 2), (1, 1), true),
            ((3, 4), (0, 1), false),
            ((2, 4), (0, 1), true),
            ((u32::MAX, 65535), (u32::MAX, 1), true),
        ];
        for ((queued, weight), (other, other_weight), less) in table {
            let facts = loaded(queued, weight);
            assert_eq!(facts.is_less_loaded(&loaded(other, other_weight)), less);
        }
    }

    #[test]
    fn a_busy_program_counts_as_one_more() {
        assert!(loaded(0, 1).is_less_loaded(&busy(loaded(0, 1))));
        assert!(!busy(loaded(0, 1)).is_less_loaded(&loaded(1, 1)));
        assert!(!loaded(1, 1).is_less_loaded(&busy(loaded(0, 1))));
    }

    #[test]
    fn only_a_busy_program_can_spare_what_waits() {
        let leaving = Facts {
            leaving: true,
            ..busy(loaded(1, 1))
        };
        assert!(busy(loaded(1, 1)).can_spare());
        assert!(!busy(loaded(0, 1)).can_spare());
        assert!(!loaded(1, 1).can_spare());
        assert!(!leaving.can_spare());
    }
}
