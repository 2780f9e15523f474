//! What `info` and `health` say of the host: read from /proc, /sys and /etc, never changed.

use std::path::Path;

/// Controllers that limits need.
const NEEDED: [&str; 4] = ["cpu", "io", "memory", "pids"];

/// The cgroup tree of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroups {
    /// "v2" or "hybrid".
    pub version: &'static str,
    /// Controllers of the v2 hierarchy.
    pub controllers: Vec<String>,
}

impl Cgroups {
    /// Looks at /sys/fs/cgroup.
    pub fn read() -> Self {
        let pure = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers");
        let (version, text) = match pure {
            Ok(text) => ("v2", text),
            Err(_) => {
                let unified = std::fs::read_to_string("/sys/fs/cgroup/unified/cgroup.controllers");
                ("hybrid", unified.unwrap_or_default())
            }
        };
        Self { version, controllers: text.split_whitespace().map(str::to_owned).collect() }
    }

    /// What limits cannot be kept here; empty when all can.
    pub fn complaint(&self) -> String {
        let missing: Vec<&str> =
            NEEDED.into_iter().filter(|need| !self.controllers.iter().any(|have| have == need)).collect();
        if missing.is_empty() {
            return String::new();
        }
        format!(
            "the cgroup v2 tree has no controllers {}: limits of these are refused; boot with \
             systemd.unified_cgroup_hierarchy=1 or bind them to v2",
            missing.join(", ")
        )
    }
}

/// One word of a file that says yes with `yes`.
fn says(path: &str, yes: &str) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.trim() == yes)
}

/// What confines containers here.
pub fn security_options() -> Vec<String> {
    let options = [
        ("seccomp", Path::new("/proc/sys/kernel/seccomp/actions_avail").exists()),
        ("apparmor", says("/sys/module/apparmor/parameters/enabled", "Y")),
        ("selinux", Path::new("/sys/fs/selinux/enforce").exists()),
        ("userns", Path::new("/proc/self/ns/user").exists()),
        ("cgroupns", Path::new("/proc/self/ns/cgroup").exists()),
    ];
    options.into_iter().filter(|(_, there)| *there).map(|(name, _)| name.to_owned()).collect()
}

/// `MemTotal` in bytes.
pub fn memory_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    total_memory(&text).unwrap_or(0)
}

fn total_memory(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// `PRETTY_NAME` of os-release(5).
pub fn operating_system() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    pretty_name(&text).unwrap_or_else(|| "Linux".to_owned())
}

fn pretty_name(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

/// Kernel release and host name.
pub fn uname() -> (String, String) {
    let name = rustix::system::uname();
    (name.release().to_string_lossy().into_owned(), name.nodename().to_string_lossy().into_owned())
}

/// Whether networks can be made: nftables needs its program.
pub fn network_complaint() -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/sbin"].map(std::path::PathBuf::from);
    let found = std::env::split_paths(&path).chain(usual).any(|folder| folder.join("nft").is_file());
    if found {
        return String::new();
    }
    "the program nft was not found: containers on a bridge cannot start; install the package nftables"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read() {
        assert_eq!(total_memory("MemTotal:       2048 kB\nMemFree: 1 kB\n"), Some(2048 * 1024));
        assert_eq!(total_memory("MemFree: 1 kB\n"), None);
        assert_eq!(pretty_name("ID=debian\nPRETTY_NAME=\"Debian 12\"\n").as_deref(), Some("Debian 12"));
        assert_eq!(pretty_name("ID=x\n"), None);
    }

    #[test]
    fn missing_controllers_are_named() {
        let cgroups = |names: &[&str]| Cgroups {
            version: "v2",
            controllers: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert_eq!(cgroups(&["cpu", "io", "memory", "pids", "rdma"]).complaint(), "");
        assert!(cgroups(&["cpu", "pids"]).complaint().contains("io, memory"));
    }
}
