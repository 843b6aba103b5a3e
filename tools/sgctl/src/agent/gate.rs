// SPDX-License-Identifier: GPL-2.0
//! How many connections there may be at once.
//!
//! Strangers have a few places. Each address of a machine of the file has some of its own, so that
//! strangers keep no machine out. If all are taken, one of those connections ends, by lot: who says nothing, be
//! it a user of that machine, does not keep its agent out. Who has proved to be a machine has another place.

use std::collections::HashMap;
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::work::random;

/// Places of strangers, and of each known address.
const MOST: usize = 16;

/// Who has places of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Whose {
    Strangers,
    Known(IpAddr),
    Proved(IpAddr),
}

/// Connections, with their numbers.
type Taken = Vec<(u64, TcpStream)>;

#[derive(Debug, Default)]
struct Places {
    next: u64,
    taken: HashMap<Whose, Taken>,
}

impl Places {
    fn put(&mut self, whose: Whose, number: u64, socket: TcpStream) {
        let taken = self.taken.entry(whose).or_default();
        if taken.len() >= MOST {
            let (_, socket) = taken.swap_remove(random() as usize % MOST);
            // Its thread finds out.
            let _ = socket.shutdown(Shutdown::Both);
        }
        taken.push((number, socket));
    }

    fn take(&mut self, whose: Whose, number: u64) -> Option<TcpStream> {
        let taken = self.taken.get_mut(&whose)?;
        let place = taken.iter().position(|(it, _)| *it == number)?;
        let (_, socket) = taken.swap_remove(place);
        if taken.is_empty() {
            self.taken.remove(&whose);
        }
        Some(socket)
    }
}

/// Counts them.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Mutex<Places>>);

/// A place, as long as this is there, or until another one has it.
#[derive(Debug)]
pub struct Place {
    gate: Gate,
    from: IpAddr,
    whose: Whose,
    number: u64,
}

impl Gate {
    /// A place for a connection from this address. Without one for another descriptor it has none.
    pub fn enter(&self, from: IpAddr, is_known: bool, socket: &TcpStream) -> Option<Place> {
        let socket = socket.try_clone().ok()?;
        let whose = match is_known {
            true => Whose::Known(from),
            false => Whose::Strangers,
        };
        let mut places = self.places();
        let number = places.next;
        places.next += 1;
        places.put(whose, number, socket);
        drop(places);
        Some(Place {
            gate: self.clone(),
            from,
            whose,
            number,
        })
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The other side has proved to be a machine. False if another one has had the place meanwhile, or if that
    /// address has all of these: none of them ends for another one, as its thread may wait for the agent.
    pub fn prove(&mut self) -> bool {
        let mut places = self.gate.places();
        let whose = Whose::Proved(self.from);
        if places
            .taken
            .get(&whose)
            .is_some_and(|taken| taken.len() >= MOST)
        {
            return false;
        }
        let Some(socket) = places.take(self.whose, self.number) else {
            return false;
        };
        places.put(whose, self.number, socket);
        drop(places);
        self.whose = whose;
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.places().take(self.whose, self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;

    /// The two ends of a connection.
    fn connected(listener: &TcpListener) -> (TcpStream, TcpStream) {
        let at = listener.local_addr().expect("it listens");
        let client = TcpStream::connect(at).expect("it listens");
        (client, listener.accept().expect("it has connected").0)
    }

    fn has_ended(socket: &mut TcpStream) -> bool {
        socket.set_nonblocking(true).expect("it is a socket");
        matches!(socket.read(&mut [0]), Ok(0))
    }

    fn ended(clients: &mut [TcpStream]) -> usize {
        clients.iter_mut().map(has_ended).filter(|it| *it).count()
    }

    #[test]
    fn who_comes_has_a_place_among_its_own() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let gate = Gate::default();
        let ip = |last: usize| IpAddr::from([192, 0, 2, u8::try_from(last).expect("it is small")]);
        let (mut clients, mut places) = (Vec::new(), Vec::new());
        let mut come = |clients: &mut Vec<_>, from: usize, is_known| {
            let (client, server) = connected(&listener);
            clients.push(client);
            places.extend(gate.enter(ip(from), is_known, &server));
        };
        for number in 0..MOST + 2 {
            come(&mut clients, number, false);
        }
        let mut known = Vec::new();
        for _ in 0..MOST + 3 {
            come(&mut known, 100, true);
        }
        come(&mut known, 101, true);
        assert_eq!((ended(&mut clients), ended(&mut known)), (2, 3));
        assert!(!has_ended(known.last_mut().expect("it is there")));
        // Who has proved to be a machine stays, whoever else comes.
        let proved: Vec<_> = places.iter_mut().map(Place::prove).collect();
        assert_eq!(proved.iter().filter(|is_proved| !**is_proved).count(), 5);
        let mut later = Vec::new();
        for _ in 0..2 * MOST {
            let (client, server) = connected(&listener);
            later.push(client);
            places.extend(gate.enter(ip(100), true, &server));
        }
        assert_eq!((ended(&mut known), ended(&mut later)), (3, MOST));
        drop(places);
        assert!(gate.places().taken.is_empty());
    }
}
