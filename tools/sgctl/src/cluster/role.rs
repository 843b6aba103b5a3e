// SPDX-License-Identifier: GPL-2.0
//! `sgctl cluster role`: makes this machine the director, or the standby.
//!
//! Nothing else of a cluster IP changes. Who is to direct is decided elsewhere, by
//! keepalived.

use std::net::IpAddr;

use serde::Serialize;
use service_group::netlink::{Cluster, ClusterRole, Connection};

use super::apply::machine::{clusters, refusal};
use super::file::describe;
use crate::cli::{RoleArg, RoleArgs};
use crate::{output, Failure};

/// Runs the subcommand.
pub fn run(args: &RoleArgs) -> Result<(), Failure> {
    let mut kernel = Connection::open()?;
    let role = match args.role {
        RoleArg::Director => ClusterRole::Director,
        RoleArg::Standby => ClusterRole::Standby,
    };
    let changes = changes(&clusters(&mut kernel)?, role, &args.addresses)?;
    for cluster in &changes {
        kernel.set_cluster(cluster).map_err(|error| {
            let name = describe(&cluster.name);
            Failure::new(format!("{name} has its role still: {}", refusal(error)))
        })?;
    }
    let changed = changes.iter().map(|cluster| Changed {
        address: describe(&cluster.name),
        role: role.name(),
    });
    let changed: Vec<Changed> = changed.collect();
    match args.json {
        true => output::json(&changed),
        false => output::text(&sentences(&changed, role)),
    }
}

/// A cluster IP that has another role now, as `--json` tells it.
#[derive(Debug, Serialize)]
struct Changed {
    address: String,
    role: &'static str,
}

fn sentences(changed: &[Changed], role: ClusterRole) -> String {
    let lines = changed.iter();
    let lines: Vec<String> = lines
        .map(|one| format!("{}: {}\n", one.address, one.role))
        .collect();
    match lines.is_empty() {
        true => format!("this machine is the {role} already\n"),
        false => lines.concat(),
    }
}

/// The cluster IPs that are to have the other role, as they are to be.
fn changes(
    served: &[Cluster],
    role: ClusterRole,
    addresses: &[IpAddr],
) -> Result<Vec<Cluster>, Failure> {
    let switches =
        |cluster: &&Cluster| matches!(cluster.role, ClusterRole::Director | ClusterRole::Standby);
    let directed: Vec<&Cluster> = served.iter().filter(switches).collect();
    let is_there = |address: &IpAddr| directed.iter().any(|one| one.name.address == *address);
    if let Some(address) = addresses.iter().find(|address| !is_there(address)) {
        return Err(Failure::new(format!(
            "this machine is no director of {address}: apply the file that says so first, with \
             \"sgctl cluster apply\""
        )));
    }
    if directed.is_empty() {
        return Err(Failure::new(
            "this machine is the director of nothing: apply the file that says so first, with \
             \"sgctl cluster apply\"",
        ));
    }
    let wanted =
        |cluster: &&Cluster| addresses.is_empty() || addresses.contains(&cluster.name.address);
    let others = directed.into_iter().filter(wanted);
    let others = others.filter(|cluster| cluster.role != role);
    Ok(others
        .map(|cluster| Cluster {
            role,
            // It stays, whether it goes or comes in the meantime.
            device: 0,
            ..cluster.clone()
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use service_group::netlink::ClusterName;

    fn cluster(last: u8, role: ClusterRole) -> Cluster {
        let name = ClusterName {
            address: [198, 51, 100, last].into(),
            protocol: 0,
            port: 0,
        };
        Cluster {
            role,
            table: vec![1, 2],
            ..Cluster::new(name)
        }
    }

    #[test]
    fn only_directors_and_standbys_switch() {
        use ClusterRole::{Director, Shared, Standby};
        let served = [
            cluster(1, Director),
            cluster(2, Standby),
            cluster(3, Shared),
        ];
        let of = |role, addresses: &[u8]| {
            let addresses = addresses
                .iter()
                .map(|last| IpAddr::from([198, 51, 100, *last]));
            changes(&served, role, &addresses.collect::<Vec<_>>())
        };
        assert_eq!(of(Director, &[]), Ok(vec![cluster(2, Director)]));
        assert_eq!(of(Standby, &[]), Ok(vec![cluster(1, Standby)]));
        assert_eq!(of(Standby, &[2]), Ok(vec![]));
        assert_eq!(of(Director, &[1, 2]), Ok(vec![cluster(2, Director)]));
        for missing in [3, 4] {
            let failure = of(Director, &[1, missing])
                .expect_err("it is none")
                .to_string();
            assert!(failure.contains("sgctl cluster apply"), "{failure}");
        }
        assert!(changes(&served[2..], Director, &[]).is_err());
        let changed = [Changed {
            address: "198.51.100.2".to_owned(),
            role: Director.name(),
        }];
        assert_eq!(sentences(&changed, Director), "198.51.100.2: director\n");
        assert!(sentences(&[], Standby).contains("the standby already"));
    }
}
