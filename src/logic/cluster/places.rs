// SPDX-License-Identifier: GPL-2.0

//! Some of the cluster IPs of a namespace, told by their places in the order of all.

#![forbid(unsafe_code)]

/// A set of places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places([u64; Places::WORDS]);

impl Places {
    const WORDS: usize = 4;

    /// From this one on there is none.
    pub const MOST: usize = 256;

    /// One more. What is beyond the last place is left out.
    pub fn add(&mut self, place: usize) {
        let first = Self::below(place);
        let behind = Self::below(place.saturating_add(1));
        for (word, (low, high)) in self.0.iter_mut().zip(first.into_iter().zip(behind)) {
            *word |= high & !low;
        }
    }

    /// Whether any of `len` places from `begin` on is in it.
    pub fn has_any(&self, begin: usize, len: usize) -> bool {
        let first = Self::below(begin);
        let behind = Self::below(begin.saturating_add(len));
        let wanted = first.into_iter().zip(behind).map(|(low, high)| high & !low);
        self.0
            .iter()
            .zip(wanted)
            .any(|(word, wanted)| word & wanted != 0)
    }

    /// All places before this one.
    fn below(place: usize) -> [u64; Self::WORDS] {
        [0, 64, 128, 192].map(|first: usize| {
            let bits = u32::try_from(place.saturating_sub(first)).unwrap_or(u32::MAX);
            !u64::MAX.checked_shl(bits).unwrap_or(0)
        })
    }
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_cluster_places)
)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_in_the_ranges_around_it() {
        for place in 0..Places::MOST {
            let mut places = Places::default();
            places.add(place);
            let before = place.saturating_sub(3);
            let distance = place.saturating_sub(before);
            let next = place.saturating_add(1);
            assert!(places.has_any(place, 1));
            assert!(places.has_any(0, Places::MOST));
            assert!(places.has_any(before, distance.saturating_add(1)));
            assert!(!places.has_any(before, distance));
            assert!(!places.has_any(place, 0));
            assert!(!places.has_any(next, Places::MOST));
            assert!(!places.has_any(next, usize::MAX));
        }
    }

    #[test]
    fn none_is_in_an_empty_set_or_beyond_the_last_one() {
        let mut places = Places::default();
        assert!(!places.has_any(0, usize::MAX));
        places.add(Places::MOST);
        places.add(usize::MAX);
        assert_eq!(places, Places::default());
    }

    #[test]
    fn several_are_kept() {
        let mut places = Places::default();
        for place in [0, 63, 64, 255] {
            places.add(place);
        }
        for (begin, len, expected) in [
            (0, 1, true),
            (1, 62, false),
            (1, 63, true),
            (65, 190, false),
            (65, 191, true),
        ] {
            assert_eq!(places.has_any(begin, len), expected);
        }
    }
}
