// SPDX-License-Identifier: GPL-2.0

//! Connections that conntrack knows, as that of a service behind NAT (a container, a pod), which has
//! no socket on the node.
//!
//! An entry outlives its connection by as much as five days, and a client may use its port anew, with
//! another node. So an entry is believed only if the packet fits what it has seen of the sequence
//! numbers. Conntrack itself would take a packet that does not fit for an invalid one, which is not
//! translated, and the node would reset it.

#![forbid(unsafe_code)]

/// `enum tcp_conntrack`: the handshake has begun.
const SYN_SENT: u8 = 1;
/// The service has answered.
const SYN_RECV: u8 = 2;
/// Both have ended it, and something may still be on its way. What comes then is closed.
const TIME_WAIT: u8 = 7;

/// How far a packet may be from what was seen, besides the window: as far as conntrack lets
/// acknowledgements be (`MAXACKWINCONST`), which is more than a merged packet is long.
const SLACK: u32 = 66_000;

/// One end of a connection, as its packets have told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The sequence number behind all that it has sent.
    pub next: u32,
    /// The widest window that it has announced, bytes; 0 if that is not known.
    pub window: u32,
}

/// What conntrack knows of a TCP flow whose first packet was the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// Whether its packets are sent to another address or port than what they came for (DNAT).
    pub translated: bool,
    /// Whether the service has sent something.
    pub answered: bool,
    /// Whether sequence numbers are not followed, as when packets pass by conntrack (flowtables), or
    /// are changed on the way (SYN proxies).
    pub liberal: bool,
    /// `enum tcp_conntrack`.
    pub state: u8,
    /// The end that began it.
    pub client: End,
    /// The end that was reached.
    pub server: End,
}

/// What a TCP segment of the client says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Whether it is a SYN without ACK.
    pub begins: bool,
    /// Its first byte's.
    pub sequence: u32,
    /// The next byte's that it waits for; none without ACK.
    pub acknowledged: Option<u32>,
}

impl Tracked {
    /// Whether this machine has the connection of a segment; or, if there is none, of an ICMP error.
    pub fn has(&self, segment: Option<&Segment>) -> bool {
        self.translated
            && match segment {
                Some(segment) if segment.begins => self.has_begun_with(segment),
                Some(segment) => self.is_there() && self.fits(segment),
                None => self.is_there(),
            }
    }

    /// Whether there is a connection. Conntrack makes an entry of any packet (`nf_conntrack_tcp_loose`),
    /// also of one that was never answered here.
    fn is_there(&self) -> bool {
        self.answered && (SYN_RECV..=TIME_WAIT).contains(&self.state)
    }

    /// Whether it is the SYN that the connection began with, once more.
    fn has_begun_with(&self, syn: &Segment) -> bool {
        matches!(self.state, SYN_SENT | SYN_RECV)
            && self.client.next == syn.sequence.wrapping_add(1)
    }

    fn fits(&self, segment: &Segment) -> bool {
        let is_followed = !self.liberal && self.client.window != 0 && self.server.window != 0;
        !is_followed
            || is_near(segment.sequence, self.client.next, self.server.window)
                && segment.acknowledged.is_none_or(|acknowledged| {
                    is_near(acknowledged, self.server.next, self.client.window)
                })
    }
}

/// Whether a sequence number is not farther from what was seen than the window allows.
fn is_near(number: u32, seen: u32, window: u32) -> bool {
    let (ahead, behind) = (number.wrapping_sub(seen), seen.wrapping_sub(number));
    ahead.min(behind) <= window.saturating_add(SLACK)
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_cluster_tracked)
)]
mod tests {
    use super::*;

    const ESTABLISHED: u8 = 3;
    const CLOSE: u8 = 8;

    const KNOWN: Tracked = Tracked {
        translated: true,
        answered: true,
        liberal: false,
        state: ESTABLISHED,
        client: End {
            next: 1000,
            window: 64_000,
        },
        server: End {
            next: 0xffff_ff00,
            window: 30_000,
        },
    };

    const fn data(sequence: u32, acknowledged: u32) -> Segment {
        Segment {
            begins: false,
            sequence,
            acknowledged: Some(acknowledged),
        }
    }

    #[test]
    fn states() {
        for (state, begun, there) in [
            (0, false, false),
            (SYN_SENT, true, false),
            (SYN_RECV, true, true),
            (ESTABLISHED, false, true),
            (4, false, true),
            (TIME_WAIT, false, true),
            (CLOSE, false, false),
            (9, false, false),
            (255, false, false),
        ] {
            let tracked = Tracked { state, ..KNOWN };
            let syn = Segment {
                begins: true,
                sequence: 999,
                acknowledged: None,
            };
            assert_eq!(tracked.has(Some(&syn)), begun);
            assert_eq!(tracked.has(Some(&data(1000, 0xffff_ff00))), there);
            assert_eq!(tracked.has(None), there);
            let other = Segment {
                sequence: 1000,
                ..syn
            };
            assert!(!tracked.has(Some(&other)));
        }
    }

    #[test]
    fn what_was_not_answered_has_only_begun() {
        let syn = Segment {
            begins: true,
            sequence: 999,
            acknowledged: None,
        };
        let tracked = Tracked {
            answered: false,
            ..KNOWN
        };
        assert!(!tracked.has(Some(&data(1000, 0xffff_ff00))));
        assert!(!tracked.has(None));
        let tracked = Tracked {
            state: SYN_SENT,
            ..tracked
        };
        assert!(tracked.has(Some(&syn)));
        assert!(!tracked.has(Some(&data(1000, 0xffff_ff00))));
    }

    #[test]
    fn what_is_not_translated_has_a_socket_or_nothing() {
        let tracked = Tracked {
            translated: false,
            ..KNOWN
        };
        assert!(!tracked.has(Some(&data(1000, 0xffff_ff00))));
        assert!(!tracked.has(None));
    }

    #[test]
    fn sequence_numbers() {
        let server = KNOWN.server.next;
        let (most, most_back) = (30_000 + SLACK, 64_000 + SLACK);
        let client = KNOWN.client.next;
        for (sequence, acknowledged, expected) in [
            (client, server, true),
            (client.wrapping_add(most), server, true),
            (client.wrapping_add(most + 1), server, false),
            (client.wrapping_sub(most), server, true),
            (client.wrapping_sub(most + 1), server, false),
            (0x8000_0000, server, false),
            (1000, server.wrapping_add(most_back), true),
            (1000, server.wrapping_add(most_back + 1), false),
            (1000, server.wrapping_sub(most_back), true),
            (1000, server.wrapping_sub(most_back + 1), false),
        ] {
            let segment = data(sequence, acknowledged);
            assert_eq!(KNOWN.has(Some(&segment)), expected);
            let reset = Segment {
                acknowledged: None,
                ..segment
            };
            assert_eq!(KNOWN.has(Some(&reset)), expected || acknowledged != server);
        }
    }

    #[test]
    fn without_sequence_numbers_the_entry_is_believed() {
        let far = data(0x8000_0000, 0x8000_0000);
        let mut tracked = KNOWN;
        assert!(!tracked.has(Some(&far)));
        tracked.liberal = true;
        assert!(tracked.has(Some(&far)));
        tracked = KNOWN;
        tracked.client.window = 0;
        assert!(tracked.has(Some(&far)));
        tracked = KNOWN;
        tracked.server.window = 0;
        assert!(tracked.has(Some(&far)));
        tracked.state = CLOSE;
        assert!(!tracked.has(Some(&far)));
    }
}
