// SPDX-License-Identifier: GPL-2.0

//! The table of a cluster IP: who owns a flow, and who did before.

#![forbid(unsafe_code)]

use crate::{
    logic::cluster::{
        flow::Flow,
        hash::{Hash, SlotCount},
        slots::{remember, Slot}, //
    },
    sys::ticker::now, //
};
use kernel::{
    alloc::AllocError,
    prelude::*,
    sync::Arc, //
};

/// Nanoseconds of a second.
const NS_OF_S: u64 = 1_000_000_000;

/// Which slot a flow has, and which node owns it.
pub(super) struct Map {
    pub(super) hash: Hash,
    pub(super) count: SlotCount,
    /// `count` of them.
    pub(super) slots: KVec<Slot>,
}

impl Map {
    /// None if there are too many slots, or none.
    pub(super) fn new(hash: Hash, slots: KVec<Slot>) -> Option<Self> {
        let count = SlotCount::new(slots.len())?;
        Some(Self { hash, count, slots })
    }

    /// Who stands in a list of owners of slots for a flow.
    fn owner(&self, slots: &[Slot], flow: &Flow) -> Slot {
        let slot = self.hash.slot(flow, self.count);
        slots.get(slot).copied().flatten()
    }

    /// Whether flows have the same slots, whoever owns them.
    fn divides_like(&self, other: &Self) -> bool {
        self.hash == other.hash && self.count == other.count
    }

    pub(super) fn same(&self, other: &Self) -> bool {
        self.divides_like(other) && *self.slots == *other.slots
    }
}

/// How many numbers of slots, or hashes, are remembered while changes are young.
const MOST_FORMER: u32 = 4;

/// The table, and what it was before changes that were young when it was made.
pub(super) struct Table {
    map: Map,
    /// Who owned its slots before.
    previous: KVec<Slot>,
    /// What was there when flows had other slots.
    former: Option<Arc<Table>>,
    /// When it came to be in the place of another one; none if it is the first one.
    since: Option<u64>,
}

/// The owners of a flow.
pub(super) struct Owners {
    /// The present one, if the slot has one.
    pub(super) owner: Slot,
    /// The latest other one before changes that are young.
    pub(super) previous: Slot,
    /// Whether the change is young.
    pub(super) young: bool,
}

impl Table {
    /// The first one.
    pub(super) fn first(map: Map) -> Result<Arc<Self>, AllocError> {
        let table = Self {
            previous: KVec::from_elem(None, map.slots.len(), GFP_KERNEL_ACCOUNT)?,
            map,
            former: None,
            since: None,
        };
        Arc::new(table, GFP_KERNEL_ACCOUNT)
    }

    /// The one that comes after `old`, whose changes are young for `settle` seconds.
    pub(super) fn after(old: &Arc<Self>, map: Map, settle: u32) -> Result<Arc<Self>, AllocError> {
        if old.map.same(&map) {
            return Ok(old.clone());
        }
        let mut previous = KVec::from_elem(None, map.slots.len(), GFP_KERNEL_ACCOUNT)?;
        let former = if old.map.divides_like(&map) {
            if old.is_young(settle) {
                previous.copy_from_slice(&old.previous);
            }
            remember(&mut previous, &old.map.slots, &map.slots);
            old.former.clone().filter(|_| old.is_young(settle))
        } else {
            Some(old.shortened(settle)?)
        };
        let table = Self {
            map,
            previous,
            former,
            since: Some(now()),
        };
        Arc::new(table, GFP_KERNEL_ACCOUNT)
    }

    /// The same, as what is to be remembered of it.
    fn shortened(self: &Arc<Self>, settle: u32) -> Result<Arc<Self>, AllocError> {
        if self.is_young(settle) && self.depth() < MOST_FORMER {
            return Ok(self.clone());
        }
        let mut slots = KVec::with_capacity(self.map.slots.len(), GFP_KERNEL_ACCOUNT)?;
        slots.extend_from_slice(&self.map.slots, GFP_KERNEL_ACCOUNT)?;
        Self::first(Map { slots, ..self.map })
    }

    fn depth(&self) -> u32 {
        self.chain()
            .zip(0u32..)
            .map(|(_, depth)| depth)
            .last()
            .unwrap_or(0)
    }

    /// This one and those before.
    fn chain(&self) -> Chain<'_> {
        Chain(Some(self))
    }

    pub(super) fn map(&self) -> &Map {
        &self.map
    }

    /// Whether connections from before a change may be anywhere.
    pub(super) fn has_changed(&self) -> bool {
        self.since.is_some()
    }

    fn is_young(&self, settle: u32) -> bool {
        self.since.is_some_and(|since| {
            let age = now().saturating_sub(since);
            age < u64::from(settle).saturating_mul(NS_OF_S)
        })
    }

    /// Who owns a flow.
    pub(super) fn owners(&self, flow: &Flow, settle: u32) -> Owners {
        let owner = self.map.owner(&self.map.slots, flow);
        let young = self.is_young(settle);
        let previous = match young {
            true => self.previous(flow, owner),
            false => None,
        };
        Owners {
            owner,
            previous,
            young,
        }
    }

    /// The latest one who owned a flow and does not own it now.
    fn previous(&self, flow: &Flow, owner: Slot) -> Slot {
        self.chain().find_map(|table| {
            let then = table.map.owner(&table.map.slots, flow);
            let before = table.map.owner(&table.previous, flow);
            then.filter(|_| then != owner)
                .or(before.filter(|_| before != owner))
        })
    }
}

/// A table and those before.
struct Chain<'a>(Option<&'a Table>);

impl<'a> Iterator for Chain<'a> {
    type Item = &'a Table;

    fn next(&mut self) -> Option<&'a Table> {
        let table = self.0?;
        self.0 = table.former.as_deref();
        Some(table)
    }
}
