// SPDX-License-Identifier: GPL-2.0
//! Telling systemd how the agent is: a datagram to the socket that `NOTIFY_SOCKET` names. Without one
//! nobody wants to know.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Tells it, if somebody wants to know.
pub fn notify(state: &str) {
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET") {
        // That it cannot be told is nothing that the agent could do something about.
        let _ = tell(&socket, state);
    }
}

/// What is told before the file is read again.
pub fn reloading() -> String {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let micros = now.tv_sec.saturating_mul(1_000_000) + now.tv_nsec / 1000;
    format!("RELOADING=1\nMONOTONIC_USEC={micros}")
}

fn tell(socket: &OsStr, state: &str) -> std::io::Result<usize> {
    let address = match socket.as_bytes().split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_abstract_names_are_told() {
        let name = format!("sgctl-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("it is short");
        let path = std::env::temp_dir().join(&name);
        for (receiver, socket) in [
            (UnixDatagram::bind_addr(&address), format!("@{name}").into()),
            (UnixDatagram::bind(&path), path.clone().into_os_string()),
        ] {
            let receiver = receiver.expect("it is free");
            tell(&socket, "READY=1").expect("it is there");
            let mut bytes = [0; 16];
            let length = receiver.recv(&mut bytes).expect("it was sent");
            assert_eq!(&bytes[..length], b"READY=1");
        }
        std::fs::remove_file(path).expect("it is ours");
        assert!(tell(OsStr::new("/nonexistent/x"), "READY=1").is_err());
    }
}
