// SPDX-License-Identifier: GPL-2.0

//! What decisions need to know of a listener.
//!
//! A redirected connection has passed the checks of its home listener only, and its SYN-ACK is routed
//! as the sibling's. So a sibling takes one if all that the kernel asks of a listener there is known
//! to be equal, or absent at both: [`Facts::difference`].

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
    /// Whether one of its connections is left to its program, which was told of it.
    pub promised: bool,
    /// Whether it is about to stop.
    pub leaving: bool,
    /// The port that it is bound to, host byte order.
    pub port: u16,
    /// Index of the device that it is bound to, 0 for none.
    pub device: u32,
    /// `IP_MINTTL` and `IPV6_MINHOPCOUNT`, one byte each.
    pub min_ttl: u16,
    /// Its mark, by which the SYN-ACK is routed.
    pub mark: u32,
    /// Its TOS, likewise.
    pub tos: u8,
    /// What else the SYN-ACK's route asks: `IP_TRANSPARENT`, `SO_DONTROUTE`.
    pub route: u8,
    /// Which programs of its cgroup see its packets; 0 for none.
    pub programs: u64,
    /// Whether it has TCP-MD5 or TCP-AO keys, a socket filter, an IPsec policy, a PSP association or
    /// sticky options of IPv6.
    pub has_rx_policy: bool,
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
            promised: false,
            leaving: false,
            port: 0,
            device: 0,
            min_ttl: 0,
            mark: 0,
            tos: 0,
            route: 0,
            programs: 0,
            has_rx_policy: false,
            ipv6_socket: false,
            serves_ipv4: false,
            serves_ipv6: false,
        }
    }
}

/// What the kernel asks of a listener, and two listeners do not have alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// One of them has checks of its own: keys, a filter, a policy.
    OwnChecks,
    /// Minimum TTL or hop count.
    MinTtl,
    /// The device.
    Device,
    /// The mark.
    Mark,
    /// The TOS.
    Tos,
    /// `IP_TRANSPARENT`, `SO_DONTROUTE`.
    Route,
    /// The programs of their cgroups.
    Programs,
}

/// How good a listener is for a connection, the best tier first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
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
        self.listening && serves && self.port == home.port && self.difference(home).is_none()
    }

    /// What a connection of the one would pass by at the other. Which kernel function asks for what is
    /// told in `sys/socket/sock.c`.
    pub fn difference(&self, other: &Facts) -> Option<Difference> {
        [
            (
                self.has_rx_policy || other.has_rx_policy,
                Difference::OwnChecks,
            ),
            (self.min_ttl != other.min_ttl, Difference::MinTtl),
            (self.device != other.device, Difference::Device),
            (self.mark != other.mark, Difference::Mark),
            (self.tos != other.tos, Difference::Tos),
            (self.route != other.route, Difference::Route),
            (self.programs != other.programs, Difference::Programs),
        ]
        .into_iter()
        .find_map(|(differs, what)| differs.then_some(what))
    }

    /// What it has to offer to a new connection; nothing when it has no room or is leaving.
    pub fn tier(&self) -> Option<Tier> {
        if !self.listening || self.leaving {
            return None;
        }
        match (
            self.load.has_unpromised_room(),
            self.load.has_queue_room(),
            self.stalled,
        ) {
            (true, _, false) => Some(Tier::Free),
            (false, true, false) => Some(Tier::Promised),
            (true, _, true) => Some(Tier::StalledFree),
            (false, true, true) => Some(Tier::StalledPromised),
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
        matches!(self.tier(), Some(Tier::Free | Tier::Promised))
    }

    /// How many of its connections a sibling may be given.
    pub fn spare(&self) -> u32 {
        match self.leaving {
            true => 0,
            false => self.load.queued.saturating_sub(u32::from(self.promised)),
        }
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
            (loaded(9, 1), Some(Tier::Free)),
            (promised, Some(Tier::Promised)),
            (loaded(10, 1), None),
            (stalled(loaded(9, 1)), Some(Tier::StalledFree)),
            (stalled(promised), Some(Tier::StalledPromised)),
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
        for (facts, tier) in table {
            assert_eq!(facts.tier(), tier);
            assert_eq!(
                facts.can_take(),
                facts.tier() < Some(Tier::StalledFree) && tier.is_some()
            );
        }
        assert!(Tier::Free < Tier::Promised);
        assert!(Tier::Promised < Tier::StalledFree);
        assert!(Tier::StalledFree < Tier::StalledPromised);
    }

    #[test]
    fn each_difference_keeps_a_connection_away() {
        let home = listener(0, 0);
        let table = [
            (home, None),
            (
                Facts {
                    has_rx_policy: true,
                    ..home
                },
                Some(Difference::OwnChecks),
            ),
            (Facts { min_ttl: 1, ..home }, Some(Difference::MinTtl)),
            (Facts { device: 1, ..home }, Some(Difference::Device)),
            (Facts { mark: 1, ..home }, Some(Difference::Mark)),
            (Facts { tos: 1, ..home }, Some(Difference::Tos)),
            (Facts { route: 1, ..home }, Some(Difference::Route)),
            (
                Facts {
                    programs: 1,
                    ..home
                },
                Some(Difference::Programs),
            ),
        ];
        for (facts, difference) in table {
            assert_eq!(facts.difference(&home), difference);
            assert_eq!(home.difference(&facts), difference);
            assert_eq!(facts.can_replace(&home, Family::Ipv4), difference.is_none());
            // Equal at both is no difference, but for what cannot be shared.
            assert_eq!(facts.difference(&facts).is_some(), facts.has_rx_policy);
        }
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
    fn what_was_promised_is_not_spare() {
        let promised = |facts| Facts {
            promised: true,
            ..facts
        };
        let leaving = Facts {
            leaving: true,
            ..loaded(1, 1)
        };
        assert_eq!(loaded(2, 1).spare(), 2);
        assert_eq!(promised(loaded(2, 1)).spare(), 1);
        assert_eq!(promised(loaded(1, 1)).spare(), 0);
        assert_eq!(promised(loaded(0, 1)).spare(), 0);
        assert_eq!(leaving.spare(), 0);
    }
}
