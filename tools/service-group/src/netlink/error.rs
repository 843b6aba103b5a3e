// SPDX-License-Identifier: GPL-2.0
//! Why the kernel could not be asked.

use std::{fmt, io};

/// Why groups could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The kernel has no such family: the module is not loaded.
    NotLoaded,
    /// The kernel refused with this errno.
    Refused(i32),
    /// The kernel threw events away, as they were not read fast enough. Those
    /// that follow are read as usual.
    Lost,
    /// What was to be read changed at each of many tries.
    Unsteady,
    /// The kernel sent something that cannot be understood.
    Malformed,
    /// The system said so.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoaded => {
                let row = crate::Error::NotLoaded.row();
                let remedy = row.map_or("", |row| row.remedy);
                write!(f, "the kernel module service_group is not loaded: {remedy}")
            }
            Self::Refused(errno) => {
                let error = io::Error::from_raw_os_error(*errno);
                write!(f, "the kernel refused: {error}")
            }
            Self::Lost => f.write_str("the kernel threw events away: read them faster"),
            Self::Unsteady => f.write_str("the groups change too fast to be read: try again"),
            Self::Malformed => f.write_str("the kernel sent a message that is not well formed"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
