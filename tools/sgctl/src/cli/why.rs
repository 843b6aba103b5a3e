// SPDX-License-Identifier: GPL-2.0
//! Options of `why`.

use std::net::SocketAddr;

use clap::Args;

const WHY_NOTES: &str = "\
LOCAL is the address that the client asked for, PEER the client's own, as \"ss -tn\" shows
them on the server. An IPv4-mapped IPv6 address is meant as IPv4, which is what its
packets are.

The kernel remembers connections that were redirected, passed on, spilled, dropped or
reset: of each group 256 at most, of which later ones take the place of earlier ones,
until the group ends. It remembers nothing of a connection that stayed with the listener that
it had looked up. For such a connection, and for a forgotten one, the exit status is 1.

If LOCAL is a cluster IP that this machine serves, it is told first which node the connection
belongs to, and, if that is away, why, and which deputy gets new connections meanwhile. Then
the exit status is 0 also if nothing is remembered. A keyed hash needs CAP_NET_ADMIN for this.

With --json it prints {\"local\", \"peer\", \"cluster\" (or null): {\"address\", \"slot\", \"owner\" and
\"deputy\": {\"node\", \"name\"} (or null), \"away\": {\"reason\", \"since_ms\"} (or null), as \"cluster
show\" has them}, \"group\", \"outcome\", \"reason\", \"home\": SOCKET,
\"taker\": SOCKET (or null), \"moves\", \"age_ms\"}. SOCKET is {\"cookie\", \"inode\", \"address\",
\"port\"}; all but the cookie are null when it is no member any more. All of them from \"group\" on are null when nothing is
remembered. The outcomes are
\"redirected\", \"handed\" (as a half-open request), \"rescued\" (as a complete connection),
\"spilled\" (to another machine of the cluster, and \"taker\" is null), \"dropped\" and
\"reset\"; the reasons \"queue-full\", \"promised\", \"stalled\", \"balanced\", \"leaving\",
\"overflow\", \"full\" and \"unfit\". \"home\" had it first, \"taker\" has it now.";

/// Arguments of `why`.
#[derive(Args, Debug)]
#[command(after_long_help = WHY_NOTES)]
pub struct WhyArgs {
    /// Address and port that the client asked for.
    #[arg(value_name = "LOCAL:PORT", value_parser = endpoint)]
    pub local: SocketAddr,
    /// Address and port of the client.
    #[arg(value_name = "PEER:PORT", value_parser = endpoint)]
    pub peer: SocketAddr,
    /// Print JSON instead of sentences.
    #[arg(long)]
    pub json: bool,
}

impl WhyArgs {
    /// Why the two cannot be the ends of one connection, if so.
    pub fn check(&self) -> Result<(), String> {
        if self.local.is_ipv4() == self.peer.is_ipv4() {
            return Ok(());
        }
        Err("one address is IPv4, the other IPv6: give those of one connection".to_owned())
    }
}

/// Reads one end of a connection.
fn endpoint(text: &str) -> Result<SocketAddr, String> {
    let endpoint: Option<SocketAddr> = text.parse().ok();
    endpoint
        .map(|end| SocketAddr::new(end.ip().to_canonical(), end.port()))
        .filter(|end| !end.ip().is_unspecified() && end.port() != 0)
        .ok_or_else(|| {
            "give an address and a port of a connection, such as 127.0.0.1:8080 or [::1]:8080"
                .to_owned()
        })
}

#[cfg(test)]
mod tests {
    use super::super::{refused, Cli};
    use super::*;
    use clap::error::ErrorKind;
    use clap::Parser;

    #[test]
    fn ends_have_an_address_and_a_port() {
        for (text, told) in [
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("[::1]:80", "[::1]:80"),
            ("[::ffff:10.0.0.1]:80", "10.0.0.1:80"),
        ] {
            let end = endpoint(text).map(|end| end.to_string());
            assert_eq!(end.as_deref(), Ok(told), "{text}");
        }
        for bad in [
            "",
            "80",
            ":80",
            "10.0.0.1",
            "10.0.0.1:0",
            "0.0.0.0:80",
            "[::]:80",
            "::1:80",
        ] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn both_ends_are_of_one_family() {
        let check = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.check());
        for good in [
            "sgctl why 10.0.0.1:80 10.0.0.2:4000",
            "sgctl why [::1]:80 [::1]:4000 --json",
            "sgctl why [::ffff:10.0.0.1]:80 10.0.0.2:4000",
        ] {
            assert_eq!(check(good).ok(), Some(Ok(())), "{good}");
        }
        let mixed = check("sgctl why [::1]:80 10.0.0.2:4000").expect("each is one");
        assert!(mixed.is_err_and(|why| why.contains(": ")));
    }

    #[test]
    fn both_ends_are_wanted() {
        for line in ["sgctl why", "sgctl why 10.0.0.1:80"] {
            assert_eq!(refused(line), ErrorKind::MissingRequiredArgument, "{line}");
        }
        let line = "sgctl why 10.0.0.1:80 4000";
        assert_eq!(refused(line), ErrorKind::ValueValidation);
    }
}
