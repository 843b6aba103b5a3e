// SPDX-License-Identifier: GPL-2.0
//! One change of a file at a time: who reads it to replace it waits for others.
//!
//! The lock is a file of its own beside it, as the file itself is another one after
//! each change. It stays there, empty: were it removed, two could have it at once.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{flock, FlockOperation};
use rustix::io::Errno;

use super::store::{target, MODE};
use crate::Failure;

/// The right to change a file, until this is gone.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "it is closed with this")] File);

impl Lock {
    /// Waits until nobody else changes the file, and says so.
    pub fn wait(path: &Path) -> Result<Self, Failure> {
        Self::take(path, || {
            let path = path.display();
            let text = format!("sgctl: another sgctl changes {path}: waiting until it is done\n");
            // At once, as others may say the same; that it cannot be seen is of no matter.
            let _ = io::stderr().write_all(text.as_bytes());
        })
    }

    fn take(path: &Path, waits: impl FnOnce()) -> Result<Self, Failure> {
        let lock = open(path).and_then(|file| {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) => waits(),
                other => return other.map(|()| file).map_err(Into::into),
            }
            // A signal that ends the program ends the waiting, too.
            rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))?;
            Ok(file)
        });
        lock.map(Self).map_err(|error| {
            let remedy = match error.kind() {
                io::ErrorKind::PermissionDenied => ": run sgctl as root",
                _ => "",
            };
            Failure::new(format!(
                "{} cannot be changed, as {} cannot be locked: {error}{remedy}",
                path.display(),
                place(path).display()
            ))
        })
    }
}

/// Where the lock of a file is.
fn place(path: &Path) -> PathBuf {
    let target = target(path);
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.lock"))
}

/// Only who may change the file is to keep others from it.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(false)
        .mode(MODE)
        .open(place(path))
}

#[cfg(test)]
mod tests {
    use super::super::store::tests::folder_of;
    use super::*;
    use std::fs;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn one_waits_for_the_other() {
        let folder = folder_of("lock");
        let path = folder.join("cluster.toml");
        let first = Lock::take(&path, || panic!("nobody else has it")).expect("it can be had");
        let (waits, waiting) = mpsc::channel();
        let is_free = AtomicBool::new(false);
        thread::scope(|scope| {
            let second = scope.spawn(|| {
                let lock = Lock::take(&path, || waits.send(()).expect("it is awaited"));
                assert!(is_free.load(Ordering::SeqCst));
                drop(lock.expect("it can be had"));
            });
            waiting.recv().expect("it has to wait");
            is_free.store(true, Ordering::SeqCst);
            drop(first);
            second.join().expect("it had it after the first one");
        });
        drop(Lock::take(&path, || panic!("nobody else has it")));
        assert!(!path.exists());
        fs::remove_dir_all(folder).expect("it is ours");
    }

    #[test]
    fn two_names_of_a_file_have_one_lock() {
        let folder = folder_of("lock-link");
        let (file, link) = (folder.join("file"), folder.join("link"));
        fs::write(&file, "").expect("it is ours");
        std::os::unix::fs::symlink(&file, &link).expect("it is ours");
        let folder_of_it = fs::canonicalize(&folder).expect("it is there");
        assert_eq!(place(&link), folder_of_it.join(".file.lock"));
        assert_eq!(place(&link), place(&file));
        fs::remove_dir_all(folder).expect("it is ours");
    }

    #[test]
    fn a_lock_that_cannot_be_had_is_told() {
        let failure = Lock::wait(Path::new("/proc/x/cluster.toml")).expect_err("it cannot be");
        let text = failure.to_string();
        assert!(text.contains("cannot be changed") && text.contains("/proc/x/.cluster.toml.lock"));
        assert_eq!(failure.status(), 1);
    }
}
