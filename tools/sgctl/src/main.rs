// SPDX-License-Identifier: GPL-2.0
//! The program: see [`sgctl::run`].

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match sgctl::run(sgctl::cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("sgctl: {failure}");
            ExitCode::FAILURE
        }
    }
}
