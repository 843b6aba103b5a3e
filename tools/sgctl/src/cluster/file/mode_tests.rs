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
