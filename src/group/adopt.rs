// SPDX-License-Identifier: GPL-2.0

//! A group outlives a reload: a listener that takes the place of a member becomes one.
//!
//! ```text
//!   listen()   the socket is about to listen       begins: which group it is for; it is armed
//!              packets find it
//!   return     to the program                      begun: it becomes a member
//! ```
//!
//! Both are done by the task that has called `listen()`, the second without a lock that it has. So the
//! program finds it a member, and whatever ends a listener finds it one as well: one that is closed at
//! once, as by a check of the configuration, passes on what it was given.
//!
//! Which listeners can stand for each other is told by their place, see
//! [`Place`](crate::logic::adopt::Place). The place of a member whose socket has ended is kept for the
//! group's adopt time, and with it the group, if that was its last member. A member that a call has
//! taken out leaves no place, and does not come back by itself.

#![forbid(unsafe_code)]

use super::{
    error::Refusal,
    membership,
    registry::Registry,
    report::{self, Change},
    successor,
    Group,
    Member, //
};
use crate::{
    logic::adopt::{self, Holder, Place, Vacancy, MAX_PLACES},
    sys::{
        core::{
            clock::{self, NS_OF_MS}, //
            netlink::Context,
            work::cond_resched,
        },
        socket::{
            adopt::Watching,
            listener::{Locked, Sock},
            ulp::UlpContext, //
        },
    },
};
use kernel::{
    error::Error,
    new_spinlock_irq,
    prelude::*,
    sync::{
        atomic::{Atomic, Full, Relaxed},
        rcu::{self, Guard},
        Arc,
        ArcBorrow,
        SpinLockIrq, //
    },
};

/// For how many milliseconds the places of members that have ended are kept; 0: no socket is adopted. While
/// it is another number, a [`Watching`] is kept, and the registry counts it.
struct Time {
    milliseconds: Atomic<u32>,
    registry: Arc<Registry>,
}

impl Time {
    fn get(&self) -> u32 {
        self.milliseconds.load(Relaxed)
    }

    /// Any context.
    fn set(&self, milliseconds: u32, watching: Option<Watching>) {
        let before = self.milliseconds.xchg(milliseconds, Full);
        match (before != 0, milliseconds != 0) {
            (false, true) => {
                self.registry.adopts_more();
                if let Some(watching) = watching {
                    watching.keep();
                }
            }
            (true, false) => {
                self.registry.adopts_less();
                drop(Watching::kept());
            }
            _ => (),
        }
    }
}

impl Drop for Time {
    fn drop(&mut self) {
        self.set(0, None);
    }
}

/// What a group needs that is to adopt: all of the change that can fail.
pub(super) struct Means {
    watching: Watching,
    places: KVec<Vacancy>,
}

impl Means {
    /// `EOPNOTSUPP` if the kernel has no tracepoints. Process context.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            places: KVec::with_capacity(MAX_PLACES, GFP_KERNEL_ACCOUNT)?,
            watching: Watching::new()?,
        })
    }
}

/// What a group adopts, and has adopted.
#[pin_data]
pub(super) struct Adoption {
    time: Time,
    /// Protects the places of members that have ended. There is memory for them once the group has
    /// adopted.
    #[pin]
    vacancies: SpinLockIrq<KVec<Vacancy>>,
    adopted: Atomic<u64>,
    refused: Atomic<u64>,
    /// Why one was refused last, an errno; 0 if none was.
    reason: Atomic<u32>,
}

impl Adoption {
    pub(super) fn new(registry: Arc<Registry>) -> impl PinInit<Self> {
        pin_init!(Self {
            time: Time {
                milliseconds: Atomic::new(0),
                registry,
            },
            vacancies <- new_spinlock_irq!(KVec::new(), "service_group::vacancies"),
            adopted: Atomic::new(0),
            refused: Atomic::new(0),
            reason: Atomic::new(0),
        })
    }

    /// The adopt time in milliseconds; 0 if no socket is adopted.
    pub(super) fn time(&self) -> u32 {
        self.time.get()
    }

    fn time_ns(&self) -> u64 {
        u64::from(self.time()).saturating_mul(NS_OF_MS)
    }

    pub(super) fn adopted(&self) -> u64 {
        self.adopted.load(Relaxed)
    }

    /// How many were refused, and with which errno the last one was.
    pub(super) fn refused(&self) -> (u64, u32) {
        (self.refused.load(Relaxed), self.reason.load(Relaxed))
    }

    /// Changes the adopt time, which needs the means unless it is 0. Any context.
    pub(super) fn change(&self, time: u32, means: Option<Means>) {
        let Some(Means { watching, places }) = means else {
            return self.time.set(0, None);
        };
        let mut unused = places;
        let mut vacancies = self.vacancies.lock();
        if vacancies.capacity() < MAX_PLACES {
            core::mem::swap(&mut *vacancies, &mut unused);
        }
        drop(vacancies);
        self.time.set(time, Some(watching));
    }

    /// Keeps the place of a member that has ended, unless there is no port or no memory. Any context.
    fn vacate(&self, place: Place, holder: Holder) {
        if self.time() == 0 || place.port == 0 {
            return;
        }
        let vacancy = Vacancy {
            place,
            holder,
            since: clock::now(),
        };
        let mut vacancies = self.vacancies.lock();
        let slot = adopt::slot_for(&vacancies, &place);
        match slot.and_then(|slot| vacancies.get_mut(slot)) {
            Some(kept) => *kept = vacancy,
            None => {
                let _ = vacancies.push_within_capacity(vacancy);
            }
        }
    }

    /// A member was taken out by a call: its place is not kept.
    fn forget(&self, place: &Place) {
        let mut vacancies = self.vacancies.lock();
        vacancies.retain(|vacancy| vacancy.place != *place);
    }

    /// Whether any place is kept. Any context.
    pub(super) fn waits(&self) -> bool {
        self.time() != 0 && !self.vacancies.lock().is_empty()
    }

    /// Forgets what was kept for long enough; tells for how many nanoseconds the rest is kept.
    fn expire(&self, now: u64) -> Option<u64> {
        let keep = self.time_ns();
        let mut vacancies = self.vacancies.lock();
        vacancies.retain(|vacancy| vacancy.left(now, keep).is_some());
        let left = vacancies.iter().filter_map(|one| one.left(now, keep));
        left.max()
    }
}

impl Group {
    /// Counts a socket that was adopted, or was refused, and tells of the latter.
    fn adopts(&self, result: Result<(), Refusal>) {
        let adoption = &self.adoption;
        let Err(refusal) = result else {
            return adoption.adopted.add(1, Relaxed);
        };
        adoption.refused.add(1, Relaxed);
        let errno = Error::from(refusal).to_errno().unsigned_abs();
        adoption.reason.store(errno, Relaxed);
        self.registry.refused(refusal);
        report::group_event(Change::Changed, self, self.registry.net(), Context::Atomic);
    }

    /// A member is about to be taken out.
    pub(super) fn vacates(&self, member: &Member, sock: &Sock, ended: bool) {
        let place = sock.place();
        match ended {
            true => self.adoption.vacate(place, member.holder(sock)),
            false => self.adoption.forget(&place),
        }
    }

    /// Ends a group without members if it has waited for them for long enough; tells in how many
    /// nanoseconds to look again. Process context.
    pub(super) fn wait_for_members(&self, now: u64) -> Option<u64> {
        if self.members.used() > 0 {
            return None;
        }
        let left = self.adoption.expire(now);
        if left.is_none() && self.members.close_if_empty() {
            self.end(self.registry.net(), Context::Process);
        }
        left
    }

    /// Whose place it is, or was.
    fn holder_of(&self, place: &Place, guard: &Guard) -> Option<Holder> {
        let mut members = self
            .members
            .iter(guard)
            .map(|member| (member, member.sock(guard)));
        if let Some((member, sock)) = members.find(|(_, sock)| sock.place() == *place) {
            return Some(member.holder(sock));
        }
        let keep = self.adoption.time_ns();
        let vacancies = self.adoption.vacancies.lock();
        adopt::holder_of(&vacancies, place, clock::now(), keep)
    }

    /// Whose place such a listener would take. The members are looked at one by one.
    fn place_for(&self, place: &Place) -> Option<Holder> {
        if self.adoption.time() == 0 {
            return None;
        }
        self.holder_of(place, &rcu::read_lock())
    }

    /// Whether it can be a member in this holder's place; the socket's own lock is held.
    fn check_successor(&self, locked: &Locked<'_>, holder: &Holder) -> Result<(), Refusal> {
        if locked.uid() != holder.uid {
            return Err(Refusal::NotPermitted);
        }
        membership::check_facts(&locked.facts(), &self.key)?;
        membership::check_room(self)?;
        Ok(locked.check()?)
    }
}

/// So many groups of others are asked whether a listener takes a place of theirs.
const OTHERS: usize = 64;

/// The group that has a place for the listener, and can have it; those that cannot count that. That is one
/// of its user's. Of others', which are asked only to count what they refuse, those for the same port are,
/// and not more than a few: what others have is not to keep up who listens.
fn group_for(registry: ArcBorrow<'_, Registry>, locked: &Locked<'_>) -> Option<Arc<Group>> {
    let (place, uid) = (locked.place(), locked.uid());
    if place.port == 0 {
        return None;
    }
    let own = registry
        .groups_of_user(uid)
        .filter(|group| [0, place.port].contains(&group.key.port));
    let others = registry
        .groups_for(place.port)
        .filter(|group| group.key.uid != uid);
    for group in Iterator::chain(own, others.take(OTHERS)) {
        cond_resched();
        let Some(holder) = group.place_for(&place) else {
            continue;
        };
        match group.check_successor(locked, &holder) {
            Ok(()) => return Some(group),
            refused => group.adopts(refused),
        }
    }
    None
}

impl Member {
    fn holder(&self, sock: &Sock) -> Holder {
        Holder {
            uid: sock.uid(),
            weight: self.weight.load(Relaxed),
        }
    }
}

/// A TCP socket is about to listen, its program has it locked, and no packet finds it yet. Process
/// context.
pub(crate) fn begins(locked: &mut Locked<'_>) {
    let registry = locked.net().registry();
    if !registry.adopts() || locked.attached_member().is_some() || locked.has_left() {
        return;
    }
    let Some(group) = group_for(registry, locked) else {
        return;
    };
    let later = |()| Ok(locked.adopt_later(group.clone())?);
    let prepared = prepare(locked).and_then(later);
    // Nothing is undone: another thread may have made it a member, and one that is armed and no
    // member costs its program next to nothing.
    if let Err(refusal) = prepared {
        group.adopts(Err(refusal));
    }
}

/// Gives it the ULP and arms it, unless it has listened before: then a grace period is to pass.
fn prepare(locked: &Locked<'_>) -> Result<(), Refusal> {
    let mut context = UlpContext::new()?;
    if !locked.attach_ulp(&mut context)? {
        locked.arm()?;
    }
    Ok(())
}

/// The same socket listens, or could not: its program has not been returned to, but may have other
/// threads. It is held open. Process context, nothing is locked.
pub(crate) fn begun(sock: &Sock, group: &Arc<Group>) {
    let holder = group.holder_of(&sock.place(), &rcu::read_lock());
    let weight = holder.map_or(1, |holder| holder.weight);
    match successor::enter(group, sock, weight) {
        // It does not listen, which is not worth an event.
        Err(Refusal::Connected) => (),
        result => group.adopts(result),
    }
}
