// SPDX-License-Identifier: GPL-2.0

//! How full a listener is.
//!
//! Two numbers fill a listener: connections that wait to be accepted, and half-open requests that
//! will become such connections when the last packet of their handshake arrives. The kernel looks
//! at each alone; here both count, so that a handshake which was begun finds a slot when it ends.

#![forbid(unsafe_code)]

/// How full one listener is, read at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Connections in the accept queue (`sk_ack_backlog`).
    pub queued: u32,
    /// Request sockets that wait for the final ACK (`reqsk_queue_len()`).
    pub half_open: u32,
    /// What `listen()` asked for (`sk_max_ack_backlog`). Both the accept queue and the request
    /// queue take one more.
    pub backlog: u32,
}

impl Load {
    /// Connections and requests together, each of which occupies a slot.
    #[inline]
    pub const fn waiting(self) -> u64 {
        // Two 32-bit numbers cannot overflow a 64-bit sum.
        (self.queued as u64).wrapping_add(self.half_open as u64)
    }

    /// Whether a slot is neither taken nor promised to a half-open request.
    #[inline]
    pub const fn has_unpromised_room(self) -> bool {
        self.waiting() <= self.backlog as u64
    }

    /// Whether the accept queue takes another connection: `!sk_acceptq_is_full()`.
    #[inline]
    pub const fn has_queue_room(self) -> bool {
        self.queued <= self.backlog
    }

    /// Whether it takes another one behind so many that are on their way.
    #[inline]
    pub const fn has_queue_room_for(self, in_flight: u32) -> bool {
        self.queued.saturating_add(in_flight) <= self.backlog
    }

    /// How many connections the accept queue takes yet.
    #[inline]
    pub const fn queue_room(self) -> u32 {
        self.backlog.saturating_add(1).saturating_sub(self.queued)
    }

    /// How many connections are in the accept queue beyond what it takes.
    #[inline]
    pub const fn overflow(self) -> u32 {
        self.queued.saturating_sub(self.backlog.saturating_add(1))
    }
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(CONFIG_KUNIT = "y", kernel::macros::kunit_tests(service_group_room))]
mod tests {
    use super::*;

    #[test]
    fn edges() {
        // (queued, half-open, backlog) and what it means: unpromised room, queue room, overflow.
        let table = [
            ((0, 0, 0), (true, true, 0)),
            ((1, 0, 0), (false, false, 0)),
            ((2, 0, 0), (false, false, 1)),
            ((0, 1, 0), (false, true, 0)),
            ((127, 0, 128), (true, true, 0)),
            ((128, 0, 128), (true, true, 0)),
            ((129, 0, 128), (false, false, 0)),
            ((100, 28, 128), (true, true, 0)),
            ((100, 29, 128), (false, true, 0)),
            ((140, 0, 128), (false, false, 11)),
            ((u32::MAX, u32::MAX, u32::MAX), (false, true, 0)),
            ((0, 0, u32::MAX), (true, true, 0)),
        ];
        for ((queued, half_open, backlog), (unpromised, queue, overflow)) in table {
            let load = Load {
                queued,
                half_open,
                backlog,
            };
            assert_eq!(load.has_unpromised_room(), unpromised);
            assert_eq!(load.has_queue_room(), queue);
            assert_eq!(load.overflow(), overflow);
            // No backlog is as large as the last ones.
            assert!(backlog == u32::MAX || (load.queue_room() > 0) == queue);
        }
    }
}
