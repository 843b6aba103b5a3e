// SPDX-License-Identifier: GPL-2.0
//! `sgctl cluster check`: whether a file can be applied, as far as it alone tells.
//!
//! The module is not asked, so that a file can be checked where the cluster is not.
//! Whether a machine has the devices, and is not ahead of the file, only
//! `apply --dry-run` tells. But on a node of the file it is told as well what would
//! drop packets there, see [`sources`].

use std::path::Path;
use std::time::SystemTime;

use serde::Serialize;

use super::file::{read, store, Config, Problem};
use super::plan::checked;
use super::sources;
use crate::cli::ClusterCheckArgs;
use crate::{output, Failure};

/// What is wrong with a file, as `--json` tells it.
#[derive(Debug, Serialize)]
struct Verdict {
    file: String,
    problems: Vec<Problem>,
}

/// Runs the subcommand.
pub fn run(args: &ClusterCheckArgs) -> Result<(), Failure> {
    let path = &args.file;
    // Not the status of a wrong command line.
    let text = store::text(path).map_err(|failure| Failure::new(failure.to_string()))?;
    let (config, problems) = problems(path, &text);
    if let Some(config) = &config {
        store::warn_if_open(path, config);
        store::warn_if_insecure(config);
        store::warn_if_ahead(path, config, SystemTime::now());
        for caution in sources::of_file(config) {
            eprintln!("sgctl: {caution}");
        }
    }
    let file = path.display().to_string();
    let told: Vec<String> = problems
        .iter()
        .map(|problem| store::at(path, problem.line, &problem.reason).to_string())
        .collect();
    match (args.json, &config) {
        (true, _) => output::json(&Verdict { file, problems })?,
        (false, Some(config)) if told.is_empty() => {
            output::text(&format!("{file} can be applied: {}\n", summary(config)))?;
        }
        (false, _) => {}
    }
    let Some((last, others)) = told.split_last() else {
        return Ok(());
    };
    for one in others {
        eprintln!("sgctl: {one}");
    }
    Err(Failure::new(last.as_str()))
}

/// What a file describes if it can be read, and all that is wrong with it.
fn problems(path: &Path, text: &str) -> (Option<Config>, Vec<Problem>) {
    let config = match read(text) {
        Ok(config) => config,
        Err(problem) => return (None, vec![problem]),
    };
    let addresses = config.addresses.iter();
    let problems = addresses.filter_map(|address| checked(path, &config, address).err());
    let mut problems: Vec<Problem> = problems.collect();
    if config.nodes.is_empty() {
        problems.push(Problem {
            line: 1,
            reason: "there is no node: add one with \"sgctl cluster node add\"".to_owned(),
        });
    }
    (Some(config), problems)
}

fn summary(config: &Config) -> String {
    let addresses = match config.addresses.len() {
        1 => "1 address".to_owned(),
        count => format!("{count} addresses"),
    };
    format!("{}, {addresses}", output::count(config.nodes.len(), "node"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use crate::cluster::file::samples::node;
    use clap::Parser;
    use std::fs;

    fn told(text: &str) -> Vec<(usize, String)> {
        let (_, problems) = problems(Path::new("x"), text);
        let problems = problems.into_iter();
        problems.map(|one| (one.line, one.reason)).collect()
    }

    /// Two addresses of one node, of which the second begins at line 14.
    fn planned() -> String {
        let address = |last| {
            format!(
                "[[address]]\nip = \"198.51.100.{last}\"\ndevice = \"eth0\"\nslots = 2\n\
                 epoch = 1\nhashed = \"sum5\"\ntable = \"1x2\"\n"
            )
        };
        node("a", 1, "") + &address(7) + &address(8)
    }

    #[test]
    fn all_tables_that_do_not_fit_are_told_with_their_lines() {
        let right = planned();
        assert_eq!(told(&right), []);
        let (config, _) = problems(Path::new("x"), &right);
        let summary = config.as_ref().map(summary);
        assert_eq!(summary.as_deref(), Some("1 node, 2 addresses"));
        let two = told(&right.replace("1x2", "0x2"));
        let lines: Vec<usize> = two.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [12, 19]);
        for (_, reason) in two {
            assert!(reason.contains("sgctl cluster plan x"), "{reason}");
        }
        let keyless = told(&right.replacen("slots", "hash = \"keyed\"\nslots", 1));
        assert!(keyless[0].1.contains("no key yet"), "{keyless:?}");
        assert_eq!(told("").len(), 1);
        let wrong = told(&right.replace("id = 1", "id = 0"));
        assert_eq!((wrong.len(), wrong[0].0), (1, 3), "{wrong:?}");
    }

    #[test]
    fn no_module_is_needed_and_the_status_tells() {
        let folder = std::env::temp_dir().join(format!("sgctl-check-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("it can be made");
        let file = folder.join("cluster.toml");
        let run = || {
            let line = format!("sgctl cluster check {}", file.display());
            crate::run(Cli::try_parse_from(line.split(' ')).expect("it can be given"))
        };
        assert!(run().is_err_and(|failure| failure.status() == 1));
        fs::write(&file, planned()).expect("it is ours");
        assert_eq!(run(), Ok(()));
        fs::write(&file, [0xff]).expect("it is ours");
        assert!(run().is_err_and(|failure| failure.status() == 1));
        fs::write(&file, "node = 7").expect("it is ours");
        let failure = run().expect_err("it is wrong");
        assert!(
            failure.to_string().contains("cluster.toml:1: "),
            "{failure}"
        );
        assert_eq!(failure.status(), 1);
        fs::remove_dir_all(folder).expect("it is ours");
    }

    #[test]
    fn what_is_wrong_is_json_too() {
        let (_, problems) = problems(Path::new("x"), "\nnode = 7");
        let file = "x".to_owned();
        let told = serde_json::to_value(Verdict { file, problems }).expect("it is JSON");
        assert_eq!(
            (&told["file"], &told["problems"][0]["line"]),
            (&"x".into(), &2.into())
        );
        assert!(told["problems"][0]["reason"].is_string(), "{told}");
    }
}
