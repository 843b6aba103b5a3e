// SPDX-License-Identifier: GPL-2.0
//! Changes of the file's text: comments, order and whatever is not changed stay.

use std::path::Path;

use service_group_logic::logic::cluster::slots::Slot;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value};

use super::{runs, store};
use crate::Failure;

/// What stands as `[[…]]` in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A machine that serves the addresses.
    Node,
    /// A machine that only directs.
    Director,
    /// A cluster IP.
    Address,
}

impl Kind {
    fn key(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Director => "director",
            Self::Address => "address",
        }
    }
}

/// A line of a table longer than this is broken.
const WIDTH: usize = 76;

/// A file that is being changed. Entries are named by their place among those of
/// their kind, as the configuration has them.
#[derive(Debug)]
pub struct Edit(DocumentMut);

impl Edit {
    /// Begins with this text, which has been read as a configuration before.
    pub fn new(path: &Path, text: &str) -> Result<Self, Failure> {
        let document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
            Failure::usage(format!("{} cannot be read: {error}", path.display()))
        })?;
        for kind in [Kind::Node, Kind::Director, Kind::Address] {
            let item = document.get(kind.key());
            if item.is_some_and(|item| !item.is_array_of_tables()) {
                return Err(Failure::usage(format!(
                    "{} cannot be changed: write each {1} of it as [[{1}]]",
                    path.display(),
                    kind.key()
                )));
            }
        }
        Ok(Self(document))
    }

    /// The text as it is now.
    pub fn text(&self) -> String {
        self.0.to_string()
    }

    /// Adds what the links of all machines have in common, in front of everything.
    pub fn begin_cluster(&mut self, id: &str) {
        let mut id: Value = id.into();
        if !self.0.is_empty() {
            // A line between it and what follows.
            id.decor_mut().set_suffix("\n");
        }
        let mut table = Table::new();
        table.insert("id", Item::Value(id));
        table.set_position(-1);
        self.0.insert("cluster", Item::Table(table));
    }

    /// Adds an entry.
    pub fn add(&mut self, kind: Kind, fields: Vec<(&str, Value)>) {
        let begins = self.0.is_empty();
        let new = || Item::ArrayOfTables(ArrayOfTables::new());
        let all = self.0.entry(kind.key()).or_insert_with(new);
        let mut table = Table::new();
        for (key, value) in fields {
            table.insert(key, Item::Value(value));
        }
        table.decor_mut().set_prefix(if begins { "" } else { "\n" });
        if let Some(all) = all.as_array_of_tables_mut() {
            all.push(table);
        }
    }

    /// Removes an entry.
    pub fn remove(&mut self, kind: Kind, place: usize) {
        let all = self.0.get_mut(kind.key());
        if let Some(all) = all.and_then(Item::as_array_of_tables_mut) {
            if place < all.len() {
                all.remove(place);
            }
        }
    }

    /// Gives an entry a value, in place of the one that it has.
    pub fn put(&mut self, kind: Kind, place: usize, key: &str, mut value: Value) {
        let Some(table) = self.table(kind, place) else {
            return;
        };
        match table.get_mut(key).and_then(Item::as_value_mut) {
            Some(old) => {
                *value.decor_mut() = old.decor().clone();
                *old = value;
            }
            None => {
                table.insert(key, Item::Value(value));
            }
        }
    }

    /// Takes a value from an entry.
    pub fn clear(&mut self, kind: Kind, place: usize, key: &str) {
        if let Some(table) = self.table(kind, place) {
            table.remove(key);
        }
    }

    fn table(&mut self, kind: Kind, place: usize) -> Option<&mut Table> {
        let all = self.0.get_mut(kind.key())?.as_array_of_tables_mut()?;
        all.get_mut(place)
    }
}

/// A table of slots as a value: one line, or several.
pub fn table(slots: &[Slot]) -> Value {
    let mut lines = vec![String::new()];
    for term in runs::terms(slots) {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(&term),
            Some(line) if line.len() + term.len() < WIDTH => {
                line.push(' ');
                line.push_str(&term);
            }
            _ => lines.push(term),
        }
    }
    if let [line] = &lines[..] {
        return line.as_str().into();
    }
    let mut array = Array::new();
    for line in lines {
        let value: Value = line.into();
        array.push_formatted(value.decorated("\n    ", ""));
    }
    array.set_trailing_comma(true);
    array.set_trailing("\n");
    array.into()
}

/// The text of a file that cannot be changed is told with its name.
pub fn checked(path: &Path, text: &str) -> Result<(super::Config, Edit), Failure> {
    Ok((store::config(path, text)?, Edit::new(path, text)?))
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use service_group_logic::logic::cluster::slots::NodeId;

    const TEXT: &str = "\
# The cluster of the shop.
[[node]] # the first one
name = \"a\"
id = 1   # never changed
address = \"192.0.2.11\"

# Out of order on purpose.
[[address]]
device = \"eth0\"
ip = \"198.51.100.7\"
settle = 5 # seconds

[[node]]
id = 2
name = \"b\"
address = \"192.0.2.12\"
# The end.
";

    fn edit(text: &str) -> Edit {
        Edit::new(Path::new("x"), text).expect("it is right")
    }

    #[test]
    fn comments_and_order_stay() {
        let mut edit = edit(TEXT);
        assert_eq!(edit.text(), TEXT);
        edit.put(Kind::Node, 0, "id", 7.into());
        edit.put(Kind::Address, 0, "settle", 6.into());
        edit.put(Kind::Node, 1, "state", "down".into());
        let expected = TEXT
            .replace("id = 1", "id = 7")
            .replace("settle = 5", "settle = 6")
            .replace("192.0.2.12\"\n", "192.0.2.12\"\nstate = \"down\"\n");
        assert_eq!(edit.text(), expected);
        edit.clear(Kind::Node, 1, "state");
        edit.put(Kind::Node, 0, "id", 1.into());
        edit.put(Kind::Address, 0, "settle", 5.into());
        assert_eq!(edit.text(), TEXT);
    }

    #[test]
    fn entries_come_and_go() {
        let mut edit = edit(TEXT);
        edit.remove(Kind::Node, 1);
        let fields = vec![
            ("name", "c".into()),
            ("id", 3.into()),
            ("address", "10.0.0.1".into()),
        ];
        edit.add(Kind::Node, fields);
        edit.remove(Kind::Node, 9);
        let text = edit.text();
        assert!(
            text.starts_with("# The cluster of the shop.\n[[node]] # the"),
            "{text}"
        );
        let config = read(&text).expect("it is right");
        let names: Vec<&str> = config.machines();
        assert_eq!(names, ["a", "c"]);
    }

    #[test]
    fn a_file_can_begin_with_nothing() {
        let mut edit = edit("");
        edit.add(Kind::Node, vec![("name", "a".into())]);
        edit.add(Kind::Node, vec![("name", "b".into())]);
        assert_eq!(
            edit.text(),
            "[[node]]\nname = \"a\"\n\n[[node]]\nname = \"b\"\n"
        );
    }

    #[test]
    fn long_tables_are_broken_and_read_again() {
        let short: Vec<Slot> = vec![NodeId::new(1); 84];
        assert_eq!(table(&short).to_string(), "\"1x84\"");
        let long: Vec<Slot> = (0..200u32).map(|n| NodeId::new(n * n % 1009)).collect();
        let value = table(&long);
        let array = value.as_array().expect("it has several lines");
        assert!(array.len() > 3);
        let lines: Vec<&str> = array.iter().filter_map(Value::as_str).collect();
        assert!(lines.iter().all(|line| line.len() <= WIDTH));
        assert_eq!(runs::parse(&lines.join(" ")), Ok(long));
        assert!(value.to_string().starts_with("[\n    \"0 1 4"), "{value}");
    }

    #[test]
    fn inline_entries_are_refused() {
        let text = "node = [{ name = \"a\", id = 1, address = \"192.0.2.1\" }]";
        assert!(read(text).is_ok());
        let failure = Edit::new(Path::new("x"), text).expect_err("it is inline");
        assert!(failure.to_string().contains("[[node]]"), "{failure}");
    }
}
