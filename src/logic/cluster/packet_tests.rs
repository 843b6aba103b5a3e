// SPDX-License-Identifier: GPL-2.0

//! Tests of the packet parser, on the host and under KUnit.

#![forbid(unsafe_code)]

#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_cluster_packet)
)]
mod tests {
    use super::super::{
        super::{flow::Address, upper::*},
        *, //
    };

    const CLIENT: [u8; 4] = [192, 0, 2, 1];
    const CLUSTER: [u8; 4] = [198, 51, 100, 7];
    const LEN: usize = 68;

    fn set<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
        for (to, from) in bytes.iter_mut().skip(at).zip(value) {
            *to = from;
        }
    }

    fn set_header(bytes: &mut [u8], at: usize, protocol: u8, from: [u8; 4], to: [u8; 4]) {
        set(bytes, at, [0x45, 0, 0, 68, 0, 0, 0, 0, 64, protocol]);
        set(bytes, at.saturating_add(12), from);
        set(bytes, at.saturating_add(16), to);
    }

    /// From client to cluster; the upper layer begins with these bytes.
    fn ipv4<const N: usize>(protocol: u8, upper: [u8; N]) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        set_header(&mut bytes, 0, protocol, CLIENT, CLUSTER);
        set(&mut bytes, 20, upper);
        bytes
    }

    /// An ICMP error of this type, about a packet of the cluster to the client.
    fn error<const N: usize>(kind: u8, protocol: u8, upper: [u8; N]) -> [u8; LEN] {
        let mut bytes = ipv4(ICMP, [kind]);
        set_header(&mut bytes, 28, protocol, CLUSTER, CLIENT);
        set(&mut bytes, 48, upper);
        bytes
    }

    /// Its ports, its protocol and what it is.
    fn found(bytes: &[u8]) -> Result<(u16, u16, u8, Kind), PacketError> {
        match find(bytes, bytes.len())? {
            Found::Fragment => Err(PacketError::QuotedFragment),
            Found::Whole(packet) => {
                let Packet { flow, kind, .. } = packet;
                assert_eq!(flow.source, Address::from_v4_bytes(CLIENT));
                assert_eq!(flow.destination, Address::from_v4_bytes(CLUSTER));
                assert_eq!(packet.upper_layer, 20);
                Ok((flow.source_port, flow.destination_port, flow.protocol, kind))
            }
        }
    }

    #[test]
    fn ports_of_each_protocol() {
        let upper = [0x9c, 0x40, 0, 80, 0, 48, 0, 0, 0, 0, 0, 0, 0x50];
        let tcp = |begins| Kind::Tcp { begins };
        for (protocol, expected) in [
            (TCP, (40_000, 80, TCP, tcp(false))),
            (UDP, (40_000, 80, UDP, Kind::Datagram)),
            (UDP_LITE, (40_000, 80, UDP_LITE, Kind::Datagram)),
            (SCTP, (40_000, 80, SCTP, Kind::Datagram)),
            (DCCP, (40_000, 80, DCCP, Kind::Datagram)),
            (50, (0, 0, 50, Kind::Datagram)),
            (59, (0, 0, 59, Kind::Datagram)),
            (ICMPV6, (0, 0, ICMPV6, Kind::Datagram)),
        ] {
            assert_eq!(found(&ipv4(protocol, upper)), Ok(expected));
        }
        for (flags, begins) in [(2, true), (0xc2, true), (0x12, false), (0x10, false)] {
            let mut bytes = ipv4(TCP, upper);
            set(&mut bytes, 33, [flags]);
            assert_eq!(found(&bytes), Ok((40_000, 80, TCP, tcp(begins))));
        }
    }

    #[test]
    fn protocols_with_ports() {
        let with_ports = [TCP, UDP, DCCP, SCTP, UDP_LITE];
        for protocol in 0..=255 {
            assert_eq!(has_ports(protocol), with_ports.contains(&protocol));
        }
    }

    #[test]
    fn control_messages() {
        for (kind, expected) in [
            (0, (0x1234, 0, ICMP, Kind::Echo)),
            (8, (0x1234, 0, ICMP, Kind::Echo)),
            (9, (0, 0, ICMP, Kind::Other)),
            (13, (0, 0, ICMP, Kind::Other)),
        ] {
            let message = [kind, 0, 0, 0, 0x12, 0x34, 0, 7];
            assert_eq!(found(&ipv4(ICMP, message)), Ok(expected));
        }
        // About a packet from port 80 to port 40000.
        let upper = [0, 80, 0x9c, 0x40, 0, 0, 0, 0];
        for (kind, expected) in [
            (3, Kind::Error),
            (4, Kind::Error),
            (5, Kind::Redirect),
            (11, Kind::Error),
            (12, Kind::Error),
        ] {
            let expected = (40_000, 80, TCP, expected);
            assert_eq!(found(&error(kind, TCP, upper)), Ok(expected));
        }
        let quoted = error(3, 50, upper);
        assert_eq!(found(&quoted), Ok((0, 0, 50, Kind::Error)));
        let reply = error(3, ICMP, [0, 0, 0, 0, 0x12, 0x34, 0, 7]);
        assert_eq!(found(&reply), Ok((0x1234, 0, ICMP, Kind::Error)));
        let timestamp = error(3, ICMP, [14, 0, 0, 0, 0x12, 0x34, 0, 7]);
        assert_eq!(found(&timestamp), Ok((0, 0, ICMP, Kind::Error)));
    }

    #[test]
    fn flaws() {
        let tcp = |offset| ipv4(TCP, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, offset]);
        let udp = |length| ipv4(UDP, [0, 0, 0, 0, 0, length]);
        let quote = |at: usize, value: u8| {
            let mut bytes = error(3, TCP, [0, 80, 0x9c, 0x40]);
            set(&mut bytes, at, [value]);
            bytes
        };
        let sound_tcp = Ok((0, 0, TCP, Kind::Tcp { begins: false }));
        let sound_udp = Ok((0, 0, UDP, Kind::Datagram));
        let table = [
            (tcp(0x40), Err(PacketError::HeaderLength)),
            (tcp(0x50), sound_tcp),
            (tcp(0xc0), sound_tcp),
            (tcp(0xd0), Err(PacketError::HeaderLength)),
            (udp(0), sound_udp),
            (udp(7), Err(PacketError::HeaderLength)),
            (udp(8), sound_udp),
            (udp(48), sound_udp),
            (udp(49), Err(PacketError::Length)),
            (error(3, ICMP, [3]), Err(PacketError::ErrorInError)),
            // The end of the quoted packet may be missing, and its length may be wrong.
            (quote(31, 0), Ok((40_000, 80, TCP, Kind::Error))),
            (quote(28, 0x65), Err(PacketError::NotIp)),
            (quote(28, 0x44), Err(PacketError::HeaderLength)),
            (quote(34, 0x20), Ok((40_000, 80, TCP, Kind::Error))),
            (quote(35, 1), Err(PacketError::QuotedFragment)),
            (quote(43, 8), Err(PacketError::QuotedOther)),
        ];
        for (bytes, expected) in table {
            assert_eq!(found(&bytes), expected);
        }
    }

    #[test]
    fn plain_packets_are_no_special_case() {
        let tcp = ipv4(TCP, [0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2]);
        let udp = ipv4(UDP, [0x9c, 0x40, 0, 53, 0, 48]);
        let (mut plain, mut others) = (0u32, 0u32);
        for whole in [tcp, udp] {
            for (at, value) in (0..LEN).flat_map(|at| (0..=255u8).map(move |value| (at, value))) {
                let mut bytes = whole;
                set(&mut bytes, at, [value]);
                let given = bytes.get(..LEN.saturating_sub(at)).unwrap_or(&[]);
                let mut short = bytes;
                set(&mut short, 3, [u8::try_from(at).unwrap_or(0)]);
                for (given, length) in [(bytes.as_slice(), LEN), (given, LEN), (&short, at)] {
                    match find_plain(given, length) {
                        Some(packet) => {
                            plain = plain.saturating_add(1);
                            assert_eq!(find_any(given, length), Ok(Found::Whole(packet)));
                        }
                        None => others = others.saturating_add(1),
                    }
                }
            }
        }
        assert!(plain > 10_000 && others > 10_000);
    }

    #[test]
    fn fewer_bytes_than_the_packet_has() {
        let bytes = error(3, TCP, [0, 80, 0x9c, 0x40]);
        let mut given = 0;
        let mut asked = 0;
        while let Err(PacketError::More(needed)) = find(bytes.get(..given).unwrap_or(&[]), LEN) {
            assert!(needed > given);
            assert!(needed <= LEN);
            given = needed;
            asked = u32::saturating_add(asked, 1);
        }
        assert_eq!((given, asked), (52, 6));
        assert!(find(bytes.get(..given).unwrap_or(&[]), LEN).is_ok());
        // A packet that has no more is too short.
        for (length, expected) in [
            (0, PacketError::Truncated),
            (19, PacketError::Truncated),
            (20, PacketError::Length),
            (67, PacketError::Length),
        ] {
            let cut = bytes.get(..length).unwrap_or(&[]);
            assert_eq!(find(cut, length), Err(expected));
        }
    }

    #[test]
    fn fragments() {
        for field in [[0x20, 0], [0, 1], [0x20, 1]] {
            let mut bytes = ipv4(UDP, []);
            set(&mut bytes, 6, field);
            assert_eq!(find(&bytes, LEN), Ok(Found::Fragment));
        }
    }

    #[test]
    fn what_needs_a_connection() {
        let table = [
            (TCP, Kind::Tcp { begins: true }, true),
            (TCP, Kind::Tcp { begins: false }, false),
            (TCP, Kind::Error, false),
            (TCP, Kind::Redirect, false),
            (UDP, Kind::Datagram, true),
            (UDP, Kind::Error, true),
            (UDP, Kind::Redirect, true),
            (SCTP, Kind::Error, true),
            (50, Kind::Datagram, true),
            (50, Kind::Error, true),
            (ICMP, Kind::Echo, true),
            (ICMP, Kind::Error, true),
            (ICMP, Kind::Other, true),
        ];
        let found = find(&ipv4(50, []), LEN);
        assert!(found.is_ok());
        let Ok(Found::Whole(mut packet)) = found else {
            return;
        };
        for (protocol, kind, expected) in table {
            packet.flow.protocol = protocol;
            packet.kind = kind;
            assert_eq!(packet.needs_no_connection(), expected);
        }
    }
}
