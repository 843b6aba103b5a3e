// SPDX-License-Identifier: GPL-2.0
//! TLS as links have it: 1.3 only, one cipher, both sides proved, and nothing after the
//! handshake.
//!
//! The kernel has no answer to what may come later in a connection: no tickets are sent, no
//! session is resumed, and ChaCha20-Poly1305 needs no new key within any time. A session takes one
//! record at a time from the socket, so that all behind the last one is left to the kernel.

use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use rustls::client::Resumption;
use rustls::crypto::{ring, CryptoProvider};
use rustls::pki_types::ServerName;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{
    ClientConfig, ClientConnection, Connection, ConnectionTrafficSecrets, Error, ServerConfig,
    ServerConnection,
};
use service_group::ktls::{self, TrafficKey};

use super::keys::Keys;
use super::timed::Timed;
use super::verify::Verifier;

/// What the two sides of a connection mean to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The kernels are to have it.
    Link,
    /// The agents talk.
    Control,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Link, Self::Control];

    /// Its name in the handshake.
    pub fn name(self) -> &'static [u8] {
        match self {
            Self::Link => b"service-group-link/1",
            Self::Control => b"service-group-control/1",
        }
    }
}

/// Longest record: 2^14 bytes, and what encryption adds.
const RECORD: usize = (1 << 14) + 256;

/// What went wrong with a session.
#[derive(Debug)]
pub enum Trouble {
    /// The connection.
    Io(io::Error),
    /// The other side does not speak TLS.
    NoTls,
    /// TLS.
    Tls(Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The cryptography that is used.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256],
        kx_groups: vec![ring::kx_group::X25519],
        ..ring::default_provider()
    })
}

/// Key and certificate together, if they belong together.
pub fn certified(keys: &Keys) -> Result<CertifiedKey, Error> {
    let chain = vec![keys.certificate.clone()];
    CertifiedKey::from_der(chain, keys.key.clone_key(), &provider())
}

/// The side that connects, for one of these.
pub fn client(
    own: CertifiedKey,
    verifier: Arc<Verifier>,
    purposes: &[&[u8]],
) -> Result<Connection, Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
    config.alpn_protocols = purposes.iter().map(|name| name.to_vec()).collect();
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    config.enable_secret_extraction = true;
    // The name is not sent, and nobody looks at it: the fingerprint is what counts.
    let name = ServerName::IpAddress(IpAddr::from([0, 0, 0, 0]).into());
    ClientConnection::new(Arc::new(config), name).map(Connection::Client)
}

/// The side that listens.
pub fn server(own: CertifiedKey, verifier: Arc<Verifier>) -> Result<Connection, Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
    config.alpn_protocols = Purpose::ALL.map(|it| it.name().to_vec()).to_vec();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.enable_secret_extraction = true;
    ServerConnection::new(Arc::new(config)).map(Connection::Server)
}

/// A connection under TLS.
pub struct Session {
    connection: Connection,
    socket: Timed,
}

impl Session {
    /// Begins one on a connected socket, and ends with both sides proved.
    pub fn begin(connection: Connection, socket: Timed) -> Result<Self, Trouble> {
        let mut session = Self { connection, socket };
        session.flush()?;
        while session.connection.is_handshaking() {
            session.record()?;
            session.flush()?;
        }
        Ok(session)
    }

    /// What it is for, if both sides have agreed on that.
    pub fn purpose(&self) -> Option<Purpose> {
        let agreed = self.connection.alpn_protocol()?;
        Purpose::ALL.into_iter().find(|it| it.name() == agreed)
    }

    /// The certificate that the other side has proved to have.
    pub fn certificate(&self) -> Option<&rustls::pki_types::CertificateDer<'static>> {
        self.connection.peer_certificates()?.first()
    }

    /// From now on it may take until then.
    pub fn extend(&mut self, until: Instant) {
        self.socket.extend(until);
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.socket)?;
        }
        Ok(())
    }

    /// Takes one record from the socket, and nothing behind it.
    fn record(&mut self) -> Result<(), Trouble> {
        let mut bytes = vec![0; 5];
        self.socket.read_exact(&mut bytes)?;
        let [kind, major, _, high, low] = bytes[..] else {
            return Err(Trouble::NoTls);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        // Changes of the cipher, alerts, handshakes and data; all versions begin with 3.
        if !(20..=23).contains(&kind) || major != 3 || length > RECORD {
            return Err(Trouble::NoTls);
        }
        bytes.resize(5 + length, 0);
        self.socket.read_exact(&mut bytes[5..])?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            self.connection.read_tls(&mut rest)?;
        }
        match self.connection.process_new_packets() {
            Ok(_) => Ok(()),
            Err(error) => {
                // The other side is told why, if it still listens.
                if self.flush().is_ok() {
                    self.socket.finish();
                }
                Err(Trouble::Tls(error))
            }
        }
    }

    /// Gives the rest of the connection to the kernel, which has nothing been read of.
    pub fn into_kernel(mut self) -> io::Result<Timed> {
        self.flush()?;
        if !matches!(self.connection.reader().read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
        {
            return Err(io::Error::other(
                "the other side has said more than was to be said",
            ));
        }
        let secrets = self.connection.dangerous_extract_secrets();
        let secrets = secrets.map_err(io::Error::other)?;
        let (send, receive) = (traffic_key(secrets.tx)?, traffic_key(secrets.rx)?);
        ktls::enable(&self.socket, &send, &receive)?;
        Ok(self.socket)
    }
}

fn traffic_key((sequence, secrets): (u64, ConnectionTrafficSecrets)) -> io::Result<TrafficKey> {
    let ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } = secrets else {
        return Err(io::Error::other(
            "the cipher is another one than was asked for",
        ));
    };
    let mut traffic = TrafficKey {
        key: [0; 32],
        iv: [0; 12],
        sequence,
    };
    traffic.key.copy_from_slice(key.as_ref());
    traffic.iv.copy_from_slice(iv.as_ref());
    Ok(traffic)
}

impl Read for Session {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
            self.record().map_err(|trouble| match trouble {
                Trouble::Io(error) => error,
                Trouble::NoTls => io::Error::other("what came is no TLS"),
                Trouble::Tls(error) => io::Error::other(error),
            })?;
        }
    }
}

impl Write for Session {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let written = self.connection.writer().write(from)?;
        Session::flush(self)?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Session::flush(self)
    }
}
