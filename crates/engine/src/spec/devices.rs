//! Devices of the host in the container, and what may be done with them.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use ross_runtime::spec::{Device, DeviceKind, DeviceRule};
use rustix::fs::{major, minor};

use crate::error::{EngineError, Result};
use crate::model::{self, ContainerConfig};

/// Whether this is a rule such as `c 1:3 rwm`.
pub(crate) fn check_device_rule(rule: &str) -> Result<()> {
    parse_rule(rule).map(drop)
}

fn parse_rule(text: &str) -> Result<DeviceRule> {
    let invalid = || {
        EngineError::invalid(
            "device_cgroup_rules",
            format!("`{text}` is not `a|b|c MAJOR:MINOR rwm`, with * for any"),
        )
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let [kind, numbers, access] = words[..] else { return Err(invalid()) };
    let kind = match kind {
        "a" => DeviceKind::All,
        "b" => DeviceKind::Block,
        "c" => DeviceKind::Char,
        _ => return Err(invalid()),
    };
    let number = |word: &str| match word {
        "*" => Ok(None),
        digits => digits.parse::<u32>().map(|number| Some(i64::from(number))).map_err(|_| invalid()),
    };
    let (major, minor) = numbers.split_once(':').ok_or_else(invalid)?;
    if access.is_empty() || access.chars().any(|c| !"rwm".contains(c)) {
        return Err(invalid());
    }
    Ok(DeviceRule {
        allow: true,
        kind: Some(kind),
        major: number(major)?,
        minor: number(minor)?,
        access: Some(access.to_owned()),
    })
}

/// Adds nodes and rules of what was asked for.
pub(super) fn apply(
    nodes: &mut Vec<Device>,
    rules: &mut Vec<DeviceRule>,
    config: &ContainerConfig,
) -> Result<()> {
    if config.security.privileged {
        *rules = vec![DeviceRule {
            allow: true,
            kind: None,
            major: None,
            minor: None,
            access: Some("rwm".to_owned()),
        }];
        for device in of_directory(Path::new("/dev"), "/dev") {
            add_node(nodes, device);
        }
    }
    for device in &config.resources.devices {
        let path = Path::new(&device.host_path);
        let target =
            if device.container_path.is_empty() { &device.host_path } else { &device.container_path };
        let found = match node(path, target)? {
            Some(node) => vec![node],
            None => of_directory(path, target),
        };
        if found.is_empty() {
            return Err(EngineError::invalid(
                "devices",
                format!("{} is neither a device nor a directory of devices", path.display()),
            ));
        }
        for node in found {
            if !config.security.privileged {
                rules.push(rule_of(&node, device));
            }
            add_node(nodes, node);
        }
    }
    for rule in &config.resources.device_cgroup_rules {
        rules.push(parse_rule(rule)?);
    }
    Ok(())
}

fn add_node(nodes: &mut Vec<Device>, device: Device) {
    nodes.retain(|have| have.path != device.path);
    nodes.push(device);
}

fn rule_of(node: &Device, device: &model::Device) -> DeviceRule {
    let access = if device.permissions.is_empty() { "rwm" } else { &device.permissions };
    DeviceRule {
        allow: true,
        kind: Some(node.kind),
        major: Some(node.major),
        minor: Some(node.minor),
        access: Some(access.to_owned()),
    }
}

/// The device at `path`; none when something else is there.
fn node(path: &Path, target: &str) -> Result<Option<Device>> {
    // Links are followed: /dev/disk/by-id/… is a name people use.
    let stat = fs::metadata(path).map_err(|error| EngineError::io("stat device", path, error))?;
    let kind = if stat.file_type().is_block_device() {
        DeviceKind::Block
    } else if stat.file_type().is_char_device() {
        DeviceKind::Char
    } else {
        return Ok(None);
    };
    Ok(Some(Device {
        path: target.to_owned(),
        kind,
        major: i64::from(major(stat.rdev())),
        minor: i64::from(minor(stat.rdev())),
        file_mode: Some(stat.mode() & 0o7777),
        uid: Some(stat.uid()),
        gid: Some(stat.gid()),
    }))
}

/// Devices below a directory, without those every container has of its own.
fn of_directory(path: &Path, target: &str) -> Vec<Device> {
    const OWN: [&str; 7] = ["pts", "shm", "fd", "mqueue", "console", "ptmx", ".lxc"];
    let mut devices = Vec::new();
    let Ok(entries) = fs::read_dir(path) else { return devices };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !OWN.contains(name)) else { continue };
        let target = format!("{}/{name}", target.trim_end_matches('/'));
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => devices.extend(of_directory(&entry.path(), &target)),
            Ok(kind) if kind.is_block_device() || kind.is_char_device() => {
                devices.extend(node(&entry.path(), &target).ok().flatten());
            }
            _ => {}
        }
    }
    devices
}

/// Numbers of the block device at `path`.
pub(super) fn block_device(path: &str) -> Result<(i64, i64)> {
    let device = node(Path::new(path), path)?.filter(|device| device.kind == DeviceKind::Block);
    let device =
        device.ok_or_else(|| EngineError::invalid("io_limits", format!("{path} is no block device")))?;
    Ok((device.major, device.minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let rule = parse_rule("c 1:* rw").unwrap();
        assert_eq!((rule.kind, rule.major, rule.minor), (Some(DeviceKind::Char), Some(1), None));
        for bad in ["", "c", "c 1:3", "x 1:3 rwm", "c 1 rwm", "c 1:3 rwx", "c -1:3 r", "c 1:3 rwm more"] {
            assert!(parse_rule(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn devices_are_looked_up() {
        let mut config = ContainerConfig::default();
        config.resources.devices.push(model::Device {
            host_path: "/dev/null".into(),
            container_path: "/dev/nothing".into(),
            permissions: "r".into(),
        });
        let (mut nodes, mut rules) = (Vec::new(), Vec::new());
        apply(&mut nodes, &mut rules, &config).unwrap();
        assert_eq!((nodes[0].path.as_str(), nodes[0].major, nodes[0].minor), ("/dev/nothing", 1, 3));
        assert_eq!(rules[0].access.as_deref(), Some("r"));
        config.resources.devices[0].host_path = "/etc/hostname".into();
        assert!(apply(&mut nodes, &mut rules, &config).is_err());
        assert!(block_device("/dev/null").is_err());
    }
}
