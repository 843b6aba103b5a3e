// SPDX-License-Identifier: GPL-2.0
//! What a change does that may not have been meant. It is done all the same.

use service_group_logic::logic::cluster::slots::State;

use crate::cluster::file::{Config, Node};

/// Sentences about what has become of the nodes that a file had.
pub(super) fn cautions(after: &Config) -> Vec<String> {
    let before = after.former.iter();
    let is_up = |node: &&Node| node.state == State::Up;
    let up: Vec<&Node> = before.filter(is_up).collect();
    let gone = up.iter().filter(|node| after.node(&node.name).is_none());
    let mut told: Vec<String> = gone
        .map(|Node { name, .. }| {
            format!(
                "\"{name}\" is up, and the connections that it has break: to keep them, drain it \
                 first with \"sgctl cluster drain {name}\", and remove it when no packets of it \
                 are known any more"
            )
        })
        .collect();
    let mut left = after.nodes.iter();
    if up.is_empty() || after.addresses.is_empty() || left.any(|node| is_up(&node)) {
        return told;
    }
    let drains = |node: &&Node| node.state == State::Draining;
    let draining: Vec<&Node> = after.nodes.iter().filter(drains).collect();
    told.push(match &draining[..] {
        [] => "no node is up or drains now: nobody takes any packets".to_owned(),
        [node] => format!(
            "no node is up now: \"{}\" has all slots, and is given new connections still",
            node.name
        ),
        _ => "no node is up now: those that drain have all slots, and are given new connections \
              still"
            .to_owned(),
    });
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::file::{read, samples::node};

    fn config(states: &[(&str, &str)]) -> Config {
        let entries = (1..).zip(states);
        let nodes =
            entries.map(|(id, (name, state))| node(name, id, &format!("state = \"{state}\"")));
        let nodes: Vec<String> = nodes.collect();
        let address = "[[address]]\nip = \"198.51.100.7\"\ndevice = \"eth0\"\n";
        read(&format!("{}{address}", nodes.concat())).expect("it is right")
    }

    fn told(before: &[(&str, &str)], after: &[(&str, &str)]) -> String {
        let former = config(before).nodes;
        let after = Config {
            former,
            ..config(after)
        };
        cautions(&after).join("\n")
    }

    #[test]
    fn what_breaks_connections_or_moves_nothing_is_told() {
        let (up, draining, down) = ("up", "draining", "down");
        for (before, after, expected) in [
            (
                &[("a", up), ("b", up)],
                &[("a", up), ("b", draining)][..],
                "",
            ),
            (&[("a", up), ("b", draining)], &[("a", up)], ""),
            (&[("a", up), ("b", down)], &[("a", up)], ""),
            (&[("a", up), ("b", up)], &[("a", up)], "cluster drain b"),
            (
                &[("a", up), ("b", down)],
                &[("a", draining), ("b", down)],
                "\"a\" has all",
            ),
            (
                &[("a", up), ("b", draining)],
                &[("a", draining), ("b", draining)],
                "those that drain",
            ),
            (
                &[("a", up), ("b", down)],
                &[("a", down), ("b", down)],
                "nobody takes",
            ),
            // It was so before.
            (&[("a", draining), ("b", down)], &[("a", draining)], ""),
        ] {
            let told = told(before, after);
            assert!(told.contains(expected), "{told}");
            assert_eq!(told.is_empty(), expected.is_empty(), "{told}");
        }
    }
}
