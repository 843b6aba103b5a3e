// SPDX-License-Identifier: GPL-2.0
//! docs/cluster.md and docs/links.md show what there is: their commands can be given, their
//! files are right, and their examples are what comes out.

use std::path::Path;
use std::time::SystemTime;

use clap::Parser;

use super::file::read;
use super::{owner, plan};
use crate::cli::{Cli, ClusterCommand, Command};

const PAGE: &str = include_str!("../../../../docs/cluster.md");
const LINKS: &str = include_str!("../../../../docs/links.md");

/// The texts of a page between these two, which are not nested.
fn between<'a>(page: &'a str, begin: &str, end: &str) -> Vec<&'a str> {
    let parts = page.split(begin).skip(1);
    parts.filter_map(|part| part.split(end).next()).collect()
}

fn parsed(line: &str) -> Cli {
    let line = line.split(" > ").next().unwrap_or_default();
    match Cli::try_parse_from(line.split_whitespace()) {
        Ok(cli) => cli,
        Err(error) => panic!("{line}: {error}"),
    }
}

#[test]
fn every_command_can_be_given() {
    for (page, least) in [(PAGE, 20), (LINKS, 6)] {
        let blocks = page.lines().filter_map(|line| line.strip_prefix("    "));
        let spans = between(page, "`", "`").into_iter();
        let all: Vec<&str> = blocks
            .chain(spans)
            .filter(|line| line.starts_with("sgctl "))
            .collect();
        assert!(all.len() > least, "{all:?}");
        for line in all {
            parsed(line);
        }
    }
}

#[test]
fn every_file_can_be_read() {
    for (page, count) in [(PAGE, 2), (LINKS, 3)] {
        let files = between(page, "```toml\n", "```");
        assert_eq!(files.len(), count);
        for file in files {
            assert!(read(file).is_ok(), "{:?}", read(file));
        }
    }
}

#[test]
fn the_owner_is_the_one_that_is_told() {
    let file = between(PAGE, "```toml\n", "```")[0];
    let planned = plan::plan(Path::new("x"), file, SystemTime::now(), 0).expect("it is right");
    let config = read(&planned.text).expect("it is right");
    let line = "sgctl cluster owner 192.0.2.1:40000 198.51.100.7:80 tcp";
    assert!(PAGE.contains(line));
    let Command::Cluster(args) = parsed(line).command else {
        panic!("{line}");
    };
    let ClusterCommand::Owner(args) = args.command else {
        panic!("{line}");
    };
    let text = owner::explain(&config, &args, SystemTime::now()).expect("it has an owner");
    assert!(PAGE.contains(&text), "{text}");
}

#[test]
fn the_unit_applies_the_file_that_is_the_default() {
    let unit = include_str!("../../../systemd/service-group-cluster.service.in");
    let commands = unit
        .lines()
        .filter_map(|line| line.split_once("@PREFIX@/sbin/"));
    let commands: Vec<&str> = commands.map(|(_, command)| command).collect();
    assert_eq!(commands.len(), 2);
    let file = |line| match parsed(line).command {
        Command::Cluster(args) => match args.command {
            ClusterCommand::Apply(args) => args.file,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let default = file("sgctl cluster apply");
    for command in commands {
        assert_eq!(file(command), default);
    }
    assert!(unit.contains(&format!("ConditionPathExists={}\n", default.display())));
}

#[test]
fn the_agents_unit_has_the_file_that_is_the_default() {
    let unit = include_str!("../../../systemd/service-group-agent.service.in");
    let command = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=@PREFIX@/sbin/"));
    let file = |line| match parsed(line).command {
        Command::Agent(args) => args.file,
        other => panic!("{other:?}"),
    };
    let default = file("sgctl agent");
    assert_eq!(file(command.expect("it has one")), default);
    assert!(unit.contains(&format!("ConditionPathExists={}\n", default.display())));
}
