// SPDX-License-Identifier: GPL-2.0
//! The machines of a file: whether each makes sense, and all of them together.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU16;

use service_group::netlink::ClusterWay;
use service_group_logic::logic::cluster::slots::{NodeId, State};
use toml::Spanned;

use super::check::{maybe, number, unique, word, Found};
use super::links::{self, Links};
use super::raw::{RawCluster, RawDirector, RawFile, RawNode};
use super::{values, Config, Director, Node};

/// The machines, and no address yet.
pub(super) fn machines(raw: &RawFile) -> Result<Config, Found> {
    let nodes = raw.node.iter().map(|one| node(one.get_ref()));
    let directors = raw.director.iter().map(|one| director(one.get_ref()));
    let config = Config {
        links: raw.cluster.as_ref().map(common).transpose()?,
        nodes: nodes.collect::<Result<_, _>>()?,
        directors: directors.collect::<Result<_, _>>()?,
        ..Config::default()
    };
    let nodes = || raw.node.iter().map(Spanned::get_ref);
    let directors = || raw.director.iter().map(Spanned::get_ref);
    let names = nodes().map(|one| &one.name);
    unique(names.chain(directors().map(|one| &one.name)), |name| {
        format!("there are two machines \"{name}\": name each differently")
    })?;
    let ids = nodes().map(|one| &one.id);
    unique(
        ids.chain(directors().filter_map(|one| one.id.as_ref())),
        |id| format!("there are two machines with id {id}: number each differently"),
    )?;
    own_addresses(raw, &config)?;
    fingerprints(raw)?;
    Ok(config)
}

fn common(raw: &RawCluster) -> Result<Links, Found> {
    let heartbeat = raw.heartbeat.as_ref();
    let heartbeat = heartbeat.map(|it| number(it, "heartbeat", links::HEARTBEATS));
    let port = raw.port.as_ref();
    let port = port.map(|port| number(port, "port", (1, u16::MAX.into())));
    let port = port.transpose()?.and_then(|port| u16::try_from(port).ok());
    let security = maybe(raw.link_security.as_ref(), links::is_secure)?;
    Ok(Links {
        id: word(&raw.id, links::cluster_id)?,
        heartbeat: heartbeat.transpose()?.unwrap_or(links::DEFAULT_HEARTBEAT),
        is_secure: security.unwrap_or(true),
        port: port.unwrap_or(links::DEFAULT_PORT),
    })
}

fn id(raw: &Spanned<i64>) -> Result<NodeId, Found> {
    let id = number(raw, "id", (1, u32::MAX.into()))?;
    NodeId::new(id).ok_or_else(|| (raw.span(), "an id is not 0".to_owned()))
}

fn node(raw: &RawNode) -> Result<Node, Found> {
    let weight = raw.weight.as_ref();
    let weight = weight.map(|weight| number(weight, "weight", (1, u16::MAX.into())));
    let weight = weight
        .transpose()?
        .and_then(|weight| u16::try_from(weight).ok());
    Ok(Node {
        name: word(&raw.name, values::machine)?,
        id: id(&raw.id)?,
        weight: weight.and_then(NonZeroU16::new).unwrap_or(NonZeroU16::MIN),
        state: maybe(raw.state.as_ref(), values::state)?.unwrap_or(State::Up),
        address: word(&raw.address, values::unicast)?,
        way: maybe(raw.way.as_ref(), values::way)?.unwrap_or(ClusterWay::Neighbour),
        device: maybe(raw.device.as_ref(), values::device)?,
        fingerprint: maybe(raw.fingerprint.as_ref(), str::parse)?,
        listen: maybe(raw.listen.as_ref(), str::parse)?,
    })
}

fn director(raw: &RawDirector) -> Result<Director, Found> {
    let director = Director {
        name: word(&raw.name, values::machine)?,
        id: raw.id.as_ref().map(id).transpose()?,
        address: maybe(raw.address.as_ref(), values::unicast)?,
        device: maybe(raw.device.as_ref(), values::device)?,
        fingerprint: maybe(raw.fingerprint.as_ref(), str::parse)?,
        listen: maybe(raw.listen.as_ref(), str::parse)?,
    };
    match &raw.fingerprint {
        Some(fingerprint) if director.id.is_none() || director.address.is_none() => Err((
            fingerprint.span(),
            "a director with a fingerprint needs an id and an address: write both".to_owned(),
        )),
        _ => Ok(director),
    }
}

/// Refuses machines that would be reached by the address of another one, or of all.
fn own_addresses(raw: &RawFile, config: &Config) -> Result<(), Found> {
    let mut seen: HashMap<IpAddr, &str> = HashMap::new();
    let nodes = raw.node.iter().map(|one| Some(&one.get_ref().address));
    let nodes = nodes.zip(config.nodes.iter().map(|it| (Some(it.address), &it.name)));
    let directors = raw
        .director
        .iter()
        .map(|one| one.get_ref().address.as_ref());
    let directors = directors.zip(config.directors.iter().map(|it| (it.address, &it.name)));
    for (text, (address, name)) in nodes.chain(directors) {
        let Some((text, address)) = text.zip(address) else {
            continue;
        };
        if let Some(other) = seen.insert(address, name) {
            let reason = format!(
                "{address} is the address of \"{other}\": give each machine its own, or remove one"
            );
            return Err((text.span(), reason));
        }
    }
    for one in &raw.address {
        let ip = &one.get_ref().ip;
        let machine = ip.get_ref().parse().ok().and_then(|ip| seen.get(&ip));
        if let Some(machine) = machine {
            let reason = format!(
                "{} is the address of \"{machine}\": give the machine one that it alone has",
                ip.get_ref()
            );
            return Err((ip.span(), reason));
        }
    }
    Ok(())
}

/// Refuses two machines with one key, and keys that serve for nothing.
fn fingerprints(raw: &RawFile) -> Result<(), Found> {
    let nodes = raw.node.iter();
    let nodes = nodes.filter_map(|one| one.get_ref().fingerprint.as_ref());
    let directors = raw.director.iter();
    let directors = directors.filter_map(|one| one.get_ref().fingerprint.as_ref());
    let all: Vec<&Spanned<String>> = nodes.chain(directors).collect();
    match (all.first(), &raw.cluster) {
        (Some(first), None) => Err((
            first.span(),
            "machines with fingerprints have links, and these need a [cluster] with an id: \
             \"sgctl cluster init\" makes one"
                .to_owned(),
        )),
        _ => unique(all.into_iter(), |_| {
            "two machines have this fingerprint: have each make a key of its own with \"sgctl \
             cluster init\""
                .to_owned()
        }),
    }
}
