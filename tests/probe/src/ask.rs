//! Questions: a word `VERB=OBJECT` of the command line, answered by trying. An answer is `{"ok": …}` or
//! `{"errno": N}`.
//!
//! - `read=PATH`, `list=PATH`, `stat=PATH` look; `write=PATH` opens what is there for writing, `touch=PATH` makes a
//!   file, `mkdir=PATH` a directory;
//! - `mknod=T:MAJOR:MINOR` makes a device in /tmp; `run=PATH ARG…` runs a program; `stdin` reads all of it;
//! - `call=NAME` makes a system call that does no harm.

use std::fs::{self, File};
use std::io::Read;
use std::process::Command;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{CWD, FileType, Mode, chmodat, makedev, mkdirat, mknodat};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::{Signal, chroot, getpid, kill_process};
use serde_json::{Value, json};

use crate::devices;

/// `None` where the word is no question.
pub fn answer(word: &str) -> Option<Value> {
    let (verb, object) = word.split_once('=').unwrap_or((word, ""));
    let result = match verb {
        "read" => read(object),
        "list" => list(object),
        "stat" => devices::describe(object),
        "write" => File::options().write(true).open(object).map(|_| Value::Null).map_err(errno),
        "touch" => File::create(object).map(|_| Value::Null).map_err(errno),
        "mkdir" => mkdirat(CWD, object, Mode::RWXU).map(|()| Value::Null),
        "mknod" => mknod(object),
        "run" => run(object),
        "stdin" => stdin(),
        "call" => call(object).map(|()| Value::Null),
        _ => return None,
    };
    Some(match result {
        Ok(value) => json!({"ok": value}),
        Err(errno) => json!({"errno": errno.raw_os_error()}),
    })
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

/// The first bytes: a device has no end.
fn read(path: &str) -> Result<Value, Errno> {
    let mut bytes = Vec::new();
    let limit = if path.starts_with("/dev/") { 1 } else { 65536 };
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(errno)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().into())
}

fn list(path: &str) -> Result<Value, Errno> {
    let entries = fs::read_dir(path).map_err(errno)?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names.into())
}

fn mknod(object: &str) -> Result<Value, Errno> {
    let parts: Vec<&str> = object.split(':').collect();
    let [kind, major, minor] = parts[..] else { return Err(Errno::INVAL) };
    let kind = if kind == "b" { FileType::BlockDevice } else { FileType::CharacterDevice };
    let number = |text: &str| text.parse::<u32>().map_err(|_| Errno::INVAL);
    let path = format!("/tmp/probe-{}", object.replace(':', "-"));
    mknodat(CWD, &path, kind, Mode::RUSR, makedev(number(major)?, number(minor)?)).map(|()| Value::Null)
}

fn run(line: &str) -> Result<Value, Errno> {
    let words: Vec<&str> = line.split(' ').collect();
    let output = Command::new(words[0]).args(&words[1..]).output().map_err(errno)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().into())
}

fn stdin() -> Result<Value, Errno> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(errno)?;
    Ok(text.into())
}

fn call(name: &str) -> Result<(), Errno> {
    let (name, argument) = name.split_once(':').unwrap_or((name, ""));
    match name {
        "mkdir" => mkdirat(CWD, "/tmp/probe-made", Mode::RWXU),
        "chmod" => chmodat(CWD, "/tmp", Mode::from_raw_mode(0o1777), rustix::fs::AtFlags::empty()),
        "chroot" => chroot("/"),
        "mount" => mount("none", "/mnt", "tmpfs", MountFlags::empty(), None),
        "umount" => unmount("/mnt", UnmountFlags::DETACH),
        "sethostname" => rustix::system::sethostname(b"changed"),
        "setdomainname" => rustix::system::setdomainname(b"changed"),
        "eventfd" => eventfd(0, EventfdFlags::CLOEXEC).map(drop),
        "memfd" => rustix::fs::memfd_create("probe", rustix::fs::MemfdFlags::CLOEXEC).map(drop),
        "getcwd" => rustix::process::getcwd(Vec::new()).map(drop),
        "socket" => {
            let family = argument.parse().map_err(|_| Errno::INVAL)?;
            socket(AddressFamily::from_raw(family), SocketType::DGRAM, None).map(drop)
        }
        // SIGCHLD, SIGURG, SIGWINCH and SIGCONT do no harm.
        "kill" => {
            let number = argument.parse().map_err(|_| Errno::INVAL)?;
            let signal = Signal::from_named_raw(number).ok_or(Errno::INVAL)?;
            kill_process(getpid(), signal)
        }
        _ => Err(Errno::OPNOTSUPP),
    }
}
