// SPDX-License-Identifier: GPL-2.0
//! `sgctl monitor`: prints what happens to groups, members, cluster IPs and links, as it
//! happens.

use std::os::fd::AsFd;
use std::time::SystemTime;

use serde::Serialize;
use service_group::netlink::{Cluster, Connection, Error, Event, Group, Member};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::agent::link_words;
use crate::cli::MonitorArgs;
use crate::cluster::file::describe;
use crate::cluster::status::LinkView;
use crate::cluster::view::{acting, lacks_address, lacks_service, ClusterView};
use crate::signals::Signals;
use crate::view::{self, endpoint, GroupView, MemberView};
use crate::{output, Failure};

/// One event as JSON.
#[derive(Debug, Default, Serialize)]
struct Line {
    time: String,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<GroupView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<NumberedMember>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<ClusterView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<LinkView>,
}

/// A member with the number of its group.
#[derive(Debug, Serialize)]
struct NumberedMember {
    group: u32,
    #[serde(flatten)]
    member: MemberView,
}

/// Runs the subcommand.
pub fn run(args: &MonitorArgs) -> Result<(), Failure> {
    let mut signals = Signals::catch(&[SIGINT, SIGTERM])?;
    let mut events = Connection::open()?.subscribe()?;
    eprintln!("sgctl: listening for events");
    loop {
        let woken = signals.wait(Some(events.as_fd()), None)?;
        if woken.readable {
            let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
            match events.receive() {
                Ok(events) => {
                    for event in &events {
                        print(args.json, &time, Some(event))?;
                    }
                }
                Err(Error::Lost) => print(args.json, &time, None)?,
                Err(error) => return Err(error.into()),
            }
        }
        if !woken.signals.is_empty() {
            return Ok(());
        }
    }
}

/// Prints an event, or that some were lost.
fn print(json: bool, time: &str, event: Option<&Event>) -> Result<(), Failure> {
    if json {
        output::json_line(&line(time, event))
    } else {
        output::text(&format!("{time} {}\n", words(event)))
    }
}

fn words(event: Option<&Event>) -> String {
    let group = |group: &Group, what: &str| format!("group {} {what}", group.id);
    let member = |member: &Member, what: &str| {
        let (id, endpoint) = (member.group, endpoint(member));
        // A socket that is closed has no inode any more.
        let which = match member.inode {
            0 => format!("cookie {}", member.cookie),
            inode => format!("inode {inode}, cookie {}", member.cookie),
        };
        format!("group {id} member {endpoint} ({which}) {what}")
    };
    match event {
        Some(Event::GroupAdded(it)) => group(it, "added"),
        Some(Event::GroupRemoved(it)) => group(it, "removed"),
        Some(Event::MemberAdded(it)) if it.adopted => member(it, "adopted"),
        Some(Event::MemberAdded(it)) => member(it, "added"),
        Some(Event::MemberRemoved(it)) => member(it, "removed"),
        Some(Event::GroupChanged(it)) => {
            let does = view::words(&view::settings(it));
            let refused = view::not_adopted(it).map(|refused| format!("; {refused}"));
            group(
                it,
                &format!("changed: {does}{}", refused.unwrap_or_default()),
            )
        }
        Some(Event::MemberChanged(it)) => member(it, &format!("changed: weight {}", it.weight)),
        Some(Event::MemberStalled(it)) => {
            let (queued, backlog) = (it.queued, it.backlog);
            member(it, &format!("stalled: {queued} of {backlog} queued"))
        }
        Some(Event::MemberReady(it)) => member(it, "ready: it accepts again"),
        Some(Event::ClusterChanged(it)) => cluster_words(it),
        Some(Event::ClusterRemoved(it)) => format!("cluster {} removed", describe(&it.name)),
        Some(Event::LinkChanged(it)) => format!("machine {}: {}", it.peer, link_words(it)),
        Some(Event::Unloaded) => "the module was unloaded: waiting for it".to_owned(),
        Some(Event::Loaded) => "the module was loaded".to_owned(),
        Some(_) => "an event that this version does not know".to_owned(),
        None => "events were lost: see \"sgctl show\"".to_owned(),
    }
}

fn cluster_words(cluster: &Cluster) -> String {
    let Cluster {
        role, hash, epoch, ..
    } = cluster;
    let name = describe(&cluster.name);
    let lost = match cluster.device {
        0 => ", its device is gone",
        _ => "",
    };
    let lacks = [lacks_address(cluster), lacks_service(cluster)].concat();
    let acting = acting(cluster, None).map(|it| format!("; {it}"));
    let acting = acting.unwrap_or_default();
    format!("cluster {name} changed: {role}, {hash}, epoch {epoch}{lost}{lacks}{acting}")
}

fn line(time: &str, event: Option<&Event>) -> Line {
    let cluster = match event {
        Some(Event::ClusterChanged(cluster) | Event::ClusterRemoved(cluster)) => Some(cluster),
        _ => None,
    };
    let link = match event {
        Some(Event::LinkChanged(link)) => Some(LinkView::new(link, None)),
        _ => None,
    };
    let (event, group, member) = match event {
        Some(Event::GroupAdded(group)) => ("group-add", Some(group), None),
        Some(Event::GroupRemoved(group)) => ("group-del", Some(group), None),
        Some(Event::MemberAdded(member)) => ("member-add", None, Some(member)),
        Some(Event::MemberRemoved(member)) => ("member-del", None, Some(member)),
        Some(Event::GroupChanged(group)) => ("group-change", Some(group), None),
        Some(Event::MemberChanged(member)) => ("member-change", None, Some(member)),
        Some(Event::MemberStalled(member)) => ("member-stall", None, Some(member)),
        Some(Event::MemberReady(member)) => ("member-ready", None, Some(member)),
        Some(Event::ClusterChanged(_)) => ("cluster-change", None, None),
        Some(Event::ClusterRemoved(_)) => ("cluster-del", None, None),
        Some(Event::LinkChanged(_)) => ("link-change", None, None),
        Some(Event::Unloaded) => ("module-unload", None, None),
        Some(Event::Loaded) => ("module-load", None, None),
        Some(_) => ("unknown", None, None),
        None => ("lost", None, None),
    };
    Line {
        time: time.to_owned(),
        event,
        group: group.map(GroupView::from),
        member: member.map(|member| NumberedMember {
            group: member.group,
            member: member.into(),
        }),
        cluster: cluster.map(|cluster| {
            // The event has the number of the device; by now the name may be another's.
            ClusterView::new(cluster, cluster.device.to_string(), None)
        }),
        link,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use service_group::netlink::{
        ClusterLocal, ClusterName, ClusterRole, Link, LinkState, RoleReason,
    };

    #[test]
    fn events_are_told_in_words_and_in_json() {
        let member = Member {
            group: 3,
            inode: 7,
            cookie: 5,
            port: 80,
            ..Member::default()
        };
        let event = Event::MemberAdded(member);
        let text = words(Some(&event));
        assert_eq!(text, "group 3 member port 80 (inode 7, cookie 5) added");
        let adopted = Member {
            adopted: true,
            ..member
        };
        let text = words(Some(&Event::MemberAdded(adopted)));
        assert_eq!(text, "group 3 member port 80 (inode 7, cookie 5) adopted");
        let closed = Member { inode: 0, ..member };
        let text = words(Some(&Event::MemberRemoved(closed)));
        assert_eq!(text, "group 3 member port 80 (cookie 5) removed");
        let json = serde_json::to_value(line("now", Some(&event))).expect("it is JSON");
        assert_eq!(
            (&json["event"], &json["time"]),
            (&"member-add".into(), &"now".into())
        );
        assert_eq!(
            (&json["member"]["group"], &json["member"]["inode"]),
            (&3.into(), &7.into())
        );
        assert!(json.get("group").is_none());
    }

    #[test]
    fn changes_tell_what_is_new() {
        let member = Member {
            group: 3,
            inode: 7,
            port: 80,
            queued: 4,
            backlog: 8,
            weight: 2,
            ..Member::default()
        };
        let group = Group {
            id: 3,
            ..Group::default()
        };
        for (event, name, told) in [
            (Event::GroupChanged(group), "group-change", "stall off"),
            (Event::MemberChanged(member), "member-change", "weight 2"),
            (Event::MemberStalled(member), "member-stall", "4 of 8"),
            (Event::MemberReady(member), "member-ready", "accepts"),
        ] {
            let text = words(Some(&event));
            assert!(text.starts_with("group 3") && text.contains(told), "{text}");
            assert_eq!(line("now", Some(&event)).event, name);
        }
    }

    #[test]
    fn cluster_ips_are_told() {
        let name = ClusterName {
            address: [198, 51, 100, 7].into(),
            protocol: 6,
            port: 80,
        };
        let cluster = Cluster {
            epoch: 3,
            device: 2,
            ..Cluster::new(name)
        };
        let event = Event::ClusterChanged(cluster.clone());
        let text = words(Some(&event));
        let expected = "cluster 198.51.100.7 tcp port 80 changed: shared, sum5, epoch 3";
        assert_eq!(text, expected);
        let json = serde_json::to_value(line("now", Some(&event))).expect("it is JSON");
        assert_eq!(
            (&json["event"], &json["cluster"]["epoch"]),
            (&"cluster-change".into(), &3.into())
        );
        assert_eq!(json["cluster"]["device"], "2");
        // The event does not tell them.
        assert_eq!(json["cluster"].get("slots"), None);
        assert_eq!(json["cluster"].get("table"), None);
        let lost = Cluster {
            device: 0,
            local: Some(ClusterLocal::Absent),
            ..cluster.clone()
        };
        let text = words(Some(&Event::ClusterChanged(lost)));
        assert!(text.ends_with("3, its device is gone, its address is missing"));
        let chosen = Cluster {
            role: ClusterRole::Standby,
            directors: vec![8, 9],
            acting: Some(8),
            reason: Some(RoleReason::Preferred),
            ..cluster.clone()
        };
        let text = words(Some(&Event::ClusterChanged(chosen.clone())));
        assert!(
            text.contains("epoch 3; machine 8 directs, and this"),
            "{text}"
        );
        let json = line("now", Some(&Event::ClusterChanged(chosen)));
        let json = serde_json::to_value(json).expect("it is JSON");
        assert_eq!(json["cluster"]["role_reason"], "preferred");
        let event = Event::ClusterRemoved(cluster);
        assert!(words(Some(&event)).ends_with("port 80 removed"));
        assert_eq!(line("now", Some(&event)).event, "cluster-del");
    }

    #[test]
    fn links_are_told() {
        let link = Link {
            state: LinkState::Suspect,
            away: true,
            ..Link::new(7)
        };
        let event = Event::LinkChanged(link);
        let text = words(Some(&event));
        assert_eq!(text, "machine 7: suspect, gets no new connections");
        let json = serde_json::to_value(line("now", Some(&event))).expect("it is JSON");
        assert_eq!(json["event"], "link-change");
        assert_eq!(
            (&json["link"]["peer"], &json["link"]["state"]),
            (&7.into(), &"suspect".into())
        );
        assert!(json.get("group").is_none() && json.get("cluster").is_none());
    }

    #[test]
    fn the_module_comes_and_goes() {
        for (event, name) in [
            (Event::Unloaded, "module-unload"),
            (Event::Loaded, "module-load"),
        ] {
            let json = serde_json::to_value(line("now", Some(&event))).expect("it is JSON");
            assert_eq!(json, serde_json::json!({"time": "now", "event": name}));
        }
        assert!(words(Some(&Event::Unloaded)).starts_with("the module was unloaded"));
        assert_eq!(words(Some(&Event::Loaded)), "the module was loaded");
    }

    #[test]
    fn lost_events_are_not_hidden() {
        let json = serde_json::to_value(line("now", None)).expect("it is JSON");
        assert_eq!(json, serde_json::json!({"time": "now", "event": "lost"}));
        assert!(words(None).contains("lost"));
    }
}
