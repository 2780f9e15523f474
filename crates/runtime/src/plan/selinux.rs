//! SELinux labels: `process.selinuxLabel` and `linux.mountLabel`. Where SELinux is off a label is an error, as it is to
//! runc: what would silently not be enforced is not accepted.

use std::ffi::{CStr, CString};

use rustix::fs::statfs;

use crate::error::Error;

use super::{c_string, invalid};

/// `SELINUX_MAGIC` of linux/magic.h.
const SELINUX: rustix::fs::FsWord = 0xf97c_ff8c;

/// File systems that take no label from a mount option: the policy labels what is in them.
const UNLABELED: [&str; 5] = ["proc", "sysfs", "cgroup", "cgroup2", "mqueue"];

/// What mount(8) knows of SELinux.
const OPTIONS: [&CStr; 4] = [c"context", c"fscontext", c"defcontext", c"rootcontext"];

/// The label of a field, if it has one.
pub(super) fn label(field: &str, label: &str) -> Result<Option<String>, Error> {
    let enabled = || statfs("/sys/fs/selinux").is_ok_and(|stat| stat.f_type == SELINUX);
    checked(field, label, enabled)
}

fn checked(field: &str, label: &str, enabled: impl Fn() -> bool) -> Result<Option<String>, Error> {
    match label {
        "" => Ok(None),
        label if label.contains('\0') => Err(invalid(field, "contains a NUL")),
        label if enabled() => Ok(Some(label.to_owned())),
        label => {
            Err(invalid(field, format!("`{label}` is a label, and SELinux is not enabled on this host")))
        }
    }
}

/// Labels what is to be mounted, unless its own options do.
pub(super) fn add(kind: &str, label: Option<&String>, parameters: &mut Vec<(CString, Option<CString>)>) {
    let Some(label) = label.filter(|_| !UNLABELED.contains(&kind)) else { return };
    if !parameters.iter().any(|(key, _)| OPTIONS.contains(&key.as_c_str())) {
        parameters.push((c_string("context"), Some(c_string(label.as_str()))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        assert_eq!(checked("f", "", || false).unwrap(), None);
        assert_eq!(checked("f", "a:b:c:s0", || true).unwrap().as_deref(), Some("a:b:c:s0"));
        assert!(checked("f", "a:b:c:s0", || false).is_err());
        assert!(checked("f", "a\0", || true).is_err());
    }

    #[test]
    fn labels_of_mounts() {
        let check = |kind: &str, label: Option<&str>, given: &[&str], expected: &[&str]| {
            let mut parameters = given.iter().map(|&key| (c_string(key), None)).collect();
            add(kind, label.map(str::to_owned).as_ref(), &mut parameters);
            let keys: Vec<&str> = parameters.iter().map(|(key, _)| key.to_str().unwrap()).collect();
            assert_eq!(keys, expected, "{kind}");
        };
        check("tmpfs", Some("l"), &["size"], &["size", "context"]);
        check("tmpfs", Some("l"), &["rootcontext"], &["rootcontext"]);
        check("proc", Some("l"), &[], &[]);
        check("tmpfs", None, &[], &[]);
    }
}
