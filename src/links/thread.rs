// SPDX-License-Identifier: GPL-2.0

//! What a link's thread does: it receives frames, sends heartbeats, and ends the link.
//!
//! It alone waits for the lock of its socket, under no lock of its own, and nobody waits for it. The memory
//! for a peer is what is here: one frame each way. A heartbeat that cannot be sent holds the next one back.

#![forbid(unsafe_code)]

use super::{
    peer::{ms, ns, Peer, Reason},
    Link,
    Links, //
};
use crate::{
    logic::links::{
        heartbeat::{Heartbeat, Loads, MAX_HEARTBEAT_LEN},
        hello::Hello,
        liveness::Said,
        wire::{write_bye, Frames, Message, Progress, MAX_FRAME_LEN}, //
    },
    sys::{
        core::{
            clock::{now, NS_OF_S},
            work::cond_resched, //
        },
        socket::link::Waiter, //
    },
};
use kernel::{
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    },
};

/// After so many heartbeats that could not be sent the peer does not read.
const MOST_HELD_BACK: u64 = 10;

/// What a link's thread has.
pub(crate) struct Thread {
    link: Arc<Link>,
    frames: Frames,
    input: KVVec<u8>,
    /// How many bytes are in it.
    filled: usize,
    output: KVVec<u8>,
    /// Which part of it is to be sent.
    pending: (usize, usize),
    /// How many frames were written.
    written: u32,
    /// When the latest one was.
    wrote: u64,
    /// The latest time that the peer has told.
    echo: u64,
    /// When it was looked whether the namespace is left.
    looked: u64,
}

impl Thread {
    pub(super) fn new(link: Arc<Link>) -> Result<KBox<Self>> {
        let thread = Self {
            link,
            frames: Frames::new(),
            input: KVVec::from_elem(0, MAX_FRAME_LEN, GFP_KERNEL_ACCOUNT)?,
            filled: 0,
            output: KVVec::from_elem(0, MAX_HEARTBEAT_LEN, GFP_KERNEL_ACCOUNT)?,
            pending: (0, 0),
            written: 0,
            wrote: now(),
            echo: 0,
            looked: now(),
        };
        Ok(KBox::new(thread, GFP_KERNEL_ACCOUNT)?)
    }

    /// Until the link ends.
    pub(crate) fn run(mut self, waiter: &Waiter) {
        let link = self.link.clone();
        let links = link.socket.net().links();
        link.socket.begin(waiter);
        let reason = loop {
            if let Err(reason) = self.turn(links, waiter) {
                break reason;
            }
            cond_resched();
        };
        links.ended(&link, reason);
        self.say_bye(waiter);
        link.socket.shut(waiter);
        links.forget(&link);
    }

    /// Does what there is to do, and waits for more.
    fn turn(&mut self, links: &Links, waiter: &Waiter) -> Result<(), Reason> {
        if let Some(reason) = self.link.end() {
            return Err(reason);
        }
        let is_idle = !self.receive(links, waiter)?;
        let heartbeat = self.send(links, waiter)?;
        if now().saturating_sub(self.looked) >= NS_OF_S {
            self.looked = now();
            let count = links.state.lock().links.len();
            if self.link.socket.is_abandoned(count) {
                return Err(Reason::REMOVED);
            }
        }
        if is_idle {
            let since = now().saturating_sub(self.wrote);
            // What could not be sent is tried again now and then.
            let due = match self.is_pending() {
                true => heartbeat / 4,
                false => heartbeat.saturating_sub(since),
            };
            self.link.socket.wait(due, waiter);
        }
        Ok(())
    }

    // ---- Receiving ----

    /// Whether something has come.
    fn receive(&mut self, links: &Links, waiter: &Waiter) -> Result<bool, Reason> {
        let room = self.input.get_mut(self.filled..).unwrap_or(&mut []);
        let received = self.link.socket.receive(room, waiter);
        let bytes = match received.map_err(|error| self.broken(error))? {
            None => return Ok(false),
            Some(0) => return Err(Reason::CLOSED),
            Some(bytes) => bytes,
        };
        self.filled = self.filled.saturating_add(bytes);
        let taken = self.take_frames(links)?;
        // A peer may send a long frame a byte at a time.
        if taken > 0 {
            self.input.copy_within(taken..self.filled, 0);
            self.filled = self.filled.saturating_sub(taken);
        }
        Ok(true)
    }

    /// Reads the frames that are complete. Returns how many bytes they have.
    fn take_frames(&mut self, links: &Links) -> Result<usize, Reason> {
        let mut taken: usize = 0;
        loop {
            let received = self.input.get(taken..self.filled).unwrap_or(&[]);
            let (header, body) = match self.frames.next(received)? {
                Progress::More(_) => return Ok(taken),
                Progress::Frame(header, body) => (header, body),
            };
            self.link.traffic.received(header.frame_len());
            let message = Message::parse(header, body)?;
            if let Message::Heartbeat(heartbeat) = &message {
                self.echo = heartbeat.sent;
            }
            take(message, &self.link, links)?;
            taken = taken.saturating_add(header.frame_len());
        }
    }

    /// Why a link ends whose socket has this error.
    fn broken(&self, error: Error) -> Reason {
        match error {
            ECONNRESET | EPIPE | ETIMEDOUT | ENOTCONN => Reason::RESET,
            ENOMEM => Reason::ERROR,
            _ if self.link.socket.is_secure() => Reason::CRYPTO,
            _ => Reason::ERROR,
        }
    }

    // ---- Sending ----

    /// Sends what is due, as far as that can be sent. Returns how often that is, in nanoseconds.
    fn send(&mut self, links: &Links, waiter: &Waiter) -> Result<u64, Reason> {
        self.flush(waiter)?;
        let heartbeat = self.write_due(links)?;
        let since = now().saturating_sub(self.wrote);
        if self.is_pending() && since > heartbeat.saturating_mul(MOST_HELD_BACK) {
            return Err(Reason::OVERFLOW);
        }
        self.flush(waiter)?;
        Ok(heartbeat)
    }

    fn is_pending(&self) -> bool {
        let (begin, end) = self.pending;
        begin < end
    }

    /// Writes the next frame, if one is due and there is room. Returns how often that is.
    fn write_due(&mut self, links: &Links) -> Result<u64, Reason> {
        let state = links.state.lock();
        let machine = state.machine.as_ref().ok_or(Reason::REMOVED)?;
        let heartbeat = ns(machine.heartbeat);
        if self.is_pending() {
            return Ok(heartbeat);
        }
        let length = if self.written == 0 {
            let (id, cluster) = (machine.id, machine.cluster);
            let hello = Hello::new(id, cluster, links.boot, machine.heartbeat, state.epoch);
            hello.write(&mut self.output)
        } else if self.is_due(heartbeat) {
            let silence = now().saturating_sub(self.link.heard.load(Relaxed));
            let is_away = |peer: &Peer| peer.was_away || peer.live.is_away();
            let is_held = |peer: &Peer| peer.live.is_held();
            let heartbeat = Heartbeat {
                sent: now(),
                echo: self.echo,
                heard: u32::try_from(ms(silence)).unwrap_or(u32::MAX),
                ready: state.is_ready(),
                away: machine.get(self.link.peer).is_some_and(is_away),
                held: machine.get(self.link.peer).is_some_and(is_held),
                epoch: state.epoch,
                period: machine.heartbeat,
                loads: Loads::Given(&state.loads),
            };
            heartbeat.write(self.written, &mut self.output)
        } else {
            return Ok(heartbeat);
        };
        self.wrote(length.ok_or(Reason::ERROR)?);
        Ok(heartbeat)
    }

    /// The first heartbeat comes behind the hello.
    fn is_due(&self, heartbeat: u64) -> bool {
        let is_hurried = self.link.hurry.load(Relaxed);
        self.link.hurry.store(false, Relaxed);
        is_hurried || self.written == 1 || now().saturating_sub(self.wrote) >= heartbeat
    }

    /// A frame of this length is to be sent.
    fn wrote(&mut self, length: usize) {
        self.pending = (0, length);
        self.written = self.written.wrapping_add(1);
        self.wrote = now();
        self.link.traffic.sent(length);
    }

    fn flush(&mut self, waiter: &Waiter) -> Result<(), Reason> {
        while self.is_pending() {
            let (begin, end) = self.pending;
            let bytes = self.output.get(begin..end).unwrap_or(&[]);
            let sent = self.link.socket.send(bytes, waiter);
            match sent.map_err(|error| self.broken(error))? {
                None | Some(0) => break,
                Some(bytes) => self.pending.0 = begin.saturating_add(bytes),
            }
        }
        Ok(())
    }

    /// Tells the peer why the link ends, if that is possible at once.
    fn say_bye(&mut self, waiter: &Waiter) {
        let reason = self.link.end().map_or(0, Reason::number);
        let reason = u16::try_from(reason).unwrap_or(0);
        if self.is_pending() || self.written == 0 {
            return;
        }
        if let Some(length) = write_bye(reason, self.written, &mut self.output) {
            self.wrote(length);
            // The link ends in any case.
            let _ = self.flush(waiter);
        }
    }
}

/// Does what a message says.
fn take(message: Message<'_>, link: &Link, links: &Links) -> Result<(), Reason> {
    let now = now();
    link.heard.store(now, Relaxed);
    let mut state = links.state.lock();
    let machine = state.machine.as_ref().ok_or(Reason::REMOVED)?;
    let (cluster, own_heartbeat) = (machine.cluster, machine.heartbeat);
    let peer = state.peer_of(link).ok_or(Reason::REMOVED)?;
    match message {
        Message::Hello(hello) => {
            let version = hello.check(&cluster, link.peer)?;
            peer.heartbeat = hello.heartbeat;
            peer.set_heartbeat(own_heartbeat);
            peer.hello = Some((version, hello.boot));
            peer.epoch = hello.epoch;
            peer.is_news |= peer.live.linked(now);
        }
        Message::Heartbeat(heartbeat) => {
            peer.epoch = heartbeat.epoch;
            peer.heartbeat = heartbeat.period;
            peer.set_heartbeat(own_heartbeat);
            let directs_else = peer.set_loads(heartbeat.loads)?;
            let holds_us = core::mem::replace(&mut peer.holds_us, heartbeat.held);
            let said = Said {
                hears_us: heartbeat.heard,
                ready: heartbeat.ready,
                away: heartbeat.away,
                echo: heartbeat.echo,
            };
            peer.is_news |= peer.live.heard(now, said);
            let is_urgent = directs_else || holds_us != heartbeat.held;
            if is_urgent && peer.may_hurry(now, own_heartbeat) {
                links.net().tick_in(0);
            }
        }
        Message::Bye(_) => return Err(Reason::CLOSED),
        Message::Unknown => (),
    }
    Ok(())
}
