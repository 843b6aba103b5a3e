// SPDX-License-Identifier: GPL-2.0
//! Single values, as the file and the command line have them.

use std::net::IpAddr;

use service_group::netlink::{ClusterHash, ClusterKey, ClusterWay};
use service_group_logic::logic::cluster::flow;
use service_group_logic::logic::cluster::slots::State;

use super::Directing;

pub use service_group_logic::logic::cluster::packet::has_ports;

/// Protocols by name.
const PROTOCOLS: [(&str, u8); 9] = [
    ("tcp", 6),
    ("udp", 17),
    ("dccp", 33),
    ("sctp", 132),
    ("udplite", 136),
    ("icmp", 1),
    ("icmpv6", 58),
    ("esp", 50),
    ("ah", 51),
];
/// The name of a protocol, or its number.
pub fn protocol_name(protocol: u8) -> String {
    let known = PROTOCOLS.iter().find(|(_, number)| *number == protocol);
    known.map_or_else(|| protocol.to_string(), |(name, _)| (*name).to_owned())
}

/// A protocol by its name or number.
pub fn protocol(text: &str) -> Result<u8, String> {
    let known = PROTOCOLS.iter().find(|(name, _)| *name == text);
    let number = known.map_or_else(|| text.parse().ok(), |(_, number)| Some(*number));
    number.filter(|number| *number != 0).ok_or_else(|| {
        let names = PROTOCOLS.map(|(name, _)| name).join(", ");
        format!("there is no protocol \"{text}\": give one of {names}, or a number from 1 to 255")
    })
}

/// Makes a reader of one of several words.
macro_rules! words {
    ($name:ident $type:ty, $what:literal, $($word:literal => $value:expr),*) => {
        #[doc = concat!("A ", $what, " by its name.")]
        pub fn $name(text: &str) -> Result<$type, String> {
            match text {
                $($word => Ok($value),)*
                _ => Err(format!(
                    concat!("there is no ", $what, " \"{}\": give one of {}"),
                    text,
                    [$($word),*].join(", "),
                )),
            }
        }
    };
}

words!(state State, "state", "up" => State::Up, "draining" => State::Draining,
    "down" => State::Down);
words!(directing Directing, "way of directing", "given" => Directing::Given,
    "one" => Directing::One);
words!(way ClusterWay, "way", "neighbour" => ClusterWay::Neighbour,
    "tunnel" => ClusterWay::Tunnel);
words!(hash ClusterHash, "hash", "sum3" => ClusterHash::Sum3, "sum5" => ClusterHash::Sum5,
    "keyed" => ClusterHash::Keyed);
words!(is_shared bool, "mode", "shared" => true, "directed" => false);

/// The name of a machine.
pub fn machine(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match !text.is_empty() && text.len() <= 64 && text.chars().all(fits) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "\"{text}\" is no name of a machine: use at most 64 letters, digits, dots, dashes and \
             underscores"
        )),
    }
}

/// The name of a network device.
pub fn device(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_graphic() && c != '/' && c != ':';
    let is_name = !["", ".", ".."].contains(&text) && text.len() <= 15;
    match is_name && text.chars().all(fits) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "\"{text}\" is no name of a network device: look with \"ip link\""
        )),
    }
}

/// An address that a machine can have for its own.
pub fn unicast(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text
        .parse()
        .map_err(|_| format!("\"{text}\" is no IP address"))?;
    let told = match address {
        IpAddr::V4(v4) => flow::Address::from_v4_bytes(v4.octets()),
        IpAddr::V6(v6) => flow::Address::from_v6_bytes(v6.octets()),
    };
    // The kernel has the same rule.
    match told.is_host() {
        true => Ok(address),
        false => Err(format!("{address} is not the address of one machine")),
    }
}

/// A key: 16 bytes as 32 hexadecimal digits.
pub fn key(text: &str) -> Result<ClusterKey, String> {
    // The key itself is not to be found in an error.
    let wrong = || "a key is 32 hexadecimal digits: leave it out to have one made".to_owned();
    let digits = text.chars().map(|c| c.to_digit(16));
    let digits: Vec<u32> = digits.collect::<Option<_>>().ok_or_else(wrong)?;
    let bytes = digits.chunks_exact(2).map(|pair| pair[0] * 16 + pair[1]);
    let bytes: Vec<u8> = bytes.filter_map(|byte| u8::try_from(byte).ok()).collect();
    let key = <[u8; 16]>::try_from(bytes).map_err(|_| wrong())?;
    match digits.len() {
        32 => Ok(ClusterKey(key)),
        _ => Err(wrong()),
    }
}

/// A key as [`key`] reads it.
pub fn key_text(key: &ClusterKey) -> String {
    hex(&key.0)
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// A multicast MAC address.
pub fn mac(text: &str) -> Result<[u8; 6], String> {
    let byte = |part: &str| match part.len() {
        2 => u8::from_str_radix(part, 16).ok(),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.split(':').map(byte).collect();
    let mac: Option<[u8; 6]> = bytes.and_then(|bytes| bytes.try_into().ok());
    let mac = mac.ok_or_else(|| {
        format!("\"{text}\" is no MAC address: write it as 03:53:c6:33:64:07, or leave it out")
    })?;
    match mac[0] & 1 == 1 && mac != [0xff; 6] {
        true => Ok(mac),
        false => Err(format!(
            "{text} is not a multicast MAC address: its first byte has to be odd, as in \
             03:53:c6:33:64:07; or leave it out"
        )),
    }
}

/// A MAC address as [`mac`] reads it.
pub fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// The MAC address that the nodes share if the file gives none: a multicast one of
/// nobody's, with the last four bytes of the address. It is not in the range of IP
/// multicast, so that switches do not wait for somebody to join a group.
pub fn default_mac(address: IpAddr) -> [u8; 6] {
    let [a, b, c, d] = match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            [a, b, c, d]
        }
    };
    [0x03, 0x53, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_have_names_and_numbers() {
        for (text, number, name) in [("tcp", 6, "tcp"), ("17", 17, "udp"), ("47", 47, "47")] {
            assert_eq!(protocol(text), Ok(number));
            assert_eq!(protocol_name(number), name);
        }
        for bad in ["", "TCP", "0", "256", "-1"] {
            assert!(protocol(bad).is_err(), "{bad}");
        }
        assert!(has_ports(6) && has_ports(136) && !has_ports(1) && !has_ports(0));
    }

    #[test]
    fn words_that_are_not_known_are_answered_with_those_that_are() {
        assert_eq!(
            state("gone"),
            Err("there is no state \"gone\": give one of up, draining, down".to_owned())
        );
        assert_eq!(state("draining"), Ok(State::Draining));
        assert_eq!(hash("keyed"), Ok(ClusterHash::Keyed));
        assert!(way("by car").is_err() && is_shared("").is_err());
    }

    #[test]
    fn keys_are_hidden_from_errors() {
        let text = "000102030405060708090a0b0c0d0e0f";
        let known = key(text).expect("it is one");
        assert_eq!(key_text(&known), text);
        for bad in [
            "",
            "00",
            &text[1..],
            &format!("{text}0"),
            &text.replace('f', "g"),
        ] {
            let error = key(bad).expect_err(bad);
            assert!(bad.len() < 3 || !error.contains(bad), "{error}");
        }
    }

    #[test]
    fn shared_addresses_are_multicast() {
        assert_eq!(mac("01:00:5e:00:00:07"), Ok([1, 0, 0x5e, 0, 0, 7]));
        for bad in [
            "",
            "1:0:5e:0:0:7",
            "02:00:00:00:00:01",
            "ff:ff:ff:ff:ff:ff",
            "03:53",
        ] {
            assert!(mac(bad).is_err(), "{bad}");
        }
        let own = default_mac([198, 51, 100, 7].into());
        assert_eq!(mac_text(own), "03:53:c6:33:64:07");
        let own = default_mac("2001:db8::1:7".parse().expect("it is one"));
        assert_eq!(mac(&mac_text(own)), Ok([3, 0x53, 0, 1, 0, 7]));
    }

    #[test]
    fn machines_and_devices_have_sound_names() {
        for good in ["a", "lb-1.example_2"] {
            assert!(machine(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "ä", "\"", &"a".repeat(65)] {
            assert!(machine(bad).is_err(), "{bad}");
        }
        assert!(device("eth0.100").is_ok());
        for bad in ["", "..", "a/b", "eth 0", &"a".repeat(16)] {
            assert!(device(bad).is_err(), "{bad}");
        }
        for bad in [
            "",
            "x",
            "0.0.0.0",
            "127.0.0.1",
            "224.0.0.1",
            "::ffff:10.0.0.1",
            "0.1.2.3",
            "169.254.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::10.0.0.1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(unicast(bad).is_err(), "{bad}");
        }
    }
}
