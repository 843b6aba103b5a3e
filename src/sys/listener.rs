// SPDX-License-Identifier: GPL-2.0

//! Sockets, and the hook that makes one a member.

use super::{
    bindings,
    netns::Net,
    rcu::RcuBox, //
};
use crate::{
    group::Member,
    logic::{
        facts::Facts,
        room::Load, //
    },
};
use core::{
    mem::MaybeUninit,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    error::{code, to_result},
    prelude::*,
    sync::rcu::Guard,
    types::Opaque, //
};

/// Milliseconds after which [`Sock::lock_soon`] gives up. Who is in a call has the lock for less,
/// unless he makes it last.
const LOCK_TRIES: u32 = 1000;

/// What kind of socket it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Tcp,
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

impl From<bindings::sg_load> for Load {
    fn from(raw: bindings::sg_load) -> Self {
        Self {
            queued: raw.queued,
            half_open: raw.half_open,
            backlog: raw.backlog,
        }
    }
}

/// A `struct sock` of a TCP socket. A reference says that the memory is there, as somebody has a
/// reference count or an RCU read section; it does not say that the count is not zero.
#[repr(transparent)]
pub(crate) struct Sock(Opaque<bindings::sock>);

// SAFETY: The kernel's sockets are shared between CPUs.
unsafe impl Sync for Sock {}

impl Sock {
    /// # Safety
    ///
    /// `ptr` is a full socket whose memory is there for `'a`.
    pub(super) unsafe fn from_ptr<'a>(ptr: *mut bindings::sock) -> &'a Self {
        // SAFETY: By the requirement; the type is transparent.
        unsafe { &*ptr.cast() }
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::sock {
        self.0.get()
    }

    pub(crate) fn kind(&self) -> Kind {
        // SAFETY: `self` is a full socket.
        match unsafe { bindings::sg_sock_kind(self.as_ptr()) } {
            bindings::sg_kind_SG_KIND_TCP => Kind::Tcp,
            bindings::sg_kind_SG_KIND_MPTCP => Kind::Mptcp,
            _ => Kind::Other,
        }
    }

    pub(crate) fn net(&self) -> Net<'_> {
        // SAFETY: A socket has a namespace as long as its memory is there.
        unsafe { Net::from_ptr(bindings::sg_sock_net(self.as_ptr())) }
    }

    /// The owner's user id, as the initial user namespace has it.
    pub(crate) fn uid(&self) -> u32 {
        // SAFETY: `self` is a full socket.
        unsafe { bindings::sg_sock_uid(self.as_ptr()) }
    }

    pub(crate) fn state(&self) -> State {
        let mut raw = bindings::sg_facts::default();
        // SAFETY: `self` is a full TCP socket, and `raw` is writable.
        unsafe { bindings::sg_sock_facts(self.as_ptr(), &mut raw) };
        State {
            facts: Facts {
                listening: raw.listening,
                load: Load {
                    queued: raw.queued,
                    half_open: raw.half_open,
                    backlog: raw.backlog,
                },
                port: raw.port,
                device: raw.device,
                min_ttl: raw.min_ttl,
                guarded: raw.guarded,
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
        let mut raw = bindings::sg_identity::default();
        // SAFETY: `self` is a full TCP socket, and `raw` is writable.
        unsafe { bindings::sg_sock_identity(self.as_ptr(), &mut raw) };
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
        if !unsafe { bindings::sg_sock_get_unless_zero(self.as_ptr()) } {
            return None;
        }
        // INVARIANT: The reference was just taken.
        NonNull::new(self.as_ptr()).map(SockRef)
    }

    /// Locks the socket. Process context.
    pub(crate) fn lock(&self) -> Locked<'_> {
        // SAFETY: `self` is a full socket.
        unsafe { bindings::sg_sock_lock(self.as_ptr()) };
        // INVARIANT: The lock was just taken.
        Locked(self)
    }

    /// Connections in its accept queue.
    pub(crate) fn queued(&self) -> u32 {
        // SAFETY: `self` is a full socket.
        unsafe { bindings::sg_sock_queued(self.as_ptr()) }
    }

    /// When the handshake of the oldest connection that can be moved began, in microseconds; 0 if
    /// it is not known.
    pub(crate) fn queued_since(&self) -> Option<u64> {
        // SAFETY: `self` is a full TCP socket.
        match unsafe { bindings::sg_queue_since(self.as_ptr()) } {
            u64::MAX => None,
            since => Some(since),
        }
    }

    /// Whether its accept queue takes another one.
    pub(crate) fn has_queue_room(&self) -> bool {
        // SAFETY: `self` is a full socket.
        unsafe { bindings::sg_sock_has_room(self.as_ptr()) }
    }

    /// Locks the socket, unless somebody else has it. Process context.
    pub(crate) fn try_lock(&self) -> Option<Locked<'_>> {
        // SAFETY: `self` is a full socket.
        if !unsafe { bindings::sg_sock_try_lock(self.as_ptr()) } {
            return None;
        }
        // INVARIANT: The lock was just taken.
        Some(Locked(self))
    }

    /// Locks the socket, or gives up when somebody else has it for a long time. Process context.
    pub(crate) fn lock_soon(&self) -> Option<Locked<'_>> {
        for _ in 0..LOCK_TRIES {
            if let Some(locked) = self.try_lock() {
                return Some(locked);
            }
            // SAFETY: It has no requirements.
            unsafe { bindings::sg_pause() };
        }
        None
    }

    /// Whether somebody sleeps in `accept()`.
    pub(crate) fn has_acceptor(&self, _guard: &Guard) -> bool {
        // SAFETY: `self` is a full socket, and the guard shows that this is a read section.
        unsafe { bindings::sg_sock_has_acceptor(self.as_ptr()) }
    }

    /// The member whose hook is in the socket's operations, and how full the socket is.
    pub(crate) fn hooked_member<'g>(&'g self, _guard: &'g Guard) -> Option<(&'g Member, Load)> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: `self` is a full TCP socket, `raw` is writable, and the guard shows that this is
        // a read section. A member is freed a grace period after its hook was taken off, see
        // `Hook`.
        let member = unsafe {
            bindings::sg_hooked_member(self.as_ptr(), raw.as_mut_ptr())
                .cast::<Member>()
                .as_ref()
        };
        // SAFETY: It is written whenever there is a member.
        member.map(|member| (member, unsafe { raw.assume_init() }.into()))
    }

    /// The member that the socket is, whatever its operations are.
    pub(crate) fn flagged_member<'g>(&'g self, _guard: &'g Guard) -> Option<&'g Member> {
        // SAFETY: As above.
        unsafe {
            bindings::sg_flagged_member(self.as_ptr())
                .cast::<Member>()
                .as_ref()
        }
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
        unsafe { bindings::sg_sock_put(self.0.as_ptr()) };
    }
}

/// A socket whose lock this context holds.
///
/// # Invariants
///
/// The lock is held as long as the value is there.
pub(crate) struct Locked<'a>(&'a Sock);

impl Locked<'_> {
    /// The member that the socket is.
    pub(crate) fn attached_member(&self) -> Option<&Member> {
        // SAFETY: The lock is held, so the hook stays, and with it the member.
        unsafe {
            bindings::sg_attached_member(self.0.as_ptr())
                .cast::<Member>()
                .as_ref()
        }
    }

    /// Whether it can be flagged. `EALREADY` if it is a member, `EEXIST` if it has another upper
    /// layer protocol, or something else that stands in the way.
    pub(crate) fn check(&self) -> Result {
        // SAFETY: The lock is held.
        to_result(unsafe { bindings::sg_flag_check(self.0.as_ptr()) })
    }

    /// Flags the socket, for the rest of its life. True if a grace period is to pass before
    /// [`Locked::install`]. Errors as [`Locked::check`].
    pub(crate) fn flag(&self) -> Result<bool> {
        // SAFETY: The lock is held.
        let result = unsafe { bindings::sg_flag(self.0.as_ptr()) };
        to_result(result).map(|()| result > 0)
    }

    /// Makes the socket the hook's member, and has it see the socket's SYNs.
    pub(crate) fn install(&self, hook: &Hook) {
        // SAFETY: The lock is held; the hook outlives its stay on the socket, see `Hook`.
        unsafe { bindings::sg_hook_install(self.0.as_ptr(), hook.0.as_ptr()) };
    }

    /// Has packets find the listener no more; it goes on listening.
    pub(crate) fn hide(&self) {
        // SAFETY: The lock is held.
        unsafe { bindings::sg_sock_hide(self.0.as_ptr()) };
    }

    /// Undoes [`Locked::install`].
    pub(crate) fn detach(&self) {
        // SAFETY: The lock is held.
        unsafe { bindings::sg_hook_detach(self.0.as_ptr()) };
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
        unsafe { bindings::sg_sock_unlock(self.0.as_ptr()) };
    }
}

/// The C side of a member: what the socket carries.
///
/// It belongs to a [`Member`] in an [`RcuBox`]. The member's owner takes it off the socket, or is
/// told that the socket has ended, before it drops the box; so whoever finds a hook on a socket,
/// under the socket's lock or RCU, finds the member whole.
///
/// # Invariants
///
/// The pointer comes from `sg_hook_alloc()` and is owned.
pub(crate) struct Hook(NonNull<bindings::sg_hook>);

// SAFETY: Its fields are changed under the socket lock only.
unsafe impl Send for Hook {}
// SAFETY: As above.
unsafe impl Sync for Hook {}

impl Hook {
    /// A hook for this socket, on nothing yet. Process context.
    pub(crate) fn new(sock: &Sock) -> Result<Self> {
        // SAFETY: `sock` is only remembered.
        let hook = unsafe { bindings::sg_hook_alloc(sock.as_ptr()) };
        // INVARIANT: It was just made.
        NonNull::new(hook).map(Self).ok_or(code::ENOMEM)
    }

    /// Tells the hook whose it is. Before it is put on the socket.
    pub(crate) fn set_member(&self, member: &RcuBox<Member>) {
        // SAFETY: The hook is valid; the address of a box's value does not change.
        unsafe { bindings::sg_hook_set_member(self.0.as_ptr(), member.as_ptr().cast()) };
    }

    /// The socket. Its memory is there as long as the member can be found under RCU, as a
    /// member's socket is `SOCK_RCU_FREE` and leaves its group before it is freed.
    pub(crate) fn sock<'g>(&'g self, _guard: &'g Guard) -> &'g Sock {
        // SAFETY: By the above, and the guard shows that this is a read section.
        unsafe { Sock::from_ptr(bindings::sg_hook_sock(self.0.as_ptr())) }
    }

    /// Whether what its program calls is seen: that it accepts, for one.
    pub(crate) fn has_calls(&self) -> bool {
        // SAFETY: By the invariant.
        unsafe { bindings::sg_hook_has_calls(self.0.as_ptr()) }
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        // SAFETY: By the invariant; a grace period has passed, see `RcuBox`.
        unsafe { bindings::sg_hook_free(self.0.as_ptr()) };
    }
}

/// The registration of the flag, the upper layer protocol.
pub(crate) struct FlagRegistration(());

impl FlagRegistration {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Called once, when the module is loaded.
        to_result(unsafe { bindings::sg_ulp_register() })?;
        Ok(Self(()))
    }
}

impl Drop for FlagRegistration {
    fn drop(&mut self) {
        // SAFETY: It was registered.
        unsafe { bindings::sg_ulp_unregister() };
    }
}
