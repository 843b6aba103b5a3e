// SPDX-License-Identifier: GPL-2.0
//! Which processes hold which sockets, and borrowing a socket from one.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::fd::{OwnedFd, RawFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{pidfd_getfd, pidfd_open, Pid, PidfdFlags, PidfdGetfdFlags};

use crate::plan::Reason;

/// Which processes the security module Yama lets trace others, where there is one.
const YAMA: &str = "/proc/sys/kernel/yama/ptrace_scope";
/// None, and it cannot be lowered any more.
const NOBODY: &str = "3";

/// One descriptor of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// Its descriptor.
    pub fd: RawFd,
}

/// The processes that hold each socket that was asked for.
#[derive(Debug, Default)]
pub struct Owners(HashMap<u64, Vec<Holder>>);

impl Owners {
    /// Looks through the descriptors of these processes, or of all.
    pub fn of(inodes: &HashSet<u64>, pids: &[u32]) -> Self {
        Self::below(Path::new("/proc"), inodes, pids)
    }

    /// As [`Owners::of`], of another folder than /proc.
    fn below(proc: &Path, inodes: &HashSet<u64>, pids: &[u32]) -> Self {
        let mut owners = Self::default();
        let pids = if pids.is_empty() {
            numbers(proc)
        } else {
            pids.to_vec()
        };
        for pid in pids {
            // A process may end meanwhile, or be another user's.
            let folder = proc.join(pid.to_string()).join("fd");
            for fd in numbers::<RawFd>(&folder) {
                let link = fs::read_link(folder.join(fd.to_string()));
                let inode = link.ok().and_then(|link| socket_inode(link.to_str()?));
                if let Some(inode) = inode.filter(|inode| inodes.contains(inode)) {
                    owners.0.entry(inode).or_default().push(Holder { pid, fd });
                }
            }
        }
        owners
    }

    /// Those that hold this socket.
    pub fn holders(&self, inode: u64) -> &[Holder] {
        self.0.get(&inode).map_or(&[], Vec::as_slice)
    }

    /// The processes that hold this socket, each once, in order.
    pub fn pids(&self, inode: u64) -> Vec<u32> {
        let mut pids: Vec<u32> = self.holders(inode).iter().map(|h| h.pid).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Borrows the socket from the first process that lets us.
    pub fn borrow(&self, inode: u64) -> Result<OwnedFd, Reason> {
        let mut reason = Reason::Unseen;
        for holder in self.holders(inode) {
            match take(*holder) {
                // The process may have put another file in its place.
                Ok(fd) if rustix::fs::fstat(&fd).is_ok_and(|stat| stat.st_ino == inode) => {
                    return Ok(fd)
                }
                Err(Errno::PERM | Errno::ACCESS) => {
                    reason = refused(holder.pid, fs::read_to_string(YAMA).ok().as_deref());
                }
                Ok(_) | Err(_) => {}
            }
        }
        Err(reason)
    }
}

/// Why a process could not be asked, with this text in [`YAMA`].
fn refused(pid: u32, scope: Option<&str>) -> Reason {
    match scope.map(str::trim) {
        Some(NOBODY) => Reason::Sealed,
        _ => Reason::NotPermitted { pid },
    }
}

fn take(holder: Holder) -> Result<OwnedFd, Errno> {
    let pid = i32::try_from(holder.pid).ok().and_then(Pid::from_raw);
    let pidfd = pidfd_open(pid.ok_or(Errno::SRCH)?, PidfdFlags::empty())?;
    pidfd_getfd(pidfd, holder.fd, PidfdGetfdFlags::empty())
}

/// Names in a folder that are numbers, in order; none if it cannot be read.
fn numbers<T: std::str::FromStr + Ord>(folder: &Path) -> Vec<T> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut numbers: Vec<T> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}

/// The number in `socket:[4711]`.
fn socket_inode(link: &str) -> Option<u64> {
    let number = link.strip_prefix("socket:[")?.strip_suffix(']')?;
    number.parse().ok()
}

/// The network namespace of a process, as the name of a link; none if it is not
/// there, or not to be seen.
pub fn namespace(pid: &str) -> Option<std::path::PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/net")).ok()
}

/// The name of a process, as far as it can be seen.
pub fn name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm"));
    name.map_or_else(|_| "a process".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_of_sockets_have_an_inode() {
        assert_eq!(socket_inode("socket:[4711]"), Some(4711));
        for other in ["pipe:[1]", "socket:[]", "socket:[x]", "socket:[1", "/tmp/x"] {
            assert_eq!(socket_inode(other), None, "{other}");
        }
    }

    #[test]
    fn descriptors_are_mapped_to_their_sockets() {
        let proc = std::env::temp_dir().join(format!("sgctl-owners-{}", std::process::id()));
        let links = [
            ("12/fd/3", "socket:[7]"),
            ("9/fd/4", "socket:[7]"),
            ("9/fd/5", "socket:[7]"),
            ("9/fd/6", "socket:[8]"),
            ("9/fd/7", "pipe:[7]"),
            ("self/fd/3", "socket:[7]"),
        ];
        for (path, link) in links {
            let path = proc.join(path);
            let folder = path.parent().expect("it has one");
            fs::create_dir_all(folder).expect("a folder");
            symlink(link, &path).expect("a link");
        }
        let all = Owners::below(&proc, &HashSet::from([7]), &[]);
        let some = Owners::below(&proc, &HashSet::from([7]), &[12, 13]);
        fs::remove_dir_all(&proc).expect("it can be removed");
        assert_eq!(all.pids(7), [9, 12]);
        assert_eq!(all.holders(7)[0], Holder { pid: 9, fd: 4 });
        assert_eq!((all.holders(7).len(), all.holders(8).len()), (3, 0));
        assert_eq!(some.pids(7), [12]);
    }

    #[test]
    fn what_lets_nobody_trace_is_told_from_what_root_may() {
        let pid = 7;
        assert_eq!(refused(pid, Some("3\n")), Reason::Sealed);
        for other in [
            None,
            Some(""),
            Some("0\n"),
            Some("1\n"),
            Some("2\n"),
            Some("30\n"),
        ] {
            assert_eq!(refused(pid, other), Reason::NotPermitted { pid });
        }
    }

    #[test]
    fn our_own_socket_is_borrowed() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let inode = rustix::fs::fstat(&listener).expect("it is open").st_ino;
        let owners = Owners::of(&HashSet::from([inode]), &[std::process::id()]);
        let ours = Holder {
            pid: std::process::id(),
            fd: listener.as_raw_fd(),
        };
        assert_eq!(owners.holders(inode), [ours]);
        match owners.borrow(inode) {
            Ok(fd) => assert_eq!(rustix::fs::fstat(fd).map(|s| s.st_ino), Ok(inode)),
            // A confined machine may forbid it even to oneself.
            Err(reason) => assert!(
                matches!(reason, Reason::NotPermitted { .. } | Reason::Sealed),
                "{reason:?}"
            ),
        }
        assert_eq!(owners.borrow(inode + 1).err(), Some(Reason::Unseen));
    }
}
