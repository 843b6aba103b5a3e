// SPDX-License-Identifier: GPL-2.0

//! Who gets the new flows of a node that is away.
//!
//! A slot whose owner is away has a *deputy*: of the nodes that are up and not away the one that draws
//! the least lot for this slot. A lot is exponentially distributed, with the node's weight as its rate,
//! and depends on the numbers of the slot and of the node only (weighted rendezvous hashing). So
//!
//! - only slots of nodes that are away have another owner than in the table;
//! - nodes get such slots in the proportion of their weights;
//! - if a deputy goes away itself, only the slots that it had move once more;
//! - machines that believe the same nodes to be away name the same deputies, whatever order they list
//!   the nodes in.
//!
//! If there is no such node the slot stays with its owner, as nobody else could do better.
//!
//! It does not know why a node is away.

#![forbid(unsafe_code)]

use crate::logic::cluster::{
    siphash::{siphash_2_4, Key},
    slots::{Node, NodeId, Slot, State}, //
};

/// The owners of all slots while some nodes are away. `effective` is as long as `slots`.
///
/// `is_away` is asked for each slot, and for each node for each slot whose owner is away.
pub fn deputies(
    slots: &[Slot],
    nodes: &[Node],
    is_away: impl Fn(NodeId) -> bool,
    effective: &mut [Slot],
) {
    for (number, (effective, &owner)) in effective.iter_mut().zip(slots).enumerate() {
        *effective = match owner.is_some_and(&is_away) {
            true => deputy(number, nodes, &is_away).or(owner),
            false => owner,
        };
    }
}

/// Who has this slot if its owner is away: none if nobody is up and not away.
pub fn deputy(slot: usize, nodes: &[Node], is_away: impl Fn(NodeId) -> bool) -> Slot {
    let there = nodes
        .iter()
        .filter(|node| node.state == State::Up && !is_away(node.id));
    let lots = there.map(|node| Lot::draw(slot, node));
    let least = lots.reduce(|least, lot| match lot.is_less_than(&least) {
        true => lot,
        false => least,
    })?;
    Some(least.node)
}

/// What a node has drawn for a slot.
struct Lot {
    node: NodeId,
    /// Exponentially distributed, before it is divided by the weight.
    number: u64,
    weight: u64,
}

impl Lot {
    fn draw(slot: usize, node: &Node) -> Self {
        // No secret: all machines are to draw the same, and clients choose the slot of a flow in any case.
        const KEY: Key = Key::from_bytes(*b"service_group: a");
        let [s0, s1, s2, s3] = u32::try_from(slot).unwrap_or(u32::MAX).to_le_bytes();
        let [n0, n1, n2, n3] = node.id.get().to_le_bytes();
        let hash = siphash_2_4(KEY, &[s0, s1, s2, s3, n0, n1, n2, n3]);
        Self {
            node: node.id,
            number: minus_log2(hash),
            weight: u64::from(node.weight.get()),
        }
    }

    /// Compares the quotients, and of equal ones the ids.
    fn is_less_than(&self, other: &Self) -> bool {
        // At most 2^35 times 2^16.
        let this = self.number.saturating_mul(other.weight);
        let that = other.number.saturating_mul(self.weight);
        (this, self.node) < (that, other.node)
    }
}

/// How many bits of a logarithm are behind the point.
const FRACTION_BITS: u32 = 28;

/// The negative binary logarithm of a hash as a fraction of 2^64: from 0 to 64, with [`FRACTION_BITS`]
/// behind the point. Of a fraction that is evenly distributed it is exponentially distributed.
fn minus_log2(hash: u64) -> u64 {
    // 0 would be infinite, and counts as 1.
    let hash = hash | 1;
    let zeros = hash.leading_zeros();
    // The fraction is mantissa × 2^-(zeros + 1), and the mantissa, with 31 bits behind the point, from
    // 1 to below 2.
    let mut mantissa = hash.wrapping_shl(zeros) >> 32;
    let mut log = 0u64;
    // Squaring doubles the logarithm: its bits come out one after the other.
    for _ in 0..FRACTION_BITS {
        mantissa = mantissa.wrapping_mul(mantissa) >> 31;
        let bit = mantissa >> 32;
        mantissa >>= bit;
        log = (log << 1) | bit;
    }
    let whole = u64::from(zeros).saturating_add(1) << FRACTION_BITS;
    whole.saturating_sub(log)
}
