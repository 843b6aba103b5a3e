// SPDX-License-Identifier: GPL-2.0
//! What machines know each other by: the cluster's id, fingerprints of certificates, and
//! where an agent listens.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use base64::engine::general_purpose::STANDARD_NO_PAD;
use base64::Engine as _;
use service_group_logic::logic::cluster::slots::NodeId;

use super::{values, Config};

/// Where agents listen, if the file does not say.
pub const DEFAULT_PORT: u16 = 5347;
/// After how many milliseconds of silence a machine is heard of, if the file does not say.
pub const DEFAULT_HEARTBEAT: u32 = 100;
/// The least and the largest number of these.
pub(super) const HEARTBEATS: (i64, i64) = (10, 10_000);
/// What a fingerprint begins with.
const SHA256: &str = "SHA256:";

/// What the links of all machines have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Links {
    /// Tells this cluster from others.
    pub id: [u8; 16],
    /// After how many milliseconds of silence a machine is heard of.
    pub heartbeat: u32,
    /// Whether links are encrypted, and both ends proved.
    pub is_secure: bool,
    /// Where agents listen that have no port of their own.
    pub port: u16,
}

/// The SHA-256 of a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SHA256}{}", STANDARD_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix(SHA256);
        let bytes = digits.and_then(|digits| STANDARD_NO_PAD.decode(digits).ok());
        let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.map(Self).ok_or_else(|| {
            format!(
                "\"{text}\" is no fingerprint: take the line that \"sgctl cluster init\" prints on \
                 that machine, {SHA256} and 43 letters and digits"
            )
        })
    }
}

/// Where an agent listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// At this address.
    pub address: IpAddr,
    /// At this port, if not at that of all.
    pub port: Option<u16>,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(both) = text.parse::<SocketAddr>() {
            let address = values::unicast(&both.ip().to_string())?;
            return match both.port() {
                0 => Err(format!("{text} has no port: give one from 1 to 65535")),
                port => Ok(Self {
                    address,
                    port: Some(port),
                }),
            };
        }
        let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let address = bare.unwrap_or(text).parse::<IpAddr>().map_err(|_| {
            format!(
                "\"{text}\" is no address to listen at: write it as 192.0.2.1, 192.0.2.1:5347 or \
                 [2001:db8::1]:5347"
            )
        })?;
        let address = values::unicast(&address.to_string())?;
        Ok(Self {
            address,
            port: None,
        })
    }
}

/// The same as text, if it is right.
pub fn listen(text: &str) -> Result<String, String> {
    text.parse::<Listen>().map(|_| text.to_owned())
}

/// The id of a cluster: 16 bytes as 32 hexadecimal digits.
pub(super) fn cluster_id(text: &str) -> Result<[u8; 16], String> {
    match values::key(text) {
        Ok(id) => Ok(id.0),
        Err(_) => Err(format!(
            "\"{text}\" is no id of a cluster: it has 32 hexadecimal digits, and \"sgctl cluster \
             init\" makes one"
        )),
    }
}

/// Whether links are secure, by the word for it.
pub(super) fn is_secure(text: &str) -> Result<bool, String> {
    match text {
        "tls" => Ok(true),
        "none" => Ok(false),
        _ => Err(format!(
            "there is no link-security \"{text}\": give one of tls, none"
        )),
    }
}

/// A machine that has links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: NodeId,
    /// Where its agent listens.
    pub listen: SocketAddr,
    /// Its certificate, if that is asked for.
    pub fingerprint: Option<Fingerprint>,
}

impl Config {
    /// The machines that have links: those with a fingerprint, or all if nobody is asked for one.
    pub fn linked(&self) -> Vec<Machine> {
        let Some(links) = self.links else {
            return Vec::new();
        };
        let nodes = self.nodes.iter().map(|it| {
            let facts = (Some(it.id), Some(it.address));
            (&it.name, facts, it.fingerprint, it.listen)
        });
        let directors = self.directors.iter().map(|it| {
            let facts = (it.id, it.address);
            (&it.name, facts, it.fingerprint, it.listen)
        });
        let all = nodes.chain(directors);
        let linked = all.filter_map(|(name, (id, address), fingerprint, listen)| {
            let at = listen.map_or(address?, |listen| listen.address);
            let port = listen.and_then(|listen| listen.port).unwrap_or(links.port);
            let is_linked = fingerprint.is_some() || !links.is_secure;
            Some(Machine {
                name: name.clone(),
                id: id?,
                listen: SocketAddr::new(at, port),
                fingerprint,
            })
            .filter(|_| is_linked)
        });
        linked.collect()
    }
}

#[cfg(test)]
#[path = "links_tests.rs"]
mod tests;
