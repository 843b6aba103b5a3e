// SPDX-License-Identifier: GPL-2.0
//! Links: what a machine of a cluster knows of the others.

use std::net::SocketAddr;
use std::time::Duration;

use crate::kernel_enum::kernel_enum;

/// Most machines that a machine has links to.
pub const MAX_PEERS: usize = 256;

kernel_enum! {
    /// What is known of a machine that a link is expected to.
    LinkState, "something that this version does not know",
    Awaited "none" "there has been no link yet";
    Up "up" "it is heard of";
    Suspect "suspect" "it has not been heard of for three heartbeats, or does not hear this machine";
    Unreachable "unreachable" "it has no link, or has not been heard of for ten heartbeats";
}

kernel_enum! {
    /// Why a link ended.
    LinkReason, "of something that this version does not know",
    Nothing "none" "none has ended";
    Closed "closed" "the peer closed it";
    Reset "reset" "the connection was reset, or timed out";
    Replaced "replaced" "another one took its place";
    Removed "removed" "it was taken away here";
    Silent "silent" "nothing was heard for ten heartbeats";
    BadFrame "bad-frame" "the peer sent what is no message";
    BadHello "bad-hello" "the peer did not begin with a hello";
    OtherCluster "other-cluster" "the peer is of another cluster";
    OtherMachine "other-machine" "the peer says that it is another machine";
    Version "version" "the peer speaks no version that this machine does";
    Overflow "overflow" "the peer does not read what is sent";
    Crypto "crypto" "what came was not encrypted as agreed";
    Error "error" "the connection failed in another way";
}

/// This machine among those of its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its id, that of the node if it is one.
    pub id: u32,
    /// What the machines of one cluster have in common.
    pub cluster: [u8; 16],
    /// Another one each time that the module begins; told, and not set.
    pub boot: Option<[u8; 16]>,
    /// After how many milliseconds of silence a peer is sent a heartbeat.
    pub heartbeat: u32,
    /// Whether links without TLS are taken.
    pub insecure: bool,
    /// The machines that a link is expected to.
    pub peers: Vec<u32>,
}

/// The ends of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkEnds {
    /// That of this machine.
    pub local: SocketAddr,
    /// The other one.
    pub peer: SocketAddr,
}

/// A machine that a link is expected to, and the link, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its id.
    pub peer: u32,
    /// What is known of it.
    pub state: LinkState,
    /// Why the last link ended.
    pub reason: LinkReason,
    /// Whether it gets no new flows.
    pub away: bool,
    /// Whether it says that it can serve, if it has said so or not.
    pub ready: Option<bool>,
    /// How long ago it was heard of, if it ever was.
    pub heard: Option<Duration>,
    /// How long its state has been what it is.
    pub since: Duration,
    /// How long it is still held back after it has come and gone.
    pub held: Option<Duration>,
    /// The highest epoch of its tables.
    pub epoch: u32,
    /// Another one each time that its module begins.
    pub boot: Option<[u8; 16]>,
    /// The version of the protocol that it speaks; 0 if it is not known.
    pub version: u32,
    /// Whether the link is encrypted.
    pub secure: bool,
    /// The ends of the link, while there is one.
    pub ends: Option<LinkEnds>,
    /// Frames received and sent, and their bytes.
    pub traffic: LinkTraffic,
    /// How many links to it ended, by reason.
    pub ended: Vec<(LinkReason, u32)>,
}

/// What went over all links to a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkTraffic {
    /// Frames received.
    pub frames_in: u64,
    /// Frames sent.
    pub frames_out: u64,
    /// Bytes of those received.
    pub bytes_in: u64,
    /// Bytes of those sent.
    pub bytes_out: u64,
}

impl Link {
    /// One to this machine, of which nothing is known yet.
    pub fn new(peer: u32) -> Self {
        Self {
            peer,
            state: LinkState::Awaited,
            reason: LinkReason::Nothing,
            away: false,
            ready: None,
            heard: None,
            since: Duration::ZERO,
            held: None,
            epoch: 0,
            boot: None,
            version: 0,
            secure: false,
            ends: None,
            traffic: LinkTraffic::default(),
            ended: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::header::check;
    use super::super::header::constant;
    use super::*;

    #[test]
    fn enums_are_those_of_the_header() {
        check("LINK_STATE", LinkState::ALL.iter().map(|one| one.name()));
        check("LINK_REASON", LinkReason::ALL.iter().map(|one| one.name()));
        assert_eq!(constant("MAX_PEERS"), Some(MAX_PEERS));
    }
}
