// SPDX-License-Identifier: GPL-2.0
//! The network between the machines of the model: links come and end, and frames take their time.

use service_group_logic::logic::links::liveness::Said;

use super::Cluster;

/// The end of a link at one machine.
pub(super) struct Link {
    /// Which of all links that there were.
    pub(super) number: u64,
    /// When the peer was heard of on it, or it began.
    pub(super) heard: u64,
    /// What the peer sent last.
    pub(super) echo: u64,
}

pub(super) enum Message {
    Hello,
    Heartbeat { sent: u64, said: Said },
    End,
}

pub(super) struct Frame {
    pub(super) at: u64,
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) link: u64,
    pub(super) message: Message,
}

impl Cluster {
    pub(super) fn send(&mut self, from: u32, to: u32, link: u64, message: Message) {
        let earlier = self
            .frames
            .iter()
            .filter(|frame| (frame.from, frame.to) == (from, to));
        let last = earlier.map(|frame| frame.at).max().unwrap_or(0);
        // Mostly fast.
        let most = [self.max_delay / 1000, self.max_delay][usize::from(self.random.below(20) == 0)];
        let at = last.max(self.now + self.random.below(most + 1));
        self.frames.push(Frame {
            at,
            from,
            to,
            link,
            message,
        });
    }

    pub(super) fn connect(&mut self, low: u32, high: u32) {
        let is_cut = self.is_cut(low, high) || self.is_cut(high, low);
        let is_linked = self.machines[&low].links.contains_key(&high)
            || self.machines[&high].links.contains_key(&low);
        let works = self.machines[&low].works() && self.machines[&high].works();
        if is_cut || is_linked || !works || self.random.below(4) > 0 {
            return;
        }
        self.links += 1;
        let number = self.links;
        for (one, other) in [(low, high), (high, low)] {
            let link = Link {
                number,
                heard: self.now,
                echo: 0,
            };
            self.machines
                .get_mut(&one)
                .unwrap()
                .links
                .insert(other, link);
            self.send(one, other, number, Message::Hello);
        }
    }

    pub fn is_cut(&self, from: u32, to: u32) -> bool {
        self.cuts.contains(&(from, to))
    }

    /// What is cut off or comes to a frozen machine waits, as TCP has it.
    pub(super) fn deliver(&mut self) {
        let mut frames = std::mem::take(&mut self.frames);
        frames.sort_by_key(|frame| frame.at);
        for frame in frames {
            let link = self.machines[&frame.to].links.get(&frame.from);
            if link.is_none_or(|link| link.number != frame.link) {
                continue;
            }
            let is_due = frame.at <= self.now && !self.machines[&frame.to].frozen;
            match is_due && !self.is_cut(frame.from, frame.to) {
                true => self.receive(frame),
                false => self.frames.push(frame),
            }
        }
    }

    fn receive(&mut self, frame: Frame) {
        let now = self.now;
        let machine = self.machines.get_mut(&frame.to).unwrap();
        let links = &mut machine.links;
        let link = links.get_mut(&frame.from).unwrap();
        link.heard = now;
        let peer = machine.peers.get_mut(&frame.from).unwrap();
        match frame.message {
            Message::Hello => drop(peer.linked(now)),
            Message::Heartbeat { sent, said } => {
                link.echo = sent;
                peer.heard(now, said);
            }
            Message::End => {
                links.remove(&frame.from);
                peer.lost(now);
            }
        }
        self.assure(frame.to);
    }
}
