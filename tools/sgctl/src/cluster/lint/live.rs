// SPDX-License-Identifier: GPL-2.0
//! The packets that pass a device of this machine, from now on.

use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pnet_datalink::{channel, interfaces, Channel, ChannelType, Config, DataLinkReceiver};

use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use rustix::net::{socket_with, AddressFamily, SocketFlags, SocketType};
use signal_hook::consts::SIGINT;

use super::flows::Flows;
use super::progress::Progress;
use crate::{output, Failure};

/// Packets of all protocols, without their link header.
const ALL: u16 = 3;
/// Room for the largest packet, merged ones included.
const BUFFER: usize = 1 << 18;
/// Room for packets that have come and were not looked at yet.
const QUEUE: usize = 1 << 24;
/// How long to wait for a packet before looking at the clock.
const WAIT: Duration = Duration::from_millis(100);

/// Adds the flows of so many seconds, or until SIGINT comes.
pub fn watch(device: &str, seconds: u32, flows: &mut Flows) -> Result<(), Failure> {
    let stopped = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, stopped.clone())
        .map_err(|error| Failure::new(format!("signals could not be caught: {error}")))?;
    let mut receiver = open(device)?;
    let mut progress = Progress::new();
    let end = Instant::now() + Duration::from_secs(seconds.into());
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || stopped.load(Ordering::Relaxed) {
            return Ok(());
        }
        match receiver.next() {
            Ok(packet) => flows.add(packet, packet.len()),
            Err(error) if is_idle(&error) => {}
            Err(error) => return Err(Failure::new(format!("{device} cannot be read: {error}"))),
        }
        progress.tell(|| {
            let flows = output::count(flows.len(), "flow");
            format!("{} s left, {flows}; Ctrl-C ends it", left.as_secs())
        });
    }
}

fn is_idle(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    [Interrupted, TimedOut, WouldBlock].contains(&error.kind())
}

fn open(device: &str) -> Result<Box<dyn DataLinkReceiver>, Failure> {
    let found = interfaces().into_iter().find(|one| one.name == device);
    let interface = found.ok_or_else(|| {
        Failure::new(format!(
            "there is no device \"{device}\": look with \"ip link\""
        ))
    })?;
    let socket = socket().map_err(|error| refusal(device, &error))?;
    let config = Config {
        channel_type: ChannelType::Layer3(ALL),
        read_buffer_size: BUFFER,
        read_timeout: Some(WAIT),
        promiscuous: false,
        // The channel closes it.
        socket_fd: Some(socket.into_raw_fd()),
        ..Config::default()
    };
    match channel(&interface, config) {
        Ok(Channel::Ethernet(_, receiver)) => Ok(receiver),
        Ok(_) => Err(Failure::new(format!("{device} gives no packets"))),
        Err(error) => Err(refusal(device, &error)),
    }
}

/// A socket that gets no packets before it is bound.
fn socket() -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::PACKET, SocketType::DGRAM);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    // Beyond the limit it takes CAP_NET_ADMIN; with less room more packets are missed.
    if set_socket_recv_buffer_size_force(&socket, QUEUE).is_err() {
        set_socket_recv_buffer_size(&socket, QUEUE)?;
    }
    Ok(socket)
}

fn refusal(device: &str, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Failure::new(
            "watching a device needs CAP_NET_RAW: run sgctl as root, or read a capture",
        ),
        _ => Failure::new(format!("{device} cannot be watched: {error}")),
    }
}
