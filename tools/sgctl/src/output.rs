// SPDX-License-Identifier: GPL-2.0
//! Writing results: a reader that has gone away is no failure, a full disk is.

use std::io::{self, Write};

use serde::Serialize;

use crate::Failure;

/// Writes text as it is, at once.
pub fn text(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(format!(
            "the result could not be written: {error}"
        ))),
        _ => Ok(()),
    }
}

/// Writes a value as JSON over several lines.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    encode(serde_json::to_string_pretty(value))
}

/// Writes a value as JSON on one line.
pub fn json_line(value: &impl Serialize) -> Result<(), Failure> {
    encode(serde_json::to_string(value))
}

fn encode(json: serde_json::Result<String>) -> Result<(), Failure> {
    let json = json.map_err(|error| Failure::new(format!("no JSON could be made: {error}")))?;
    text(&(json + "\n"))
}

/// Writes a note to standard error. That it cannot be read is no failure: what is under way
/// goes on.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "sgctl: {text}");
}

/// A number of things, such as "1 socket" and "2 sockets".
pub fn count(number: usize, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        number => format!("{number} {thing}s"),
    }
}
