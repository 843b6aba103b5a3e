// SPDX-License-Identifier: GPL-2.0
//! What became of connections: one list, of which the struct, its names and
//! its texts are made.
//!
//! The list has the order of the kernel's enum, and a test compares the two.

/// Number of the first counter's attribute; the one before is padding.
const FIRST: u16 = 2;

/// One counter of a member or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Its name, such as `redirected_in`.
    pub name: &'static str,
    /// What it counts, as a sentence without the full stop.
    pub text: &'static str,
    /// How many.
    pub value: u64,
}

/// Makes the struct and its list from one table.
macro_rules! counters {
    ($($name:ident $text:literal;)*) => {
        /// What became of connections: a member's own, or a group's totals.
        ///
        /// They only grow. A SYN is counted by the member that the lookup found,
        /// and, when it was redirected, by the sibling that took it as well.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $(
                #[doc = concat!($text, ".")]
                pub $name: u64,
            )*
        }

        impl Counters {
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

            fn fields(&mut self) -> [&mut u64; Self::COUNT] {
                [$(&mut self.$name),*]
            }
        }
    };
}

counters! {
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

    /// Sets the counter of this attribute; one that is not known is passed over.
    pub(super) fn set(&mut self, attribute: u16, value: u64) {
        let place = attribute.checked_sub(FIRST).map(usize::from);
        let field = place.and_then(|place| self.fields().into_iter().nth(place));
        if let Some(field) = field {
            *field = value;
        }
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

    #[test]
    fn the_list_is_that_of_the_header() {
        let counters = Counters::default();
        for (counter, number) in counters.list().iter().zip(FIRST..) {
            let name = format!("A_COUNTERS_{}", counter.name.to_uppercase());
            assert_eq!(of_header(&name), Some(number), "{name}");
        }
        let count = u16::try_from(Counters::COUNT).unwrap_or(u16::MAX);
        assert_eq!(of_header("__A_COUNTERS_MAX"), Some(FIRST + count));
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
    }

    #[test]
    fn texts_are_parts_of_one_sentence() {
        for counter in Counters::default().list() {
            assert!(!counter.text.ends_with('.'), "{}", counter.text);
        }
    }
}
