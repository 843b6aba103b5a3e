// SPDX-License-Identifier: GPL-2.0
//! What a file says of links, what is refused, and with which line.

use super::super::check::tests::refused;
use super::super::read;
use super::*;

const ONE: &str = "SHA256:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
const TWO: &str = "SHA256:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";
const CLUSTER: &str = "[cluster]\nid = \"000102030405060708090a0b0c0d0e0f\"\n";

/// A file whose node and director have these lines, which begin with lines 7 and 12.
fn file(cluster: &str, node: &str, director: &str) -> String {
    format!(
        "{cluster}[[node]]\nname = \"a\"\nid = 1\naddress = \"192.0.2.11\"\n{node}\n\n\
         [[director]]\nname = \"lb\"\n{director}\n"
    )
}

#[test]
fn fingerprints_are_read_as_they_are_written() {
    let one: Fingerprint = ONE.parse().expect("it is one");
    assert_eq!((one, one.to_string().as_str()), (Fingerprint([1; 32]), ONE));
    for bad in [
        "",
        &ONE[7..],
        &ONE[..49],
        &format!("{ONE}="),
        "SHA256:AQEB",
        "sha256:x",
    ] {
        let error = bad.parse::<Fingerprint>().expect_err(bad);
        assert!(error.contains("cluster init"), "{error}");
    }
}

#[test]
fn agents_listen_at_addresses_of_machines() {
    let read = |text: &str| text.parse::<Listen>();
    let told = |listen: Listen| (listen.address.to_string(), listen.port);
    for (text, address, port) in [
        ("192.0.2.1", "192.0.2.1", None),
        ("192.0.2.1:7", "192.0.2.1", Some(7)),
        ("2001:db8::1", "2001:db8::1", None),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("[2001:db8::1]:65535", "2001:db8::1", Some(65535)),
    ] {
        assert_eq!(read(text).map(told), Ok((address.to_owned(), port)));
    }
    for bad in [
        "",
        "x",
        "0.0.0.0",
        "[::]:80",
        "192.0.2.1:0",
        "192.0.2.1:65536",
        "fe80::1",
        "127.0.0.1:80",
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn machines_with_fingerprints_have_links() {
    let director = format!("id = 7\naddress = \"192.0.2.10\"\nfingerprint = \"{TWO}\"");
    let node = format!("fingerprint = \"{ONE}\"\nlisten = \"[2001:db8::1]:99\"");
    let config = read(&file(CLUSTER, &node, &director)).expect("it is right");
    let links = config.links.expect("it has some");
    assert_eq!(
        (links.heartbeat, links.is_secure, links.port),
        (100, true, 5347)
    );
    let told: Vec<String> = config
        .linked()
        .iter()
        .map(|it| format!("{} {} {}", it.name, it.id.get(), it.listen))
        .collect();
    assert_eq!(told, ["a 1 [2001:db8::1]:99", "lb 7 192.0.2.10:5347"]);
    let config = read(&file(CLUSTER, &node, "")).expect("it is right");
    assert_eq!(config.linked().len(), 1);
    let config = read(&file("", "", "")).expect("it is right");
    assert!(config.linked().is_empty());
}

#[test]
fn without_security_all_machines_with_an_address_have_links() {
    let cluster = format!("{CLUSTER}heartbeat = 10\nlink-security = \"none\"\nport = 9\n");
    let config = read(&file(&cluster, "", "")).expect("it is right");
    let links = config.links.expect("it has some");
    assert_eq!(
        (links.heartbeat, links.is_secure, links.port),
        (10, false, 9)
    );
    let names: Vec<String> = config.linked().into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["a"]);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let with = |line: &str| format!("{CLUSTER}{line}\n");
    for line in [
        "heartbeat = 9",
        "heartbeat = 10001",
        "port = 0",
        "port = 65536",
    ] {
        refused(&file(&with(line), "", ""), 3, "out of range");
    }
    refused(
        &file(&with("link-security = \"ssl\""), "", ""),
        3,
        "tls, none",
    );
    refused(&file(&with("secret = 1"), "", ""), 3, "unknown field");
    refused(&file("[cluster]\n", "", ""), 1, "missing field");
    refused(
        &file("[cluster]\nid = \"00\"\n", "", ""),
        2,
        "32 hexadecimal digits",
    );
    let fingerprint = |text: &str| format!("fingerprint = \"{text}\"");
    refused(&file(CLUSTER, &fingerprint("x"), ""), 7, "no fingerprint");
    refused(&file("", &fingerprint(ONE), ""), 5, "[cluster]");
    refused(&file(CLUSTER, "listen = \"a\"", ""), 7, "to listen at");
    refused(
        &file(CLUSTER, "", &fingerprint(ONE)),
        11,
        "needs an id and an address",
    );
    let both = |id, last: u8, print| {
        format!(
            "id = {id}\naddress = \"192.0.2.{last}\"\n{}",
            fingerprint(print)
        )
    };
    refused(
        &file(CLUSTER, "", &both(1, 9, ONE)),
        11,
        "two machines with id 1",
    );
    refused(
        &file(CLUSTER, "", &both(2, 11, ONE)),
        12,
        "the address of \"a\"",
    );
    refused(
        &file(CLUSTER, &fingerprint(ONE), &both(2, 9, ONE)),
        13,
        "this fingerprint",
    );
}
