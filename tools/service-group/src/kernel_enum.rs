// SPDX-License-Identifier: GPL-2.0
//! Enums that the kernel numbers: one table, of which the enum, its names and its
//! texts are made.

/// Makes an enum from one table, which has the order of the kernel's.
macro_rules! kernel_enum {
    ($(#[$attribute:meta])* $enum:ident, $unknown:literal,
     $($variant:ident $name:literal $text:literal;)*) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $enum {
            $(
                #[doc = concat!("`", $name, "`: ", $text, ".")]
                $variant,
            )*
            /// One that this version of the crate does not know.
            Unknown(u32),
        }

        impl $enum {
            /// Those that there are, in the kernel's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Their names, each with what it means.
            pub const CHOICES: &'static [(&'static str, &'static str)] = &[$(($name, $text)),*];

            /// The one of this number in the kernel's enum.
            pub fn from_number(number: u32) -> Self {
                let place = usize::try_from(number).unwrap_or(usize::MAX);
                Self::ALL.get(place).copied().unwrap_or(Self::Unknown(number))
            }

            /// Its number in the kernel's enum.
            pub fn number(self) -> u32 {
                if let Self::Unknown(number) = self {
                    return number;
                }
                let place = Self::ALL.iter().position(|one| *one == self);
                place.and_then(|place| u32::try_from(place).ok()).unwrap_or(u32::MAX)
            }

            /// Its name, in lower case.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Unknown(_) => "unknown",
                }
            }

            /// What it means, as a part of a sentence.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Unknown(_) => $unknown,
                }
            }
        }

        impl std::fmt::Display for $enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

pub(crate) use kernel_enum;
