// SPDX-License-Identifier: GPL-2.0

//! What may come out of a tunnel.
//!
//! Tunnels prove nothing: a sender that can use the address of a node can send this node anything.
//! And what is in them is received as if it had come by the segment. So a node takes out of a
//! tunnel what another one has a reason to put there, and nothing else:
//!
//! | in the tunnel | directed, IP in IP | directed, GRE | shared, IP in IP | shared, GRE |
//! |---|---|---|---|---|
//! | a SYN of TCP without ACK | the director | a second chance, or spilled | nobody | spilled |
//! | any other segment of TCP | the director | a second chance | nobody | nobody |
//! | UDP, SCTP and other protocols, but for tunnels | the director | a second chance | nobody | nobody |
//! | echoes of ICMP and ICMPv6 | the director | a second chance | nobody | nobody |
//! | errors of both | the director | a second chance | nobody | nobody |
//! | neighbour discovery, routers' and multicast listeners' messages, redirects, all other ICMP | nobody | nobody | nobody | nobody |
//! | a fragment: nodes put packets together first | nobody | nobody | nobody | nobody |
//! | IP in IP or GRE once more: what is taken out of it might have one in it again, without end | nobody | nobody | nobody | nobody |
//! | a packet from no host, from one of a segment, or from the cluster IP; an error about such a one | nobody | nobody | nobody | nobody |
//!
//! Nodes of a shared cluster IP have tunnels only if they spill. Which node directs is not known
//! here, and not which way it takes, as nodes are told of changes one after another.

#![forbid(unsafe_code)]

use super::{
    flow::Address,
    packet::{Kind, Packet}, //
};

/// How a node and the others get their packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Every node receives every packet.
    Shared {
        /// Whether nodes give on what they have no room for.
        spill: bool,
    },
    /// A director gives each packet to its owner.
    Directed,
}

/// What is around the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encapsulation {
    /// An IP header.
    Ip,
    /// An IP header and one of GRE.
    Gre,
}

/// IPv4 and IPv6 in IP, and GRE.
const TUNNELS: [u8; 3] = [4, 41, 47];

/// Whether there is any reason for a node to wrap something up like this for this one.
pub fn may_come(mode: Mode, encapsulation: Encapsulation) -> bool {
    match (mode, encapsulation) {
        (Mode::Shared { .. }, Encapsulation::Ip) => false,
        (Mode::Shared { spill }, Encapsulation::Gre) => spill,
        (Mode::Directed, _) => true,
    }
}

/// Whether another node may have sent this packet, which is whole and in a tunnel. `source` is the
/// one of its IP header.
pub fn may_bring(
    mode: Mode,
    encapsulation: Encapsulation,
    source: &Address,
    packet: &Packet,
) -> bool {
    let flow = &packet.flow;
    let is_sender = match packet.kind {
        // Routers tell of errors by any address that they have.
        Kind::Error => source.is_neighbour(),
        _ => source.is_host(),
    };
    may_come(mode, encapsulation)
        && is_sender
        && flow.source.is_host()
        && ![*source, flow.source].contains(&flow.destination)
        && match packet.kind {
            Kind::Tcp { begins: true } => true,
            Kind::Datagram if TUNNELS.contains(&flow.protocol) => false,
            Kind::Tcp { begins: false } | Kind::Datagram | Kind::Echo | Kind::Error => {
                mode == Mode::Directed
            }
            Kind::Redirect | Kind::Discovery | Kind::Other => false,
        }
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_cluster_tunnel)
)]
mod tests {
    use super::{super::flow::Flow, *};

    const CLIENT: Address = Address::V4(0xc000_0201);
    const ROUTER: Address = Address::V4(0xc633_6401);
    const CLUSTER: Address = Address::V4(0xcb00_7107);

    const MODES: [Mode; 3] = [
        Mode::Shared { spill: false },
        Mode::Shared { spill: true },
        Mode::Directed,
    ];
    const KINDS: [Kind; 8] = [
        Kind::Tcp { begins: true },
        Kind::Tcp { begins: false },
        Kind::Datagram,
        Kind::Echo,
        Kind::Error,
        Kind::Redirect,
        Kind::Discovery,
        Kind::Other,
    ];

    fn packet(kind: Kind) -> Packet {
        Packet {
            flow: Flow {
                source: CLIENT,
                destination: CLUSTER,
                source_port: 40_000,
                destination_port: 80,
                protocol: 6,
            },
            kind,
            upper_layer: 20,
        }
    }

    /// All that may come, and so all that may not.
    #[test]
    fn who_may_send_what() {
        let nothing = [false; 8];
        let syn = [true, false, false, false, false, false, false, false];
        let all = [true, true, true, true, true, false, false, false];
        let table = [
            (Encapsulation::Ip, [nothing, nothing, all]),
            (Encapsulation::Gre, [nothing, syn, all]),
        ];
        for (encapsulation, rows) in table {
            for (mode, row) in MODES.into_iter().zip(rows) {
                for (kind, expected) in KINDS.into_iter().zip(row) {
                    let seen = may_bring(mode, encapsulation, &ROUTER, &packet(kind));
                    assert_eq!(seen, expected);
                }
                assert_eq!(may_come(mode, encapsulation), row != nothing);
            }
        }
    }

    #[test]
    fn senders_are_hosts() {
        let local = Address::V6([0xfe80_0000, 0, 0, 1]);
        for mode in MODES {
            for encapsulation in [Encapsulation::Ip, Encapsulation::Gre] {
                for kind in KINDS {
                    for wrong in [CLUSTER, Address::V4(0x7f00_0001), local] {
                        let mut packet = packet(kind);
                        let is_error_of_router = kind == Kind::Error && wrong == local;
                        let expected = is_error_of_router && mode == Mode::Directed;
                        assert_eq!(may_bring(mode, encapsulation, &wrong, &packet), expected);
                        packet.flow.source = wrong;
                        assert!(!may_bring(mode, encapsulation, &ROUTER, &packet));
                    }
                }
            }
        }
    }

    /// In a tunnel there is no other one.
    #[test]
    fn tunnels_are_not_nested() {
        for encapsulation in [Encapsulation::Ip, Encapsulation::Gre] {
            for (protocol, expected) in [
                (17, true),
                (132, true),
                (4, false),
                (41, false),
                (47, false),
            ] {
                let mut packet = packet(Kind::Datagram);
                packet.flow.protocol = protocol;
                let seen = may_bring(Mode::Directed, encapsulation, &CLIENT, &packet);
                assert_eq!(seen, expected);
            }
        }
    }

    /// Errors are about packets of any protocol, and from any router, whose address is not the
    /// client's.
    #[test]
    fn routers_tell_errors() {
        let local = Address::V4(0xa9fe_0001);
        for protocol in [6, 17, 132] {
            let mut packet = packet(Kind::Error);
            packet.flow.protocol = protocol;
            for (router, expected) in [
                (ROUTER, true),
                (CLIENT, true),
                (local, true),
                (CLUSTER, false),
                (Address::V4(0x7f00_0001), false),
                (Address::V4(0xe000_0001), false),
                (Address::V4(0), false),
            ] {
                let seen = may_bring(Mode::Directed, Encapsulation::Ip, &router, &packet);
                assert_eq!(seen, expected);
            }
        }
    }
}
