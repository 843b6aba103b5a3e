// SPDX-License-Identifier: GPL-2.0
//! `sgctl agent`: has this machine linked to the others of its cluster.
//!
//! It applies the file, tells the module which machines are expected, connects to them or has them
//! connect, and gives each connection to the module: from then on the link is the module's, and goes
//! on without the agent.
//!
//! [`roster`] says who is expected, [`schedule`] when to connect. A meeting of two agents is in
//! [`meet`]: under [`tls`] with certificates that [`verify`] checks, they [`introduce`] themselves.
//! [`door`] is where others connect, of whom [`gate`] lets a few in at once; [`timed`] sees that none
//! takes too long. [`work`] is what the agent does with all of this, in one thread, and [`log`] what
//! it says. [`keys`] are this machine's. [`push`] gives the file to other machines in an [`offer`], which
//! their agents [`take`] or refuse.
//!
//! [`health`] is the checks of the services that this machine runs, [`services`] what follows from them.
//!
//! It decides nothing about whether a machine lives: the module does.

mod door;
mod gate;
mod health;
mod introduce;
pub mod keys;
mod known;
mod log;
mod meet;
mod notify;
mod offer;
mod own;
pub mod push;
mod refusals;
pub mod roster;
mod schedule;
mod services;
mod take;
mod timed;
mod tls;
mod verify;
mod work;

use std::net::SocketAddr;
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};

use service_group::netlink::{ClusterName, Connection, Error, Event};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::cli::AgentArgs;
use crate::signals::Signals;
use crate::Failure;
use door::{spawn, Outcome};
use offer::Offer;
use work::Agent;

pub use log::state as link_words;
pub use refusals::refusal;

/// What the threads tell the one that works.
pub enum News {
    /// A signal came.
    Signal(i32),
    /// The kernel tells something.
    Kernel(Result<Vec<Event>, Error>),
    /// Somebody has connected, from there.
    Came(SocketAddr, Outcome),
    /// This machine has connected to the one with this id, or tried to.
    Called(u32, Outcome),
    /// The check of this cluster IP's service, which has this number, has ended.
    Checked(ClusterName, u64, health::Outcome),
    /// The machine with this name offers a file, and wants to know why it is refused, if it is.
    Offered(String, Offer, SyncSender<Option<String>>),
}

/// So many news wait at most; whoever has more waits.
const MOST_NEWS: usize = 64;

/// Where news are sent to, and where they come.
fn inbox() -> (SyncSender<News>, Receiver<News>) {
    sync_channel(MOST_NEWS)
}

/// Runs the subcommand.
pub fn run(args: &AgentArgs) -> Result<(), Failure> {
    let signals = Signals::catch(&[SIGHUP, SIGINT, SIGTERM])?;
    let (news, inbox) = inbox();
    let mut agent = Agent::begin(args, news.clone())?;
    watch_kernel(news.clone())?;
    watch_signals(signals, news)?;
    agent.greet()?;
    agent.run(&inbox)
}

fn watch_kernel(news: SyncSender<News>) -> Result<(), Failure> {
    let mut events = Connection::open()?.subscribe()?;
    spawn("events", move || {
        // The agent may be ending.
        while news.send(News::Kernel(events.receive())).is_ok() {}
    })
}

fn watch_signals(mut signals: Signals, news: SyncSender<News>) -> Result<(), Failure> {
    spawn("signals", move || {
        while let Ok(woken) = signals.wait(None, None) {
            for signal in woken.signals {
                let _ = news.send(News::Signal(signal));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_do_not_pile_up() {
        let (news, inbox) = inbox();
        let sent = (0..1000).take_while(|_| news.try_send(News::Signal(SIGHUP)).is_ok());
        assert_eq!(sent.count(), MOST_NEWS);
        assert_eq!(inbox.try_iter().count(), MOST_NEWS);
    }
}
