//! The whole specification.

use std::path::{Path, PathBuf};

use ross_runtime::cgroup::DEFAULT_PARENT;
use ross_runtime::defaults::{NETWORK_SYSCTLS, default_spec};
use ross_runtime::spec::{Linux, Namespace, NamespaceKind, Spec};
use ross_types::ContainerId;

use super::{capabilities, devices, limits, mounts, process, seccomp};
use crate::error::{EngineError, Result};
use crate::host::Host;
use crate::model::{ContainerConfig, NamespaceMode, NetworkMode};
use crate::rootfs::RootFd;

/// All that the specification is made of.
#[derive(Debug)]
pub(crate) struct SpecInput<'a> {
    pub(crate) id: &'a ContainerId,
    pub(crate) config: &'a ContainerConfig,
    pub(crate) host: &'a Host,
    /// The host name inside.
    pub(crate) hostname: &'a str,
    /// Where the root is mounted.
    pub(crate) rootfs: &'a Path,
    pub(crate) root: &'a RootFd,
    /// The network namespace; none is the host's.
    pub(crate) netns: Option<PathBuf>,
    /// First process of the container whose PID namespace is joined.
    pub(crate) pid_of: Option<i32>,
    /// The same for the UTS namespace.
    pub(crate) uts_of: Option<i32>,
    pub(crate) files: NameFiles,
    /// Host directory of each volume mount, in the order of the mounts; none for other kinds.
    pub(crate) volumes: Vec<Option<PathBuf>>,
}

/// Host paths of the files that ross writes for a container.
#[derive(Debug)]
pub(crate) struct NameFiles {
    pub(crate) hosts: PathBuf,
    pub(crate) hostname: PathBuf,
    pub(crate) resolv_conf: PathBuf,
}

/// Makes the specification.
pub(crate) fn build(input: &SpecInput<'_>) -> Result<Spec> {
    let config = input.config;
    let mut spec = default_spec();
    let caps = capabilities::granted(&config.security, input.host)?;
    let root = spec.root.get_or_insert_default();
    root.path = utf8(input.rootfs)?;
    root.readonly = config.security.read_only_rootfs;
    spec.annotations.clone_from(&config.annotations);
    let private_uts = config.uts_mode == NamespaceMode::Private;
    spec.hostname = if private_uts { input.hostname.to_owned() } else { String::new() };
    spec.domainname = if private_uts { config.domainname.clone() } else { String::new() };
    spec.process = Some(process::main_process(config, input.host, input.root, input.hostname, &caps)?);
    mounts::apply(&mut spec.mounts, input)?;
    let mut linux = spec.linux.take().unwrap_or_default();
    apply_linux(&mut linux, input, &caps)?;
    spec.linux = Some(linux);
    spec.check().map_err(|error| {
        EngineError::internal(input.id.as_str(), "the specification made for the container is wrong")
            .caused_by(error)
    })?;
    Ok(spec)
}

pub(super) fn utf8(path: &Path) -> Result<String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| EngineError::invalid("path", format!("{} is not UTF-8", path.display())))
}

fn apply_linux(linux: &mut Linux, input: &SpecInput<'_>, caps: &[String]) -> Result<()> {
    let config = input.config;
    namespaces(&mut linux.namespaces, input)?;
    linux.cgroups_path = cgroup_path(input.id, &config.resources.cgroup_parent);
    linux.seccomp = seccomp::filter(&config.security, caps)?;
    if config.security.privileged || config.security.unmask_system_paths {
        linux.masked_paths.clear();
        linux.readonly_paths.clear();
    }
    if owns_network(config) {
        linux.sysctl.extend(NETWORK_SYSCTLS.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
    linux.sysctl.extend(config.sysctls.clone());
    let resources = linux.resources.get_or_insert_default();
    limits::apply(resources, config, input.host)?;
    devices::apply(&mut linux.devices, &mut resources.devices, config)?;
    Ok(())
}

/// Whether its network namespace is made for it alone.
fn owns_network(config: &ContainerConfig) -> bool {
    matches!(config.network.mode, NetworkMode::Bridge | NetworkMode::None | NetworkMode::Named(_))
}

/// The cgroup of a container.
pub(crate) fn cgroup_path(id: &ContainerId, parent: &str) -> String {
    let parent = parent.trim_matches('/');
    let parent = if parent.is_empty() { DEFAULT_PARENT } else { parent };
    format!("/{parent}/{id}")
}

fn namespaces(namespaces: &mut Vec<Namespace>, input: &SpecInput<'_>) -> Result<()> {
    use NamespaceKind::{Cgroup, Ipc, Network, Pid, Uts};
    let config = input.config;
    let mut set = |kind: NamespaceKind, choice: Option<Option<String>>| {
        namespaces.retain(|namespace| namespace.kind != kind);
        namespaces.extend(choice.map(|path| Namespace { kind, path }));
    };
    let of = |pid: Option<i32>, file: &str| -> Result<Option<Option<String>>> {
        let pid = pid.ok_or_else(|| {
            EngineError::internal(input.id.as_str(), "the container to join was not looked up")
        })?;
        Ok(Some(Some(format!("/proc/{pid}/ns/{file}"))))
    };
    set(Network, input.netns.as_deref().map(utf8).transpose()?.map(Some));
    set(
        Pid,
        match &config.pid_mode {
            NamespaceMode::Private => Some(None),
            NamespaceMode::Host => None,
            NamespaceMode::Container(_) => of(input.pid_of, "pid")?,
        },
    );
    set(
        Uts,
        match &config.uts_mode {
            NamespaceMode::Private => Some(None),
            NamespaceMode::Host => None,
            NamespaceMode::Container(_) => of(input.uts_of, "uts")?,
        },
    );
    set(Ipc, (config.ipc_mode != NamespaceMode::Host).then_some(None));
    // Docker gives a privileged container the host's cgroup namespace only on v1.
    set(Cgroup, (config.cgroupns_mode != NamespaceMode::Host).then_some(None));
    Ok(())
}
