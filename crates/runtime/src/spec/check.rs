//! Checking: fields that contradict each other or the kernel's ranges, found before anything is touched.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::{
    Capabilities, Device, DeviceKind, Hooks, IdMapping, InvalidSpec, Linux, NamespaceKind, Process, Rlimit,
    Spec,
};

type Check = Result<(), InvalidSpec>;

fn bad(path: impl Into<String>, reason: impl Into<String>) -> Check {
    Err(InvalidSpec::new(path, reason))
}

/// Names of setrlimit(2) resources, in the order of their numbers.
pub(crate) const RLIMITS: [&str; 16] = [
    "RLIMIT_CPU",
    "RLIMIT_FSIZE",
    "RLIMIT_DATA",
    "RLIMIT_STACK",
    "RLIMIT_CORE",
    "RLIMIT_RSS",
    "RLIMIT_NPROC",
    "RLIMIT_NOFILE",
    "RLIMIT_MEMLOCK",
    "RLIMIT_AS",
    "RLIMIT_LOCKS",
    "RLIMIT_SIGPENDING",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
];

const PROPAGATIONS: [&str; 8] =
    ["shared", "rshared", "slave", "rslave", "private", "rprivate", "unbindable", "runbindable"];

impl Spec {
    /// `linux`, which may be absent as a whole.
    pub(crate) fn linux(&self) -> &Linux {
        static NONE: LazyLock<Linux> = LazyLock::new(Linux::default);
        self.linux.as_ref().unwrap_or(&NONE)
    }

    /// Finds what cannot be honoured whatever the host is.
    ///
    /// # Errors
    /// The first contradiction or value out of range.
    pub fn check(&self) -> Result<(), InvalidSpec> {
        match self.oci_version.split_once('.') {
            Some(("1", _)) => {}
            _ if self.oci_version.is_empty() => return bad("ociVersion", "is missing"),
            _ => return bad("ociVersion", format!("version `{}` is not 1.x", self.oci_version)),
        }
        let Some(root) = &self.root else { return bad("root", "is missing") };
        no_nul("root.path", &root.path)?;
        if root.path.is_empty() {
            return bad("root.path", "is empty");
        }
        if let Some(process) = &self.process {
            process.check("process")?;
        }
        for (index, mount) in self.mounts.iter().enumerate() {
            let path = |field: &str| format!("mounts[{index}].{field}");
            if mount.destination.is_empty() {
                return bad(path("destination"), "is empty");
            }
            no_nul(&path("destination"), &mount.destination)?;
            no_nul(&path("source"), mount.source.as_deref().unwrap_or_default())?;
            no_nul(&path("type"), mount.kind.as_deref().unwrap_or_default())?;
            for (at, option) in mount.options.iter().enumerate() {
                no_nul(&path(&format!("options[{at}]")), option)?;
            }
            if mount.uid_mappings.is_empty() != mount.gid_mappings.is_empty() {
                return bad(path("uidMappings"), "needs gidMappings beside it, and the reverse");
            }
            check_mappings(&path("uidMappings"), &mount.uid_mappings)?;
            check_mappings(&path("gidMappings"), &mount.gid_mappings)?;
        }
        self.hooks.as_ref().map_or(Ok(()), check_hooks)?;
        let linux = self.linux();
        linux.check()?;
        for (field, name) in [("hostname", &self.hostname), ("domainname", &self.domainname)] {
            if !name.is_empty() && !linux.has(NamespaceKind::Uts) {
                return bad(field, "needs a uts namespace in linux.namespaces");
            }
            if name.len() > 64 {
                return bad(field, "is longer than 64 bytes");
            }
            no_nul(field, name)?;
        }
        Ok(())
    }
}

impl Linux {
    /// Whether the container has a namespace of this kind, new or joined.
    #[must_use]
    pub fn has(&self, kind: NamespaceKind) -> bool {
        self.namespaces.iter().any(|namespace| namespace.kind == kind)
    }

    /// Whether a new namespace of this kind is made.
    #[must_use]
    pub fn makes(&self, kind: NamespaceKind) -> bool {
        self.namespaces
            .iter()
            .any(|namespace| namespace.kind == kind && namespace.path.as_deref().unwrap_or("").is_empty())
    }

    fn check(&self) -> Check {
        let mut seen = BTreeSet::new();
        for (index, namespace) in self.namespaces.iter().enumerate() {
            if !seen.insert(namespace.kind) {
                return bad(format!("linux.namespaces[{index}]"), "is the second of its type");
            }
            no_nul(&format!("linux.namespaces[{index}].path"), namespace.path.as_deref().unwrap_or(""))?;
        }
        if !self.has(NamespaceKind::Mount) {
            return bad("linux.namespaces", "has no mount namespace, which a container needs");
        }
        self.check_user_namespace()?;
        for (name, value) in &self.sysctl {
            self.check_sysctl(name, value)?;
        }
        if self.cgroups_path.split('/').any(|part| part == "..") {
            return bad("linux.cgroupsPath", "contains `..`");
        }
        no_nul("linux.cgroupsPath", &self.cgroups_path)?;
        for (index, device) in self.devices.iter().enumerate() {
            check_device(&format!("linux.devices[{index}]"), device)?;
        }
        self.check_net_devices()?;
        let propagation = self.rootfs_propagation.as_str();
        if !propagation.is_empty() && !PROPAGATIONS.contains(&propagation) {
            return bad("linux.rootfsPropagation", format!("`{propagation}` is no propagation type"));
        }
        for (field, paths) in [("maskedPaths", &self.masked_paths), ("readonlyPaths", &self.readonly_paths)] {
            for (index, path) in paths.iter().enumerate() {
                absolute(&format!("linux.{field}[{index}]"), path)?;
            }
        }
        if let Some(personality) = &self.personality {
            if !matches!(personality.domain.as_str(), "LINUX" | "LINUX32") {
                return bad("linux.personality.domain", "is neither LINUX nor LINUX32");
            }
            if !personality.flags.is_empty() {
                return bad("linux.personality.flags", "has a flag, and none are defined");
            }
        }
        if !self.time_offsets.is_empty() && !self.makes(NamespaceKind::Time) {
            return bad("linux.timeOffsets", "needs a new time namespace in linux.namespaces");
        }
        if let Some(clock) =
            self.time_offsets.keys().find(|clock| !matches!(clock.as_str(), "monotonic" | "boottime"))
        {
            return bad(format!("linux.timeOffsets.{clock}"), "is neither monotonic nor boottime");
        }
        Ok(())
    }

    fn check_user_namespace(&self) -> Check {
        check_mappings("linux.uidMappings", &self.uid_mappings)?;
        check_mappings("linux.gidMappings", &self.gid_mappings)?;
        let makes = self.makes(NamespaceKind::User);
        for (field, mappings) in
            [("linux.uidMappings", &self.uid_mappings), ("linux.gidMappings", &self.gid_mappings)]
        {
            if makes && mappings.is_empty() {
                return bad(field, "is empty, and a new user namespace needs it");
            }
            if !makes && !mappings.is_empty() {
                return bad(field, "needs a new user namespace in linux.namespaces");
            }
        }
        Ok(())
    }

    fn check_net_devices(&self) -> Check {
        let mut seen = BTreeSet::new();
        for (name, device) in &self.net_devices {
            let path = format!("linux.netDevices.{name}");
            if !self.has(NamespaceKind::Network) {
                return bad(path, "needs a network namespace in linux.namespaces");
            }
            let inside = if device.name.is_empty() { name } else { &device.name };
            for name in [name, inside] {
                // dev_valid_name() of net/core/dev.c.
                let is_bad =
                    |letter: char| matches!(letter, '/' | ':' | '\0') || letter.is_ascii_whitespace();
                if name.is_empty()
                    || name.len() > 15
                    || name.contains(is_bad)
                    || [".", ".."].contains(&name.as_str())
                {
                    return bad(path, format!("`{name}` is no name of a network interface"));
                }
            }
            if !seen.insert(inside) {
                return bad(path, format!("is the second to be called {inside}"));
            }
        }
        Ok(())
    }

    /// Only parameters that belong to a namespace of the container: others are the host's (CVE-2015-8214 and kin).
    fn check_sysctl(&self, name: &str, value: &str) -> Check {
        let path = format!("linux.sysctl.{name}");
        no_nul(&path, name)?;
        no_nul(&path, value)?;
        let dotted = name.replace('/', ".");
        if dotted.split('.').any(str::is_empty) {
            return bad(path, "is no name of a kernel parameter");
        }
        let ipc = ["kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall"];
        let ipc = ipc.contains(&dotted.as_str())
            || ["kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"].contains(&dotted.as_str())
            || dotted.starts_with("fs.mqueue.");
        let needs = if ipc {
            NamespaceKind::Ipc
        } else if dotted.starts_with("net.") {
            NamespaceKind::Network
        } else if dotted == "kernel.domainname" {
            NamespaceKind::Uts
        } else if dotted.starts_with("user.") {
            NamespaceKind::User
        } else if dotted == "kernel.hostname" {
            return bad(path, "is set by hostname");
        } else {
            return bad(path, "belongs to the host, not to a namespace");
        };
        if self.has(needs) {
            Ok(())
        } else {
            bad(path, format!("needs a {needs} namespace in linux.namespaces"))
        }
    }
}

impl Process {
    /// Finds what cannot be honoured whatever the host is; `at` is the JSON path of this process.
    ///
    /// # Errors
    /// The first contradiction or value out of range.
    pub fn check(&self, at: &str) -> Result<(), InvalidSpec> {
        if self.args.first().is_none_or(String::is_empty) {
            return bad(format!("{at}.args"), "names no program");
        }
        for (index, argument) in self.args.iter().enumerate() {
            no_nul(&format!("{at}.args[{index}]"), argument)?;
        }
        for (index, variable) in self.env.iter().enumerate() {
            let path = format!("{at}.env[{index}]");
            no_nul(&path, variable)?;
            if variable.find('=').is_none_or(|equals| equals == 0) {
                return bad(path, format!("`{variable}` is not NAME=value"));
            }
        }
        absolute(&format!("{at}.cwd"), &self.cwd)?;
        let mut seen = BTreeSet::new();
        for (index, limit) in self.rlimits.iter().enumerate() {
            check_rlimit(&format!("{at}.rlimits[{index}]"), limit)?;
            if !seen.insert(limit.kind.as_str()) {
                return bad(format!("{at}.rlimits[{index}]"), format!("is the second {}", limit.kind));
            }
        }
        if self.oom_score_adj.is_some_and(|value| !(-1000..=1000).contains(&value)) {
            return bad(format!("{at}.oomScoreAdj"), "is not within -1000 and 1000");
        }
        if self.user.umask.is_some_and(|umask| umask > 0o777) {
            return bad(format!("{at}.user.umask"), "is more than 0777 (511)");
        }
        if self.console_size.as_ref().is_some_and(|size| size.height > 65535 || size.width > 65535) {
            return bad(format!("{at}.consoleSize"), "is more than 65535");
        }
        self.capabilities.as_ref().map_or(Ok(()), |sets| check_capabilities(at, sets))
    }
}

impl std::fmt::Display for NamespaceKind {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Pid => "pid",
            Self::Network => "network",
            Self::Mount => "mount",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
            Self::User => "user",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
        })
    }
}

fn no_nul(path: &str, text: &str) -> Check {
    if text.contains('\0') { bad(path, "contains a NUL") } else { Ok(()) }
}

fn absolute(path: &str, text: &str) -> Check {
    no_nul(path, text)?;
    if text.starts_with('/') { Ok(()) } else { bad(path, format!("`{text}` is not an absolute path")) }
}

fn check_mappings(path: &str, mappings: &[IdMapping]) -> Check {
    let overlap = |a: (u32, u32), b: (u32, u32)| {
        u64::from(a.0) < u64::from(b.0) + u64::from(b.1) && u64::from(b.0) < u64::from(a.0) + u64::from(a.1)
    };
    for (index, mapping) in mappings.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let &IdMapping { container_id, host_id, size } = mapping;
        if size == 0 {
            return bad(format!("{path}.size"), "is zero");
        }
        if container_id.checked_add(size).is_none() || host_id.checked_add(size).is_none() {
            return bad(path, "goes beyond the last id");
        }
        for other in &mappings[..index] {
            if overlap((container_id, size), (other.container_id, other.size))
                || overlap((host_id, size), (other.host_id, other.size))
            {
                return bad(path, "overlaps an earlier one");
            }
        }
    }
    Ok(())
}

fn check_device(path: &str, device: &Device) -> Check {
    absolute(&format!("{path}.path"), &device.path)?;
    if device.kind == DeviceKind::All {
        return bad(format!("{path}.type"), "`a` is for rules only");
    }
    // MKDEV of the kernel: 12 bits of major, 20 of minor.
    if device.kind != DeviceKind::Fifo
        && !((0..1 << 12).contains(&device.major) && (0..1 << 20).contains(&device.minor))
    {
        return bad(path, format!("{}:{} is no device number", device.major, device.minor));
    }
    if device.file_mode.is_some_and(|mode| mode & !0o17_7777 != 0) {
        return bad(format!("{path}.fileMode"), "is no file mode");
    }
    Ok(())
}

fn check_rlimit(path: &str, limit: &Rlimit) -> Check {
    if !RLIMITS.contains(&limit.kind.as_str()) {
        return bad(format!("{path}.type"), format!("`{}` is no resource limit", limit.kind));
    }
    if limit.soft > limit.hard {
        return bad(format!("{path}.soft"), format!("{} exceeds the hard limit {}", limit.soft, limit.hard));
    }
    Ok(())
}

fn check_capabilities(at: &str, sets: &Capabilities) -> Check {
    let beyond = |inner: &[String], outer: &[String]| {
        inner.iter().find(|name| !outer.contains(name)).map(ToOwned::to_owned)
    };
    let rules = [
        ("effective", beyond(&sets.effective, &sets.permitted), "permitted"),
        ("ambient", beyond(&sets.ambient, &sets.permitted), "permitted"),
    ];
    for (field, found, outer) in rules {
        if let Some(name) = found {
            return bad(format!("{at}.capabilities.{field}"), format!("{name} is not in {outer}"));
        }
    }
    Ok(())
}

fn check_hooks(hooks: &Hooks) -> Check {
    let lists = [
        ("prestart", &hooks.prestart),
        ("createRuntime", &hooks.create_runtime),
        ("createContainer", &hooks.create_container),
        ("startContainer", &hooks.start_container),
        ("poststart", &hooks.poststart),
        ("poststop", &hooks.poststop),
    ];
    for (name, list) in lists {
        for (index, hook) in list.iter().enumerate() {
            let path = format!("hooks.{name}[{index}]");
            absolute(&format!("{path}.path"), &hook.path)?;
            for text in hook.args.iter().chain(&hook.env) {
                no_nul(&path, text)?;
            }
            if hook.timeout.is_some_and(|seconds| seconds <= 0) {
                return bad(format!("{path}.timeout"), "is not more than zero");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn base() -> Value {
        json!({"ociVersion": "1.2.0", "root": {"path": "rootfs"},
            "process": {"args": ["sh"], "cwd": "/"},
            "linux": {"namespaces": [{"type": "mount"}]}})
    }

    fn merge(into: &mut Value, from: &Value) {
        match (into, from) {
            (Value::Object(into), Value::Object(from)) => {
                for (key, value) in from {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
            (into, from) => *into = from.clone(),
        }
    }

    #[test]
    fn contradictions() {
        let check = |change: Value, path: &str| {
            let mut spec = base();
            merge(&mut spec, &change);
            let error = Spec::parse(&serde_json::to_vec(&spec).unwrap()).unwrap_err();
            assert_eq!(error.path, path, "{change}: {error}");
        };
        check(json!({"ociVersion": ""}), "ociVersion");
        check(json!({"ociVersion": "2.0.0"}), "ociVersion");
        check(json!({"root": null}), "root");
        check(json!({"root": {"path": "a\u{0}b"}}), "root.path");
        check(json!({"hostname": "h"}), "hostname");
        check(json!({"domainname": "h"}), "domainname");
        check(json!({"process": {"args": []}}), "process.args");
        check(json!({"process": {"cwd": "tmp"}}), "process.cwd");
        check(json!({"process": {"cwd": ""}}), "process.cwd");
        check(json!({"process": {"env": ["A=b", "C"]}}), "process.env[1]");
        check(json!({"process": {"env": ["=b"]}}), "process.env[0]");
        check(json!({"process": {"oomScoreAdj": 1001}}), "process.oomScoreAdj");
        check(json!({"process": {"user": {"umask": 512}}}), "process.user.umask");
        let limit = |kind: &str, soft: u64| json!({"type": kind, "soft": soft, "hard": 5});
        check(json!({"process": {"rlimits": [limit("RLIMIT_X", 1)]}}), "process.rlimits[0].type");
        check(json!({"process": {"rlimits": [limit("RLIMIT_CPU", 6)]}}), "process.rlimits[0].soft");
        check(
            json!({"process": {"rlimits": [limit("RLIMIT_CPU", 1), limit("RLIMIT_CPU", 2)]}}),
            "process.rlimits[1]",
        );
        check(
            json!({"process": {"capabilities": {"effective": ["CAP_CHOWN"]}}}),
            "process.capabilities.effective",
        );
        check(
            json!({"process": {"capabilities": {"inheritable": ["CAP_CHOWN"], "ambient": ["CAP_CHOWN"]}}}),
            "process.capabilities.ambient",
        );
        check(json!({"mounts": [{"destination": ""}]}), "mounts[0].destination");
        check(
            json!({"mounts": [{"destination": "/a", "uidMappings": [{"size": 1}]}]}),
            "mounts[0].uidMappings",
        );
        check(json!({"linux": {"namespaces": []}}), "linux.namespaces");
        check(
            json!({"linux": {"namespaces": [{"type": "mount"}, {"type": "mount"}]}}),
            "linux.namespaces[1]",
        );
        check(json!({"linux": {"uidMappings": [{"size": 1}]}}), "linux.uidMappings");
        let user = json!([{"type": "mount"}, {"type": "user"}]);
        check(json!({"linux": {"namespaces": user}}), "linux.uidMappings");
        check(
            json!({"linux": {"namespaces": user, "uidMappings": [{"size": 2}, {"containerID": 1, "hostID": 9, "size": 1}]}}),
            "linux.uidMappings[1]",
        );
        check(json!({"linux": {"sysctl": {"kernel.panic": "1"}}}), "linux.sysctl.kernel.panic");
        check(json!({"linux": {"sysctl": {"net.ipv4.ip_forward": "1"}}}), "linux.sysctl.net.ipv4.ip_forward");
        check(json!({"linux": {"sysctl": {"net/../kernel/panic": "1"}}}), "linux.sysctl.net/../kernel/panic");
        check(json!({"linux": {"cgroupsPath": "/a/../b"}}), "linux.cgroupsPath");
        check(json!({"linux": {"rootfsPropagation": "public"}}), "linux.rootfsPropagation");
        check(json!({"linux": {"maskedPaths": ["proc"]}}), "linux.maskedPaths[0]");
        check(json!({"linux": {"devices": [{"path": "x", "type": "c"}]}}), "linux.devices[0].path");
        check(json!({"linux": {"devices": [{"path": "/x", "type": "a"}]}}), "linux.devices[0].type");
        check(json!({"linux": {"devices": [{"path": "/x", "type": "c", "major": -1}]}}), "linux.devices[0]");
        check(json!({"linux": {"timeOffsets": {"monotonic": {"secs": 1}}}}), "linux.timeOffsets");
        check(json!({"linux": {"netDevices": {"d0": {}}}}), "linux.netDevices.d0");
        let devices = |devices: Value| {
            let net = json!([{"type": "mount"}, {"type": "network"}]);
            json!({"linux": {"namespaces": net, "netDevices": devices}})
        };
        check(devices(json!({"a/b": {}})), "linux.netDevices.a/b");
        check(devices(json!({"d0": {"name": "sixteen-letters!"}})), "linux.netDevices.d0");
        check(devices(json!({"d0": {"name": "d1"}, "d1": {}})), "linux.netDevices.d1");
        check(json!({"hooks": {"poststop": [{"path": "x"}]}}), "hooks.poststop[0].path");
        check(json!({"hooks": {"prestart": [{"path": "/x", "timeout": 0}]}}), "hooks.prestart[0].timeout");
    }

    #[test]
    fn fine() {
        let check = |change: Value| {
            let mut spec = base();
            merge(&mut spec, &change);
            Spec::parse(&serde_json::to_vec(&spec).unwrap()).unwrap();
        };
        check(json!({}));
        check(json!({"hostname": "h", "linux": {"namespaces": [{"type": "mount"}, {"type": "uts"}]}}));
        let net = json!([{"type": "mount"}, {"type": "network", "path": "/x"}]);
        check(json!({"linux": {"namespaces": net, "sysctl": {"net/ipv4/conf/eth0.1/rp_filter": "1"}}}));
        check(json!({"linux": {"devices": [{"path": "/x", "type": "u", "major": 1, "minor": 3}]}}));
    }
}
