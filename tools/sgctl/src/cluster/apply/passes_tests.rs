// SPDX-License-Identifier: GPL-2.0
//! Steps that are carried out, or undone, while others change the same machine.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;
use ClusterRole::{Director, Standby};

use super::super::facts::LOOPBACK;
use super::super::steps::tests::{config, directed, facts, settled, SHARED};
use super::model::{apply, ip, Event, Model, DEVICE};
use super::*;
use crate::cluster::file::Config;

fn broke() -> Result<(), Failure> {
    Err(Failure::new("it broke"))
}

/// What a machine serves, with which epochs, and its addresses.
type State = (Vec<(ClusterName, u32)>, Vec<(u32, IpAddr, bool)>);

fn state(model: &Model) -> State {
    let all = model.clusters.iter();
    let mut all: Vec<_> = all.map(|it| (it.name, it.epoch)).collect();
    all.sort();
    let mut addresses = model.addresses.clone();
    addresses.sort();
    (all, addresses)
}

/// What is told when each of the changes to this file fails, and then what is to follow them; for
/// each everything is as it was.
fn failures(config: &Config) -> Vec<String> {
    let before = Model::of(
        &settled(&super::super::steps::tests::config(SHARED), "a", &facts()),
        true,
    );
    let mut good = before.clone();
    assert_eq!(apply(config, "a", &mut good, Ok(())), Ok(()));
    let fails_at = (1..=good.changes).map(Some).chain([None]);
    let told = fails_at.map(|fails_at| {
        let mut model = Model {
            fails_at,
            ..before.clone()
        };
        let outcome = apply(config, "a", &mut model, broke());
        assert_eq!(state(&model), state(&before), "{fails_at:?}");
        outcome.expect_err("it fails").to_string()
    });
    told.collect()
}

const UNDONE: &str = "it broke; nothing has changed";
const LOST: &str = "it broke; all is served as it was, but what the kernel alone knew is lost, \
                    counters and who had slots before, of 198.51.100.7";
const MORE: &str = "[[address]]\nip = \"198.51.100.8\"\ndevice = \"ens5\"\nslots = 2\nepoch = 9\n\
                    table = \"1 2\"\nbefore = \"2 0\"\nchanged = 2200-01-01T00:00:00Z\n";

/// The address's table has moved on.
fn moved(text: &str) -> String {
    text.replace("epoch = 3", "epoch = 4")
        .replace("(1 2)x2", "2x4")
}

#[test]
fn whichever_step_fails_nothing_has_changed() {
    let settle = SHARED.replace("slots", "settle = 5\nslots");
    // The new one is told what was before, too; then the other one changes.
    assert_eq!(failures(&config(&(settle + MORE))), [UNDONE; 5]);
    let expected = [UNDONE, UNDONE, UNDONE, LOST, LOST];
    assert_eq!(failures(&config(&(moved(SHARED) + MORE))), expected);
    // What goes is last, behind its address.
    assert_eq!(failures(&config(MORE))[..5], [UNDONE; 5]);
    assert_eq!(failures(&config(MORE))[5..], [LOST]);
}

#[test]
fn a_signal_before_any_step_changes_nothing() {
    let before = Model::of(&settled(&config(SHARED), "a", &facts()), true);
    let config = config(&(moved(SHARED) + MORE));
    let mut good = before.clone();
    assert_eq!(apply(&config, "a", &mut good, Ok(())), Ok(()));
    for stops_at in 0..good.changes {
        let mut model = Model {
            stops_at: Some(stops_at),
            ..before.clone()
        };
        let failure = apply(&config, "a", &mut model, Ok(())).expect_err("it stops");
        assert_eq!(failure.status(), 130, "{failure}");
        assert!(
            failure.to_string().starts_with("it is enough; "),
            "{failure}"
        );
        assert_eq!(state(&model), state(&before), "{stops_at}");
    }
    // Behind the last one it is done.
    let mut model = Model {
        stops_at: Some(good.changes),
        ..before
    };
    assert_eq!(apply(&config, "a", &mut model, Ok(())), Ok(()));
    assert_eq!(state(&model), state(&good));
}

#[test]
fn if_no_step_fails_all_is_done() {
    let mut model = Model::of(&settled(&config(SHARED), "a", &facts()), true);
    assert_eq!(apply(&config(MORE), "a", &mut model, Ok(())), Ok(()));
    let (served, addresses) = state(&model);
    assert_eq!((served.len(), served[0].1), (1, 9));
    assert_eq!(addresses, [(LOOPBACK, [198, 51, 100, 8].into(), true)]);
}

#[test]
fn what_others_have_changed_is_told_and_stays() {
    let before = settled(&config(SHARED), "a", &facts());
    let mut model = Model::of(&before, true);
    assert_eq!(
        apply(&config(&moved(SHARED)), "a", &mut model, Ok(())),
        Ok(())
    );
    let step = Step::Serve {
        old: Some(Box::new(before.clusters[0].clone())),
        new: Box::new(before.clusters[0].clone()),
    };
    let told = undo(&[step], &mut model);
    assert!(told.contains("others have changed 198.51.100.7"), "{told}");
    assert_eq!(model.clusters[0].epoch, 4);
}

#[test]
fn what_others_have_set_is_neither_taken_over_nor_removed() {
    let mut model = Model::default();
    model.addresses.push((LOOPBACK, ip(), false));
    let before = model.addresses.clone();
    assert!(apply(&config(SHARED), "a", &mut model, broke()).is_err());
    assert_eq!(
        (model.addresses.clone(), model.role()),
        (before.clone(), None)
    );
    // It comes between the look and the step: it was not added by this.
    let mut late = Model::default();
    let steps = [Step::AddAddress {
        index: LOOPBACK,
        address: ip(),
    }];
    late.addresses = before.clone();
    let mut done = Vec::new();
    assert!(pass(&steps, None, &mut late, &mut done).is_ok());
    assert_eq!(done, []);
    // Nor is it removed with the cluster IP, or when that has another part.
    assert_eq!(apply(&config(SHARED), "a", &mut model, Ok(())), Ok(()));
    assert_eq!(apply(&config(""), "a", &mut model, Ok(())), Ok(()));
    assert_eq!((&model.addresses, model.role()), (&before, None));
    let steps = [Step::RemoveAddress {
        index: LOOPBACK,
        address: ip(),
    }];
    assert!(pass(&steps, None, &mut model, &mut done).is_ok());
    assert_eq!(done, []);
}

#[test]
fn leftovers_go() {
    let (one, two) = (directed("\"lb1\""), directed("\"lb1\", \"lb2\""));
    let alone = Model::of(&settled(&one, "lb1", &facts()), true);
    assert!(alone.has(DEVICE));
    // It directs no more.
    let mut model = alone.clone();
    assert_eq!(
        apply(&directed("\"lb2\""), "lb1", &mut model, Ok(())),
        Ok(())
    );
    assert_eq!(state(&model), (vec![], vec![]));
    // One of two keeps the address as long as it directs.
    let mut model = alone.clone();
    assert_eq!(apply(&two, "lb1", &mut model, Ok(())), Ok(()));
    assert_eq!((model.role(), model.has(DEVICE)), (Some(Director), true));
    model.clusters[0].role = Standby;
    assert_eq!(apply(&two, "lb1", &mut model, Ok(())), Ok(()));
    assert_eq!((model.role(), model.has(DEVICE)), (Some(Standby), false));
    // The module has forgotten it.
    let mut model = alone.clone();
    model.clusters.clear();
    assert_eq!(apply(&two, "lb1", &mut model, Ok(())), Ok(()));
    assert_eq!((model.role(), model.has(DEVICE)), (Some(Standby), false));
    // Another device.
    let mut model = alone;
    let moved = SHARED.replace("eth0", "ens5");
    let moved = config(&(moved + "mode = \"directed\"\ndirectors = [\"lb1\"]\n"));
    assert_eq!(apply(&moved, "lb1", &mut model, Ok(())), Ok(()));
    assert_eq!(model.addresses, [(3, ip(), true)]);
}

#[test]
fn a_director_gets_back_what_was_the_standbys() {
    let mut model = Model::of(&settled(&directed("\"lb1\""), "lb1", &facts()), true);
    model.clusters[0].role = Standby;
    // Behind the look, and before the address goes.
    model.events = events(&[(true, false)]);
    model.rates = vec![0, 0, 2].into();
    let two = directed("\"lb1\", \"lb2\"");
    assert_eq!(apply(&two, "lb1", &mut model, Ok(())), Ok(()));
    assert!(model.changes > 1 && model.events.is_empty());
    assert_eq!((model.role(), model.has(DEVICE)), (Some(Director), true));
}

#[test]
fn others_that_never_rest_are_told() {
    let mut model = Model {
        events: vec![Event::Else; 1000].into(),
        rates: vec![1; 1000].into(),
        ..Model::default()
    };
    let failure = apply(&config(SHARED), "a", &mut model, Ok(())).expect_err("there is no end");
    assert!(
        failure.to_string().ends_with("; nothing has changed"),
        "{failure}"
    );
}

/// How a machine may be before; it is one of two directors afterwards.
fn before(kind: usize) -> Model {
    let (one, two) = (directed("\"lb1\""), directed("\"lb1\", \"lb2\""));
    match kind {
        0 => Model::default(),
        1 => Model::of(&settled(&two, "lb1", &facts()), false),
        2 => {
            let mut model = Model::of(&settled(&two, "lb1", &facts()), false);
            model.happen(Event::Address(true));
            model.happen(Event::Role(Director));
            model
        }
        _ => Model::of(&settled(&one, "lb1", &facts()), true),
    }
}

/// Which roles keepalived gives, each behind the address, and something else before it or not.
fn events(roles: &[(bool, bool)]) -> VecDeque<Event> {
    let event = |(directs, and_more): &(bool, bool)| {
        let role = if *directs { Director } else { Standby };
        let more = and_more.then_some(Event::Else);
        let own = [Event::Address(*directs), Event::Role(role)];
        more.into_iter().chain(own)
    };
    roles.iter().flat_map(event).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    #[test]
    fn in_any_order_the_last_role_counts(
        kind in 0usize..4,
        roles in vec(any::<(bool, bool)>(), 0..5),
        rates in vec(prop_oneof![4 => Just(0), 1 => 1usize..3], 60),
        fails_at in proptest::option::of(1usize..8),
        is_moved in any::<bool>(),
        then_fails in any::<bool>(),
    ) {
        let mut text = SHARED.to_owned() + "mode = \"directed\"\ndirectors = [\"lb1\", \"lb2\"]\n";
        if is_moved {
            text = moved(&text);
        }
        let config = config(&(text + MORE));
        let mut model = before(kind);
        let epochs = state(&model).0;
        let first = model.role();
        model.events = events(&roles);
        model.rates = rates.into();
        model.fails_at = fails_at;
        let outcome = apply(&config, "lb1", &mut model, if then_fails && fails_at.is_none() { broke() } else { Ok(()) });
        model.end();
        let last = roles.last().map(|(directs, _)| if *directs { Director } else { Standby });
        if outcome.is_err() {
            // One that cannot be served again is told.
            let told = outcome.map_err(|failure| failure.to_string()).unwrap_err();
            prop_assert!(!told.contains("could not be undone"), "{}", told);
            prop_assert_eq!(state(&model).0, epochs);
        } else {
            prop_assert_eq!(state(&model).0.len(), 1);
        }
        if let Some(role) = model.role() {
            prop_assert_eq!(role, last.or(first).unwrap_or(Standby));
            prop_assert_eq!(model.has(DEVICE), role == Director);
        }
    }
}
