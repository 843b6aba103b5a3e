// SPDX-License-Identifier: GPL-2.0
//! Reading the file, and replacing it at once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{fchown, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{describe, read, Config, FILE};
use crate::Failure;

/// Who may read a new file: it may have a key.
pub(super) const MODE: u32 = 0o600;

/// By how much the clocks of two machines differ that are taken for right.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

/// What tells that a file is another one.
pub type Stamp = Option<(u64, i64, i64, u64)>;

/// So many links the kernel follows.
const LINKS: usize = 40;

/// The text of a file.
pub fn text(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| {
        let path = path.display();
        match error.kind() {
            io::ErrorKind::NotFound => Failure::new(format!(
                "there is no file {path}: name the one that describes the cluster, or begin one \
                 with \"sgctl cluster node add\""
            )),
            io::ErrorKind::InvalidData => {
                Failure::usage(format!("{path} is no text in UTF-8: name another file"))
            }
            io::ErrorKind::PermissionDenied => {
                Failure::new(format!("{path} cannot be read: {error}: run sgctl as root"))
            }
            _ => Failure::new(format!(
                "{path} cannot be read: {error}: name a file that can be"
            )),
        }
    })
}

/// Which file is there now; nothing if there is none.
pub fn stamp(path: &Path) -> Stamp {
    let facts = fs::metadata(path).ok()?;
    Some((facts.ino(), facts.mtime(), facts.mtime_nsec(), facts.size()))
}

/// The text of a file; nothing if there is none.
pub fn text_or_nothing(path: &Path) -> Result<String, Failure> {
    match path.try_exists() {
        Ok(false) => Ok(String::new()),
        _ => text(path),
    }
}

/// Has the folder of a file be there: the package's own is made, unless nothing is to be changed. The
/// path of another one that is not there is taken for a wrong one.
pub fn folder(path: &Path, dry_run: bool) -> Result<(), Failure> {
    let target = target(path);
    let Some(folder) = target.parent().filter(|it| !it.as_os_str().is_empty()) else {
        return Ok(());
    };
    let missing = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
    match fs::metadata(folder) {
        Err(error) if missing.contains(&error.kind()) => {}
        // What else is wrong with it is told when the file is written.
        _ => return Ok(()),
    }
    if Path::new(FILE).parent() != Some(folder) {
        return Err(Failure::new(format!(
            "there is no folder {}: make it, or correct the path of the file",
            folder.display()
        )));
    }
    match dry_run {
        true => Ok(()),
        false => fs::create_dir_all(folder).map_err(|error| failure(folder, &error)),
    }
}

/// What a text describes; `path` is what it is called.
pub fn config(path: &Path, text: &str) -> Result<Config, Failure> {
    read(text).map_err(|problem| at(path, problem.line, &problem.reason))
}

/// Says so when others can read the keys of a file.
pub fn warn_if_open(path: &Path, config: &Config) {
    let mode = fs::metadata(path).map_or(0, |it| it.permissions().mode());
    if has_key(config) && mode & 0o077 != 0 {
        let path = path.display();
        eprintln!("sgctl: {path} has a key, and others can read it: chmod 600 {path}");
    }
}

/// Says so when links of a file prove nothing.
pub fn warn_if_insecure(config: &Config) {
    if config.links.is_some_and(|links| !links.is_secure) {
        eprintln!(
            "sgctl: links are neither encrypted nor proved, as link-security is \"none\" in the file"
        );
    }
}

/// Says which addresses were changed in the future, as this machine's clock has it: connections are
/// looked for at former owners until that time has come, and for the settle time after it.
pub fn warn_if_ahead(path: &Path, config: &Config, now: SystemTime) {
    for caution in changed_ahead(path, config, now) {
        eprintln!("sgctl: {caution}");
    }
}

fn changed_ahead(path: &Path, config: &Config, now: SystemTime) -> Vec<String> {
    let ahead = config.addresses.iter().filter_map(|address| {
        let changed = address.table.as_ref()?.changed?;
        let by = changed.duration_since(now).ok()?;
        (by > CLOCKS_DIFFER).then(|| {
            format!(
                "{}: {}: the table was changed at {}, which is in the future: a clock is or was wrong; \
                 set the clocks, then \"changed\" to the time of the change",
                path.display(),
                describe(&address.name),
                humantime::format_rfc3339_seconds(changed)
            )
        })
    });
    ahead.collect()
}

fn has_key(config: &Config) -> bool {
    config.addresses.iter().any(|address| address.key.is_some())
}

/// Something that is wrong with a line of a file.
pub fn at(path: &Path, line: usize, reason: &str) -> Failure {
    Failure::usage(format!("{}:{line}: {reason}", path.display()))
}

/// The file itself, where the path is a link to it, also if that is not there yet.
pub(super) fn target(path: &Path) -> PathBuf {
    if let Ok(file) = fs::canonicalize(path) {
        return file;
    }
    let mut file = path.to_owned();
    for _ in 0..LINKS {
        let Ok(link) = fs::read_link(&file) else {
            break;
        };
        file.pop();
        file.push(link);
    }
    file
}

/// A text that is written, but not yet in the place of the file.
#[derive(Debug)]
pub struct Draft {
    draft: PathBuf,
    target: PathBuf,
}

impl Draft {
    /// Writes the text beside the file.
    pub fn write(path: &Path, text: &str) -> Result<Self, Failure> {
        let target = target(path);
        let mut draft = target.clone().into_os_string();
        draft.push(format!(".new.{}", std::process::id()));
        let draft = Self {
            draft: draft.into(),
            target,
        };
        draft.fill(text).map_err(|error| failure(path, &error))?;
        Ok(draft)
    }

    fn fill(&self, text: &str) -> io::Result<()> {
        // One of a program that was killed, and had the same number: in a container each may have 1.
        let _ = fs::remove_file(&self.draft);
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(MODE)
            .open(&self.draft)?;
        if let Ok(old) = fs::metadata(&self.target) {
            // Whoever could read the file need not know the key that it has now.
            let keyed = |text: &str| read(text).is_ok_and(|config| has_key(&config));
            let had_key = fs::read_to_string(&self.target).is_ok_and(|old| keyed(&old));
            let kept = if keyed(text) && !had_key {
                MODE
            } else {
                0o7777
            };
            // Only root may give a file away; its group may be another one of the caller's.
            let is_of_group = fchown(&file, Some(old.uid()), Some(old.gid()))
                .or_else(|_| fchown(&file, None, Some(old.gid())))
                .is_ok();
            let shared = if is_of_group { 0o7777 } else { 0o7707 };
            let mode = old.permissions().mode() & kept & shared;
            file.set_permissions(fs::Permissions::from_mode(mode))?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// Puts it into the file's place.
    pub fn publish(self) -> Result<(), Failure> {
        fs::rename(&self.draft, &self.target).map_err(|error| failure(&self.target, &error))?;
        // What the disk says of the folder changes nothing any more.
        let folder = self
            .target
            .parent()
            .and_then(|folder| File::open(folder).ok());
        let _ = folder.map(|folder| folder.sync_all());
        Ok(())
    }
}

impl Drop for Draft {
    /// Removes it if it was not published.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.draft);
    }
}

fn failure(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{} cannot be written: {error}", path.display()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A folder of this test's own, which is empty.
    pub(crate) fn folder_of(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("sgctl-{name}-{}", std::process::id()));
        // One of that number may have been killed.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("it can be made");
        folder
    }

    #[test]
    fn a_change_in_the_future_is_told() {
        let text = "[[node]]\nname = \"a\"\nid = 1\naddress = \"192.0.2.1\"\n\
                    [[address]]\nip = \"198.51.100.7\"\ndevice = \"eth0\"\nslots = 2\nepoch = 2\n\
                    table = \"1 1\"\nbefore = \"0 1\"\nchanged = 2026-01-31T12:00:00Z\n";
        let config = config(Path::new("cluster.toml"), text).expect("it is right");
        let changed = config.addresses[0]
            .table
            .as_ref()
            .expect("it has one")
            .changed;
        let changed = changed.expect("it tells when");
        let ahead = |now| changed_ahead(Path::new("cluster.toml"), &config, now);
        assert!(ahead(changed - CLOCKS_DIFFER).is_empty() && ahead(changed).is_empty());
        let told = ahead(changed - CLOCKS_DIFFER - Duration::from_secs(1));
        assert!(told[0].contains("198.51.100.7") && told[0].contains("2026-01-31T12:00:00Z"));
    }

    #[test]
    fn a_file_is_replaced_at_once_and_keeps_its_mode() {
        let folder = folder_of("store");
        let path = folder.join("cluster.toml");
        assert_eq!(text_or_nothing(&path), Ok(String::new()));
        let draft = Draft::write(&path, "one").expect("it can be written");
        assert!(!path.exists());
        draft.publish().expect("it can be renamed");
        let mode = |path| {
            fs::metadata(path)
                .map(|it| it.permissions().mode() & 0o777)
                .ok()
        };
        assert_eq!(
            (text(&path), mode(&path)),
            (Ok("one".to_owned()), Some(0o600))
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("it is ours");
        let killed = folder.join(format!("cluster.toml.new.{}", std::process::id()));
        fs::write(killed, "of one that was killed").expect("it is ours");
        drop(Draft::write(&path, "two").expect("it can be written"));
        assert_eq!(text(&path), Ok("one".to_owned()));
        let draft = Draft::write(&path, "three").expect("it can be written");
        draft.publish().expect("it can be renamed");
        assert_eq!(
            (text(&path), mode(&path)),
            (Ok("three".to_owned()), Some(0o640))
        );
        let keyed = "[[address]]\nip = \"198.51.100.7\"\ndevice = \"eth0\"\nhash = \"keyed\"\n\
                     key = \"00112233445566778899aabbccddeeff\"\n";
        let draft = Draft::write(&path, keyed).expect("it can be written");
        draft.publish().expect("it can be renamed");
        assert_eq!(mode(&path), Some(0o600));
        // Who lets others read it now means it.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("it is ours");
        let draft = Draft::write(&path, keyed).expect("it can be written");
        draft.publish().expect("it can be renamed");
        assert_eq!(mode(&path), Some(0o640));
        let left = fs::read_dir(&folder).expect("it is there").count();
        assert_eq!(left, 1);
        fs::remove_dir_all(folder).expect("it is ours");
    }

    #[test]
    fn a_file_keeps_its_owner() {
        let folder = folder_of("owner");
        let path = folder.join("cluster.toml");
        fs::write(&path, "one").expect("it is ours");
        let owner = || fs::metadata(&path).map(|it| (it.uid(), it.gid())).ok();
        // Who is not root tests only that nothing else is done.
        let _ = std::os::unix::fs::chown(&path, Some(1001), Some(1002));
        let before = owner();
        let draft = Draft::write(&path, "two").expect("it can be written");
        draft.publish().expect("it can be renamed");
        assert_eq!((text(&path), owner()), (Ok("two".to_owned()), before));
        fs::remove_dir_all(folder).expect("it is ours");
    }

    #[test]
    fn a_link_stays_one() {
        let folder = folder_of("links");
        let (file, link, other) = (folder.join("x/file"), folder.join("link"), folder.join("y"));
        fs::create_dir_all(folder.join("x")).expect("it is ours");
        std::os::unix::fs::symlink("x/file", &link).expect("it is ours");
        std::os::unix::fs::symlink(&link, &other).expect("it is ours");
        // First the file is not there.
        for words in ["one", "two"] {
            for path in [&link, &other] {
                let draft = Draft::write(path, words).expect("it can be written");
                draft.publish().expect("it can be renamed");
                assert!(path.is_symlink());
                assert_eq!(text(&file), Ok(words.to_owned()));
            }
            fs::remove_file(&file).expect("it is ours");
        }
        let loop_of_one = folder.join("loop");
        std::os::unix::fs::symlink("loop", &loop_of_one).expect("it is ours");
        assert_eq!(target(&loop_of_one), loop_of_one);
        fs::remove_dir_all(folder).expect("it is ours");
    }

    #[test]
    fn a_folder_that_is_not_there_is_told() {
        let own = folder_of("folders");
        let file = own.join("file");
        fs::write(&file, "").expect("it is ours");
        assert_eq!(folder(Path::new("cluster.toml"), false), Ok(()));
        assert_eq!(folder(&file, false), Ok(()));
        for wrong in [
            "nodir/cluster.toml",
            "no/dir/cluster.toml",
            "file/x/cluster.toml",
        ] {
            for dry_run in [false, true] {
                let failure = folder(&own.join(wrong), dry_run).expect_err(wrong);
                let told = format!("there is no folder {}/", own.display());
                assert!(failure.to_string().starts_with(&told), "{failure}");
            }
            Draft::write(&own.join(wrong), "").expect_err(wrong);
        }
        assert_eq!(fs::read_dir(&own).expect("it is there").count(), 1);
        fs::remove_dir_all(own).expect("it is ours");
    }

    #[test]
    fn a_bad_file_is_told_apart_from_one_that_cannot_be_read() {
        let failure = config(Path::new("x.toml"), "\nnode = 7").expect_err("it is wrong");
        assert!(failure.to_string().starts_with("x.toml:2: "), "{failure}");
        assert_eq!(failure.status(), 2);
        let missing = text(Path::new("/nonexistent/x.toml")).expect_err("it is missing");
        assert!(missing.to_string().contains("node add"), "{missing}");
        let is_folder = text(Path::new("/")).expect_err("it is a folder");
        assert!(
            is_folder.to_string().contains("cannot be read"),
            "{is_folder}"
        );
        assert_eq!((missing.status(), is_folder.status()), (1, 1));
    }
}
