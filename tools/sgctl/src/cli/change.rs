// SPDX-License-Identifier: GPL-2.0
//! The options of `set`.

use std::fmt;
use std::net::SocketAddr;

use clap::{ArgGroup, Args};
use service_group::MAX_WEIGHT;

use super::SettingArgs;
use crate::view;

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
bound to, which then means every member there.";

/// What `set` says of itself.
fn set_notes() -> String {
    let settings = view::json_names().join(", ");
    format!(
        "{SET_NOTES}\n\nWith --json it prints what was changed: {{\"group\": 1, {settings}, \
         \"members\": [{{\"cookie\", \"inode\", \"address\" (or null), \"port\", \
         \"weight\"}}, ...]}}; settings that were not given are left out, and times are in \
         milliseconds, 0 if they are off."
    )
}

/// Arguments of `set`.
#[derive(Args, Debug)]
#[command(
    after_long_help = set_notes(),
    group(ArgGroup::new("change").required(true).multiple(true)
        .args(SettingArgs::ids().chain(["weight"])))
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
    use service_group::{Policy, Settings, WhenFull, MAX_ADOPT};
    use std::time::Duration;

    fn set(line: &str) -> SetArgs {
        let cli = Cli::try_parse_from(line.split(' ')).expect("it is right");
        match cli.command {
            Command::Set(args) => args,
            other => panic!("{line} is taken as {other:?}"),
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
        assert_eq!(args.settings.0, expected);
        let args = set("sgctl set --group 1 --member 5 [::1]:80 --member 6 --weight 65535");
        assert!(args.settings.0.is_empty());
        assert_eq!((args.member.len(), args.weight), (3, Some(MAX_WEIGHT)));
        let args = set("sgctl set --group 1 --policy balance --weight 2 --member 5");
        assert_eq!(args.settings.0, Settings::new().policy(Policy::Balance));
        assert_eq!(args.weight, Some(2));
    }
}
