// SPDX-License-Identifier: GPL-2.0

//! Tests of the state of a link, on the host and under KUnit.

#![forbid(unsafe_code)]

#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_links_liveness)
)]
mod tests {
    use super::super::*;

    const HEARTBEAT: u64 = 100 * NS_OF_MS;

    /// In milliseconds.
    fn at(ms: u64) -> u64 {
        ms.saturating_mul(NS_OF_MS)
    }

    fn said(hears_us: u32, ready: bool) -> Said {
        Said {
            hears_us,
            ready,
            away: false,
            echo: 0,
        }
    }

    /// One that is up since then.
    fn up(ms: u64) -> Peer {
        let mut peer = Peer::expected(at(ms), HEARTBEAT);
        peer.linked(at(ms));
        assert!(peer.heard(at(ms), said(0, true)));
        assert_eq!((peer.state(), peer.is_away()), (State::Up, false));
        peer
    }

    /// Who is heard again is told so before it counts as up.
    #[test]
    fn who_will_be_held_back() {
        let mut peer = up(0);
        assert!(!peer.is_held());
        assert!(peer.tick(at(301)) && peer.is_held());
        assert!(peer.heard(at(310), said(0, true)) && peer.is_held());
        assert!(peer.tick(at(410)) && !peer.is_held());
        // The next time for twice as long, also by a new link.
        assert!(peer.lost(at(500)) && peer.is_held());
        peer.linked(at(510));
        assert!(peer.is_held());
        assert!(peer.heard(at(520), said(0, true)) && peer.is_held());
        peer.tick(at(719));
        assert!(peer.is_held());
        assert!(peer.tick(at(720)) && !peer.is_held());
    }

    #[test]
    fn silence() {
        // For how long, what the peer is then, and whether that is news.
        for (ms, state) in [
            (0, State::Up),
            (300, State::Up),
            (301, State::Suspect),
            (1_000, State::Suspect),
            (1_001, State::Unreachable),
            (u64::MAX, State::Unreachable),
        ] {
            let mut peer = up(5);
            let now = at(ms).saturating_add(at(5));
            assert_eq!(peer.tick(now), state != State::Up);
            assert_eq!(peer.state(), state);
            assert_eq!(peer.is_away(), state != State::Up);
            assert!(!peer.tick(now));
            assert_eq!(peer.since(), if state == State::Up { at(5) } else { now });
        }
        // A clock that is behind is no silence.
        assert!(!up(5).tick(0));
    }

    #[test]
    fn before_the_first_link() {
        let mut peer = Peer::expected(at(0), HEARTBEAT);
        assert!(!peer.tick(at(1_000)));
        // There is nobody to say anything.
        assert!(!peer.heard(at(1_000), said(0, false)) && !peer.lost(at(1_000)));
        assert_eq!((peer.state(), peer.is_away()), (State::None, false));
        assert!(peer.tick(at(1_001)));
        assert_eq!((peer.state(), peer.is_away()), (State::Unreachable, true));
        assert_eq!(peer.last_heard(), None);
        // It was not up, and so it is not held back.
        assert!(!peer.linked(at(1_500)) && peer.is_away());
        assert!(peer.heard(at(1_500), said(0, true)) && !peer.is_away());
        assert_eq!(peer.last_heard(), Some(at(1_500)));
    }

    #[test]
    fn a_lost_link() {
        let mut peer = up(0);
        assert!(peer.lost(at(50)));
        assert_eq!(peer.state(), State::Unreachable);
        assert!(!peer.heard(at(60), said(0, true)) && !peer.lost(at(60)));
        assert!(!peer.linked(at(70)) && peer.heard(at(80), said(0, true)));
        assert_eq!(peer.held_until(), Some(at(180)));
        assert!(peer.is_away() && !peer.tick(at(179)));
        assert!(peer.tick(at(180)) && !peer.is_away());
    }

    #[test]
    fn who_does_not_hear_this_machine() {
        let mut peer = up(0);
        assert!(!peer.heard(at(100), said(300, true)));
        assert!(peer.heard(at(200), said(301, true)));
        assert_eq!((peer.state(), peer.is_away()), (State::Suspect, true));
        assert!(!peer.heard(at(300), said(u32::MAX, true)));
        assert!(peer.heard(at(400), said(300, true)));
        assert_eq!(peer.state(), State::Up);
    }

    #[test]
    fn who_is_not_ready() {
        let mut peer = up(0);
        assert!(peer.heard(at(10), said(0, false)));
        assert_eq!((peer.state(), peer.is_away()), (State::Up, true));
        assert!(!peer.is_ready());
        // That is no fault.
        assert!(peer.heard(at(20), said(0, true)) && !peer.is_away());
    }

    #[test]
    fn faults_hold_back_for_twice_as_long() {
        let mut peer = up(0);
        let mut now = at(0);
        for expected in [
            100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 60_000, 60_000,
        ] {
            now = now.saturating_add(at(1));
            peer.lost(now);
            peer.linked(now);
            peer.heard(now, said(0, true));
            assert_eq!(peer.held_until(), Some(now.saturating_add(at(expected))));
        }
        // It is up, and heard of all the time.
        let back = now.saturating_add(at(60_000));
        peer.heard(back.saturating_sub(1), said(0, true));
        assert!(peer.is_away());
        assert!(peer.heard(back, said(0, true)) && !peer.is_away());
        peer.lost(back);
        peer.linked(back);
        peer.heard(back, said(0, true));
        assert_eq!(peer.held_until(), Some(back.saturating_add(HEARTBEAT)));
    }

    #[test]
    fn a_minute_without_one_nanosecond_forgets_nothing() {
        for (good, expected) in [(60_000, 100), (59_999, 200)] {
            let mut peer = up(0);
            peer.lost(at(0));
            peer.linked(at(0));
            peer.heard(at(0), said(0, true));
            peer.lost(at(good));
            peer.linked(at(70_000));
            peer.heard(at(70_000), said(0, true));
            let until = at(70_000).saturating_add(at(expected));
            assert_eq!(peer.held_until(), Some(until));
        }
    }

    #[test]
    fn slower_heartbeats() {
        let mut peer = up(0);
        peer.set_heartbeat(HEARTBEAT.saturating_mul(2));
        assert!(!peer.tick(at(600)));
        assert!(peer.tick(at(601)));
        assert_eq!(peer.state(), State::Suspect);
    }

    #[test]
    fn assurance() {
        // When that was sent which the peer has heard, whether this machine is away for it, and until
        // when it is not.
        for (echo, away, expected) in [
            (950, false, 1_250),
            (700, false, 1_000),
            (5_000, false, 1_300),
            (0, false, 0),
            (950, true, 0),
        ] {
            let mut peer = up(0);
            let said = Said {
                away,
                echo: at(echo),
                ..said(0, true)
            };
            peer.heard(at(1_000), said);
            assert_eq!(peer.assured_until(), at(expected));
            // This machine takes the peer to be away.
            let mut silent = peer;
            silent.tick(at(1_301));
            assert_eq!(silent.assured_until(), 0);
            // What was said on another link does not count.
            assert!(!peer.linked(at(1_100)));
            assert_eq!((peer.state(), peer.assured_until()), (State::Up, 0));
        }
        assert_eq!(Peer::expected(at(0), HEARTBEAT).assured_until(), 0);
    }

    #[test]
    fn a_link_that_this_machine_ends() {
        let mut peer = up(0);
        assert!(peer.closed(at(50)));
        assert_eq!((peer.state(), peer.is_away()), (State::Unreachable, false));
        assert!(!peer.tick(at(300)) && peer.tick(at(301)) && peer.is_away());
        // One that was away stays away.
        let mut peer = up(0);
        peer.heard(at(10), said(0, false));
        assert!(peer.closed(at(50)) && peer.is_away());
        let mut peer = up(0);
        peer.tick(at(400));
        assert!(peer.closed(at(500)) && peer.is_away());
        // Held back as soon as it is up again.
        let mut peer = up(0);
        peer.closed(at(50));
        assert!(!peer.linked(at(60)) && !peer.is_away());
        assert!(peer.heard(at(70), said(0, true)) && peer.is_away());
    }
}
