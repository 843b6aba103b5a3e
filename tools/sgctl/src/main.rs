// SPDX-License-Identifier: GPL-2.0
//! The program: see [`sgctl::run`].

use std::process::ExitCode;

fn main() -> ExitCode {
    match sgctl::run(sgctl::cli::Cli::of_process()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            sgctl::note(&failure.to_string());
            ExitCode::from(failure.status())
        }
    }
}
