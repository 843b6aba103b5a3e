// SPDX-License-Identifier: GPL-2.0

//! A clock, and the timers of a network namespace.

use crate::sys::{
    bindings,
    core::parts::Registry, //
};
use core::ptr::NonNull;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex}, //
};

/// Nanoseconds of a tick, by which [`now`] goes on.
pub(crate) fn tick_ns() -> u64 {
    // SAFETY: It has no requirements.
    unsafe { bindings::sg_tick_ns() }
}

/// Ticks of a clock that only goes forward. It wraps where a word has 32 bits. Any context.
pub(crate) fn ticks() -> usize {
    // SAFETY: It is there, and read as the kernel changes it, as a whole. Its C type is a usize.
    unsafe { (&raw const kernel::bindings::jiffies).read_volatile() }
}

/// Nanoseconds of a millisecond.
pub(crate) const NS_OF_MS: u64 = 1_000_000;
/// Nanoseconds of a second.
pub(crate) const NS_OF_S: u64 = 1_000_000_000;

/// Nanoseconds of a clock that only goes forward, a tick at a time. Any context.
pub(crate) fn now() -> u64 {
    // SAFETY: It has no requirements.
    unsafe { bindings::sg_now() }
}

/// Until when a call waits for what others have.
pub(crate) struct Deadline(u64);

impl Deadline {
    /// What a call waits for sockets that others have locked: all of them together, and as long by
    /// the clock. Who is in a call has the lock for less, unless he makes it last.
    const SOON_NS: u64 = NS_OF_S;

    pub(crate) fn soon() -> Self {
        // SAFETY: It has no requirements.
        Self(unsafe { bindings::sg_clock() }.saturating_add(Self::SOON_NS))
    }

    /// On the clock of `sg_clock()`.
    pub(in crate::sys) fn ns(&self) -> u64 {
        self.0
    }
}

/// A timer that has `sg_tick()` called, in process context, for the groups of one account in one
/// network namespace: what somebody's groups take is not what others wait for.
///
/// # Invariants
///
/// The pointer comes from `sg_ticker_new()` and is owned.
pub(crate) struct Ticker {
    raw: NonNull<bindings::sg_ticker>,
    account: u64,
}

// SAFETY: The timer and its work may be used from any CPU.
unsafe impl Send for Ticker {}
// SAFETY: As above.
unsafe impl Sync for Ticker {}

impl Ticker {
    /// A timer that is not set. Process context.
    ///
    /// # Safety
    ///
    /// `registry` is there until [`Ticker::stop`].
    unsafe fn new(registry: NonNull<Registry>, account: u64) -> Result<Self> {
        // SAFETY: It has no requirements, and the work's are this function's.
        let raw = unsafe { bindings::sg_ticker_new(registry.as_ptr().cast(), account) };
        // INVARIANT: It was just made.
        Ok(Self {
            raw: NonNull::new(raw).ok_or(ENOMEM)?,
            account,
        })
    }

    /// Whose groups it is for.
    pub(crate) fn account(&self) -> u64 {
        self.account
    }

    /// Has it tick in so many nanoseconds, or before, but not while it rests. Any context.
    pub(crate) fn arm(&self, nanoseconds: u64) {
        // SAFETY: By the invariant.
        unsafe { bindings::sg_ticker_arm(self.raw.as_ptr(), nanoseconds) };
    }

    /// Waits until nothing runs, and lets it tick no more. Process context.
    fn stop(&self) {
        // SAFETY: By the invariant.
        unsafe { bindings::sg_ticker_stop(self.raw.as_ptr()) };
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // SAFETY: By the invariant. Who made it keeps it until it was stopped, but for one that was
        // never armed, see `Tickers::of()`.
        unsafe { bindings::sg_ticker_free(self.raw.as_ptr()) };
    }
}

/// The timers of a network namespace. There are as many as there are users who have formed groups: all
/// that somebody does with user namespaces counts as one.
#[pin_data]
pub(crate) struct Tickers {
    #[pin]
    list: Mutex<List>,
}

struct List {
    /// What they are for, while they may be made.
    registry: Option<NonNull<Registry>>,
    tickers: KVec<Arc<Ticker>>,
}

// SAFETY: A registry may be used from any CPU.
unsafe impl Send for List {}

impl Tickers {
    /// None, and none can be made.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            list <- new_mutex!(List { registry: None, tickers: KVec::new() }, "service_group::tickers"),
        })
    }

    /// From now on they can be made.
    ///
    /// # Safety
    ///
    /// `registry` is what owns this, and is there until [`Tickers::stop`] has returned.
    pub(in crate::sys) unsafe fn start(&self, registry: *const Registry) {
        self.list.lock().registry = NonNull::new(registry.cast_mut());
    }

    /// The one of an account. Process context.
    pub(crate) fn of(&self, account: u64) -> Result<Arc<Ticker>> {
        let mut list = self.list.lock();
        let known = list.tickers.iter().find(|it| it.account == account);
        if let Some(ticker) = known {
            return Ok(ticker.clone());
        }
        let registry = list.registry.ok_or(ENODEV)?;
        list.tickers.reserve(1, GFP_KERNEL_ACCOUNT)?;
        // SAFETY: What is in the list is stopped before the registry is gone.
        let ticker = unsafe { Ticker::new(registry, account) }?;
        // Until it is in the list it is not armed.
        let ticker = Arc::new(ticker, GFP_KERNEL_ACCOUNT)?;
        list.tickers.push(ticker.clone(), GFP_KERNEL_ACCOUNT)?;
        Ok(ticker)
    }

    /// Waits until nothing runs, and lets nothing tick or be made any more. Process context.
    pub(in crate::sys) fn stop(&self) {
        let mut list = self.list.lock();
        list.registry = None;
        for ticker in &list.tickers {
            ticker.stop();
        }
    }
}
