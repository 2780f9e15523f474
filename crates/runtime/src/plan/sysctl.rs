//! Kernel parameters as paths below /proc/sys. Which are allowed is decided by `spec::check`.

use std::ffi::CString;

use crate::spec::Linux;

use super::c_string;

/// One parameter.
#[derive(Debug)]
pub(crate) struct SysctlPlan {
    /// Relative to the root of a procfs.
    pub path: CString,
    pub value: Vec<u8>,
}

pub(super) fn plan(linux: &Linux) -> Vec<SysctlPlan> {
    let plan = |(name, value): (&String, &String)| SysctlPlan {
        path: c_string(format!("sys/{}", slashed(name))),
        value: value.clone().into_bytes(),
    };
    linux.sysctl.iter().map(plan).collect()
}

/// sysctl(8): when the first separator is a dot, dots separate and slashes are dots of names.
fn slashed(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(first) if name.as_bytes()[first] == b'.' => {
            let swap = |letter| match letter {
                '.' => '/',
                '/' => '.',
                other => other,
            };
            name.chars().map(swap).collect()
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn separators() {
        let check = |name, path| assert_eq!(super::slashed(name), path);
        check("net.ipv4.ip_forward", "net/ipv4/ip_forward");
        check("net/ipv4/conf/eth0.1/rp_filter", "net/ipv4/conf/eth0.1/rp_filter");
        check("net.ipv4.conf.eth0/1.rp_filter", "net/ipv4/conf/eth0.1/rp_filter");
    }
}
