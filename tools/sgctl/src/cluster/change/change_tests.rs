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
fn what_a_node_had_is_told_with_its_name() {
    let text = all(&THREE);
    let (before, _) = checked(Path::new("x"), &text).expect("it is right");
    let without = after(&text, "node del c").expect("it can be");
    let nodes = planned(Path::new("x"), &text, |_, edit| {
        edit.remove(Kind::Node, 2);
        Ok(())
    });
    let (config, plan) = nodes.expect("it can be");
    assert_eq!(plan.text, without);
    let words = plan.changes[0].words();
    assert!(words.contains("1 slot from c to b"), "{words}");
    assert_eq!(config.former, before.nodes);
}

#[test]
fn keys_are_made_anew_or_read_from_a_file() {
    let key_of = |text: &str| read(text).expect("it is right").addresses[0].key;
    let text = all(&THREE);
    let set = |text: &str, options: &str| after(text, &format!("set 198.51.100.7 {options}"));
    let keyed = set(&text, "--hash keyed").expect("it can be");
    let other = set(&keyed, "--new-key").expect("it can be");
    assert!(key_of(&other).is_some() && key_of(&other) != key_of(&keyed));
    assert!(other.contains("epoch = 3\n"), "{other}");
    let both = set(&text, "--hash keyed --new-key").expect("it can be");
    assert!(key_of(&both).is_some());
    let file = std::env::temp_dir().join(format!("sgctl-key-{}", std::process::id()));
    let from_file = format!("--key-file {}", file.display());
    let missing = set(&keyed, &from_file).expect_err("it is not there");
    assert_eq!(missing.status(), 1, "{missing}");
    let digits = "000102030405060708090a0b0c0d0e0f";
    std::fs::write(&file, format!("{digits}\n")).expect("it is ours");
    let read = set(&keyed, &from_file).expect("it can be");
    assert!(read.contains(&format!("key = \"{digits}\"")), "{read}");
    for (text, options) in [
        (&text, from_file.as_str()),
        (&text, "--new-key"),
        (&keyed, "--hash sum3 --new-key"),
    ] {
        let failure = set(text, options).expect_err(options);
        let is_told = failure.to_string().contains("keyed");
        assert!(is_told && failure.status() == 2, "{failure}");
    }
    std::fs::write(&file, &digits[1..]).expect("it is ours");
    let failure = set(&keyed, &from_file)
        .expect_err("it is short")
        .to_string();
    // It is not to be found in an error.
    assert!(
        failure.contains("32") && !failure.contains("0a0b"),
        "{failure}"
    );
    std::fs::remove_file(file).expect("it is ours");
}

#[test]
fn a_shared_address_is_given_its_mac_address() {
    let text = all(&THREE);
    let mac = "--mac 03:00:00:00:00:09";
    let set = |options: &str| after(&text, &format!("set 198.51.100.7 {options}"));
    let shared = set(mac).expect("it can be");
    assert!(shared.contains("mac = \"03:00:00:00:00:09\""), "{shared}");
    // The table is the same.
    assert!(shared.contains("epoch = 1\n"), "{shared}");
    let directed = set(&format!("{mac} --mode directed --director a"));
    let failure = directed.expect_err("it has none").to_string();
    assert!(failure.contains("only a shared address"), "{failure}");
}

#[test]
fn a_check_comes_and_goes() {
    let text = all(&THREE);
    let path = Path::new("x");
    let set = |text: &str, words: &[&str]| {
        let line = ["sgctl", "cluster", "set", "198.51.100.7"];
        let cli = Cli::try_parse_from(line.iter().chain(words));
        let Command::Cluster(args) = cli.expect("it is right").command else {
            panic!("{words:?}");
        };
        let ClusterCommand::Set(args) = args.command else {
            panic!("{words:?}");
        };
        planned(path, text, |c, e| set_address(c, e, &args)).map(|(_, plan)| plan.text)
    };
    let web = "http = \"http://127.0.0.1:8080/\", fall = 1";
    let checked = set(&text, &["--check", web]).expect("it can be");
    assert!(
        checked.contains(&format!("check = {{ {web} }}")),
        "{checked}"
    );
    // The table is the same.
    assert!(checked.contains("epoch = 1\n"), "{checked}");
    assert_eq!(set(&checked, &["--no-check"]).ok(), Some(text.clone()));
    let table = format!("{text}\n[address.check]\ncommand = \"web\"\n");
    assert!(set(&table, &["--slots", "3"]).is_ok());
    let other = set(&table, &["--check", web]).expect("it can be");
    assert!(!other.contains("command") && other.contains(web), "{other}");
    let failure = set(&text, &["--check", "command = \"/bin/true\""]).expect_err("it has a path");
    assert!(failure.to_string().contains("in the folder"), "{failure}");
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
            "two machines with id 9",
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
