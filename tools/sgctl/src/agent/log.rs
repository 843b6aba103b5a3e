// SPDX-License-Identifier: GPL-2.0
//! What the agent says: a line each time that something has changed, and not the same again and
//! again.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use service_group::netlink::{Link, LinkReason, LinkState};

use crate::{output, Failure};

/// After this time the same is said once more.
const AGAIN: Duration = Duration::from_secs(60);
/// Most machines and addresses of which it is known what was said last.
const MOST: usize = 512;

/// A line as JSON.
#[derive(Debug, Serialize)]
struct Line<'a> {
    time: String,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    machine: Option<&'a str>,
    text: &'a str,
}

/// Says it.
#[derive(Debug)]
pub struct Log {
    json: bool,
    last: HashMap<String, (String, Instant)>,
}

impl Log {
    /// In words, or as JSON.
    pub fn new(json: bool) -> Self {
        Self {
            json,
            last: HashMap::new(),
        }
    }

    /// Something about all of it.
    pub fn say(&self, event: &'static str, text: &str) -> Result<(), Failure> {
        self.line(event, None, text)
    }

    /// Something about a machine, or an address.
    pub fn tell(&self, event: &'static str, of: &str, text: &str) -> Result<(), Failure> {
        self.line(event, Some(of), text)
    }

    /// The same, unless it was said a short time ago.
    pub fn tell_once(
        &mut self,
        event: &'static str,
        of: &str,
        text: &str,
        now: Instant,
    ) -> Result<(), Failure> {
        let last = self.last.get(of);
        let is_known = last
            .is_some_and(|(said, at)| said == text && now.saturating_duration_since(*at) < AGAIN);
        if is_known {
            return Ok(());
        }
        if self.last.len() >= MOST {
            self.last.clear();
        }
        self.last.insert(of.to_owned(), (text.to_owned(), now));
        self.tell(event, of, text)
    }

    /// What is said next of a machine is new.
    pub fn forget(&mut self, of: &str) {
        self.last.remove(of);
    }

    fn line(&self, event: &'static str, machine: Option<&str>, text: &str) -> Result<(), Failure> {
        if !self.json {
            let of = machine.map_or_else(String::new, |of| format!("{of}: "));
            return output::text(&format!("{of}{text}\n"));
        }
        output::json_line(&Line {
            time: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            event,
            machine,
            text,
        })
    }
}

/// How a machine is, in words.
pub fn state(link: &Link) -> String {
    let why = match link.state {
        LinkState::Up if link.ready == Some(false) => ", not ready".to_owned(),
        LinkState::Up => match link.held {
            Some(held) => format!(", held back for {}ms", held.as_millis()),
            None => String::new(),
        },
        LinkState::Unreachable if link.ends.is_none() => match link.reason {
            // It was linked before a reboot, or before the module was loaded.
            LinkReason::Nothing => ", as it has not linked again".to_owned(),
            reason => format!(", as {}", reason.text()),
        },
        _ => String::new(),
    };
    let away = if link.away {
        ", gets no new connections"
    } else {
        ""
    };
    format!("{}{why}{away}", link.state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_not_said_again_and_again() {
        let mut log = Log::new(false);
        let now = Instant::now();
        let mut known = |of: &str, text: &str, now| {
            let before = log.last.get(of).map(|(_, at)| *at);
            log.tell_once("refused", of, text, now)
                .expect("it can be said");
            before == log.last.get(of).map(|(_, at)| *at)
        };
        let later = now + Duration::from_secs(1);
        assert!(!known("a", "one", now) && known("a", "one", later));
        assert!(!known("b", "one", later) && !known("a", "two", later));
        assert!(!known("a", "two", later + AGAIN));
        for number in 0..MOST {
            known(&number.to_string(), "x", now);
        }
        assert!(log.last.len() <= MOST);
        log.forget("a");
        assert!(!log.last.contains_key("a"));
    }

    #[test]
    fn states_say_what_they_mean() {
        let mut link = Link::new(2);
        for (state, reason, away, told) in [
            (LinkState::Up, LinkReason::Closed, false, "up"),
            (
                LinkState::Suspect,
                LinkReason::Nothing,
                true,
                "suspect, gets no new connections",
            ),
            (
                LinkState::Unreachable,
                LinkReason::Nothing,
                true,
                "unreachable, as it has not linked again, gets no new connections",
            ),
            (
                LinkState::Unreachable,
                LinkReason::Silent,
                true,
                "unreachable, as nothing was heard for ten heartbeats, gets no new connections",
            ),
        ] {
            link = Link {
                state,
                reason,
                away,
                ..link
            };
            assert_eq!(super::state(&link), told);
        }
        link.state = LinkState::Up;
        link.held = Some(Duration::from_millis(800));
        assert_eq!(
            super::state(&link),
            "up, held back for 800ms, gets no new connections"
        );
        link.ready = Some(false);
        assert!(super::state(&link).starts_with("up, not ready"));
    }
}
