// SPDX-License-Identifier: GPL-2.0
//! Which machines this one was linked to before.
//!
//! The kernel takes a machine for unreachable that it is told to expect and does not hear of, and gives the
//! machine's new connections to others. But a machine of the file whose agent was never started serves as it did
//! before there were links, and its connections are nobody else's. So the kernel is told of a machine only once
//! that has proved itself here, and of all such after a reboot, when some of them may be dead.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::cluster::file::store::Draft;
use crate::cluster::file::values;
use crate::Failure;

/// The file beside the keys.
const NAME: &str = "machine.met";

/// The ids of these machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    path: PathBuf,
    cluster: String,
    ids: BTreeSet<u32>,
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
            true => lines.map(str::parse).collect::<Result<_, _>>(),
            false => Ok(BTreeSet::new()),
        };
        let ids =
            ids.map_err(|_| failure(&path, "it has a line that is no id: remove the file"))?;
        Ok(Self { path, cluster, ids })
    }

    /// Whether this one was linked.
    pub fn has(&self, id: u32) -> bool {
        self.ids.contains(&id)
    }

    /// This one is linked now. Whether that is news; the file cannot be written is an error, and then it
    /// is known for as long as this agent runs.
    pub fn add(&mut self, id: u32) -> Result<bool, Failure> {
        if !self.ids.insert(id) {
            return Ok(false);
        }
        let mut lines = vec![self.cluster.clone()];
        lines.extend(self.ids.iter().map(u32::to_string));
        Draft::write(&self.path, &(lines.join("\n") + "\n"))?.publish()?;
        Ok(true)
    }
}

fn failure(path: &Path, why: &str) -> Failure {
    Failure::new(format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::file::store::tests::folder_of;

    const ONE: [u8; 16] = [1; 16];
    const OTHER: [u8; 16] = [2; 16];

    #[test]
    fn who_was_linked_is_known_afterwards() {
        let folder = folder_of("known-afterwards");
        let mut known = Known::load(&folder, &ONE).expect("there is none");
        assert!(!known.has(2));
        assert_eq!(known.add(2), Ok(true));
        assert_eq!(known.add(2), Ok(false));
        assert_eq!(known.add(11), Ok(true));
        let again = Known::load(&folder, &ONE).expect("it was written");
        assert_eq!(again, known);
        assert!(again.has(2) && again.has(11) && !again.has(1));
        fs::remove_dir_all(&folder).expect("it is there");
    }

    #[test]
    fn machines_of_another_cluster_are_strangers() {
        let folder = folder_of("known-another");
        let mut known = Known::load(&folder, &ONE).expect("there is none");
        known.add(2).expect("it can be written");
        let mut other = Known::load(&folder, &OTHER).expect("it is right");
        assert!(!other.has(2));
        other.add(3).expect("it can be written");
        assert!(!Known::load(&folder, &ONE).expect("it is right").has(2));
        fs::remove_dir_all(&folder).expect("it is there");
    }

    #[test]
    fn what_is_no_such_file_is_told() {
        let folder = folder_of("known-broken");
        fs::write(folder.join(NAME), format!("{}\nx\n", "01".repeat(16))).expect("a file");
        let told = Known::load(&folder, &ONE).expect_err("it is wrong");
        assert!(told.to_string().contains("remove the file"), "{told}");
        fs::remove_dir_all(&folder).expect("it is there");
    }

    #[test]
    fn without_a_place_it_is_known_for_now() {
        let mut known = Known::load(Path::new("/nonexistent"), &ONE).expect("there is none");
        assert!(known.add(2).is_err());
        assert!(known.has(2));
        assert_eq!(known.add(2), Ok(false));
    }
}
