// SPDX-License-Identifier: GPL-2.0
//! Why a command failed, as a sentence.

use std::fmt;

/// What was wrong and what to do, without the full stop.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    sentence: String,
    status: u8,
}

impl Failure {
    /// A failure with this sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self {
            sentence: sentence.into(),
            status: 1,
        }
    }

    /// What was asked for is wrong, on the command line or in a file.
    pub fn usage(sentence: impl Into<String>) -> Self {
        Self {
            sentence: sentence.into(),
            status: 2,
        }
    }

    /// A signal ended what was being done; the status is the one that shells have for that.
    pub fn interrupted(signal: i32, sentence: impl Into<String>) -> Self {
        Self {
            sentence: sentence.into(),
            status: u8::try_from(signal).map_or(1, |signal| signal.saturating_add(128)),
        }
    }

    /// The same, with what is to be said besides.
    #[must_use]
    pub fn and(self, more: &str) -> Self {
        Self {
            sentence: format!("{}; {more}", self.sentence),
            ..self
        }
    }

    /// The exit status to end with.
    pub fn status(&self) -> u8 {
        self.status
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Failure {}

impl From<service_group::Error> for Failure {
    fn from(error: service_group::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<service_group::netlink::Error> for Failure {
    fn from(error: service_group::netlink::Error) -> Self {
        Self::new(error.to_string())
    }
}
