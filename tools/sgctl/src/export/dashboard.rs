// SPDX-License-Identifier: GPL-2.0
//! Tests of `grafana-dashboard.json`, which is not a part of the program: it asks
//! for nothing that the export does not tell.

use std::collections::BTreeSet;

use serde_json::Value;
use service_group::netlink::LinkState;
use service_group::MemberState;

use super::metrics::tests::names;

fn dashboard() -> Value {
    let text = include_str!("../../grafana-dashboard.json");
    serde_json::from_str(text).expect("it is JSON")
}

/// All strings with this key, at any depth.
fn strings(value: &Value, key: &str, found: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| strings(value, key, found)),
        Value::Object(fields) => {
            let text = fields.get(key).and_then(Value::as_str);
            found.extend(text.map(str::to_owned));
            fields.values().for_each(|value| strings(value, key, found));
        }
        _ => {}
    }
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    let names = names();
    let mut queries = Vec::new();
    for key in ["expr", "query", "definition"] {
        strings(&dashboard(), key, &mut queries);
    }
    let words = queries
        .iter()
        .flat_map(|query| query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    let asked: BTreeSet<&str> = words
        .filter(|word| word.starts_with("service_group"))
        .collect();
    assert!(asked.len() > 10, "{asked:?}");
    for name in asked {
        assert!(names.contains(name), "{name}");
    }
}

/// The texts for numbers in the panels that show states.
fn mappings(dashboard: &Value) -> Vec<&serde_json::Map<String, Value>> {
    let panels = dashboard["panels"].as_array().expect("it has panels");
    let states = panels
        .iter()
        .filter(|panel| panel["type"] == "state-timeline");
    let mappings = states.map(|panel| &panel["fieldConfig"]["defaults"]["mappings"][0]["options"]);
    mappings.filter_map(Value::as_object).collect()
}

#[test]
fn the_dashboard_names_the_states() {
    let dashboard = dashboard();
    let [members, links] = mappings(&dashboard)[..] else {
        panic!("members and links have states");
    };
    assert_eq!((members.len(), links.len()), (7, LinkState::ALL.len()));
    let numbers = |mapping: &serde_json::Map<String, Value>| {
        let texts = mapping.iter().map(|(number, text)| {
            let number: u32 = number.parse().expect("a number");
            (number, text["text"].as_str().map(str::to_owned))
        });
        texts.collect::<Vec<_>>()
    };
    for (number, text) in numbers(members) {
        assert_eq!(
            text.as_deref(),
            Some(MemberState::from_number(number).name())
        );
    }
    for (number, text) in numbers(links) {
        assert_eq!(text.as_deref(), Some(LinkState::from_number(number).name()));
    }
}
