// SPDX-License-Identifier: GPL-2.0
//! Devices and addresses, through rtnetlink.

use std::net::IpAddr;

use netlink_packet_core::{DefaultNla, Emitable, NlasIterator, Parseable};
use netlink_packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, AddressMessageBuffer, CacheInfo,
};
use netlink_packet_route::link::LinkMessageBuffer;
use netlink_packet_route::AddressFamily;
use rustix::io::Errno;
use service_group::netlink::{Channel, Error};

use super::facts::{Link, Local};
use super::target::whole;

const NETLINK_ROUTE: i32 = 0;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const IFLA_IFNAME: u16 = 3;
const IFA_PROTO: u16 = 11;
/// Who has set an address (`IFA_PROTO`): this program. The kernel keeps it since Linux 5.18, and takes
/// no notice of it; others have numbers of their own.
const OURS: u8 = 0x53;
/// Length of `struct ifinfomsg`.
const LINK_HEADER: usize = 16;
/// Length of `struct ifaddrmsg`.
const ADDRESS_HEADER: usize = 8;

/// A way to the devices of the network namespace.
pub struct Route(Channel);

impl Route {
    /// Opens it.
    pub fn open() -> Result<Self, Error> {
        Ok(Self(Channel::open(NETLINK_ROUTE)?))
    }

    /// The devices.
    pub fn links(&mut self) -> Result<Vec<Link>, Error> {
        let messages = self.0.dump(RTM_GETLINK, &[0; LINK_HEADER])?;
        let links = messages.iter().filter_map(|message| link(&message.payload));
        Ok(links.collect())
    }

    /// Their addresses.
    pub fn addresses(&mut self) -> Result<Vec<Local>, Error> {
        let all = self.all()?.into_iter();
        Ok(all.map(|(local, _)| local).collect())
    }

    /// Their addresses, each with whether this program has set it.
    pub fn all(&mut self) -> Result<Vec<(Local, bool)>, Error> {
        let mut request = vec![0; AddressMessage::default().buffer_len()];
        AddressMessage::default().emit(&mut request);
        let messages = self.0.dump(RTM_GETADDR, &request)?;
        let addresses = messages
            .iter()
            .filter_map(|message| Some((local(&message.payload)?, is_ours(&message.payload))));
        Ok(addresses.collect())
    }

    /// Gives a device an address, if it has it not; whether that was so.
    pub fn add(&mut self, index: u32, address: IpAddr) -> Result<bool, Error> {
        self.change(RTM_NEWADDR, change(index, address, true), Errno::EXIST)
    }

    /// Takes an address from a device, if it has it from this program; whether that was so.
    pub fn remove(&mut self, index: u32, address: IpAddr) -> Result<bool, Error> {
        let is_it = |(own, is_ours): &(Local, bool)| {
            *is_ours && (own.index, own.address) == (index, address)
        };
        if !self.all()?.iter().any(is_it) {
            return Ok(false);
        }
        let message = change(index, address, false);
        self.change(RTM_DELADDR, message, Errno::ADDRNOTAVAIL)
    }

    /// Changes an address; `nothing` is what the kernel says if there is nothing to be done.
    fn change(&mut self, kind: u16, message: Vec<u8>, nothing: Errno) -> Result<bool, Error> {
        match self.0.ask(kind, &message) {
            Err(Error::Refused(number)) if Errno::from_raw_os_error(number) == nothing => Ok(false),
            answer => answer.map(|_| true),
        }
    }
}

/// Whether this program has set an address.
fn is_ours(payload: &[u8]) -> bool {
    let attributes = NlasIterator::new(payload.get(ADDRESS_HEADER..).unwrap_or_default());
    let mut attributes = attributes.filter_map(Result::ok);
    attributes.any(|it| it.kind() == IFA_PROTO && it.value() == [OURS])
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
fn change(index: u32, address: IpAddr, is_ours: bool) -> Vec<u8> {
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
    if address.is_ipv6() {
        // It is not to be the source of what this machine sends by itself: answers to that may go
        // to another machine. A deprecated address serves as any other does.
        let mut lifetime = CacheInfo::default();
        (lifetime.ifa_preferred, lifetime.ifa_valid) = (0, u32::MAX);
        message
            .attributes
            .push(AddressAttribute::CacheInfo(lifetime));
    }
    if is_ours {
        let mark = DefaultNla::new(IFA_PROTO, vec![OURS]);
        message.attributes.push(AddressAttribute::Other(mark));
    }
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
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
        let bytes = change(7, address, false);
        assert_eq!(bytes, expected);
        assert!(!is_ours(&bytes) && !is_ours(&bytes[..4]));
        let ours = change(7, address, true);
        assert_eq!(ours[..bytes.len()], bytes);
        assert_eq!(ours[bytes.len() + 4..], [OURS, 0, 0, 0]);
        assert!(is_ours(&ours));
        let read = local(&bytes).expect("it is one");
        assert_eq!((read.index, read.address, read.prefix), (7, address, 32));
        let v6 = change(1, "2001:db8::7".parse().expect("it is one"), false);
        assert_eq!((&v6[..3], v6.len()), (&[10, 128, 2][..], 8 + 3 * 20));
        assert_eq!(v6[48..56], [20, 0, 6, 0, 0, 0, 0, 0]);
        assert_eq!(v6[56..60], [255; 4]);
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
        let mut route = Route::open().expect("there is rtnetlink");
        let links = route.links().expect("it answers");
        assert!(links
            .iter()
            .any(|link| (link.index, &*link.name) == (1, "lo")));
        assert!(route.addresses().is_ok());
    }

    /// The next one, in a network namespace of its own.
    #[test]
    fn addresses_come_and_go() {
        let name = "cluster::apply::route::tests::addresses_come_and_go_here";
        let user = (!rustix::process::geteuid().is_root()).then_some("--map-root-user");
        let done = std::process::Command::new("unshare")
            .arg("--net")
            .args(user)
            .arg(std::env::current_exe().expect("this is a program"))
            .args(["--ignored", "--exact", name])
            .output()
            .expect("unshare can be run");
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(said.contains("1 passed"), "{done:?}");
    }

    #[test]
    #[ignore = "changes addresses; addresses_come_and_go runs it"]
    fn addresses_come_and_go_here() {
        let mut route = Route::open().expect("there is rtnetlink");
        for address in ["198.51.100.7", "2001:db8::7"] {
            let address = address.parse().expect("it is one");
            let is_there = |route: &mut Route| {
                let all = route.addresses().expect("it answers");
                let prefix = whole(address);
                all.contains(&Local {
                    index: 1,
                    address,
                    prefix,
                })
            };
            for is_first in [true, false] {
                assert_eq!(route.add(1, address).ok(), Some(is_first));
                assert!(is_there(&mut route));
            }
            for is_first in [true, false] {
                assert_eq!(route.remove(1, address).ok(), Some(is_first));
                assert!(!is_there(&mut route));
            }
            // What somebody else has set is neither taken over nor removed.
            let other = change(1, address, false);
            route.0.ask(RTM_NEWADDR, &other).expect("it can be added");
            assert_eq!(route.add(1, address).ok(), Some(false));
            assert_eq!(route.remove(1, address).ok(), Some(false));
            assert!(is_there(&mut route));
        }
    }
}
