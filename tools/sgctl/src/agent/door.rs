// SPDX-License-Identifier: GPL-2.0
//! The socket that the agent listens at, and the threads of what comes there.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::{retry_on_intr, Errno};
use rustix::net::sockopt::{set_socket_timeout, Timeout};
use rustix::net::{bind, connect, shutdown, socket_with};
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType};

use super::gate::{Gate, Place};
use super::meet::{self, Me, Met, LIMIT};
use super::timed::Timed;
use super::tls::Purpose;
use super::{offer, News};
use crate::cluster::file::links::Machine;
use crate::listen::refusal;
use crate::{output, Failure};

/// How long to wait when the system gives no connection, as when there are no descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Who this machine is, as the threads see it; another one after a change of the file.
pub type Shared = Arc<RwLock<Arc<Me>>>;

/// The socket that is listened at, until this is gone.
pub struct Door {
    /// Where it is.
    pub at: SocketAddr,
    listener: Arc<TcpListener>,
}

/// What one side of a meeting has come to.
pub type Outcome = Result<Met, String>;

impl Door {
    /// Listens there, and tells what comes of each connection.
    pub fn open(
        at: SocketAddr,
        me: Shared,
        gate: Gate,
        news: SyncSender<News>,
    ) -> Result<Self, Failure> {
        let listener = TcpListener::bind(at).map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            Failure::new(refusal(at, errno))
        })?;
        let listener = Arc::new(listener);
        let door = Self {
            at,
            listener: listener.clone(),
        };
        let listens = move || listen(&listener, &me, &gate, &news);
        spawn("accept", listens)?;
        Ok(door)
    }
}

impl Drop for Door {
    /// The thread that waits for connections ends.
    fn drop(&mut self) {
        let _ = shutdown(&self.listener, Shutdown::Both);
    }
}

/// Starts a thread.
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(work);
    started
        .map(|_| ())
        .map_err(|error| Failure::new(format!("no thread could be started: {error}")))
}

fn listen(listener: &TcpListener, me: &Shared, gate: &Gate, news: &SyncSender<News>) {
    loop {
        let (socket, from) = match listener.accept() {
            Ok(both) => both,
            // It was shut down.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
            Err(_) => {
                thread::sleep(PAUSE);
                continue;
            }
        };
        let me = me.read().unwrap_or_else(PoisonError::into_inner).clone();
        let ip = from.ip().to_canonical();
        let is_known = me.roster.peers.iter().any(|peer| peer.listen.ip() == ip);
        let Some(place) = gate.enter(ip, is_known, &socket) else {
            continue;
        };
        let news = news.clone();
        if let Err(failure) = spawn("meet", move || met(&me, (socket, from), place, &news)) {
            output::note(&failure.to_string());
        }
    }
}

/// One connection that came.
fn met(
    me: &Me,
    (socket, from): (TcpStream, SocketAddr),
    mut place: Place,
    news: &SyncSender<News>,
) {
    let outcome = prepared(socket).and_then(|socket| meet::accept(me, socket));
    if outcome.is_ok() && !place.prove() {
        return;
    }
    let outcome = match outcome {
        Ok(met) if met.purpose == Purpose::Control => match offer::hear(met, news) {
            Ok(()) => return,
            Err(why) => Err(why),
        },
        outcome => outcome,
    };
    // The agent may be ending. No thread waits for it because of who has proved nothing: that is only logged.
    let _ = match outcome {
        Ok(_) => news.send(News::Came(from, outcome)).is_ok(),
        Err(_) => news.try_send(News::Came(from, outcome)).is_ok(),
    };
    drop(place);
}

/// Connects to a machine, and tells what came of it.
pub fn call(me: &Me, id: u32, news: &SyncSender<News>) {
    let outcome = me.roster.peer(id).map(|peer| {
        let socket = reach(me, peer);
        socket.and_then(|socket| meet::connect(me, peer, Purpose::Link, socket))
    });
    let gone = || Err("it is not in the file any more".to_owned());
    let _ = news.send(News::Called(id, outcome.unwrap_or_else(gone)));
}

/// A connection to a machine, from the address at which this one listens: the kernel may choose a
/// cluster IP, and answers to that go to the owner of the connection.
pub fn reach(me: &Me, peer: &Machine) -> Result<Timed, String> {
    let socket = connected(me.roster.own.listen.ip(), peer.listen);
    let socket = socket.map_err(|errno| {
        let error = match errno {
            // So ends the time limit of a socket that blocks.
            Errno::INPROGRESS => io::ErrorKind::TimedOut.into(),
            errno => errno.into(),
        };
        unreached(peer.listen, &error)
    });
    socket.and_then(prepared)
}

fn connected(from: IpAddr, to: SocketAddr) -> Result<TcpStream, Errno> {
    let family = match to {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    if from.is_ipv4() == to.is_ipv4() {
        // Without that address the kernel chooses.
        let _ = bind(&socket, &SocketAddr::new(from, 0));
    }
    set_socket_timeout(&socket, Timeout::Send, Some(LIMIT))?;
    retry_on_intr(|| connect(&socket, &to))?;
    Ok(socket.into())
}

/// Why a machine could not be connected to, as a part of a sentence about it.
fn unreached(at: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            format!("nobody listens at {at}: start its agent, or correct its address or port")
        }
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            format!("{at} does not answer: it is down, or a firewall drops the packets")
        }
        _ => format!("{at} cannot be reached: {error}"),
    }
}

/// A socket whose meeting begins now.
fn prepared(socket: TcpStream) -> Result<Timed, String> {
    let until = Instant::now() + LIMIT;
    let set = socket.set_nodelay(true);
    set.map_err(|error| meet::connection(&error))?;
    Ok(Timed::new(socket, until))
}
