// SPDX-License-Identifier: GPL-2.0
//! Tests of `grafana-dashboard.json`, which is not a part of the program: it asks
//! for nothing that the export does not tell.

use std::collections::BTreeSet;

use serde_json::Value;
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

#[test]
fn the_dashboard_names_the_states() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("it has panels");
    let states = panels
        .iter()
        .find(|panel| panel["type"] == "state-timeline");
    let mapping = states.expect("there is one")["fieldConfig"]["defaults"]["mappings"][0]
        ["options"]
        .as_object()
        .expect("a mapping");
    assert_eq!(mapping.len(), 7);
    for (number, text) in mapping {
        let number = number.parse().expect("a number");
        assert_eq!(text["text"], MemberState::from_number(number).name());
    }
}
