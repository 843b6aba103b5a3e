// SPDX-License-Identifier: GPL-2.0
//! What the agent does, one thing after the other.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use service_group::netlink::{Connection, Error, Event, Link};
use signal_hook::consts::SIGHUP;

use super::door::{self, spawn, Door, Outcome, Shared};
use super::gate::Gate;
use super::health::Checks;
use super::keys;
use super::known::Known;
use super::log::{self, Log};
use super::meet::{Me, Met};
use super::notify::{notify, reloading};
use super::own::read;
use super::refusals::{no_tls, not_added, refusal};
use super::schedule::Schedule;
use super::News;
use crate::cli::AgentArgs;
use crate::cluster::apply::{alone, prepare, How};
use crate::cluster::file::links::Machine;
use crate::cluster::file::lock::Lock;
use crate::cluster::file::store::{stamp, Stamp};
use crate::cluster::file::values::hex;
use crate::cluster::file::Config;
use crate::{output, Failure};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The agent of this machine.
pub struct Agent {
    pub(super) file: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) node: Option<String>,
    stamp: Stamp,
    looked: Instant,
    pub(super) kernel: Connection,
    me: Shared,
    known: Known,
    door: Door,
    gate: Gate,
    schedule: Schedule,
    pub(super) checks: Checks,
    pub(super) news: SyncSender<News>,
    pub(super) log: Log,
    /// The states that were told last.
    told: Vec<(u32, String)>,
}

impl Agent {
    /// Does what the file says, and listens.
    pub fn begin(args: &AgentArgs, news: SyncSender<News>) -> Result<Self, Failure> {
        let folder = keys::folder(args.keys.as_deref(), &args.file);
        // A change of the file is applied before the file is replaced: not to be undone.
        let alone = alone(false);
        let stamp = stamp(&args.file);
        let (me, config) = read(&args.file, &folder, args.node.as_deref())?;
        let (at, gate) = (me.roster.own.listen, Gate::default());
        let own = me.roster.own.name.clone();
        let known = Known::load(&folder, &me.roster.links.id)?;
        let me: Shared = Arc::new(RwLock::new(Arc::new(me)));
        let mut agent = Self {
            stamp,
            folder,
            looked: Instant::now(),
            kernel: Connection::open()?,
            // First, so that nothing is done if somebody else listens there.
            door: Door::open(at, me.clone(), gate.clone(), news.clone())?,
            me,
            known,
            gate,
            file: args.file.clone(),
            node: args.node.clone(),
            schedule: Schedule::default(),
            checks: Checks::default(),
            news,
            log: Log::new(args.json),
            told: Vec::new(),
        };
        agent.refuse_another_cluster()?;
        // First, so that cluster IPs of a machine that has been away know that others may have connections.
        agent.expect()?;
        agent.apply(&config, &own, alone)?;
        agent.plan_calls();
        agent.plan_checks(&config)?;
        Ok(agent)
    }

    /// A network namespace has the links of one cluster, which may have an agent of its own.
    fn refuse_another_cluster(&mut self) -> Result<(), Failure> {
        let id = self.me().roster.links.id;
        let machine = self.kernel.machine()?;
        let Some(other) = machine.filter(|machine| machine.cluster != id) else {
            return Ok(());
        };
        Err(Failure::new(format!(
            "this network namespace has links of another cluster, {}: end its agent, and run \"sgctl \
             cluster leave\", or start this agent in another network namespace",
            hex(&other.cluster)
        )))
    }

    /// Says who this is, and that all has begun.
    pub fn greet(&mut self) -> Result<(), Failure> {
        let me = self.me();
        let roster = &me.roster;
        let (own, count) = (
            &roster.own,
            output::count(roster.peers.len(), "other machine"),
        );
        let at = self.door.at;
        let mut text = format!("{} listens at {at}, and expects {count}", own.name);
        if !roster.links.is_secure {
            text += "; its links are neither encrypted nor proved, as link-security is \"none\"";
        }
        self.log.say("begin", &text)?;
        self.look_at_links()?;
        notify("READY=1");
        Ok(())
    }

    pub(super) fn me(&self) -> Arc<Me> {
        let me = self.me.read();
        me.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn apply(&mut self, config: &Config, own: &str, alone: Option<Lock>) -> Result<(), Failure> {
        let how = How {
            node: Some(own),
            dry_run: false,
            goes_on: true,
        };
        let prepared = prepare(&self.file, config, how, alone)?;
        for line in prepared.report.sentences().lines() {
            self.log.say("apply", line)?;
        }
        prepared.carry_out(|| Ok(())).map(|_| ())
    }

    /// Tells the kernel who is expected, and ends the links of keys that the file has no more; the kernel ends
    /// those to others.
    fn expect(&mut self) -> Result<(), Failure> {
        let me = self.me();
        if let Err(failure) = self.known.keep(|id| me.roster.peer(id).is_some()) {
            output::note(&format!("who is gone is remembered: {failure}"));
        }
        let machine = me.roster.machine(&self.known);
        self.kernel.set_machine(&machine).map_err(refusal)?;
        let peers = me.roster.peers.iter();
        for peer in peers.filter(|peer| self.known.has_other_key(peer)) {
            self.kernel.delete_link(peer.id.get()).map_err(refusal)?;
        }
        Ok(())
    }

    fn plan_calls(&mut self) {
        let me = self.me();
        self.schedule.set(me.roster.to_call(), Instant::now());
    }

    /// The kernel is to expect a machine that has proved itself.
    fn know(&mut self, machine: &Machine) -> Result<(), Failure> {
        match self.known.add(machine) {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(failure) => output::note(&format!(
                "that it was linked is forgotten at the next reboot: {failure}"
            )),
        }
        self.expect()
    }

    /// Works until a signal ends it.
    pub fn run(&mut self, inbox: &Receiver<News>) -> Result<(), Failure> {
        loop {
            let now = Instant::now();
            self.call(now);
            self.check(now)?;
            let next = [self.schedule.next(), self.checks.next()];
            let next = next.into_iter().flatten().min();
            let wait = next.map_or(LOOK, |at| at.saturating_duration_since(now).min(LOOK));
            match inbox.recv_timeout(wait) {
                Ok(News::Signal(SIGHUP)) => self.reload()?,
                Ok(News::Signal(_)) => {
                    notify("STOPPING=1");
                    return self.log.say("end", "the agent ends; links go on");
                }
                Ok(News::Kernel(events)) => self.heard(events)?,
                Ok(News::Came(from, outcome)) => self.came(from, outcome)?,
                Ok(News::Called(id, outcome)) => self.called(id, outcome)?,
                Ok(News::Checked(name, serial, outcome)) => self.checked(&name, serial, outcome)?,
                Ok(News::Offered(from, offer, answer)) => {
                    // Whoever has asked may be gone.
                    let _ = answer.send(self.offered(&from, &offer)?);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if now.saturating_duration_since(self.looked) >= LOOK {
                self.looked = now;
                notify("WATCHDOG=1");
                if stamp(&self.file) != self.stamp {
                    self.reload()?;
                }
            }
        }
    }

    /// Connects to those that are due.
    fn call(&mut self, now: Instant) {
        for id in self.schedule.due(now) {
            let (me, news) = (self.me(), self.news.clone());
            if let Err(failure) = spawn("call", move || door::call(&me, id, &news)) {
                output::note(&failure.to_string());
                self.schedule.failed(id, now, random());
            }
        }
    }

    /// Reads the file again, and does what it says. If it is wrong all stays as it is.
    pub(super) fn reload(&mut self) -> Result<(), Failure> {
        notify(&reloading());
        self.stamp = stamp(&self.file);
        let outcome = self.renew();
        if let Err(failure) = &outcome {
            self.log
                .say("refused", &format!("the file was not applied: {failure}"))?;
        }
        notify("READY=1");
        self.look_at_links()
    }

    fn renew(&mut self) -> Result<(), Failure> {
        let alone = alone(false);
        let (new, config) = read(&self.file, &self.folder, self.node.as_deref())?;
        let old = self.me();
        let (at, own) = (new.roster.own.listen, new.roster.own.name.clone());
        let (me, gate, news) = (self.me.clone(), self.gate.clone(), self.news.clone());
        let door = (at != self.door.at).then(|| Door::open(at, me, gate, news));
        let door = door.transpose()?;
        self.apply(&config, &own, alone)?;
        // Only now, as all stays as it is if the file cannot be applied.
        if let Some(door) = door {
            self.door = door;
        }
        if new.roster.links.id != old.roster.links.id {
            self.known = Known::load(&self.folder, &new.roster.links.id)?;
        }
        *self.me.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        self.expect()?;
        self.plan_calls();
        self.plan_checks(&config)?;
        self.log.say("reload", "the file was applied")
    }

    /// What the kernel tells.
    fn heard(&mut self, events: Result<Vec<Event>, Error>) -> Result<(), Failure> {
        let events = match events {
            Ok(events) => events,
            Err(Error::Lost) => return self.look_at_links(),
            Err(error) => return Err(error.into()),
        };
        let mut is_changed = false;
        for event in events {
            match event {
                Event::LinkChanged(_) => is_changed = true,
                Event::Unloaded => {
                    self.schedule.set(std::iter::empty(), Instant::now());
                    self.told.clear();
                    self.log
                        .say("module-unload", "the module was unloaded: waiting for it")?;
                }
                Event::Loaded => {
                    self.kernel.find_again()?;
                    self.log.say("module-load", "the module was loaded")?;
                    self.reload()?;
                }
                _ => {}
            }
        }
        match is_changed {
            true => self.look_at_links(),
            false => Ok(()),
        }
    }

    /// How the links are now: an event may tell of one that has another in its place meanwhile.
    fn look_at_links(&mut self) -> Result<(), Failure> {
        let links = match self.kernel.links() {
            Err(Error::NotLoaded) => return Ok(()),
            links => links.map_err(refusal)?,
        };
        let now = Instant::now();
        for link in &links {
            match link.ends {
                Some(_) => self.schedule.linked(link.peer, now),
                None => self.schedule.lost(link.peer, now, random()),
            }
        }
        self.tell_states(&links)
    }

    fn tell_states(&mut self, links: &[Link]) -> Result<(), Failure> {
        let me = self.me();
        let states = links.iter().map(|link| (link.peer, log::state(link)));
        let states: Vec<(u32, String)> = states.collect();
        for (peer, state) in states.iter().filter(|it| !self.told.contains(it)) {
            self.log.tell("state", &name(&me, *peer), state)?;
        }
        self.told = states;
        Ok(())
    }

    /// Somebody has connected.
    fn came(&mut self, from: SocketAddr, outcome: Outcome) -> Result<(), Failure> {
        match outcome {
            Ok(met) => self.link(met).map(|_| ()),
            Err(why) => {
                let ip = from.ip().to_canonical();
                let me = self.me();
                let mut peers = me.roster.peers.iter();
                let known = peers.find(|peer| peer.listen.ip() == ip);
                let of = known.map_or_else(|| ip.to_string(), |it| it.name.clone());
                let text = format!("refused: {why}");
                self.log.tell_once("refused", &of, &text, Instant::now())
            }
        }
    }

    /// This machine has connected, or tried to.
    fn called(&mut self, id: u32, outcome: Outcome) -> Result<(), Failure> {
        let now = Instant::now();
        let is_linked = match outcome {
            Ok(met) => self.link(met)?,
            Err(why) => {
                let of = name(&self.me(), id);
                self.log
                    .tell_once("failed", &of, &format!("no link: {why}"), now)?;
                false
            }
        };
        match is_linked {
            true => self.schedule.linked(id, now),
            false => self.schedule.failed(id, now, random()),
        }
        Ok(())
    }

    /// Gives a connection to the kernel. Whether it has taken it.
    fn link(&mut self, met: Met) -> Result<bool, Failure> {
        let (peer, now) = (met.peer, Instant::now());
        let me = self.me();
        // The file may be another one since they met.
        if me.roster.peer(peer.id.get()) != Some(&peer) {
            return Ok(false);
        }
        self.know(&peer)?;
        let given = met.line.into_kernel().map_err(|error| no_tls(&error));
        let given = given.and_then(|socket| {
            let added = self.kernel.add_link(peer.id.get(), &socket);
            added.map_err(not_added)
        });
        match given {
            Ok(()) => {
                self.log.forget(&peer.name);
                self.log.tell("link", &peer.name, "linked")?;
                Ok(true)
            }
            Err(why) => {
                let text = format!("no link: {why}");
                self.log.tell_once("failed", &peer.name, &text, now)?;
                Ok(false)
            }
        }
    }
}

/// The name of a machine, or its number.
fn name(me: &Me, id: u32) -> String {
    let peer = me.roster.peer(id);
    peer.map_or_else(|| format!("machine {id}"), |peer| peer.name.clone())
}

/// Any number.
pub(super) fn random() -> u32 {
    let mut bytes = [0; 4];
    // Without a random number times are not spread, which is no failure.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    u32::from_ne_bytes(bytes)
}
