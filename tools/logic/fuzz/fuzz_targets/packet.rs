// SPDX-License-Identifier: GPL-2.0
//! Any bytes as a packet, all at hand or only the first ones: what is told of it
//! stands in it, and does not depend on how much was at hand.
#![no_main]

use libfuzzer_sys::fuzz_target;
use service_group_logic::logic::cluster::flow::Address;
use service_group_logic::logic::cluster::packet::{find, Found, Kind, Packet, PacketError};
use service_group_logic::logic::cluster::tunnel::{may_bring, Mode, Encapsulation};

/// The first byte says how many of the others are at hand.
fuzz_target!(|bytes: &[u8]| {
    let Some((&first, packet)) = bytes.split_first() else {
        return;
    };
    let whole = find(packet, packet.len());
    assert!(!matches!(whole, Err(PacketError::More(_))));
    if let Ok(Found::Whole(found)) = whole {
        check(&found, packet);
        check_tunnels(&found, packet);
    }

    let mut given = usize::from(first).min(packet.len());
    while let Err(PacketError::More(more)) = find(&packet[..given], packet.len()) {
        assert!(more > given && more <= packet.len());
        given = more;
    }
    assert_eq!(find(&packet[..given], packet.len()), whole);
});

/// Whatever is in a tunnel, no message of a segment comes out of it, and no sender that is no host;
/// and from nodes that share packets nothing but the SYNs that they spill.
fn check_tunnels(found: &Packet, packet: &[u8]) {
    let source = match found.flow.source {
        Address::V4(_) => Address::from_v4_bytes(packet[12..16].try_into().unwrap()),
        Address::V6(_) => Address::from_v6_bytes(packet[8..24].try_into().unwrap()),
    };
    let modes = [
        Mode::Shared { spill: false },
        Mode::Shared { spill: true },
        Mode::Directed,
    ];
    for mode in modes {
        for encapsulation in [Encapsulation::Ip, Encapsulation::Gre] {
            if !may_bring(mode, encapsulation, &source, found) {
                continue;
            }
            assert!(source.is_host() && source != found.flow.destination);
            assert!(!matches!(
                found.kind,
                Kind::Other | Kind::Discovery | Kind::Redirect
            ));
            if found.flow.destination.is_ipv6() && found.flow.protocol == 58 {
                let upper = packet[found.upper_layer];
                let is_error = found.kind == Kind::Error;
                assert!(is_error || matches!(upper, 128 | 129));
            }
            match mode {
                Mode::Shared { spill } => {
                    assert_eq!(found.kind, Kind::Tcp { begins: true });
                    assert!(spill && encapsulation == Encapsulation::Gre);
                }
                Mode::Directed => (),
            }
        }
    }
}

/// The addresses are those of the header, and the ports stand where the upper layer begins, or
/// behind it in what is quoted.
fn check(found: &Packet, packet: &[u8]) {
    let Packet {
        flow,
        kind,
        upper_layer,
    } = *found;
    let addresses = match flow.source {
        Address::V4(_) => &packet[12..20],
        Address::V6(_) => &packet[8..40],
    };
    let octets = |address: Address| -> Vec<u8> {
        let words = address.words().iter();
        words.flat_map(|word| word.to_be_bytes()).collect()
    };
    assert_eq!(addresses.len(), 2 * octets(flow.destination).len());
    assert!(addresses.ends_with(&octets(flow.destination)));
    let upper = &packet[upper_layer..];
    let ports = [flow.source_port, flow.destination_port].map(u16::to_be_bytes);
    if matches!(kind, Kind::Error | Kind::Redirect) {
        let quote = &upper[8..];
        let contains = |part: &[u8]| quote.windows(part.len()).any(|window| window == part);
        assert!(contains(&octets(flow.source)) && contains(&octets(flow.destination)));
        let [source, destination] = ports;
        let is_pair = ports == [[0; 2]; 2] || contains(&[destination, source].concat());
        let is_echo = destination == [0; 2] && contains(&source);
        assert!(is_pair || is_echo);
        return;
    }
    assert!(addresses.starts_with(&octets(flow.source)));
    match (kind, flow.protocol) {
        (Kind::Echo, _) => assert_eq!(upper[4..6], ports[0]),
        (Kind::Tcp { .. }, _) | (_, 17 | 33 | 132 | 136) => assert_eq!(upper[..4], ports.concat()),
        _ => assert_eq!(ports, [[0; 2]; 2]),
    }
}
