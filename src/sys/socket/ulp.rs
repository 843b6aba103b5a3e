// SPDX-License-Identifier: GPL-2.0

//! The upper layer protocol, which makes a socket a member.

use super::listener::{Locked, Sock};
use crate::{
    logic::room::Load,
    sys::{
        bindings,
        core::{
            parts::Member,
            rcu::{Barrier, RcuArc}, //
        },
    },
};
use core::mem::MaybeUninit;
use kernel::{
    error::to_result,
    prelude::*,
    sync::rcu::Guard, //
};

/// What a socket carries once it is given the ULP, made before anything is changed.
///
/// # Invariants
///
/// It is ours, or NULL once a socket has taken it.
pub(crate) struct UlpContext(*mut bindings::svcg_ulp_ctx);

impl UlpContext {
    /// Makes one. Process context, may sleep.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: It asks for memory only.
        let context = unsafe { bindings::svcg_ulp_ctx_new() };
        if context.is_null() {
            return Err(ENOMEM);
        }
        // INVARIANT: It was just made, and no socket has it.
        Ok(Self(context))
    }
}

impl Drop for UlpContext {
    fn drop(&mut self) {
        // SAFETY: By the invariant, it is ours or NULL.
        unsafe { bindings::svcg_ulp_ctx_free(self.0) };
    }
}

impl Sock {
    /// Whether it was armed: `EALREADY` if it is a member, `EBUSY` if not. It stays so as long as
    /// nobody else changes memberships.
    pub(crate) fn check_armed(&self, _guard: &Guard) -> Result {
        // SAFETY: `self` is a full TCP socket, and the guard shows that this is a read section.
        to_result(unsafe { bindings::svcg_arm_check(self.as_ptr()) })
    }

    /// Makes the socket, which is open and armed, the member, and has it be one of the member's owners,
    /// until [`Locked::detach`] or its end. Nothing comes of it if it is a member, or has no ULP.
    pub(crate) fn attach(&self, member: RcuArc<Member>, _guard: &Guard) {
        let member = member.into_raw();
        // SAFETY: `self` is a full TCP socket, and the guard shows that this is a read section. The
        // ownership goes with the pointer.
        if !unsafe { bindings::svcg_member_attach(self.as_ptr(), member.cast()) } {
            // SAFETY: The socket has not taken it.
            drop(unsafe { RcuArc::from_raw(member) });
        }
    }

    /// Whether what its program calls is seen: that it accepts, for one.
    pub(crate) fn has_proto_ops(&self, _guard: &Guard) -> bool {
        // SAFETY: `self` is a full TCP socket, and the guard shows that this is a read section.
        unsafe { bindings::svcg_has_proto_ops(self.as_ptr()) }
    }

    /// The member whose hook is in the socket's operations, and how full the socket is.
    pub(crate) fn hooked_member<'g>(&'g self, _guard: &'g Guard) -> Option<(&'g Member, Load)> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: `self` is a full TCP socket, `raw` is writable, and the guard shows that this is
        // a read section. The socket is an owner of its member, which outlives that by a grace
        // period.
        let member = unsafe {
            bindings::svcg_hooked_member(self.as_ptr(), raw.as_mut_ptr())
                .cast::<Member>()
                .as_ref()
        };
        // SAFETY: It is written whenever there is a member.
        member.map(|member| (member, unsafe { raw.assume_init() }.into()))
    }

    /// The member that the socket is, whatever its operations are.
    pub(crate) fn ulp_member<'g>(&'g self, _guard: &'g Guard) -> Option<&'g Member> {
        // SAFETY: As above.
        unsafe {
            bindings::svcg_ulp_member(self.as_ptr())
                .cast::<Member>()
                .as_ref()
        }
    }
}

impl Locked<'_> {
    /// The member that the socket is.
    pub(crate) fn attached_member(&self) -> Option<&Member> {
        // SAFETY: The lock is held, and `detach()` needs `self` alone, so the socket stays an owner of
        // the member.
        unsafe {
            bindings::svcg_attached_member(self.as_ptr())
                .cast::<Member>()
                .as_ref()
        }
    }

    /// Whether it can be given the ULP. `EALREADY` if it is a member, `EEXIST` if it has another
    /// upper layer protocol, or something else that stands in the way.
    pub(crate) fn check(&self) -> Result {
        // SAFETY: The lock is held.
        to_result(unsafe { bindings::svcg_ulp_check(self.as_ptr()) })
    }

    /// Gives the socket the ULP, for the rest of its life, with a context that no socket has; it takes
    /// it unless it has one. True if a grace period is to pass before [`Locked::arm`]. Errors as
    /// [`Locked::check`].
    pub(crate) fn attach_ulp(&self, context: &mut UlpContext) -> Result<bool> {
        // SAFETY: The lock is held, and the context is ours.
        let result = unsafe { bindings::svcg_ulp_attach(self.as_ptr(), &mut context.0) };
        to_result(result).map(|()| result > 0)
    }

    /// Has the socket ready to be a member. `EBUSY` if it has no ULP, or a grace period is still
    /// to pass.
    pub(crate) fn arm(&self) -> Result {
        // SAFETY: The lock is held.
        to_result(unsafe { bindings::svcg_arm(self.as_ptr()) })
    }

    /// Undoes [`Locked::arm`] and [`Sock::attach`], and tells which member it was.
    pub(crate) fn detach(&mut self) -> Option<RcuArc<Member>> {
        // SAFETY: The lock is held.
        let member = unsafe { bindings::svcg_member_detach(self.as_ptr()) };
        // SAFETY: It comes from `attach()`, and the socket has given it up.
        (!member.is_null()).then(|| unsafe { RcuArc::from_raw(member.cast_mut().cast()) })
    }
}

/// The registration of the upper layer protocol (ULP). Dropping it waits for members to be freed.
pub(crate) struct UlpRegistration {
    _members: Barrier,
}

impl UlpRegistration {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Called once, when the module is loaded.
        to_result(unsafe { bindings::svcg_ulp_register() })?;
        Ok(Self { _members: Barrier })
    }
}

impl Drop for UlpRegistration {
    fn drop(&mut self) {
        // SAFETY: It was registered.
        unsafe { bindings::svcg_ulp_unregister() };
    }
}
