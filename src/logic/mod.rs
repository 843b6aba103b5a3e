// SPDX-License-Identifier: GPL-2.0

//! Every decision of the module, as pure functions.
//!
//! What is here takes facts and returns decisions. It knows no kernel type, no clock and no
//! allocator, so it is compiled twice from the same files: into the module, where its tests run
//! under KUnit, and into the host crate `tools/logic`, where the same tests run under cargo,
//! beside property tests and a fuzzer.
//!
//! It does not gather the facts, and does not carry the decisions out: see `src/group/`.

#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

pub mod adopt;
pub mod allowance;
pub mod cluster;
pub mod facts;
pub mod links;
pub mod look;
pub mod migrate;
pub mod request;
pub mod room;
pub mod select;
pub mod setting_gen;
pub mod settings;
pub mod stall;
