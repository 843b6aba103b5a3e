// SPDX-License-Identifier: GPL-2.0
//! What became of connections, and of the packets of cluster IPs: a list each, of
//! which the struct, its names and its texts are made.
//!
//! The lists have the order of the kernel's enums, and a test compares the two.

/// Number of the first counter's attribute; the one before is padding.
const FIRST: u16 = 2;

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

counters! {
    /// What became of connections: a member's own, or a group's totals.
    ///
    /// They only grow. A SYN is counted by the member that the lookup found,
    /// and, when it was redirected, by the sibling that took it as well.
    Counters,
    home "SYNs taken by the listener that the lookup found, with room for them";
    home_unpromised "SYNs taken by that listener although every slot was promised";
    redirected_in "SYNs taken for a sibling";
    redirected_queue_full "SYNs that a sibling took because the accept queue was full";
    redirected_promised "SYNs that a sibling took because the last slots were promised";
    redirected_stalled "SYNs that a sibling took because the member was stalled";
    redirected_balanced "SYNs that a sibling took because it was less loaded";
    redirected_leaving "SYNs that a sibling took because the member was leaving";
    dropped_full "SYNs dropped because no member had room";
    dropped_unfit "SYNs dropped because the members with room could not serve them";
    reset "SYNs answered with a reset because no member had room";
    rescued_in "Complete connections taken over from a sibling";
    rescued_overflow "Complete connections that a sibling took over because the queue overflowed";
    rescued_stalled "Complete connections that a sibling took over because the member was stalled";
    rescued_balanced "Complete connections that an idle sibling took over because the member was busy";
    rescued_leaving "Complete connections that a sibling took over because the member left";
    handed_in "Half-open requests taken over from a sibling that was leaving";
    handed_out "Half-open requests that a sibling took over because the member was leaving";
    accepted "Connections that the program accepted";
    stalls "How many times the member was found stalled";
    rewritten "Connections accepted with the member's address in place of the one asked for";
    spilled "SYNs given to another machine of the cluster because no member had room";
}

counters! {
    /// What became of the packets of a cluster IP on this machine. They only grow.
    ClusterCounters,
    owned "Packets taken, as their slot is this node's";
    known "Packets taken because their connection is here, though their slot is another node's";
    ignored "Packets left to the node that owns their slot, or to the director that is active";
    forwarded "Packets given to the node that owns their slot";
    second_chance "Packets of unknown connections given to nodes that may know them";
    second_chance_in "Packets that another node gave to this one for a second chance";
    silent "Packets of unknown connections not answered, as nodes that may know them have them as well";
    dropped_no_owner "Packets dropped because their slot has no owner";
    dropped_spent "Packets dropped because their second chance brought nothing";
    dropped_malformed "Packets dropped because they contradict themselves";
    dropped_unreachable "Packets dropped because there was no way to their node, or IPsec forbids it";
    dropped_hop_limit "Packets dropped as their sender allows no further hop; it was told";
    too_big "Packets dropped as too big for the way to their node; the sender was told";
    reassembled "Datagrams put together of fragments";
    answered "ARP requests and neighbour solicitations answered for the address";
    spilled_out "SYNs given to the node that their slot spills to, as no local member had room";
    spilled_in "SYNs taken as their slot spills to this node";
    dropped_tunnel "Packets in tunnels dropped, as no node sends such, or not by their device";
}

impl ClusterCounters {
    /// Packets taken, whatever the reason.
    pub fn taken(&self) -> u64 {
        sum(&[self.owned, self.known, self.spilled_in])
    }

    /// Packets sent to other nodes, whatever the reason.
    pub fn sent(&self) -> u64 {
        sum(&[self.forwarded, self.second_chance, self.spilled_out])
    }

    /// Packets that nobody got from here, though somebody was to.
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

    /// SYNs that nobody took: dropped, or answered with a reset.
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
    use super::super::numbers::of_header;
    use super::*;

    fn check(kind: &str, list: &[Counter]) {
        for (counter, number) in list.iter().zip(FIRST..) {
            let name = format!("A_{kind}_{}", counter.name.to_uppercase());
            assert_eq!(of_header(&name), Some(number), "{name}");
        }
        let count = u16::try_from(list.len()).unwrap_or(u16::MAX);
        let max = of_header(&format!("__A_{kind}_MAX"));
        assert_eq!(max, Some(FIRST + count));
    }

    #[test]
    fn the_lists_are_those_of_the_header() {
        check("COUNTERS", &Counters::default().list());
        check("CLUSTER_COUNTERS", &ClusterCounters::default().list());
    }

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
