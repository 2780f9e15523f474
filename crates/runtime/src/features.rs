//! What this runtime knows of the specification, for callers that ask before they write a configuration
//! (features.md of the specification). It does not depend on the host.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::spec::{KNOWN_CAPABILITIES, NamespaceKind, SeccompFlag, SeccompOperator};
use crate::state::OCI_VERSION;

/// The features of the runtime. What is absent is not said, which is not the same as no.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    oci_version_min: &'static str,
    oci_version_max: &'static str,
    hooks: [&'static str; 6],
    mount_options: Vec<&'static str>,
    linux: Linux,
    annotations: BTreeMap<&'static str, &'static str>,
    potentially_unsafe_config_annotations: &'static [&'static str],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Linux {
    namespaces: [NamespaceKind; 8],
    capabilities: Vec<&'static str>,
    cgroup: CgroupFeatures,
    seccomp: SeccompFeatures,
    apparmor: Enabled,
    selinux: Enabled,
    intel_rdt: IntelRdt,
    mount_extensions: MountExtensions,
    net_devices: Enabled,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CgroupFeatures {
    v1: bool,
    v2: bool,
    systemd: bool,
    systemd_user: bool,
    rdma: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SeccompFeatures {
    enabled: bool,
    actions: [&'static str; 9],
    operators: [SeccompOperator; 7],
    archs: [&'static str; 5],
    known_flags: [SeccompFlag; 4],
    supported_flags: [SeccompFlag; 4],
}

#[derive(Debug, Serialize)]
struct IntelRdt {
    enabled: bool,
    schemata: bool,
    monitoring: bool,
}

#[derive(Debug, Serialize)]
struct MountExtensions {
    idmap: Enabled,
}

#[derive(Debug, Serialize)]
struct Enabled {
    enabled: bool,
}

/// Words that mean something for the mount itself; what its file system takes is not among them.
const MOUNT_OPTIONS: [&str; 36] = [
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "exec",
    "idmap",
    "loud",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "noiversion",
    "nolazytime",
    "nomand",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nosymfollow",
    "private",
    "rbind",
    "relatime",
    "remount",
    "ridmap",
    "ro",
    "rprivate",
    "rshared",
    "rslave",
    "runbindable",
    "rw",
    "shared",
    "slave",
    "strictatime",
    "suid",
    "symfollow",
];

/// Those that, with an `r` in front, mean the mounts below too; and the rest.
const RECURSIVE_OPTIONS: [&str; 20] = [
    "ratime",
    "rdev",
    "rdiratime",
    "rexec",
    "rnoatime",
    "rnodev",
    "rnodiratime",
    "rnoexec",
    "rnorelatime",
    "rnostrictatime",
    "rnosuid",
    "rnosymfollow",
    "rrelatime",
    "rro",
    "rrw",
    "rstrictatime",
    "rsuid",
    "rsymfollow",
    "tmpcopyup",
    "unbindable",
];

const ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

const ARCHITECTURES: [&str; 5] =
    ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"];

/// What this runtime knows.
#[must_use]
pub fn features() -> Features {
    use NamespaceKind::{Cgroup, Ipc, Mount, Network, Pid, Time, User, Uts};
    let mut mount_options = [&MOUNT_OPTIONS[..], &RECURSIVE_OPTIONS].concat();
    mount_options.sort_unstable();
    let flags = [SeccompFlag::Log, SeccompFlag::SpecAllow, SeccompFlag::Tsync, SeccompFlag::WaitKillableRecv];
    Features {
        oci_version_min: "1.0.0",
        oci_version_max: OCI_VERSION,
        hooks: ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        mount_options,
        linux: Linux {
            namespaces: [Cgroup, Ipc, Mount, Network, Pid, Time, User, Uts],
            capabilities: KNOWN_CAPABILITIES.to_vec(),
            cgroup: CgroupFeatures { v1: false, v2: true, systemd: true, systemd_user: false, rdma: true },
            seccomp: SeccompFeatures {
                enabled: true,
                actions: ACTIONS,
                operators: [
                    SeccompOperator::Equal,
                    SeccompOperator::GreaterOrEqual,
                    SeccompOperator::Greater,
                    SeccompOperator::LessOrEqual,
                    SeccompOperator::Less,
                    SeccompOperator::MaskedEqual,
                    SeccompOperator::NotEqual,
                ],
                archs: ARCHITECTURES,
                known_flags: flags,
                // All are older than the oldest kernel ross runs on.
                supported_flags: flags,
            },
            apparmor: Enabled { enabled: true },
            selinux: Enabled { enabled: true },
            intel_rdt: IntelRdt { enabled: true, schemata: true, monitoring: true },
            mount_extensions: MountExtensions { idmap: Enabled { enabled: true } },
            net_devices: Enabled { enabled: true },
        },
        annotations: BTreeMap::from([("dev.ross.runtime.version", env!("CARGO_PKG_VERSION"))]),
        potentially_unsafe_config_annotations: &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::MountOptions;
    use crate::spec::{SeccompAction, SeccompArch};

    #[test]
    fn what_is_said_is_understood() {
        for option in MOUNT_OPTIONS.iter().chain(&RECURSIVE_OPTIONS) {
            let parsed = MountOptions::parse(&[(*option).to_owned()]);
            assert!(parsed.parameters.is_empty(), "{option}");
        }
        for action in ACTIONS {
            assert!(serde_json::from_value::<SeccompAction>(action.into()).is_ok(), "{action}");
        }
        for architecture in ARCHITECTURES {
            assert!(serde_json::from_value::<SeccompArch>(architecture.into()).is_ok(), "{architecture}");
        }
        let json = serde_json::to_value(features()).unwrap();
        assert_eq!(json["ociVersionMax"], OCI_VERSION);
        assert_eq!(json["linux"]["namespaces"][2], "mount");
        assert_eq!(json["linux"]["intelRdt"]["schemata"], true);
        assert_eq!(json["linux"]["seccomp"]["operators"][0], "SCMP_CMP_EQ");
        assert_eq!(json["linux"]["seccomp"]["knownFlags"][0], "SECCOMP_FILTER_FLAG_LOG");
    }
}
