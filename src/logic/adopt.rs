// SPDX-License-Identifier: GPL-2.0

//! For how long the place of a member that has ended is kept for its successor.
//!
//! A listener that takes the place of a member, as after a reload of its program, becomes a member
//! itself: while another one is there, or for the group's adopt time after the last one has ended.

#![forbid(unsafe_code)]

/// What makes a listener one of several that can stand for each other: the kernel puts listeners
/// that have this alike into one reuseport set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// `AF_INET` or `AF_INET6`.
    pub family: u16,
    /// Host byte order.
    pub port: u16,
    /// Index of the device that it is bound to, 0 for none.
    pub device: u32,
    /// Network byte order; an IPv4 address has four bytes.
    pub address: [u8; 16],
    /// Whether it serves IPv4 packets: unlike an IPv6 listener that is confined to IPv6.
    pub serves_ipv4: bool,
}

/// Of so many members that have ended, all at different addresses, the places are kept.
pub const MAX_PLACES: usize = 64;

/// What a successor has from the member whose place it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// The owner, which is to be the same.
    pub uid: u32,
    pub weight: u32,
}

/// The place of a member that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vacancy {
    pub place: Place,
    pub holder: Holder,
    /// When it ended, in nanoseconds.
    pub since: u64,
}

impl Vacancy {
    /// For how many nanoseconds it is kept still, if it is, with an adopt time of `keep` nanoseconds.
    pub fn left(&self, now: u64, keep: u64) -> Option<u64> {
        match keep.saturating_sub(now.saturating_sub(self.since)) {
            0 => None,
            left => Some(left),
        }
    }
}

/// Where in the list a vacancy is to be put: over one of the same place, or over the oldest if there are
/// [`MAX_PLACES`]; `None` if it is to be added.
pub fn slot_for(vacancies: &[Vacancy], place: &Place) -> Option<usize> {
    let same = vacancies.iter().position(|vacancy| vacancy.place == *place);
    let oldest = || {
        let by_age = vacancies.iter().enumerate();
        by_age.min_by_key(|(_, vacancy)| vacancy.since)
    };
    match same {
        None if vacancies.len() >= MAX_PLACES => oldest().map(|(index, _)| index),
        same => same,
    }
}

/// Whose place this was, if the place is kept still.
pub fn holder_of(vacancies: &[Vacancy], place: &Place, now: u64, keep: u64) -> Option<Holder> {
    vacancies
        .iter()
        .find(|vacancy| vacancy.place == *place && vacancy.left(now, keep).is_some())
        .map(|vacancy| vacancy.holder)
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(CONFIG_KUNIT = "y", kernel::macros::kunit_tests(service_group_adopt))]
mod tests {
    use super::*;

    fn holder(port: u16) -> Holder {
        Holder {
            uid: 1000,
            weight: u32::from(port),
        }
    }

    fn vacancy(port: u16, since: u64) -> Vacancy {
        Vacancy {
            place: Place {
                port,
                ..Place::default()
            },
            holder: holder(port),
            since,
        }
    }

    #[test]
    fn it_is_kept_for_the_adopt_time() {
        // (since, now, keep) and how long is left.
        let table = [
            ((100, 100, 10), Some(10)),
            ((100, 109, 10), Some(1)),
            ((100, 110, 10), None),
            ((100, u64::MAX, 10), None),
            ((100, 100, 0), None),
            // The clock of another processor may be a tick behind.
            ((100, 99, 10), Some(10)),
            ((0, 0, u64::MAX), Some(u64::MAX)),
        ];
        for ((since, now, keep), left) in table {
            assert_eq!(vacancy(1, since).left(now, keep), left);
        }
    }

    #[test]
    fn a_place_is_in_the_list_once() {
        let list = [vacancy(1, 30), vacancy(2, 10), vacancy(3, 20)];
        let place = |port| vacancy(port, 0).place;
        assert_eq!(slot_for(&list, &place(3)), Some(2));
        assert_eq!(slot_for(&list, &place(4)), None);
        assert_eq!(slot_for(&[], &place(4)), None);
    }

    #[test]
    fn the_oldest_place_is_given_up() {
        let mut list = [vacancy(0, 30); MAX_PLACES];
        for (port, one) in (1..).zip(list.iter_mut()) {
            *one = vacancy(port, if port == 7 { 29 } else { 30 });
        }
        let place = |port| vacancy(port, 0).place;
        assert_eq!(slot_for(&list, &place(9)), Some(8));
        assert_eq!(slot_for(&list, &place(100)), Some(6));
    }

    #[test]
    fn only_the_same_place_counts() {
        let list = [vacancy(1, 30), vacancy(2, 10)];
        let place = vacancy(2, 0).place;
        assert_eq!(holder_of(&list, &place, 15, 10), Some(holder(2)));
        assert_eq!(holder_of(&list, &place, 20, 10), None);
        let others = [
            Place { family: 2, ..place },
            Place { port: 3, ..place },
            Place { device: 1, ..place },
            Place {
                address: [1; 16],
                ..place
            },
            Place {
                serves_ipv4: true,
                ..place
            },
        ];
        for other in others {
            assert_eq!(holder_of(&list, &other, 15, 10), None);
        }
    }
}
