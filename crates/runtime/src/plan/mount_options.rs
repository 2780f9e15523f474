//! The option words of mounts, as mount(8), runc and crun know them.

use std::ffi::CString;

use ross_sys::mount::{Propagation, attr};

use super::c_string;

/// Attributes to set and to clear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub set: u64,
    pub clear: u64,
}

impl Attributes {
    pub(crate) fn is_empty(self) -> bool {
        self.set == 0 && self.clear == 0
    }

    /// The later option wins. The access time settings are one field, cleared before one is set.
    fn change(&mut self, bits: u64, on: bool) {
        if bits & attr::ATIME != 0 || bits == attr::RELATIME {
            self.clear |= attr::ATIME;
            self.set = (self.set & !attr::ATIME) | if on { bits } else { attr::RELATIME };
        } else if on {
            self.set |= bits;
            self.clear &= !bits;
        } else {
            self.clear |= bits;
            self.set &= !bits;
        }
    }
}

/// What the options of one mount say.
#[derive(Debug, Default)]
pub(crate) struct MountOptions {
    /// A bind mount, recursive or not.
    pub bind: Option<bool>,
    pub remount: bool,
    /// Of the mount itself.
    pub own: Attributes,
    /// Of the mount and all below it.
    pub recursive: Attributes,
    pub propagation: Vec<(Propagation, bool)>,
    /// Map ids, recursively or not.
    pub id_map: Option<bool>,
    pub copy_up: bool,
    /// Read-only as a whole: for file systems on devices.
    pub read_only: bool,
    /// Parameters of the file system, in order; without a value they are flags.
    pub parameters: Vec<(CString, Option<CString>)>,
}

impl MountOptions {
    pub(crate) fn parse(options: &[String]) -> Self {
        let mut parsed = Self::default();
        for option in options {
            parsed.add(option);
        }
        parsed
    }

    fn add(&mut self, option: &str) {
        if let Some((bits, on)) = attribute(option) {
            self.own.change(bits, on);
            if bits == attr::RDONLY {
                self.read_only = on;
            }
            return;
        }
        if let Some((bits, on)) = option.strip_prefix('r').and_then(attribute) {
            self.recursive.change(bits, on);
            return;
        }
        if let Some(change) = propagation(option) {
            self.propagation.push(change);
            return;
        }
        match option {
            "bind" => self.bind = Some(false),
            "rbind" => self.bind = Some(true),
            "remount" => self.remount = true,
            "idmap" => self.id_map = Some(false),
            "ridmap" => self.id_map = Some(true),
            "tmpcopyup" => self.copy_up = true,
            // Words of fstab without a meaning here, and defaults of the kernel.
            "" | "defaults" | "async" | "auto" | "noauto" | "user" | "nouser" | "users" | "_netdev"
            | "nofail" | "loud" | "nomand" | "noiversion" | "nolazytime" => {}
            _ => self.parameters.push(match option.split_once('=') {
                Some((key, value)) => (c_string(key), Some(c_string(value))),
                None => (c_string(option), None),
            }),
        }
    }
}

fn attribute(option: &str) -> Option<(u64, bool)> {
    Some(match option {
        "ro" => (attr::RDONLY, true),
        "rw" => (attr::RDONLY, false),
        "nosuid" => (attr::NOSUID, true),
        "suid" => (attr::NOSUID, false),
        "nodev" => (attr::NODEV, true),
        "dev" => (attr::NODEV, false),
        "noexec" => (attr::NOEXEC, true),
        "exec" => (attr::NOEXEC, false),
        "nosymfollow" => (attr::NOSYMFOLLOW, true),
        "symfollow" => (attr::NOSYMFOLLOW, false),
        "nodiratime" => (attr::NODIRATIME, true),
        "diratime" => (attr::NODIRATIME, false),
        "noatime" => (attr::NOATIME, true),
        "atime" => (attr::NOATIME, false),
        "strictatime" => (attr::STRICTATIME, true),
        "nostrictatime" => (attr::STRICTATIME, false),
        "relatime" => (attr::RELATIME, true),
        "norelatime" => (attr::RELATIME, false),
        _ => return None,
    })
}

/// A word for a propagation type, and whether it means the mounts below too.
pub(super) fn propagation(word: &str) -> Option<(Propagation, bool)> {
    Some(match word {
        "shared" => (Propagation::Shared, false),
        "rshared" => (Propagation::Shared, true),
        "slave" => (Propagation::Slave, false),
        "rslave" => (Propagation::Slave, true),
        "private" => (Propagation::Private, false),
        "rprivate" => (Propagation::Private, true),
        "unbindable" => (Propagation::Unbindable, false),
        "runbindable" => (Propagation::Unbindable, true),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> MountOptions {
        MountOptions::parse(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn attributes() {
        let check = |words: &[&str], set: u64, clear: u64| {
            assert_eq!(parse(words).own, Attributes { set, clear }, "{words:?}");
        };
        check(&[], 0, 0);
        check(&["ro", "nosuid"], attr::RDONLY | attr::NOSUID, 0);
        check(&["ro", "rw"], 0, attr::RDONLY);
        check(&["exec", "noexec"], attr::NOEXEC, 0);
        check(&["noatime"], attr::NOATIME, attr::ATIME);
        check(&["noatime", "strictatime"], attr::STRICTATIME, attr::ATIME);
        check(&["noatime", "relatime"], 0, attr::ATIME);
    }

    #[test]
    fn the_rest() {
        let options = parse(&["rbind", "rro", "rnosuid", "rslave", "size=64k", "newinstance", "defaults"]);
        assert_eq!(options.bind, Some(true));
        assert_eq!(options.own, Attributes::default());
        assert_eq!(options.recursive.set, attr::RDONLY | attr::NOSUID);
        assert_eq!(options.propagation, [(Propagation::Slave, true)]);
        assert_eq!(
            options.parameters,
            [(c_string("size"), Some(c_string("64k"))), (c_string("newinstance"), None)]
        );
    }
}
