// SPDX-License-Identifier: GPL-2.0
//! The settings of groups, as metrics of Prometheus.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use service_group::netlink::Group;
use service_group::{Setting, Value};

use super::metrics::Labelled;
use crate::view;

/// What each group is told to do: times and numbers each by itself, and all else as labels.
pub(super) fn encode(
    encoder: &mut DescriptorEncoder,
    groups: &[Labelled<Group, 1>],
) -> fmt::Result {
    let text = "What the group does";
    let mut family = encoder.encode_descriptor("group", text, None, MetricType::Info)?;
    for group in groups {
        let list = view::settings(group.of).list();
        let labels = list
            .iter()
            .filter_map(|it| Some((it.name, label(it.value)?)));
        let labels: Vec<_> = [("uid", group.of.uid.to_string())]
            .into_iter()
            .chain(labels)
            .collect();
        family.encode_family(&group.labels)?.encode_info(&labels)?;
    }
    let names = view::settings(&Group::default()).list();
    for (place, setting) in names.iter().enumerate() {
        if measure(setting.value).is_some() {
            measures(encoder, setting, place, groups)?;
        }
    }
    Ok(())
}

/// The value of a setting as a label; a measure is none.
fn label(value: Value) -> Option<String> {
    match value {
        Value::Name(name) => Some(name.to_owned()),
        Value::Switch(on) => Some(on.to_string()),
        _ => None,
    }
}

/// The value of a setting as a measure, with its unit if it has one.
fn measure(value: Value) -> Option<(f64, Option<&'static Unit>)> {
    match value {
        Value::Time(time) => Some((time.as_secs_f64(), Some(&Unit::Seconds))),
        Value::Number(number) => Some((number.into(), None)),
        _ => None,
    }
}

/// The measure at this place of each group's settings.
fn measures(
    encoder: &mut DescriptorEncoder,
    setting: &Setting,
    place: usize,
    groups: &[Labelled<Group, 1>],
) -> fmt::Result {
    let name = format!("group_{}", setting.name);
    let unit = measure(setting.value).and_then(|(_, unit)| unit);
    let mut family = encoder.encode_descriptor(&name, setting.text, unit, MetricType::Gauge)?;
    for group in groups {
        let list = view::settings(group.of).list();
        let measured = list.get(place).and_then(|it| measure(it.value));
        if let Some((number, _)) = measured {
            let number = ConstGauge::new(number);
            number.encode(family.encode_family(&group.labels)?)?;
        }
    }
    Ok(())
}
