// SPDX-License-Identifier: GPL-2.0
//! `sgctl show`: groups, their members, and what became of connections.
//!
//! Plain text without colours, whatever it is written to.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use service_group::netlink::{Connection, Counters, Group, Member};

use crate::cli::ShowArgs;
use crate::view::{endpoint, FullGroupView};
use crate::{output, Failure};

const HEADER: [&str; 11] = [
    "ADDRESS",
    "INODE",
    "STATE",
    "QUEUED",
    "HALF-OPEN",
    "BACKLOG",
    "HOME",
    "IN",
    "OUT",
    "DROPPED",
    "RESCUED",
];
/// Columns from this one on are numbers.
const FIRST_NUMBER: usize = 3;

/// Runs the subcommand.
pub fn run(args: &ShowArgs) -> Result<(), Failure> {
    let mut kernel = Connection::open()?;
    let mut groups = match args.group {
        None => kernel.groups()?,
        Some(id) => match kernel.group(id)? {
            Some(group) => vec![group],
            None => {
                return Err(Failure::new(format!(
                    "there is no group {id}: \"sgctl show\" shows all"
                )))
            }
        },
    };
    let mut members = kernel.members(args.group)?;
    groups.sort_by_key(|group| group.id);
    members.sort_by_key(|member| (member.family, member.address, member.port, member.inode));
    if args.json {
        let views = groups
            .iter()
            .map(|group| FullGroupView::new(group, &members));
        output::json(&views.collect::<Vec<_>>())
    } else {
        output::text(&describe(&groups, &members))
    }
}

fn describe(groups: &[Group], members: &[Member]) -> String {
    if groups.is_empty() {
        return "no groups\n".to_owned();
    }
    let texts = groups.iter().map(|group| {
        let own = members.iter().filter(|member| member.group == group.id);
        let own: Vec<&Member> = own.collect();
        let title = format!(
            "group {} (user {}, {})",
            group.id,
            group.uid,
            output::count(own.len(), "member")
        );
        format!("{title}\n{}\n", table(&own, &group.counters))
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn table(members: &[&Member], total: &Counters) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(HEADER);
    for column in table.column_iter_mut().skip(FIRST_NUMBER) {
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
        ];
        row.extend(numbers(&member.counters));
        table.add_row(row);
    }
    let mut row = vec!["total".to_owned()];
    row.resize(6, String::new());
    row.extend(numbers(total));
    table.add_row(row);
    table.trim_fmt()
}

/// Served at home, redirected in and out, dropped, and rescued in and out.
fn numbers(counters: &Counters) -> [String; 5] {
    let sum = |one: u64, two: u64| one.saturating_add(two).to_string();
    [
        sum(counters.home, counters.home_unpromised),
        counters.redirected_in.to_string(),
        sum(counters.redirected_queue_full, counters.redirected_promised),
        sum(counters.dropped_full, counters.dropped_unfit),
        format!("+{} -{}", counters.rescued_in, counters.rescued_out),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_sensibly() {
        assert_eq!(describe(&[], &[]), "no groups\n");
    }

    #[test]
    fn each_group_has_its_table_and_total() {
        let counters = Counters {
            home: 1,
            home_unpromised: 2,
            redirected_in: 4,
            dropped_full: 5,
            rescued_out: 6,
            ..Counters::default()
        };
        let group = Group {
            id: 3,
            counters,
            ..Group::default()
        };
        let member = Member {
            group: 3,
            port: 80,
            inode: 4711,
            counters,
            ..Member::default()
        };
        let text = describe(&[group], &[member]);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|l| l.split_whitespace().collect())
            .collect();
        assert_eq!(lines[0].join(" "), "group 3 (user 0, 1 member)");
        assert_eq!(lines[1].len(), HEADER.len());
        assert_eq!(
            lines[2].join(" "),
            "port 80 4711 unbound 0 0 0 3 4 0 5 +0 -6"
        );
        assert_eq!(lines[3].join(" "), "total 3 4 0 5 +0 -6");
        assert!(!text.contains('\u{1b}'));
    }
}
