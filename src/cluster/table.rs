// SPDX-License-Identifier: GPL-2.0

//! The table of a cluster IP: who owns a flow, and who else may have its connection.

#![forbid(unsafe_code)]

use super::assured::Assured;
use crate::{
    logic::cluster::{
        candidates::{remember, Candidates, Shares},
        flow::Flow,
        hash::{Hash, SlotCount},
        slots::{spill, NodeId, Slot}, //
    },
    sys::core::clock::{now, NS_OF_S}, //
};
use kernel::{
    alloc::AllocError,
    prelude::*,
    sync::Arc, //
};

/// Which slot a flow has, and which node owns it.
pub(super) struct Map {
    pub(super) hash: Hash,
    pub(super) count: SlotCount,
    /// `count` of them.
    pub(super) slots: KVec<Slot>,
    /// To whom they spill; none if they must not.
    spills: KVec<Slot>,
    /// Who may always have connections of a slot besides its owner. None without links.
    standing: KVec<Candidates>,
    assured: Option<Arc<Assured>>,
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
            standing: KVec::new(),
            assured: None,
        })
    }

    /// With links: who stands in for owners, and whether all agree about that.
    pub(super) fn stand_in(&mut self, standing: KVec<Candidates>, assured: Arc<Assured>) {
        self.standing = standing;
        self.assured = Some(assured);
    }

    /// Another one with these owners, without links.
    pub(super) fn copy(&self) -> Result<Self, AllocError> {
        let copy = |slots: &KVec<Slot>| {
            let mut copy = KVec::with_capacity(slots.len(), GFP_KERNEL_ACCOUNT)?;
            copy.extend_from_slice(slots, GFP_KERNEL_ACCOUNT)?;
            Ok(copy)
        };
        Ok(Self {
            slots: copy(&self.slots)?,
            spills: copy(&self.spills)?,
            standing: KVec::new(),
            assured: None,
            ..*self
        })
    }

    /// Has slots spill to nodes that are up.
    pub(super) fn let_spill(&mut self, is_up: impl Fn(NodeId) -> bool) -> Result<(), AllocError> {
        self.spills = KVec::from_elem(None, self.slots.len(), GFP_KERNEL_ACCOUNT)?;
        spill(&self.slots, is_up, &mut self.spills);
        Ok(())
    }

    #[inline(always)]
    fn slot(&self, flow: &Flow) -> usize {
        self.hash.slot(flow, self.count)
    }

    fn shares(&self, slot: usize) -> Shares {
        Shares {
            owner: at(&self.slots, slot),
            spill: at(&self.spills, slot),
            standing: self.standing.get(slot).copied().unwrap_or_default(),
        }
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
        self.owns_like(other)
            && *self.spills == *other.spills
            && *self.standing == *other.standing
            && self.assured.is_some() == other.assured.is_some()
    }
}

fn at(slots: &KVec<Slot>, slot: usize) -> Slot {
    slots.get(slot).copied().flatten()
}

/// How many earlier numbers of slots, or hashes, are remembered.
const MOST_FORMER: usize = 4;

/// A map, and who may have connections of its slots from before.
struct Layer {
    map: Map,
    /// None while its first map is there.
    history: KVec<Candidates>,
}

impl Layer {
    /// What is to be remembered when this map takes the place of the layer's.
    fn history_for(&self, map: &Map) -> Result<KVec<Candidates>, AllocError> {
        let mut history = KVec::with_capacity(map.slots.len(), GFP_KERNEL_ACCOUNT)?;
        for (slot, &new) in map.slots.iter().enumerate() {
            let before = self.history.get(slot).copied().unwrap_or_default();
            let now = remember(before, &self.map.shares(slot), new);
            history.push(now, GFP_KERNEL_ACCOUNT)?;
        }
        Ok(history)
    }

    /// Adds all who owned a slot, or got its connections from who did, and are wanted.
    fn add_to(
        &self,
        others: &mut Candidates,
        slot: usize,
        is_young: bool,
        is_wanted: impl Fn(NodeId) -> bool,
    ) {
        let latest = self.map.shares(slot);
        let history = self.history.get(slot).copied().unwrap_or_default();
        for node in latest
            .with(history, is_young)
            .filter(|&node| is_wanted(node))
        {
            others.add(Some(node));
        }
    }
}

/// The table, and what it was before.
pub(super) struct Table {
    layer: Arc<Layer>,
    /// What was there when flows had other slots, the latest first.
    former: KVec<Arc<Layer>>,
    /// When it came to be in the place of another one; none if it is the first one.
    since: Option<u64>,
}

/// Who may have a flow.
pub(super) struct Owners {
    /// The present owner, if the slot has one.
    pub(super) owner: Slot,
    /// The others, the likeliest first.
    pub(super) others: Candidates,
    /// To whom the slot spills.
    pub(super) spill: Slot,
    /// Whether the latest change is young.
    pub(super) young: bool,
}

impl Table {
    /// The first one.
    pub(super) fn first(map: Map) -> Result<Arc<Self>, AllocError> {
        Self::new(map, KVec::new(), KVec::new(), None)
    }

    /// The one that comes after `old`.
    pub(super) fn after(old: &Arc<Self>, map: Map) -> Result<Arc<Self>, AllocError> {
        let layer = &old.layer;
        if layer.map.same(&map) {
            return Ok(old.clone());
        }
        let mut former = KVec::with_capacity(MOST_FORMER, GFP_KERNEL_ACCOUNT)?;
        let history = match layer.map.divides_like(&map) {
            true => layer.history_for(&map)?,
            false => {
                former.push(layer.clone(), GFP_KERNEL_ACCOUNT)?;
                KVec::new()
            }
        };
        for layer in old.former.iter().take(MOST_FORMER - former.len()) {
            former.push(layer.clone(), GFP_KERNEL_ACCOUNT)?;
        }
        Self::new(map, history, former, Some(now()))
    }

    fn new(
        map: Map,
        history: KVec<Candidates>,
        former: KVec<Arc<Layer>>,
        since: Option<u64>,
    ) -> Result<Arc<Self>, AllocError> {
        let layer = Arc::new(Layer { map, history }, GFP_KERNEL_ACCOUNT)?;
        let table = Self {
            layer,
            former,
            since,
        };
        Arc::new(table, GFP_KERNEL_ACCOUNT)
    }

    pub(super) fn map(&self) -> &Map {
        &self.layer.map
    }

    /// Whether connections may be with others than the owner.
    pub(super) fn has_candidates(&self) -> bool {
        self.since.is_some() || !self.map().spills.is_empty() || !self.map().standing.is_empty()
    }

    /// Whether the latest change is, or machines may disagree about who is there.
    pub(super) fn is_young(&self, settle: u32) -> bool {
        let is_young = self.since.is_some_and(|since| {
            let age = now().saturating_sub(since);
            age < u64::from(settle).saturating_mul(NS_OF_S)
        });
        let assured = self.map().assured.as_ref();
        is_young || assured.is_some_and(|assured| assured.is_young(settle))
    }

    /// Who owns a flow, and to whom that spills.
    pub(super) fn owner_and_spill(&self, flow: &Flow) -> (Slot, Slot) {
        let map = self.map();
        let slot = map.slot(flow);
        (at(&map.slots, slot), at(&map.spills, slot))
    }

    /// Who may have a flow, of the nodes that are there.
    #[inline(always)]
    pub(super) fn owners(
        &self,
        flow: &Flow,
        settle: u32,
        is_there: impl Fn(NodeId) -> bool,
    ) -> Owners {
        let slot = self.map().slot(flow);
        let owner = at(&self.map().slots, slot);
        let mut owners = Owners {
            owner,
            others: Candidates::default(),
            spill: None,
            young: false,
        };
        if self.has_candidates() {
            let is_wanted = |node| Some(node) != owner && is_there(node);
            let is_young = self.is_young(settle);
            let others = &mut owners.others;
            self.layer.add_to(others, slot, is_young, is_wanted);
            for layer in &self.former {
                layer.add_to(others, layer.map.slot(flow), is_young, is_wanted);
            }
            owners.spill = at(&self.map().spills, slot);
            owners.young = is_young;
        }
        owners
    }
}
