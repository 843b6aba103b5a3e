// SPDX-License-Identifier: GPL-2.0
//! The option of settings: what a group does, and a member's weight.
//!
//! ```text
//!  0      4     8        12          16           20       24        28           32
//!  | size | set | policy | when_full | stall (ms) | weight | rewrite | adopt (ms) |
//! ```
//! All in the machine's byte order. A bit of `set` says that a field is given.

use std::os::fd::AsFd;
use std::time::Duration;

use crate::error::Error;
use crate::option::{array, refine};
use crate::setting_gen::COUNT;
pub use crate::setting_gen::{GroupSettings, Policy, Settings, WhenFull};
pub use crate::setting_table::{Setting, SettingDefinition, SettingKind, Value};
use crate::sys;

/// Where the fields begin, behind `size` and `set`.
const FIELDS_AT: usize = 8;
/// Size of the struct, which the kernel knows as its version.
const SIZE: usize = FIELDS_AT + 4 * COUNT;

/// Shortest stall time that can be set without `CAP_NET_ADMIN` in the initial user
/// namespace.
pub const MIN_STALL: Duration = Duration::from_millis(10);
/// Longest stall time that a group can have.
pub const MAX_STALL: Duration = Duration::from_secs(60);
/// Stall time of a new group.
pub const DEFAULT_STALL: Duration = Duration::from_millis(100);
/// Longest time for which a group can keep the place of a member that has ended.
pub const MAX_ADOPT: Duration = Duration::from_secs(86_400);
/// Largest weight of a member; the smallest, and that of a new member, is 1.
pub const MAX_WEIGHT: u32 = 65_535;

impl Settings {
    /// Settings that change nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the member this weight.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = Some(weight);
        self
    }

    /// Whether they change nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn encode(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let mut set = 0u32;
        for (place, number) in self.numbers().into_iter().enumerate() {
            let Some(number) = number else {
                continue;
            };
            set |= 1 << place;
            let at = FIELDS_AT + 4 * place;
            bytes[at..at + 4].copy_from_slice(&number.to_ne_bytes());
        }
        // The size is a small number.
        let size = u32::try_from(SIZE).unwrap_or(u32::MAX);
        bytes[..4].copy_from_slice(&size.to_ne_bytes());
        bytes[4..8].copy_from_slice(&set.to_ne_bytes());
        bytes
    }

    /// The kernel's struct; what it has not filled in is not given.
    fn decode(bytes: &[u8; SIZE]) -> Self {
        let word = |at: usize| u32::from_ne_bytes(array(&bytes[at..]));
        let set = word(4);
        let number = |place: usize| {
            let given = set & (1 << place) != 0;
            given.then(|| word(FIELDS_AT + 4 * place))
        };
        Self::of_numbers(std::array::from_fn(number))
    }
}

/// Changes what the group of this socket does, and this member's weight.
///
/// # Errors
///
/// [`Error::OutOfRange`] for a value outside its range, [`Error::NotMember`]
/// when the socket is in no group, and those that
/// [`Calls::settings`](crate::Calls) is set for. Nothing has changed then.
pub fn configure(socket: &impl AsFd, settings: &Settings) -> Result<(), Error> {
    let fd = socket.as_fd();
    sys::set(fd, sys::SO_SERVICE_GROUP_SETTINGS, &settings.encode())
        .map_err(|errno| refine(fd, errno))
}

/// Reads what the group of this socket does, and this member's weight. A field
/// that the module does not know is not given.
///
/// # Errors
///
/// [`Error::NotMember`] when the socket is in no group, and those that
/// [`Calls::settings`](crate::Calls) is set for.
pub fn settings(socket: &impl AsFd) -> Result<Settings, Error> {
    let fd = socket.as_fd();
    let mut bytes = [0; SIZE];
    sys::get(fd, sys::SO_SERVICE_GROUP_SETTINGS, &mut bytes).map_err(|errno| refine(fd, errno))?;
    Ok(Settings::decode(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting_table::milliseconds;

    fn words(settings: &Settings) -> Vec<u32> {
        let bytes = settings.encode();
        let words = bytes.chunks(4);
        words.map(|word| u32::from_ne_bytes(array(word))).collect()
    }

    #[test]
    fn only_what_is_given_is_set() {
        assert_eq!(words(&Settings::new()), [32, 0, 0, 0, 0, 0, 0, 0]);
        assert!(Settings::new().is_empty());
        let all = Settings::new()
            .policy(Policy::Balance)
            .when_full(WhenFull::Reset)
            .stall(Duration::from_millis(250))
            .weight(7)
            .rewrite(true)
            .adopt(Duration::from_secs(60));
        assert!(!all.is_empty());
        assert_eq!(words(&all), [32, 0b11_1111, 1, 1, 250, 7, 1, 60_000]);
        let never = Settings::new().stall(Duration::ZERO);
        assert_eq!(words(&never), [32, 0b0100, 0, 0, 0, 0, 0, 0]);
        for settings in [Settings::new(), all, never, Settings::new().weight(1)] {
            assert_eq!(Settings::decode(&settings.encode()), settings);
        }
    }

    #[test]
    fn the_list_has_the_settings_of_the_group_that_are_given() {
        let some = Settings::new()
            .adopt(Duration::ZERO)
            .weight(7)
            .rewrite(true);
        let list = some.list();
        let told: Vec<_> = list.iter().map(|it| (it.name, it.value)).collect();
        let expected = [
            ("rewrite", Value::Switch(true)),
            ("adopt", Value::Time(Duration::ZERO)),
        ];
        assert_eq!(told, expected);
        let all = Settings::from(GroupSettings::default());
        assert_eq!((all.list().len(), all.weight), (COUNT - 1, None));
        for Setting { name, text, .. } in all.list() {
            assert!(!text.is_empty() && !text.contains('.'), "{name}: {text}");
        }
    }

    #[test]
    fn settings_are_set_by_their_names() {
        let mut settings = Settings::new();
        for one in Settings::GROUP {
            settings.set(one.name, one.bounds.1);
        }
        settings.set("colour", 1);
        let expected = Settings::new()
            .policy(Policy::Balance)
            .when_full(WhenFull::Reset)
            .stall(MAX_STALL)
            .rewrite(true)
            .adopt(MAX_ADOPT);
        assert_eq!(settings, expected);
        let value = |kind: SettingKind, number| kind.value(number);
        let names = SettingKind::Name(Policy::CHOICES);
        assert_eq!(value(names, 2), Value::Name("unknown"));
        assert_eq!(value(SettingKind::Number, 9), Value::Number(9));
        let time = Duration::from_secs(9);
        assert_eq!(value(SettingKind::Seconds, 9), Value::Time(time));
    }

    #[test]
    fn a_short_time_is_not_never_and_a_long_one_does_not_wrap() {
        for (time, number) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_micros(1001), 2),
            (MAX_STALL, 60_000),
            (Duration::MAX, u32::MAX),
        ] {
            assert_eq!(milliseconds(time), number, "{time:?}");
        }
    }

    #[test]
    fn numbers_come_back() {
        for number in 0..4 {
            assert_eq!(Policy::from_number(number).number(), number);
            assert_eq!(WhenFull::from_number(number).number(), number);
        }
        assert_eq!(Policy::from_number(1).to_string(), "balance");
        assert_eq!(WhenFull::from_number(9).to_string(), "unknown");
    }

    #[test]
    fn limits_are_those_of_the_header() {
        let header = include_str!("../../../include/uapi/linux/service_group_netlink.h");
        for (name, value) in [
            ("DEFAULT_STALL", milliseconds(DEFAULT_STALL)),
            ("MIN_STALL", milliseconds(MIN_STALL)),
            ("MAX_STALL", milliseconds(MAX_STALL)),
            ("MAX_WEIGHT", MAX_WEIGHT),
            ("MAX_ADOPT", milliseconds(MAX_ADOPT)),
        ] {
            let name = format!("#define SERVICE_GROUP_{name}");
            let line = header.lines().find_map(|line| line.strip_prefix(&name));
            assert_eq!(line.map(str::trim), Some(&*value.to_string()), "{name}");
        }
    }

    #[test]
    fn a_socket_without_group_has_none() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
        let error = settings(&listener).expect_err("it has no group");
        assert!(
            matches!(error, Error::NotLoaded | Error::NotMember),
            "{error}"
        );
    }
}
