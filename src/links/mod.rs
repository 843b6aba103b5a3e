// SPDX-License-Identifier: GPL-2.0

//! Links: what the machines of a cluster tell each other, and what this one believes of the others.
//!
//! ```text
//!   netlink ──> machine: who this machine is, and which peers it has
//!           ──> change: a program gives a connected socket, or takes a link away
//!   a link's thread ──> thread: receives and sends frames
//!   twice a heartbeat, or for news ──> judge: who is away, told to cluster IPs
//!   report: what netlink tells
//! ```
//!
//! Programs make links and prove with whom; the module uses them. A link goes on when its program ends.
//! What is in a frame, and what follows from it, decides [`logic::links`](crate::logic::links).
//!
//! # Whose a link is
//!
//! A link is its thread's, which alone touches the socket's connection: a user may hold the lock of the
//! socket. To end a link it is taken from its peer, which is told why, and the thread is kicked; nobody
//! waits. When the thread is done it takes the link from [`State::links`] and closes the file. Until
//! then the link holds its namespace, and thereby what is here, and its thread the module.
//!
//! A namespace that only links hold is left by everybody: each thread looks once a second, and ends its
//! link then.

#![forbid(unsafe_code)]

pub(crate) mod change;
mod charge;
pub(crate) mod judge;
pub(crate) mod machine;
mod peer;
pub(crate) mod report;
pub(crate) mod thread;

use crate::{
    logic::{
        cluster::slots::NodeId,
        links::heartbeat::Load, //
    },
    sys::{
        core::{
            netns::{random, Net, OwnNet},
            parts::{LinkPart, Parts}, //
        },
        socket::link::LinkSocket, //
    },
};
use charge::Charge;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
        Mutex, //
    },
};
use machine::Machine;
use peer::{Peer, Reason, Traffic};

/// A connection to a peer.
pub(crate) struct Link {
    socket: LinkSocket,
    peer: NodeId,
    /// Why it is to end; 0 if it is not.
    end: Atomic<u32>,
    /// When the peer was heard of on it, at first when it began.
    heard: Atomic<u64>,
    /// Whether the peer is to be told at once.
    hurry: Atomic<bool>,
    traffic: Arc<Traffic>,
    _charge: Charge,
}

impl Link {
    /// Why it is to end, if it is.
    fn end(&self) -> Option<Reason> {
        Reason::new(self.end.load(Relaxed))
    }

    /// Has its thread tell the peer.
    fn hurry(&self) {
        self.hurry.store(true, Relaxed);
        self.socket.kick();
    }
}

/// What is known of the cluster.
struct State {
    /// Nothing, if nobody has said who this machine is.
    machine: Option<Machine>,
    /// All links, those among them that are ending.
    links: KVec<Arc<Link>>,
    /// How this machine serves its cluster IPs.
    loads: KVec<Load>,
    /// The highest epoch of them.
    epoch: u32,
}

impl State {
    /// Whether this machine takes new flows of any cluster IP, or has none.
    fn is_ready(&self) -> bool {
        self.loads.is_empty() || self.loads.iter().any(|load| load.ready)
    }

    /// The peer of this link, if it is still that.
    fn peer_of(&mut self, link: &Link) -> Option<&mut Peer> {
        let peer = self.machine.as_mut()?.peer(link.peer)?;
        let is_its = |own: &Arc<Link>| core::ptr::eq(&**own, link);
        peer.link.as_ref().is_some_and(is_its).then_some(peer)
    }
}

/// The links of a network namespace.
///
/// Neither a socket's lock nor that of cluster IPs is taken under this one.
#[pin_data]
pub(crate) struct Links {
    net: OwnNet,
    boot: [u8; 16],
    #[pin]
    state: Mutex<State>,
}

impl Links {
    pub(crate) fn new(net: OwnNet) -> Result<Pin<KBox<Self>>> {
        KBox::pin_init(
            pin_init!(Self {
                net,
                boot: random(),
                state <- new_mutex!(State {
                    machine: None,
                    links: KVec::new(),
                    loads: KVec::new(),
                    epoch: 0,
                }, "service_group::links"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    fn net(&self) -> Net<'_> {
        self.net.get()
    }

    /// The link ends, for this reason if there was none before.
    fn ended(&self, link: &Link, reason: Reason) {
        let mut state = self.state.lock();
        if let Some(peer) = state.peer_of(link) {
            peer.lose(reason);
            self.net().tick_in(0);
        }
    }

    /// The link's thread is done.
    fn forget(&self, link: &Link) {
        let mut state = self.state.lock();
        state.links.retain(|other| !core::ptr::eq(&**other, link));
    }
}

impl LinkPart for Parts {
    type Links = Links;
    type Thread = thread::Thread;
}
