// SPDX-License-Identifier: GPL-2.0

//! What bindgen makes of `shim.h`, and of the uapi headers that it includes.

#![allow(
    clippy::all,
    dead_code,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]

include!(env!("SERVICE_GROUP_BINDINGS"));

/// What the rest of the module may see of them: the uapi headers.
pub(crate) mod uapi {
    include!(env!("SERVICE_GROUP_UAPI_BINDINGS"));
}
