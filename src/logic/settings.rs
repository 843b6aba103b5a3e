// SPDX-License-Identifier: GPL-2.0

//! The bytes of `setsockopt(SO_SERVICE_GROUP_SETTINGS)`, read and checked.
//!
//! The wire form is `struct service_group_settings` in `include/uapi/linux/service_group.h`: eight
//! numbers of 32 bits in the byte order of the machine. The second says which of the last six are
//! to be changed; the others must be zero. Programs of the first version know seven.

#![forbid(unsafe_code)]

use super::{
    request::{Fields, RequestError, MAX_HEADER_LEN},
    select::Policy,
};

/// Length of the first version's `struct service_group_settings`.
pub const FIRST_LEN: usize = 28;
/// Length of this version's.
pub const LEN: usize = 32;
/// Longest option that is taken, as `copy_struct_from_user()` has it: one page.
pub const MAX_LEN: usize = MAX_HEADER_LEN;
/// `SERVICE_GROUP_DEFAULT_STALL`, in milliseconds.
pub const DEFAULT_STALL: u32 = 100;
/// `SERVICE_GROUP_MIN_STALL`, in milliseconds: a shorter stall time needs privilege.
pub const MIN_STALL: u32 = 10;
/// `SERVICE_GROUP_MAX_STALL`, in milliseconds.
pub const MAX_STALL: u32 = 60_000;
/// `SERVICE_GROUP_MAX_WEIGHT`.
pub const MAX_WEIGHT: u32 = 65_535;
/// `SERVICE_GROUP_MAX_ADOPT`, in milliseconds.
pub const MAX_ADOPT: u32 = 86_400_000;

/// `enum service_group_set`.
const SET_POLICY: u32 = 1;
const SET_WHEN_FULL: u32 = 2;
const SET_STALL: u32 = 4;
const SET_WEIGHT: u32 = 8;
const SET_REWRITE: u32 = 16;
const SET_ADOPT: u32 = 32;
const SET_ALL: u32 = 63;

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

    /// As `enum service_group_policy`.
    pub fn number(self) -> u32 {
        match self {
            Self::Overflow => 0,
            Self::Balance => 1,
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

    /// As `enum service_group_when_full`.
    pub fn number(self) -> u32 {
        match self {
            Self::Drop => 0,
            Self::Reset => 1,
        }
    }
}

/// What is to be changed; what is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Which member a connection is given to.
    pub policy: Option<Policy>,
    /// What becomes of a SYN when no member has room.
    pub when_full: Option<WhenFull>,
    /// The stall time in milliseconds, at most [`MAX_STALL`]; 0 for never.
    pub stall: Option<u32>,
    /// The member's weight, from 1 to [`MAX_WEIGHT`].
    pub weight: Option<u32>,
    /// Whether programs are shown the address that their listener is bound to.
    pub rewrite: Option<bool>,
    /// For how many milliseconds the places of members that have ended are kept for successors, at
    /// most [`MAX_ADOPT`]; 0 for no adoption at all.
    pub adopt: Option<u32>,
}

impl Changes {
    /// Whether only who is privileged on the whole machine may make them: how often its timers run
    /// follows from the stall time.
    pub fn need_privilege(&self) -> bool {
        self.stall
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
        let mut field = |flag: u32| match fields.u32()? {
            value if set & flag != 0 => Ok(Some(value)),
            0 => Ok(None),
            _ => Err(RequestError::ReservedNotZero),
        };
        let first = Numbers {
            policy: field(SET_POLICY)?,
            when_full: field(SET_WHEN_FULL)?,
            stall: field(SET_STALL)?,
            weight: field(SET_WEIGHT)?,
            rewrite: field(SET_REWRITE)?,
            adopt: None,
        };
        let adopt = match known.len() {
            // What it says is to be set must be there.
            FIRST_LEN if set & SET_ADOPT == 0 => None,
            _ => field(SET_ADOPT)?,
        };
        Numbers { adopt, ..first }.check()
    }
}

/// [`Changes`] as the numbers that users give.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers {
    /// `enum service_group_policy`.
    pub policy: Option<u32>,
    /// `enum service_group_when_full`.
    pub when_full: Option<u32>,
    /// Milliseconds.
    pub stall: Option<u32>,
    /// A member's.
    pub weight: Option<u32>,
    /// 0 or 1.
    pub rewrite: Option<u32>,
    /// Milliseconds.
    pub adopt: Option<u32>,
}

impl Numbers {
    /// Checks that each is in its range.
    pub fn check(self) -> Result<Changes, RequestError> {
        let Self {
            policy,
            when_full,
            stall,
            weight,
            rewrite,
            adopt,
        } = self;
        let out_of_range = RequestError::OutOfRange;
        let policy = policy
            .map(|number| Policy::from_number(number).ok_or(out_of_range))
            .transpose()?;
        let when_full = when_full
            .map(|number| WhenFull::from_number(number).ok_or(out_of_range))
            .transpose()?;
        if stall.is_some_and(|stall| stall > MAX_STALL)
            || weight.is_some_and(|weight| !(1..=MAX_WEIGHT).contains(&weight))
            || rewrite.is_some_and(|rewrite| rewrite > 1)
            || adopt.is_some_and(|adopt| adopt > MAX_ADOPT)
        {
            return Err(out_of_range);
        }
        Ok(Changes {
            policy,
            when_full,
            stall,
            weight,
            rewrite: rewrite.map(|rewrite| rewrite == 1),
            adopt,
        })
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

    #[test]
    fn each_field_is_read() {
        let all = Changes {
            policy: Some(Policy::Balance),
            when_full: Some(WhenFull::Reset),
            stall: Some(60_000),
            weight: Some(65_535),
            rewrite: Some(true),
            adopt: Some(86_400_000),
        };
        let table = [
            ([32, 0, 0, 0, 0, 0, 0, 0], Changes::default()),
            ([32, 63, 1, 1, 60_000, 65_535, 1, 86_400_000], all),
            (
                [32, 4, 0, 0, 0, 0, 0, 0],
                Changes {
                    stall: Some(0),
                    ..Changes::default()
                },
            ),
            (
                [32, 8, 0, 0, 0, 1, 0, 0],
                Changes {
                    weight: Some(1),
                    ..Changes::default()
                },
            ),
            (
                [32, 32, 0, 0, 0, 0, 0, 0],
                Changes {
                    adopt: Some(0),
                    ..Changes::default()
                },
            ),
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
            (MAX_STALL, false),
        ] {
            let changes = Changes {
                stall: Some(stall),
                ..Changes::default()
            };
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
        let weight = Changes {
            weight: Some(7),
            ..Changes::default()
        };
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
        let weight = Changes {
            weight: Some(7),
            ..Changes::default()
        };
        assert_eq!(Changes::parse(&newer), Ok(weight));
        if let Some(last) = newer.last_mut() {
            *last = 1;
        }
        assert_eq!(Changes::parse(&newer), Err(RequestError::TooNew));
    }
}
