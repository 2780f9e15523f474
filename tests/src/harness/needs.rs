//! What a case needs from the machine it runs on.

use std::path::Path;

/// One need; [`Need::missing`] says why this machine does not meet it.
#[derive(Debug, Clone, Copy)]
pub enum Need {
    /// A cgroup v2 controller in the hierarchy's root, such as `memory`.
    Controller(&'static str),
    /// That this controller is *not* to be had, for cases about what cannot be enforced.
    NoController(&'static str),
    /// A file or device of the host.
    Path(&'static str),
    /// A program on the PATH and the Debian package that has it.
    Program(&'static str, &'static str),
    /// A kernel of at least this version.
    Kernel(u32, u32),
    /// A capability that an ordinary root has and a confined one may lack, by number and name.
    Capability(u32, &'static str),
}

impl Need {
    /// Why a case with this need cannot run here.
    pub fn missing(&self) -> Option<String> {
        match *self {
            Self::Controller(name) => {
                (!has_controller(name)).then(|| format!("this host's cgroup v2 has no {name} controller"))
            }
            Self::NoController(name) => {
                has_controller(name).then(|| format!("this host's cgroup v2 has the {name} controller"))
            }
            Self::Path(path) => (!Path::new(path).exists()).then(|| format!("this host has no {path}")),
            Self::Program(name, package) => {
                let dirs = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
                let there = dirs.iter().any(|dir| Path::new(dir).join(name).is_file());
                (!there).then(|| format!("no {name} here; apt-get install {package}"))
            }
            Self::Kernel(major, minor) => {
                let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
                let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
                let have = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
                (have < (major, minor))
                    .then(|| format!("kernel {major}.{minor} is needed, this is {}", release.trim()))
            }
            Self::Capability(number, name) => {
                let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
                let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
                let bits = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
                (bits >> number & 1 == 0).then(|| format!("root has no {name} here"))
            }
        }
    }
}

fn has_controller(name: &str) -> bool {
    let roots = ["/sys/fs/cgroup/cgroup.controllers", "/sys/fs/cgroup/unified/cgroup.controllers"];
    let known = roots.iter().find_map(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    known.split_ascii_whitespace().any(|controller| controller == name)
}
