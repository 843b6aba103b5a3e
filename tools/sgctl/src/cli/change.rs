// SPDX-License-Identifier: GPL-2.0
//! What a group is to do: the options that `set`, `attach` and `run` share, and
//! those of `set`.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};
use service_group::{Policy, Settings, WhenFull, MAX_ADOPT, MAX_STALL, MAX_WEIGHT};

/// What a group is to do; what is not given stays as it is.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct SettingArgs {
    /// Which member a connection is given to.
    #[arg(long, value_enum, value_name = "POLICY")]
    pub policy: Option<PolicyArg>,
    /// What becomes of a SYN when no member has room.
    #[arg(long, value_enum, value_name = "ACTION")]
    pub when_full: Option<WhenFullArg>,
    /// Stall time: a member is stalled when connections wait in its queue and its program
    /// has accepted none for this time. 1ms to 60s, or "off" for never. Less than 10ms needs
    /// CAP_NET_ADMIN in the initial user namespace.
    #[arg(long, value_name = "DURATION", value_parser = stall)]
    pub stall: Option<Duration>,
    /// Whether programs see the address that their listener is bound to, in place
    /// of the one that the client asked for.
    #[arg(long, value_enum, value_name = "on|off")]
    pub rewrite: Option<OnOff>,
    /// Adopt time: for how long the group keeps the place of a member that has ended. A
    /// listener that begins to listen in that place, as after a reload, becomes a member.
    /// 1ms to 24h, or "off". More than a minute needs CAP_NET_ADMIN.
    #[arg(long, value_name = "DURATION", value_parser = adopt)]
    pub adopt: Option<Duration>,
}

impl SettingArgs {
    /// As the crate has them.
    pub fn settings(&self) -> Settings {
        let mut settings = Settings::new();
        settings.policy = self.policy.map(Policy::from);
        settings.when_full = self.when_full.map(WhenFull::from);
        settings.stall = self.stall;
        settings.rewrite = self.rewrite.map(|rewrite| rewrite == OnOff::On);
        settings.adopt = self.adopt;
        settings
    }
}

/// A value of `--policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PolicyArg {
    /// The listener that the kernel finds, while it has room; else the least
    /// loaded sibling. New groups do this.
    Overflow,
    /// The least loaded of those that have room and are not stalled.
    Balance,
}

impl From<PolicyArg> for Policy {
    fn from(policy: PolicyArg) -> Self {
        match policy {
            PolicyArg::Overflow => Self::Overflow,
            PolicyArg::Balance => Self::Balance,
        }
    }
}

/// A value of `--when-full`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WhenFullArg {
    /// It is dropped, and the client tries again. New groups do this.
    Drop,
    /// It is answered with a reset, and the client is told at once.
    Reset,
}

impl From<WhenFullArg> for WhenFull {
    fn from(when_full: WhenFullArg) -> Self {
        match when_full {
            WhenFullArg::Drop => Self::Drop,
            WhenFullArg::Reset => Self::Reset,
        }
    }
}

/// A value of `--rewrite`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnOff {
    /// Programs see the address of their listener.
    On,
    /// Programs see the address that the client asked for. New groups do this.
    Off,
}

/// Reads a stall time; "off" is zero.
fn stall(text: &str) -> Result<Duration, String> {
    time_or_off(text, MAX_STALL).ok_or_else(|| {
        "give a time from 1ms to 60s in whole milliseconds, such as 100ms or 2s, or off".to_owned()
    })
}

/// Reads an adopt time; "off" is zero.
fn adopt(text: &str) -> Result<Duration, String> {
    time_or_off(text, MAX_ADOPT).ok_or_else(|| {
        "give a time from 1ms to 24h in whole milliseconds, such as 60s or 10m, or off".to_owned()
    })
}

/// Reads a time up to the longest one, in the whole milliseconds that the kernel counts.
fn time_or_off(text: &str, longest: Duration) -> Option<Duration> {
    if text == "off" {
        return Some(Duration::ZERO);
    }
    let time = humantime::parse_duration(text).ok()?;
    let whole = time.subsec_nanos() % 1_000_000 == 0;
    (whole && !time.is_zero() && time <= longest).then_some(time)
}

/// How a member is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberName {
    /// By its socket's cookie.
    Cookie(u64),
    /// By its socket's inode number.
    Inode(u64),
    /// By the address and port that it is bound to.
    Endpoint(SocketAddr),
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cookie(cookie) => write!(f, "with cookie {cookie}"),
            Self::Inode(inode) => write!(f, "with inode {inode}"),
            Self::Endpoint(endpoint) => write!(f, "at {endpoint}"),
        }
    }
}

/// Reads a member's name.
fn member(text: &str) -> Result<MemberName, String> {
    let inode = text.strip_prefix("inode:").map(str::parse);
    let name = match (inode, text.parse(), text.parse()) {
        (Some(inode), _, _) => inode.ok().map(MemberName::Inode),
        (None, Ok(cookie), _) => Some(MemberName::Cookie(cookie)),
        (None, _, endpoint) => endpoint.ok().map(MemberName::Endpoint),
    };
    name.ok_or_else(|| {
        "give a cookie, inode:NUMBER, or an address and port such as 127.0.0.1:80".to_owned()
    })
}

const SET_NOTES: &str = "\
It needs CAP_NET_ADMIN in the network namespace. What is not given stays as it is.
A group and its members can be changed in one call; the group comes first.

A member is named by its cookie (\"show --json\" and \"monitor\" tell it), by its inode
number as inode:NUMBER (\"show\" tells it), or by the address and port that it is
bound to, which then means every member there.

With --json it prints what was changed: {\"group\": 1, \"policy\", \"when_full\", \"stall_ms\"
(0: never), \"rewrite\", \"adopt_ms\" (0: off), \"members\": [{\"cookie\", \"inode\", \"address\"
(or null), \"port\", \"weight\"}, ...]}; settings that were not given are left out.";

/// Arguments of `set`.
#[derive(Args, Debug)]
#[command(
    after_long_help = SET_NOTES,
    group(ArgGroup::new("change").required(true).multiple(true)
        .args(["policy", "when_full", "stall", "rewrite", "adopt", "weight"]))
)]
pub struct SetArgs {
    /// The group that is changed, or whose members are.
    #[arg(long, value_name = "ID")]
    pub group: u32,
    /// What the group is to do.
    #[command(flatten)]
    pub settings: SettingArgs,
    /// The members that get the weight; may be given several times.
    #[arg(long, value_name = "MEMBER", num_args = 1.., requires = "weight",
          value_parser = member)]
    pub member: Vec<MemberName>,
    /// Weight of these members: one of weight 4 gets connections until four times as many
    /// wait in it as in one of weight 1.
    #[arg(long, value_name = "N", requires = "member",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_WEIGHT)))]
    pub weight: Option<u32>,
    /// Print JSON instead of sentences.
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::super::{refused, Cli, Command};
    use super::*;
    use clap::error::ErrorKind;
    use clap::Parser;

    fn set(line: &str) -> SetArgs {
        let cli = Cli::try_parse_from(line.split(' ')).expect("it is right");
        match cli.command {
            Command::Set(args) => args,
            other => panic!("{line} is taken as {other:?}"),
        }
    }

    #[test]
    fn stall_times_have_a_range_and_whole_milliseconds() {
        for (text, time) in [
            ("1ms", Duration::from_millis(1)),
            ("100ms", Duration::from_millis(100)),
            ("1s 500ms", Duration::from_millis(1500)),
            ("60s", MAX_STALL),
            ("1m", MAX_STALL),
            ("off", Duration::ZERO),
        ] {
            assert_eq!(stall(text), Ok(time), "{text}");
        }
        for bad in [
            "", "0", "0s", "100", "999us", "1500us", "60001ms", "2h", "never", "-1s",
        ] {
            assert!(stall(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn members_have_three_names() {
        for (text, name) in [
            ("5", MemberName::Cookie(5)),
            ("inode:4711", MemberName::Inode(4711)),
            (
                "10.0.0.1:80",
                MemberName::Endpoint(([10, 0, 0, 1], 80).into()),
            ),
        ] {
            assert_eq!(member(text), Ok(name), "{text}");
        }
        assert!(member("[::1]:80").is_ok());
        for bad in [
            "", "x", "-1", "inode:", "inode:x", "10.0.0.1", ":80", "::1:80",
        ] {
            assert!(member(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn set_wants_something_to_change() {
        for line in [
            "sgctl set",
            "sgctl set --group 1",
            "sgctl set --policy balance",
            "sgctl set --group 1 --member 5",
            "sgctl set --group 1 --policy balance --member 5",
            "sgctl set --group 1 --weight 5",
        ] {
            assert_eq!(refused(line), ErrorKind::MissingRequiredArgument, "{line}");
        }
        for line in [
            "sgctl set --group 1 --policy fair",
            "sgctl set --group 1 --when-full wait",
            "sgctl set --group 1 --rewrite yes",
            "sgctl set --group 1 --member 5 --weight 0",
            "sgctl set --group 1 --member 5 --weight 65536",
            "sgctl set --group 1 --stall 61s",
            "sgctl set --group 1 --adopt 25h",
            "sgctl set --group 1 --adopt on",
        ] {
            assert!(
                matches!(
                    refused(line),
                    ErrorKind::ValueValidation | ErrorKind::InvalidValue
                ),
                "{line}"
            );
        }
    }

    #[test]
    fn what_is_given_is_set_and_no_more() {
        let args =
            set("sgctl set --group 1 --when-full reset --stall off --rewrite on --adopt 24h");
        let expected = Settings::new()
            .when_full(WhenFull::Reset)
            .stall(Duration::ZERO)
            .rewrite(true)
            .adopt(MAX_ADOPT);
        assert_eq!(args.settings.settings(), expected);
        let args = set("sgctl set --group 1 --member 5 [::1]:80 --member 6 --weight 65535");
        assert!(args.settings.settings().is_empty());
        assert_eq!((args.member.len(), args.weight), (3, Some(MAX_WEIGHT)));
        let args = set("sgctl set --group 1 --policy balance --weight 2 --member 5");
        assert_eq!(
            args.settings.settings(),
            Settings::new().policy(Policy::Balance)
        );
        assert_eq!(args.weight, Some(2));
    }
}
