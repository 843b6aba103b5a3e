// SPDX-License-Identifier: GPL-2.0

//! The table of a cluster IP: who owns a flow, and who else may have its connection.

#![forbid(unsafe_code)]

use crate::{
    logic::cluster::{
        flow::Flow,
        hash::{Hash, SlotCount},
        others::Others,
        slots::{remember, spill, NodeId, Slot}, //
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
    /// To whom they spill; none if they must not.
    spills: KVec<Slot>,
}

impl Map {
    /// None if there are too many slots, or none.
    pub(super) fn new(hash: Hash, slots: KVec<Slot>) -> Option<Self> {
        let count = SlotCount::new(slots.len())?;
        Some(Self {
            hash,
            count,
            slots,
            spills: KVec::new(),
        })
    }

    /// Has slots spill to nodes that are up.
    pub(super) fn let_spill(&mut self, is_up: impl Fn(NodeId) -> bool) -> Result<(), AllocError> {
        self.spills = KVec::from_elem(None, self.slots.len(), GFP_KERNEL_ACCOUNT)?;
        spill(&self.slots, is_up, &mut self.spills);
        Ok(())
    }

    fn copy(&self) -> Result<Self, AllocError> {
        Ok(Self {
            slots: copy(&self.slots)?,
            spills: copy(&self.spills)?,
            ..*self
        })
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

    /// Whether flows have the same owners.
    pub(super) fn owns_like(&self, other: &Self) -> bool {
        self.divides_like(other) && *self.slots == *other.slots
    }

    fn same(&self, other: &Self) -> bool {
        self.owns_like(other) && *self.spills == *other.spills
    }
}

fn at(slots: &KVec<Slot>, slot: usize) -> Slot {
    slots.get(slot).copied().flatten()
}

fn copy(slots: &KVec<Slot>) -> Result<KVec<Slot>, AllocError> {
    let mut copy = KVec::with_capacity(slots.len(), GFP_KERNEL_ACCOUNT)?;
    copy.extend_from_slice(slots, GFP_KERNEL_ACCOUNT)?;
    Ok(copy)
}

/// How many numbers of slots, or hashes, are remembered.
const MOST_FORMER: u32 = 4;

/// The table, and what it was before.
pub(super) struct Table {
    map: Map,
    /// Who may have connections of its slots from before; none if it is the first one.
    history: KVec<Others>,
    /// What was there when flows had other slots.
    former: Option<Arc<Table>>,
    /// When it came to be in the place of another one; none if it is the first one.
    since: Option<u64>,
}

/// Who may have a flow.
pub(super) struct Owners {
    /// The present owner, if the slot has one.
    pub(super) owner: Slot,
    /// The others, the likeliest first.
    pub(super) others: Others,
    /// To whom the slot spills.
    pub(super) spill: Slot,
    /// Whether the latest change is young.
    pub(super) young: bool,
}

impl Table {
    /// The first one.
    pub(super) fn first(map: Map) -> Result<Arc<Self>, AllocError> {
        let table = Self {
            map,
            history: KVec::new(),
            former: None,
            since: None,
        };
        Arc::new(table, GFP_KERNEL_ACCOUNT)
    }

    /// The one that comes after `old`.
    pub(super) fn after(old: &Arc<Self>, map: Map) -> Result<Arc<Self>, AllocError> {
        if old.map.same(&map) {
            return Ok(old.clone());
        }
        let (history, former) = match old.map.divides_like(&map) {
            true => (old.history_for(&map)?, old.former.clone()),
            false => (KVec::new(), Some(old.shortened()?)),
        };
        let table = Self {
            map,
            history,
            former,
            since: Some(now()),
        };
        Arc::new(table, GFP_KERNEL_ACCOUNT)
    }

    /// What the table with this map is to remember.
    fn history_for(&self, map: &Map) -> Result<KVec<Others>, AllocError> {
        let mut history = KVec::with_capacity(map.slots.len(), GFP_KERNEL_ACCOUNT)?;
        for (slot, (&old, &new)) in self.map.slots.iter().zip(&map.slots).enumerate() {
            let before = self.history.get(slot).copied().unwrap_or_default();
            let spill = at(&self.map.spills, slot);
            history.push(remember(before, old, spill, new), GFP_KERNEL_ACCOUNT)?;
        }
        Ok(history)
    }

    /// The same, as what is to be remembered of it.
    fn shortened(self: &Arc<Self>) -> Result<Arc<Self>, AllocError> {
        if self.depth() < MOST_FORMER {
            return Ok(self.clone());
        }
        let mut history = KVec::with_capacity(self.history.len(), GFP_KERNEL_ACCOUNT)?;
        history.extend_from_slice(&self.history, GFP_KERNEL_ACCOUNT)?;
        let table = Self {
            map: self.map.copy()?,
            history,
            former: None,
            since: None,
        };
        Arc::new(table, GFP_KERNEL_ACCOUNT)
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

    /// Whether connections may be with others than the owner.
    pub(super) fn has_others(&self) -> bool {
        self.since.is_some() || !self.map.spills.is_empty()
    }

    fn is_young(&self, settle: u32) -> bool {
        self.since.is_some_and(|since| {
            let age = now().saturating_sub(since);
            age < u64::from(settle).saturating_mul(NS_OF_S)
        })
    }

    /// Who may have a flow, of the nodes that are there.
    pub(super) fn owners(
        &self,
        flow: &Flow,
        settle: u32,
        is_there: impl Fn(NodeId) -> bool,
    ) -> Owners {
        let owner = self.map.owner(&self.map.slots, flow);
        Owners {
            owner,
            others: self.others(flow, |node| Some(node) != owner && is_there(node)),
            spill: self.map.owner(&self.map.spills, flow),
            young: self.is_young(settle),
        }
    }

    /// All who owned a flow, or got it from who did, and are wanted.
    fn others(&self, flow: &Flow, is_wanted: impl Fn(NodeId) -> bool) -> Others {
        let mut others = Others::default();
        if !self.has_others() {
            return others;
        }
        for table in self.chain() {
            let map = &table.map;
            let slot = map.hash.slot(flow, map.count);
            let history = table.history.get(slot).copied().unwrap_or_default();
            let latest = [at(&map.slots, slot), at(&map.spills, slot)];
            let latest = latest.into_iter().flatten();
            for node in Iterator::chain(latest, history.iter()).filter(|&node| is_wanted(node)) {
                others.add(Some(node));
            }
        }
        others
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
