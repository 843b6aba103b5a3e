// SPDX-License-Identifier: GPL-2.0
//! Requests and answers over one netlink socket, of whatever protocol.
//!
//! It knows the frame of a message, how an answer ends, and that a dump which
//! the kernel marks as interrupted is to be read again. It knows no attribute.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::{NetlinkBuffer, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST};
use netlink_sys::{Socket, SocketAddr};

use super::Error;
use crate::option::array;

/// Largest datagram: the kernel fills at most half of this in a dump.
const DATAGRAM: usize = 65_536;
/// How often an interrupted dump is read again.
const TRIES: u32 = 16;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// Everything below is about the stream itself.
const NLMSG_MIN_TYPE: u16 = 16;

/// One message: its type, and what follows the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The type: a family's number, or that of a protocol.
    pub kind: u16,
    /// What follows the header.
    pub payload: Vec<u8>,
}

/// A netlink socket that talks to the kernel only.
pub struct Channel {
    socket: Socket,
    sequence: u32,
}

/// What a datagram says about the answer that it is a part of.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    More,
    Complete,
}

/// The parts of an answer so far.
#[derive(Debug, Default)]
struct Answer {
    messages: Vec<Message>,
    interrupted: bool,
}

impl Channel {
    /// Opens a socket of this netlink protocol.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn open(protocol: i32) -> Result<Self, Error> {
        let protocol = isize::try_from(protocol).map_err(|_| Error::Malformed)?;
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// Asks for one thing and tells the answer.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with the kernel's errno, or what the system says.
    pub fn ask(&mut self, kind: u16, payload: &[u8]) -> Result<Vec<Message>, Error> {
        self.exchange(kind, NLM_F_ACK, payload)
            .map(|answer| answer.messages)
    }

    /// Asks for everything, and again while what was read changed meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Channel::ask`]; [`Error::Unsteady`] when it changed at each try.
    pub fn dump(&mut self, kind: u16, payload: &[u8]) -> Result<Vec<Message>, Error> {
        for _ in 0..TRIES {
            let answer = self.exchange(kind, NLM_F_DUMP, payload)?;
            if !answer.interrupted {
                return Ok(answer.messages);
            }
        }
        Err(Error::Unsteady)
    }

    /// Receives the messages of a multicast group from now on.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn subscribe(&mut self, group: u32) -> Result<(), Error> {
        Ok(self.socket.add_membership(group)?)
    }

    /// Waits for a datagram and tells the messages in it.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] when the kernel had to throw messages away.
    pub fn receive(&mut self) -> Result<Vec<Message>, Error> {
        let mut answer = Answer::default();
        answer.read(&self.datagram()?, None)?;
        Ok(answer.messages)
    }

    fn exchange(&mut self, kind: u16, flags: u16, payload: &[u8]) -> Result<Answer, Error> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = frame(kind, NLM_F_REQUEST | flags, self.sequence, payload)?;
        self.socket.send_to(&request, &SocketAddr::new(0, 0), 0)?;
        let mut answer = Answer::default();
        while answer.read(&self.datagram()?, Some(self.sequence))? == Progress::More {}
        Ok(answer)
    }

    /// The next datagram that comes from the kernel; others are ignored.
    fn datagram(&self) -> Result<Vec<u8>, Error> {
        loop {
            let mut bytes = Vec::with_capacity(DATAGRAM);
            match self.socket.recv_from(&mut bytes, 0) {
                Ok((_, sender)) if sender.port_number() == 0 => return Ok(bytes),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    return Err(Error::Lost)
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Answer {
    /// Takes the messages of a datagram; with a sequence number, only those
    /// that answer the request of that number.
    fn read(&mut self, datagram: &[u8], sequence: Option<u32>) -> Result<Progress, Error> {
        let mut rest = datagram;
        while !rest.is_empty() {
            let buffer = NetlinkBuffer::new_checked(rest).map_err(|_| Error::Malformed)?;
            let length = usize::try_from(buffer.length()).map_err(|_| Error::Malformed)?;
            if sequence.is_none_or(|number| number == buffer.sequence_number()) {
                self.interrupted |= buffer.flags() & NLM_F_DUMP_INTR != 0;
                if self.take(buffer.message_type(), buffer.payload())? == Progress::Complete {
                    return Ok(Progress::Complete);
                }
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(Progress::More)
    }

    fn take(&mut self, kind: u16, payload: &[u8]) -> Result<Progress, Error> {
        match kind {
            NLMSG_ERROR | NLMSG_DONE => match i32::from_ne_bytes(array(payload)) {
                code if code < 0 => Err(Error::Refused(code.saturating_neg())),
                _ => Ok(Progress::Complete),
            },
            kind if kind < NLMSG_MIN_TYPE => Ok(Progress::More),
            kind => {
                self.messages.push(Message {
                    kind,
                    payload: payload.to_vec(),
                });
                Ok(Progress::More)
            }
        }
    }
}

/// A request with its header.
fn frame(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; 16 + payload.len()];
    let length = u32::try_from(bytes.len()).map_err(|_| Error::Malformed)?;
    let mut buffer = NetlinkBuffer::new(&mut bytes);
    buffer.set_length(length);
    buffer.set_message_type(kind);
    buffer.set_flags(flags);
    buffer.set_sequence_number(sequence);
    buffer.set_port_number(0);
    buffer.payload_mut().copy_from_slice(payload);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = frame(kind, flags, sequence, payload).expect("it is short");
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn payloads(answer: &Answer) -> Vec<&[u8]> {
        let messages = answer.messages.iter();
        messages.map(|message| message.payload.as_slice()).collect()
    }

    #[test]
    fn an_answer_goes_on_over_datagrams_until_it_is_done() {
        let mut answer = Answer::default();
        let mut first = message(20, 2, 7, &[1, 2, 3]);
        first.extend(message(20, 2, 7, &[4]));
        assert_eq!(answer.read(&first, Some(7)).ok(), Some(Progress::More));
        let last = message(NLMSG_DONE, 2, 7, &[0; 4]);
        assert_eq!(answer.read(&last, Some(7)).ok(), Some(Progress::Complete));
        assert_eq!(payloads(&answer), [&[1, 2, 3][..], &[4]]);
        assert!(!answer.interrupted);
    }

    #[test]
    fn an_interruption_is_seen_in_any_part() {
        for (more, done) in [(2 | NLM_F_DUMP_INTR, 2), (2, 2 | NLM_F_DUMP_INTR)] {
            let mut answer = Answer::default();
            let mut bytes = message(20, more, 1, &[1]);
            bytes.extend(message(NLMSG_DONE, done, 1, &[0; 4]));
            assert_eq!(answer.read(&bytes, Some(1)).ok(), Some(Progress::Complete));
            assert!(answer.interrupted);
        }
    }

    #[test]
    fn an_older_answer_is_passed_over() {
        let mut answer = Answer::default();
        let bytes = message(NLMSG_DONE, 2, 6, &[0; 4]);
        assert_eq!(answer.read(&bytes, Some(7)).ok(), Some(Progress::More));
    }

    #[test]
    fn a_refusal_tells_its_errno() {
        for kind in [NLMSG_ERROR, NLMSG_DONE] {
            let bytes = message(kind, 0, 1, &(-libc::ENOENT).to_ne_bytes());
            let error = Answer::default().read(&bytes, Some(1));
            assert!(
                matches!(error, Err(Error::Refused(libc::ENOENT))),
                "{error:?}"
            );
        }
    }

    #[test]
    fn broken_datagrams_are_refused() {
        let whole = message(20, 0, 1, &[1, 2, 3, 4]);
        for length in 1..whole.len() {
            let error = Answer::default().read(&whole[..length], None);
            assert!(matches!(error, Err(Error::Malformed)), "{length}");
        }
        let mut zero = whole;
        zero[..4].copy_from_slice(&[0; 4]);
        assert!(Answer::default().read(&zero, None).is_err());
    }
}
