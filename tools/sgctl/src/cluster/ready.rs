// SPDX-License-Identifier: GPL-2.0
//! `sgctl cluster ready`: whether this machine is fit to direct, which keepalived
//! asks every second.
//!
//! It is quick: it asks for no tables and no nodes, so that it needs no more memory on
//! a large cluster than on a small one, and reads no file.

use std::net::IpAddr;

use service_group::netlink::{Cluster, ClusterLocal, ClusterRole, Connection};

use super::apply::facts::Facts;
use super::apply::machine::refusal;
use super::apply::route::Route;
use super::apply::target::whole;
use super::file::describe;
use super::role::check_given;
use crate::cli::ReadyArgs;
use crate::{output, Failure};

/// Runs the subcommand.
pub fn run(args: &ReadyArgs) -> Result<(), Failure> {
    let mut kernel = Connection::open()?;
    let mut facts = Facts {
        clusters: kernel.clusters_in_brief().map_err(refusal)?,
        ..Facts::default()
    };
    check_given(&facts.clusters, &args.addresses)?;
    // An older module does not tell where the machine has the address.
    if facts.clusters.iter().any(|cluster| cluster.local.is_none()) {
        facts.addresses = Route::open()?.addresses()?;
        // Once more: a role that keepalived has set meanwhile is seen.
        facts.clusters = kernel.clusters_in_brief().map_err(refusal)?;
    }
    let mut told = roles(&facts, &args.addresses);
    if told.is_err() {
        // The names of devices are for who reads why it is not.
        facts.links = Route::open()?.links()?;
        told = roles(&facts, &args.addresses);
    }
    output::text(&told?)
}

/// What this machine is for each address, a line for each cluster IP.
fn roles(facts: &Facts, addresses: &[IpAddr]) -> Result<String, Failure> {
    let lines = addresses.iter().map(|address| role(facts, *address));
    lines.collect()
}

/// What this machine is for an address.
fn role(facts: &Facts, address: IpAddr) -> Result<String, Failure> {
    let one_of = [ClusterRole::Director, ClusterRole::Standby];
    let served = facts
        .clusters
        .iter()
        .filter(|cluster| cluster.name.address == address && one_of.contains(&cluster.role));
    let served: Vec<&Cluster> = served.collect();
    if served.is_empty() {
        return Err(Failure::new(format!(
            "this machine is no director of {address}: apply the file that says so, with \
             \"sgctl cluster apply\""
        )));
    }
    // Neighbours ask for the address, and nobody answers.
    let has = |cluster: &Cluster| match cluster.local {
        Some(local) => local == ClusterLocal::Device,
        None => facts.has(cluster.device, address),
    };
    let idle = served
        .iter()
        .find(|cluster| cluster.role == ClusterRole::Standby && has(cluster));
    if let Some(idle) = idle {
        return Err(Failure::new(format!(
            "{} is the standby's, but {} has the address: run \"sgctl cluster role \
             director {address}\"",
            describe(&idle.name),
            facts.link_name(idle.device)
        )));
    }
    if let Some(lost) = served.iter().find(|cluster| cluster.device == 0) {
        return Err(Failure::new(format!(
            "the device of {} is gone: make an Ethernet device of the same name, and give that the \
             address with \"sgctl cluster apply\", or have keepalived do so",
            describe(&lost.name)
        )));
    }
    let lacking = |cluster: &&&Cluster| cluster.role == ClusterRole::Director && !has(cluster);
    if let Some(lacking) = served.iter().find(lacking) {
        return Err(lacks(lacking, facts));
    }
    let lines = served
        .iter()
        .map(|cluster| format!("{}: {}\n", describe(&cluster.name), cluster.role));
    Ok(lines.collect())
}

/// Why a director that does not have the address on its device is not fit, and what to do. The file
/// is not read, so it is not known whether there are others that `apply` leaves that to.
fn lacks(lacking: &Cluster, facts: &Facts) -> Failure {
    let (address, device) = (lacking.name.address, facts.link_name(lacking.device));
    // As "apply" and keepalived add it: the machine's own connections begin elsewhere.
    let deprecated = if address.is_ipv6() {
        " preferred_lft 0"
    } else {
        ""
    };
    Failure::new(format!(
        "this machine directs {}, but {device} does not have the address, as after it was made anew: \
         give it back with \"sgctl cluster apply\", or, where keepalived chooses the director, with \
         \"ip address add {address}/{} dev {device}{deprecated}\"",
        describe(&lacking.name),
        whole(address)
    ))
}

#[cfg(test)]
mod tests {
    use super::super::apply::facts::{Link, Local};
    use super::*;
    use service_group::netlink::ClusterName;

    const DEVICE: u32 = 2;

    fn address(last: u8) -> IpAddr {
        [198, 51, 100, last].into()
    }

    /// A machine that serves 198.51.100.7 at these ports, and has it on a device.
    fn facts(served: &[(u16, ClusterRole)], device: Option<u32>) -> Facts {
        let cluster = |(port, role): &(u16, ClusterRole)| {
            let name = ClusterName {
                address: address(7),
                protocol: 6,
                port: *port,
            };
            Cluster {
                role: *role,
                device: DEVICE,
                ..Cluster::new(name)
            }
        };
        let local = |index| Local {
            index,
            address: address(7),
            prefix: 32,
        };
        Facts {
            clusters: served.iter().map(cluster).collect(),
            addresses: device.map(local).into_iter().collect(),
            links: vec![Link {
                index: DEVICE,
                name: "ens5".to_owned(),
            }],
            ..Facts::default()
        }
    }

    #[test]
    fn a_machine_without_its_device_is_not_fit() {
        for which in [ClusterRole::Director, ClusterRole::Standby] {
            let mut facts = facts(&[(80, which)], None);
            facts.clusters[0].device = 0;
            let told = role(&facts, address(7)).map_err(|failure| failure.to_string());
            let is_told = |why: String| {
                ["is gone", "of the same name", "sgctl cluster apply"]
                    .iter()
                    .all(|part| why.contains(part))
            };
            assert!(told.is_err_and(is_told));
        }
    }

    #[test]
    fn the_device_and_both_remedies_are_named() {
        for (ip, command) in [
            (address(7), "ip address add 198.51.100.7/32 dev ens5\""),
            (
                IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7]),
                "ip address add 2001:db8::7/128 dev ens5 preferred_lft 0\"",
            ),
        ] {
            let mut facts = facts(&[(80, ClusterRole::Director)], None);
            facts.clusters[0].name.address = ip;
            facts.clusters[0].local = Some(ClusterLocal::Absent);
            let failure = role(&facts, ip).expect_err("it lacks it").to_string();
            for told in ["but ens5 does not have", "\"sgctl cluster apply\"", command] {
                assert!(failure.contains(told), "{failure}");
            }
            // None of those that there are: its number.
            facts.links.clear();
            let failure = role(&facts, ip).expect_err("it lacks it").to_string();
            assert!(failure.contains("but device 2 does not have"), "{failure}");
        }
    }

    #[test]
    fn a_newer_module_is_believed() {
        use ClusterLocal::{Absent, Device, Elsewhere};
        use ClusterRole::{Director, Standby};
        for (which, local, told) in [
            (Director, Device, None),
            (Director, Elsewhere, Some("ip address add 198.51.100.7/32")),
            (Director, Absent, Some("ip address add 198.51.100.7/32")),
            (Standby, Device, Some("role director")),
            (Standby, Elsewhere, None),
            (Standby, Absent, None),
        ] {
            // What was read of the addresses is of no matter.
            for device in [None, Some(DEVICE)] {
                let mut facts = facts(&[(80, which)], device);
                facts.clusters[0].local = Some(local);
                let failure = role(&facts, address(7)).err();
                let failure = failure.map(|failure| failure.to_string());
                let is_told = |told| failure.as_ref().is_some_and(|why| why.contains(told));
                assert!(told.map_or(failure.is_none(), is_told), "{failure:?}");
            }
        }
    }

    #[test]
    fn a_director_and_a_standby_are_fit() {
        use ClusterRole::{Director, Standby};
        let told = role(&facts(&[(80, Director)], Some(DEVICE)), address(7));
        assert_eq!(told, Ok("198.51.100.7 tcp port 80: director\n".to_owned()));
        let told = role(&facts(&[(80, Standby), (443, Standby)], None), address(7));
        assert_eq!(told.map(|told| told.lines().count()), Ok(2));
        // That it is on another device draws nothing here.
        assert!(role(&facts(&[(80, Standby)], Some(1)), address(7)).is_ok());
    }

    #[test]
    fn a_black_hole_is_told() {
        use ClusterRole::{Director, Shared, Standby};
        for (served, device, last, told) in [
            (&[][..], None, 7, "no director"),
            (&[(80, Director)], None, 8, "no director"),
            (&[(80, Shared)], None, 7, "no director"),
            (&[(80, Standby)], Some(DEVICE), 7, "role director"),
            (&[(80, Director)], None, 7, "does not have the address"),
            (
                &[(80, Director), (443, Standby)],
                Some(DEVICE),
                7,
                "port 443",
            ),
        ] {
            let failure = role(&facts(served, device), address(last)).expect_err(told);
            assert!(failure.to_string().contains(told), "{failure}");
            assert_eq!(failure.status(), 1);
        }
    }
}
