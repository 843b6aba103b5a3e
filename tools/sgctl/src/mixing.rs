// SPDX-License-Identifier: GPL-2.0
//! Whether sockets of one port are one service: a pure function of what is known of them.
//!
//! The number of a port says little: an administrator's page may listen on 127.0.0.1, behind the public
//! service of that port. Members of a group serve each other's connections, so what belongs to different
//! users or programs, or is for this machine only, is grouped only if that is asked for. Sockets that are
//! bound to different devices the kernel does not take into one group.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::plan::Found;
use crate::program::Program;

/// How many of a list are named.
const NAMED: usize = 3;

/// What may be mixed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Sockets of different users.
    pub users: bool,
    /// Sockets of different programs.
    pub programs: bool,
    /// Listeners at loopback addresses, and others.
    pub loopback: bool,
}

/// In what the sockets of a group would differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The devices that they are bound to, which no group can: nothing allows it, and one is to be
    /// chosen.
    Devices,
    /// Their users.
    Users,
    /// The programs that hold them.
    Programs,
    /// Some are at loopback addresses, others are not.
    Loopback,
}

impl Difference {
    /// The option that allows it, or that chooses.
    pub fn option(self) -> &'static str {
        match self {
            Self::Devices => "--device",
            Self::Users => "--mixed-users",
            Self::Programs => "--mixed-programs",
            Self::Loopback => "--with-loopback",
        }
    }

    /// What is wrong with it, after "as".
    fn words(self) -> &'static str {
        match self {
            Self::Devices => "they are bound to different devices",
            Self::Users => "they belong to different users",
            Self::Programs => "not all are known to be of one program, and started alike",
            Self::Loopback => {
                "those at loopback addresses would serve what comes for other addresses"
            }
        }
    }
}

/// Sockets that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    device: Option<String>,
    uid: u32,
    programs: Vec<Program>,
    loopback: bool,
    group: Option<u32>,
    addresses: Vec<SocketAddr>,
    pids: Vec<u32>,
}

/// Sockets that are not one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix {
    /// In what they differ, as far as that is not allowed.
    pub differences: Vec<Difference>,
    kinds: Vec<Kind>,
}

/// How these sockets, which are to be in one group, differ where that is not allowed.
pub fn mix(sockets: &[&Found], allowed: Allowed) -> Option<Mix> {
    let (first, others) = sockets.split_first()?;
    if others.iter().any(|other| other.device != first.device) {
        // Nothing else matters before one is chosen.
        return Some(Mix {
            differences: vec![Difference::Devices],
            kinds: kinds(sockets),
        });
    }
    let any_other =
        |differs: fn(&Found, &Found) -> bool| others.iter().any(|other| differs(first, other));
    let found = [
        (
            Difference::Users,
            !allowed.users && any_other(|one, other| one.uid != other.uid),
        ),
        (
            Difference::Programs,
            !allowed.programs && any_other(programs_differ),
        ),
        (
            Difference::Loopback,
            !allowed.loopback && any_other(|one, other| is_loopback(one) != is_loopback(other)),
        ),
    ];
    let differences: Vec<Difference> = found
        .into_iter()
        .filter_map(|(difference, is)| is.then_some(difference))
        .collect();
    if differences.is_empty() {
        return None;
    }
    Some(Mix {
        differences,
        kinds: kinds(sockets),
    })
}

/// What is not known is not the same.
fn programs_differ(one: &Found, other: &Found) -> bool {
    one.programs.is_empty() || one.programs != other.programs
}

/// Whether only this machine's own connections come to it. The wildcards are of all addresses.
fn is_loopback(socket: &Found) -> bool {
    match socket.address.ip() {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => address.to_canonical().is_loopback(),
    }
}

/// The kinds of sockets that there are, in the order of their first ones.
fn kinds(sockets: &[&Found]) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Vec::new();
    for socket in sockets {
        let loopback = is_loopback(socket);
        let same = kinds.iter_mut().find(|kind| {
            (kind.uid, kind.loopback, kind.group) == (socket.uid, loopback, socket.group)
                && kind.programs == socket.programs
                && kind.device == socket.device
        });
        if let Some(kind) = same {
            kind.addresses.push(socket.address);
            kind.pids.extend(&socket.pids);
        } else {
            kinds.push(Kind {
                device: socket.device.clone(),
                uid: socket.uid,
                programs: socket.programs.clone(),
                loopback,
                group: socket.group,
                addresses: vec![socket.address],
                pids: socket.pids.clone(),
            });
        }
    }
    for kind in &mut kinds {
        kind.addresses.sort_unstable();
        kind.addresses.dedup();
        kind.pids.sort_unstable();
        kind.pids.dedup();
    }
    kinds
}

impl Mix {
    /// The options of which each chooses one device, or what is bound to none.
    fn device_options(&self) -> Vec<String> {
        let devices = self.kinds.iter().map(|kind| kind.device.as_deref());
        let devices: BTreeSet<Option<&str>> = devices.collect();
        let option = |device: Option<&str>| match device {
            Some(name) => format!("--device {name}"),
            None => "--no-device".to_owned(),
        };
        devices.into_iter().map(option).collect()
    }
}

impl fmt::Display for Mix {
    /// Why they are not one service, and what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.differences.iter().map(|it| it.words()).collect();
        let kinds: Vec<String> = self.kinds.iter().map(Kind::to_string).collect();
        if self.differences == [Difference::Devices] {
            return write!(
                f,
                "the sockets are bound to different devices, and a group is of one: {}; choose with {}",
                listed(&kinds, "; "),
                self.device_options().join(" or "),
            );
        }
        let options: Vec<&str> = self.differences.iter().map(|it| it.option()).collect();
        write!(
            f,
            "the sockets may be several services, as {}: {}; choose with --address or --pid, or \
             group them all the same with {}",
            words.join(", and "),
            listed(&kinds, "; "),
            options.join(" "),
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        let programs: Vec<String> = self.programs.iter().map(ToString::to_string).collect();
        let programs = match programs.as_slice() {
            [] => "an unknown program".to_owned(),
            some => some.join(" and "),
        };
        let pids: Vec<String> = self.pids.iter().map(ToString::to_string).collect();
        let processes = match pids.as_slice() {
            [] => "no visible process".to_owned(),
            [only] => format!("process {only}"),
            some => format!("processes {}", listed(some, ", ")),
        };
        let addresses = listed(&addresses, ", ");
        let device = on(self.device.as_deref());
        write!(
            f,
            "{addresses}{device} of user {} ({programs}, {processes}",
            self.uid
        )?;
        if let Some(group) = self.group {
            write!(f, ", in group {group}")?;
        }
        f.write_str(")")
    }
}

/// What follows an address to tell the device that a socket is bound to, if it is.
pub fn on(device: Option<&str>) -> String {
    device.map_or_else(String::new, |device| format!(" on {device}"))
}

/// The first of these, and how many more there are.
fn listed(names: &[String], between: &str) -> String {
    match names.split_at_checked(NAMED) {
        Some((named, left)) if !left.is_empty() => {
            format!("{} and {} more", named.join(between), left.len())
        }
        _ => names.join(between),
    }
}

#[cfg(test)]
#[path = "mixing_tests.rs"]
mod tests;
