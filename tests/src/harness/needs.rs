//! What a case needs from the machine it runs on.

use std::path::{Path, PathBuf};

/// One need; [`Need::missing`] says why this machine does not meet it.
#[derive(Debug, Clone, Copy)]
pub enum Need {
    /// A cgroup v2 controller in the hierarchy's root, such as `memory`.
    Controller(&'static str),
    /// That this controller is *not* to be had, for cases about what cannot be enforced.
    NoController(&'static str),
    /// A file or device of the host.
    Path(&'static str),
    /// To be asked for by name, for this reason: it takes too long to run with all others.
    Asking(&'static str),
    /// A machine that is not emulated, or to be asked for by name: about no more of the kernel than other cases are.
    FullSpeed,
    /// A folder that `cargo xtask test` makes before the host's suites.
    Fixture(&'static str),
    /// A program on the PATH and the Debian package that has it.
    Program(&'static str, &'static str),
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
            Self::Asking(reason) => Some(format!("{reason}; name it to run it")),
            Self::FullSpeed => std::env::var_os("ROSS_VM")
                .map(|_| "runs on the host, in a twentieth of the time; name it to run it".to_owned()),
            Self::Fixture(name) => Self::fixture(name).is_none().then(|| {
                format!("no fixture `{name}`: `cargo xtask test host` makes it, where it has a mirror")
            }),
            Self::Path(path) => (!Path::new(path).exists()).then(|| format!("this host has no {path}")),
            Self::Program(name, package) => {
                let dirs = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
                let there = dirs.iter().any(|dir| Path::new(dir).join(name).is_file());
                (!there).then(|| format!("no {name} here; apt-get install {package}"))
            }
        }
    }

    /// Whether a case with this need runs all the same when it is named.
    pub fn yields_to_its_name(&self) -> bool {
        matches!(self, Self::Asking(_) | Self::FullSpeed)
    }

    /// Where the fixture is, if it is there.
    pub fn fixture(name: &str) -> Option<PathBuf> {
        let dir = PathBuf::from(std::env::var_os("ROSS_FIXTURES")?).join(name);
        dir.is_dir().then_some(dir)
    }
}

fn has_controller(name: &str) -> bool {
    let roots = ["/sys/fs/cgroup/cgroup.controllers", "/sys/fs/cgroup/unified/cgroup.controllers"];
    let known = roots.iter().find_map(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    known.split_ascii_whitespace().any(|controller| controller == name)
}
