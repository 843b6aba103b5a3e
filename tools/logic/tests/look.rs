// SPDX-License-Identifier: GPL-2.0
//! Whatever the order of looks, arrivals and stalls: no client is served later than without a group.
//!
//! A group is played with the decisions of the module, beside listeners without one that see the
//! same connections and the same looks.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;
use service_group_logic::logic::facts::{Facts, Family};
use service_group_logic::logic::look::{choose_source, Sibling, Source};
use service_group_logic::logic::migrate::choose_target;
use service_group_logic::logic::room::Load;
use service_group_logic::logic::select::{choose, Decision, Policy};
use service_group_logic::logic::stall::{judge, Verdict};

const LIMIT: u64 = 100;
const BACKLOG: u32 = 1000;

#[derive(Clone, Copy, Debug)]
enum Event {
    /// A connection, for this home.
    Arrives(usize),
    /// The member's program accepts; it sleeps if there is nothing, for a moment.
    Accepts(usize, bool),
    /// It polls.
    Polls(usize),
    /// Time passes, and the members are judged.
    Passes(u64),
}

/// What becomes of the connections of a stalled member.
#[derive(Clone, Copy, PartialEq)]
enum Rule {
    /// They wait for a look.
    Pull,
    /// They are moved to who looks good, as they once were.
    Push,
}

#[derive(Clone, Copy, Debug)]
struct Connection {
    home: usize,
    came: u64,
    moves: u32,
}

#[derive(Default)]
struct Member {
    queue: VecDeque<usize>,
    progress: u64,
    busy: bool,
    stalled: bool,
    promised: bool,
    told: bool,
}

struct Group {
    policy: Policy,
    rule: Rule,
    now: u64,
    members: Vec<Member>,
    connections: Vec<Connection>,
    served: Vec<usize>,
    redirected: bool,
}

impl Group {
    fn new(policy: Policy, rule: Rule, count: usize) -> Self {
        Self {
            policy,
            rule,
            now: 0,
            members: (0..count).map(|_| Member::default()).collect(),
            connections: Vec::new(),
            served: Vec::new(),
            redirected: false,
        }
    }

    fn facts(&self, index: usize) -> Facts {
        let member = &self.members[index];
        Facts {
            listening: true,
            load: Load {
                queued: member.queue.len() as u32,
                half_open: 0,
                backlog: BACKLOG,
            },
            busy: member.busy,
            stalled: member.stalled,
            // Workers, that accept what they have polled for.
            promised: member.promised && !member.stalled,
            port: 80,
            serves_ipv4: true,
            ..Facts::default()
        }
    }

    fn siblings(&self, of: usize) -> impl Iterator<Item = (usize, Facts)> + '_ {
        (0..self.members.len())
            .filter(move |index| *index != of)
            .map(|index| (index, self.facts(index)))
    }

    fn queue(&mut self, index: usize, connection: usize, first: bool) {
        let member = &mut self.members[index];
        if member.queue.is_empty() {
            member.progress = self.now;
        }
        match first {
            true => member.queue.push_front(connection),
            false => member.queue.push_back(connection),
        }
    }

    fn arrives(&mut self, home: usize) {
        let siblings = self.siblings(home);
        let taker = match choose(self.policy, &self.facts(home), Family::Ipv4, siblings) {
            Decision::Sibling(taker, _) => taker,
            _ => home,
        };
        self.redirected |= taker != home;
        let connection = self.connections.len();
        self.connections.push(Connection {
            home,
            came: self.now,
            moves: 0,
        });
        self.queue(taker, connection, false);
    }

    /// What a sibling has for the looker: which connection of its queue.
    fn offer(&self, looker: usize, sibling: usize) -> Option<(usize, Sibling)> {
        let queue = &self.members[sibling].queue;
        let own = |connection: &usize| self.connections[*connection].home == looker;
        let mine = queue.iter().position(own);
        let place = mine.or(if queue.is_empty() { None } else { Some(0) })?;
        let offer = Sibling {
            facts: self.facts(sibling),
            since: self.connections[queue[place]].came,
            own: mine.is_some(),
        };
        Some((place, offer))
    }

    fn source(&self, looker: usize, eager: bool) -> Option<(usize, Source)> {
        if self.rule == Rule::Push {
            return None;
        }
        let own = self.members[looker].queue.front();
        let own = own.map(|connection| self.connections[*connection].came);
        let siblings = self.siblings(looker).filter_map(|(index, _)| {
            let (_, offer) = self.offer(looker, index)?;
            Some((index, offer))
        });
        let found = choose_source(&self.facts(looker), own, self.policy, eager, siblings)?;
        Some((found.from, found.source))
    }

    fn looks(&mut self, index: usize) {
        let member = &mut self.members[index];
        member.busy = false;
        if member.queue.is_empty() {
            member.stalled = false;
            member.progress = self.now;
            (member.promised, member.told) = (false, false);
        }
    }

    fn polls(&mut self, index: usize) -> bool {
        self.looks(index);
        let own = !self.members[index].queue.is_empty();
        let offered = !own && self.source(index, true).is_some();
        self.members[index].promised |= own;
        self.members[index].told |= own || offered;
        own || offered
    }

    fn accepts(&mut self, index: usize, sleeps: bool) -> Option<usize> {
        let eager = sleeps || self.members[index].told;
        if sleeps || self.members[index].queue.is_empty() {
            self.looks(index);
        }
        if let Some((from, _)) = self.source(index, eager) {
            let (place, _) = self.offer(index, from)?;
            let connection = self.members[from].queue.remove(place)?;
            self.connections[connection].moves += 1;
            self.queue(index, connection, true);
        }
        let connection = self.members[index].queue.pop_front()?;
        let member = &mut self.members[index];
        (member.busy, member.stalled, member.progress) = (true, false, self.now);
        (member.promised, member.told) = (false, false);
        self.served.push(connection);
        Some(connection)
    }

    fn passes(&mut self, time: u64) {
        self.now += time;
        for index in 0..self.members.len() {
            let member = &self.members[index];
            let quiet = self.now - member.progress;
            if judge(member.queue.len() as u32, quiet, LIMIT) != Verdict::Stalled {
                continue;
            }
            self.members[index].stalled = true;
            while self.rule == Rule::Push && !self.members[index].queue.is_empty() {
                let home = Facts {
                    stalled: true,
                    ..self.facts(index)
                };
                let awake = self.siblings(index).filter(|(_, sibling)| !sibling.stalled);
                let Some(to) = choose_target(&home, Family::Ipv4, 0, awake) else {
                    break;
                };
                let connection = self.members[index].queue.pop_front().unwrap();
                self.connections[connection].moves += 1;
                self.queue(to, connection, false);
            }
        }
    }

    /// A connection that this look must get, if it gets none of the member's own queue.
    fn due(&self, index: usize) -> bool {
        let mut siblings = self.siblings(index);
        siblings.any(|(sibling, facts)| {
            let queue = &self.members[sibling].queue;
            let own = |connection: &usize| self.connections[*connection].home == index;
            facts.spare() > 0 && (facts.stalled || queue.iter().any(own))
        }) || !self.members[index].queue.is_empty()
    }
}

/// Listeners without a group.
struct Alone {
    queues: Vec<VecDeque<usize>>,
    served: Vec<usize>,
}

/// What is wrong with how a group serves, or nothing.
fn play(policy: Policy, rule: Rule, count: usize, events: &[Event]) -> Result<(), String> {
    let mut group = Group::new(policy, rule, count);
    let mut alone = Alone {
        queues: vec![VecDeque::new(); count],
        served: Vec::new(),
    };
    for event in events {
        match *event {
            Event::Arrives(home) => {
                alone.queues[home % count].push_back(group.connections.len());
                group.arrives(home % count);
            }
            Event::Polls(index) => {
                let index = index % count;
                let due = group.due(index);
                let told = group.polls(index);
                if due && !told {
                    return Err(format!("{index} polls, and is not told of what is due"));
                }
            }
            Event::Accepts(index, sleeps) => {
                let index = index % count;
                let (due, waiting) = (group.due(index), group.members[index].queue.clone());
                let served = group.accepts(index, sleeps);
                if due && served.is_none() {
                    return Err(format!("{index} accepts nothing, and something is due"));
                }
                let first = waiting.front().is_none_or(|first| served == Some(*first));
                if policy == Policy::Overflow && !first {
                    return Err(format!("{index} does not serve the first of its queue"));
                }
                alone.served.extend(alone.queues[index].pop_front());
            }
            Event::Passes(time) => group.passes(time),
        }
        let late = |connection: &&usize| !group.served.contains(connection);
        if let Some(late) = alone.served.iter().find(late) {
            // A SYN that goes to a sibling waits there behind what came before, and what came
            // for that sibling behind it.
            if !group.redirected && policy == Policy::Overflow {
                return Err(format!(
                    "connection {late} is served later than without a group"
                ));
            }
            if group.connections.len() == 1 {
                return Err("the only connection is served later than without a group".into());
            }
        }
        if group
            .connections
            .iter()
            .any(|connection| connection.moves > 1)
        {
            return Err("a connection moves again".into());
        }
    }
    Ok(())
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0usize..5).prop_map(Event::Arrives),
        4 => (0usize..5, any::<bool>()).prop_map(|(index, sleeps)| Event::Accepts(index, sleeps)),
        2 => (0usize..5).prop_map(Event::Polls),
        3 => (0u64..LIMIT * 2).prop_map(Event::Passes),
    ]
}

/// One connection, and looks at any time.
fn lonely() -> impl Strategy<Value = Vec<Event>> {
    let looks = prop_oneof![
        (0usize..5, any::<bool>()).prop_map(|(index, sleeps)| Event::Accepts(index, sleeps)),
        (0u64..LIMIT * 2).prop_map(Event::Passes),
    ];
    (
        0usize..5,
        vec(
            event().prop_filter("one", |event| !matches!(event, Event::Arrives(_))),
            0..9,
        ),
        vec(looks, 0..40),
    )
        .prop_map(|(home, before, after)| {
            let mut events = before;
            events.push(Event::Arrives(home));
            events.extend(after);
            events
        })
}

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![Just(Policy::Overflow), Just(Policy::Balance)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn no_look_comes_back_empty_while_something_is_due(
        policy in policy(), count in 1usize..6, events in vec(event(), 0..60),
    ) {
        prop_assert_eq!(play(policy, Rule::Pull, count, &events), Ok(()));
    }

    #[test]
    fn one_connection_is_served_at_the_first_look_of_its_home_or_holder(
        policy in policy(), count in 1usize..6, events in lonely(),
    ) {
        prop_assert_eq!(play(policy, Rule::Pull, count, &events), Ok(()));
    }
}

/// Two workers that look in turn, each look later than the other one's stall.
fn in_turn(first: usize) -> Vec<Event> {
    let looks = (first..first + 40)
        .flat_map(|index| [Event::Passes(LIMIT + 1), Event::Accepts(index % 2, false)]);
    [Event::Arrives(0)].into_iter().chain(looks).collect()
}

#[test]
fn two_that_look_in_turn_are_served() {
    for (policy, first) in [Policy::Overflow, Policy::Balance].into_iter().zip([0, 1]) {
        assert_eq!(play(policy, Rule::Pull, 2, &in_turn(first)), Ok(()));
    }
}

/// What is checked here is what the old rule did not keep.
#[test]
fn moving_ahead_of_looks_would_not_do() {
    for policy in [Policy::Overflow, Policy::Balance] {
        let told = play(policy, Rule::Push, 2, &in_turn(0));
        assert!(told.is_err_and(|error| error.contains("due") || error.contains("later")));
    }
}
