// SPDX-License-Identifier: GPL-2.0

//! What the machines of a cluster tell each other over *links*, and what follows from it.
//!
//! A link is one authenticated connection between two machines, on which they send frames: [`wire`]
//! has them, [`hello`] and [`heartbeat`] two kinds of message. [`liveness`] judges by heartbeats
//! whether a peer is there. A node that is not there gets no new flows: [`deputy`] says who gets them
//! instead. Machines may disagree about that for a while, and [`assurance`] says when they do not.
//!
//! A peer is authenticated, not trusted: whatever it sends is checked before it is used.
//!
//! It does not know how a link is made, nor who may have one.

#![forbid(unsafe_code)]

pub mod assurance;
mod bytes;
pub mod deputy;
pub mod director;
mod error;
pub mod heartbeat;
pub mod hello;
pub mod liveness;
pub mod wire;
