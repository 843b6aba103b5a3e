// SPDX-License-Identifier: GPL-2.0

//! A growing array of RCU-protected values: looked through without a lock, changed under one.

use super::rcu::RcuBox;
use core::ptr;
use kernel::{
    alloc::AllocError,
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
    /// [`RcuSlots::remove`] took out the last value: nothing is put in after that.
    Closed,
    /// There is no free slot; [`RcuSlots::reserve`] some.
    Full,
}

type Table<T> = KVec<Atomic<*mut T>>;

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
/// - Each slot is null or a pointer from [`RcuBox::into_raw`], which this structure owns; it is
///   changed under `writer`, and the value is freed after a grace period.
#[pin_data(PinnedDrop)]
pub(crate) struct RcuSlots<T: Send + Sync + 'static> {
    table: Atomic<*mut Table<T>>,
    /// Protects all changes.
    #[pin]
    writer: SpinLockIrq<Writer>,
}

// SAFETY: It owns values of `T` and shares them.
unsafe impl<T: Send + Sync> Send for RcuSlots<T> {}
// SAFETY: As above; changes are made under a lock.
unsafe impl<T: Send + Sync> Sync for RcuSlots<T> {}

impl<T: Send + Sync> RcuSlots<T> {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            table: Atomic::new(ptr::null_mut()),
            writer <- new_spinlock_irq!(Writer {
                used: 0,
                closed: false,
            }),
        })
    }

    fn table<'g>(&'g self, _guard: &'g Guard) -> &'g [Atomic<*mut T>] {
        let table = self.table.load(Acquire);
        if table.is_null() {
            return &[];
        }
        // SAFETY: By the invariant, a table is freed a grace period after it was replaced, and
        // the guard shows that this is a read section.
        unsafe { &*table }
    }

    /// How many slots there are, used or not.
    pub(crate) fn capacity(&self, guard: &Guard) -> usize {
        self.table(guard).len()
    }

    /// How many slots are used.
    pub(crate) fn used(&self) -> usize {
        self.writer.lock().used
    }

    /// The value in the slot, if there is one.
    pub(crate) fn get<'g>(&'g self, index: usize, guard: &'g Guard) -> Option<&'g T> {
        let value = self.table(guard).get(index)?.load(Acquire);
        // SAFETY: By the invariant, a value is freed a grace period after it was taken out, and
        // the guard shows that this is a read section.
        unsafe { value.as_ref() }
    }

    /// The values, beginning with the slot `start` and going round once.
    pub(crate) fn iter_from<'g>(
        &'g self,
        start: usize,
        guard: &'g Guard,
    ) -> impl Iterator<Item = &'g T> {
        let table = self.table(guard);
        let (head, tail) = table
            .split_at_checked(start.checked_rem(table.len()).unwrap_or(0))
            .unwrap_or((&[], table));
        Iterator::chain(tail.iter(), head).filter_map(|slot| {
            // SAFETY: As in `get()`.
            unsafe { slot.load(Acquire).as_ref() }
        })
    }

    /// Makes sure that this many more values fit in. May sleep; callers of this function and of
    /// [`RcuSlots::insert`] must not run side by side, or another may take the place.
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
        let mut bigger: Table<T> = KVec::with_capacity(wanted, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..wanted {
            bigger.push(Atomic::new(ptr::null_mut()), GFP_KERNEL_ACCOUNT)?;
        }
        let bigger = RcuBox::new(bigger, GFP_KERNEL_ACCOUNT)?;

        let writer = self.writer.lock();
        let guard = Guard::new();
        for (to, from) in bigger.iter().zip(self.table(&guard)) {
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
    pub(crate) fn insert(&self, value: RcuBox<T>) -> Result<usize, Refused> {
        let mut writer = self.writer.lock();
        if writer.closed {
            return Err(Refused::Closed);
        }
        let guard = Guard::new();
        let free = self
            .table(&guard)
            .iter()
            .enumerate()
            .find(|(_, slot)| slot.load(Relaxed).is_null());
        let Some((index, slot)) = free else {
            return Err(Refused::Full);
        };
        slot.store(value.into_raw(), Release);
        writer.used = writer.used.saturating_add(1);
        Ok(index)
    }

    /// Takes the value out of the slot, and tells whether it was the last one.
    pub(crate) fn remove(&self, index: usize) -> (Option<RcuBox<T>>, bool) {
        let mut writer = self.writer.lock();
        let guard = Guard::new();
        let value = match self.table(&guard).get(index) {
            Some(slot) => slot.xchg(ptr::null_mut(), kernel::sync::atomic::Full),
            None => ptr::null_mut(),
        };
        if value.is_null() {
            return (None, false);
        }
        writer.used = writer.used.saturating_sub(1);
        writer.closed = writer.used == 0;
        // SAFETY: By the invariant, it comes from `into_raw()`, and it was just taken out.
        (Some(unsafe { RcuBox::from_raw(value) }), writer.closed)
    }
}

#[pinned_drop]
impl<T: Send + Sync> PinnedDrop for RcuSlots<T> {
    fn drop(self: Pin<&mut Self>) {
        let table = self.table.load(Relaxed);
        if table.is_null() {
            return;
        }
        // SAFETY: By the invariant, and nobody else has `self`.
        let table = unsafe { RcuBox::from_raw(table) };
        for slot in table.iter() {
            let value = slot.load(Relaxed);
            if !value.is_null() {
                // SAFETY: As above.
                drop(unsafe { RcuBox::from_raw(value) });
            }
        }
    }
}
