// SPDX-License-Identifier: GPL-2.0
//! The settings of a group, in one table: of it are made the structs, the methods that
//! set them, the numbers of the kernel's struct and of netlink, and what sgctl shows. The
//! rows come from the netlink specification.

use std::time::Duration;

/// What the number of a setting means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingKind {
    /// One of several names in the order of their numbers, each with what it means.
    Name(&'static [(&'static str, &'static str)]),
    /// On or off.
    Switch,
    /// A time in milliseconds; zero is off.
    Milliseconds,
    /// A time in seconds.
    Seconds,
    /// A number.
    Number,
}

impl SettingKind {
    /// The value that this number is.
    pub fn value(self, number: u32) -> Value {
        match self {
            Self::Name(names) => {
                let place = usize::try_from(number).unwrap_or(usize::MAX);
                Value::Name(names.get(place).map_or("unknown", |(name, _)| name))
            }
            Self::Switch => Value::Switch(number != 0),
            Self::Milliseconds => Value::Time(Duration::from_millis(number.into())),
            Self::Seconds => Value::Time(Duration::from_secs(number.into())),
            Self::Number => Value::Number(number),
        }
    }
}

/// The value of a setting, by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// One of several names.
    Name(&'static str),
    /// On or off.
    Switch(bool),
    /// A time; zero is off.
    Time(Duration),
    /// A number.
    Number(u32),
}

/// What there is to know of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingDefinition {
    /// Its name, such as `when_full`.
    pub name: &'static str,
    /// What its number means.
    pub kind: SettingKind,
    /// The least and the largest number that the kernel takes.
    pub bounds: (u32, u32),
    /// What it is, in sentences.
    pub help: &'static str,
}

impl SettingDefinition {
    pub(crate) const fn new(
        name: &'static str,
        kind: SettingKind,
        bounds: (u32, u32),
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            bounds,
            help,
        }
    }

    /// The setting with this number.
    pub(crate) fn with(&self, number: u32) -> Setting {
        let end = self.help.find(". ").unwrap_or(self.help.len());
        Setting {
            name: self.name,
            text: self.help[..end].trim_end_matches('.'),
            value: self.kind.value(number),
        }
    }
}

/// A setting of a group or of a cluster IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name, such as `when_full`.
    pub name: &'static str,
    /// What it is, as a sentence without the full stop.
    pub text: &'static str,
    /// What is set.
    pub value: Value,
}

/// How the type of a setting stands in the kernel's struct.
pub(crate) trait Number: Copy + Default {
    fn to_number(self) -> u32;
    fn of_number(number: u32) -> Self;
}

impl Number for Duration {
    fn to_number(self) -> u32 {
        milliseconds(self)
    }
    fn of_number(number: u32) -> Self {
        Self::from_millis(number.into())
    }
}

impl Number for bool {
    fn to_number(self) -> u32 {
        self.into()
    }
    fn of_number(number: u32) -> Self {
        number != 0
    }
}

impl Number for u32 {
    fn to_number(self) -> u32 {
        self
    }
    fn of_number(number: u32) -> Self {
        number
    }
}

/// Makes the structs of settings from one table: the place in the kernel's struct, the
/// name, the type, what the number means, its bounds, and what it is.
macro_rules! settings {
    ($(
        $(#[$about:meta])*
        $place:literal $name:ident: $type:ty, $kind:expr, $bounds:expr, $help:literal;
    )*) => {
        /// Number of settings in the kernel's struct, with the weight.
        pub(crate) const COUNT: usize = [$($place),*].len() + 1;

        /// What a group does, and the weight of one member of it.
        ///
        /// Only the fields that are given are changed. All but the weight are the
        /// group's, whichever member's socket they are set through. Times count in
        /// whole milliseconds, rounded up.
        ///
        /// ```no_run
        /// use service_group::{configure, settings, Policy, Settings};
        /// use std::time::Duration;
        ///
        /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
        /// # let listener = std::net::TcpListener::bind("127.0.0.1:8080")?;
        /// let wanted = Settings::new()
        ///     .policy(Policy::Balance)
        ///     .stall(Duration::from_millis(250))
        ///     .weight(3);
        /// configure(&listener, &wanted)?;
        /// println!("this member has weight {:?}", settings(&listener)?.weight);
        /// # Ok(())
        /// # }
        /// ```
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Settings {
            $(
                $(#[$about])*
                pub $name: Option<$type>,
            )*
            /// How many connections this member is to have waiting, compared with the
            /// others: from 1 to [`MAX_WEIGHT`].
            pub weight: Option<u32>,
        }

        /// What a group does.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct GroupSettings {
            $(
                $(#[$about])*
                pub $name: $type,
            )*
        }

        impl From<GroupSettings> for Settings {
            fn from(group: GroupSettings) -> Self {
                Self { $($name: Some(group.$name),)* weight: None }
            }
        }

        impl GroupSettings {
            /// Sets the one at this place of the kernel's struct.
            #[cfg(feature = "netlink")]
            pub(crate) fn set(&mut self, place: usize, number: u32) {
                match place {
                    $($place => self.$name = Number::of_number(number),)*
                    _ => {}
                }
            }
        }

        impl Settings {
            /// What there is to know of each setting of a group.
            pub const GROUP: &'static [SettingDefinition] = &[$(
                SettingDefinition::new(stringify!($name), $kind, $bounds, $help)
            ),*];

            $(
                #[doc = concat!("Sets `", stringify!($name), "`.")]
                #[must_use]
                pub fn $name(mut self, $name: $type) -> Self {
                    self.$name = Some($name);
                    self
                }
            )*

            /// Sets the one of this name to a number of the kernel's; any other name is
            /// passed over.
            pub fn set(&mut self, name: &str, number: u32) {
                match name {
                    $(stringify!($name) => self.$name = Some(Number::of_number(number)),)*
                    _ => {}
                }
            }

            /// Those of the group that are given.
            pub fn list(&self) -> Vec<Setting> {
                let numbers = [$(self.$name.map(Number::to_number)),*];
                let all = Self::GROUP.iter().zip(numbers);
                all.filter_map(|(one, number)| Some(one.with(number?))).collect()
            }

            /// The numbers in the kernel's struct.
            pub(crate) fn numbers(&self) -> [Option<u32>; COUNT] {
                let mut numbers = [None; COUNT];
                $(numbers[$place] = self.$name.map(Number::to_number);)*
                numbers[WEIGHT] = self.weight;
                numbers
            }

            /// Those of these numbers.
            pub(crate) fn of_numbers(numbers: [Option<u32>; COUNT]) -> Self {
                Self {
                    $($name: numbers[$place].map(Number::of_number),)*
                    weight: numbers[WEIGHT],
                }
            }
        }
    };
}

pub(crate) use settings;

/// Whole milliseconds, rounded up, as zero has a meaning of its own. A time too
/// long for the field is too long for the kernel as well.
pub(crate) fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}
