// SPDX-License-Identifier: GPL-2.0
//! How many connections there may be at once whose other side has proved nothing yet.
//!
//! Strangers have a few places. Each address of a machine of the file has some of its own, so that
//! strangers who take all of theirs keep no machine out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Places of strangers, and of each known address.
const STRANGERS: usize = 16;
const KNOWN: usize = 4;

#[derive(Debug, Default)]
struct Places {
    strangers: usize,
    known: HashMap<IpAddr, usize>,
}

/// Counts them.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Mutex<Places>>);

/// A place, as long as this is there.
#[derive(Debug)]
pub struct Place {
    gate: Gate,
    /// Whose; nothing is a stranger.
    known: Option<IpAddr>,
}

impl Gate {
    /// A place for who comes from this address, if there is one.
    pub fn enter(&self, from: IpAddr, is_known: bool) -> Option<Place> {
        let known = is_known.then_some(from);
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (taken, most) = match known {
            Some(from) => (places.known.entry(from).or_default(), KNOWN),
            None => (&mut places.strangers, STRANGERS),
        };
        if *taken >= most {
            return None;
        }
        *taken += 1;
        drop(places);
        Some(Place {
            gate: self.clone(),
            known,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.gate.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(from) = self.known else {
            places.strangers = places.strangers.saturating_sub(1);
            return;
        };
        let left = places
            .known
            .get(&from)
            .map_or(0, |taken| taken.saturating_sub(1));
        match left {
            0 => places.known.remove(&from),
            left => places.known.insert(from, left),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_keep_nobody_out() {
        let gate = Gate::default();
        let ip = |last: u8| IpAddr::from([192, 0, 2, last]);
        let strangers: Vec<_> = (0..20)
            .filter_map(|last| gate.enter(ip(last), false))
            .collect();
        assert_eq!(strangers.len(), STRANGERS);
        let known: Vec<_> = (0..9).filter_map(|_| gate.enter(ip(100), true)).collect();
        assert_eq!(known.len(), KNOWN);
        assert!(gate.enter(ip(101), true).is_some());
        drop((strangers, known));
        assert!(gate.enter(ip(0), false).is_some());
        let places = gate.0.lock().expect("nobody has failed");
        assert_eq!((places.strangers, places.known.len()), (0, 0));
    }
}
