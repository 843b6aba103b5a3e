// SPDX-License-Identifier: GPL-2.0
//! `sgctl cluster init`: makes the key of this machine, and has the file know it by the fingerprint.

use std::path::Path;

use rustix::system::uname;
use serde::Serialize;
use toml_edit::Value;

use super::apply::own_name;
use super::change::new_id;
use super::file::edit::{checked, Edit, Kind};
use super::file::links::Fingerprint;
use super::file::lock::Lock;
use super::file::{store, values, Config};
use super::plan::random_key;
use crate::agent::keys;
use crate::cli::ClusterInitArgs;
use crate::{output, Failure};

/// What was done, as `--json` tells it.
#[derive(Debug, Serialize)]
struct Outcome {
    name: String,
    fingerprint: String,
    keys: String,
    new_keys: bool,
    file: String,
    in_file: bool,
}

/// Runs the subcommand.
pub fn run(args: &ClusterInitArgs) -> Result<(), Failure> {
    let path = &args.file;
    let folder = keys::folder(args.keys.as_deref(), path);
    store::folder(path, false)?;
    let _lock = Lock::wait(path)?;
    let text = store::text_or_nothing(path)?;
    let config = store::config(path, &text)?;
    let name = name(args, &config)?;
    let new_keys = args.force || !keys::are_there(&folder);
    let keys = match new_keys {
        true => keys::make(&folder, &name)?,
        false => keys::load(&folder)?,
    };
    let fingerprint = keys.fingerprint();
    let new = entered(path, &text, (&name, fingerprint), args)?;
    if let Some(new) = new.as_ref().filter(|new| **new != text) {
        store::config(path, new)?;
        store::Draft::write(path, new)?.publish()?;
    }
    let outcome = Outcome {
        name,
        fingerprint: fingerprint.to_string(),
        keys: folder.display().to_string(),
        new_keys,
        file: path.display().to_string(),
        in_file: new.is_some(),
    };
    match args.json {
        true => output::json(&outcome),
        false => output::text(&outcome.words()),
    }
}

/// The name of this machine.
fn name(args: &ClusterInitArgs, config: &Config) -> Result<String, Failure> {
    if let Some(name) = &args.name {
        return Ok(name.clone());
    }
    own_name(config, None).or_else(|_| {
        let host = uname().nodename().to_string_lossy().into_owned();
        let short = host.split('.').next().unwrap_or_default();
        let name = values::machine(short).map_err(Failure::usage);
        name.map_err(|failure| Failure::usage(format!("{failure}, and give it with --name")))
    })
}

/// The file with the fingerprint of this machine; nothing if it does not know the machine.
fn entered(
    path: &Path,
    text: &str,
    (name, fingerprint): (&str, Fingerprint),
    args: &ClusterInitArgs,
) -> Result<Option<String>, Failure> {
    let (config, mut edit) = checked(path, text)?;
    let Some((kind, at, known)) = place(&config, name) else {
        let Some(address) = args.address else {
            return Ok(None);
        };
        common(&config, &mut edit)?;
        let fields: Vec<(&str, Value)> = vec![
            ("name", name.into()),
            ("id", i64::from(new_id(&config)).into()),
            ("address", address.to_string().into()),
            ("fingerprint", fingerprint.to_string().into()),
        ];
        edit.add(Kind::Node, fields);
        return Ok(Some(edit.text()));
    };
    if let Some(known) = known.filter(|known| *known != fingerprint && !args.force) {
        return Err(Failure::new(format!(
            "the file has another fingerprint for \"{name}\", {known}, and the key of this machine \
             has {fingerprint}: if that is the machine's, enter it with \"sgctl cluster node set \
             {name} --fingerprint {fingerprint}\""
        )));
    }
    common(&config, &mut edit)?;
    edit.put(kind, at, "fingerprint", fingerprint.to_string().into());
    Ok(Some(edit.text()))
}

/// Where the file has a machine, and its fingerprint.
fn place(config: &Config, name: &str) -> Option<(Kind, usize, Option<Fingerprint>)> {
    let nodes = config.nodes.iter().enumerate();
    let nodes = nodes.map(|(at, it)| (&it.name, (Kind::Node, at, it.fingerprint)));
    let directors = config.directors.iter().enumerate();
    let directors = directors.map(|(at, it)| (&it.name, (Kind::Director, at, it.fingerprint)));
    let mut all = nodes.chain(directors);
    all.find(|(known, _)| *known == name)
        .map(|(_, found)| found)
}

/// Gives the cluster an id, if it has none.
fn common(config: &Config, edit: &mut Edit) -> Result<(), Failure> {
    if config.links.is_none() {
        edit.begin_cluster(&values::key_text(&random_key()?));
    }
    Ok(())
}

impl Outcome {
    fn words(&self) -> String {
        let Self {
            name,
            fingerprint,
            keys,
            file,
            ..
        } = self;
        let made = match self.new_keys {
            true => format!("a new key of {name} is in {keys}"),
            false => format!("the key of {name} is in {keys} already (--force makes a new one)"),
        };
        let next = match self.in_file {
            true => format!(
                "{file} has the fingerprint: copy it to the other machines, with\nfingerprint = \
                 \"{fingerprint}\""
            ),
            false => format!(
                "add it where the file of the cluster is, with the address of this machine:\n    \
                 sgctl cluster node add {name} --address ADDRESS --fingerprint {fingerprint}"
            ),
        };
        format!("{made}\n{next}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, ClusterCommand, Command};
    use crate::cluster::file::samples::node;
    use clap::Parser;

    const OWN: Fingerprint = Fingerprint([1; 32]);
    const OTHER: Fingerprint = Fingerprint([2; 32]);

    fn args(line: &str) -> ClusterInitArgs {
        let words = ["sgctl", "cluster", "init"]
            .into_iter()
            .chain(line.split_whitespace());
        let cli = Cli::try_parse_from(words).expect(line);
        match cli.command {
            Command::Cluster(args) => match args.command {
                ClusterCommand::Init(args) => args,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn after(text: &str, line: &str) -> Result<Option<String>, Failure> {
        entered(Path::new("x"), text, ("a", OWN), &args(line))
    }

    #[test]
    fn a_file_begins_with_this_machine() {
        let text = after("", "--address 192.0.2.11").expect("it is right");
        let text = text.expect("it is begun");
        let config = store::config(Path::new("x"), &text).expect("it is right");
        assert!(
            config.links.is_some() && text.starts_with("[cluster]\nid = \""),
            "{text}"
        );
        assert_eq!(config.nodes[0].fingerprint, Some(OWN));
        assert_eq!(
            (config.nodes[0].id.get(), config.nodes[0].name.as_str()),
            (1, "a")
        );
        // Once more it changes nothing.
        assert_eq!(after(&text, ""), Ok(Some(text.clone())));
        assert_eq!(after("", ""), Ok(None));
    }

    #[test]
    fn a_machine_of_the_file_is_given_its_fingerprint() {
        let comment = "# The cluster of the shop.\n";
        let text = format!("{comment}{}{}", node("b", 7, ""), node("a", 3, ""));
        let text = after(&text, "").expect("it is right").expect("it knows it");
        let config = store::config(Path::new("x"), &text).expect("it is right");
        let prints: Vec<_> = config.nodes.iter().map(|it| it.fingerprint).collect();
        assert_eq!(prints, [None, Some(OWN)]);
        assert!(text.contains(comment), "{text}");
        let director = "[[director]]\nname = \"a\"\nid = 1\naddress = \"192.0.2.1\"\n";
        let text = after(director, "")
            .expect("it is right")
            .expect("it knows it");
        let config = store::config(Path::new("x"), &text).expect("it is right");
        assert_eq!(config.directors[0].fingerprint, Some(OWN));
    }

    #[test]
    fn another_machine_is_added_below_the_same_id() {
        let first = after("", "--address 192.0.2.11")
            .ok()
            .flatten()
            .expect("it is begun");
        let added = entered(
            Path::new("x"),
            &first,
            ("b", OTHER),
            &args("--address 192.0.2.12"),
        );
        let added = added.ok().flatten().expect("it is added");
        assert!(added.starts_with(&first), "{added}");
        let config = store::config(Path::new("x"), &added).expect("it is right");
        assert_eq!(config.nodes[1].id.get(), 2);
    }

    #[test]
    fn another_fingerprint_is_replaced_by_force_only() {
        let cluster = "[cluster]\nid = \"000102030405060708090a0b0c0d0e0f\"\n";
        let text = format!(
            "{cluster}{}",
            node("a", 1, &format!("fingerprint = \"{OTHER}\""))
        );
        let failure = after(&text, "").expect_err("it is another one").to_string();
        assert!(failure.contains("node set a --fingerprint"), "{failure}");
        let text = after(&text, "--force")
            .expect("it is forced")
            .expect("it knows it");
        assert!(text.contains(&OWN.to_string()) && !text.contains(&OTHER.to_string()));
    }

    #[test]
    fn what_to_do_next_is_told() {
        let mut outcome = Outcome {
            name: "a".to_owned(),
            fingerprint: OWN.to_string(),
            keys: "/k".to_owned(),
            new_keys: true,
            file: "x".to_owned(),
            in_file: false,
        };
        let told = outcome.words();
        assert!(told.starts_with("a new key of a is in /k\n") && told.contains("node add a"));
        (outcome.new_keys, outcome.in_file) = (false, true);
        let told = outcome.words();
        assert!(told.contains("--force") && told.contains(&format!("fingerprint = \"{OWN}\"")));
    }
}
