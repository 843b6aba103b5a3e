// SPDX-License-Identifier: GPL-2.0

//! The types of the parts that C keeps pointers to.
//!
//! `sys` is below the parts, and does not know them. So each part tells its types, once, by implementing
//! its trait here for [`Parts`]; that there is one implementation of each is what makes it sound to take
//! a pointer of C's for one to such a type.

use super::rcu::DropsAnywhere;

/// What the parts implement their traits for.
pub(crate) enum Parts {}

/// The part of listening sockets.
pub(crate) trait GroupPart {
    /// What a socket carries that is in a group.
    type Member: DropsAnywhere;
    /// What a socket is told with that begins to listen.
    type Group: Send + Sync + 'static;
    /// What a network namespace has, and what timers are for.
    type Registry: Send + Sync + 'static;
}

/// The part of packets.
pub(crate) trait ClusterPart {
    /// What a network namespace has, and what its packets are shown to.
    type Clusters: Send + Sync + 'static;
}

/// The part of links.
pub(crate) trait LinkPart {
    /// What a network namespace has.
    type Links: Send + Sync + 'static;
    /// What a link's thread owns.
    type Thread: Send + 'static;
}

pub(crate) type Member = <Parts as GroupPart>::Member;
pub(crate) type Group = <Parts as GroupPart>::Group;
pub(crate) type Registry = <Parts as GroupPart>::Registry;
pub(crate) type Clusters = <Parts as ClusterPart>::Clusters;
pub(crate) type Links = <Parts as LinkPart>::Links;
pub(crate) type LinkThread = <Parts as LinkPart>::Thread;
