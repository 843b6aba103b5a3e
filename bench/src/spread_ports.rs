// SPDX-License-Identifier: GPL-2.0

//! The source ports that a client's system chooses for its connections.

use crate::random::Random;

/// Where a client's next port comes from.
pub enum Ports {
    Linux(Linux),
    /// One after the other.
    Sequential {
        next: u16,
    },
    /// Each on its own, from `low` up to 65535.
    Random {
        low: u16,
    },
}

/// Where IANA's dynamic ports begin, which most systems other than Linux use.
pub const DYNAMIC: u16 = 49_152;
/// What a NAT gateway uses: all but the system's own.
pub const UNPRIVILEGED: u16 = 1024;

impl Ports {
    /// A Linux client.
    pub fn linux(random: &mut Random) -> Self {
        let offset = random.below(u64::from(Linux::COUNT / 2)) as u16 * 2;
        let open = vec![false; usize::from(Linux::COUNT)];
        Self::Linux(Linux { offset, open })
    }

    /// From a random one of the dynamic ports on.
    pub fn sequential(random: &mut Random) -> Self {
        let next = from(DYNAMIC, random);
        Self::Sequential { next }
    }

    pub fn next(&mut self, random: &mut Random) -> u16 {
        match self {
            Self::Linux(linux) => linux.next(random),
            Self::Sequential { next } => {
                let port = *next;
                *next = port.checked_add(1).unwrap_or(DYNAMIC);
                port
            }
            Self::Random { low } => from(*low, random),
        }
    }
}

/// From `low` up to 65535.
fn from(low: u16, random: &mut Random) -> u16 {
    low + random.below(65_536 - u64::from(low)) as u16
}

/// What connect() of Linux does with its default settings: see __inet_hash_connect().
///
/// It looks at every second port from an offset on, which is random in the beginning.
/// Only if all even ones are taken it looks at the odd ones. The next time it begins
/// behind the port that it took, after up to seven more even ones by chance. All
/// connections of the client are to one service, and stay open.
pub struct Linux {
    offset: u16,
    /// Whether each port is taken.
    open: Vec<bool>,
}

impl Linux {
    const LOW: u16 = 32_768;
    /// Up to 60999.
    const COUNT: u16 = 28_232;

    fn next(&mut self, random: &mut Random) -> u16 {
        let (place, passed) = self.free().unwrap_or_else(|| {
            // It would have to wait until some are closed.
            self.open.fill(false);
            (self.offset, 0)
        });
        let noise = random.below(8) as u16 * 2;
        self.offset = (self.offset + passed.max(noise) + 2) % Self::COUNT;
        self.open[usize::from(place)] = true;
        Self::LOW + place
    }

    /// The first free port, counted from LOW, and by how much it is behind the offset.
    fn free(&self) -> Option<(u16, u16)> {
        let steps = || (0..Self::COUNT).step_by(2);
        let even = steps().map(|step| (0, step));
        let odd = steps().map(|step| (1, step));
        let mut places = even.chain(odd).map(|(parity, step)| {
            let place = (self.offset + step) % Self::COUNT + parity;
            (place, step)
        });
        places.find(|(place, _)| !self.open[usize::from(*place)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn take(mut ports: Ports, count: usize) -> Vec<u16> {
        let mut random = Random::new(3);
        (0..count).map(|_| ports.next(&mut random)).collect()
    }

    #[test]
    fn linux_takes_even_ports_first_and_each_once() {
        let even = usize::from(Linux::COUNT / 2);
        let ports = take(Ports::linux(&mut Random::new(5)), 2 * even);
        assert!(ports.iter().all(|port| (32_768..=60_999).contains(port)));
        assert!(ports[..even].iter().all(|port| port % 2 == 0));
        assert!(ports[even..].iter().all(|port| port % 2 == 1));
        let different: HashSet<u16> = ports.iter().copied().collect();
        assert_eq!(different.len(), ports.len());
    }

    #[test]
    fn linux_goes_on_behind_the_last_one() {
        let ports = take(Ports::linux(&mut Random::new(5)), 100);
        for pair in ports.windows(2) {
            let distance = (pair[1] + Linux::COUNT - pair[0]) % Linux::COUNT;
            assert!((2..=16).contains(&distance) && distance % 2 == 0);
        }
    }

    #[test]
    fn linux_has_ports_again_when_all_were_taken() {
        let all = usize::from(Linux::COUNT);
        let ports = take(Ports::linux(&mut Random::new(5)), all + 1);
        assert_eq!(ports[all] % 2, 0);
    }

    #[test]
    fn sequential_ports_begin_again() {
        let ports = take(Ports::Sequential { next: 65_534 }, 4);
        assert_eq!(ports, [65_534, 65_535, 49_152, 49_153]);
        let first = take(Ports::sequential(&mut Random::new(9)), 1);
        assert!(first[0] >= DYNAMIC);
    }

    #[test]
    fn random_ports_are_in_their_range() {
        for low in [DYNAMIC, UNPRIVILEGED] {
            let ports = take(Ports::Random { low }, 10_000);
            assert!(ports.iter().all(|&port| port >= low));
            let odd = ports.iter().filter(|&port| port % 2 == 1).count();
            assert!((4800..5200).contains(&odd));
        }
    }
}
