// SPDX-License-Identifier: GPL-2.0
//! `sgctl set`: changes what a group does, or the weight of members.

use rustix::io::Errno;
use serde::Serialize;
use service_group::netlink::{Connection, Error, Member};

use crate::cli::{MemberName, SetArgs};
use crate::snapshot::no_such_group;
use crate::view::{endpoint, words, SettingsView};
use crate::{output, Failure};

/// What was changed, as `--json` tells it.
#[derive(Debug, Serialize)]
struct Report {
    group: u32,
    #[serde(flatten)]
    settings: SettingsView,
    members: Vec<MemberReport>,
}

#[derive(Debug, Serialize)]
struct MemberReport {
    cookie: u64,
    inode: u64,
    address: Option<String>,
    port: u16,
    weight: u32,
}

/// Runs the subcommand.
pub fn run(args: &SetArgs) -> Result<(), Failure> {
    let mut kernel = Connection::open()?;
    // Looked up first, so that a wrong name changes nothing.
    let members = match args.weight {
        Some(_) => choose(args.group, &args.member, &kernel.members(Some(args.group))?)?,
        None => Vec::new(),
    };
    let settings = args.settings.0;
    if !settings.is_empty() {
        kernel
            .set_group(args.group, &settings)
            .map_err(|error| refusal(error, || no_such_group(args.group)))?;
    }
    // Without a weight there is no member to give it to.
    let weight = args.weight.unwrap_or(1);
    for member in &members {
        kernel
            .set_weight(args.group, member.cookie, weight)
            .map_err(|error| refusal(error, || gone(member)))?;
    }
    if args.json {
        output::json(&report(args, &members, weight))
    } else {
        output::text(&sentences(args, &members, weight))
    }
}

/// The members with these names, each once, in the kernel's order.
fn choose(group: u32, names: &[MemberName], members: &[Member]) -> Result<Vec<Member>, Failure> {
    if members.is_empty() {
        return Err(no_such_group(group));
    }
    for name in names {
        if !members.iter().any(|member| has_name(member, name)) {
            return Err(Failure::new(format!(
                "group {group} has no member {name}: look with \"sgctl show --group {group}\""
            )));
        }
    }
    let wanted = |member: &&Member| names.iter().any(|name| has_name(member, name));
    Ok(members.iter().filter(wanted).copied().collect())
}

fn has_name(member: &Member, name: &MemberName) -> bool {
    match *name {
        MemberName::Cookie(cookie) => member.cookie == cookie,
        MemberName::Inode(inode) => member.inode == inode,
        MemberName::Endpoint(endpoint) => {
            (member.address, member.port) == (Some(endpoint.ip()), endpoint.port())
        }
    }
}

fn gone(member: &Member) -> Failure {
    let (group, place) = (member.group, endpoint(member));
    Failure::new(format!(
        "member {place} left group {group} meanwhile: look with \"sgctl show\""
    ))
}

/// Why the kernel did not do it; `missing` says what it did not find.
fn refusal(error: Error, missing: impl FnOnce() -> Failure) -> Failure {
    let Error::Refused(number) = error else {
        return error.into();
    };
    match Errno::from_raw_os_error(number) {
        Errno::PERM => Failure::new(
            "changing a group needs CAP_NET_ADMIN in the network namespace: run sgctl as root",
        ),
        Errno::NOENT => missing(),
        Errno::RANGE | Errno::DOM | Errno::INVAL => Failure::new(
            "the module does not take this value: load the module that belongs to this program",
        ),
        Errno::OPNOTSUPP => Failure::new(
            "the module cannot change groups: load the module that belongs to this program",
        ),
        _ => error.into(),
    }
}

fn report(args: &SetArgs, members: &[Member], weight: u32) -> Report {
    let members = members.iter().map(|member| MemberReport {
        cookie: member.cookie,
        inode: member.inode,
        address: member.address.map(|address| address.to_string()),
        port: member.port,
        weight,
    });
    Report {
        group: args.group,
        settings: (&args.settings.0).into(),
        members: members.collect(),
    }
}

fn sentences(args: &SetArgs, members: &[Member], weight: u32) -> String {
    let (group, does) = (args.group, words(&args.settings.0));
    let mut lines = Vec::new();
    if !does.is_empty() {
        lines.push(format!("group {group}: {does}\n"));
    }
    lines.extend(members.iter().map(|member| {
        let (place, inode) = (endpoint(member), member.inode);
        format!("group {group} member {place} (inode {inode}): weight {weight}\n")
    }));
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::SettingArgs;
    use serde_json::{json, to_value};
    use service_group::{Policy, Settings};
    use std::net::SocketAddr;

    fn member(cookie: u64, address: [u8; 4]) -> Member {
        Member {
            group: 3,
            cookie,
            inode: 100 + cookie,
            port: 80,
            address: Some(address.into()),
            ..Member::default()
        }
    }

    fn members() -> [Member; 3] {
        [
            member(1, [10, 0, 0, 1]),
            member(2, [10, 0, 0, 1]),
            member(3, [10, 0, 0, 2]),
        ]
    }

    fn args() -> SetArgs {
        SetArgs {
            group: 3,
            settings: SettingArgs(Settings::new().policy(Policy::Balance)),
            member: vec![MemberName::Cookie(1)],
            weight: Some(9),
            json: false,
        }
    }

    #[test]
    fn a_name_means_every_member_that_has_it() {
        let cookies = |names: &[MemberName]| -> Vec<u64> {
            let chosen = choose(3, names, &members()).expect("they are there");
            chosen.iter().map(|member| member.cookie).collect()
        };
        let endpoint = MemberName::Endpoint(SocketAddr::from(([10, 0, 0, 1], 80)));
        assert_eq!(cookies(&[endpoint]), [1, 2]);
        assert_eq!(
            cookies(&[MemberName::Cookie(3), endpoint, MemberName::Inode(101)]),
            [1, 2, 3]
        );
        assert_eq!(cookies(&[MemberName::Inode(103)]), [3]);
    }

    #[test]
    fn a_wrong_name_is_a_sentence() {
        let other_port = MemberName::Endpoint(SocketAddr::from(([10, 0, 0, 1], 81)));
        for name in [MemberName::Cookie(9), MemberName::Inode(1), other_port] {
            let names = [MemberName::Cookie(1), name];
            let failure = choose(3, &names, &members())
                .expect_err("it is wrong")
                .to_string();
            assert!(
                failure.contains(&format!("no member {name}: ")),
                "{failure}"
            );
        }
        let failure = choose(3, &[MemberName::Cookie(1)], &[]).expect_err("there is none");
        assert_eq!(failure, no_such_group(3));
    }

    #[test]
    fn refusals_say_what_to_do() {
        for (errno, told) in [
            (Errno::PERM, "as root"),
            (Errno::NOENT, "no group 3"),
            (Errno::RANGE, "load the module"),
            (Errno::OPNOTSUPP, "load the module"),
        ] {
            let error = Error::Refused(errno.raw_os_error());
            let text = refusal(error, || no_such_group(3)).to_string();
            assert!(text.contains(told) && text.contains(": "), "{text}");
        }
        let text = refusal(Error::NotLoaded, || no_such_group(3)).to_string();
        assert!(text.contains("modprobe"), "{text}");
    }

    #[test]
    fn changes_are_told_in_words_and_in_json() {
        let members = &members()[..1];
        assert_eq!(
            sentences(&args(), members, 9),
            "group 3: policy balance\ngroup 3 member 10.0.0.1:80 (inode 101): weight 9\n"
        );
        let expected = json!({"group": 3, "policy": "balance", "members": [
            {"cookie": 1, "inode": 101, "address": "10.0.0.1", "port": 80, "weight": 9},
        ]});
        let report = to_value(report(&args(), members, 9)).expect("it is JSON");
        assert_eq!(report, expected);
    }
}
