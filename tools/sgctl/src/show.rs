// SPDX-License-Identifier: GPL-2.0
//! `sgctl show`: groups, their members, and what became of connections.
//!
//! Plain text without colours, whatever it is written to.

use std::collections::HashMap;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use service_group::netlink::{Connection, Counters, Group, Member};

use crate::cli::ShowArgs;
use crate::listeners::bound_to_devices;
use crate::snapshot::{no_such_group, Snapshot};
use crate::view::{endpoint, not_adopted, settings, words, FullGroupView};
use crate::{output, Failure};

const HEADER: [&str; 13] = [
    "ADDRESS",
    "INODE",
    "STATE",
    "QUEUED",
    "HALF-OPEN",
    "BACKLOG",
    "WEIGHT",
    "ACCEPTED",
    "HOME",
    "IN",
    "OUT",
    "DROPPED",
    "RESCUED",
];
/// Columns from this one on are numbers.
const FIRST_NUMBER: usize = 3;
/// Columns from this one on are counters, which have a total.
const FIRST_COUNTER: usize = 7;

/// Runs the subcommand.
pub fn run(args: &ShowArgs) -> Result<(), Failure> {
    let snapshot = Snapshot::read(&mut Connection::open()?, args.group)?;
    if let (Some(id), []) = (args.group, snapshot.groups.as_slice()) {
        return Err(no_such_group(id));
    }
    let devices = bound_to_devices();
    if args.json {
        let views = snapshot.groups.iter().map(|group| {
            let own = snapshot.members_of(group.id);
            FullGroupView::new(group, own, &devices)
        });
        output::json(&views.collect::<Vec<_>>())
    } else {
        output::text(&describe(&snapshot, &devices))
    }
}

/// The groups; the devices are those that sockets are bound to, by inode.
fn describe(snapshot: &Snapshot, devices: &HashMap<u64, String>) -> String {
    if snapshot.groups.is_empty() {
        return "no groups\n".to_owned();
    }
    let texts = snapshot.groups.iter().map(|group| {
        let own = snapshot.members_of(group.id);
        let members = output::count(own.len(), "member");
        let notes = notes(group, own.is_empty());
        let table = table(own, &group.counters, devices);
        format!("{}\n{notes}{table}\n", title(group, &members))
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn title(group: &Group, members: &str) -> String {
    let (id, user, does) = (group.id, group.uid, words(&settings(group)));
    format!("group {id} (user {user}, {members}): {does}")
}

/// What is to be known of listeners that take members' places.
fn notes(group: &Group, empty: bool) -> String {
    let waits = " It waits for listeners in the places of its members, which have ended.";
    let waits = empty.then(|| format!("{waits}\n"));
    let refused = not_adopted(group).map(|refused| format!(" {refused}.\n"));
    waits.into_iter().chain(refused).collect()
}

/// The device of each is shown if one of them is bound to one.
fn table(members: &[Member], total: &Counters, devices: &HashMap<u64, String>) -> String {
    let device = |member: &Member| devices.get(&member.inode).cloned();
    let has_devices = members.iter().any(|member| device(member).is_some());
    let extra = usize::from(has_devices);
    let mut header: Vec<&str> = HEADER.to_vec();
    if has_devices {
        header.insert(1, "DEVICE");
    }
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(header);
    for column in table.column_iter_mut().skip(FIRST_NUMBER + extra) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for member in members {
        let mut row = vec![
            endpoint(member),
            member.inode.to_string(),
            member.state.name().to_owned(),
            member.queued.to_string(),
            member.half_open.to_string(),
            member.backlog.to_string(),
            member.weight.to_string(),
        ];
        if has_devices {
            row.insert(1, device(member).unwrap_or_else(|| "-".to_owned()));
        }
        row.extend(numbers(&member.counters));
        table.add_row(row);
    }
    let mut row = vec!["total".to_owned()];
    row.resize(FIRST_COUNTER + extra, String::new());
    row.extend(numbers(total));
    table.add_row(row);
    table.trim_fmt()
}

/// Accepted, taken at home, redirected in and out, dropped, and rescued in and out.
fn numbers(counters: &Counters) -> [String; 6] {
    [
        counters.accepted.to_string(),
        counters.taken_home().to_string(),
        counters.redirected_in.to_string(),
        counters.redirected_out().to_string(),
        counters.dropped().to_string(),
        format!("+{} -{}", counters.rescued_in, counters.rescued_out()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use service_group::{GroupSettings, MemberState};
    use std::time::Duration;

    #[test]
    fn nothing_is_said_sensibly() {
        let text = describe(&Snapshot::default(), &HashMap::new());
        assert_eq!(text, "no groups\n");
    }

    #[test]
    fn each_group_has_its_table_and_total() {
        let counters = Counters {
            home: 1,
            home_unpromised: 2,
            redirected_in: 4,
            dropped_full: 5,
            reset: 1,
            rescued_overflow: 6,
            accepted: 7,
            ..Counters::default()
        };
        let group = Group {
            id: 3,
            settings: GroupSettings {
                stall: Duration::from_millis(100),
                ..GroupSettings::default()
            },
            counters,
            ..Group::default()
        };
        let member = Member {
            group: 3,
            port: 80,
            inode: 4711,
            state: MemberState::Stalled,
            weight: 9,
            counters,
            ..Member::default()
        };
        let snapshot = Snapshot::new(vec![group], vec![member]);
        let text = describe(&snapshot, &HashMap::new());
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|l| l.split_whitespace().collect())
            .collect();
        let title = "group 3 (user 0, 1 member): policy overflow, when full drop, stall 100ms, \
                     rewrite off, adopt off";
        assert_eq!(lines[0].join(" "), title);
        assert_eq!(lines[1].len(), HEADER.len());
        assert_eq!(
            lines[2].join(" "),
            "port 80 4711 stalled 0 0 0 9 7 3 4 0 6 +0 -6"
        );
        assert_eq!(lines[3].join(" "), "total 7 3 4 0 6 +0 -6");
        assert!(!text.contains('\u{1b}'));
        let devices = HashMap::from([(4711, "red".to_owned())]);
        let text = describe(&snapshot, &devices);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|l| l.split_whitespace().collect())
            .collect();
        assert_eq!(lines[1][..3], ["ADDRESS", "DEVICE", "INODE"]);
        assert_eq!(
            lines[2].join(" "),
            "port 80 red 4711 stalled 0 0 0 9 7 3 4 0 6 +0 -6"
        );
        assert_eq!(lines[3].join(" "), "total 7 3 4 0 6 +0 -6");
    }

    #[test]
    fn a_group_that_waits_or_has_refused_somebody_says_so() {
        let group = Group {
            not_adopted: 1,
            not_adopted_errno: 1,
            ..Group::default()
        };
        let snapshot = Snapshot::new(vec![group], Vec::new());
        let text = describe(&snapshot, &HashMap::new());
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with(" It waits"), "{text}");
        assert!(lines[2].starts_with(" 1 listener in a member's place was not adopted"));
    }
}
