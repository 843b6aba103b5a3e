// SPDX-License-Identifier: GPL-2.0

//! Which node takes a packet for a *cluster IP*, an address that several machines serve.
//!
//! Every machine, its *node*, computes the same from the packet alone: [`packet`] finds its flow,
//! [`hash`] the flow's slot, and the table of [`slots`], which [`place`] makes, says which node owns
//! the slot. Nothing is remembered between packets. [`owner`] decides what a node does with the
//! packet, and sees to it that connections outlive a change of the table. Of those that have no socket
//! on the node, [`tracked`] tells which are there.
//!
//! What comes from another node in a tunnel is no more believed than [`tunnel`] says.
//!
//! It does not know whether a node lives, nor how a packet gets to one.

#![forbid(unsafe_code)]

pub mod candidates;
mod cursor;
pub mod error;
pub mod flow;
pub mod hash;
mod header;
pub mod owner;
pub mod packet;
pub mod places;
pub mod rebalance;
pub mod setting_gen;
pub(super) mod siphash;
pub mod slots;
pub mod tracked;
pub mod tunnel;
mod upper;
