// SPDX-License-Identifier: GPL-2.0
//! Who this machine is, and the machines that it has links to, as the file says.

use super::introduce::Introduction;
use super::keys::Keys;
use super::known::Known;
use crate::cluster::file::links::{Links, Machine};
use crate::cluster::file::Config;
use crate::Failure;

/// Most machines that one has links to.
const MOST: usize = service_group::netlink::MAX_PEERS;

/// The machines of a file that have links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// What all links have in common.
    pub links: Links,
    /// This machine.
    pub own: Machine,
    /// The others.
    pub peers: Vec<Machine>,
}

impl Roster {
    /// The machines of this file, for the one with this name.
    pub fn new(config: &Config, own: &str) -> Result<Self, Failure> {
        let links = config.links.ok_or_else(|| {
            Failure::new("the file has no [cluster] with an id: run \"sgctl cluster init\"")
        })?;
        let (mut mine, peers): (Vec<_>, Vec<_>) =
            config.linked().into_iter().partition(|it| it.name == own);
        let own = mine.pop().ok_or_else(|| {
            let lacks = match links.is_secure {
                true => "no fingerprint: run \"sgctl cluster init\" on it",
                false => "no id or no address: write both",
            };
            Failure::new(format!("\"{own}\" has {lacks}"))
        })?;
        if peers.len() > MOST {
            return Err(Failure::new(format!(
                "a machine has links to at most {MOST} others, and the file has {}",
                peers.len()
            )));
        }
        Ok(Self { links, own, peers })
    }

    /// Whether this machine's key is the one that others know.
    pub fn check(&self, keys: &Keys) -> Result<(), Failure> {
        let (shown, known) = (keys.fingerprint(), self.own.fingerprint);
        match known {
            Some(known) if known != shown => Err(Failure::new(format!(
                "the file has the fingerprint {known} for \"{}\", and the certificate of this \
                 machine is {shown}: enter that with \"sgctl cluster node set {} --fingerprint\", and \
                 give all machines the file",
                self.own.name, self.own.name
            ))),
            _ => Ok(()),
        }
    }

    /// The machine with this id.
    pub fn peer(&self, id: u32) -> Option<&Machine> {
        self.peers.iter().find(|peer| peer.id.get() == id)
    }

    /// Those that this machine connects to: the one with the lower id does.
    pub fn to_call(&self) -> impl Iterator<Item = u32> + '_ {
        let ids = self.peers.iter().map(|peer| peer.id);
        ids.filter(|id| *id > self.own.id).map(|id| id.get())
    }

    /// How this machine introduces itself.
    pub fn introduction(&self) -> Introduction {
        Introduction::new(self.own.id.get(), self.links.id)
    }

    /// As the kernel is told it: with those peers that were linked before.
    pub fn machine(&self, known: &Known) -> service_group::netlink::Machine {
        service_group::netlink::Machine {
            id: self.own.id.get(),
            cluster: self.links.id,
            boot: None,
            heartbeat: self.links.heartbeat,
            insecure: !self.links.is_secure,
            peers: {
                let ids = self.peers.iter().map(|peer| peer.id.get());
                ids.filter(|&id| known.has(id)).collect()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use service_group_logic::logic::cluster::slots::NodeId;

    use super::*;
    use crate::cluster::file::read;

    /// A file with machines of these ids, which are called by them.
    fn config(ids: std::ops::RangeInclusive<u32>, security: &str) -> Config {
        let nodes = ids.map(|id| {
            let (high, low) = (id / 200, id % 200 + 1);
            format!("[[node]]\nname = \"m{id}\"\nid = {id}\naddress = \"192.0.{high}.{low}\"\n")
        });
        let nodes: Vec<String> = nodes.collect();
        let cluster = "[cluster]\nid = \"000102030405060708090a0b0c0d0e0f\"\n";
        read(&format!(
            "{cluster}link-security = \"{security}\"\n{}",
            nodes.concat()
        ))
        .expect("it is right")
    }

    #[test]
    fn the_lower_id_calls() {
        let roster = Roster::new(&config(1..=4, "none"), "m2").expect("it is in it");
        assert_eq!(roster.to_call().collect::<Vec<_>>(), [3, 4]);
        let nowhere = std::path::Path::new("/nonexistent");
        let mut known = Known::load(nowhere, &roster.links.id).expect("there is none");
        assert!(roster.machine(&known).peers.is_empty());
        for id in [3, 1, 9] {
            let id = NodeId::new(id).expect("it is not 0");
            let machine = Machine {
                id,
                ..roster.own.clone()
            };
            // It is known all the same.
            known.add(&machine).expect_err("it cannot be written");
        }
        assert_eq!(roster.machine(&known).peers, [1, 3]);
        assert_eq!(roster.peer(3).map(|it| it.name.as_str()), Some("m3"));
        assert!(roster.peer(2).is_none());
    }

    #[test]
    fn a_machine_without_links_is_told_why() {
        let told = |config: &Config, own| {
            Roster::new(config, own)
                .expect_err("it has none")
                .to_string()
        };
        assert!(told(&config(1..=2, "tls"), "m1").contains("no fingerprint"));
        assert!(told(&config(1..=2, "none"), "x").contains("no id"));
        assert!(told(&Config::default(), "m1").contains("cluster init"));
    }

    #[test]
    fn another_key_than_that_of_the_file_is_told() {
        let mut roster = Roster::new(&config(1..=2, "none"), "m1").expect("it is in it");
        let keys = super::super::keys::tests::keys();
        assert_eq!(roster.check(&keys), Ok(()));
        roster.own.fingerprint = Some(keys.fingerprint());
        assert_eq!(roster.check(&keys), Ok(()));
        let other = super::super::keys::tests::keys();
        let told = roster
            .check(&other)
            .expect_err("it is another one")
            .to_string();
        assert!(told.contains("node set m1 --fingerprint"), "{told}");
    }
}
