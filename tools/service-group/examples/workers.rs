// SPDX-License-Identifier: GPL-2.0
//! Two listening sockets of one port become a group, which serves a connection.
//!
//! workers [PORT]: without a port the kernel chooses one.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use rustix::event::{poll, PollFd, PollFlags};
use rustix::net::listen;
use service_group::{form_at, info};

fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).unwrap_or_default();
    let port = if port.is_empty() { 0 } else { port.parse()? };

    let address = "127.0.0.1".parse()?;
    let (group, sockets) = form_at(&[address, address], port)?;

    let mut listeners = Vec::new();
    for socket in sockets {
        listen(&socket, 16)?;
        listeners.push(TcpListener::from(socket));
    }
    let address = listeners[0].local_addr()?;
    println!("group {group} on {address}");
    for (number, listener) in (1..).zip(&listeners) {
        let member = info(listener)?;
        println!(
            "member {number} of {}: {}, {} of {} queued",
            member.members, member.state, member.queued, member.backlog
        );
    }
    serve_once(&listeners, address)
}

/// Connects to the group, and serves that by the socket that got it.
fn serve_once(listeners: &[TcpListener], address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let mut client = TcpStream::connect(address)?;
    let mut ready: Vec<PollFd> = listeners
        .iter()
        .map(|listener| PollFd::new(listener, PollFlags::IN))
        .collect();
    poll(&mut ready, None)?;
    let chosen = ready.iter().position(|fd| !fd.revents().is_empty());
    let chosen = chosen.ok_or("no listener is ready")?;
    let (mut served, _) = listeners[chosen].accept()?;
    served.write_all(b"hello")?;
    drop(served);
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    println!("member {} said {answer}", chosen + 1);
    Ok(())
}
