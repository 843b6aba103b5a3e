// SPDX-License-Identifier: GPL-2.0
//! `sgctl cluster add`, `set`, `del`, `node` and `drain`: change the file, plan its
//! tables, apply it here, and give it to the other machines; all of it, or nothing.

mod addresses;
mod cautions;
mod everywhere;
mod nodes;

use std::path::Path;
use std::time::SystemTime;

use clap::ValueEnum;
use serde::Serialize;
use toml_edit::Value;

use crate::agent::push::{self, Outcome as Given, Wish};

use super::apply::{alone, own_name, prepare, How, Prepared, Report};
use super::file::edit::{checked, Edit, Kind};
use super::file::lock::Lock;
use super::file::{read, store, Config, Node};
use super::plan::{plan_after, Change, Plan};
use crate::cli::{
    ChangeArgs, ClusterAddArgs, ClusterDelArgs, ClusterSetArgs, DrainArgs, NodeCommand,
};
use crate::{output, Failure};
use addresses::{add_address, del_address, set_address};
use cautions::cautions;
use everywhere::{check, Reach};
use nodes::{add_node, del_node, find_node, set_node};

pub use nodes::new_id;

/// What an entry is given.
type Fields = Vec<(&'static str, Value)>;

/// What was changed, as `--json` tells it.
#[derive(Debug, Serialize)]
struct Outcome {
    file: String,
    plan: Vec<Change>,
    apply: Option<Report>,
    push: Option<Given>,
}

/// Runs `cluster add`.
pub fn add(args: &ClusterAddArgs) -> Result<(), Failure> {
    change(&args.change, |config, edit| add_address(config, edit, args))
}

/// Runs `cluster set`.
pub fn set(args: &ClusterSetArgs) -> Result<(), Failure> {
    change(&args.change, |config, edit| set_address(config, edit, args))
}

/// Runs `cluster del`.
pub fn del(args: &ClusterDelArgs) -> Result<(), Failure> {
    change(&args.change, |config, edit| del_address(config, edit, args))
}

/// Runs `cluster node`.
pub fn node(command: &NodeCommand) -> Result<(), Failure> {
    match command {
        NodeCommand::Add(args) => {
            change_or_begin(&args.change, |config, edit| add_node(config, edit, args))
        }
        NodeCommand::Set(args) => change(&args.change, |config, edit| set_node(config, edit, args)),
        NodeCommand::Del(args) => change(&args.change, |config, edit| del_node(config, edit, args)),
    }
}

/// Runs `cluster drain`.
pub fn drain(args: &DrainArgs) -> Result<(), Failure> {
    change(&args.change, |config, edit| {
        let at = find_node(config, &args.name)?;
        edit.put(Kind::Node, at, "state", "draining".into());
        Ok(())
    })
}

/// Changes the text of a file with `edit`, and plans it.
fn planned(
    path: &Path,
    text: &str,
    edit: impl FnOnce(&Config, &mut Edit) -> Result<(), Failure>,
) -> Result<(Config, Plan), Failure> {
    let (before, mut document) = checked(path, text)?;
    edit(&before, &mut document)?;
    let plan = outcome(path, &document.text(), &before.nodes).map_err(|reason| {
        Failure::usage(format!("{} was not changed: {reason}", path.display()))
    })?;
    let after = Config {
        former: before.nodes,
        ..store::config(path, &plan.text)?
    };
    Ok((after, plan))
}

/// The plan of a text that is no file yet, so that nobody knows its lines.
fn outcome(path: &Path, text: &str, former: &[Node]) -> Result<Plan, String> {
    read(text).map_err(|problem| problem.reason)?;
    plan_after(path, text, SystemTime::now(), 0, former).map_err(|failure| {
        let text = failure.to_string();
        let place = format!("{}:", path.display());
        let reason = text.strip_prefix(&place).and_then(|it| it.split_once(": "));
        reason.map_or(text.clone(), |(_, reason)| reason.to_owned())
    })
}

/// Changes the file with `edit`, and does all that follows. Without a file nothing is made, neither
/// its folder nor its lock.
fn change(
    args: &ChangeArgs,
    edit: impl FnOnce(&Config, &mut Edit) -> Result<(), Failure>,
) -> Result<(), Failure> {
    store::text(&args.file)?;
    change_or_begin(args, edit)
}

/// The same, also with a file that is not there.
fn change_or_begin(
    args: &ChangeArgs,
    edit: impl FnOnce(&Config, &mut Edit) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let path = &args.file;
    store::folder(path, args.dry_run)?;
    let lock = match args.dry_run {
        true => None,
        false => Some(Lock::wait(path)?),
    };
    let text = store::text_or_nothing(path)?;
    let (config, plan) = planned(path, &text, edit)?;
    for one in cautions(&config) {
        eprintln!("sgctl: {one}");
    }
    let prepared = prepared(args, &config)?;
    let reach = Reach::of(args, &store::config(path, &text)?, &config);
    let asked = reach.ask(&plan.text, Wish::Check);
    if let Err(failure) = check(asked.as_ref(), args) {
        return refused(args, plan.changes, asked, failure);
    }
    // Before anything is applied, so that no full disk has it undone.
    let draft = match args.dry_run {
        true => None,
        false => Some(store::Draft::write(path, &plan.text)?),
    };
    let publish = || draft.map_or(Ok(()), store::Draft::publish);
    if !args.json {
        let mut text: String = plan.changes.iter().map(Change::words).collect();
        text.extend(prepared.iter().map(|it| it.report.sentences()));
        output::text(&text)?;
    }
    let report = match prepared {
        Some(prepared) => Some(prepared.carry_out(publish)?),
        None => publish().map(|()| None)?,
    };
    // Another machine may have the same file.
    drop(lock);
    let push = match args.dry_run {
        true => asked,
        false => reach.ask(&plan.text, Wish::Take),
    };
    let not_taken = push.as_ref().map_or(0, Given::refused);
    tell(args, (plan.changes, report), push, &reach)?;
    match not_taken {
        0 => Ok(()),
        count => Err(push::not_taken(count).and("give it to them with \"sgctl cluster push\"")),
    }
}

/// Says who refuses the change, of which nothing was done.
fn refused(
    args: &ChangeArgs,
    plan: Vec<Change>,
    push: Option<Given>,
    failure: Failure,
) -> Result<(), Failure> {
    match args.json {
        true => output::json(&Outcome {
            file: args.file.display().to_string(),
            plan,
            apply: None,
            push,
        })?,
        false => output::text(&push.map_or_else(String::new, |it| it.words(args.dry_run)))?,
    }
    Err(failure)
}

/// What is to be done on this machine, unless the file alone is changed.
fn prepared<'a>(args: &ChangeArgs, config: &'a Config) -> Result<Option<Prepared<'a>>, Failure> {
    let path = &args.file;
    if args.no_apply {
        store::warn_if_open(path, config);
        return Ok(None);
    }
    let how = How {
        node: args.node.as_deref(),
        dry_run: args.dry_run,
        goes_on: false,
    };
    own_name(config, how.node)
        .map_err(|failure| Failure::usage(format!("{failure}, or leave it out with --no-apply")))?;
    prepare(path, config, how, alone(how.dry_run)).map(Some)
}

/// Says what was done, and what is to be done next; or everything, as JSON.
fn tell(
    args: &ChangeArgs,
    (plan, apply): (Vec<Change>, Option<Report>),
    push: Option<Given>,
    reach: &Reach,
) -> Result<(), Failure> {
    let file = args.file.display().to_string();
    if args.json {
        return output::json(&Outcome {
            file,
            plan,
            apply,
            push,
        });
    }
    let given = push.map_or_else(String::new, |it| it.words(args.dry_run));
    let written = match (args.dry_run, args.no_apply) {
        (true, true) => "nothing was written\n".to_owned(),
        (true, false) => String::new(),
        (false, true) => reach.next(&file, ""),
        (false, false) => reach.next(&file, "other "),
    };
    output::text(&(given + &written))
}

fn list(names: &[String]) -> String {
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}

/// The name of a value of the command line, which is the file's too.
fn word(value: &impl ValueEnum) -> Value {
    let value = value.to_possible_value();
    value
        .map_or_else(String::new, |value| value.get_name().to_owned())
        .into()
}

fn given<const N: usize>(fields: [(&'static str, Option<Value>); N]) -> Fields {
    let fields = fields.into_iter();
    fields
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
}

fn put_all(edit: &mut Edit, kind: Kind, at: usize, fields: Fields) -> Result<(), Failure> {
    if fields.is_empty() {
        return Err(Failure::usage(
            "there is nothing to change: say what, see --help",
        ));
    }
    for (key, value) in fields {
        edit.put(kind, at, key, value);
    }
    Ok(())
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
