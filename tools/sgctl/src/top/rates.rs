// SPDX-License-Identifier: GPL-2.0
//! From two readings of the kernel's counters to what happens in a second.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Serialize;
use service_group::netlink::{Counters, Group, Member};

use super::clusters::Seen;
use crate::snapshot::Snapshot;

/// What was read, and when.
#[derive(Debug)]
pub struct Sample {
    /// When.
    pub time: Instant,
    /// What.
    pub snapshot: Snapshot,
    /// Cluster IPs, and machines.
    pub seen: Seen,
}

/// How many there were in a second, on average since the sample before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rates {
    /// Connections that the program accepted.
    pub accepted: f64,
    /// SYNs taken for a sibling.
    pub redirected_in: f64,
    /// SYNs that a sibling took.
    pub redirected_out: f64,
    /// Complete connections that a sibling took over.
    pub rescued: f64,
    /// SYNs dropped, or answered with a reset.
    pub dropped: f64,
}

/// A group, its rates, and its members with theirs. There are no rates for what
/// was not there before.
#[derive(Debug)]
pub struct GroupRates {
    /// The group.
    pub group: Group,
    /// Of all its members.
    pub rates: Option<Rates>,
    /// Its members.
    pub members: Vec<(Member, Option<Rates>)>,
}

/// The rates of all groups and members.
pub fn between(before: Option<&Sample>, now: &Sample) -> Vec<GroupRates> {
    let past = before.map(Past::new).unwrap_or_default();
    let passed = before.map_or(Duration::ZERO, |before| {
        now.time.saturating_duration_since(before.time)
    });
    let groups = now.snapshot.groups.iter();
    let groups = groups.map(|group| {
        let members = now.snapshot.members_of(group.id).iter().map(|member| {
            let old = past.members.get(&member.cookie);
            (*member, rates(old.copied(), &member.counters, passed))
        });
        let old = past.groups.get(&group.id);
        GroupRates {
            group: *group,
            rates: rates(old.copied(), &group.counters, passed),
            members: members.collect(),
        }
    });
    groups.collect()
}

/// The counters of a sample, to be looked up.
#[derive(Default)]
struct Past<'sample> {
    groups: HashMap<u32, &'sample Counters>,
    members: HashMap<u64, &'sample Counters>,
}

impl<'sample> Past<'sample> {
    fn new(sample: &'sample Sample) -> Self {
        let Snapshot { groups, members } = &sample.snapshot;
        let groups = groups.iter().map(|group| (group.id, &group.counters));
        let members = members
            .iter()
            .map(|member| (member.cookie, &member.counters));
        Self {
            groups: groups.collect(),
            members: members.collect(),
        }
    }
}

fn rates(old: Option<&Counters>, new: &Counters, passed: Duration) -> Option<Rates> {
    let old = old.filter(|_| !passed.is_zero())?;
    let rate = |count: fn(&Counters) -> u64| {
        // More precision than a picture shows.
        #[expect(clippy::cast_precision_loss)]
        let more = count(new).saturating_sub(count(old)) as f64;
        more / passed.as_secs_f64()
    };
    Some(Rates {
        accepted: rate(|counters| counters.accepted),
        redirected_in: rate(|counters| counters.redirected_in),
        redirected_out: rate(Counters::redirected_out),
        rescued: rate(Counters::rescued_out),
        dropped: rate(Counters::dropped),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(time: Instant, accepted: u64, cookies: &[u64]) -> Sample {
        let counters = Counters {
            accepted,
            redirected_in: 2 * accepted,
            redirected_stalled: 3 * accepted,
            rescued_leaving: 4 * accepted,
            reset: 5 * accepted,
            ..Counters::default()
        };
        let group = Group {
            id: 3,
            counters,
            ..Group::default()
        };
        let member = |&cookie: &u64| Member {
            group: 3,
            cookie,
            inode: cookie,
            counters,
            ..Member::default()
        };
        let members = cookies.iter().map(member).collect();
        Sample {
            time,
            snapshot: Snapshot::new(vec![group], members),
            seen: Seen::default(),
        }
    }

    #[test]
    fn rates_are_per_second_of_what_was_there_before() {
        let begin = Instant::now();
        let before = sample(begin, 100, &[1]);
        let now = sample(begin + Duration::from_millis(500), 110, &[1, 2]);
        let groups = between(Some(&before), &now);
        let expected = Rates {
            accepted: 20.0,
            redirected_in: 40.0,
            redirected_out: 60.0,
            rescued: 80.0,
            dropped: 100.0,
        };
        assert_eq!(groups[0].rates, Some(expected));
        let rates: Vec<Option<Rates>> = groups[0].members.iter().map(|(_, r)| *r).collect();
        assert_eq!(rates, [Some(expected), None]);
    }

    #[test]
    fn there_are_none_at_first_or_without_time_or_backwards() {
        let begin = Instant::now();
        let now = sample(begin, 5, &[1]);
        assert_eq!(between(None, &now)[0].rates, None);
        let before = sample(begin, 1, &[1]);
        assert_eq!(between(Some(&before), &now)[0].rates, None);
        let before = sample(begin, 9, &[1]);
        let now = sample(begin + Duration::from_secs(1), 5, &[1]);
        let rates = between(Some(&before), &now)[0].rates;
        assert_eq!(rates.map(|rates| rates.accepted), Some(0.0));
    }
}
