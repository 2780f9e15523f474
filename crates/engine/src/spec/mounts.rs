//! What is mounted in the container.

use std::path::PathBuf;

use ross_runtime::defaults::default_spec;
use ross_runtime::spec::Mount;

use super::build::{SpecInput, utf8};
use crate::error::{EngineError, Result};
use crate::model::{self, ContainerConfig, MountKind, NamespaceMode};

/// Files with the names of hosts, made by ross.
const NAME_FILES: [&str; 3] = ["/etc/resolv.conf", "/etc/hostname", "/etc/hosts"];

const DEFAULT_SHM: u64 = 64 << 20;

/// Changes the default mounts to what was asked for, and adds to them.
pub(super) fn apply(mounts: &mut Vec<Mount>, input: &SpecInput<'_>) -> Result<()> {
    let config = input.config;
    if config.security.privileged {
        for mount in mounts.iter_mut().filter(|mount| is_kernel_interface(mount)) {
            mount.options.retain(|option| option != "ro");
        }
    }
    shm(mounts, config);
    let files = [&input.files.resolv_conf, &input.files.hostname, &input.files.hosts];
    for (target, source) in NAME_FILES.into_iter().zip(files) {
        let mut options = words("rbind rprivate");
        if config.security.read_only_rootfs {
            options.push("ro".to_owned());
        }
        replace(mounts, bind(utf8(source)?, target.to_owned(), options));
    }
    let mut asked = Vec::new();
    for (index, mount) in config.mounts.iter().enumerate() {
        asked.push(of_model(mount, input, index)?);
    }
    // A mount below another comes after it, whatever the order of the request.
    asked.sort_by_key(|mount| mount.destination.split('/').filter(|part| !part.is_empty()).count());
    for mount in asked {
        replace(mounts, mount);
    }
    Ok(())
}

/// Where something is mounted in a container, as far as ross decides that.
pub(crate) fn mount_points(config: &ContainerConfig) -> Vec<PathBuf> {
    let defaults = default_spec().mounts.into_iter().map(|mount| mount.destination);
    let files = NAME_FILES.iter().map(|target| (*target).to_owned());
    let asked = config.mounts.iter().map(|mount| mount.target.clone());
    defaults.chain(files).chain(asked).map(PathBuf::from).collect()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn is_kernel_interface(mount: &Mount) -> bool {
    matches!(mount.kind.as_deref(), Some("sysfs" | "cgroup" | "cgroup2" | "proc"))
}

fn bind(source: String, destination: String, options: Vec<String>) -> Mount {
    Mount { kind: Some("bind".to_owned()), source: Some(source), destination, options, ..Mount::default() }
}

/// Adds a mount in place of what is mounted there by default.
fn replace(mounts: &mut Vec<Mount>, mount: Mount) {
    let same =
        |have: &Mount| have.destination.trim_end_matches('/') == mount.destination.trim_end_matches('/');
    mounts.retain(|have| !same(have));
    mounts.push(mount);
}

fn shm(mounts: &mut Vec<Mount>, config: &ContainerConfig) {
    let target = "/dev/shm";
    if config.ipc_mode == NamespaceMode::Host {
        replace(
            mounts,
            bind(target.to_owned(), target.to_owned(), words("rbind rprivate nosuid nodev noexec")),
        );
        return;
    }
    let size = if config.shm_size == 0 { DEFAULT_SHM } else { config.shm_size };
    let mut options = words("nosuid nodev noexec mode=1777");
    options.push(format!("size={size}"));
    let at = mounts.iter().position(|mount| mount.destination == target);
    let mount = Mount {
        kind: Some("tmpfs".to_owned()),
        source: Some("shm".to_owned()),
        destination: target.to_owned(),
        options,
        ..Mount::default()
    };
    // In its place: after /dev, before what may be mounted below.
    match at {
        Some(at) => mounts[at] = mount,
        None => mounts.push(mount),
    }
}

fn of_model(mount: &model::Mount, input: &SpecInput<'_>, index: usize) -> Result<Mount> {
    let target = mount.target.clone();
    match &mount.kind {
        MountKind::Bind { source, non_recursive, propagation, .. } => {
            let recursive = !*non_recursive;
            let mut options =
                vec![if recursive { "rbind" } else { "bind" }.to_owned(), propagation.as_str().to_owned()];
            options.extend(read_only(mount.read_only, recursive));
            Ok(bind(source.clone(), target, options))
        }
        MountKind::Volume { name, .. } => {
            let data = input.volumes.get(index).and_then(Option::as_ref);
            let data =
                data.ok_or_else(|| EngineError::internal(name, format!("volume {name} was not prepared")))?;
            let mut options = words("rbind rprivate");
            options.extend(read_only(mount.read_only, true));
            Ok(bind(utf8(data)?, target, options))
        }
        MountKind::Tmpfs { size, mode, options: further } => {
            // What was typed comes last and wins.
            let mut options = words("nosuid nodev noexec");
            for option in further {
                let opposite = match option.as_str() {
                    "exec" | "suid" | "dev" => format!("no{option}"),
                    _ => String::new(),
                };
                options.retain(|have| *have != opposite && have != option);
                options.push(option.clone());
            }
            if *size != 0 {
                options.push(format!("size={size}"));
            }
            if *mode != 0 {
                options.push(format!("mode={mode:o}"));
            } else if !further.iter().any(|option| option.starts_with("mode=")) {
                options.push("mode=1777".to_owned());
            }
            options.extend(read_only(mount.read_only, false));
            Ok(Mount {
                kind: Some("tmpfs".to_owned()),
                source: Some("tmpfs".to_owned()),
                destination: target,
                options,
                ..Mount::default()
            })
        }
        MountKind::Image { .. } => Err(EngineError::unimplemented("mounting an image")),
    }
}

fn read_only(wanted: bool, recursive: bool) -> Vec<String> {
    match (wanted, recursive) {
        (false, _) => Vec::new(),
        (true, false) => words("ro"),
        // Docker's since 25: what is mounted below is read-only, too.
        (true, true) => words("ro rro"),
    }
}
