// SPDX-License-Identifier: GPL-2.0

//! Sockets: what each is, its lock, and references to it. What makes one a member is in
//! [`ulp`](super::ulp).

use crate::{
    logic::{
        facts::Facts,
        room::Load, //
    },
    sys::{
        bindings,
        core::{
            clock::Deadline, //
            netns::Net,
        },
    },
};
use core::{
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    sync::rcu::Guard,
    types::{NotThreadSafe, Opaque}, //
};

/// What kind of socket it is, if not TCP.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Mptcp,
    Other,
}

/// What a socket is and does at one moment.
pub(crate) struct State {
    /// What decisions ask for, but for what its group knows of it.
    pub(crate) facts: Facts,
    /// Whether it is neither listening nor connected.
    pub(crate) closed: bool,
    /// Whether its operations are those of a hook.
    pub(crate) hooked: bool,
}

/// Which socket it is.
pub(crate) struct Identity {
    pub(crate) cookie: u64,
    pub(crate) inode: u64,
    pub(crate) family: u16,
    /// Host byte order.
    pub(crate) port: u16,
    /// Network byte order; an IPv4 address has four bytes.
    pub(crate) address: [u8; 16],
}

impl From<bindings::svcg_load> for Load {
    fn from(raw: bindings::svcg_load) -> Self {
        Self {
            queued: raw.queued,
            half_open: raw.reqsk_qlen,
            backlog: raw.backlog,
        }
    }
}

/// A `struct sock` of whatever kind; its memory is there as that of a [`Sock`].
#[repr(transparent)]
pub(crate) struct AnySock(Opaque<bindings::sock>);

impl AnySock {
    /// # Safety
    ///
    /// `ptr` is a full socket whose memory is there for `'a`.
    pub(in crate::sys) unsafe fn from_ptr<'a>(ptr: *mut bindings::sock) -> &'a Self {
        // SAFETY: By the requirement; the type is transparent.
        unsafe { &*ptr.cast() }
    }

    /// It as a TCP socket that a descriptor stands for, or what else it is.
    pub(crate) fn tcp(&self) -> Result<&Sock, Kind> {
        // SAFETY: `self` is a full socket.
        match unsafe { bindings::svcg_sock_kind(self.0.get()) } {
            // SAFETY: It is a full one of that kind, and there as long as `self`.
            bindings::svcg_kind_SVCG_KIND_TCP => Ok(unsafe { Sock::from_ptr(self.0.get()) }),
            bindings::svcg_kind_SVCG_KIND_MPTCP => Err(Kind::Mptcp),
            _ => Err(Kind::Other),
        }
    }

    pub(crate) fn net(&self) -> Net<'_> {
        // SAFETY: A socket has a namespace as long as its memory is there.
        unsafe { Net::from_ptr(bindings::svcg_sock_net(self.0.get())) }
    }
}

/// A `struct sock` of a TCP socket. A reference says that the memory is there, by a reference
/// count or an RCU read section; it does not say that the count is not zero.
#[repr(transparent)]
pub(crate) struct Sock(Opaque<bindings::sock>);

// SAFETY: The kernel's sockets are shared between CPUs.
unsafe impl Sync for Sock {}

/// The tasks that wait for a socket's connections.
pub(crate) struct Waiters {
    /// How many do: with `accept()`, `poll()`, or an epoll instance.
    pub(crate) count: u32,
    /// Whether one of them sleeps in `accept()`.
    pub(crate) accepts: bool,
}

impl Sock {
    /// # Safety
    ///
    /// `ptr` is a full TCP socket whose memory is there for `'a`.
    pub(in crate::sys) unsafe fn from_ptr<'a>(ptr: *mut bindings::sock) -> &'a Self {
        // SAFETY: By the requirement; the type is transparent.
        unsafe { &*ptr.cast() }
    }

    pub(in crate::sys) fn as_ptr(&self) -> *mut bindings::sock {
        self.0.get()
    }

    pub(crate) fn net(&self) -> Net<'_> {
        // SAFETY: A socket has a namespace as long as its memory is there.
        unsafe { Net::from_ptr(bindings::svcg_sock_net(self.as_ptr())) }
    }

    /// The owner's user id, as the initial user namespace has it.
    pub(crate) fn uid(&self) -> u32 {
        // SAFETY: `self` is a full socket.
        unsafe { bindings::svcg_sock_uid(self.as_ptr()) }
    }

    pub(crate) fn state(&self) -> State {
        let mut raw = bindings::svcg_facts::default();
        // SAFETY: `self` is a full TCP socket, and `raw` is writable.
        unsafe { bindings::svcg_sock_facts(self.as_ptr(), &mut raw) };
        State {
            facts: Facts {
                listening: raw.listening,
                load: raw.load.into(),
                port: raw.port,
                device: raw.device,
                min_ttl: raw.min_ttl,
                mark: raw.mark,
                tos: raw.tos,
                route: raw.route,
                programs: raw.programs,
                has_rx_policy: raw.has_rx_policy,
                ipv6_socket: raw.ipv6_socket,
                serves_ipv4: raw.serves_ipv4,
                serves_ipv6: raw.serves_ipv6,
                ..Facts::default()
            },
            closed: raw.closed,
            hooked: raw.hooked,
        }
    }

    pub(crate) fn facts(&self) -> Facts {
        self.state().facts
    }

    pub(crate) fn identity(&self) -> Identity {
        let mut raw = bindings::svcg_identity::default();
        // SAFETY: `self` is a full TCP socket, and `raw` is writable.
        unsafe { bindings::svcg_sock_identity(self.as_ptr(), &mut raw) };
        Identity {
            cookie: raw.cookie,
            inode: raw.inode,
            family: raw.family,
            port: raw.port,
            address: raw.address,
        }
    }

    /// Takes a reference, unless the last one is gone.
    pub(crate) fn try_ref(&self, _guard: &Guard) -> Option<SockRef> {
        // SAFETY: The memory is there.
        if !unsafe { bindings::svcg_sock_get_unless_zero(self.as_ptr()) } {
            return None;
        }
        // INVARIANT: The reference was just taken.
        NonNull::new(self.as_ptr()).map(SockRef)
    }

    /// Locks the socket, and waits for that for as long as its owner likes. In calls of the
    /// socket's own program only, which wait for it anyway; and with nothing held that others wait
    /// for. Process context.
    pub(crate) fn lock(&self) -> Locked<'_> {
        // SAFETY: `self` is a full socket.
        unsafe { bindings::svcg_sock_lock(self.as_ptr()) };
        // INVARIANT: The lock was just taken.
        Locked(self, NotThreadSafe)
    }

    /// Connections in its accept queue.
    pub(crate) fn queued(&self) -> u32 {
        // SAFETY: `self` is a full socket.
        unsafe { bindings::svcg_sock_queued(self.as_ptr()) }
    }

    /// Whether its accept queue takes another one.
    pub(crate) fn has_queue_room(&self) -> bool {
        // SAFETY: `self` is a full socket.
        unsafe { bindings::svcg_sock_has_room(self.as_ptr()) }
    }

    /// Locks the socket, unless it is locked. Process context.
    pub(crate) fn try_lock(&self) -> Option<Locked<'_>> {
        // SAFETY: `self` is a full socket.
        if !unsafe { bindings::svcg_sock_try_lock(self.as_ptr()) } {
            return None;
        }
        // INVARIANT: The lock was just taken.
        Some(Locked(self, NotThreadSafe))
    }

    /// Locks the socket, or gives up if it is locked until then. Process context.
    pub(crate) fn lock_until(&self, deadline: &Deadline) -> Option<Locked<'_>> {
        // SAFETY: `self` is a full socket.
        if !unsafe { bindings::svcg_sock_lock_until(self.as_ptr(), deadline.ns()) } {
            return None;
        }
        // INVARIANT: The lock was just taken.
        Some(Locked(self, NotThreadSafe))
    }

    /// The tasks that wait for its connections.
    pub(crate) fn waiters(&self, _guard: &Guard) -> Waiters {
        let mut accepts = false;
        // SAFETY: `self` is a full socket, the place for the answer is there, and the guard shows that
        // this is a read section.
        let count = unsafe { bindings::svcg_sock_waiters(self.as_ptr(), &mut accepts) };
        Waiters { count, accepts }
    }

    /// Whether some task has it locked at the moment.
    pub(crate) fn is_owned(&self) -> bool {
        // SAFETY: `self` is a full socket.
        unsafe { bindings::svcg_sock_is_owned(self.as_ptr()) }
    }

    /// Has the tasks that wait for connections look again.
    pub(crate) fn wake(&self, _guard: &Guard) {
        // SAFETY: `self` is a full socket, and the guard shows that this is a read section.
        unsafe { bindings::svcg_sock_wake(self.as_ptr()) };
    }
}

/// A counted reference to a socket.
///
/// # Invariants
///
/// It owns one reference.
pub(crate) struct SockRef(NonNull<bindings::sock>);

// SAFETY: The kernel's sockets are shared between CPUs.
unsafe impl Send for SockRef {}
// SAFETY: As above.
unsafe impl Sync for SockRef {}

impl Deref for SockRef {
    type Target = Sock;

    fn deref(&self) -> &Sock {
        // SAFETY: By the invariant, the memory is there.
        unsafe { Sock::from_ptr(self.0.as_ptr()) }
    }
}

impl Drop for SockRef {
    fn drop(&mut self) {
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_sock_put(self.0.as_ptr()) };
    }
}

/// A socket whose lock this context holds, which is to give it back.
///
/// # Invariants
///
/// The lock is held as long as the value is there.
pub(crate) struct Locked<'a>(&'a Sock, NotThreadSafe);

impl<'a> Locked<'a> {
    /// A socket whose lock the caller's caller holds, and unlocks: this must not be dropped.
    ///
    /// # Safety
    ///
    /// The lock is held for `'a`.
    pub(in crate::sys) unsafe fn callers(sock: &'a Sock) -> Self {
        // INVARIANT: By the requirement.
        Self(sock, NotThreadSafe)
    }
}

impl Locked<'_> {
    /// Has packets find the listener no more; it goes on listening.
    pub(crate) fn unhash(&self) {
        // SAFETY: The lock is held.
        unsafe { bindings::svcg_sock_unhash(self.0.as_ptr()) };
    }
}

impl Deref for Locked<'_> {
    type Target = Sock;

    fn deref(&self) -> &Sock {
        self.0
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_sock_unlock(self.0.as_ptr()) };
    }
}
