// SPDX-License-Identifier: GPL-2.0
//! The two halves of a meeting of two agents, from a connected socket to one that both know
//! the other end of.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::introduce::{read_verdict, write_verdict, Introduction};
use super::keys::{fingerprint, Keys};
use super::roster::Roster;
use super::timed::Timed;
use super::tls::{self, Purpose, Session, Trouble};
use super::verify::Verifier;
use crate::cluster::file::links::Machine;

/// How long a meeting may take, from the first byte to the last.
pub const LIMIT: Duration = Duration::from_secs(5);

/// Who this machine is, and whom it may meet.
#[derive(Debug)]
pub struct Me {
    /// Machines of the file.
    pub roster: Roster,
    /// The key of this one, unless links are not secure.
    pub keys: Option<Keys>,
}

/// A connection to a machine of the file.
pub struct Met {
    /// Which it is.
    pub peer: Machine,
    /// What it is for.
    pub purpose: Purpose,
    /// The connection.
    pub line: Line,
}

/// A connection, encrypted or not.
pub enum Line {
    /// It is.
    Secure(Box<Session>),
    /// It is not, and nobody has proved anything.
    Plain(Timed),
}

impl Line {
    /// Gives it to the kernel as it is, with what encrypts it.
    pub fn into_kernel(self) -> io::Result<TcpStream> {
        match self {
            Self::Secure(session) => session.into_kernel()?.try_into(),
            Self::Plain(timed) => timed.try_into(),
        }
    }

    /// From now on it may take until then.
    pub fn extend(&mut self, until: Instant) {
        match self {
            Self::Secure(session) => session.extend(until),
            Self::Plain(timed) => timed.extend(until),
        }
    }
}

impl Read for Line {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Secure(session) => session.read(into),
            Self::Plain(timed) => timed.read(into),
        }
    }
}

impl Write for Line {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match self {
            Self::Secure(session) => session.write(from),
            Self::Plain(timed) => timed.write(from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Secure(session) => session.flush(),
            Self::Plain(timed) => timed.flush(),
        }
    }
}

/// What went wrong with a connection, as a part of a sentence about the other side.
pub(super) fn connection(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            "it takes too long to answer".to_owned()
        }
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => "it has closed the connection without a word".to_owned(),
        io::ErrorKind::InvalidData => "it does not introduce itself as an agent does".to_owned(),
        _ => error.to_string(),
    }
}

/// The side that connects, to this machine, for this.
pub fn connect(me: &Me, peer: &Machine, purpose: Purpose, socket: Timed) -> Result<Met, String> {
    let line = match (&me.keys, peer.fingerprint) {
        (Some(keys), Some(fingerprint)) => {
            let verifier = Verifier::of(fingerprint);
            let session = tls::certified(keys)
                .and_then(|own| tls::client(own, verifier.clone(), &[purpose.name()]))
                .map_err(Trouble::Tls)
                .and_then(|connection| Session::begin(connection, socket));
            let session = session.map_err(|trouble| verifier.explain(&trouble))?;
            if session.purpose() != Some(purpose) {
                return Err("it has not agreed to what the connection is for".to_owned());
            }
            Line::Secure(Box::new(session))
        }
        (None, _) => Line::Plain(socket),
        (Some(_), None) => return Err("it has no fingerprint in the file".to_owned()),
    };
    let met = Met {
        peer: peer.clone(),
        purpose,
        line,
    };
    introduced(me, met)
}

/// The first half of what the connecting side says, and its verdict.
fn introduced(me: &Me, mut met: Met) -> Result<Met, String> {
    let own = me.roster.introduction();
    let line = &mut met.line;
    let heard = own
        .write(line)
        .and_then(|()| line.flush())
        .and_then(|()| Introduction::read(line))
        .and_then(|other| Ok((other, read_verdict(line)?)));
    let (other, verdict) = heard.map_err(|error| explained(line, &error))?;
    let refusal = own.refuses(&other, Some(met.peer.id.get()));
    // Who is refused says why better than who refuses.
    if let Some(why) = verdict {
        return Err(refusal.unwrap_or_else(|| format!("it says: {why}")));
    }
    let said = write_verdict(line, refusal.as_deref()).and_then(|()| line.flush());
    match refusal {
        Some(why) => Err(why),
        None => said.map(|()| met).map_err(|error| connection(&error)),
    }
}

/// An error of a session may be an alert: the other side has checked this one's certificate when
/// its own handshake is over, which is before it says anything else.
fn explained(line: &Line, error: &io::Error) -> String {
    let alert = error.get_ref().and_then(|it| it.downcast_ref());
    match (line, alert) {
        (Line::Secure(_), Some(alert)) => {
            let alert: &rustls::Error = alert;
            Verifier::among(Vec::new()).explain(&Trouble::Tls(alert.clone()))
        }
        _ => connection(error),
    }
}

/// The side that listens.
pub fn accept(me: &Me, socket: Timed) -> Result<Met, String> {
    let Some(keys) = &me.keys else {
        return welcomed(me, None, Purpose::Link, Line::Plain(socket));
    };
    let peers = &me.roster.peers;
    let known = peers.iter().filter_map(|peer| peer.fingerprint);
    let verifier = Verifier::among(known.collect());
    let session = tls::certified(keys)
        .and_then(|own| tls::server(own, verifier.clone()))
        .map_err(Trouble::Tls)
        .and_then(|connection| Session::begin(connection, socket));
    let session = session.map_err(|trouble| verifier.explain(&trouble))?;
    let Some(purpose) = session.purpose() else {
        return Err("it does not say what the connection is for".to_owned());
    };
    let shown = session.certificate().map(fingerprint);
    let mut peers = peers.iter();
    let peer = peers.find(|peer| shown.is_some() && peer.fingerprint == shown);
    let peer = peer.ok_or("it shows no certificate of the file")?.clone();
    welcomed(me, Some(peer), purpose, Line::Secure(Box::new(session)))
}

/// Hears who it is, if that is not proved yet, and says whether that is well.
fn welcomed(
    me: &Me,
    proved: Option<Machine>,
    purpose: Purpose,
    mut line: Line,
) -> Result<Met, String> {
    let own = me.roster.introduction();
    let other = Introduction::read(&mut line).map_err(|error| explained(&line, &error))?;
    let who = proved.as_ref().map(|peer| peer.id.get());
    let peer = proved.or_else(|| me.roster.peer(other.machine).cloned());
    let refusal = own.refuses(&other, who).or_else(|| match &peer {
        None => Some(format!(
            "it is machine {}, which is not in the file",
            other.machine
        )),
        Some(peer) if purpose == Purpose::Link && peer.id > me.roster.own.id => Some(
            "the machine with the lower id is to connect: give all machines the same file"
                .to_owned(),
        ),
        Some(_) => None,
    });
    // What is told is about this machine, for whom it is told.
    let told = refusal.as_ref().map(|_| {
        other
            .refuses(&own, Some(own.machine))
            .or_else(|| {
                refusal
                    .clone()
                    .map(|why| format!("you are refused, as {}", about_you(&why)))
            })
            .unwrap_or_default()
    });
    let answer = own
        .write(&mut line)
        .and_then(|()| write_verdict(&mut line, told.as_deref()))
        .and_then(|()| line.flush());
    if let Some(why) = refusal {
        return Err(why);
    }
    let verdict = answer.and_then(|()| read_verdict(&mut line));
    match (verdict.map_err(|error| explained(&line, &error))?, peer) {
        (None, Some(peer)) => Ok(Met {
            peer,
            purpose,
            line,
        }),
        (why, _) => Err(format!("it says: {}", why.unwrap_or_default())),
    }
}

/// The same said to the one that it is said of.
fn about_you(why: &str) -> String {
    match why.strip_prefix("it is ") {
        Some(rest) => format!("you are {rest}"),
        None => why.to_owned(),
    }
}

#[cfg(test)]
#[path = "meet_tests.rs"]
mod tests;
