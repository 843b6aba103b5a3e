// SPDX-License-Identifier: GPL-2.0
//! Why the kernel does not do what links need, as sentences or parts of one.

use rustix::io::Errno;
use service_group::netlink::Error;

use crate::Failure;

fn errno(error: &Error) -> Option<Errno> {
    match error {
        Error::Refused(number) => Some(Errno::from_raw_os_error(*number)),
        _ => None,
    }
}

/// Why the kernel does not do what links need.
pub fn refusal(error: Error) -> Failure {
    match errno(&error) {
        Some(Errno::OPNOTSUPP) => {
            Failure::new("the module knows no links: load the module that belongs to this program")
        }
        Some(Errno::PERM | Errno::ACCESS) => {
            Failure::new("links need CAP_NET_ADMIN in the network namespace: run sgctl as root")
        }
        _ => error.into(),
    }
}

/// Why the kernel has not taken a connection, as a part of a sentence.
pub fn not_added(error: Error) -> String {
    match errno(&error) {
        Some(Errno::NOENT) => "the module expects none, as this machine has left the cluster: \
                               restart the agent to take part again"
            .to_owned(),
        Some(Errno::NOTCONN) => "the connection has ended before the module had it".to_owned(),
        Some(Errno::OPNOTSUPP) => "the module wants TLS, and the connection has none".to_owned(),
        Some(Errno::USERS) => "this user has too many links".to_owned(),
        _ => refusal(error).to_string(),
    }
}

/// Why the kernel does not encrypt a connection, as a part of a sentence.
pub fn no_tls(error: &std::io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::NOENT | Errno::OPNOTSUPP | Errno::PROTONOSUPPORT) => {
            "the kernel of this machine has no TLS with ChaCha20-Poly1305: modprobe tls".to_owned()
        }
        Some(Errno::NOTCONN) => "it has closed the connection".to_owned(),
        _ => format!("the connection could not be given to the kernel: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(errno: Errno) -> Error {
        Error::Refused(errno.raw_os_error())
    }

    #[test]
    fn refusals_say_what_to_do() {
        for (errno, told) in [
            (Errno::OPNOTSUPP, "load the module"),
            (Errno::PERM, "as root"),
            (Errno::TOOBIG, "the kernel refused"),
        ] {
            let text = refusal(refused(errno)).to_string();
            assert!(text.contains(told), "{text}");
        }
        for (errno, told) in [
            (Errno::NOENT, "left the cluster"),
            (Errno::OPNOTSUPP, "wants TLS"),
            (Errno::NOTCONN, "has ended"),
            (Errno::USERS, "too many"),
            (Errno::PERM, "as root"),
        ] {
            let text = not_added(refused(errno));
            assert!(text.contains(told), "{text}");
        }
        for (errno, told) in [
            (Errno::NOENT, "modprobe tls"),
            (Errno::NOTCONN, "closed"),
            (Errno::NOMEM, "given to the kernel"),
        ] {
            let text = no_tls(&errno.into());
            assert!(text.contains(told), "{text}");
        }
    }
}
