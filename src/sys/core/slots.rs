// SPDX-License-Identifier: GPL-2.0

//! A growing array of RCU-protected values: looked through without a lock, changed under one.
//! Values that are of no use at the moment may be marked, to be passed by.

use crate::sys::core::rcu::{DropsAnywhere, RcuArc, RcuBox};
use core::ptr;
use kernel::{
    alloc::AllocError,
    bitmap::BitmapVec,
    new_spinlock_irq,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Relaxed, Release},
        rcu::Guard,
        SpinLockIrq, //
    },
};

/// Why a value could not be put in.
pub(crate) enum Refused {
    /// The last value was taken out, and not to be replaced: nothing is put in after that.
    Closed,
    /// There is no free slot; [`RcuSlots::reserve`] some.
    Full,
}

/// What was taken out of a slot.
pub(crate) enum Removed {
    /// Nothing, or one of several values.
    Other,
    /// The last value.
    Last,
    /// The last value, and nothing is put in any more.
    Closed,
}

struct Table<T> {
    slots: KVec<Atomic<*mut T>>,
    /// Which of them are marked.
    marks: BitmapVec,
}

// What it holds is not its own to drop.
impl<T: DropsAnywhere> DropsAnywhere for Table<T> {}

impl<T> Table<T> {
    fn new(size: usize) -> Result<Self, AllocError> {
        let mut slots = KVec::with_capacity(size, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..size {
            slots.push(Atomic::new(ptr::null_mut()), GFP_KERNEL_ACCOUNT)?;
        }
        let marks = BitmapVec::new(size, GFP_KERNEL_ACCOUNT)?;
        Ok(Self { slots, marks })
    }

    /// Whether the slot is marked; one that there is not is.
    fn is_marked(&self, index: usize) -> bool {
        let bits = usize::BITS as usize;
        if index >= self.slots.len() {
            return true;
        }
        // SAFETY: The bitmap has a bit for each slot, in words; they are read as they are changed,
        // as a whole.
        let word = unsafe { self.marks.as_ptr().add(index / bits).read_volatile() };
        word >> (index % bits) & 1 != 0
    }

    /// The first slot from `start` on that is marked, going round once.
    fn first_marked(&self, start: usize) -> Option<usize> {
        self.marks
            .next_bit(start)
            .or_else(|| self.marks.next_bit(0))
    }
}

/// A walk round the slots, once. It keeps no guard, so a walk may wait between two values: one that is
/// put in or taken out meanwhile may be met or not.
pub(crate) struct Round {
    /// The slot that is looked at next, and how many are to be looked at.
    at: usize,
    left: usize,
}

impl Round {
    /// Goes on with the slot `next`, of so many. False if the slots before it are not all of the round.
    fn pass(&mut self, next: usize, capacity: usize) -> bool {
        let seen = next.saturating_sub(self.at);
        let within = seen <= self.left;
        self.at = if next < capacity { next } else { 0 };
        self.left = self.left.saturating_sub(seen);
        within
    }

    /// Whether all slots were looked at.
    pub(crate) fn is_over(&self) -> bool {
        self.left == 0
    }
}

struct Writer {
    used: usize,
    closed: bool,
}

/// Slots, each empty or with a value, whose index does not change while it is in.
///
/// # Invariants
///
/// - `table` is null or comes from [`RcuBox::into_raw`]; it is replaced under `writer`, and the
///   old one is freed after a grace period.
/// - Each slot is null or a pointer from [`RcuArc::into_raw`], whose ownership this structure has; it is
///   changed under `writer`, and the value is freed after a grace period.
#[pin_data(PinnedDrop)]
pub(crate) struct RcuSlots<T: DropsAnywhere> {
    table: Atomic<*mut Table<T>>,
    /// Protects all changes.
    #[pin]
    writer: SpinLockIrq<Writer>,
}

// SAFETY: It owns values of `T` and shares them.
unsafe impl<T: DropsAnywhere> Send for RcuSlots<T> {}
// SAFETY: As above; changes are made under a lock.
unsafe impl<T: DropsAnywhere> Sync for RcuSlots<T> {}

impl<T: DropsAnywhere> RcuSlots<T> {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            table: Atomic::new(ptr::null_mut()),
            writer <- new_spinlock_irq!(Writer {
                used: 0,
                closed: false,
            }),
        })
    }

    fn table<'g>(&'g self, _guard: &'g Guard) -> Option<&'g Table<T>> {
        // SAFETY: By the invariant, a table is freed a grace period after it was replaced, and
        // the guard shows that this is a read section.
        unsafe { self.table.load(Acquire).as_ref() }
    }

    fn slots<'g>(&'g self, guard: &'g Guard) -> &'g [Atomic<*mut T>] {
        self.table(guard).map_or(&[], |table| &table.slots)
    }

    /// How many slots there are, used or not.
    pub(crate) fn capacity(&self, guard: &Guard) -> usize {
        self.slots(guard).len()
    }

    /// How many slots are used.
    pub(crate) fn used(&self) -> usize {
        self.writer.lock().used
    }

    /// The value in the slot, if there is one.
    pub(crate) fn get<'g>(&'g self, index: usize, guard: &'g Guard) -> Option<&'g T> {
        let value = self.slots(guard).get(index)?.load(Acquire);
        // SAFETY: By the invariant, a value is freed a grace period after it was taken out, and
        // the guard shows that this is a read section.
        unsafe { value.as_ref() }
    }

    /// The values.
    pub(crate) fn iter<'g>(&'g self, guard: &'g Guard) -> impl Iterator<Item = &'g T> {
        self.iter_from(0, guard)
    }

    /// The values, beginning with the slot `start` and going round once.
    pub(crate) fn iter_from<'g>(
        &'g self,
        start: usize,
        guard: &'g Guard,
    ) -> impl Iterator<Item = &'g T> {
        let mut round = self.round_from(start, guard);
        core::iter::from_fn(move || self.next(&mut round, guard))
    }

    /// A walk round the slots that there are, beginning with the slot `start`.
    pub(crate) fn round_from(&self, start: usize, guard: &Guard) -> Round {
        let left = self.capacity(guard);
        // All slots are looked at wherever it begins.
        let at = start.min(left.saturating_sub(1));
        Round { at, left }
    }

    /// The next value of a round.
    pub(crate) fn next<'g>(&'g self, round: &mut Round, guard: &'g Guard) -> Option<&'g T> {
        let capacity = self.capacity(guard);
        while !round.is_over() {
            let slot = round.at;
            round.pass(slot.saturating_add(1), capacity);
            if let Some(value) = self.get(slot, guard) {
                return Some(value);
            }
        }
        None
    }

    /// Marks the slot, so that [`RcuSlots::unmarked_from`] passes it by. A mark is a hint: all are
    /// lost when the slots become more. This orders nothing.
    pub(crate) fn mark(&self, index: usize, guard: &Guard) {
        if let Some(table) = self.table(guard).filter(|table| !table.is_marked(index)) {
            table.marks.set_bit_atomic(index);
        }
    }

    /// Undoes [`RcuSlots::mark`].
    pub(crate) fn unmark(&self, index: usize, guard: &Guard) {
        if let Some(table) = self.table(guard).filter(|table| table.is_marked(index)) {
            table.marks.clear_bit_atomic(index);
        }
    }

    /// The values in slots that are not marked, beginning with the slot `start` and going round
    /// once, and then one in a slot that is marked: the first from `start` on.
    pub(crate) fn unmarked_from<'g>(&'g self, start: usize, guard: &'g Guard) -> Unmarked<'g, T> {
        let table = self.table(guard);
        let left = table.map_or(0, |table| table.slots.len());
        let at = start.min(left.saturating_sub(1));
        Unmarked {
            table,
            start: at,
            round: Round { at, left },
            marked: true,
            _guard: guard,
        }
    }

    /// Makes sure that this many more values fit in, unless another caller takes the place meanwhile.
    /// May sleep.
    pub(crate) fn reserve(&self, additional: usize) -> Result<(), AllocError> {
        let wanted = self.used().checked_add(additional).ok_or(AllocError)?;
        let capacity = {
            let guard = Guard::new();
            self.capacity(&guard)
        };
        if wanted <= capacity {
            return Ok(());
        }
        let wanted = wanted.max(capacity.saturating_mul(2));
        let bigger = RcuBox::new(Table::new(wanted)?, GFP_KERNEL_ACCOUNT)?;
        let writer = self.writer.lock();
        let guard = Guard::new();
        let slots = self.slots(&guard);
        // Another caller may have made more of them: these would not hold all values.
        if slots.len() >= bigger.slots.len() {
            return Ok(());
        }
        for (to, from) in bigger.slots.iter().zip(slots) {
            to.store(from.load(Relaxed), Relaxed);
        }
        drop(guard);
        let old = self
            .table
            .xchg(bigger.into_raw(), kernel::sync::atomic::Full);
        drop(writer);
        if !old.is_null() {
            // SAFETY: By the invariant, it comes from `into_raw()`, and it was just taken out.
            drop(unsafe { RcuBox::from_raw(old) });
        }
        Ok(())
    }

    /// Puts the value into a free slot, and tells which.
    pub(crate) fn insert(&self, value: RcuArc<T>) -> Result<usize, Refused> {
        let mut writer = self.writer.lock();
        if writer.closed {
            return Err(Refused::Closed);
        }
        let guard = Guard::new();
        let free = self
            .slots(&guard)
            .iter()
            .enumerate()
            .find(|(_, slot)| slot.load(Relaxed).is_null());
        let Some((index, slot)) = free else {
            return Err(Refused::Full);
        };
        self.unmark(index, &guard);
        slot.store(value.into_raw(), Release);
        writer.used = writer.used.saturating_add(1);
        Ok(index)
    }

    /// Takes the value out of the slot. Nothing is put in after the last one, unless the slots are to
    /// stay, which is asked under the lock of all changes.
    pub(crate) fn remove(&self, index: usize, stay: impl FnOnce() -> bool) -> Removed {
        let mut writer = self.writer.lock();
        let guard = Guard::new();
        let value = match self.slots(&guard).get(index) {
            Some(slot) => slot.xchg(ptr::null_mut(), kernel::sync::atomic::Full),
            None => ptr::null_mut(),
        };
        if value.is_null() {
            return Removed::Other;
        }
        // SAFETY: By the invariant, it comes from `into_raw()`, and it was just taken out.
        drop(unsafe { RcuArc::from_raw(value) });
        writer.used = writer.used.saturating_sub(1);
        if writer.used > 0 {
            return Removed::Other;
        }
        writer.closed = !stay();
        match writer.closed {
            true => Removed::Closed,
            false => Removed::Last,
        }
    }

    /// Has nothing put in any more if there is nothing; false if there is, or it was so before.
    pub(crate) fn close_if_empty(&self) -> bool {
        let mut writer = self.writer.lock();
        let closes = writer.used == 0 && !writer.closed;
        writer.closed |= closes;
        closes
    }
}

/// See [`RcuSlots::unmarked_from`].
pub(crate) struct Unmarked<'g, T: DropsAnywhere> {
    table: Option<&'g Table<T>>,
    start: usize,
    round: Round,
    /// Whether one that is marked is to come.
    marked: bool,
    _guard: &'g Guard,
}

impl<'g, T: DropsAnywhere> Unmarked<'g, T> {
    /// The next slot of the round that is not marked.
    fn next_unmarked(&mut self, table: &Table<T>) -> Option<usize> {
        let capacity = table.slots.len();
        while !self.round.is_over() {
            let found = table.marks.next_zero_bit(self.round.at);
            let next = found.map_or(capacity, |index| index.saturating_add(1));
            // Round the end, and up to where it began.
            if self.round.pass(next, capacity) && found.is_some() {
                return found;
            }
        }
        None
    }

    fn next_slot(&mut self) -> Option<&'g Atomic<*mut T>> {
        let table = self.table?;
        let index = match self.next_unmarked(table) {
            None if self.marked => {
                self.marked = false;
                table.first_marked(self.start)?
            }
            index => index?,
        };
        table.slots.get(index)
    }
}

impl<'g, T: DropsAnywhere> Iterator for Unmarked<'g, T> {
    type Item = &'g T;

    fn next(&mut self) -> Option<&'g T> {
        loop {
            let value = self.next_slot()?.load(Acquire);
            // SAFETY: As in `RcuSlots::get()`.
            if let Some(value) = unsafe { value.as_ref() } {
                return Some(value);
            }
        }
    }
}

#[pinned_drop]
impl<T: DropsAnywhere> PinnedDrop for RcuSlots<T> {
    fn drop(self: Pin<&mut Self>) {
        let table = self.table.load(Relaxed);
        if table.is_null() {
            return;
        }
        // SAFETY: By the invariant, and nobody else has `self`.
        let table = unsafe { RcuBox::from_raw(table) };
        for slot in table.slots.iter() {
            let value = slot.load(Relaxed);
            if !value.is_null() {
                // SAFETY: As above.
                drop(unsafe { RcuArc::from_raw(value) });
            }
        }
    }
}
