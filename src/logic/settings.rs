// SPDX-License-Identifier: GPL-2.0

//! The bytes of `setsockopt(SO_SERVICE_GROUP_SETTINGS)`, read and checked.
//!
//! The wire form is `struct service_group_settings` in `include/uapi/linux/service_group.h`: numbers
//! of 32 bits in the byte order of the machine, of which the second says which settings are to be
//! changed; the others must be zero. Programs of the first version know five settings.
//!
//! Which settings there are, and their bounds, is in the netlink specification.

#![forbid(unsafe_code)]

pub use super::setting_gen::Setting;
use super::{
    request::{Fields, RequestError, MAX_HEADER_LEN},
    select::Policy,
};

/// Length of the first version's `struct service_group_settings`.
pub const FIRST_LEN: usize = 28;
/// Length of this version's: the size and the flags stand before the settings.
pub const LEN: usize = (2 + Setting::COUNT) * size_of::<u32>();
/// Longest option that is taken, as `copy_struct_from_user()` has it: one page.
pub const MAX_LEN: usize = MAX_HEADER_LEN;
/// `SERVICE_GROUP_MIN_STALL`, in milliseconds: a shorter stall time needs privilege.
pub const MIN_STALL: u32 = 10;
/// All flags of `enum service_group_set`.
pub const SET_ALL: u32 = (1 << Setting::COUNT) - 1;

/// What becomes of a SYN when no member has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It is dropped.
    Drop,
    /// It is answered with a reset.
    Reset,
}

impl Policy {
    /// From `enum service_group_policy`.
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Overflow),
            1 => Some(Self::Balance),
            _ => None,
        }
    }
}

impl WhenFull {
    /// From `enum service_group_when_full`.
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Drop),
            1 => Some(Self::Reset),
            _ => None,
        }
    }
}

/// What is to be changed, each in its bounds; what is not given stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes([Option<u32>; Setting::COUNT]);

impl Changes {
    /// Those for which `number` has one, if all of these are in their bounds.
    pub fn of(mut number: impl FnMut(Setting) -> Option<u32>) -> Result<Self, RequestError> {
        let mut changes = Self::default();
        for (place, setting) in changes.0.iter_mut().zip(Setting::ALL) {
            let (least, most) = setting.bounds();
            *place = number(setting);
            if place.is_some_and(|number| !(least..=most).contains(&number)) {
                return Err(RequestError::OutOfRange);
            }
        }
        Ok(changes)
    }

    /// The number that a setting is to have, if it is to be changed.
    pub fn get(&self, setting: Setting) -> Option<u32> {
        self.0.get(setting as usize).copied().flatten()
    }

    /// Whether a setting of the group is to be changed, and not of the member alone.
    pub fn are_of_group(&self) -> bool {
        Setting::ALL
            .iter()
            .any(|setting| setting.group_attribute().is_some() && self.get(*setting).is_some())
    }

    /// Whether they need privileges on the whole machine: how often its timers run
    /// follows from the stall time.
    pub fn need_privilege(&self) -> bool {
        self.get(Setting::Stall)
            .is_some_and(|stall| (1..MIN_STALL).contains(&stall))
    }

    /// Reads and checks the bytes of the option, all of them.
    pub fn parse(bytes: &[u8]) -> Result<Self, RequestError> {
        if bytes.len() < FIRST_LEN {
            return Err(RequestError::BadSize);
        }
        let (known, newer) = bytes.split_at(bytes.len().min(LEN));
        let mut fields = Fields(known);
        let size = usize::try_from(fields.u32()?).map_err(|_| RequestError::BadSize)?;
        if size != bytes.len() || size > MAX_LEN {
            return Err(RequestError::BadSize);
        }
        if newer.iter().any(|&byte| byte != 0) {
            return Err(RequestError::TooNew);
        }
        let set = fields.u32()?;
        if set & !SET_ALL != 0 {
            return Err(RequestError::UnknownFlag);
        }
        let mut numbers = [None; Setting::COUNT];
        for (number, setting) in numbers.iter_mut().zip(Setting::ALL) {
            let is_set = set & setting.flag() != 0;
            // An older program's struct ends before; what it says is to be set must be there.
            if fields.0.is_empty() && !is_set {
                break;
            }
            *number = match fields.u32()? {
                value if is_set => Some(value),
                0 => None,
                _ => return Err(RequestError::ReservedNotZero),
            };
        }
        Self::of(|setting| numbers.get(setting as usize).copied().flatten())
    }
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_settings)
)]
mod tests {
    use super::*;

    /// The eight fields, in bytes.
    fn bytes(fields: [u32; 8]) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        for (to, from) in bytes.chunks_exact_mut(4).zip(fields) {
            to.copy_from_slice(&from.to_ne_bytes());
        }
        bytes
    }

    fn only(setting: Setting, number: u32) -> Changes {
        let mut changes = Changes::default();
        if let Some(place) = changes.0.get_mut(setting as usize) {
            *place = Some(number);
        }
        changes
    }

    #[test]
    fn flags_are_in_the_order_of_the_fields() {
        let flags = Setting::ALL.map(Setting::flag);
        for (place, flag) in flags.iter().enumerate() {
            assert_eq!(*flag, 1 << place);
        }
    }

    #[test]
    fn new_groups_are_within_the_bounds() {
        let new = Changes::of(|setting| Some(setting.initial()));
        assert_eq!(new, Ok(Changes([0, 0, 100, 1, 0, 0].map(Some))));
    }

    #[test]
    fn a_weight_is_not_the_groups() {
        assert!(!Changes::default().are_of_group());
        assert!(!only(Setting::Weight, 1).are_of_group());
        assert!(only(Setting::Adopt, 0).are_of_group());
    }

    #[test]
    fn each_field_is_read() {
        let all = Changes([1, 1, 60_000, 65_535, 1, 86_400_000].map(Some));
        let table = [
            ([32, 0, 0, 0, 0, 0, 0, 0], Changes::default()),
            ([32, 63, 1, 1, 60_000, 65_535, 1, 86_400_000], all),
            ([32, 4, 0, 0, 0, 0, 0, 0], only(Setting::Stall, 0)),
            ([32, 8, 0, 0, 0, 1, 0, 0], only(Setting::Weight, 1)),
            ([32, 32, 0, 0, 0, 0, 0, 0], only(Setting::Adopt, 0)),
        ];
        for (fields, changes) in table {
            assert_eq!(Changes::parse(&bytes(fields)), Ok(changes));
        }
    }

    #[test]
    fn a_short_stall_time_needs_privilege() {
        assert!(!Changes::default().need_privilege());
        for (stall, needed) in [
            (0, false),
            (1, true),
            (9, true),
            (10, false),
            (60_000, false),
        ] {
            let changes = only(Setting::Stall, stall);
            assert_eq!(changes.need_privilege(), needed);
        }
    }

    #[test]
    fn refusals() {
        let table = [
            ([31, 0, 0, 0, 0, 0, 0, 0], RequestError::BadSize),
            ([33, 0, 0, 0, 0, 0, 0, 0], RequestError::BadSize),
            ([28, 0, 0, 0, 0, 0, 0, 0], RequestError::BadSize),
            ([32, 64, 0, 0, 0, 0, 0, 0], RequestError::UnknownFlag),
            ([32, 0, 1, 0, 0, 0, 0, 0], RequestError::ReservedNotZero),
            ([32, 0, 0, 0, 0, 0, 0, 1], RequestError::ReservedNotZero),
            ([32, 1, 0, 0, 0, 1, 0, 0], RequestError::ReservedNotZero),
            ([32, 1, 2, 0, 0, 0, 0, 0], RequestError::OutOfRange),
            ([32, 2, 0, 2, 0, 0, 0, 0], RequestError::OutOfRange),
            ([32, 4, 0, 0, 60_001, 0, 0, 0], RequestError::OutOfRange),
            ([32, 8, 0, 0, 0, 0, 0, 0], RequestError::OutOfRange),
            ([32, 8, 0, 0, 0, 65_536, 0, 0], RequestError::OutOfRange),
            ([32, 16, 0, 0, 0, 0, 2, 0], RequestError::OutOfRange),
            (
                [32, 32, 0, 0, 0, 0, 0, 86_400_001],
                RequestError::OutOfRange,
            ),
        ];
        for (fields, error) in table {
            assert_eq!(Changes::parse(&bytes(fields)), Err(error));
        }
        assert_eq!(Changes::parse(&[]), Err(RequestError::BadSize));
    }

    #[test]
    fn older_ones_know_less() {
        let weight = only(Setting::Weight, 7);
        let table = [
            ([28, 8, 0, 0, 0, 7, 0, 0], Ok(weight)),
            ([28, 32, 0, 0, 0, 0, 0, 0], Err(RequestError::BadSize)),
        ];
        for (fields, result) in table {
            let all = bytes(fields);
            let (first, _) = all.split_at(FIRST_LEN);
            assert_eq!(Changes::parse(first), result);
        }
        let all = bytes([30, 0, 0, 0, 0, 0, 0, 0]);
        let (between, _) = all.split_at(30);
        assert_eq!(Changes::parse(between), Err(RequestError::BadSize));
    }

    #[test]
    fn newer_ones_are_taken_while_they_ask_for_nothing_new() {
        let mut newer = [0; 36];
        for (to, from) in newer.iter_mut().zip(bytes([36, 8, 0, 0, 0, 7, 0, 0])) {
            *to = from;
        }
        let weight = only(Setting::Weight, 7);
        assert_eq!(Changes::parse(&newer), Ok(weight));
        if let Some(last) = newer.last_mut() {
            *last = 1;
        }
        assert_eq!(Changes::parse(&newer), Err(RequestError::TooNew));
    }
}
