// SPDX-License-Identifier: GPL-2.0

//! Which member of a group takes a connection.
//!
//! The *home* listener is the one that the kernel's lookup found. It keeps what it has room for.
//! What it has no room for goes to a *sibling*: a member that could have been looked up in its
//! place, and of those with room the least loaded one.
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether it is listening.
    pub listening: bool,
    /// How full it is.
    pub load: Load,
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
}

/// Why the home listener did not keep a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its accept queue is full.
    QueueFull,
    /// Half-open requests have promised the last slots of its accept queue.
    Promised,
}

/// What becomes of a SYN; `K` is how the caller names a sibling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<K> {
    /// The home listener takes it.
    Home,
    /// The home listener takes it by the kernel's own rule, though every slot is promised.
    HomeUnpromised,
    /// This sibling takes it.
    Sibling(K, Reason),
    /// No member has room.
    DropFull,
    /// Members have room, but none of them can serve this connection.
    DropUnfit,
}

/// The least loaded sibling so far; the first met wins a tie.
struct Least<K>(Option<(K, u64)>);

impl<K: Copy> Least<K> {
    fn offer(&mut self, key: K, load: Load) {
        let waiting = load.waiting();
        if self.0.is_none_or(|(_, least)| waiting < least) {
            self.0 = Some((key, waiting));
        }
    }

    fn key(&self) -> Option<K> {
        self.0.map(|(key, _)| key)
    }
}

/// Decides who takes a SYN that was looked up for `home`.
///
/// 1. The home listener, if it has a slot that is neither taken nor promised.
/// 2. Else the least loaded sibling that has one.
/// 3. Else promises fill every member, which a SYN flood can bring about. Then the kernel's own
///    rule decides, the accept queue alone: the home listener, else the least loaded sibling, so
///    that a flood gets no worse than it is without a group.
/// 4. Else it is dropped.
///
/// `siblings` gives a key and the facts of each other member. It is not read when the home
/// listener has room. Where two are loaded alike the first one is taken, so the caller should not
/// begin with the same one each time.
pub fn choose<K: Copy>(
    home: &Facts,
    family: Family,
    siblings: impl Iterator<Item = (K, Facts)>,
) -> Decision<K> {
    if home.load.has_unpromised_room() {
        return Decision::Home;
    }

    let mut unpromised = Least(None);
    let mut queue = Least(None);
    let mut unfit = false;
    for (key, sibling) in siblings {
        if !sibling.listening || !sibling.load.has_queue_room() {
            continue;
        }
        if !sibling.can_replace(home, family) {
            unfit = true;
            continue;
        }
        queue.offer(key, sibling.load);
        if sibling.load.has_unpromised_room() {
            unpromised.offer(key, sibling.load);
        }
    }

    let reason = if home.load.has_queue_room() {
        Reason::Promised
    } else {
        Reason::QueueFull
    };
    match (unpromised.key(), reason, queue.key()) {
        (Some(key), _, _) => Decision::Sibling(key, reason),
        (None, Reason::Promised, _) => Decision::HomeUnpromised,
        (None, Reason::QueueFull, Some(key)) => Decision::Sibling(key, reason),
        (None, Reason::QueueFull, None) if unfit => Decision::DropUnfit,
        (None, Reason::QueueFull, None) => Decision::DropFull,
    }
}

/// Decides which sibling takes a complete connection off a home listener that is to give it up:
/// the least loaded one whose accept queue has room, if there is one.
///
/// `owed` connections are on their way already, and the sibling must have room for them as well.
///
/// It must be of the home listener's family: a connection's socket is of the family of the
/// listener that it was made of, and must be of that of the listener that it is accepted from.
pub fn choose_rescuer<K: Copy>(
    home: &Facts,
    family: Family,
    owed: u32,
    siblings: impl Iterator<Item = (K, Facts)>,
) -> Option<K> {
    let mut least = Least(None);
    for (key, sibling) in siblings {
        if sibling.load.has_queue_room_for(owed)
            && sibling.ipv6_socket == home.ipv6_socket
            && sibling.can_replace(home, family)
        {
            least.offer(key, sibling.load);
        }
    }
    least.key()
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(CONFIG_KUNIT = "y", kernel::macros::kunit_tests(service_group_select))]
mod tests {
    use super::*;

    fn listener(queued: u32, half_open: u32) -> Facts {
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

    fn decide(home: Facts, siblings: &[Facts]) -> Decision<usize> {
        choose(&home, Family::Ipv4, siblings.iter().copied().enumerate())
    }

    #[test]
    fn home_keeps_what_it_has_room_for() {
        assert_eq!(decide(listener(0, 0), &[listener(0, 0)]), Decision::Home);
        assert_eq!(decide(listener(9, 0), &[listener(0, 0)]), Decision::Home);
        assert_eq!(decide(listener(0, 9), &[]), Decision::Home);
    }

    #[test]
    fn full_home_goes_to_the_least_loaded() {
        let siblings = [
            listener(5, 0),
            listener(1, 1),
            listener(0, 3),
            listener(2, 0),
        ];
        assert_eq!(
            decide(listener(10, 0), &siblings),
            Decision::Sibling(1, Reason::QueueFull)
        );
        assert_eq!(
            decide(listener(4, 6), &siblings),
            Decision::Sibling(1, Reason::Promised)
        );
    }

    #[test]
    fn promises_everywhere_leave_it_to_the_kernel() {
        assert_eq!(
            decide(listener(9, 5), &[listener(5, 5)]),
            Decision::HomeUnpromised
        );
        assert_eq!(
            decide(listener(10, 0), &[listener(9, 9), listener(5, 5)]),
            Decision::Sibling(1, Reason::QueueFull)
        );
    }

    #[test]
    fn all_full_is_dropped() {
        assert_eq!(decide(listener(10, 0), &[]), Decision::DropFull);
        assert_eq!(
            decide(listener(10, 0), &[listener(10, 0)]),
            Decision::DropFull
        );
    }

    #[test]
    fn unfit_siblings_are_passed_over() {
        let fit = listener(0, 0);
        let unfit = [
            Facts { port: 81, ..fit },
            Facts { device: 1, ..fit },
            Facts {
                min_ttl: 255,
                ..fit
            },
            Facts {
                guarded: true,
                ..fit
            },
            Facts {
                serves_ipv4: false,
                serves_ipv6: true,
                ..fit
            },
        ];
        assert_eq!(decide(listener(10, 0), &unfit), Decision::DropUnfit);
        let closed = Facts {
            listening: false,
            ..fit
        };
        assert_eq!(decide(listener(10, 0), &[closed]), Decision::DropFull);
        let guarded_home = Facts {
            guarded: true,
            ..listener(10, 0)
        };
        assert_eq!(decide(guarded_home, &[fit]), Decision::DropUnfit);
    }

    #[test]
    fn rescuer_needs_room_in_its_queue_only() {
        let home = listener(11, 0);
        let rescuer = |siblings: &[Facts]| {
            choose_rescuer(&home, Family::Ipv4, 0, siblings.iter().copied().enumerate())
        };
        assert_eq!(rescuer(&[]), None);
        assert_eq!(rescuer(&[listener(10, 0)]), None);
        assert_eq!(
            rescuer(&[listener(10, 0), listener(9, 9), listener(8, 0)]),
            Some(2)
        );
        let all = [listener(8, 0)].into_iter().enumerate();
        assert_eq!(choose_rescuer(&home, Family::Ipv4, 1, all.clone()), Some(0));
        assert_eq!(choose_rescuer(&home, Family::Ipv4, 2, all), None);
        let mapped = Facts {
            ipv6_socket: true,
            ..listener(0, 0)
        };
        assert_eq!(rescuer(&[mapped]), None);
    }
}
