// SPDX-License-Identifier: GPL-2.0
//! Which machines this one was linked to before.
//!
//! The kernel takes a machine for unreachable that it is told to expect and does not hear of, and gives the
//! machine's new connections to others. But a machine of the file whose agent was never started serves as it did
//! before there were links, and its connections are nobody else's. So the kernel is told of a machine only once
//! that has proved itself here, and of all such after a reboot, when some of them may be dead.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::cluster::file::links::{Fingerprint, Machine};
use crate::cluster::file::store::Draft;
use crate::cluster::file::values;
use crate::Failure;

/// The file beside the keys.
const NAME: &str = "machine.met";

/// The ids of these machines, and the certificates that they have shown last, if links need one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    path: PathBuf,
    cluster: String,
    ids: BTreeMap<u32, Option<Fingerprint>>,
    /// Whether the file has these.
    is_written: bool,
}

impl Known {
    /// Those of this cluster, as the folder's file has them; nobody, if that is of another cluster.
    pub fn load(folder: &Path, cluster: &[u8; 16]) -> Result<Self, Failure> {
        let path = folder.join(NAME);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            text => text.map_err(|error| failure(&path, &error.to_string()))?,
        };
        let cluster = values::hex(cluster);
        let mut lines = text.lines();
        let ids = match lines.next() == Some(&cluster) {
            true => lines.map(known).collect(),
            false => Some(BTreeMap::new()),
        };
        let wrong = || failure(&path, "it has a line that is no machine: remove the file");
        let ids = ids.ok_or_else(wrong)?;
        Ok(Self {
            path,
            cluster,
            ids,
            is_written: true,
        })
    }

    /// Whether this one was linked.
    pub fn has(&self, id: u32) -> bool {
        self.ids.contains_key(&id)
    }

    /// Whether a machine has shown another certificate than the file's when it was linked last.
    pub fn has_other_key(&self, machine: &Machine) -> bool {
        let shown = self.ids.get(&machine.id.get()).copied().flatten();
        shown.is_some() && shown != machine.fingerprint
    }

    /// This one is linked now. Whether that is news; the file cannot be written is an error, and then it
    /// is known for as long as this agent runs, and the next change writes it.
    pub fn add(&mut self, machine: &Machine) -> Result<bool, Failure> {
        let before = self.ids.insert(machine.id.get(), machine.fingerprint);
        self.is_written &= before == Some(machine.fingerprint);
        self.write().map(|()| before.is_none())
    }

    /// Forgets all but these, which the file of the cluster has: another machine may get the id of one that
    /// is gone. That it cannot be written is an error.
    pub fn keep(&mut self, is_there: impl Fn(u32) -> bool) -> Result<(), Failure> {
        let before = self.ids.len();
        self.ids.retain(|id, _| is_there(*id));
        if self.ids.len() == before {
            // What could not be written was told then.
            let _ = self.write();
            return Ok(());
        }
        self.is_written = false;
        self.write()
    }

    /// Writes them, unless the file has them.
    fn write(&mut self) -> Result<(), Failure> {
        if self.is_written {
            return Ok(());
        }
        let lines = self.ids.iter().map(|(id, shown)| match shown {
            Some(shown) => format!("{id} {shown}\n"),
            None => format!("{id}\n"),
        });
        let text: String = lines.collect();
        Draft::write(&self.path, &format!("{}\n{text}", self.cluster))?.publish()?;
        self.is_written = true;
        Ok(())
    }
}

/// What a line says.
fn known(line: &str) -> Option<(u32, Option<Fingerprint>)> {
    let (id, shown) = match line.split_once(' ') {
        Some((id, shown)) => (id, Some(shown.parse().ok()?)),
        None => (line, None),
    };
    Some((id.parse().ok()?, shown))
}

fn failure(path: &Path, why: &str) -> Failure {
    Failure::new(format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use service_group_logic::logic::cluster::slots::NodeId;

    use super::*;
    use crate::cluster::file::store::tests::folder_of;

    const ONE: [u8; 16] = [1; 16];
    const OTHER: [u8; 16] = [2; 16];

    /// A machine whose certificate has so many bytes of that value.
    fn machine(id: u32, shown: Option<u8>) -> Machine {
        Machine {
            name: "m".to_owned(),
            id: NodeId::new(id).expect("it is not 0"),
            fingerprint: shown.map(|byte| Fingerprint([byte; 32])),
            listen: SocketAddr::from(([192, 0, 2, 1], 1)),
        }
    }

    #[test]
    fn which_key_was_shown_is_known_afterwards() {
        let folder = folder_of("known-keys");
        let mut known = Known::load(&folder, &ONE).expect("there is none");
        for (id, shown) in [(2, Some(1)), (3, None)] {
            assert!(!known.has_other_key(&machine(id, shown)));
            known.add(&machine(id, shown)).expect("it can be written");
        }
        let mut again = Known::load(&folder, &ONE).expect("it was written");
        assert_eq!(again, known);
        for (id, shown, expected) in [
            (2, Some(1), false),
            (2, Some(2), true),
            (2, None, true),
            (3, Some(1), false),
            (4, Some(1), false),
        ] {
            assert_eq!(again.has_other_key(&machine(id, shown)), expected);
        }
        // A machine with a new key is no new one.
        assert_eq!(again.add(&machine(2, Some(2))), Ok(false));
        let again = Known::load(&folder, &ONE).expect("it was written");
        assert!(again.has_other_key(&machine(2, Some(1))));
        fs::remove_dir_all(&folder).expect("it is there");
    }

    #[test]
    fn who_was_linked_is_known_afterwards() {
        let folder = folder_of("known-afterwards");
        let mut known = Known::load(&folder, &ONE).expect("there is none");
        assert!(!known.has(2));
        assert_eq!(known.add(&machine(2, None)), Ok(true));
        assert_eq!(known.add(&machine(2, None)), Ok(false));
        assert_eq!(known.add(&machine(11, None)), Ok(true));
        let again = Known::load(&folder, &ONE).expect("it was written");
        assert_eq!(again, known);
        assert!(again.has(2) && again.has(11) && !again.has(1));
        fs::remove_dir_all(&folder).expect("it is there");
    }

    #[test]
    fn machines_of_another_cluster_are_strangers() {
        let folder = folder_of("known-another");
        let mut known = Known::load(&folder, &ONE).expect("there is none");
        known.add(&machine(2, None)).expect("it can be written");
        let mut other = Known::load(&folder, &OTHER).expect("it is right");
        assert!(!other.has(2));
        other.add(&machine(3, None)).expect("it can be written");
        assert!(!Known::load(&folder, &ONE).expect("it is right").has(2));
        fs::remove_dir_all(&folder).expect("it is there");
    }

    #[test]
    fn what_is_no_such_file_is_told() {
        let folder = folder_of("known-broken");
        for line in ["x", "", "2 ", "2 SHA256:x", " 2"] {
            let text = format!("{}\n{line}\n", "01".repeat(16));
            fs::write(folder.join(NAME), text).expect("a file");
            let told = Known::load(&folder, &ONE).expect_err("it is wrong");
            assert!(told.to_string().contains("remove the file"), "{told}");
        }
        fs::remove_dir_all(&folder).expect("it is there");
    }

    #[test]
    fn who_is_gone_is_forgotten() {
        let folder = folder_of("known-gone");
        let mut known = Known::load(&folder, &ONE).expect("there is none");
        for id in [2, 3] {
            known.add(&machine(id, None)).expect("it can be written");
        }
        assert_eq!(known.keep(|_| true), Ok(()));
        assert_eq!(known.keep(|id| id == 2), Ok(()));
        let again = Known::load(&folder, &ONE).expect("it was written");
        assert_eq!(again, known);
        assert!(again.has(2) && !again.has(3));
        fs::remove_dir_all(&folder).expect("it is there");
    }

    #[test]
    fn without_a_place_it_is_known_for_now() {
        let folder = folder_of("known-later");
        fs::remove_dir(&folder).expect("it is empty");
        let mut known = Known::load(&folder, &ONE).expect("there is none");
        assert!(known.add(&machine(2, None)).is_err());
        assert!(known.has(2));
        assert!(known.add(&machine(2, None)).is_err());
        assert_eq!(known.keep(|_| true), Ok(()));
        // There is one now.
        fs::create_dir(&folder).expect("it can be made");
        let mut other = known.clone();
        assert_eq!(known.add(&machine(2, None)), Ok(false));
        assert!(Known::load(&folder, &ONE).expect("it was written").has(2));
        fs::remove_file(folder.join(NAME)).expect("it is there");
        assert_eq!(other.keep(|_| true), Ok(()));
        assert!(Known::load(&folder, &ONE).expect("it was written").has(2));
        fs::remove_dir_all(&folder).expect("it is there");
    }
}
