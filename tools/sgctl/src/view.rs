// SPDX-License-Identifier: GPL-2.0
//! Groups and members as JSON shows them. The shape is documented in the help
//! of `show` and `monitor`, and a test holds it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use service_group::netlink::{Counters, Group, Member};
use service_group::{Error, Setting, SettingKind, Settings, Value};

/// What became of connections.
#[derive(Debug)]
pub struct CountersView(Counters);

impl Serialize for CountersView {
    /// Each counter by its name, and the sum that older versions told.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let counters = self.0.list();
        let each = counters.iter().map(|counter| (counter.name, counter.value));
        serializer.collect_map(each.chain([("rescued_out", self.0.rescued_out())]))
    }
}

impl From<&Counters> for CountersView {
    fn from(counters: &Counters) -> Self {
        Self(*counters)
    }
}

/// A group without its members.
#[derive(Debug, Serialize)]
pub struct GroupView {
    id: u32,
    uid: u32,
    #[serde(flatten)]
    settings: SettingsView,
    adopted: u64,
    not_adopted: u64,
    not_adopted_reason: Option<String>,
    counters: CountersView,
}

impl From<&Group> for GroupView {
    fn from(group: &Group) -> Self {
        Self {
            id: group.id,
            uid: group.uid,
            settings: (&settings(group)).into(),
            adopted: group.adopted,
            not_adopted: group.not_adopted,
            not_adopted_reason: not_adopted_error(group).map(|error| error.to_string()),
            counters: (&group.counters).into(),
        }
    }
}

/// A group with its members.
#[derive(Debug, Serialize)]
pub struct FullGroupView {
    #[serde(flatten)]
    group: GroupView,
    members: Vec<BoundMember>,
}

impl FullGroupView {
    /// The group with its members, and the devices that sockets are bound to, by inode.
    pub fn new(group: &Group, members: &[Member], devices: &HashMap<u64, String>) -> Self {
        let members = members.iter().map(|member| BoundMember {
            member: member.into(),
            device: devices.get(&member.inode).cloned(),
        });
        Self {
            group: group.into(),
            members: members.collect(),
        }
    }
}

/// A member with the device that it is bound to.
#[derive(Debug, Serialize)]
struct BoundMember {
    #[serde(flatten)]
    member: MemberView,
    device: Option<String>,
}

/// A member.
#[derive(Debug, Serialize)]
pub struct MemberView {
    inode: u64,
    cookie: u64,
    family: &'static str,
    address: Option<String>,
    port: u16,
    state: &'static str,
    queued: u32,
    half_open: u32,
    backlog: u32,
    weight: u32,
    adopted: bool,
    counters: CountersView,
}

impl From<&Member> for MemberView {
    fn from(member: &Member) -> Self {
        Self {
            inode: member.inode,
            cookie: member.cookie,
            family: if member.family == 10 { "ipv6" } else { "ipv4" },
            address: member.address.map(|address| address.to_string()),
            port: member.port,
            state: member.state.name(),
            queued: member.queued,
            half_open: member.half_open,
            backlog: member.backlog,
            weight: member.weight,
            adopted: member.adopted,
            counters: (&member.counters).into(),
        }
    }
}

/// Those settings of a group that are given.
#[derive(Debug)]
pub struct SettingsView(Vec<Setting>);

impl From<&Settings> for SettingsView {
    fn from(settings: &Settings) -> Self {
        Self(settings.list())
    }
}

impl Serialize for SettingsView {
    /// Each setting by its name; the name of a time tells its unit.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for Setting { name, value, .. } in &self.0 {
            match value {
                Value::Time(time) => map.serialize_entry(&time_name(name), &milliseconds(*time))?,
                Value::Switch(on) => map.serialize_entry(name, on)?,
                Value::Number(number) => map.serialize_entry(name, number)?,
                _ => map.serialize_entry(name, &value_text(value))?,
            }
        }
        map.end()
    }
}

/// The name of a time as JSON has it.
fn time_name(name: &str) -> String {
    format!("{name}_ms")
}

/// The names of a group's settings as JSON has them, each in quotes.
pub fn json_names() -> Vec<String> {
    let names = Settings::GROUP.iter().map(|one| match one.kind {
        SettingKind::Milliseconds | SettingKind::Seconds => time_name(one.name),
        _ => one.name.to_owned(),
    });
    names.map(|name| format!("\"{name}\"")).collect()
}

/// A time as JSON has it.
pub fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The value of a setting as the command line takes it.
fn value_text(value: &Value) -> String {
    match *value {
        Value::Time(time) => time_or_off(time),
        Value::Switch(true) => "on".to_owned(),
        Value::Switch(false) => "off".to_owned(),
        Value::Name(name) => name.to_owned(),
        Value::Number(number) => number.to_string(),
        _ => "unknown".to_owned(),
    }
}

/// What a group is to do, in words; nothing where nothing is given.
pub fn words(settings: &Settings) -> String {
    let list = settings.list();
    let parts = list.iter().map(|Setting { name, value, .. }| {
        let name = name.replace('_', " ");
        format!("{name} {}", value_text(value))
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// What a group does.
pub fn settings(group: &Group) -> Settings {
    group.settings.into()
}

/// Why the last socket was not adopted, if one was not.
fn not_adopted_error(group: &Group) -> Option<Error> {
    (group.not_adopted > 0).then(|| Error::from_errno(group.not_adopted_errno))
}

/// How many sockets a group has not adopted, and why the last one, in words.
pub fn not_adopted(group: &Group) -> Option<String> {
    let error = not_adopted_error(group)?;
    let sockets = match group.not_adopted {
        1 => "1 listener in a member's place was not adopted".to_owned(),
        many => format!("{many} listeners in members' places were not adopted, the last one"),
    };
    Some(format!("{sockets}, as {error}"))
}

/// A stall or adopt time as the command line takes it.
pub fn time_or_off(time: Duration) -> String {
    if time.is_zero() {
        "off".to_owned()
    } else {
        humantime::format_duration(time).to_string()
    }
}

/// What a member is bound to, as people write it.
pub fn endpoint(member: &Member) -> String {
    match member.address {
        Some(address) => SocketAddr::new(address, member.port).to_string(),
        None => format!("port {}", member.port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, to_value};
    use service_group::{GroupSettings, MemberState, Policy, WhenFull};

    #[test]
    fn the_shape_is_the_documented_one() {
        let member = Member {
            group: 3,
            cookie: 5,
            inode: 7,
            family: 10,
            port: 80,
            address: Some("::1".parse().expect("it is one")),
            state: MemberState::Stalled,
            queued: 1,
            half_open: 2,
            backlog: 8,
            ..Member::default()
        };
        let group = Group {
            id: 3,
            uid: 33,
            members: 1,
            settings: GroupSettings {
                policy: Policy::Balance,
                when_full: WhenFull::Reset,
                stall: Duration::from_millis(1500),
                rewrite: true,
                adopt: Duration::from_secs(60),
            },
            adopted: 4,
            not_adopted: 5,
            not_adopted_errno: Error::NoMemory.errno(),
            counters: Counters {
                rescued_overflow: 1,
                rescued_leaving: 2,
                ..Counters::default()
            },
        };
        let counters = json!({
            "home": 0, "home_unpromised": 0, "redirected_in": 0, "redirected_queue_full": 0,
            "redirected_promised": 0, "redirected_stalled": 0, "redirected_balanced": 0,
            "redirected_leaving": 0, "dropped_full": 0, "dropped_unfit": 0, "reset": 0,
            "rescued_in": 0, "rescued_overflow": 0, "rescued_stalled": 0, "rescued_balanced": 0,
            "rescued_leaving": 0, "handed_in": 0, "handed_out": 0, "accepted": 0, "stalls": 0,
            "rewritten": 0, "spilled": 0, "rescued_out": 0,
        });
        let mut totals = counters.clone();
        totals["rescued_overflow"] = 1.into();
        totals["rescued_leaving"] = 2.into();
        totals["rescued_out"] = 3.into();
        let expected = json!({
            "id": 3, "uid": 33, "policy": "balance", "when_full": "reset", "stall_ms": 1500,
            "rewrite": true, "adopt_ms": 60_000, "adopted": 4, "not_adopted": 5,
            "not_adopted_reason": Error::NoMemory.to_string(), "counters": totals, "members": [{
                "inode": 7, "cookie": 5, "family": "ipv6", "address": "::1", "port": 80,
                "state": "stalled", "queued": 1, "half_open": 2, "backlog": 8,
                "weight": 1, "adopted": false, "device": "red", "counters": counters,
            }],
        });
        let devices = HashMap::from([(7, "red".to_owned()), (8, "blue".to_owned())]);
        let view = FullGroupView::new(&group, &[member], &devices);
        assert_eq!(to_value(view).expect("it is JSON"), expected);
        let view = FullGroupView::new(&group, &[member], &HashMap::new());
        let json = to_value(view).expect("it is JSON");
        assert_eq!(json["members"][0]["device"], json!(null));
    }

    #[test]
    fn settings_are_told_as_far_as_they_are_given() {
        let some = Settings::new().stall(Duration::ZERO);
        assert_eq!(words(&some), "stall off");
        let view = to_value(SettingsView::from(&some)).expect("it is JSON");
        assert_eq!(view, json!({"stall_ms": 0}));
        let group = Group {
            settings: GroupSettings {
                stall: Duration::from_millis(1500),
                ..GroupSettings::default()
            },
            ..Group::default()
        };
        let all = settings(&group);
        let expected = "policy overflow, when full drop, stall 1s 500ms, rewrite off, \
                        adopt off";
        assert_eq!(words(&all), expected);
        let view = to_value(SettingsView::from(&all)).expect("it is JSON");
        let expected = json!({"policy": "overflow", "when_full": "drop", "stall_ms": 1500,
            "rewrite": false, "adopt_ms": 0});
        assert_eq!(view, expected);
        assert_eq!(words(&Settings::new()), "");
    }

    #[test]
    fn who_was_not_adopted_is_told_with_the_reason() {
        let mut group = Group::default();
        assert_eq!(not_adopted(&group), None);
        group.not_adopted_errno = Error::OtherUlp.errno();
        for (number, told) in [(1, "1 listener in a"), (2, "2 listeners in")] {
            group.not_adopted = number;
            let text = not_adopted(&group).expect("there are some");
            assert!(text.starts_with(told) && text.contains("EEXIST"), "{text}");
        }
    }

    #[test]
    fn endpoints_are_written_as_usual() {
        let mut member = Member {
            port: 80,
            ..Member::default()
        };
        assert_eq!(endpoint(&member), "port 80");
        member.address = Some("::".parse().expect("it is one"));
        assert_eq!(endpoint(&member), "[::]:80");
    }
}
