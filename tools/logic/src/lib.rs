// SPDX-License-Identifier: GPL-2.0
//! The kernel module's decisions, built on the host.
//!
//! The same files are compiled into the module. Here their own tests run, and
//! property tests and a fuzzer work on them.
#![no_std]

#[cfg(test)]
extern crate std;

#[path = "../../../src/logic/mod.rs"]
pub mod logic;
