// SPDX-License-Identifier: GPL-2.0
//! service_group(7): the socket option, with the table of its errors.

use roff::{bold, italic, roman, Inline, Roff};
use service_group::{Calls, Error, DEFAULT_STALL, MAX_ADOPT, MAX_STALL, MAX_WEIGHT, MIN_STALL};

/// The page.
pub fn text() -> String {
    let mut page = Roff::new();
    let source = concat!("service_group ", env!("CARGO_PKG_VERSION"));
    page.control("TH", ["service_group", "7", "", source]);
    name_and_synopsis(&mut page);
    description(&mut page);
    errors(&mut page);
    section(&mut page, "SEE ALSO");
    page.text([
        bold("sgctl"),
        roman("(1), "),
        bold("setsockopt"),
        roman("(2), "),
    ]);
    page.text([bold("ip"), roman("(7), "), bold("tcp"), roman("(7)")]);
    page.render()
}

fn section(page: &mut Roff, title: &str) {
    page.control("SH", [title]);
}

fn paragraph(page: &mut Roff, text: &str) {
    page.control("PP", []);
    page.text([roman(text)]);
}

/// A term of a list, and what is said about it.
fn item(page: &mut Roff, term: Inline, mark: &str, text: &str) {
    page.control("TP", []);
    page.text([term, roman(mark)]);
    page.text([roman(text)]);
}

fn name_and_synopsis(page: &mut Roff) {
    section(page, "NAME");
    page.text([roman(
        "service_group - listening sockets that provide one service",
    )]);
    section(page, "SYNOPSIS");
    page.control("nf", []);
    for line in [
        "#include <linux/service_group.h>",
        "",
        "int setsockopt(int fd, SOL_IP, SO_SERVICE_GROUP, &request, length);",
        "int setsockopt(int fd, SOL_IP, SO_SERVICE_GROUP, &id, 4);",
        "int setsockopt(int fd, SOL_IP, SO_SERVICE_GROUP_LEAVE, &flags, 4);",
        "int getsockopt(int fd, SOL_IP, SO_SERVICE_GROUP, &info, &length);",
        "int setsockopt(int fd, SOL_IP, SO_SERVICE_GROUP_SETTINGS, &settings, length);",
        "int getsockopt(int fd, SOL_IP, SO_SERVICE_GROUP_SETTINGS, &settings, &length);",
    ] {
        page.text([bold(line)]);
    }
    page.control("fi", []);
}

fn description(page: &mut Roff) {
    section(page, "DESCRIPTION");
    page.text([roman(
        "Listening TCP sockets of one group stand in for each other: a connection whose socket \
         has no room is served by a sibling that has, and is not dropped while there is one. The \
         kernel module service_group has to be loaded. The options are at level SOL_IP for IPv4 \
         and IPv6 sockets alike.",
    )]);
    paragraph(
        page,
        "Every call either does all that it was asked for, or fails and has changed nothing.",
    );
    let request = "A struct service_group_request and its entries form a group of the sockets \
                   that are listed. The port is zero, and programs bind(2) their sockets \
                   themselves before. With a port, or SERVICE_GROUP_BIND, those that are not bound \
                   yet are bound to it, at the address of their entry or the wildcard; security \
                   modules are not asked about that, so it needs CAP_NET_ADMIN in the network \
                   namespace. A group's id alone (u32) joins the socket to that group.";
    item(page, bold("SO_SERVICE_GROUP"), " (set)", request);
    let info = "A struct service_group_info: the group's id, its number of members, and this \
                member's state, queue and counters.";
    item(page, bold("SO_SERVICE_GROUP"), " (get)", info);
    let leave = "Takes the socket out of its group. With the flag SERVICE_GROUP_LEAVE_DRAIN \
                 (u32) the connections that wait in it, and its half-open requests, move to \
                 siblings that have room. A member that is closed or shut down does so without \
                 being asked.";
    item(page, bold("SO_SERVICE_GROUP_LEAVE"), " (set)", leave);
    settings(page);
    paragraph(
        page,
        "The sockets have to be of the caller's network namespace and of one user, unless the \
         caller has CAP_NET_ADMIN there. A group ends with its last member, unless it adopts.",
    );
}

/// What a group can be told to do.
fn settings(page: &mut Roff) {
    let (stall, most) = (DEFAULT_STALL.as_millis(), MAX_STALL.as_millis());
    let (least, adopt) = (MIN_STALL.as_millis(), MAX_ADOPT.as_millis());
    let settings = format!(
        "A struct service_group_settings. Its flags say which fields are given; setting changes \
         those and no others. The policy is overflow (the listener that the lookup found, while \
         it has room; else the least loaded sibling) or balance (the least loaded of those that \
         have room and are not stalled; and whose program looks for connections is given the \
         one that has waited for longest behind a busy program). When no member has room, a SYN \
         is dropped or answered with a reset. A member that has accepted nothing for the stall time, while connections \
         waited, is stalled: a sibling whose program looks for connections, and has none, is given \
         one of these, and others go to siblings while one has room. The stall time is at most {most} ms, 0 for never, {stall} in a \
         new group; less than {least} ms needs CAP_NET_ADMIN in the initial user namespace. With rewrite, getsockname() of a connection that came for a sibling's address \
         tells the address that the accepting member is bound to. The weight says how many \
         connections this member is to have waiting, compared with the others: 1 to \
         {MAX_WEIGHT}, 1 in a new member. With an adopt time, which is at most {adopt} ms and 0 in a \
         new group, a socket that begins to listen in the place of a member becomes a member: one \
         of the same user, family, address, port, device and IPV6_V6ONLY. The place of a member \
         whose socket has ended is kept for that time, and with it the group. More than a minute \
         needs CAP_NET_ADMIN in the network namespace, and so does any time if the members are of another \
         user than the one that formed the group. All but the weight are the group's, whichever member's \
         socket they are set through."
    );
    let marks = " (set, get)";
    item(page, bold("SO_SERVICE_GROUP_SETTINGS"), marks, &settings);
}

fn errors(page: &mut Roff) {
    section(page, "ERRORS");
    page.text([roman(
        "Each has one meaning. In parentheses is what it may come from: forming a group, joining \
         one, leaving it, its settings, or getting what it is.",
    )]);
    for row in Error::table() {
        page.control("TP", []);
        page.text([
            bold(row.name),
            roman(" ("),
            italic(sources(row.calls)),
            roman(")"),
        ]);
        page.text([roman(format!("{}; {}.", capital(row.what), row.remedy))]);
    }
}

fn sources(calls: Calls) -> String {
    let named = [
        (calls.form, "form"),
        (calls.join, "join"),
        (calls.leave, "leave"),
        (calls.settings, "settings"),
        (calls.get, "get"),
    ];
    let names = named.iter().filter(|(set, _)| *set).map(|(_, name)| *name);
    names.collect::<Vec<_>>().join(", ")
}

/// A sentence's beginning.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_in_the_page() {
        let text = text();
        for row in Error::table() {
            assert!(text.contains(row.name), "{}", row.name);
        }
    }

    #[test]
    fn sources_are_listed_in_order() {
        let mut calls = Calls {
            form: true,
            join: false,
            leave: false,
            settings: false,
            get: true,
        };
        assert_eq!(sources(calls), "form, get");
        calls.join = true;
        calls.settings = true;
        assert_eq!(sources(calls), "form, join, settings, get");
    }
}
