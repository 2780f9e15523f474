//! What a container gets unless something else is asked for: the configuration `ross-runtime spec` prints and the
//! engine starts from.
//!
//! Pure data: nothing here looks at the host. [`NETWORK_SYSCTLS`] are left to the engine, which knows whether the network
//! is private and which ids are mapped: a ping range beyond those of a user namespace is refused by the kernel.

mod seccomp;

pub use seccomp::default_seccomp;

use crate::spec::{
    Capabilities, DeviceKind, DeviceRule, IdMapping, Linux, LinuxResources, Mount, Namespace, NamespaceKind,
    Process, Root, Spec,
};
use crate::state::OCI_VERSION;

/// Capabilities of a container: Docker's, without those that let it make device nodes, forge packets or write to the
/// host's audit log.
pub const CAPABILITIES: [&str; 11] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// Paths that tell about the host or its hardware, or let it be harmed.
pub const MASKED_PATHS: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Paths that may be read, and would change the host when written.
pub const READONLY_PATHS: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Kernel parameters of a private network namespace: every group may ping, and every user may bind low ports, since
/// nobody else's are there to be taken.
pub const NETWORK_SYSCTLS: [(&str, &str); 2] =
    [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647")];

/// The configuration of a container that runs `sh` in `rootfs`.
#[must_use]
pub fn default_spec() -> Spec {
    Spec {
        oci_version: OCI_VERSION.to_owned(),
        process: Some(Process {
            terminal: true,
            args: vec!["sh".to_owned()],
            env: vec![
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
                "TERM=xterm".to_owned(),
            ],
            cwd: "/".to_owned(),
            capabilities: Some(default_capabilities()),
            ..Process::default()
        }),
        root: Some(Root { path: "rootfs".to_owned(), readonly: false }),
        hostname: "ross".to_owned(),
        mounts: default_mounts(),
        linux: Some(Linux {
            resources: Some(LinuxResources { devices: default_device_rules(), ..LinuxResources::default() }),
            namespaces: default_namespaces(),
            seccomp: Some(default_seccomp(&CAPABILITIES)),
            masked_paths: strings(&MASKED_PATHS),
            readonly_paths: strings(&READONLY_PATHS),
            ..Linux::default()
        }),
        ..Spec::default()
    }
}

/// Changes a configuration into one that a user without privileges can run: a user namespace in which this user is root,
/// the host's network, and nothing that only the host's root may do.
pub fn make_rootless(spec: &mut Spec, uid: u32, gid: u32) {
    let linux = spec.linux.get_or_insert_default();
    let map = |host_id| vec![IdMapping { container_id: 0, host_id, size: 1 }];
    linux.uid_mappings = map(uid);
    linux.gid_mappings = map(gid);
    linux.namespaces.retain(|one| !matches!(one.kind, NamespaceKind::Network | NamespaceKind::User));
    linux.namespaces.push(Namespace { kind: NamespaceKind::User, path: None });
    linux.resources = None;
    for mount in &mut spec.mounts {
        // Nobody but root is mapped, and sysfs belongs to the network namespace.
        mount.options.retain(|option| !option.starts_with("gid=") && !option.starts_with("uid="));
        if mount.destination == "/sys" {
            mount.kind = Some("none".to_owned());
            mount.source = Some("/sys".to_owned());
            mount.options.insert(0, "rbind".to_owned());
        }
    }
}

/// [`CAPABILITIES`] in the sets they belong in. The inheritable set stays empty (CVE-2022-29162).
#[must_use]
pub fn default_capabilities() -> Capabilities {
    let all = strings(&CAPABILITIES);
    Capabilities { bounding: all.clone(), effective: all.clone(), permitted: all, ..Capabilities::default() }
}

/// Every namespace but user and time.
#[must_use]
pub fn default_namespaces() -> Vec<Namespace> {
    use NamespaceKind::{Cgroup, Ipc, Mount, Network, Pid, Uts};
    [Pid, Network, Ipc, Uts, Mount, Cgroup].map(|kind| Namespace { kind, path: None }).into()
}

/// The file systems every Linux program expects.
#[must_use]
pub fn default_mounts() -> Vec<Mount> {
    let mount = |destination: &str, kind: &str, source: &str, options: &[&str]| Mount {
        destination: destination.to_owned(),
        kind: Some(kind.to_owned()),
        source: Some(source.to_owned()),
        options: strings(options),
        ..Mount::default()
    };
    vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ]
}

/// No device, then those every container has: nodes may be made, the harmless ones may be opened.
#[must_use]
pub fn default_device_rules() -> Vec<DeviceRule> {
    let mut rules = vec![DeviceRule {
        allow: false,
        kind: Some(DeviceKind::All),
        major: None,
        minor: None,
        access: Some("rwm".to_owned()),
    }];
    rules.extend(crate::cgroup::default_devices());
    rules
}

fn strings(all: &[&str]) -> Vec<String> {
    all.iter().map(|&one| one.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_survives_its_file() {
        let spec = default_spec();
        let json = serde_json::to_vec(&spec).unwrap();
        assert_eq!(serde_json::from_slice::<Spec>(&json).unwrap(), spec);
    }

    #[test]
    fn rootless() {
        let mut spec = default_spec();
        make_rootless(&mut spec, 1000, 100);
        let linux = spec.linux.unwrap();
        assert!(linux.makes(NamespaceKind::User) && !linux.has(NamespaceKind::Network));
        assert_eq!((linux.uid_mappings[0].host_id, linux.gid_mappings[0].host_id), (1000, 100));
        assert!(linux.resources.is_none());
        let options: Vec<_> = spec.mounts.iter().flat_map(|mount| &mount.options).collect();
        assert!(options.iter().any(|option| *option == "rbind"));
        assert!(!options.iter().any(|option| option.starts_with("gid=")), "{options:?}");
    }

    #[test]
    fn the_default_gives_away_nothing_dangerous() {
        let spec = default_spec();
        let capabilities = spec.process.unwrap().capabilities.unwrap();
        assert!(capabilities.inheritable.is_empty() && capabilities.ambient.is_empty());
        for name in ["CAP_SYS_ADMIN", "CAP_NET_RAW", "CAP_MKNOD", "CAP_NET_ADMIN", "CAP_SYS_PTRACE"] {
            assert!(!capabilities.bounding.contains(&name.to_owned()), "{name}");
        }
        let linux = spec.linux.unwrap();
        assert!(linux.sysctl.is_empty(), "not every network and user namespace takes them");
        assert!(linux.namespaces.iter().all(|namespace| namespace.path.is_none()));
        assert!(spec.mounts.iter().all(|mount| !mount.options.iter().any(|option| option.contains("bind"))));
        let rules = linux.resources.unwrap().devices;
        assert!(!rules[0].allow && rules[0].major.is_none() && rules[0].minor.is_none());
    }
}
