//! The state directory of a container: what other processes need to know of it, and whether it waits to be started.
//!
//! `<root>/<id>/state.json` holds a [`Record`] and, verbatim, the configuration the container was made from: changes
//! of the bundle after create must have no effect. It is written once, under a temporary name. `start` and `report`
//! are the FIFOs of a container that waits to be started; they are gone once it was. `notify` has the socket of a
//! program that tells when it is ready.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::plan::{Gate, HookState};
use crate::resctrl::Group;
use crate::spec::{Hooks, Spec};

/// Where a container is in its life: runtime.md, "State".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being made.
    Creating,
    /// Waiting to be started.
    Created,
    /// Its program runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Its program has exited.
    Stopped,
}

impl std::fmt::Display for Status {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// The state of a container as runc prints it, a superset of the specification's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Version of the specification.
    pub oci_version: String,
    /// Its name.
    pub id: String,
    /// Process id of its first process, 0 when that is gone.
    pub pid: i32,
    /// Where it is in its life.
    pub status: Status,
    /// Absolute path of the bundle.
    pub bundle: PathBuf,
    /// Absolute path of its root file system.
    pub rootfs: PathBuf,
    /// When it was created, RFC 3339 in UTC.
    pub created: String,
    /// Annotations of the configuration.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Name of the user who created it; empty when unknown.
    pub owner: String,
}

/// Version of the specification this runtime follows.
pub const OCI_VERSION: &str = "1.2.1";

/// What is known of a container from its creation on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub version: u32,
    pub id: String,
    pub pid: i32,
    /// Start time of that process in clock ticks since boot: with the id it names one process for ever.
    pub start_time: u64,
    pub bundle: PathBuf,
    pub rootfs: PathBuf,
    pub created: String,
    pub cgroup: String,
    /// The unit of systemd whose cgroup that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    pub annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resctrl: Option<Group>,
}

/// A record with the configuration behind it, or a part of that: the rest is skipped, not built.
#[derive(Deserialize)]
struct RecordWith<T> {
    config: T,
}

#[derive(Deserialize)]
struct HooksOnly {
    hooks: Option<Hooks>,
}

const STATE: &str = "state.json";
const START: &str = "start";
const REPORT: &str = "report";
const NOTIFY: &str = "notify";

/// The directory of one container below the root of the runtime.
#[derive(Debug, Clone)]
pub(crate) struct ContainerDir {
    path: PathBuf,
}

impl ContainerDir {
    /// The directory of a container that may or may not exist.
    pub(crate) fn of(root: &Path, id: &str) -> Result<Self, Error> {
        check_id(id)?;
        Ok(Self { path: root.join(id) })
    }

    /// Makes the directory of a new container.
    pub(crate) fn make(root: &Path, id: &str) -> Result<Self, Error> {
        let dir = Self::of(root, id)?;
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700);
        match builder.create(&dir.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                builder.recursive(true).create(root).map_err(|error| file("create", root, &error))?;
                builder.recursive(false);
                builder.create(&dir.path)
            }
            result => result,
        }
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Error::AlreadyExists(id.to_owned()),
            _ => file("create", &dir.path, &error),
        })?;
        Ok(dir)
    }

    /// The directory of the socket of its program (see `service`), which only some containers have.
    pub(crate) fn notify(&self) -> PathBuf {
        self.path.join(NOTIFY)
    }

    /// Removes the directory and all in it.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        // What is usually there, by name; a walk is for what a crash has left.
        let _ = fs::remove_file(self.path.join(STATE));
        let removed = match fs::remove_dir(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {
                fs::remove_dir_all(&self.path)
            }
            result => result,
        };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(file("remove", &self.path, &error))
            }
            _ => Ok(()),
        }
    }

    /// Writes the record and the configuration, which is `config` as it was read.
    pub(crate) fn write(&self, record: &Record, config: &[u8]) -> Result<(), Error> {
        let mut bytes = serde_json::to_vec(record).expect("a record has only string keys");
        bytes.pop();
        bytes.extend_from_slice(b",\"config\":");
        bytes.extend_from_slice(config);
        bytes.push(b'}');
        write_atomically(&self.path, STATE, &bytes)
    }

    fn read_bytes(&self, id: &str) -> Result<Vec<u8>, Error> {
        let path = self.path.join(STATE);
        fs::read(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::NotFound(id.to_owned()),
            _ => file("read", &path, &error),
        })
    }

    pub(crate) fn read(&self, id: &str) -> Result<Record, Error> {
        parse_record(id, &self.read_bytes(id)?)
    }

    pub(crate) fn read_config(&self, id: &str) -> Result<Spec, Error> {
        self.read_from_config(id)
    }

    pub(crate) fn read_hooks(&self, id: &str) -> Result<Hooks, Error> {
        self.read_from_config(id).map(|only: HooksOnly| only.hooks.unwrap_or_default())
    }

    fn read_from_config<T: DeserializeOwned>(&self, id: &str) -> Result<T, Error> {
        serde_json::from_slice::<RecordWith<T>>(&self.read_bytes(id)?)
            .map(|both| both.config)
            .map_err(|error| Error::DamagedState { id: id.to_owned(), reason: error.to_string() })
    }

    /// Makes the FIFOs of a container that waits, and opens them for its child.
    pub(crate) fn make_gate(&self) -> Result<Gate, Error> {
        let make = |name: &str| {
            let path = self.path.join(name);
            let made = rustix::fs::mknodat(
                rustix::fs::CWD,
                &path,
                rustix::fs::FileType::Fifo,
                Mode::from_raw_mode(0o600),
                0,
            );
            // For reading and writing, so that neither opening nor reading depends on who else has it open.
            made.and_then(|()| rustix::fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()))
                .map_err(|errno| Error::File { operation: "make", path: path.clone(), errno })
        };
        Ok(Gate { start: make(START)?, report: make(REPORT)? })
    }

    /// Whether the container has not been started yet.
    pub(crate) fn waits(&self) -> bool {
        self.path.join(START).exists()
    }

    /// Opens the start gate, and the report of what follows; `None` when nobody waits behind it.
    pub(crate) fn open_gate(&self) -> Result<Option<Gate>, Error> {
        let open = |name: &str, flags: OFlags| {
            let path = self.path.join(name);
            match rustix::fs::open(&path, flags | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()) {
                Ok(fifo) => Ok(Some(fifo)),
                Err(Errno::NXIO | Errno::NOENT) => Ok(None),
                Err(errno) => Err(Error::File { operation: "open", path, errno }),
            }
        };
        let report = open(REPORT, OFlags::RDONLY)?;
        let start = open(START, OFlags::WRONLY)?;
        Ok(start.zip(report).map(|(start, report)| Gate { start, report }))
    }

    /// Forgets that the container waited.
    pub(crate) fn remove_gate(&self) {
        let _ = fs::remove_file(self.path.join(START));
        let _ = fs::remove_file(self.path.join(REPORT));
    }

    /// Keeps other processes from changing the container, until the guard is dropped.
    pub(crate) fn lock(&self, id: &str) -> Result<rustix::fd::OwnedFd, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let failed = |errno| match errno {
            Errno::NOENT => Error::NotFound(id.to_owned()),
            errno => Error::File { operation: "lock", path: self.path.clone(), errno },
        };
        let dir = rustix::fs::open(&self.path, flags, Mode::empty()).map_err(failed)?;
        rustix::fs::flock(&dir, FlockOperation::LockExclusive).map_err(failed)?;
        Ok(dir)
    }
}

fn parse_record(id: &str, bytes: &[u8]) -> Result<Record, Error> {
    let damaged = |reason: String| Error::DamagedState { id: id.to_owned(), reason };
    let record: Record = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    match (record.version, record.pid) {
        (1, 1..) => Ok(record),
        (1, pid) => Err(damaged(format!("{pid} is no process id"))),
        (other, _) => Err(damaged(format!("version {other} is from another ross"))),
    }
}

/// The names of the containers below a root.
pub(crate) fn ids(root: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        result => result.map_err(|error| file("read", root, &error))?,
    };
    let mut ids: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().join(STATE).exists())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    ids.sort();
    Ok(ids)
}

/// runc's rule for names, which keeps them from leading out of a directory.
fn check_id(id: &str) -> Result<(), Error> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'-' | b'.');
    let fine = !id.is_empty() && id.len() <= 255 && !id.starts_with('.') && id.bytes().all(allowed);
    if fine { Ok(()) } else { Err(Error::InvalidId(id.to_owned())) }
}

pub(crate) fn file(operation: &'static str, path: &Path, error: &std::io::Error) -> Error {
    let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
    Error::File { operation, path: path.to_owned(), errno }
}

/// Writes a file under a temporary name and renames it: readers see all of it or nothing.
pub(crate) fn write_atomically(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let target = dir.join(name);
    let temporary = dir.join(format!(".{name}.{}", std::process::id()));
    fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, &target)).map_err(|error| {
        let _ = fs::remove_file(&temporary);
        file("write", &target, &error)
    })
}

/// The state given to hooks: state.json of the specification, with a place for the process id.
pub(crate) fn hook_state(
    id: &str,
    bundle: &Path,
    annotations: &BTreeMap<String, String>,
    status: Status,
) -> HookState {
    let before_pid =
        format!("{{\"ociVersion\":\"{OCI_VERSION}\",\"id\":{},\"status\":\"{status}\",\"pid\":", json(id));
    let after_pid = format!(
        ",\"bundle\":{},\"annotations\":{}}}",
        json(bundle.to_string_lossy().as_ref()),
        json(annotations)
    );
    HookState { before_pid, after_pid }
}

pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("strings and maps of strings")
}

/// What /proc/PID/stat tells of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    /// A letter, such as `R`.
    pub state: u8,
    /// In clock ticks since boot.
    pub start_time: u64,
    /// Signals it ignores; bit 0 is signal 1.
    pub ignored: u32,
}

/// Reads it for a process id, or `self`; `None` when there is no such process.
pub(crate) fn process_stat(process: impl std::fmt::Display) -> Option<ProcessStat> {
    let path = format!("/proc/{process}/stat");
    let file = rustix::fs::open(path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    // The kernel gives the whole line with one read, and 52 numbers and a name are shorter.
    let mut line = [0; 2048];
    let len = rustix::io::read(&file, &mut line).ok()?;
    let stat = &line[..len];
    // The name is in parentheses and may contain anything, parentheses too.
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let mut fields = stat.get(end + 2..)?.split(|&byte| byte == b' ');
    // Fields 3, 22 and 33 of proc_pid_stat(5), which counts from 1.
    let state = *fields.next()?.first()?;
    let start_time = std::str::from_utf8(fields.nth(18)?).ok()?.parse().ok()?;
    let ignored = std::str::from_utf8(fields.nth(10)?).ok()?.parse().ok()?;
    Some(ProcessStat { state, start_time, ignored })
}

/// The time as RFC 3339 with nanoseconds, in UTC.
pub(crate) fn now() -> String {
    rfc3339(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// A time since the epoch as RFC 3339 with nanoseconds, in UTC.
#[must_use]
pub fn rfc3339(since: Duration) -> String {
    let (seconds, nanos) = (since.as_secs(), since.subsec_nanos());
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // Days to a date of the proleptic Gregorian calendar, in eras of 400 years that begin on 1 March.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day + 2) / 153;
    let day = day - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_in_their_directory() {
        let check = |id: &str, fine: bool| assert_eq!(check_id(id).is_ok(), fine, "{id:?}");
        for id in ["a", "web-1", "A_b+c.d", "0", "-x"] {
            check(id, true);
        }
        for id in ["", ".", "..", ".a", "a/b", "../a", "a b", "a\0", "ä", &"a".repeat(256)] {
            check(id, false);
        }
    }

    proptest::proptest! {
        #[test]
        fn changed_records_are_refused_or_the_same_again(changes in crate::spec::mutate::any_changes()) {
            let record = Record {
                version: 1,
                id: "id".to_owned(),
                pid: 5,
                start_time: 6,
                bundle: "/b".into(),
                rootfs: "/b/r".into(),
                created: now(),
                cgroup: "/ross/id".to_owned(),
                unit: Some("ross-id.scope".to_owned()),
                annotations: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
                resctrl: None,
            };
            let mut document = serde_json::to_value(&record).unwrap();
            document["config"] = serde_json::to_value(crate::defaults::default_spec()).unwrap();
            assert_eq!(parse_record("id", document.to_string().as_bytes()).unwrap(), record);
            let bytes = changes.of(&document);
            let _ = serde_json::from_slice::<RecordWith<Spec>>(&bytes);
            let _ = serde_json::from_slice::<RecordWith<HooksOnly>>(&bytes);
            if let Ok(record) = parse_record("id", &bytes) {
                assert!(record.pid > 0);
                let written = serde_json::to_vec(&record).unwrap();
                assert_eq!(parse_record("id", &written).unwrap(), record);
            }
        }
    }

    #[test]
    fn dates() {
        let check = |seconds, text| assert_eq!(rfc3339(Duration::new(seconds, 5)), text);
        check(0, "1970-01-01T00:00:00.000000005Z");
        check(951_827_696, "2000-02-29T12:34:56.000000005Z");
        check(1_795_255_200, "2026-11-21T10:00:00.000000005Z");
        check(4_102_444_799, "2099-12-31T23:59:59.000000005Z");
    }

    #[test]
    fn own_process() {
        let stat = process_stat(std::process::id()).unwrap();
        assert!(matches!(stat.state, b'R' | b'S'));
        assert!(stat.start_time > 0);
        assert_eq!(process_stat("self").map(|stat| stat.start_time), Some(stat.start_time));
        // Rust programs ignore SIGPIPE, which is 13; the tests themselves handle SIGSEGV, which is 11.
        assert_eq!(stat.ignored & (1 << 12 | 1 << 10), 1 << 12);
        assert!(process_stat(-1).is_none());
    }

    #[test]
    fn record_and_config() {
        let root = tempfile::tempdir().unwrap();
        let dir = ContainerDir::make(root.path(), "c").unwrap();
        assert!(matches!(ContainerDir::make(root.path(), "c"), Err(Error::AlreadyExists(_))));
        assert!(matches!(dir.read("c"), Err(Error::NotFound(_))));
        let record = Record {
            version: 1,
            id: "c".into(),
            pid: 7,
            start_time: 8,
            bundle: "/b".into(),
            rootfs: "/b/r".into(),
            created: now(),
            cgroup: "/x".into(),
            unit: None,
            annotations: BTreeMap::new(),
            resctrl: None,
        };
        dir.write(&record, br#"{"ociVersion":"1.0.2","hostname":"h"}"#).unwrap();
        assert_eq!(dir.read("c").unwrap(), record);
        assert_eq!(dir.read_config("c").unwrap().hostname, "h");
        assert_eq!(ids(root.path()).unwrap(), ["c"]);
        dir.remove().unwrap();
        assert!(ids(root.path()).unwrap().is_empty());
    }

    #[test]
    fn hooks_get_json() {
        let annotations = BTreeMap::from([("a\"b".to_owned(), "c".to_owned())]);
        let state = hook_state("id", Path::new("/b"), &annotations, Status::Creating);
        let text = format!("{}{}{}", state.before_pid, 12, state.after_pid);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["pid"], 12);
        assert_eq!(value["annotations"]["a\"b"], "c");
        assert_eq!(value["status"], "creating");
    }
}
