// SPDX-License-Identifier: GPL-2.0
//! Which clusters cannot work, as packets do not get to all nodes.

use super::super::check::tests::{file, refused};
use super::super::read;

const TWO_DIRECTORS: &str = "ip = \"198.51.100.7\"\ndevice = \"eth0\"\nmode = \"directed\"\n\
                             directors = [\n\"a\",\n\"lb\",\n]\n[[director]]\nname = \"lb\"";

#[test]
fn neighbours_are_of_the_family_that_they_are_sent() {
    let lines = "ip = \"2001:db8::7\"\ndevice = \"eth0\"\nmode = \"directed\"\ndirectors = [\"b\"]";
    refused(
        &file(lines),
        19,
        "node \"a\" has an address of another family",
    );
    let tunnel = file(lines).replace("id = 1", "id = 1\nway = \"tunnel\"");
    assert!(read(&tunnel).is_ok());
    refused(
        &tunnel.replace("192.0.2.12", "2001:db8::12"),
        20,
        "\"a\" and \"b\" have addresses of two families",
    );
    assert!(read(&file("ip = \"2001:db8::7\"\ndevice = \"eth0\"")).is_ok());
}

#[test]
fn a_director_that_uses_tunnels_is_a_node() {
    let text = file(TWO_DIRECTORS);
    // The node "b" is reached by a tunnel.
    refused(&text, 21, "director \"lb\" is no node");
    refused(&text, 21, "a [[node]] with state = \"draining\" for \"lb\"");
    assert!(read(&text.replace("tunnel", "neighbour")).is_ok());
    let node = "[[node]]\nid = 3\naddress = \"192.0.2.13\"\nstate = \"draining\"";
    assert!(read(&text.replace("[[director]]", node)).is_ok());
    // Shared, nothing is sent to nodes.
    assert!(read(&file("ip = \"198.51.100.7\"\ndevice = \"eth0\"")).is_ok());
}

const LINKS: &str =
    "\n[cluster]\nid = \"000102030405060708090a0b0c0d0e0f\"\nlink-security = \"none\"\n";

/// Two directors that links choose from, of which the second is no node.
fn chosen() -> String {
    let text = file(TWO_DIRECTORS).replace("tunnel", "neighbour");
    let text = text.replace("directors = [", "directing = \"one\"\ndirectors = [");
    format!("{text}\nid = 9\naddress = \"192.0.2.10\"{LINKS}")
}

#[test]
fn links_choose_from_directors_that_have_links() {
    let config = read(&chosen()).expect("it is right");
    let mode = &config.addresses[0].mode;
    assert!(mode.follows_links());
    assert_eq!(mode.directors(), ["a", "lb"]);
    let given = chosen().replace("\"one\"", "\"given\"");
    assert!(read(&given).is_ok_and(|config| !config.addresses[0].mode.follows_links()));
    let lb = 22;
    refused(&chosen().replace("id = 9\n", ""), lb, "\"lb\" has no links");
    refused(
        &chosen().replace("\nlink-security = \"none\"", ""),
        21,
        "\"a\" has no links",
    );
    refused(&chosen().replace(LINKS, ""), 21, "fingerprint");
    refused(
        &chosen().replace("\"one\"", "\"two\""),
        19,
        "give one of given, one",
    );
}

#[test]
fn nobody_directs_a_shared_address() {
    let text = file("ip = \"198.51.100.7\"\ndevice = \"eth0\"\ndirecting = \"one\"");
    refused(&text, 18, "a shared address has no directors");
}

#[test]
fn an_address_has_one_director() {
    let port = |port: u16, more: &str| {
        format!(
            "\n[[address]]\nip = \"198.51.100.7\"\nprotocol = \"tcp\"\nport = {port}\ndevice = \"eth0\"\n\
             mode = \"directed\"\n{more}\n"
        )
    };
    let one = "directing = \"one\"\ndirectors = [\"a\", \"lb\"]";
    let with = |more: &str| chosen() + &port(80, one) + &port(443, more);
    assert!(read(&with(one)).is_ok());
    let reason = "give it the directors and the directing of 198.51.100.7";
    let line = chosen().lines().count() + 12;
    refused(&with("directors = [\"a\", \"lb\"]"), line, reason);
    refused(
        &with("directing = \"one\"\ndirectors = [\"lb\", \"a\"]"),
        line,
        reason,
    );
}
