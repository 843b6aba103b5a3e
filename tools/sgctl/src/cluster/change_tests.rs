// SPDX-License-Identifier: GPL-2.0
//! What the command line makes of a file.

use super::*;
use crate::cli::{Cli, ClusterCommand, Command};
use clap::Parser;

/// The text of a file after a command, or why it is refused.
fn after(text: &str, line: &str) -> Result<String, Failure> {
    let words = ["sgctl", "cluster"].into_iter().chain(line.split(' '));
    let cli = Cli::try_parse_from(words).expect(line);
    let Command::Cluster(args) = cli.command else {
        panic!("{line}");
    };
    let path = Path::new("x");
    let planned = match &args.command {
        ClusterCommand::Add(args) => planned(path, text, |c, e| add_address(c, e, args)),
        ClusterCommand::Set(args) => planned(path, text, |c, e| set_address(c, e, args)),
        ClusterCommand::Del(args) => planned(path, text, |c, e| del_address(c, e, args)),
        ClusterCommand::Node(NodeCommand::Add(args)) => {
            planned(path, text, |c, e| add_node(c, e, args))
        }
        ClusterCommand::Node(NodeCommand::Set(args)) => {
            planned(path, text, |c, e| set_node(c, e, args))
        }
        ClusterCommand::Node(NodeCommand::Del(args)) => {
            planned(path, text, |c, e| del_node(c, e, args))
        }
        other => panic!("{other:?}"),
    };
    planned.map(|(_, plan)| plan.text)
}

/// The text of a file after several commands.
fn all(lines: &[&str]) -> String {
    lines
        .iter()
        .fold(String::new(), |text, line| after(&text, line).expect(line))
}

const THREE: [&str; 4] = [
    "node add a --address 192.0.2.11",
    "node add b --address 192.0.2.12 --weight 2",
    "node add c --address 192.0.2.13 --id 9 --way tunnel",
    "add 198.51.100.7 --device eth0 --slots 4",
];

#[test]
fn a_file_can_be_made_with_commands_alone() {
    let expected = r#"[[node]]
name = "a"
id = 1
address = "192.0.2.11"

[[node]]
name = "b"
id = 2
address = "192.0.2.12"
weight = 2

[[node]]
name = "c"
id = 9
address = "192.0.2.13"
way = "tunnel"

[[address]]
ip = "198.51.100.7"
device = "eth0"
slots = 4
epoch = 1
hashed = "sum5"
table = "1 2 9 2"
"#;
    assert_eq!(all(&THREE), expected);
}

#[test]
fn nodes_and_addresses_change_and_go() {
    let text = all(&THREE);
    let drained = after(&text, "node set c --state draining --weight 5").expect("it can be");
    assert!(
        drained.contains("way = \"tunnel\"\nweight = 5\nstate = \"draining\""),
        "{drained}"
    );
    assert!(
        drained.contains("epoch = 2\n") && drained.contains("before = "),
        "{drained}"
    );
    let less = after(&drained, "node del c").expect("it can be");
    assert!(!less.contains("\"c\""), "{less}");
    let keyed = after(&less, "set 198.51.100.7 --hash keyed").expect("it can be");
    assert!(keyed.contains("key = \""), "{keyed}");
    let sum = after(&keyed, "set 198.51.100.7 --hash sum3").expect("it can be");
    assert!(
        !sum.contains("key = ") && sum.contains("hash = \"sum3\""),
        "{sum}"
    );
    let line = "set 198.51.100.7 --mode directed --director a --director b";
    let directed = after(&sum, line).expect("it can be");
    assert!(
        directed.contains("directors = [\"a\", \"b\"]"),
        "{directed}"
    );
    let shared = after(&directed, "set 198.51.100.7 --mode shared").expect("it can be");
    assert!(!shared.contains("directors"), "{shared}");
    let none = after(&shared, "del 198.51.100.7").expect("it can be");
    assert!(!none.contains("[[address]]"), "{none}");
    let port = "add 198.51.100.7 --protocol tcp --port 80 --device eth1";
    let port = after(&none, port).expect("it can be");
    assert!(
        port.contains("protocol = \"tcp\"\nport = 80\ndevice = \"eth1\""),
        "{port}"
    );
}

#[test]
fn no_number_is_given_again_that_is_known() {
    let text = all(&THREE);
    let id = |text: &str, line: &str| {
        let text = after(text, line).expect(line);
        let config = read(&text).expect("it is right");
        config.nodes.last().expect("it is there").id.get()
    };
    let add = "node add e --address 192.0.2.15";
    assert_eq!(id("", add), 1);
    assert_eq!(id(&text, add), 10);
    let gone = ["node set c --state draining", "node del c"];
    let without = gone.iter().fold(text.clone(), |text, line| {
        after(&text, line).expect("it can be")
    });
    assert!(without.contains("before = \"0x2 9 0\""), "{without}");
    assert_eq!(id(&without, add), 10);
    // Above the largest there is none.
    let last = after(&text, "node add d --address 192.0.2.14 --id 4294967295");
    assert_eq!(id(&last.expect("it can be"), add), 3);
}

#[test]
fn nothing_is_made_for_a_file_that_is_not_there() {
    let folder = std::env::temp_dir().join(format!("sgctl-missing-{}", std::process::id()));
    let file = folder.join("cluster.toml");
    for line in [
        "node set a --weight 2",
        "node del a",
        "drain a",
        "set 198.51.100.7 --slots 3",
        "add 198.51.100.7 --device eth0",
        "del 198.51.100.7",
    ] {
        let line = format!("sgctl cluster {line} --no-apply --file {}", file.display());
        let cli = Cli::try_parse_from(line.split(' ')).expect(&line);
        let failure = crate::run(cli).expect_err(&line);
        assert!(
            failure.to_string().contains("there is no file"),
            "{failure}"
        );
        assert!(failure.status() == 1 && !folder.exists());
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let text = all(&THREE);
    let directed =
        after(&text, "set 198.51.100.7 --mode directed --director a").expect("it can be");
    for (text, line, told) in [
        (
            &text,
            "node add a --address 192.0.2.1",
            "already: change it",
        ),
        (
            &text,
            "node add d --address 192.0.2.1 --id 9",
            "two nodes with id 9",
        ),
        (&text, "node set d --weight 2", "it has a, b, c"),
        (&text, "node set a", "nothing to change"),
        (&text, "node del d", "no node \"d\""),
        (
            &text,
            "add 198.51.100.7 --device eth1",
            "already: change it",
        ),
        (&text, "set 198.51.100.8 --slots 3", "it has 198.51.100.7"),
        (&text, "set 198.51.100.7", "nothing to change"),
        (&text, "set 198.51.100.7 --mode directed", "needs directors"),
        (&text, "set 198.51.100.7 --director a", "has no directors"),
        (
            &text,
            "del 198.51.100.7 --protocol udp",
            "no address 198.51.100.7 udp",
        ),
        (&directed, "node del a", "is a director of 198.51.100.7"),
        (
            &String::new(),
            "add 198.51.100.7 --device eth1",
            "x was not changed: there is no node to serve it",
        ),
        (&String::new(), "node set a --weight 2", "it has none"),
        (
            &text,
            "node set a --address 192.0.2.12",
            "x was not changed: 192.0.2.12 is the address",
        ),
    ] {
        let failure = after(text, line).expect_err(line);
        assert!(failure.to_string().contains(told), "{line}: {failure}");
        assert_eq!(failure.status(), 2, "{line}");
    }
}
