// SPDX-License-Identifier: GPL-2.0
//! The settings of a group, in one table: of it are made the structs, the methods that
//! set them, the numbers of the kernel's struct and of netlink, and what sgctl shows.

use std::time::Duration;

use crate::settings::{Policy, WhenFull};
#[cfg(doc)]
use crate::settings::{MAX_ADOPT, MAX_STALL, MAX_WEIGHT};

/// Place of the weight in the kernel's struct; the weight is a member's.
const WEIGHT: usize = 3;

/// How a setting stands in the kernel's struct, and what people are told of it.
trait Number: Copy + Default {
    fn to_number(self) -> u32;
    fn of_number(number: u32) -> Self;
    fn value(self) -> Value;
}

impl Number for Policy {
    fn to_number(self) -> u32 {
        self.number()
    }
    fn of_number(number: u32) -> Self {
        Self::from_number(number)
    }
    fn value(self) -> Value {
        Value::Name(self.name())
    }
}

impl Number for WhenFull {
    fn to_number(self) -> u32 {
        self.number()
    }
    fn of_number(number: u32) -> Self {
        Self::from_number(number)
    }
    fn value(self) -> Value {
        Value::Name(self.name())
    }
}

impl Number for Duration {
    fn to_number(self) -> u32 {
        milliseconds(self)
    }
    fn of_number(number: u32) -> Self {
        Self::from_millis(number.into())
    }
    fn value(self) -> Value {
        Value::Time(self)
    }
}

impl Number for bool {
    fn to_number(self) -> u32 {
        self.into()
    }
    fn of_number(number: u32) -> Self {
        number != 0
    }
    fn value(self) -> Value {
        Value::Switch(self)
    }
}

/// The value of a setting of a group, by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// One of several names.
    Name(&'static str),
    /// On or off.
    Switch(bool),
    /// A time; zero is off.
    Time(Duration),
}

/// A setting of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name, such as `when_full`.
    pub name: &'static str,
    /// What it is, as a sentence without the full stop.
    pub text: &'static str,
    /// What is set.
    pub value: Value,
}

/// Makes the structs of settings from one table: the place in the kernel's struct, the
/// name, the kind, what it is in a sentence, and the comment of the method that sets it.
macro_rules! settings {
    ($(
        $(#[$about:meta])*
        $place:literal $name:ident: $kind:ty, $text:literal, $method:literal;
    )*) => {
        /// Number of settings in the kernel's struct, with the weight.
        pub(crate) const COUNT: usize = [$($place),*].len() + 1;

        /// What a group does, and the weight of one member of it.
        ///
        /// Only the fields that are given are changed. All but the weight are the
        /// group's, whichever member's socket they are set through.
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
                pub $name: Option<$kind>,
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
                pub $name: $kind,
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
            $(
                #[doc = $method]
                #[must_use]
                pub fn $name(mut self, $name: $kind) -> Self {
                    self.$name = Some($name);
                    self
                }
            )*

            /// Those of the group that are given.
            pub fn list(&self) -> Vec<Setting> {
                let all = [$(self.$name.map(|it| Setting {
                    name: stringify!($name),
                    text: $text,
                    value: it.value(),
                })),*];
                all.into_iter().flatten().collect()
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

settings! {
    /// Which member a connection is given to.
    0 policy: Policy, "Which member a connection is given to",
        "Gives connections by this policy.";
    /// What becomes of a SYN when no member has room.
    1 when_full: WhenFull, "What becomes of a SYN when no member has room",
        "Does this with a SYN when no member has room.";
    /// After how long without `accept` a member whose queue is not empty is
    /// stalled: at most [`MAX_STALL`]; zero is never.
    2 stall: Duration, "After how long without accept() a member is stalled; 0 is never",
        "Takes a member for stalled after this time, which counts in whole milliseconds, \
         rounded up; zero is never.";
    /// Whether `getsockname` of a connection that came for a sibling at another
    /// address tells the address that the accepting member is bound to, in
    /// place of the one that the client asked for.
    4 rewrite: bool, "Whether programs are shown the address that their listener is bound to",
        "Shows programs the address that their listener is bound to, or the one that the \
         client asked for.";
    /// For how long the place of a member whose socket has ended is kept: at most
    /// [`MAX_ADOPT`]. A socket of the same user that begins to listen there, or
    /// in the place of a member that is still there, becomes a member. Zero: no
    /// socket does.
    5 adopt: Duration,
        "For how long a place of a member that has ended is kept; 0 if nobody is adopted",
        "Keeps the places of members that have ended for this time, which counts in whole \
         milliseconds, rounded up, and has who listens there become a member; zero is never.";
}

/// Whole milliseconds, rounded up, as zero has a meaning of its own. A time too
/// long for the field is too long for the kernel as well.
pub(crate) fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}
