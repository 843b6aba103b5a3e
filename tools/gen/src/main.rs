// SPDX-License-Identifier: GPL-2.0
//! Writes the man pages and shell completions: `sgctl-gen OUTDIR`.
//!
//! The pages of sgctl come from the definitions of its command line, and the
//! page of the socket option from the table of its errors.

#![forbid(unsafe_code)]

mod option_page;

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;
use sgctl::cli::Cli;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(folder), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: sgctl-gen OUTDIR");
        return ExitCode::from(2);
    };
    match generate(Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let folder = folder.to_string_lossy();
            eprintln!("sgctl-gen: nothing can be written to {folder}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(folder: &Path) -> io::Result<()> {
    let pages = folder.join("man");
    fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(Cli::command(), &pages)?;
    fs::write(pages.join("service_group.7"), option_page::text())?;

    let completions = folder.join("completions");
    fs::create_dir_all(&completions)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut bytes = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "sgctl", &mut bytes);
        fs::write(completions.join(shell.to_string()), bytes)?;
    }
    Ok(())
}
