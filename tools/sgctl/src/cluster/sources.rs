// SPDX-License-Identifier: GPL-2.0
//! Validation of sources (`rp_filter`) that packets of clients may not pass.
//!
//! What was in a tunnel is validated as if it had come by the device of the tunnel.
//! If that is strict, the kernel drops, without a word, what comes from a client to
//! whom the route leads by another device. Routes change, and which clients there
//! are is not known: so what can be wrong is told, and nothing is refused.

use std::collections::BTreeSet;
use std::fs;

use service_group::netlink::{Cluster, ClusterRole};

use super::apply::facts::Facts;
use super::apply::{device, own_name};
use super::file::{Address, Config, Mode};

const STRICT: u32 = 1;

/// What to say of the devices by which tunnels come to this machine.
pub fn of_served(facts: &Facts) -> Vec<String> {
    let ends = |cluster: &&Cluster| {
        let tunnels = cluster.role != ClusterRole::Shared || cluster.settings.spill;
        tunnels && cluster.device != 0 && cluster.node.is_some()
    };
    let served = facts.clusters.iter().filter(ends);
    let served = served.filter(|cluster| cluster.name.address.is_ipv4());
    cautions(served.map(|cluster| facts.link_name(cluster.device)))
}

/// The same, if this machine is a node of the file.
pub fn of_file(config: &Config) -> Vec<String> {
    let Ok(own) = own_name(config, None) else {
        return Vec::new();
    };
    if config.node(&own).is_none() {
        return Vec::new();
    }
    let addresses = config.addresses.iter();
    let addresses = addresses.filter(|address| address.name.address.is_ipv4() && tunnels(address));
    cautions(addresses.map(|address| device(config, address, &own).to_owned()))
}

/// Whether nodes give each other packets.
fn tunnels(address: &Address) -> bool {
    address.settings.spill || matches!(address.mode, Mode::Directed { .. })
}

/// One for each device that there is something to say of.
fn cautions(devices: impl Iterator<Item = String>) -> Vec<String> {
    let devices: BTreeSet<String> = devices.collect();
    let read = |path: &str| fs::read_to_string(path).ok();
    devices
        .iter()
        .filter_map(|device| caution(device, read))
        .collect()
}

fn caution(device: &str, read: impl Fn(&str) -> Option<String>) -> Option<String> {
    let setting = |name: &str| {
        let text = read(&format!("/proc/sys/net/ipv4/conf/{name}/rp_filter"))?;
        text.trim().parse::<u32>().ok()
    };
    // The kernel takes the larger one.
    let is_strict = setting("all").max(setting(device)) == Some(STRICT);
    let routes = read("/proc/net/route").unwrap_or_default();
    if !is_strict || default_device(&routes).as_deref() == Some(device) {
        return None;
    }
    Some(format!(
        "sources are validated strictly on {device} (rp_filter 1), and the default route does not \
         lead by it: packets out of tunnels are dropped if the route to their client leads by \
         another device (the kernel counts IPReversePathFilter): unless all clients are reached by \
         {device}, set net.ipv4.conf.{device}.rp_filter to 2"
    ))
}

/// The device of the default route, as `/proc/net/route` has it: the one of the lowest metric.
fn default_device(routes: &str) -> Option<String> {
    let defaults = routes.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [device, "00000000", _, _, _, _, metric, "00000000", ..] = words[..] else {
            return None;
        };
        Some((metric.parse::<u32>().ok()?, device.to_owned()))
    });
    defaults.min().map(|(_, device)| device)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth1\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t00000000\t0100A8C0\t0003\t0\t0\t50\t00000000\t0\t0\t0
eth2\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
";

    fn told(all: &str, own: &str, routes: &str, device: &str) -> Option<String> {
        caution(device, |path| {
            let text = match path {
                "/proc/net/route" => routes,
                "/proc/sys/net/ipv4/conf/all/rp_filter" => all,
                _ => own,
            };
            Some(text.to_owned())
        })
    }

    #[test]
    fn strict_sources_are_told_where_clients_are_elsewhere() {
        for (all, own, device, expected) in [
            ("0\n", "0\n", "eth1", false),
            ("1\n", "0\n", "eth1", true),
            ("0\n", "1\n", "eth1", true),
            ("1\n", "2\n", "eth1", false),
            ("2\n", "1\n", "eth1", false),
            ("0\n", "1\n", "eth0", false),
            ("", "x", "eth1", false),
        ] {
            let told = told(all, own, ROUTES, device);
            assert_eq!(told.is_some(), expected, "{all}{own}{device}");
        }
        // Without a default route it is not known where clients are.
        let told = told("1", "1", "", "eth0").expect("it is strict");
        assert!(told.contains("net.ipv4.conf.eth0.rp_filter to 2"), "{told}");
        assert_eq!(caution("eth0", |_| None), None);
    }

    #[test]
    fn who_ends_no_tunnels_is_told_nothing() {
        let name = service_group::netlink::ClusterName {
            address: [198, 51, 100, 7].into(),
            protocol: 0,
            port: 0,
        };
        let mut facts = Facts {
            clusters: vec![Cluster::new(name)],
            ..Facts::default()
        };
        assert_eq!(of_served(&facts), Vec::<String>::new());
        // Who only directs ends none.
        facts.clusters[0].role = ClusterRole::Director;
        facts.clusters[0].device = 1;
        assert_eq!(of_served(&facts), Vec::<String>::new());
    }
}
