// SPDX-License-Identifier: GPL-2.0
//! What became of connections, and of the packets of cluster IPs: a list each, of
//! which the struct, its names and its texts are made. The lists come from the
//! netlink specification.

pub use super::counters_gen::{ClusterCounters, Counters};

/// Number of the first counter's attribute; the one before is padding.
pub(super) const FIRST: u16 = 2;

/// One counter of a member, a group or a cluster IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Its name, such as `redirected_in`.
    pub name: &'static str,
    /// What it counts, as a sentence without the full stop.
    pub text: &'static str,
    /// How many.
    pub value: u64,
}

/// Makes a struct of counters and its list from one table.
macro_rules! counters {
    ($(#[$attribute:meta])* $struct:ident, $($name:ident $text:literal;)*) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $struct {
            $(
                #[doc = concat!($text, ".")]
                pub $name: u64,
            )*
        }

        impl $struct {
            /// How many there are.
            pub const COUNT: usize = [$(stringify!($name)),*].len();

            /// All of them, in the kernel's order.
            pub fn list(&self) -> [Counter; Self::COUNT] {
                [$(Counter {
                    name: stringify!($name),
                    text: $text,
                    value: self.$name,
                }),*]
            }

            /// Sets the counter of this attribute; one that is not known is passed over.
            pub(super) fn set(&mut self, attribute: u16, value: u64) {
                let place = attribute.checked_sub(FIRST).map(usize::from);
                let mut fields: [&mut u64; Self::COUNT] = [$(&mut self.$name),*];
                if let Some(field) = place.and_then(|place| fields.get_mut(place)) {
                    **field = value;
                }
            }
        }
    };
}

pub(super) use counters;

impl ClusterCounters {
    /// Packets taken, whatever the reason.
    pub fn taken(&self) -> u64 {
        sum(&[self.owned, self.known, self.spilled_in])
    }

    /// Packets sent to other nodes, whatever the reason.
    pub fn sent(&self) -> u64 {
        sum(&[self.forwarded, self.second_chance, self.spilled_out])
    }

    /// Packets that no node got from here, though one was to.
    pub fn dropped(&self) -> u64 {
        sum(&[
            self.dropped_no_owner,
            self.dropped_spent,
            self.dropped_tunnel,
            self.dropped_malformed,
            self.dropped_unreachable,
            self.dropped_hop_limit,
            self.too_big,
        ])
    }
}

impl Counters {
    /// SYNs taken by the listener that the lookup found.
    pub fn taken_home(&self) -> u64 {
        sum(&[self.home, self.home_unpromised])
    }

    /// SYNs that a sibling took, whatever the reason.
    pub fn redirected_out(&self) -> u64 {
        sum(&[
            self.redirected_queue_full,
            self.redirected_promised,
            self.redirected_stalled,
            self.redirected_balanced,
            self.redirected_leaving,
        ])
    }

    /// SYNs that no member took: dropped, or answered with a reset.
    pub fn dropped(&self) -> u64 {
        sum(&[self.dropped_full, self.dropped_unfit, self.reset])
    }

    /// Complete connections that a sibling took over, whatever the reason.
    pub fn rescued_out(&self) -> u64 {
        sum(&[
            self.rescued_overflow,
            self.rescued_stalled,
            self.rescued_balanced,
            self.rescued_leaving,
        ])
    }
}

fn sum(counters: &[u64]) -> u64 {
    counters
        .iter()
        .fold(0, |sum, counter| sum.saturating_add(*counter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_set_their_counter_and_no_other() {
        let mut counters = Counters::default();
        for (value, attribute) in (0..=40).zip(0u16..) {
            counters.set(attribute, value);
        }
        let values: Vec<u64> = counters.list().iter().map(|c| c.value).collect();
        let expected: Vec<u64> = (2..).take(Counters::COUNT).collect();
        assert_eq!(values, expected);
    }

    #[test]
    fn sums_have_all_their_parts_and_do_not_wrap() {
        let mut counters = Counters::default();
        for (attribute, bit) in (FIRST..).zip(0..Counters::COUNT) {
            counters.set(attribute, 1 << bit);
        }
        assert_eq!(counters.taken_home(), 0b11);
        assert_eq!(counters.redirected_out(), 0b1111_1000);
        assert_eq!(counters.dropped(), 0b111 << 8);
        assert_eq!(counters.rescued_out(), 0b1111 << 12);
        assert_eq!(sum(&[u64::MAX, 1]), u64::MAX);
        let mut counters = ClusterCounters::default();
        for (attribute, bit) in (FIRST..).zip(0..ClusterCounters::COUNT) {
            counters.set(attribute, 1 << bit);
        }
        assert_eq!(counters.taken(), 0b11 | (1 << 16));
        assert_eq!(counters.sent(), (0b11 << 3) | (1 << 15));
        assert_eq!(counters.dropped(), (0b11_1111 << 7) | (1 << 17));
    }

    #[test]
    fn texts_are_parts_of_one_sentence() {
        let cluster = ClusterCounters::default().list();
        for counter in Counters::default().list().iter().chain(&cluster) {
            assert!(!counter.text.ends_with('.'), "{}", counter.text);
        }
    }
}
