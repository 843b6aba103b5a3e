// SPDX-License-Identifier: GPL-2.0
//! How packets of an address come to the nodes, and whether they can.

use std::net::IpAddr;

use service_group::netlink::{ClusterWay, MAX_DIRECTORS};
use toml::Spanned;

use super::check::{maybe, unique, Found};
use super::raw::RawAddress;
use super::{values, Config, Directing, Mode, Node};

/// The mode of an address.
pub(super) fn mode(raw: &RawAddress, ip: IpAddr, config: &Config) -> Result<Mode, Found> {
    let is_shared = maybe(raw.mode.as_ref(), values::is_shared)?.unwrap_or(true);
    let directing = maybe(raw.directing.as_ref(), values::directing)?;
    if let (true, Some(directing)) = (is_shared, &raw.directing) {
        return Err((
            directing.span(),
            "a shared address has no directors: remove the line, or write mode = \"directed\""
                .to_owned(),
        ));
    }
    match (is_shared, &raw.mac, &raw.directors) {
        (true, _, Some(directors)) => Err((
            directors.span(),
            "a shared address has no directors: remove them, or write mode = \"directed\""
                .to_owned(),
        )),
        (true, mac, None) => {
            let mac = maybe(mac.as_ref(), values::mac)?;
            let mac = mac.unwrap_or_else(|| values::default_mac(ip));
            Ok(Mode::Shared { mac })
        }
        (false, Some(mac), _) => Err((
            mac.span(),
            "only a shared address has a MAC address of its own: remove it".to_owned(),
        )),
        (false, None, None) => Err((
            raw.ip.span(),
            "a directed address needs directors: write directors = [\"NAME\"], or give --director NAME".to_owned(),
        )),
        (false, None, Some(directors)) => {
            let directing = directing.unwrap_or(Directing::Given);
            directed(directors, directing, ip, config)
        }
    }
}

fn directed(
    directors: &Spanned<Vec<Spanned<String>>>,
    directing: Directing,
    ip: IpAddr,
    config: &Config,
) -> Result<Mode, Found> {
    let list = directors.get_ref();
    if list.is_empty() {
        return Err((
            directors.span(),
            "there is no director: name one".to_owned(),
        ));
    }
    unique(list.iter(), |name| {
        format!("\"{name}\" is named twice: name it once")
    })?;
    let machines = config.machines();
    let mut names = list.iter();
    if let Some(name) = names.find(|name| !machines.contains(&name.get_ref().as_str())) {
        let reason = format!(
            "there is no machine \"{0}\": write [[director]] name = \"{0}\" for one that is no node",
            name.get_ref()
        );
        return Err((name.span(), reason));
    }
    let names: Vec<&str> = list.iter().map(|name| name.get_ref().as_str()).collect();
    reachable(ip, config).map_err(|reason| (directors.span(), reason))?;
    if let Some((at, reason)) = untrusted(&names, config) {
        return Err((list.get(at).map_or(directors.span(), Spanned::span), reason));
    }
    if directing == Directing::One {
        linked(list, config)?;
    }
    Ok(Mode::Directed {
        directors: names.into_iter().map(str::to_owned).collect(),
        directing,
    })
}

/// Refuses directors that links are to choose from, and that have none.
fn linked(directors: &[Spanned<String>], config: &Config) -> Result<(), Found> {
    if let Some(one) = directors.get(MAX_DIRECTORS) {
        let reason =
            format!("links choose one of at most {MAX_DIRECTORS} directors: remove others");
        return Err((one.span(), reason));
    }
    let linked = config.linked();
    let is_linked = |name: &str| linked.iter().any(|machine| machine.name == name);
    match directors.iter().find(|name| !is_linked(name.get_ref())) {
        None => Ok(()),
        Some(name) => Err((
            name.span(),
            format!(
                "\"{}\" has no links, and with directing = \"one\" these say who directs: give it an \
                 id, an address and the fingerprint that \"sgctl cluster init\" prints there, or remove \
                 the line",
                name.get_ref()
            ),
        )),
    }
}

/// Refuses nodes that packets of this address cannot be given to, from whomever.
fn reachable(ip: IpAddr, config: &Config) -> Result<(), String> {
    let is_cut_off =
        |node: &&Node| node.way == ClusterWay::Neighbour && node.address.is_ipv4() != ip.is_ipv4();
    if let Some(node) = config.nodes.iter().find(is_cut_off) {
        return Err(format!(
            "node \"{}\" has an address of another family than {ip}: give it way = \"tunnel\", or an \
             address of this family",
            node.name
        ));
    }
    // Second chances go in tunnels, whatever the way is, from the address of the one node to that
    // of the other.
    let Some(first) = config.nodes.first() else {
        return Ok(());
    };
    let mut others = config.nodes.iter();
    match others.find(|node| node.address.is_ipv4() != first.address.is_ipv4()) {
        Some(node) => Err(format!(
            "nodes \"{}\" and \"{}\" have addresses of two families, and no tunnel leads from the \
             one to the other: give all nodes addresses of one family",
            first.name, node.name
        )),
        None => Ok(()),
    }
}

/// The place of a director whose tunnels no node would take packets from, and why, if there is one.
fn untrusted(directors: &[&str], config: &Config) -> Option<(usize, String)> {
    let mut nodes = config.nodes.iter();
    let tunnelled = nodes.find(|node| node.way == ClusterWay::Tunnel)?;
    let at = directors
        .iter()
        .position(|name| config.node(name).is_none())?;
    let name = directors.get(at)?;
    let reason = format!(
        "director \"{name}\" is no node, and \"{}\" takes packets out of tunnels from nodes only: \
         write a [[node]] with state = \"draining\" for \"{name}\" in place of its [[director]]; it \
         owns no slots",
        tunnelled.name
    );
    Some((at, reason))
}

#[cfg(test)]
#[path = "mode_tests.rs"]
mod tests;
