// SPDX-License-Identifier: GPL-2.0
//! Why a command failed, as a sentence.

use std::fmt;

/// What was wrong and what to do, without the full stop.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    /// A failure with this sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
