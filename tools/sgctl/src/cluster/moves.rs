// SPDX-License-Identifier: GPL-2.0
//! Which slots move, from whom to whom.

use std::collections::BTreeMap;

use serde::Serialize;
use service_group_logic::logic::cluster::slots::{NodeId, Slot};

use super::file::Config;

/// Slots that one node gives to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Move {
    /// Who had them; nothing if nobody had.
    pub from: Option<String>,
    /// Who gets them; nothing if nobody does.
    pub to: Option<String>,
    /// How many.
    pub slots: usize,
}

impl Move {
    /// A line of a list.
    pub fn line(&self) -> String {
        let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "nobody".to_owned());
        let slots = crate::output::count(self.slots, "slot");
        match &self.from {
            None => format!("  {slots} for {}\n", name(&self.to)),
            Some(from) => format!("  {slots} from {from} to {}\n", name(&self.to)),
        }
    }
}

/// Who gives how many slots to whom, by the ids of both.
pub fn moves(old: &[Slot], new: &[Slot], config: &Config) -> Vec<Move> {
    let mut counts: BTreeMap<(u32, u32), usize> = BTreeMap::new();
    let id = |slot: &Slot| slot.map_or(0, NodeId::get);
    for (old, new) in old.iter().zip(new).filter(|(old, new)| old != new) {
        *counts.entry((id(old), id(new))).or_default() += 1;
    }
    let name = |id| NodeId::new(id).map(|id| config.name_of(Some(id)));
    let moves = counts.into_iter().map(|((from, to), slots)| Move {
        from: name(from),
        to: name(to),
        slots,
    });
    moves.collect()
}
