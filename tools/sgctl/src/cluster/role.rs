// SPDX-License-Identifier: GPL-2.0
//! `sgctl cluster role`: makes this machine the director, or the standby.
//!
//! Nothing else of a cluster IP changes. Who is to direct is decided elsewhere, by
//! keepalived; if the file says that links decide, it is refused.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use serde::Serialize;
use service_group::netlink::{Cluster, ClusterName, ClusterRole, Connection, Error};

use super::apply::machine::refusal;
use super::apply::route::Route;
use super::file::describe;
use crate::cli::{RoleArg, RoleArgs};
use crate::{output, Failure};

/// How often, and how long after another, cluster IPs are looked for that were away for a moment:
/// where `apply` has to go back, it sets some up anew.
const LOOKS: u32 = 20;
const BETWEEN: Duration = Duration::from_millis(50);

/// Runs the subcommand.
pub fn run(args: &RoleArgs) -> Result<(), Failure> {
    let mut kernel = Connection::open()?;
    let role = match args.role {
        RoleArg::Director => ClusterRole::Director,
        RoleArg::Standby => ClusterRole::Standby,
    };
    let mut told = Told::default();
    check_given(&brief(&mut kernel)?, &args.addresses)?;
    let first = first(&mut kernel, &args.addresses)?;
    let all: Vec<&Cluster> = first.iter().collect();
    tell(&mut kernel, &all, role, &mut told)?;
    for _ in 0..LOOKS {
        // What "apply" has brought meanwhile has another role, perhaps.
        let served = brief(&mut kernel)?;
        let new = directed(&served, &args.addresses).filter(|one| !told.all.contains(&one.name));
        let new: Vec<&Cluster> = new.collect();
        tell(&mut kernel, &new, role, &mut told)?;
        match (new.is_empty(), told.gone.is_empty()) {
            (true, true) => break,
            (true, false) => thread::sleep(BETWEEN),
            (false, _) => {}
        }
    }
    if role == ClusterRole::Standby {
        leave(&mut kernel, &told)?;
    }
    let changed = told.changed.iter().map(|name| Changed {
        address: describe(name),
        role: role.name(),
    });
    let changed: Vec<Changed> = changed.collect();
    match args.json {
        true => output::json(&changed),
        false => output::text(&sentences(&changed, role)),
    }
}

/// The cluster IPs that have the role now.
#[derive(Debug, Default)]
struct Told {
    all: BTreeSet<ClusterName>,
    /// Those that had another one before.
    changed: BTreeSet<ClusterName>,
    /// Those that were gone when they were to be told.
    gone: BTreeSet<ClusterName>,
}

fn brief(kernel: &mut Connection) -> Result<Vec<Cluster>, Failure> {
    let mut all = kernel.clusters_in_brief().map_err(refusal)?;
    all.sort_by_key(|cluster| cluster.name);
    Ok(all)
}

/// Those that are to have the role, if there are some of each address.
fn first(kernel: &mut Connection, addresses: &[IpAddr]) -> Result<Vec<Cluster>, Failure> {
    let mut looks = 0;
    loop {
        match wanted(&brief(kernel)?, addresses) {
            Err(_) if looks < LOOKS => thread::sleep(BETWEEN),
            found => return found,
        }
        looks += 1;
    }
}

/// Gives cluster IPs the role, also where they have it: an "apply" that has read before is to know
/// that this was decided since.
fn tell(
    kernel: &mut Connection,
    clusters: &[&Cluster],
    role: ClusterRole,
    told: &mut Told,
) -> Result<(), Failure> {
    for cluster in clusters {
        let is_told = switch(kernel, cluster, role).map_err(|error| {
            let name = describe(&cluster.name);
            Failure::new(format!("{name} has its role still: {}", refusal(error)))
        })?;
        if !is_told {
            told.gone.insert(cluster.name);
            continue;
        }
        told.gone.remove(&cluster.name);
        told.all.insert(cluster.name);
        if cluster.role != role {
            told.changed.insert(cluster.name);
        }
    }
    Ok(())
}

/// Gives a cluster IP the role; whether it is there still.
fn switch(kernel: &mut Connection, cluster: &Cluster, role: ClusterRole) -> Result<bool, Error> {
    let refused = match kernel.set_cluster_role(&cluster.name, role) {
        Err(Error::Refused(number)) => Errno::from_raw_os_error(number),
        answer => return answer.map(|()| true),
    };
    match refused {
        Errno::NOENT => Ok(false),
        Errno::OPNOTSUPP if cluster.role == role => Ok(true),
        // An older module takes it as a whole only.
        Errno::OPNOTSUPP => match kernel.cluster(&cluster.name)? {
            None => Ok(false),
            Some(whole) => {
                // The device stays, whether it goes or comes in the meantime.
                let device = 0;
                let whole = Cluster {
                    role,
                    device,
                    ..whole
                };
                kernel.set_cluster(&whole, None).map(|()| true)
            }
        },
        refused => Err(Error::Refused(refused.raw_os_error())),
    }
}

/// Takes away what "apply" has left on devices as long as this machine was the only director.
fn leave(kernel: &mut Connection, told: &Told) -> Result<(), Failure> {
    let mut route = Route::open()?;
    let mut taken = BTreeSet::new();
    for cluster in brief(kernel)? {
        let stands_by = cluster.role == ClusterRole::Standby && told.all.contains(&cluster.name);
        if stands_by && cluster.device != 0 && route.remove(cluster.device, cluster.name.address)? {
            taken.insert(cluster.name);
        }
    }
    // keepalived may have made it the director meanwhile, and have found the address there.
    let again = |one: &Cluster| one.role == ClusterRole::Director && taken.contains(&one.name);
    for cluster in brief(kernel)?.into_iter().filter(again) {
        route.add(cluster.device, cluster.name.address)?;
    }
    Ok(())
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

/// Refuses to have somebody else say who directs where links do: one of these addresses, or all that
/// this machine directs if none is named.
pub fn check_given(served: &[Cluster], addresses: &[IpAddr]) -> Result<(), Failure> {
    let is_meant = |one: &&Cluster| match addresses {
        [] => served.iter().all(|one| one.follows_links()),
        some => some.contains(&one.name.address),
    };
    let mut followers = served.iter().filter(|one| one.follows_links());
    let Some(follower) = followers.find(is_meant) else {
        return Ok(());
    };
    Err(Failure::new(format!(
        "links say who directs {}: see \"sgctl cluster status\", and leave keepalived out of it, or set \
         --directing given with \"sgctl cluster set\"",
        describe(&follower.name)
    )))
}

/// Those that this machine directs or stands by for, all or of these addresses; not those that links
/// choose the director of.
fn directed<'a>(
    served: &'a [Cluster],
    addresses: &'a [IpAddr],
) -> impl Iterator<Item = &'a Cluster> {
    let directs = |role| [ClusterRole::Director, ClusterRole::Standby].contains(&role);
    let all = served
        .iter()
        .filter(move |one| directs(one.role) && !one.follows_links());
    all.filter(|one| addresses.is_empty() || addresses.contains(&one.name.address))
}

/// The same, if there are some of each address.
fn wanted(served: &[Cluster], addresses: &[IpAddr]) -> Result<Vec<Cluster>, Failure> {
    let wanted: Vec<Cluster> = directed(served, addresses).cloned().collect();
    let is_there = |address: &&IpAddr| wanted.iter().any(|one| one.name.address == **address);
    if let Some(address) = addresses.iter().find(|address| !is_there(address)) {
        return Err(Failure::new(format!(
            "this machine is no director of {address}: apply the file that says so first, with \
             \"sgctl cluster apply\""
        )));
    }
    if wanted.is_empty() {
        return Err(Failure::new(
            "this machine is the director of nothing: apply the file that says so first, with \
             \"sgctl cluster apply\"",
        ));
    }
    Ok(wanted)
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
        let of = |addresses: &[u8]| {
            let addresses = addresses
                .iter()
                .map(|last| IpAddr::from([198, 51, 100, *last]));
            let addresses: Vec<IpAddr> = addresses.collect();
            wanted(&served, &addresses)
        };
        assert_eq!(of(&[]), Ok(served[..2].to_vec()));
        assert_eq!(of(&[2]), Ok(served[1..2].to_vec()));
        assert_eq!(of(&[1, 2]), Ok(served[..2].to_vec()));
        for missing in [3, 4] {
            let failure = of(&[1, missing]).expect_err("it is none").to_string();
            assert!(failure.contains("sgctl cluster apply"), "{failure}");
        }
        assert!(wanted(&served[2..], &[]).is_err());
        let changed = [Changed {
            address: "198.51.100.2".to_owned(),
            role: Director.name(),
        }];
        let mut linked = served.to_vec();
        linked[0].directors = vec![1, 2];
        let refused = |addresses: &[IpAddr]| check_given(&linked, addresses).is_err();
        assert!(refused(&[[198, 51, 100, 1].into()]));
        assert!(!refused(&[[198, 51, 100, 2].into()]) && !refused(&[]));
        assert_eq!(wanted(&linked, &[]), Ok(served[1..2].to_vec()));
        let failure = check_given(&linked[..1], &[]).expect_err("there is no other");
        assert!(failure.to_string().starts_with("links say"), "{failure}");
        assert_eq!(sentences(&changed, Director), "198.51.100.2: director\n");
        assert!(sentences(&[], Standby).contains("the standby already"));
    }
}
