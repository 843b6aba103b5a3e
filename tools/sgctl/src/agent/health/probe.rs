// SPDX-License-Identifier: GPL-2.0
//! One check: a program that is run, or a question by HTTP, which both have a time limit.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{kill_process_group, pidfd_open, Pid, PidfdFlags, Signal};

use super::super::timed::Timed;
use super::{Job, Outcome};
use crate::cluster::file::checks::{Probe, Question};

/// As far as the first line of an answer may go.
const LINE: usize = 1024;

/// Does a check.
pub(super) fn run(job: &Job) -> Outcome {
    let until = Instant::now() + job.timeout;
    match &job.probe {
        Probe::Command(program, words) => command(job, program, words, until),
        Probe::Http(question) => http(question, job.timeout, until),
    }
}

/// Runs a program, in a process group of its own, which is ended if it takes too long.
fn command(job: &Job, program: &str, words: &[String], until: Instant) -> Outcome {
    let program = job.folder.join(program);
    let name = &job.name;
    let child = Command::new(&program)
        .args(words)
        .env("SERVICE_GROUP_ADDRESS", name.address.to_string())
        .env("SERVICE_GROUP_PROTOCOL", name.protocol.to_string())
        .env("SERVICE_GROUP_PORT", name.port.to_string())
        .env_remove("NOTIFY_SOCKET")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .process_group(0)
        .spawn();
    let failed =
        |what, error: &io::Error| format!("{} cannot be {what}: {error}", program.display());
    let mut child = child.map_err(|error| failed("run", &error))?;
    let is_over = ends(&child, until);
    if !matches!(is_over, Ok(true)) {
        // It is not waited for yet, so that the number is no other group's.
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    }
    let status = child.wait().map_err(|error| failed("waited for", &error))?;
    match is_over {
        Ok(true) => succeeded(status),
        Ok(false) => Err(format!("the check took longer than {}", time(job.timeout))),
        Err(error) => Err(failed("waited for", &error.into())),
    }
}

/// Whether a program ends until then. It is not waited for afterwards.
fn ends(child: &Child, until: Instant) -> Result<bool, Errno> {
    let pid = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let mut fds = [PollFd::new(&pid, PollFlags::IN)];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
        match poll(&mut fds, Some(&left)) {
            Err(Errno::INTR) => {}
            seen => return seen.map(|count| count > 0),
        }
    }
}

fn succeeded(status: ExitStatus) -> Outcome {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(format!("the check ends with status {code}")),
        (None, signal) => Err(format!("signal {} ends the check", signal.unwrap_or(0))),
    }
}

fn time(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

/// Asks, and looks at the status of the answer.
fn http(question: &Question, timeout: Duration, until: Instant) -> Outcome {
    let Question { at, path, status } = question;
    let told = |error: io::Error| match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            format!("{at} does not answer within {}", time(timeout))
        }
        io::ErrorKind::ConnectionRefused => format!("nobody listens at {at}"),
        io::ErrorKind::InvalidData => format!("{at} does not answer as HTTP does"),
        io::ErrorKind::UnexpectedEof => format!("{at} closes the connection without an answer"),
        _ => format!("{at} cannot be asked: {error}"),
    };
    let found = TcpStream::connect_timeout(at, timeout).and_then(|socket| {
        let mut socket = Timed::new(socket, until);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {at}\r\nUser-Agent: sgctl\r\nAccept: */*\r\n\
             Connection: close\r\n\r\n"
        );
        socket.write_all(request.as_bytes())?;
        answer(&mut socket)
    });
    let found = found.map_err(told)?;
    let is_expected = match status {
        Some(status) => found == *status,
        None => (200..=399).contains(&found),
    };
    match is_expected {
        true => Ok(()),
        false => Err(format!("{at} answers with status {found}")),
    }
}

/// The status in the first line of an answer.
fn answer(from: &mut impl Read) -> io::Result<u32> {
    let mut bytes = Vec::new();
    let mut some = [0; 256];
    while !bytes.contains(&b'\n') && bytes.len() < LINE {
        match from.read(&mut some)? {
            0 if bytes.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            0 => break,
            count => bytes.extend(some.iter().take(count)),
        }
    }
    let line = bytes.split(|byte| *byte == b'\n').next();
    let line = std::str::from_utf8(line.unwrap_or_default()).unwrap_or_default();
    status_of(line).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn status_of(line: &str) -> Option<u32> {
    let mut words = line.trim_end().splitn(3, ' ');
    let version = words.next()?;
    let status = words.next().filter(|word| word.len() == 3)?;
    version.strip_prefix("HTTP/1.")?;
    status.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::file::store::tests::folder_of;
    use service_group::netlink::ClusterName;
    use std::fs;
    use std::net::TcpListener;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};
    use std::thread;

    /// As long as no test takes.
    const LONG: Duration = Duration::from_secs(60);

    fn job(folder: &Path, probe: Probe, timeout: Duration) -> Job {
        let name = ClusterName {
            address: [198, 51, 100, 7].into(),
            protocol: 6,
            port: 80,
        };
        Job {
            name,
            serial: 1,
            probe,
            timeout,
            folder: folder.to_owned(),
        }
    }

    /// A folder with a program of the shell.
    fn program(name: &str, text: &str) -> PathBuf {
        let folder = folder_of(name);
        let program = folder.join("web");
        fs::write(&program, format!("#!/bin/sh\n{text}\n")).expect("it is ours");
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&program, mode).expect("it is ours");
        folder
    }

    fn runs(folder: &Path, words: &[&str], timeout: Duration) -> Outcome {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let probe = Probe::Command("web".to_owned(), words);
        // Another test's child may have the new program open for writing.
        loop {
            let outcome = run(&job(folder, probe.clone(), timeout));
            if !matches!(&outcome, Err(why) if why.contains("busy")) {
                return outcome;
            }
        }
    }

    #[test]
    fn a_programs_status_is_the_outcome() {
        let folder = program(
            "check-status",
            "[ \"$SERVICE_GROUP_ADDRESS $SERVICE_GROUP_PORT\" = '198.51.100.7 80' ] || exit 9\n\
             case $1 in 0 | 7) exit \"$1\" ;; *) exit 2 ;; esac",
        );
        assert_eq!(runs(&folder, &["0"], LONG), Ok(()));
        let told = runs(&folder, &["7"], LONG).expect_err("it fails");
        assert_eq!(told, "the check ends with status 7");
        // No shell looks at words.
        let told = runs(&folder, &["0; exit 3"], LONG).expect_err("it fails");
        assert!(told.contains("status 2"), "{told}");
        fs::remove_file(folder.join("web")).expect("it is there");
        let told = runs(&folder, &[], LONG).expect_err("it is not there");
        assert!(told.contains("cannot be run"), "{told}");
        fs::remove_dir_all(folder).expect("it is ours");
    }

    #[test]
    fn what_takes_too_long_is_ended_with_all_that_it_has_begun() {
        let folder = folder_of("check-group");
        let fifo = folder.join("fifo");
        let made = Command::new("mkfifo").arg(&fifo).status();
        assert!(made.is_ok_and(|status| status.success()));
        let text = format!("exec 3<>{0}\nsleep 1000 3>{0} &\nwait", fifo.display());
        let web = program("check-group-program", &text);
        let told = runs(&web, &[], Duration::from_millis(300)).expect_err("it is ended");
        assert_eq!(told, "the check took longer than 300ms");
        // Nobody has it open for writing any more: there is nobody to wait for.
        let read = rustix::fs::open(
            &fifo,
            rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK,
            rustix::fs::Mode::empty(),
        );
        assert_eq!(read.err(), Some(Errno::NXIO));
        fs::remove_dir_all(folder).expect("it is ours");
        fs::remove_dir_all(web).expect("it is ours");
    }

    /// Asks one that answers with this; the question, and what comes of it.
    fn asks(said: &'static str, status: Option<u32>, timeout: Duration) -> (String, Outcome) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("it is free");
        let at = listener.local_addr().expect("it is bound");
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("it connects");
            let mut bytes = [0; 1024];
            let count = socket.read(&mut bytes).expect("it asks");
            let _ = socket.write_all(said.as_bytes());
            if said.is_empty() {
                // Until it gives up.
                let _ = socket.read(&mut bytes);
            }
            String::from_utf8_lossy(&bytes[..count]).into_owned()
        });
        let path = "/health".to_owned();
        let probe = Probe::Http(Question { at, path, status });
        let outcome = run(&job(Path::new("/"), probe, timeout));
        (server.join().expect("it ends"), outcome)
    }

    #[test]
    fn the_status_of_an_answer_is_the_outcome() {
        let (asked, outcome) = asks("HTTP/1.1 200 OK\r\n\r\n", None, LONG);
        assert!(
            asked.starts_with("GET /health HTTP/1.1\r\nHost: 127.0.0.1:"),
            "{asked}"
        );
        assert_eq!(outcome, Ok(()));
        for (said, status, told) in [
            ("HTTP/1.0 302 Found\n", None, None),
            ("HTTP/1.1 204\r\n", Some(204), None),
            ("HTTP/1.1 200 OK\r\n", Some(204), Some("with status 200")),
            ("HTTP/1.1 503 No\r\n", None, Some("with status 503")),
            ("HTTP/1.1 503", Some(503), None),
            ("SSH-2.0-OpenSSH\r\n", None, Some("as HTTP does")),
            ("HTTP/1.1 2000 OK\r\n", None, Some("as HTTP does")),
        ] {
            let (_, outcome) = asks(said, status, LONG);
            let why = outcome.err();
            assert_eq!(why.is_some(), told.is_some(), "{said}: {why:?}");
            assert!(
                why.unwrap_or_default().contains(told.unwrap_or_default()),
                "{said}"
            );
        }
    }

    #[test]
    fn who_does_not_answer_is_told() {
        let (_, outcome) = asks("", None, Duration::from_millis(200));
        let why = outcome.expect_err("it is silent");
        assert!(why.contains("does not answer within 200ms"), "{why}");
        let listener = TcpListener::bind("127.0.0.1:0").expect("it is free");
        let at = listener.local_addr().expect("it is bound");
        drop(listener);
        let path = "/".to_owned();
        let status = None;
        let probe = Probe::Http(Question { at, path, status });
        let why = run(&job(Path::new("/"), probe, LONG)).expect_err("nobody listens");
        assert!(why.starts_with("nobody listens at"), "{why}");
    }
}
