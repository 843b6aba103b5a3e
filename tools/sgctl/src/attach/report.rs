// SPDX-License-Identifier: GPL-2.0
//! What `attach` tells of what it did: sentences, or one JSON object.

use serde::Serialize;
use service_group::Settings;

use crate::cli::AttachArgs;
use crate::mixing::on;
use crate::plan::{shared, Action, Found, Plan};
use crate::view::{words, SettingsView};
use crate::{output, owners};

/// What was done, as `--json` tells it.
#[derive(Debug, Serialize)]
pub struct Report {
    port: u16,
    /// The group, once there is one.
    group: Option<u32>,
    /// `formed`, `joined`, `unchanged` or `none`.
    action: &'static str,
    dry_run: bool,
    /// The options without which nothing was done.
    needs: Vec<&'static str>,
    /// What the group was given, if anything.
    settings: Option<SettingsView>,
    sockets: Vec<SocketReport>,
}

#[derive(Debug, Serialize)]
struct SocketReport {
    inode: u64,
    address: String,
    /// The device that it is bound to.
    device: Option<String>,
    uid: u32,
    programs: Vec<String>,
    pids: Vec<u32>,
    /// `added`, `member`, `refused`, or `left` when options are needed.
    status: &'static str,
    reason: Option<String>,
}

/// The report on what was done with these sockets, and what the group was given, if it
/// was.
pub fn new(
    args: &AttachArgs,
    found: &[Found],
    plan: &Plan,
    group: Option<u32>,
    given: Option<&Settings>,
) -> Report {
    let (action, group) = match &plan.action {
        Action::Form(_) => ("formed", group),
        Action::Join(group, _) => ("joined", Some(*group)),
        Action::Nothing(_) => ("unchanged", found.iter().find_map(|socket| socket.group)),
        Action::Impossible | Action::Mixed(_) => ("none", None),
    };
    let needs: Vec<&str> = match &plan.action {
        Action::Mixed(mix) => mix.differences.iter().map(|it| it.option()).collect(),
        _ => Vec::new(),
    };
    let sockets = found.iter().enumerate().map(|(index, socket)| {
        let refused = plan.refused.iter().find(|(refused, _)| *refused == index);
        let status = match (refused, socket.group) {
            (Some(_), _) => "refused",
            (None, Some(_)) => "member",
            (None, None) if !needs.is_empty() => "left",
            (None, None) => "added",
        };
        SocketReport {
            inode: socket.inode,
            address: socket.address.to_string(),
            device: socket.device.clone(),
            uid: socket.uid,
            programs: socket.programs.iter().map(ToString::to_string).collect(),
            pids: socket.pids.clone(),
            status,
            reason: refused.map(|(_, reason)| reason.to_string()),
        }
    });
    let given = given.filter(|given| action != "none" && !given.is_empty());
    Report {
        port: args.port,
        group,
        action,
        dry_run: args.dry_run,
        settings: given.map(SettingsView::from),
        sockets: sockets.collect(),
        needs,
    }
}

/// The processes that hold a socket, in words.
fn holder(pids: &[u32]) -> String {
    match pids {
        [] => "held by no visible process".to_owned(),
        [pid] => format!("{} {pid}", owners::name(*pid)),
        [pid, others @ ..] => {
            format!("{} {pid} and {} more", owners::name(*pid), others.len())
        }
    }
}

/// Tells which sockets were not taken, and why; when none was to be, it is told by what is needed.
pub fn refusals(report: &Report) {
    if !report.needs.is_empty() {
        return;
    }
    for socket in report.sockets.iter().filter(|s| s.status == "refused") {
        let reason = socket.reason.as_deref().unwrap_or_default();
        let (address, inode) = (&socket.address, socket.inode);
        let device = on(socket.device.as_deref());
        let holder = holder(&socket.pids);
        eprintln!("sgctl: {address}{device} (inode {inode}, {holder}) is not taken: {reason}");
    }
}

/// What was done, in sentences.
pub fn sentences(report: &Report, plan: &Plan, settings: &Settings) -> String {
    let mut text = sentence(report, plan);
    if report.settings.is_some() {
        let does = words(settings);
        text += &match report.group {
            Some(group) if !report.dry_run => format!("group {group}: {does}\n"),
            _ => format!("it would be given {does}\n"),
        };
    }
    text
}

fn sentence(report: &Report, plan: &Plan) -> String {
    let port = report.port;
    let will = if report.dry_run { "would be " } else { "" };
    match (&plan.action, report.group) {
        (Action::Form(members), Some(group)) => {
            let sockets = output::count(members.len(), "socket");
            format!("group {group}: formed of {sockets} on port {port}\n")
        }
        (Action::Form(members), None) => {
            let sockets = output::count(members.len(), "socket");
            format!("a group {will}formed of {sockets} on port {port}\n")
        }
        (Action::Join(group, members), _) => {
            let sockets = output::count(members.len(), "socket");
            format!("group {group}: {will}joined by {sockets} on port {port}\n")
        }
        (Action::Nothing(groups), _) => {
            let ids: Vec<String> = groups.iter().map(u32::to_string).collect();
            let groups = if ids.len() == 1 { "group" } else { "groups" };
            let ids = ids.join(", ");
            let members = report.sockets.iter().filter(|s| s.status == "member");
            let sockets = output::count(members.count(), "socket");
            format!("{groups} {ids}: all of {sockets} on port {port} belong to it already\n")
        }
        (Action::Impossible | Action::Mixed(_), _) => String::new(),
    }
}

/// Tells what a group can help with only in part.
pub fn notes(found: &[Found], plan: &Plan) {
    if matches!(plan.action, Action::Impossible | Action::Mixed(_)) {
        return;
    }
    for (address, processes) in shared(found) {
        eprintln!(
            "sgctl: note: {processes} processes share the one queue of {address}: with a socket \
             for each (SO_REUSEPORT) a slow one would hold up none of the others' connections"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixing::Allowed;
    use crate::plan;
    use crate::program::Program;
    use serde_json::{json, to_value};
    use service_group::Policy;
    use std::net::SocketAddr;

    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn args(line: &str) -> AttachArgs {
        match Cli::try_parse_from(line.split(' ')).map(|cli| cli.command) {
            Ok(Command::Attach(args)) => args,
            other => panic!("{line} is taken as {other:?}"),
        }
    }

    fn found(group: Option<u32>) -> Vec<Found> {
        let socket = |inode| Found {
            inode,
            address: SocketAddr::from(([0, 0, 0, 0], 80)),
            device: None,
            uid: 0,
            pids: Vec::new(),
            programs: vec![Program::new("/srv/shop", 1, &[], None)],
            group,
            obstacle: None,
        };
        vec![socket(1), socket(2)]
    }

    #[test]
    fn settings_are_told_when_they_hold() {
        let args = args("sgctl attach --port 80 --policy balance");
        let settings = Settings::new().policy(Policy::Balance);
        let found = found(None);
        let plan = plan::plan(&found, &[], Allowed::default());
        let done = new(&args, &found, &plan, Some(3), Some(&settings));
        assert_eq!(
            sentences(&done, &plan, &settings),
            "group 3: formed of 2 sockets on port 80\ngroup 3: policy balance\n"
        );
        let json = to_value(&done).expect("it is JSON");
        assert_eq!(json["settings"], json!({"policy": "balance"}));
        let failed = new(&args, &found, &plan, Some(3), None);
        assert!(!sentences(&failed, &plan, &settings).contains("balance"));
        let json = to_value(&failed).expect("it is JSON");
        assert_eq!(json["settings"], json!(null));
    }

    #[test]
    fn a_dry_run_tells_what_would_be() {
        let args = args("sgctl attach --port 80 --dry-run --stall off");
        for (group, told) in [(None, "would be formed"), (Some(3), "belong to it")] {
            let found = found(group);
            let plan = plan::plan(&found, &[], Allowed::default());
            let settings = args.settings.0;
            let report = new(&args, &found, &plan, None, Some(&settings));
            let text = sentences(&report, &plan, &settings);
            assert!(text.contains(told), "{text}");
            assert!(text.ends_with("it would be given stall off\n"), "{text}");
        }
    }

    #[test]
    fn a_device_is_needed() {
        let args = args("sgctl attach --port 80 --json");
        let mut found = found(None);
        found[1].device = Some("eth1".to_owned());
        let plan = plan::plan(&found, &[], Allowed::default());
        let report = new(&args, &found, &plan, None, None);
        let json = to_value(&report).expect("it is JSON");
        assert_eq!(json["needs"], json!(["--device"]));
        let devices = [0, 1].map(|socket| json["sockets"][socket]["device"].clone());
        assert_eq!(devices, [json!(null), json!("eth1")]);
    }

    #[test]
    fn what_is_needed_is_told() {
        let args = args("sgctl attach --port 80 --stall off --json");
        let mut found = found(None);
        found[1].uid = 33;
        found[1].address = SocketAddr::from(([127, 0, 0, 1], 80));
        let plan = plan::plan(&found, &[], Allowed::default());
        let settings = args.settings.0;
        let report = new(&args, &found, &plan, None, Some(&settings));
        let json = to_value(&report).expect("it is JSON");
        assert_eq!(json["needs"], json!(["--mixed-users", "--with-loopback"]));
        assert_eq!(
            (&json["action"], &json["settings"]),
            (&json!("none"), &json!(null))
        );
        for (socket, uid) in [(0, 0), (1, 33)] {
            let socket = &json["sockets"][socket];
            assert_eq!(
                (&socket["status"], &socket["uid"]),
                (&json!("left"), &json!(uid))
            );
            assert_eq!(socket["programs"], json!(["shop"]));
        }
        assert_eq!(sentences(&report, &plan, &settings), "");
    }
}
