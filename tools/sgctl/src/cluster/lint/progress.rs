// SPDX-License-Identifier: GPL-2.0
//! A line that says how far something is, on a terminal only.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the line changes.
const PERIOD: Duration = Duration::from_millis(200);

/// The line; it is gone when this is.
pub struct Progress {
    shown: bool,
    last: Instant,
}

impl Progress {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            shown: io::stderr().is_terminal(),
            last: Instant::now(),
        }
    }

    /// Shows what `text` says, if it is time.
    pub fn tell(&mut self, text: impl FnOnce() -> String) {
        if self.shown && self.last.elapsed() >= PERIOD {
            self.last = Instant::now();
            // It is of no matter if it cannot be seen.
            let _ = write!(io::stderr(), "\r\x1b[K{}", text());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
