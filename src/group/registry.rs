// SPDX-License-Identifier: GPL-2.0

//! The groups of one network namespace.

#![forbid(unsafe_code)]

use super::{
    error::Refusal,
    Group, //
};
use crate::sys::{
    core::{
        netns::{Net, OwnNet},
        stall_timer::StallTimers, //
    },
    uapi, //
};
use kernel::{
    new_mutex, new_spinlock_irq,
    prelude::*,
    rbtree::{RBTree, RBTreeNode},
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
        Mutex,
        MutexGuard,
        SpinLockIrq, //
    },
};

/// Groups, by something that several may have alike, and id.
type By<K> = RBTree<(K, u32), Arc<Group>>;

struct Groups {
    by_id: RBTree<u32, Arc<Group>>,
    /// The same groups: what is done for one user or port is not to look at those of all others.
    by_account: By<u64>,
    by_user: By<u32>,
    by_port: By<u16>,
    count: u32,
    /// The id that was given last.
    last_id: u32,
}

/// What a group needs to be found: the memory for that.
pub(super) struct Entry {
    by_id: RBTreeNode<u32, Arc<Group>>,
    by_account: RBTreeNode<(u64, u32), Arc<Group>>,
    by_user: RBTreeNode<(u32, u32), Arc<Group>>,
    by_port: RBTreeNode<(u16, u32), Arc<Group>>,
}

impl Entry {
    pub(super) fn new(group: &Arc<Group>) -> Result<Self> {
        let (id, key) = (group.id, &group.key);
        let account = group.stall_timer.account();
        Ok(Self {
            by_id: RBTreeNode::new(id, group.clone(), GFP_KERNEL_ACCOUNT)?,
            by_account: RBTreeNode::new((account, id), group.clone(), GFP_KERNEL_ACCOUNT)?,
            by_user: RBTreeNode::new((key.uid, id), group.clone(), GFP_KERNEL_ACCOUNT)?,
            by_port: RBTreeNode::new((key.port, id), group.clone(), GFP_KERNEL_ACCOUNT)?,
        })
    }
}

/// The groups of one network namespace, and what was refused there.
///
/// Locking order: `changes`, then `groups` or a group's list of members. No socket's lock is waited
/// for under `changes`: its owner may have it for ever.
#[pin_data]
pub(crate) struct Registry {
    /// Serialises forming and joining, once all that may have to wait is done. Sockets that leave or
    /// end do not wait for it.
    #[pin]
    changes: Mutex<()>,
    /// Protects which groups there are.
    #[pin]
    groups: SpinLockIrq<Groups>,
    members: Atomic<u32>,
    /// How many of them adopt.
    adopting: Atomic<u32>,
    /// Goes up with each change of groups and members, for dumps to notice.
    generation: Atomic<u32>,
    refused_limit: Atomic<u64>,
    refused_permission: Atomic<u64>,
    refused_other: Atomic<u64>,
    /// Have [`watch::tick`](super::watch::tick) called while connections may wait.
    #[pin]
    stall_timers: StallTimers,
    net: OwnNet,
}

/// Totals of the namespace.
pub(crate) struct Stats {
    pub(crate) groups: u32,
    pub(crate) members: u32,
    pub(crate) refused_limit: u64,
    pub(crate) refused_permission: u64,
    pub(crate) refused_other: u64,
}

impl Registry {
    pub(crate) fn new(net: OwnNet) -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                changes <- new_mutex!((), "service_group::changes"),
                groups <- new_spinlock_irq!(Groups {
                    by_id: RBTree::new(),
                    by_account: RBTree::new(),
                    by_user: RBTree::new(),
                    by_port: RBTree::new(),
                    count: 0,
                    last_id: 0,
                }, "service_group::groups"),
                members: Atomic::new(0),
                adopting: Atomic::new(0),
                generation: Atomic::new(0),
                refused_limit: Atomic::new(0),
                refused_permission: Atomic::new(0),
                refused_other: Atomic::new(0),
                stall_timers <- StallTimers::new(),
                net,
            }? Error),
            GFP_KERNEL_ACCOUNT,
        )
    }

    pub(crate) fn stall_timers(&self) -> &StallTimers {
        &self.stall_timers
    }

    /// The namespace, as long as it is there: for its own calls, sockets and timer.
    pub(super) fn net(&self) -> Net<'_> {
        self.net.get()
    }

    /// Whether any group adopts.
    pub(super) fn adopts(&self) -> bool {
        self.adopting.load(Relaxed) != 0
    }

    pub(super) fn adopts_more(&self) {
        self.adopting.add(1, Relaxed);
    }

    pub(super) fn adopts_less(&self) {
        self.adopting.fetch_sub(1, Relaxed);
    }

    /// Forgets the groups that wait for members. The namespace ends, and no call comes any more.
    pub(crate) fn forget_all(&self) {
        while let Some(group) = self.get_from(0) {
            drop(self.remove(group.id));
        }
    }

    /// Lets no other call change memberships as long as the guard is there.
    pub(super) fn changes(&self) -> MutexGuard<'_, ()> {
        self.changes.lock()
    }

    /// An id that no group has, and that is not given again for four billion calls.
    pub(super) fn free_id(&self) -> u32 {
        let mut groups = self.groups.lock();
        // There are fewer groups than ids, by far.
        loop {
            groups.last_id = groups.last_id.wrapping_add(1).max(1);
            if groups.by_id.get(&groups.last_id).is_none() {
                return groups.last_id;
            }
        }
    }

    /// Refuses another group of a user who has as many as are allowed: for good under
    /// [`Registry::changes`].
    pub(super) fn check_limit(&self, uid: u32) -> Result<(), Refusal> {
        let most = uapi::SERVICE_GROUP_MAX_GROUPS as usize;
        match self.groups_of_user(uid).take(most).count() < most {
            true => Ok(()),
            false => Err(Refusal::TooManyGroups),
        }
    }

    pub(super) fn add(&self, entry: Entry) {
        let mut groups = self.groups.lock();
        groups.count = groups.count.saturating_add(1);
        let replaced = (
            groups.by_id.insert(entry.by_id),
            groups.by_account.insert(entry.by_account),
            groups.by_user.insert(entry.by_user),
            groups.by_port.insert(entry.by_port),
        );
        drop(groups);
        // There was none with this id; were there one, it would be dropped here.
        drop(replaced);
        self.generation.add(1, Relaxed);
    }

    /// Forgets the group; the reference comes back.
    pub(super) fn remove(&self, id: u32) -> Option<Arc<Group>> {
        let mut groups = self.groups.lock();
        let node = groups.by_id.remove_node(&id)?;
        let (_, group) = node.to_key_value();
        let account = group.stall_timer.account();
        let others = (
            groups.by_account.remove_node(&(account, id)),
            groups.by_user.remove_node(&(group.key.uid, id)),
            groups.by_port.remove_node(&(group.key.port, id)),
        );
        groups.count = groups.count.saturating_sub(1);
        drop(groups);
        drop(others);
        self.generation.add(1, Relaxed);
        Some(group)
    }

    pub(super) fn member_added(&self) {
        self.members.add(1, Relaxed);
        self.generation.add(1, Relaxed);
    }

    pub(super) fn member_removed(&self) {
        self.members.fetch_sub(1, Relaxed);
        self.generation.add(1, Relaxed);
    }

    /// The group with this id.
    pub(super) fn get(&self, id: u32) -> Option<Arc<Group>> {
        self.groups.lock().by_id.get(&id).cloned()
    }

    /// The first group with at least this id.
    pub(super) fn get_from(&self, id: u32) -> Option<Arc<Group>> {
        let groups = self.groups.lock();
        let cursor = groups.by_id.cursor_lower_bound(&id)?;
        Some(cursor.current().1.clone())
    }

    /// The groups, by their ids. The lock is not held between two of them: one that comes or goes
    /// meanwhile may be met or not.
    pub(super) fn groups(&self) -> impl Iterator<Item = Arc<Group>> + '_ {
        one_by_one(|id| self.get_from(id))
    }

    /// The same of those of an account.
    pub(super) fn groups_of(&self, account: u64) -> impl Iterator<Item = Arc<Group>> + '_ {
        one_by_one(move |id| first(&self.groups.lock().by_account, account, id))
    }

    /// The same of those of a user: of whom the sockets are.
    pub(super) fn groups_of_user(&self, uid: u32) -> impl Iterator<Item = Arc<Group>> + '_ {
        one_by_one(move |id| first(&self.groups.lock().by_user, uid, id))
    }

    /// The same of those that are for a port; 0: for several.
    pub(super) fn groups_for(&self, port: u16) -> impl Iterator<Item = Arc<Group>> + '_ {
        one_by_one(move |id| first(&self.groups.lock().by_port, port, id))
    }

    /// Goes up with each change of groups and members; never 0.
    pub(super) fn generation(&self) -> u32 {
        self.generation.load(Relaxed).max(1)
    }

    /// Counts a refusal.
    pub(super) fn refused(&self, refusal: Refusal) {
        use crate::logic::request::RequestError;
        let counter = match refusal {
            Refusal::TooManyGroups
            | Refusal::GroupFull
            | Refusal::Request(RequestError::TooMany) => &self.refused_limit,
            Refusal::NotPermitted | Refusal::Confined => &self.refused_permission,
            Refusal::Kernel(error) if error == EACCES => &self.refused_permission,
            _ => &self.refused_other,
        };
        counter.add(1, Relaxed);
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            groups: self.groups.lock().count,
            members: self.members.load(Relaxed),
            refused_limit: self.refused_limit.load(Relaxed),
            refused_permission: self.refused_permission.load(Relaxed),
            refused_other: self.refused_other.load(Relaxed),
        }
    }
}

/// The first of the groups that have this `key` with at least an id.
fn first<K: Ord + Copy>(groups: &By<K>, key: K, id: u32) -> Option<Arc<Group>> {
    let cursor = groups.cursor_lower_bound(&(key, id))?;
    let (&(found, _), group) = cursor.current();
    (found == key).then(|| group.clone())
}

/// The groups that `get_from` finds: each time the first one with at least an id.
fn one_by_one(
    mut get_from: impl FnMut(u32) -> Option<Arc<Group>>,
) -> impl Iterator<Item = Arc<Group>> {
    let mut next = Some(0u32);
    core::iter::from_fn(move || {
        let group = get_from(next?)?;
        next = group.id.checked_add(1);
        Some(group)
    })
}
