// SPDX-License-Identifier: GPL-2.0
//! The options that set what a group or a cluster IP is to do, one for each setting that the
//! crate knows.

use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser, ValueParser};
use clap::{value_parser, Arg, ArgMatches, Args, Command, Error, FromArgMatches};
use service_group::netlink::ClusterSettings;
use service_group::{SettingDefinition, SettingKind, Settings};

use crate::cluster::file::{setting_lines, SettingLine};
use crate::view;

/// What a group is to do; what is not given stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct SettingArgs(pub Settings);

impl SettingArgs {
    /// The ids of the options.
    pub fn ids() -> impl Iterator<Item = &'static str> {
        Settings::GROUP.iter().map(|one| one.name)
    }
}

impl Args for SettingArgs {
    fn augment_args(command: Command) -> Command {
        let options = Settings::GROUP.iter().map(|one| option(one, "off", "on"));
        command.args(options)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        for one in Settings::GROUP {
            if let Some(number) = matches.get_one(one.name) {
                self.0.set(one.name, *number);
            }
        }
        Ok(())
    }
}

/// Those settings of a cluster IP that are checked each by itself; what is not given stays
/// as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClusterSettingArgs(pub [Option<u32>; ClusterSettings::COUNT]);

impl Args for ClusterSettingArgs {
    fn augment_args(command: Command) -> Command {
        command.args(setting_lines().map(|line| line_option(&line)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ClusterSettingArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = ClusterSettings::ALL.map(|one| matches.get_one(one.name).copied());
        Ok(Self(given))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The option of a line of the file, which says what it is at first.
fn line_option(line: &SettingLine) -> Arg {
    let mut one = line.definition;
    one.bounds.1 = line.most;
    let option = option(&one, "false", "true");
    let help = one.help.trim_end_matches('.');
    match one.kind {
        SettingKind::Switch => option,
        _ => option.help(format!("{help}; {} if it is new", line.initial)),
    }
}

/// The option of a setting, whose value is the kernel's number.
fn option(one: &SettingDefinition, off: &'static str, on: &'static str) -> Arg {
    let (least, most) = one.bounds;
    let mut help = one.help.trim_end_matches('.').to_owned();
    let parser = match one.kind {
        SettingKind::Name(names) => name(names),
        SettingKind::Switch => {
            let names = PossibleValuesParser::new([off, on]);
            ValueParser::new(names.map(move |text| u32::from(text == on)))
        }
        SettingKind::Milliseconds => {
            let longest = Duration::from_millis(most.into());
            help += &format!(". From 1ms to {}, or \"off\"", view::time_or_off(longest));
            ValueParser::new(move |text: &str| time_or_off(text, longest))
        }
        _ => value_parser!(u32)
            .range(i64::from(least)..=i64::from(most))
            .into(),
    };
    let value = match one.kind {
        SettingKind::Switch => format!("{on}|{off}"),
        _ => unit(one),
    };
    let option = Arg::new(one.name).long(one.name.replace('_', "-"));
    option.value_name(value).value_parser(parser).help(help)
}

/// What stands for the value of an option that is no switch.
fn unit(one: &SettingDefinition) -> String {
    match one.kind {
        SettingKind::Milliseconds => "DURATION".to_owned(),
        SettingKind::Seconds => "SECONDS".to_owned(),
        SettingKind::Name(_) => one.name.to_uppercase(),
        _ => "N".to_owned(),
    }
}

/// Reads one of these names, as its place.
fn name(names: &'static [(&'static str, &'static str)]) -> ValueParser {
    let values = names
        .iter()
        .map(|(name, text)| PossibleValue::new(*name).help(*text));
    let parser = PossibleValuesParser::new(values);
    ValueParser::new(parser.map(|text| {
        let place = names.iter().position(|(name, _)| *name == text);
        place
            .and_then(|place| u32::try_from(place).ok())
            .unwrap_or(u32::MAX)
    }))
}

/// Reads a time up to the longest one, in the whole milliseconds that the kernel counts; "off" is
/// zero.
fn time_or_off(text: &str, longest: Duration) -> Result<u32, String> {
    if text == "off" {
        return Ok(0);
    }
    let time = humantime::parse_duration(text).unwrap_or_default();
    let whole = time.subsec_nanos() % 1_000_000 == 0;
    let number = u32::try_from(time.as_millis()).ok();
    let fits = whole && !time.is_zero() && time <= longest;
    number.filter(|_| fits).ok_or_else(|| {
        format!(
            "give a time from 1ms to {} in whole milliseconds, such as 100ms or 2s, or off",
            view::time_or_off(longest)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::{refused, Cli, ClusterCommand, Command as Subcommand};
    use super::*;
    use clap::error::ErrorKind;
    use clap::Parser;
    use service_group::MAX_STALL;

    /// What these options of `cluster set` set.
    fn cluster(options: &str) -> Vec<(&'static str, u32)> {
        let line = format!("sgctl cluster set 198.51.100.7{options}");
        let cli = Cli::try_parse_from(line.split(' ')).expect("it is right");
        let Subcommand::Cluster(args) = cli.command else {
            panic!("{line}");
        };
        match args.command {
            ClusterCommand::Set(args) => {
                let all = ClusterSettings::ALL.iter().zip(args.address.settings.0);
                all.filter_map(|(one, number)| Some((one.name, number?)))
                    .collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn settings_of_a_cluster_ip_have_the_ranges_of_the_file() {
        assert_eq!(cluster(""), []);
        assert_eq!(cluster(" --settle 86400"), [("settle", 86_400)]);
        assert_eq!(
            cluster(" --settle 0 --spill true"),
            [("settle", 0), ("spill", 1)]
        );
        assert_eq!(cluster(" --spill false"), [("spill", 0)]);
        for bad in ["settle 86401", "settle -1", "spill on"] {
            let kind = refused(&format!("sgctl cluster set 198.51.100.7 --{bad}"));
            let kinds = [
                ErrorKind::ValueValidation,
                ErrorKind::InvalidValue,
                ErrorKind::UnknownArgument,
            ];
            assert!(kinds.contains(&kind), "{bad}: {kind}");
        }
    }

    #[test]
    fn times_have_a_range_and_whole_milliseconds() {
        for (text, number) in [
            ("1ms", 1),
            ("100ms", 100),
            ("1s 500ms", 1500),
            ("60s", 60_000),
            ("1m", 60_000),
            ("off", 0),
        ] {
            assert_eq!(time_or_off(text, MAX_STALL), Ok(number), "{text}");
        }
        for bad in [
            "", "0", "0s", "100", "999us", "1500us", "60001ms", "2h", "never", "-1s",
        ] {
            assert!(time_or_off(bad, MAX_STALL).is_err(), "{bad}");
        }
    }
}
