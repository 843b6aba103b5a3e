// SPDX-License-Identifier: GPL-2.0
//! What is told of packets.

use super::super::file::{read, samples};
use super::*;
use std::time::Duration;

fn config(lines: &str) -> Config {
    let node = |(name, id)| {
        format!("[[node]]\nname = \"{name}\"\nid = {id}\naddress = \"192.0.2.1{id}\"\n")
    };
    let nodes = [("a", 1), ("b", 2), ("c", 3)].map(node).concat();
    let text = format!(
        "{nodes}[[address]]\nip = \"198.51.100.7\"\ndevice = \"eth0\"\nslots = 3\nepoch = 1\n\
         table = \"1 2 3\"\n{lines}\n[[address]]\nip = \"2001:db8:0:1::7\"\ndevice = \"eth0\"\n\
         protocol = \"udp\"\nport = 443\nslots = 3\nepoch = 1\ntable = \"1 2 3\"\n"
    );
    read(&text).expect("it is right")
}

fn args(source: &str, destination: &str, protocol: u8) -> OwnerArgs {
    OwnerArgs {
        source: source.parse().expect("an end"),
        destination: destination.parse().expect("an end"),
        protocol,
        file: "x".into(),
        json: false,
    }
}

fn now() -> SystemTime {
    humantime::parse_rfc3339("2026-01-31T12:00:00Z").expect("it is a time")
}

fn example() -> OwnerArgs {
    args("192.0.2.1:40000", "198.51.100.7:80", 6)
}

/// The examples of docs/cluster-hash.md.
#[test]
fn the_numbers_are_those_of_the_documentation() {
    for (lines, value, slot) in [
        ("hash = \"sum3\"", 6_546_482_776, 1),
        ("", 6_546_522_782, 2),
        (
            "hash = \"keyed\"\nkey = \"000102030405060708090a0b0c0d0e0f\"",
            0x4ae0_dc15_e684_3b46,
            1,
        ),
    ] {
        let decision = decide(&config(lines), &example(), now()).expect("it has an owner");
        assert_eq!((decision.value, decision.slot), (value, slot), "{lines}");
        let sum: u64 = decision.terms.iter().map(|term| term.value).sum();
        assert!(sum == value || decision.message.is_some());
    }
    let v6 = args("[2001:db8::1]:40000", "[2001:db8:0:1::7]:443", 17);
    let decision = decide(&config(""), &v6, now()).expect("it is known");
    assert_eq!((decision.value, decision.slot), (1_073_920_389, 0));
}

#[test]
fn a_slot_may_be_nobodys() {
    let nodes = samples::node("a", 1, "state = \"down\"");
    let text = "[[address]]\nip = \"198.51.100.7\"\ndevice = \"eth0\"\nslots = 3\nspill = true\n\
                epoch = 1\ntable = \"0x3\"\n";
    let config = read(&(nodes + text)).expect("it is right");
    let decision = decide(&config, &example(), now()).expect("it is known");
    assert!(decision
        .sentences()
        .ends_with("nobody's: such packets are dropped\n"));
    assert_eq!((decision.node, decision.spill), (None, None));
}

#[test]
fn tables_that_do_not_fit_tell_nothing() {
    for (lines, told) in [
        ("hash = \"sum3\"\nhashed = \"sum5\"", "another hash"),
        ("hash = \"keyed\"", "no key"),
    ] {
        let failure = decide(&config(lines), &example(), now()).expect_err(lines);
        let text = failure.to_string();
        let remedy = "run \"sgctl cluster plan x\" first";
        assert!(text.contains(told) && text.ends_with(remedy), "{text}");
        assert_eq!(failure.status(), 2);
    }
}

#[test]
fn a_decision_is_explained() {
    let decision = decide(&config(""), &example(), now()).expect("it has an owner");
    let expected = "\
address 198.51.100.7, hash sum5
  SRC_IP    192.0.2.1                 3221225985
  SRC_PORT                                 40000
  DST_IP    198.51.100.7              3325256711
  DST_PORT                                    80
  PROTOCOL                                     6
  sum                                 6546522782
6546522782 % 3 = slot 2
slot 2 is node c's
";
    assert_eq!(decision.sentences(), expected);
    let keyed = "hash = \"keyed\"\nkey = \"000102030405060708090a0b0c0d0e0f\"";
    let text = decide(&config(keyed), &example(), now())
        .expect("it is known")
        .sentences();
    assert!(
        text.contains("message   c0000201c63364079c40005006\n"),
        "{text}"
    );
    assert!(text.contains("SipHash-2-4 = 4ae0dc15e6843b46\n"), "{text}");
}

#[test]
fn the_previous_owner_is_told_while_it_matters() {
    let lines = "before = \"0x2 1\"\nchanged = 2026-01-31T12:00:00Z";
    let at = |seconds| {
        let now = now() + Duration::from_secs(seconds);
        decide(&config(lines), &example(), now).expect("it has an owner")
    };
    assert!(
        at(3599).young
            && at(3599)
                .sentences()
                .contains("that change is young: a keeps")
    );
    assert!(!at(3600).young && at(3600).sentences().contains("settled: a keeps"));
    assert_eq!(at(0).previous.as_deref(), Some("a"));
    let json = serde_json::to_value(at(0)).expect("it is JSON");
    assert_eq!((&json["node"], &json["slot"]), (&"c".into(), &2.into()));
    assert_eq!(json["terms"][4]["name"], "PROTOCOL");
}

#[test]
fn who_else_may_have_it_is_told_as_it_is_in_the_documentation() {
    let directed = "mode = \"directed\"\ndirectors = [\"a\"]";
    for (mode, spill, seconds, told) in [
        ("", false, 0, "c is silent about what it does not know"),
        ("", false, 3600, "c resets what it does not know"),
        ("", true, 3600, "c is silent about what it does not know"),
        (directed, false, 0, "to a, as a second chance"),
        (
            directed,
            false,
            3600,
            "a resets what it does not know either",
        ),
        (directed, true, 3600, "to a, as a second chance"),
    ] {
        let lines =
            format!("{mode}\nspill = {spill}\nbefore = \"0x2 1\"\nchanged = 2026-01-31T12:00:00Z");
        let now = now() + Duration::from_secs(seconds);
        let decision = decide(&config(&lines), &example(), now).expect("it has an owner");
        let text = decision.sentences();
        assert!(text.ends_with(&format!("{told}\n")), "{text}");
        // The one behind the last slot is the first one's.
        assert_eq!(text.contains("it spills to a: "), spill, "{text}");
        let json = serde_json::to_value(decision).expect("it is JSON");
        assert_eq!(json["spill"].as_str(), spill.then_some("a"));
    }
}

#[test]
fn who_is_gone_is_not_told() {
    let lines = "before = \"0x2 7\"\nchanged = 2026-01-31T12:00:00Z";
    let decision = decide(&config(lines), &example(), now()).expect("it has an owner");
    assert_eq!(decision.previous, None);
}

#[test]
fn the_most_specific_address_is_asked() {
    let more = "[[address]]\nip = \"198.51.100.7\"\nprotocol = \"tcp\"\nport = 80\n\
                device = \"eth0\"\nslots = 1\nepoch = 1\ntable = \"1\"";
    let decision = decide(&config(more), &example(), now()).expect("it has an owner");
    assert_eq!(decision.node.as_deref(), Some("a"));
    for (ends, protocol) in [
        (("192.0.2.1:1", "198.51.100.8:80"), 6),
        (("[::1]:1", "[2001:db8:0:1::7]:443"), 6),
    ] {
        let failure = decide(&config(""), &args(ends.0, ends.1, protocol), now());
        assert!(failure.is_err(), "{ends:?}");
    }
}

#[test]
fn an_owner_that_is_away_has_a_deputy() {
    use super::super::absent::tests;
    use service_group::netlink::LinkState;

    let config = config("");
    // Of slot 1.
    let client = args("192.0.2.1:39999", "198.51.100.7:80", 6);
    let told = |client: &OwnerArgs, seen: &Seen| {
        let mut decision = decide(&config, client, now()).expect("it is known");
        decision.see(seen, &config);
        let text = decision.sentences();
        let json = serde_json::to_value(decision).expect("it is JSON");
        (text, json["away"].clone(), json["deputy"].clone())
    };
    let mut seen = Seen {
        cluster: tests::cluster(),
        links: vec![tests::link(LinkState::Unreachable)],
    };
    let (text, away, deputy) = told(&client, &seen);
    assert!(
        text.contains(
            "node b's\nb has been unreachable for 12s, as this machine believes: its deputy "
        ),
        "{text}"
    );
    assert_eq!(
        away,
        serde_json::json!({"reason": "unreachable", "since_ms": 12_000})
    );
    assert!(["a", "c"].contains(&deputy.as_str().unwrap_or_default()));
    // The slots of others are theirs.
    let (text, away, deputy) = told(&example(), &seen);
    assert!(
        text.contains("node c's\n") && !text.contains("believes"),
        "{text}"
    );
    assert!(away.is_null() && deputy.is_null());
    seen.cluster
        .nodes
        .iter_mut()
        .for_each(|node| node.away = true);
    let (text, _, deputy) = told(&client, &seen);
    assert!(
        text.contains("nobody else could serve") && deputy.is_null(),
        "{text}"
    );
    // Another table than that of the file.
    seen.cluster.table = vec![3; 3];
    assert!(told(&client, &seen).1.is_null());
}
