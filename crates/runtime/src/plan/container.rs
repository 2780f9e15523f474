//! The whole of a plan, and its root.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use ross_sys::SysError;
use ross_sys::mount::{MountChange, Propagation};
use rustix::fs::CWD;
use rustix::mount::OpenTreeFlags;

use crate::error::Error;
use crate::options::CreateOptions;
use crate::spec::{Hooks, Linux, Spec};
use crate::state::Status;

use super::{
    DevicePlan, HookPlan, HookState, MountPlan, NamespacePlan, ProcessPlan, SysctlPlan, mount_options,
    mounts, sysctl,
};

/// Everything a container is, ready to be carried out.
#[derive(Debug)]
pub(crate) struct Plan {
    pub namespaces: NamespacePlan,
    pub root: RootPlan,
    pub mounts: Vec<MountPlan>,
    /// `None` when /dev is the host's, bind-mounted.
    pub devices: Option<DevicePlan>,
    pub masked: Vec<CString>,
    pub readonly: Vec<CString>,
    pub sysctls: Vec<SysctlPlan>,
    pub hostname: String,
    pub domainname: String,
    /// Run by the child, in the namespaces of the container.
    pub create_container: Vec<HookPlan>,
    pub start_container: Vec<HookPlan>,
    /// The state given to those hooks.
    pub creating: HookState,
    pub created: HookState,
    /// Whether the parent has something to do once the mounts are there.
    pub runtime_hooks: bool,
    pub process: ProcessPlan,
    /// FIFOs of a container that waits to be started.
    pub gate: Option<Gate>,
}

/// The root file system.
#[derive(Debug)]
pub(crate) struct RootPlan {
    /// Its path on the host.
    pub path: CString,
    /// A detached copy of it and the mounts below it.
    pub tree: OwnedFd,
    pub readonly: bool,
    pub no_pivot: bool,
    /// Set on the root once the container is complete, recursively or not.
    pub propagation: Option<(Propagation, bool)>,
}

/// Where the child waits to be started, and where it tells how that went.
#[derive(Debug)]
pub(crate) struct Gate {
    pub start: OwnedFd,
    pub report: OwnedFd,
}

impl Plan {
    /// Makes the plan of a container; `own_cgroup` is a directory descriptor of its cgroup.
    pub(crate) fn new(
        spec: &Spec,
        options: &mut CreateOptions<'_>,
        own_cgroup: BorrowedFd<'_>,
        hook_state: &dyn Fn(Status) -> HookState,
        gate: Option<Gate>,
    ) -> Result<Self, Error> {
        let linux = spec.linux();
        let process = spec.process.as_ref().ok_or_else(|| invalid("process", "is missing"))?;
        let namespaces = NamespacePlan::new(linux)?;
        let root = RootPlan::new(spec, linux, options)?;
        let mounts = mounts::plan(spec, linux, options.bundle, own_cgroup)?;
        let devices = if mounts.iter().any(|m| m.is_bind() && m.target.as_bytes() == b"/dev") {
            None
        } else {
            Some(DevicePlan::new(linux, namespaces.in_userns(), process.terminal)?)
        };
        let stdio = std::mem::take(&mut options.stdio);
        let keyring = (!options.no_new_keyring).then(|| format!("_ses.{}", options.id));
        let process = ProcessPlan::new(process, linux, stdio, options.preserve_fds, keyring)?;
        let none = Hooks::default();
        let hooks = spec.hooks.as_ref().unwrap_or(&none);
        Ok(Self {
            namespaces,
            root,
            mounts,
            devices,
            masked: c_strings(&linux.masked_paths),
            readonly: c_strings(&linux.readonly_paths),
            sysctls: sysctl::plan(linux),
            hostname: spec.hostname.clone(),
            domainname: spec.domainname.clone(),
            create_container: HookPlan::list(&hooks.create_container),
            start_container: HookPlan::list(&hooks.start_container),
            creating: hook_state(Status::Creating),
            created: hook_state(Status::Created),
            runtime_hooks: !hooks.prestart.is_empty()
                || !hooks.create_runtime.is_empty()
                || !hooks.create_container.is_empty()
                || !linux.net_devices.is_empty(),
            process,
            gate,
        })
    }
}

impl RootPlan {
    fn new(spec: &Spec, linux: &Linux, options: &CreateOptions<'_>) -> Result<Self, Error> {
        let root = spec.root.as_ref().ok_or_else(|| invalid("root", "is missing"))?;
        let path: PathBuf = absolute(&options.bundle.join(&root.path))?;
        let flags =
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
        let tree = rustix::mount::open_tree(CWD, &path, flags)
            .map_err(|errno| SysError::on("open_tree", &path, errno).with("root.path"))?;
        // A copy of a shared mount is its peer: what is mounted in the container would appear on the host.
        ross_sys::mount::set(tree.as_fd(), true, &MountChange::propagation(Propagation::Slave))
            .map_err(|errno| SysError::on("mount_setattr", &path, errno).with("slave"))?;
        let propagation = match linux.rootfs_propagation.as_str() {
            "" => None,
            word => mount_options::propagation(word),
        };
        Ok(Self {
            path: c_string(path.as_os_str().as_encoded_bytes()),
            tree,
            readonly: root.readonly,
            no_pivot: options.no_pivot,
            propagation,
        })
    }
}

/// An error of the configuration found while planning.
pub(super) fn invalid(path: impl Into<String>, reason: impl Into<String>) -> Error {
    Error::Spec { file: PathBuf::from("config.json"), source: crate::spec::InvalidSpec::new(path, reason) }
}

pub(super) fn c_string(bytes: impl Into<Vec<u8>>) -> CString {
    CString::new(bytes).expect("spec::check refuses NUL in every string")
}

pub(super) fn c_strings(texts: &[String]) -> Vec<CString> {
    texts.iter().map(|text| c_string(text.as_str())).collect()
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|_| Error::Options("the working directory is gone".to_owned()))
}
