// SPDX-License-Identifier: GPL-2.0
//! How a node finds out whether its service can serve an address: a program, or a question by HTTP.
//!
//! The file comes from any machine of the cluster, so that it only names a program: which one that is,
//! the folder `checks` of each machine says. Numbers that the file does not give are HAProxy's.

use std::net::SocketAddr;
use std::time::Duration;

use service_group::netlink::ClusterName;
use toml::Spanned;

use super::check::{number, Found};
use super::raw::{RawCheck, Text};

/// In milliseconds: the least and the longest time between two checks, and that of a file that does not say.
const INTERVALS: (i64, i64) = (100, 3_600_000);
const DEFAULT_INTERVAL: u32 = 2000;
/// The least and the longest time that one may take.
const TIMEOUTS: (i64, i64) = (10, 3_600_000);
/// How many in a row there may have to be.
const COUNTS: (i64, i64) = (1, 1000);
const DEFAULT_RISE: u32 = 2;
const DEFAULT_FALL: u32 = 3;
/// Statuses of HTTP.
const STATUSES: (i64, i64) = (100, 599);
/// The port of a URL that has none.
const HTTP: u16 = 80;

/// A check of the service behind an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is done.
    pub probe: Probe,
    /// How often.
    pub interval: Duration,
    /// How long it may take.
    pub timeout: Duration,
    /// How many have to succeed in a row until the service is healthy again.
    pub rise: u32,
    /// How many have to fail in a row until it is not healthy any more.
    pub fall: u32,
}

/// What a check does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It runs the program of this name with these words; status 0 is a success.
    Command(String, Vec<String>),
    /// It asks by HTTP.
    Http(Question),
}

/// A question by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Whom it asks.
    pub at: SocketAddr,
    /// For what.
    pub path: String,
    /// The status of a success; any from 200 to 399, if the file gives none.
    pub status: Option<u32>,
}

/// Reads the check of the address with this name.
pub(super) fn check(raw: &Spanned<RawCheck>, of: &ClusterName) -> Result<Check, Found> {
    let wrong = |reason: &str| (raw.span(), reason.to_owned());
    let raw_check = raw.get_ref();
    let probe = match (&raw_check.command, &raw_check.http) {
        (Some(words), None) => command(words)?,
        (None, Some(url)) => Probe::Http(question(url, raw_check, of)?),
        _ => {
            return Err(wrong(
                "a check is either a command or http: write one of both",
            ))
        }
    };
    if let (Some(status), Probe::Command(..)) = (&raw_check.status, &probe) {
        let reason = "a status is expected of http only: a command succeeds with status 0";
        return Err((status.span(), reason.to_owned()));
    }
    let or = |given: &Option<Spanned<i64>>, what, range, or| match given {
        Some(given) => number(given, what, range),
        None => Ok(or),
    };
    let interval = or(&raw_check.interval, "interval", INTERVALS, DEFAULT_INTERVAL)?;
    let timeout = or(&raw_check.timeout, "timeout", TIMEOUTS, interval)?;
    Ok(Check {
        probe,
        interval: Duration::from_millis(interval.into()),
        timeout: Duration::from_millis(timeout.into()),
        rise: or(&raw_check.rise, "rise", COUNTS, DEFAULT_RISE)?,
        fall: or(&raw_check.fall, "fall", COUNTS, DEFAULT_FALL)?,
    })
}

fn command(words: &Spanned<Text>) -> Result<Probe, Found> {
    let all = match words.get_ref() {
        Text::Line(word) => std::slice::from_ref(word),
        Text::Lines(words) => words,
    };
    let wrong = |reason: String| Err((words.span(), reason));
    let Some((program, more)) = all.split_first() else {
        return wrong("a command has a program: write its name".to_owned());
    };
    if all.iter().any(|word| word.contains('\0')) {
        return wrong("a word of a command has a null character: remove it".to_owned());
    }
    match program.is_empty() || program.contains('/') || program.starts_with('.') {
        true => wrong(format!(
            "\"{program}\" is no name of a program in the folder \"checks\" beside the file: put the \
             program there on each node, and write its name"
        )),
        false => Ok(Probe::Command(program.clone(), more.to_vec())),
    }
}

fn question(url: &Spanned<String>, raw: &RawCheck, of: &ClusterName) -> Result<Question, Found> {
    let text = url.get_ref();
    let found = match text.starts_with('/') {
        true => own(of).map(|at| (at, text.clone())),
        false => elsewhere(text),
    };
    let is_plain = |(_, path): &(SocketAddr, String)| path.chars().all(|c| c.is_ascii_graphic());
    let (at, path) = found.filter(is_plain).ok_or_else(|| {
        let reason = format!(
            "\"{text}\" is nothing to ask: write it as http://127.0.0.1:8080/health, or as /health \
             to ask at the address and port of the cluster IP, if it has a port"
        );
        (url.span(), reason)
    })?;
    let status = raw.status.as_ref();
    let status = status.map(|status| number(status, "status", STATUSES));
    Ok(Question {
        at,
        path,
        status: status.transpose()?,
    })
}

/// Where the cluster IP itself is asked.
fn own(of: &ClusterName) -> Option<SocketAddr> {
    (of.port != 0).then(|| SocketAddr::new(of.address, of.port))
}

/// What a URL says, whose host is an address.
fn elsewhere(text: &str) -> Option<(SocketAddr, String)> {
    let rest = text.strip_prefix("http://")?;
    let (host, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let alone = || Some(SocketAddr::new(bare.unwrap_or(host).parse().ok()?, HTTP));
    let at = host.parse().ok().or_else(alone)?;
    (at.port() != 0).then(|| (at, path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::check::read;
    use super::super::check::tests::{file, refused};
    use super::*;

    fn one(lines: &str) -> Check {
        let port = "ip = \"198.51.100.7\"\nprotocol = \"tcp\"\nport = 80\ndevice = \"eth0\"";
        let config = read(&file(&format!("{port}\n{lines}"))).expect(lines);
        config.addresses[0].check.clone().expect(lines)
    }

    fn asks(lines: &str) -> Question {
        match one(lines).probe {
            Probe::Http(question) => question,
            Probe::Command(..) => panic!("{lines}"),
        }
    }

    #[test]
    fn a_check_is_read_with_its_defaults() {
        let web = one("check = { command = \"web\" }");
        assert_eq!(web.probe, Probe::Command("web".to_owned(), Vec::new()));
        let two = Duration::from_secs(2);
        assert_eq!((web.interval, web.timeout), (two, two));
        assert_eq!((web.rise, web.fall), (2, 3));
        let table = "[address.check]\ncommand = [\"web\", \"-v\"]\ninterval = 500\ntimeout = 400\n\
                     rise = 1\nfall = 1";
        let web = one(table);
        let words = vec!["-v".to_owned()];
        assert_eq!(web.probe, Probe::Command("web".to_owned(), words));
        assert_eq!(web.interval, Duration::from_millis(500));
        assert_eq!(web.timeout, Duration::from_millis(400));
        assert_eq!((web.rise, web.fall), (1, 1));
    }

    #[test]
    fn a_url_names_an_address() {
        for (url, at, path) in [
            ("http://127.0.0.1:8080/a?b", "127.0.0.1:8080", "/a?b"),
            ("http://127.0.0.1", "127.0.0.1:80", "/"),
            ("http://[::1]:81/", "[::1]:81", "/"),
            ("http://[::1]/x", "[::1]:80", "/x"),
            ("/health", "198.51.100.7:80", "/health"),
        ] {
            let question = asks(&format!("check = {{ http = \"{url}\" }}"));
            assert_eq!(
                (question.at.to_string(), &*question.path),
                (at.to_owned(), path)
            );
            assert_eq!(question.status, None);
        }
        let question = asks("check = { http = \"/\", status = 204 }");
        assert_eq!(question.status, Some(204));
    }

    #[test]
    fn what_is_no_check_is_refused() {
        let address = "ip = \"198.51.100.7\"\ndevice = \"eth0\"\ncheck = ";
        for (check, told) in [
            ("{}", "one of both"),
            ("{ command = \"a\", http = \"/\" }", "one of both"),
            ("{ command = \"/bin/true\" }", "in the folder"),
            ("{ command = \"..\" }", "in the folder"),
            ("{ command = [] }", "has a program"),
            ("{ command = \"a\", status = 200 }", "of http only"),
            ("{ command = \"a\", shell = true }", "shell"),
            ("{ command = \"a\", interval = 99 }", "out of range"),
            ("{ command = \"a\", timeout = 9 }", "out of range"),
            ("{ command = \"a\", rise = 0 }", "out of range"),
            ("{ http = \"https://127.0.0.1/\" }", "nothing to ask"),
            ("{ http = \"http://localhost/\" }", "nothing to ask"),
            ("{ http = \"http://127.0.0.1:0/\" }", "nothing to ask"),
            ("{ http = \"http://127.0.0.1/a b\" }", "nothing to ask"),
            // It has no port.
            ("{ http = \"/\" }", "if it has a port"),
            (
                "{ http = \"http://127.0.0.1/\", status = 99 }",
                "out of range",
            ),
        ] {
            refused(&file(&format!("{address}{check}")), 18, told);
        }
    }
}
