//! `linux.intelRdt`: shares of caches and of memory bandwidth, by the files of the resctrl file system
//! (Documentation/filesystems/resctrl.rst; config-linux.md, "IntelRdt").
//!
//! A group is a directory with the files `schemata` and `tasks`. It is of the container, and goes with it, or a class
//! that has a name, which others may enter at any time: that stays, as with runc. The parent puts the process into it before its program is executed; what that starts
//! is in the same group, and what is executed in the container later is put there as well.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::spec::IntelRdt;
use crate::state::file;

/// The group of a container, as its state remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    /// Where resctrl is mounted.
    root: PathBuf,
    path: PathBuf,
    /// Whether it is the container's own.
    own: bool,
    /// A group below it that counts what the container alone uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    monitoring: Option<PathBuf>,
}

impl Group {
    /// Finds or makes the group of a container.
    ///
    /// # Errors
    /// When there is no resctrl, the configuration is wrong, or the kernel refuses it; nothing is left behind.
    pub(crate) fn create(rdt: &IntelRdt, id: &str) -> Result<Self, Error> {
        check(rdt)?;
        Self::create_below(find_root()?, rdt, id)
    }

    fn create_below(root: PathBuf, rdt: &IntelRdt, id: &str) -> Result<Self, Error> {
        let path = match class(rdt) {
            Some("/") => root.clone(),
            name => root.join(name.unwrap_or(id)),
        };
        let made = make(&path, rdt)?;
        let mut group = Self { root, path, own: class(rdt).is_none(), monitoring: None };
        match group.prepare(rdt, id, made) {
            Ok(()) => Ok(group),
            Err(error) => {
                // What was made goes; the error is what counts.
                group.own = made;
                let _ = group.remove();
                Err(error)
            }
        }
    }

    fn prepare(&mut self, rdt: &IntelRdt, id: &str, made: bool) -> Result<(), Error> {
        if made {
            self.write(&shares(rdt))?;
        } else {
            // What others use as well is as they made it, but for what is to be written as it is.
            self.compare(rdt)?;
            self.write(&rdt.schemata.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        if rdt.enable_monitoring {
            let path = self.path.join("mon_groups").join(id);
            make_own(&path)?;
            self.monitoring = Some(path);
        }
        Ok(())
    }

    /// Puts a process into it, and with it all that this starts.
    pub(crate) fn enter(&self, pid: i32) -> Result<(), Error> {
        // Of the groups that count, only one below the process's own takes it.
        for group in [Some(&self.path), self.monitoring.as_ref()].into_iter().flatten() {
            let tasks = group.join("tasks");
            fs::write(&tasks, pid.to_string()).map_err(|error| file("write", &tasks, &error))?;
        }
        Ok(())
    }

    /// Changes its shares: lines of `schemata`.
    pub(crate) fn update(&self, cache: Option<&str>, bandwidth: Option<&str>) -> Result<(), Error> {
        let rdt = IntelRdt {
            l3_cache_schema: cache.map(str::to_owned),
            mem_bw_schema: bandwidth.map(str::to_owned),
            ..IntelRdt::default()
        };
        check(&rdt)?;
        self.write(&shares(&rdt))
    }

    /// Removes what was made for the container, unless others have moved in.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        let tasks = fs::read_to_string(self.path.join("tasks"));
        let own = self.own && !tasks.is_ok_and(|tasks| !tasks.is_empty());
        for path in [self.monitoring.as_ref(), own.then_some(&self.path)].into_iter().flatten() {
            match fs::remove_dir(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(file("remove", path, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn write(&self, lines: &[&str]) -> Result<(), Error> {
        if lines.is_empty() {
            return Ok(());
        }
        let text = lines.join("\n") + "\n";
        fs::write(self.path.join("schemata"), &text).map_err(|error| {
            // The kernel says there, and nowhere else, which part it does not like.
            let status = fs::read_to_string(self.root.join("info/last_cmd_status")).unwrap_or_default();
            let reason = if status.trim().is_empty() { error.to_string() } else { status.trim().to_owned() };
            let group = self.path.display();
            Error::IntelRdt(format!("write {text:?} to the schemata of {group}: {reason}"))
        })
    }

    /// Whether the group has the shares that are asked for: those of another are not changed.
    fn compare(&self, rdt: &IntelRdt) -> Result<(), Error> {
        let to_compare = IntelRdt { schemata: Vec::new(), ..rdt.clone() };
        let wanted = shares(&to_compare);
        if wanted.is_empty() {
            return Ok(());
        }
        let path = self.path.join("schemata");
        let text = fs::read_to_string(&path).map_err(|error| file("read", &path, &error))?;
        let has: BTreeMap<(&str, &str), Amount<'_>> = text.lines().flat_map(parts).collect();
        for line in wanted {
            if let Some((part, _)) = parts(line).find(|(part, amount)| has.get(part) != Some(amount)) {
                return Err(Error::IntelRdt(format!(
                    "`{line}` is not what the class {} has, at {}:{}",
                    self.path.display(),
                    part.0,
                    part.1
                )));
            }
        }
        Ok(())
    }
}

/// How much of a cache or bandwidth: numbers that are written in several ways, or a word.
#[derive(Debug, PartialEq, Eq)]
enum Amount<'a> {
    Number(u64),
    Word(&'a str),
}

/// The parts of a line `L3:0=ff;1=f0`: resource and cache, and how much.
fn parts(line: &str) -> impl Iterator<Item = ((&str, &str), Amount<'_>)> {
    let (resource, list) = line.split_once(':').unwrap_or((line, ""));
    let resource = resource.trim();
    // A share of a cache is a mask in hexadecimal digits, one of bandwidth a number.
    let radix = if resource == "MB" { 10 } else { 16 };
    list.split(';').filter_map(|part| part.split_once('=')).map(move |(cache, amount)| {
        let amount = amount.trim();
        let number = u64::from_str_radix(amount.trim_start_matches("0x"), radix);
        ((resource, cache.trim()), number.map_or(Amount::Word(amount), Amount::Number))
    })
}

fn class(rdt: &IntelRdt) -> Option<&str> {
    rdt.clos_id.as_deref().filter(|class| !class.is_empty())
}

/// The lines for `schemata`.
fn shares(rdt: &IntelRdt) -> Vec<&str> {
    let bandwidth = rdt.mem_bw_schema.as_deref().filter(|line| !line.is_empty());
    let cache = rdt.l3_cache_schema.as_deref().unwrap_or_default().lines();
    // That of the bandwidth has its own field.
    let cache = cache.filter(|line| !line.is_empty() && (bandwidth.is_none() || !line.starts_with("MB:")));
    cache.chain(bandwidth).chain(rdt.schemata.iter().map(String::as_str)).collect()
}

/// Makes a directory of the container's own. One in which nobody is was left by a create that was killed.
fn make_own(path: &Path) -> Result<(), Error> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let tasks = fs::read_to_string(path.join("tasks"));
            if tasks.is_ok_and(|tasks| tasks.is_empty()) { Ok(()) } else { Err(file("create", path, &error)) }
        }
        made => made.map_err(|error| file("create", path, &error)),
    }
}

/// Makes the directory of a group, if the container is not to have one that is there; whether it was made.
fn make(path: &Path, rdt: &IntelRdt) -> Result<bool, Error> {
    let Some(class) = class(rdt) else {
        return make_own(path).map(|()| true);
    };
    if path.is_dir() {
        return Ok(false);
    }
    if shares(rdt).is_empty() {
        return Err(Error::IntelRdt(format!(
            "closID: there is no class `{class}`, and no schemata to make it with"
        )));
    }
    match fs::create_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(file("create", path, &error)),
    }
}

fn check(rdt: &IntelRdt) -> Result<(), Error> {
    let wrong = |field: &str, reason: &str| Err(Error::IntelRdt(format!("{field} {reason}")));
    let is_name = |name: &str| {
        !name.contains(['/', '\n']) && !matches!(name, "." | ".." | "info" | "mon_groups" | "mon_data")
    };
    if class(rdt).is_some_and(|class| class != "/" && !is_name(class)) {
        return wrong("closID", "is no name of a class");
    }
    let bandwidth = rdt.mem_bw_schema.as_deref().unwrap_or_default();
    if bandwidth.contains('\n') || !(bandwidth.is_empty() || bandwidth.starts_with("MB:")) {
        return wrong("memBwSchema", "is not one line that begins with `MB:`");
    }
    if rdt.schemata.iter().any(|line| line.is_empty() || line.contains('\n')) {
        return wrong("schemata", "has an element that is not one line");
    }
    Ok(())
}

/// Where resctrl is mounted.
fn find_root() -> Result<PathBuf, Error> {
    let path = Path::new("/proc/self/mountinfo");
    let mounts = fs::read_to_string(path).map_err(|error| file("read", path, &error))?;
    root_in(&mounts).ok_or_else(|| {
        let advice = "mount -t resctrl resctrl /sys/fs/resctrl";
        Error::IntelRdt(format!("no resctrl file system is mounted; on a host that has one: {advice}"))
    })
}

/// The mount point, field 5, of the first line whose type, the first field behind ` - `, is resctrl: proc_pid_mountinfo(5).
fn root_in(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        // Spaces and the like are octal there; who mounts resctrl at such a place has to do without.
        (kind.split(' ').next() == Some("resctrl") && !point.contains('\\')).then(|| PathBuf::from(point))
    })
}

/// Whether the machine shares out its caches, or its memory bandwidth, and lets ross do so.
pub(crate) fn shares_out(resources: &[&str]) -> bool {
    find_root().is_ok_and(|root| resources.iter().any(|resource| root.join("info").join(resource).is_dir()))
}

#[cfg(test)]
mod tests;
