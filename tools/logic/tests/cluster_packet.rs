// SPDX-License-Identifier: GPL-2.0
//! Packets of all kinds are written, and their flow is found.

use proptest::collection::vec;
use proptest::prelude::*;
use service_group_logic::logic::cluster::error::MAX_EXTENSIONS;
use service_group_logic::logic::cluster::flow::{Address, Flow};
use service_group_logic::logic::cluster::packet::{find, Found, Kind, Packet, PacketError};

/// With ports: TCP, UDP, UDP-Lite, SCTP, DCCP.
const WITH_PORTS: [u8; 5] = [6, 17, 136, 132, 33];
/// The identifier of an echo is its flow's source port.
const ECHO: [u8; 2] = [1, 58];
const WITHOUT_PORTS: [u8; 4] = [50, 47, 4, 255];

/// What stands between the IP header and the upper layer.
#[derive(Clone, Debug)]
enum Extension {
    /// IPv6 only: hop-by-hop, routing or destination options with so many times eight bytes more.
    Options(u8, u8),
    /// An authentication header with so many words more.
    Authentication(u8),
    /// IPv6 only: a fragment header of a whole packet.
    Fragment,
}

#[derive(Clone, Debug)]
struct Wish {
    flow: Flow,
    /// Words of IPv4 options.
    options: usize,
    extensions: Vec<Extension>,
    /// A flag byte for TCP, and what follows the upper layer's header.
    flags: u8,
    payload: usize,
    /// Bytes behind the packet's end.
    padding: usize,
}

fn octets(address: Address) -> Vec<u8> {
    address
        .words()
        .iter()
        .flat_map(|word| word.to_be_bytes())
        .collect()
}

impl Wish {
    fn is_ipv6(&self) -> bool {
        matches!(self.flow.source, Address::V6(_))
    }

    /// The upper layer's header of 20 bytes.
    fn upper(&self) -> Vec<u8> {
        let Flow {
            source_port,
            destination_port,
            protocol,
            ..
        } = self.flow;
        let mut bytes = vec![0; 20 + self.payload];
        if ECHO.contains(&protocol) {
            bytes[0] = if self.is_ipv6() { 128 } else { 8 };
            bytes[4..6].copy_from_slice(&source_port.to_be_bytes());
        } else if WITH_PORTS.contains(&protocol) {
            bytes[..2].copy_from_slice(&source_port.to_be_bytes());
            bytes[2..4].copy_from_slice(&destination_port.to_be_bytes());
            let length = u16::try_from(bytes.len()).unwrap();
            bytes[4..6].copy_from_slice(&length.to_be_bytes());
            bytes[12..14].copy_from_slice(&[0x50, self.flags]);
        }
        bytes
    }

    /// The packet around an upper layer, without padding.
    fn around(&self, protocol: u8, upper: &[u8]) -> Vec<u8> {
        let mut next = protocol;
        let mut body = upper.to_vec();
        for extension in self.extensions.iter().rev() {
            let (own, mut header) = match *extension {
                Extension::Authentication(words) => (51, vec![0; 12 + usize::from(words) * 4]),
                _ if !self.is_ipv6() => continue,
                Extension::Options(kind, more) => (kind, vec![0; 8 + usize::from(more) * 8]),
                Extension::Fragment => (44, vec![0; 8]),
            };
            header[0] = next;
            header[1] = match *extension {
                Extension::Options(_, more) => more,
                Extension::Authentication(words) => words + 1,
                Extension::Fragment => 0,
            };
            next = own;
            body = [header, body].concat();
        }
        [self.ip_header(next, body.len()), body].concat()
    }

    fn ip_header(&self, protocol: u8, body: usize) -> Vec<u8> {
        let addresses = [octets(self.flow.source), octets(self.flow.destination)].concat();
        if self.is_ipv6() {
            let [l0, l1] = u16::try_from(body).unwrap().to_be_bytes();
            return [vec![0x60, 0, 0, 0, l0, l1, protocol, 64], addresses].concat();
        }
        let words = 5 + self.options;
        let length = u16::try_from(words * 4 + body).unwrap();
        let [l0, l1] = length.to_be_bytes();
        let first = 0x40 | u8::try_from(words).unwrap();
        let fixed = vec![first, 0, l0, l1, 0, 0, 0x40, 0, 64, protocol, 0, 0];
        [fixed, addresses, vec![0; self.options * 4]].concat()
    }

    fn bytes(&self) -> Vec<u8> {
        self.around(self.flow.protocol, &self.upper())
    }

    fn padded(&self) -> Vec<u8> {
        [self.bytes(), vec![0xee; self.padding]].concat()
    }

    /// An error about this packet, of which it quotes so much.
    fn error(&self, kind: u8, quote: &[u8]) -> Vec<u8> {
        let upper = [&[kind, 0, 0, 0, 0, 0, 0, 0], quote].concat();
        let router = Wish {
            flow: Flow {
                destination: self.flow.source,
                ..self.flow
            },
            ..self.clone()
        };
        router.around(if self.is_ipv6() { 58 } else { 1 }, &upper)
    }
}

fn wish() -> impl Strategy<Value = Wish> {
    let extension = prop_oneof![
        (prop::sample::select(vec![0u8, 43, 60]), 0u8..3)
            .prop_map(|(kind, more)| Extension::Options(kind, more)),
        (0u8..4).prop_map(Extension::Authentication),
        Just(Extension::Fragment),
    ];
    let protocol = prop::sample::select([&WITH_PORTS[..], &ECHO, &WITHOUT_PORTS].concat());
    let rest = (
        0usize..=10,
        vec(extension, 0..=MAX_EXTENSIONS),
        any::<u8>(),
        0usize..40,
        0usize..20,
    );
    let addresses = prop_oneof![
        any::<[u32; 2]>().prop_map(|[a, b]| (Address::V4(a), Address::V4(b))),
        any::<[[u32; 4]; 2]>().prop_map(|[a, b]| (Address::V6(a), Address::V6(b))),
    ];
    (addresses, any::<[u16; 2]>(), protocol, rest).prop_map(|(addresses, ports, protocol, rest)| {
        let (source, destination) = addresses;
        let (options, extensions, flags, payload, padding) = rest;
        let protocol = match (protocol, source) {
            (1 | 58, Address::V4(_)) => 1,
            (1 | 58, Address::V6(_)) => 58,
            (other, _) => other,
        };
        let [source_port, destination_port] = match protocol {
            1 | 58 => [ports[0], 0],
            with if WITH_PORTS.contains(&with) => ports,
            _ => [0, 0],
        };
        let flow = Flow {
            source,
            destination,
            source_port,
            destination_port,
            protocol,
        };
        Wish {
            flow,
            options,
            extensions,
            flags,
            payload,
            padding,
        }
    })
}

fn kind(wish: &Wish) -> Kind {
    match wish.flow.protocol {
        6 => Kind::Tcp {
            begins: wish.flags & 0x12 == 2,
        },
        1 | 58 => Kind::Echo,
        _ => Kind::Datagram,
    }
}

/// An echo keeps its identifier.
fn turned(flow: Flow) -> Flow {
    match flow.protocol {
        1 | 58 => Flow {
            source: flow.destination,
            destination: flow.source,
            ..flow
        },
        _ => flow.turned(),
    }
}

/// Asks with few bytes first, as a caller does who has not more at hand.
fn find_bit_by_bit(bytes: &[u8], first: usize) -> Result<Found, PacketError> {
    let mut given = first.min(bytes.len());
    loop {
        match find(&bytes[..given], bytes.len()) {
            Err(PacketError::More(more)) => {
                assert!(more > given && more <= bytes.len());
                given = more;
            }
            other => return other,
        }
    }
}

#[test]
fn messages_of_control() {
    for kind in 0..=255u8 {
        let v6 = (Address::V6([1; 4]), Address::V6([2; 4]), 58);
        let v4 = (Address::V4(1), Address::V4(2), 1);
        for (source, destination, protocol) in [v4, v6] {
            let flow = Flow {
                source,
                destination,
                source_port: 0,
                destination_port: 0,
                protocol,
            };
            let wish = Wish {
                flow,
                options: 0,
                extensions: Vec::new(),
                flags: 0,
                payload: 0,
                padding: 0,
            };
            let bytes = wish.around(protocol, &[&[kind][..], &[0; 19]].concat());
            let found = find(&bytes, bytes.len());
            let expected = match (protocol, kind) {
                (1, 3 | 4 | 5 | 11 | 12) | (58, 1..=4) => {
                    // What they quote is no packet.
                    assert!(found.is_err(), "{protocol} {kind}: {found:?}");
                    continue;
                }
                (1, 0 | 8) | (58, 128 | 129) => Kind::Echo,
                (58, 133..=137) => Kind::Discovery,
                _ => Kind::Other,
            };
            let upper_layer = bytes.len() - 20;
            let whole = Found::Whole(Packet {
                flow,
                kind: expected,
                upper_layer,
            });
            assert_eq!(found, Ok(whole), "{protocol} {kind}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn what_was_written_is_found(wish in wish(), first in 0usize..80) {
        let bytes = wish.padded();
        let upper_layer = wish.bytes().len() - wish.upper().len();
        let found = Found::Whole(Packet { flow: wish.flow, kind: kind(&wish), upper_layer });
        prop_assert_eq!(find(&bytes, bytes.len()), Ok(found));
        prop_assert_eq!(find_bit_by_bit(&bytes, first), Ok(found));
    }

    #[test]
    fn an_error_is_of_the_quoted_flow(wish in wish(), kind: prop::sample::Index, cut in 0usize..48) {
        let kind = match wish.is_ipv6() {
            true => [1, 2, 3, 4][kind.index(4)],
            false => [3, 4, 5, 11, 12][kind.index(5)],
        };
        // At least eight bytes of the upper layer are quoted.
        let quote = wish.bytes();
        let quote = &quote[..quote.len().saturating_sub(cut).max(quote.len() - wish.upper().len() + 8)];
        let bytes = wish.error(kind, quote);
        let Ok(Found::Whole(packet)) = find(&bytes, bytes.len()) else {
            return Err(TestCaseError::fail(format!("{:?}", find(&bytes, bytes.len()))));
        };
        let expected = match (wish.is_ipv6(), kind) {
            (false, 5) => Kind::Redirect,
            _ => Kind::Error,
        };
        prop_assert_eq!((packet.flow, packet.kind), (turned(wish.flow), expected));
        // It needs a connection where its flow's packets do.
        prop_assert_eq!(packet.needs_no_connection(), wish.flow.protocol != 6);

        // There is no error about an error, and none for somebody who did not send the packet.
        let nested = wish.error(kind, &bytes);
        prop_assert_eq!(find(&nested, nested.len()), Err(PacketError::ErrorInError));
        prop_assume!(wish.flow.source != wish.flow.destination);
        let stray = Wish { flow: wish.flow.turned(), ..wish.clone() }.error(kind, quote);
        prop_assert_eq!(find(&stray, stray.len()), Err(PacketError::QuotedOther));
    }

    #[test]
    fn a_packet_that_was_cut_is_refused(wish in wish(), cut: prop::sample::Index) {
        let bytes = wish.bytes();
        let cut = cut.index(bytes.len());
        let refused = find(&bytes[..cut], cut);
        prop_assert!(matches!(refused, Err(PacketError::Length | PacketError::Truncated)), "{:?}", refused);
        // Of bytes that are only not at hand it asks for more, or needs no more.
        let whole = find(&bytes, bytes.len());
        let answer = find(&bytes[..cut], bytes.len());
        prop_assert!(answer == whole || matches!(answer, Err(PacketError::More(_))));
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in vec(any::<u8>(), 0..200), version in 0u8..8) {
        if let Some(first) = bytes.first_mut() {
            *first = [0x45, 0x46, 0x60, *first, 0x60, 0x45, 0x4f, *first][usize::from(version)];
        }
        if let [0x40..=0x4f, _, length @ .., ] = bytes.as_mut_slice() {
            if length.len() > 1 {
                length[0] = 0;
            }
        }
        let answer = find(&bytes, bytes.len());
        prop_assert!(!matches!(answer, Err(PacketError::More(_))));
        prop_assert_eq!(find_bit_by_bit(&bytes, 0), answer);
    }
}
