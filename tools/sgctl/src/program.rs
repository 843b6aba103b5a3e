// SPDX-License-Identifier: GPL-2.0
//! Which program a process runs, to tell the sockets of one from those of another.
//!
//! It is the executable's path and file system. The file itself may have been replaced by an update
//! while old workers run, and a container may have another one at the same path. What an interpreter
//! runs is told by its command line: by the first argument, which is a script; or, if that is an option,
//! by all of them, as only the interpreter knows which options take a value.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What the kernel adds to the path of a file that is gone.
const GONE: &str = " (deleted)";
/// Programs that run others, without their versions.
const INTERPRETERS: [&str; 18] = [
    "bash", "beam", "bun", "dash", "deno", "dotnet", "java", "lua", "luajit", "mono", "node",
    "nodejs", "perl", "php", "pypy", "python", "ruby", "sh",
];
/// Longest part of a script's name that is shown.
const SHOWN: usize = 40;

/// What a process runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Program {
    /// The path of the executable, as the process has it.
    path: String,
    /// Its file system.
    device: u64,
    /// What it interprets, as far as it can be told; a path where the process names one.
    script: Option<String>,
    /// All that it was started with, and the folder, if its first argument is an option.
    line: Vec<String>,
}

impl Program {
    /// The program of an executable, the arguments that it was started with (the first of them is its
    /// own name), and the folder that the process is in.
    pub fn new(path: &str, device: u64, arguments: &[String], folder: Option<&str>) -> Self {
        let path = path.strip_suffix(GONE).unwrap_or(path).to_owned();
        if !interprets(file_name(&path)) {
            return Self {
                path,
                device,
                script: None,
                line: Vec::new(),
            };
        }
        let given = arguments.get(1..).unwrap_or_default();
        let script = given.iter().find(|text| !text.starts_with('-'));
        let mut line = Vec::new();
        if given.first().is_some_and(|text| text.starts_with('-')) {
            line = given.to_vec();
            line.extend(folder.map(str::to_owned));
        }
        Self {
            path,
            device,
            script: script.map(|text| located(text, folder)),
            line,
        }
    }

    /// The program of a process, if that can be looked at.
    fn of_process(pid: u32) -> Option<Self> {
        let folder = Path::new("/proc").join(pid.to_string());
        let path = fs::read_link(folder.join("exe")).ok()?;
        let device = fs::metadata(folder.join("exe")).ok()?.dev();
        let line = fs::read(folder.join("cmdline")).unwrap_or_default();
        let text = String::from_utf8_lossy(&line);
        let arguments: Vec<String> = text.split_terminator('\0').map(str::to_owned).collect();
        let within = fs::read_link(folder.join("cwd")).ok();
        let within = within.as_ref().map(|path| path.to_string_lossy());
        Some(Self::new(
            &path.to_string_lossy(),
            device,
            &arguments,
            within.as_deref(),
        ))
    }

    /// Whether it keeps sockets for programs that it starts, whichever those are.
    fn keeps_sockets(&self) -> bool {
        file_name(&self.path) == "systemd"
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(file_name(&self.path))?;
        let Some(script) = &self.script else {
            return Ok(());
        };
        let shown = file_name(script).chars();
        let shown: String = shown
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .take(SHOWN)
            .collect();
        write!(f, " {}", shown.trim())
    }
}

/// The programs of the processes that hold a socket, each once, in order; none if not all of them can
/// be told. `look` tells the program of a process.
///
/// Process 1 does not count beside others: it hands sockets to services, and keeps them.
pub fn of_holders(pids: &[u32], mut look: impl FnMut(u32) -> Option<Program>) -> Vec<Program> {
    let services: Vec<u32> = pids.iter().copied().filter(|pid| *pid != 1).collect();
    let counted = if services.is_empty() { pids } else { &services };
    let programs: Option<BTreeSet<Program>> = counted.iter().map(|pid| look(*pid)).collect();
    let programs: Vec<Program> = programs.unwrap_or_default().into_iter().collect();
    match programs.as_slice() {
        [only] if only.keeps_sockets() => Vec::new(),
        _ => programs,
    }
}

/// As [`of_holders`], with each process looked at once.
#[derive(Debug, Default)]
pub struct Programs(std::collections::HashMap<u32, Option<Program>>);

impl Programs {
    /// The programs of the processes that hold a socket.
    pub fn of_holders(&mut self, pids: &[u32]) -> Vec<Program> {
        let known = &mut self.0;
        of_holders(pids, |pid| {
            let program = known.entry(pid).or_insert_with(|| Program::of_process(pid));
            program.clone()
        })
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether the executable of this name is an interpreter, of whatever version.
fn interprets(name: &str) -> bool {
    let version = name.find(|letter: char| !letter.is_ascii_alphabetic());
    let name = &name[..version.unwrap_or(name.len())];
    INTERPRETERS.contains(&name)
}

/// A script's path, or a module's name and the folder that it is looked for in.
fn located(script: &str, folder: Option<&str>) -> String {
    match folder {
        Some(folder) if !script.starts_with('/') => format!("{folder}/{script}"),
        _ => script.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(path: &str, line: &str, folder: &str) -> Program {
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Program::new(path, 1, &arguments, Some(folder))
    }

    #[test]
    fn an_update_does_not_make_another_program() {
        let old = program("/usr/sbin/nginx (deleted)", "nginx: worker process", "/");
        let new = program("/usr/sbin/nginx", "nginx: master process -c x", "/etc");
        assert_eq!(old, new);
        assert_eq!(old.to_string(), "nginx");
        assert_ne!(new, program("/opt/nginx", "nginx", "/"));
    }

    #[test]
    fn a_container_has_programs_of_its_own() {
        let path = "/usr/sbin/nginx";
        let host = Program::new(path, 1, &[], None);
        assert_ne!(host, Program::new(path, 2, &[], None));
    }

    #[test]
    fn interpreters_are_told_apart_by_what_they_run() {
        let run = |line, folder| program("/usr/bin/python3.13", line, folder);
        let admin = run("python3 admin.py --port 80", "/srv/a");
        assert_eq!(admin.to_string(), "python3.13 admin.py");
        assert_eq!(admin, run("python /srv/a/admin.py", "/"));
        assert_ne!(admin, run("python3 admin.py", "/srv/b"));
        assert_ne!(admin, run("python3 shop.py", "/srv/a"));
        // The first that is no option may be the value of one.
        let pages = "python3 -m uvicorn admin:app";
        assert_eq!(run(pages, "/srv/a"), run(pages, "/srv/a"));
        assert_ne!(run(pages, "/srv/a"), run(pages, "/srv/b"));
        assert_ne!(
            run(pages, "/srv/a"),
            run("python3 -m uvicorn shop:app", "/srv/a")
        );
        let classes = |name| program("/usr/bin/java", &format!("java -cp x.jar {name}"), "/");
        assert_ne!(classes("Admin"), classes("Shop"));
        assert_eq!(classes("Shop").to_string(), "java x.jar");
        assert_eq!(
            run("python3 -m gunicorn x", "/").to_string(),
            "python3.13 gunicorn"
        );
        assert_eq!(run("python3", "/").to_string(), "python3.13");
        // The name is that of a file, and only so long.
        let long = run(&format!("python3 -c {}\nb", "a".repeat(SHOWN - 1)), "/");
        let shown = format!("python3.13 {}", "a".repeat(SHOWN - 1));
        assert_eq!(long.to_string(), shown);
    }

    #[test]
    fn arguments_of_others_do_not_count() {
        for path in [
            "/usr/sbin/haproxy",
            "/usr/bin/pythonista-server",
            "/srv/shop",
        ] {
            let one = program(path, "x one.cfg", "/");
            assert_eq!(
                one == program(path, "x two.cfg", "/"),
                !interprets(file_name(path))
            );
        }
        assert!(!interprets("haproxy") && !interprets("shop") && !interprets(""));
        for name in [
            "python3.13",
            "php8.2",
            "node",
            "beam.smp",
            "mono-sgen",
            "sh",
        ] {
            assert!(interprets(name), "{name}");
        }
    }

    #[test]
    fn holders_count_without_process_1() {
        let look = |pid| match pid {
            1 => Some(program("/usr/lib/systemd/systemd", "systemd", "/")),
            2 | 3 => Some(program("/srv/shop", "shop", "/")),
            4 => Some(program("/srv/admin", "admin", "/")),
            6 => Some(program("/usr/lib/systemd/systemd", "systemd --user", "/")),
            _ => None,
        };
        let named = |pids: &[u32]| {
            let programs = of_holders(pids, look);
            programs.iter().map(Program::to_string).collect::<Vec<_>>()
        };
        assert_eq!(named(&[1, 2, 3]), ["shop"]);
        assert_eq!(named(&[3, 4, 2]), ["admin", "shop"]);
        // It is not known for whom.
        assert_eq!(named(&[1]), [""; 0]);
        assert_eq!(named(&[6]), [""; 0]);
        assert_eq!(named(&[]), [""; 0]);
        assert_eq!(named(&[2, 5]), [""; 0]);
        // The program of a container may be its process 1.
        let container = |_| Some(program("/srv/shop", "shop", "/"));
        assert_eq!(of_holders(&[1], container).len(), 1);
    }

    #[test]
    fn our_own_program_is_found() {
        let own = [std::process::id()];
        assert_eq!(Programs::default().of_holders(&own).len(), 1);
    }
}
