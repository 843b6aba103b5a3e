// SPDX-License-Identifier: GPL-2.0
//! TLS in the kernel: whoever has done the handshake gives the keys of a connection to its socket,
//! and what is written and read there is plain from then on.
//!
//! TLS 1.3 with ChaCha20-Poly1305 only, which is what links between machines have.

use std::fmt;
use std::io;
use std::os::fd::AsFd;

use crate::sys;

/// Level of the options of TLS, and its two directions (`linux/tls.h`).
const SOL_TLS: libc::c_int = 282;
const TLS_TX: libc::c_int = 1;
const TLS_RX: libc::c_int = 2;
/// `TLS_1_3_VERSION` and `TLS_CIPHER_CHACHA20_POLY1305`.
const VERSION: u16 = 0x0304;
const CIPHER: u16 = 54;

/// What encrypts one direction of a connection from now on.
#[derive(Clone, PartialEq, Eq)]
pub struct TrafficKey {
    /// The key.
    pub key: [u8; 32],
    /// The initialization vector.
    pub iv: [u8; 12],
    /// The number of the next record.
    pub sequence: u64,
}

impl fmt::Debug for TrafficKey {
    /// Without the key: it is not to be found in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrafficKey(..)")
    }
}

impl TrafficKey {
    /// As `struct tls12_crypto_info_chacha20_poly1305` has it.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(56);
        bytes.extend(VERSION.to_ne_bytes());
        bytes.extend(CIPHER.to_ne_bytes());
        bytes.extend(self.iv);
        bytes.extend(self.key);
        bytes.extend(self.sequence.to_be_bytes());
        bytes
    }
}

/// Has the kernel encrypt what is sent and decrypt what is received, from the next byte on in each
/// direction. Nothing behind the records that were counted may have been read from the socket.
///
/// # Errors
///
/// `ENOENT` when the kernel has no TLS (`modprobe tls`), `ENOTCONN` when the socket is not connected,
/// and what else the kernel says.
pub fn enable(socket: &impl AsFd, send: &TrafficKey, receive: &TrafficKey) -> io::Result<()> {
    let socket = socket.as_fd();
    let set = |level, name, value: &[u8]| {
        sys::set_at(socket, level, name, value).map_err(io::Error::from_raw_os_error)
    };
    set(libc::SOL_TCP, libc::TCP_ULP, b"tls")?;
    set(SOL_TLS, TLS_TX, &send.bytes())?;
    set(SOL_TLS, TLS_RX, &receive.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_layout_of_the_kernel_and_is_not_printed() {
        let key = TrafficKey {
            key: [7; 32],
            iv: [9; 12],
            sequence: 258,
        };
        let mut expected = vec![0x04, 0x03, 54, 0];
        if cfg!(target_endian = "big") {
            expected = vec![0x03, 0x04, 0, 54];
        }
        expected.extend([9; 12]);
        expected.extend([7; 32]);
        expected.extend([0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(key.bytes(), expected);
        assert_eq!(format!("{key:?}"), "TrafficKey(..)");
    }

    #[test]
    fn a_socket_that_is_not_connected_is_refused() {
        let key = TrafficKey {
            key: [0; 32],
            iv: [0; 12],
            sequence: 0,
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a port");
        assert!(enable(&listener, &key, &key).is_err());
    }
}
