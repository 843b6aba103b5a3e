// SPDX-License-Identifier: GPL-2.0
//! This machine: the module, rtnetlink, and the settings below /proc/sys.

use std::fs;
use std::net::IpAddr;

use netlink_packet_core::{Emitable, NlasIterator, Parseable};
use netlink_packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, AddressMessageBuffer,
};
use netlink_packet_route::link::LinkMessageBuffer;
use netlink_packet_route::AddressFamily;
use rustix::io::Errno;
use service_group::netlink::{Channel, Cluster, Connection, Error};

use super::facts::{Facts, Link, Local};
use super::steps::System;
use super::target::whole;
use crate::cluster::file::describe;
use crate::Failure;

const NETLINK_ROUTE: i32 = 0;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const IFLA_IFNAME: u16 = 3;
/// Length of `struct ifinfomsg`.
const LINK_HEADER: usize = 16;

/// This machine, as its network namespace shows it.
pub struct Machine {
    kernel: Connection,
    route: Channel,
}

impl Machine {
    /// Finds the module.
    pub fn open() -> Result<Self, Failure> {
        Ok(Self {
            kernel: Connection::open()?,
            route: Channel::open(NETLINK_ROUTE)?,
        })
    }

    /// How it is; of settings, those of these devices.
    pub fn facts(&mut self, devices: &[&str]) -> Result<Facts, Failure> {
        let mut settings = std::collections::BTreeMap::new();
        for device in devices {
            for setting in ["arp_ignore", "arp_announce"] {
                let name = format!("net/ipv4/conf/{}/{setting}", device.replace('.', "/"));
                let value = fs::read_to_string(path(&name)).ok();
                let value = value.and_then(|text| text.trim().parse().ok());
                settings.extend(value.map(|value| (name, value)));
            }
        }
        Ok(Facts {
            clusters: clusters(&mut self.kernel)?,
            links: links(&mut self.route)?,
            addresses: addresses(&mut self.route)?,
            settings,
        })
    }
}

/// The file of a setting: a dot in a device's name is a slash in that of the
/// setting, as with sysctl, and here it is a dot again.
fn path(name: &str) -> String {
    let (folder, setting) = name.rsplit_once('/').unwrap_or_default();
    let device = folder.strip_prefix("net/ipv4/conf/").unwrap_or(folder);
    format!(
        "/proc/sys/net/ipv4/conf/{}/{setting}",
        device.replace('/', ".")
    )
}

/// Every cluster IP that is served here, with its table.
pub fn clusters(kernel: &mut Connection) -> Result<Vec<Cluster>, Failure> {
    let mut found = Vec::new();
    for cluster in kernel.clusters().map_err(refusal)? {
        // One that is gone meanwhile is passed over.
        found.extend(kernel.cluster(&cluster.name).map_err(refusal)?);
    }
    found.sort_by_key(|cluster| cluster.name);
    Ok(found)
}

/// The devices.
pub fn links(route: &mut Channel) -> Result<Vec<Link>, Failure> {
    let messages = route.dump(RTM_GETLINK, &[0; LINK_HEADER])?;
    let links = messages.iter().filter_map(|message| link(&message.payload));
    Ok(links.collect())
}

fn link(payload: &[u8]) -> Option<Link> {
    let buffer = LinkMessageBuffer::new_checked(payload).ok()?;
    let mut attributes = NlasIterator::new(payload.get(LINK_HEADER..)?).filter_map(Result::ok);
    let name = attributes.find(|attribute| attribute.kind() == IFLA_IFNAME)?;
    let name = name.value().strip_suffix(&[0])?;
    Some(Link {
        index: buffer.link_index(),
        name: String::from_utf8_lossy(name).into_owned(),
    })
}

fn addresses(route: &mut Channel) -> Result<Vec<Local>, Failure> {
    let mut request = vec![0; AddressMessage::default().buffer_len()];
    AddressMessage::default().emit(&mut request);
    let messages = route.dump(RTM_GETADDR, &request)?;
    Ok(messages
        .iter()
        .filter_map(|message| local(&message.payload))
        .collect())
}

fn local(payload: &[u8]) -> Option<Local> {
    let buffer = AddressMessageBuffer::new_checked(&payload).ok()?;
    let message = AddressMessage::parse(&buffer).ok()?;
    let find = |wanted: fn(&AddressAttribute) -> Option<IpAddr>| {
        message.attributes.iter().find_map(wanted)
    };
    // Of a peer-to-peer device the other one is that of the peer.
    let own = find(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let other = || {
        find(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    };
    Some(Local {
        index: message.header.index,
        address: own.or_else(other)?,
        prefix: message.header.prefix_len,
    })
}

/// The message that adds an address to a device, or removes it.
fn change(index: u32, address: IpAddr) -> Vec<u8> {
    let mut message = AddressMessage::default();
    message.header.family = match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.prefix_len = whole(address);
    message.header.index = index;
    // Several machines have it: that is no mistake to look for.
    message.header.flags = AddressHeaderFlags::Nodad;
    message.attributes.push(AddressAttribute::Local(address));
    message.attributes.push(AddressAttribute::Address(address));
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}

/// Why the kernel did not do it.
pub fn refusal(error: Error) -> Failure {
    let Error::Refused(number) = error else {
        return error.into();
    };
    match Errno::from_raw_os_error(number) {
        Errno::PERM | Errno::ACCESS => Failure::new(
            "changing a cluster needs CAP_NET_ADMIN in the network namespace: run sgctl as root",
        ),
        Errno::OPNOTSUPP => Failure::new(
            "the module knows no cluster IPs: load the module that belongs to this program",
        ),
        _ => error.into(),
    }
}

/// The same, with what was to be done.
fn told(what: &str, error: Error) -> Failure {
    Failure::new(format!("{what}: {}", refusal(error)))
}

impl System for Machine {
    fn set(&mut self, name: &str, value: u32) -> Result<(), Failure> {
        fs::write(path(name), value.to_string())
            .map_err(|error| Failure::new(format!("{name} was not set to {value}: {error}")))
    }

    fn add_address(&mut self, index: u32, address: IpAddr) -> Result<(), Failure> {
        match self.route.ask(RTM_NEWADDR, &change(index, address)) {
            Err(Error::Refused(number)) if Errno::from_raw_os_error(number) == Errno::EXIST => {
                Ok(())
            }
            Err(error) => Err(told(&format!("{address} was not added"), error)),
            Ok(_) => Ok(()),
        }
    }

    fn remove_address(&mut self, index: u32, address: IpAddr) -> Result<(), Failure> {
        match self.route.ask(RTM_DELADDR, &change(index, address)) {
            Err(Error::Refused(number))
                if Errno::from_raw_os_error(number) == Errno::ADDRNOTAVAIL =>
            {
                Ok(())
            }
            Err(error) => Err(told(&format!("{address} was not removed"), error)),
            Ok(_) => Ok(()),
        }
    }

    fn serve(&mut self, cluster: &Cluster) -> Result<(), Failure> {
        let what = format!("{} was not set up", describe(&cluster.name));
        self.kernel
            .set_cluster(cluster)
            .map_err(|error| told(&what, error))
    }

    fn forget(&mut self, cluster: &Cluster) -> Result<(), Failure> {
        let what = format!("{} was not removed", describe(&cluster.name));
        self.kernel
            .delete_cluster(&cluster.name)
            .map_err(|error| told(&what, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_the_bytes_that_the_kernel_knows() {
        // struct ifaddrmsg, then IFA_LOCAL and IFA_ADDRESS, in the order of their numbers.
        let mut expected = vec![2, 32, 2, 0];
        expected.extend(7u32.to_ne_bytes());
        for kind in [2u16, 1] {
            expected.extend(8u16.to_ne_bytes());
            expected.extend(kind.to_ne_bytes());
            expected.extend([198, 51, 100, 7]);
        }
        let address = [198, 51, 100, 7].into();
        let bytes = change(7, address);
        assert_eq!(bytes, expected);
        let read = local(&bytes).expect("it is one");
        assert_eq!((read.index, read.address, read.prefix), (7, address, 32));
        let v6 = change(1, "2001:db8::7".parse().expect("it is one"));
        assert_eq!((&v6[..3], v6.len()), (&[10, 128, 2][..], 8 + 2 * 20));
        assert_eq!(local(&[2, 32]), None);
    }

    #[test]
    fn devices_are_read_by_name() {
        let mut bytes = vec![0; LINK_HEADER];
        bytes[4..8].copy_from_slice(&3u32.to_ne_bytes());
        bytes.extend(9u16.to_ne_bytes());
        bytes.extend(IFLA_IFNAME.to_ne_bytes());
        bytes.extend(b"eth0\0\0\0\0");
        let expected = Link {
            index: 3,
            name: "eth0".to_owned(),
        };
        assert_eq!(link(&bytes), Some(expected));
        assert_eq!(link(&bytes[..LINK_HEADER]), None);
    }

    #[test]
    fn the_namespace_can_be_read() {
        let mut route = Channel::open(NETLINK_ROUTE).expect("there is rtnetlink");
        let links = links(&mut route).expect("it answers");
        assert!(links
            .iter()
            .any(|link| (link.index, &*link.name) == (1, "lo")));
        assert!(addresses(&mut route).is_ok());
    }

    #[test]
    fn settings_of_vlan_devices_have_their_dot() {
        let name = "net/ipv4/conf/eth0/100/arp_ignore";
        assert_eq!(path(name), "/proc/sys/net/ipv4/conf/eth0.100/arp_ignore");
    }

    #[test]
    fn refusals_say_what_to_do() {
        for (errno, told) in [
            (Errno::PERM, "as root"),
            (Errno::OPNOTSUPP, "load the module"),
        ] {
            let text = refusal(Error::Refused(errno.raw_os_error())).to_string();
            assert!(text.contains(told), "{text}");
        }
    }
}
