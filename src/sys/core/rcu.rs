// SPDX-License-Identifier: GPL-2.0

//! Boxes whose contents outlive a grace period.

use crate::sys::bindings as shim;
use core::{
    mem::{offset_of, size_of, ManuallyDrop},
    ops::Deref,
    ptr::{self, NonNull}, //
};
use kernel::{
    alloc::{AllocError, Flags},
    bindings,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Full},
        rcu::{self, Guard},
        Refcount, //
    },
    types::Opaque, //
};

#[repr(C)]
struct Inner<T> {
    head: Opaque<bindings::callback_head>,
    value: T,
}

/// A promise that the value may be dropped in softirq context, as [`RcuBox`] drops it: that neither
/// sleeps, nor takes a lock that others hold with softirqs on.
pub(crate) trait DropsAnywhere: Send + Sync + 'static {
    /// Whether [`RcuBox`] is to drop it in process context all the same, as that may take long, and
    /// softirqs of others would wait meanwhile.
    const TAKES_LONG: bool = false;
}

/// Owns a value that RCU readers may still be looking at when the box is dropped: the value is
/// dropped when a grace period has passed, in softirq context unless it [takes
/// long](DropsAnywhere::TAKES_LONG).
///
/// Dropping the box is allowed in any context.
///
/// # Invariants
///
/// The pointer is to an allocation of a [`KBox`] that this box owns, and whose `head` is not in
/// use.
pub(crate) struct RcuBox<T: DropsAnywhere>(NonNull<Inner<T>>);

// SAFETY: It owns a `T`, and hands out shared references only.
unsafe impl<T: DropsAnywhere> Send for RcuBox<T> {}
// SAFETY: As above.
unsafe impl<T: DropsAnywhere> Sync for RcuBox<T> {}

impl<T: DropsAnywhere> RcuBox<T> {
    pub(crate) fn new(value: T, flags: Flags) -> Result<Self, AllocError> {
        let inner = KBox::new(
            Inner {
                head: Opaque::uninit(),
                value,
            },
            flags,
        )?;
        // INVARIANT: The allocation is new.
        Ok(Self(NonNull::from(KBox::leak(inner))))
    }

    /// The value's address, which stays the same for its life.
    fn as_ptr(&self) -> *const T {
        // SAFETY: By the invariant, the pointer is valid while `self` is.
        unsafe { &raw const (*self.0.as_ptr()).value }
    }

    /// Gives up ownership; see [`RcuBox::from_raw`].
    pub(in crate::sys) fn into_raw(self) -> *mut T {
        let ptr = self.as_ptr().cast_mut();
        core::mem::forget(self);
        ptr
    }

    /// # Safety
    ///
    /// `ptr` comes from [`RcuBox::into_raw`], and has not been passed to this function since.
    pub(in crate::sys) unsafe fn from_raw(ptr: *mut T) -> Self {
        // SAFETY: By the requirement, the pointer is to the `value` of an `Inner`.
        let inner = unsafe { ptr.byte_sub(offset_of!(Inner<T>, value)) }.cast();
        // INVARIANT: Ownership comes back from `into_raw()`.
        // SAFETY: A pointer into an allocation is not null.
        Self(unsafe { NonNull::new_unchecked(inner) })
    }
}

impl<T: DropsAnywhere> Deref for RcuBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the invariant, the pointer is valid while `self` is.
        unsafe { &self.0.as_ref().value }
    }
}

impl<T: DropsAnywhere> Drop for RcuBox<T> {
    fn drop(&mut self) {
        // SAFETY: By the invariant, `head` is valid and not in use, and it is the first field, so
        // `free()` can find the allocation by it. A `Barrier` waits for callbacks before the
        // module's code goes.
        unsafe { bindings::call_rcu(self.0.as_ref().head.get(), Some(passed::<T>)) };
    }
}

/// # Safety
///
/// `head` is that of an `Inner<T>` whose box was dropped, a grace period ago.
unsafe extern "C" fn passed<T: DropsAnywhere>(head: *mut bindings::callback_head) {
    // SAFETY: By the requirement, nobody else has the allocation, and RCU is done with its head.
    unsafe {
        match T::TAKES_LONG {
            true => shim::svcg_free_later(head.cast(), Some(free::<T>)),
            false => free::<T>(head.cast()),
        }
    }
}

/// # Safety
///
/// `head` is that of an `Inner<T>` whose box was dropped, a grace period ago.
unsafe extern "C" fn free<T: DropsAnywhere>(head: *mut c_void) {
    // SAFETY: By the requirement, nobody else has the allocation; `head` is its first field.
    drop(unsafe { KBox::from_raw(head.cast::<Inner<T>>()) });
}

struct Counted<T> {
    owners: Refcount,
    value: T,
}

impl<T: DropsAnywhere> DropsAnywhere for Counted<T> {}

/// The same with several owners: the grace period begins when the last one lets go.
///
/// # Invariants
///
/// `owners` counts this value; the box is dropped by the last one.
pub(crate) struct RcuArc<T: DropsAnywhere>(ManuallyDrop<RcuBox<Counted<T>>>);

impl<T: DropsAnywhere> RcuArc<T> {
    pub(crate) fn new(value: T, flags: Flags) -> Result<Self, AllocError> {
        let owners = Refcount::new(1);
        // INVARIANT: This is the one.
        Ok(Self(ManuallyDrop::new(RcuBox::new(
            Counted { owners, value },
            flags,
        )?)))
    }

    /// Gives up this ownership; see [`RcuArc::from_raw`]. A holder of the pointer may look at the
    /// value until then, and an RCU reader until a grace period after that.
    pub(in crate::sys) fn into_raw(self) -> *mut T {
        let ptr = (&raw const self.0.value).cast_mut();
        core::mem::forget(self);
        ptr
    }

    /// # Safety
    ///
    /// `ptr` comes from [`RcuArc::into_raw`], and has not been passed to this function since.
    pub(in crate::sys) unsafe fn from_raw(ptr: *mut T) -> Self {
        // SAFETY: By the requirement, the pointer is to the `value` of a `Counted`, which is that of
        // an `RcuBox`.
        let inner = unsafe { RcuBox::from_raw(ptr.byte_sub(offset_of!(Counted<T>, value)).cast()) };
        // INVARIANT: Ownership comes back from `into_raw()`.
        Self(ManuallyDrop::new(inner))
    }
}

impl<T: DropsAnywhere> Clone for RcuArc<T> {
    fn clone(&self) -> Self {
        self.0.owners.inc();
        // INVARIANT: It was just counted.
        Self(ManuallyDrop::new(RcuBox(self.0 .0)))
    }
}

impl<T: DropsAnywhere> Deref for RcuArc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: DropsAnywhere> Drop for RcuArc<T> {
    fn drop(&mut self) {
        if self.0.owners.dec_and_test() {
            // SAFETY: By the invariant, there is no other owner, and nobody uses this one any more.
            unsafe { ManuallyDrop::drop(&mut self.0) };
        }
    }
}

/// A value that RCU readers find, and that is replaced as a whole.
///
/// # Invariants
///
/// The pointer is null or comes from [`RcuBox::into_raw`], and this cell owns the box.
pub(crate) struct RcuCell<T: DropsAnywhere>(Atomic<*mut T>);

// SAFETY: It owns a `T`, and hands out shared references only.
unsafe impl<T: DropsAnywhere> Send for RcuCell<T> {}
// SAFETY: As above.
unsafe impl<T: DropsAnywhere> Sync for RcuCell<T> {}

impl<T: DropsAnywhere> RcuCell<T> {
    /// An empty one.
    pub(crate) fn new() -> Self {
        // INVARIANT: It is null.
        Self(Atomic::new(ptr::null_mut()))
    }

    /// The value, if there is one.
    pub(crate) fn get<'g>(&'g self, _guard: &'g Guard) -> Option<&'g T> {
        // SAFETY: By the invariant. The box is dropped after it was taken out of here, and the
        // value lives for a grace period after that; the guard shows that this is a read section.
        unsafe { self.0.load(Acquire).as_ref() }
    }

    /// Puts another value in, or none. Readers find the old one until they end.
    pub(crate) fn replace(&self, value: Option<RcuBox<T>>) {
        let new = value.map_or(ptr::null_mut(), RcuBox::into_raw);
        // INVARIANT: It comes from `into_raw()`, or is null.
        let old = self.0.xchg(new, Full);
        if !old.is_null() {
            // SAFETY: By the invariant; nobody finds it here any more.
            drop(unsafe { RcuBox::from_raw(old) });
        }
    }
}

impl<T: DropsAnywhere> Drop for RcuCell<T> {
    fn drop(&mut self) {
        self.replace(None);
    }
}

/// The read section that the kernel calls a callback in: entering another one costs, and is of no
/// use.
///
/// # Safety
///
/// The calling context is in an RCU read section for `'a`.
pub(in crate::sys) unsafe fn assume_rcu_read_lock<'a>() -> &'a Guard {
    const { assert!(size_of::<Guard>() == 0) };
    // SAFETY: There is nothing to be read of a value without a size, so an aligned pointer will do.
    // What it is evidence of holds by the requirement, and as it is not owned it is not dropped.
    unsafe { NonNull::<Guard>::dangling().as_ref() }
}

/// Waits until all is dropped whose boxes were, also what takes long. Process context.
pub(in crate::sys) fn wait_for_dropped() {
    // SAFETY: It has no requirements.
    unsafe { shim::svcg_free_wait() };
}

/// Waits, when it is dropped, until no callback of this module is queued.
pub(crate) struct Barrier;

impl Drop for Barrier {
    fn drop(&mut self) {
        rcu::rcu_barrier();
    }
}
