//! Volumes: directories that ross keeps, `<root>/volumes/<name>/_data`.
//!
//! Made when a container that names them is created, filled from the image when first mounted by a start, and
//! removed with the container when they were made for it alone and it is asked for.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind as IoKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use ross_image::layer::remove_tree;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::copy;
use crate::db::{Db, VolumeRow};
use crate::error::{EngineError, Result};
use crate::model::{ContainerConfig, Mount, MountKind, Timestamp};
use crate::names::new_id;
use crate::paths::Paths;
use crate::rootfs::RootFd;

/// A first-use copy under way.
const STAGING: &str = "_data.new";

/// Whether this can name a volume; empty is one without a name.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let bytes = name.as_bytes();
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let fine = bytes.is_empty()
        || (2..=255).contains(&bytes.len()) && bytes[0].is_ascii_alphanumeric() && bytes.iter().all(allowed);
    if fine {
        return Ok(());
    }
    let reason = format!(
        "\"{name}\" includes invalid characters for a local volume name: use [a-zA-Z0-9][a-zA-Z0-9_.-]"
    );
    Err(EngineError::invalid("volume name", reason))
}

/// Names of volumes that a create has made, and unmakes when it fails.
#[derive(Debug, Default)]
pub(crate) struct Made(Vec<String>);

/// Makes the volumes that `config` mounts and that do not exist; names those without a name. Sources of binds are looked
/// at first: where one is missing nothing is made.
pub(crate) fn prepare(config: &mut ContainerConfig, paths: &Paths, db: &Db, made: &mut Made) -> Result<()> {
    for mount in &config.mounts {
        if let MountKind::Bind { source, create_source, .. } = &mount.kind {
            bind_source(Path::new(source), *create_source)?;
        }
    }
    for mount in &mut config.mounts {
        let MountKind::Volume { name, labels, anonymous, .. } = &mut mount.kind else { continue };
        if name.is_empty() {
            *name = new_id().to_string();
            *anonymous = true;
        }
        let data = paths.volume_data(name);
        if data.is_dir() || !make_dirs(&data)? {
            continue;
        }
        made.0.push(name.clone());
        let row = VolumeRow {
            name: name.clone(),
            anonymous: *anonymous,
            labels: labels.clone(),
            created: Timestamp::now(),
        };
        db.ensure_volume(&row)?;
    }
    Ok(())
}

fn bind_source(source: &Path, create: bool) -> Result<()> {
    match fs::metadata(source) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == IoKind::NotFound && create => {
            fs::create_dir_all(source).map_err(|error| EngineError::io("make bind source", source, error))
        }
        Err(error) if error.kind() == IoKind::NotFound => {
            let reason = format!("bind source path does not exist: {}", source.display());
            Err(EngineError::invalid("mounts", reason))
        }
        Err(error) => Err(EngineError::io("stat bind source", source, error)),
    }
}

/// Makes the directories of a volume; false when somebody else has done so meanwhile.
fn make_dirs(data: &Path) -> Result<bool> {
    let failed = |error| EngineError::io("make volume", data, error);
    if let Some(volume) = data.parent() {
        // Only root may pass: a volume's content can have set-user-ID programs of any owner.
        DirBuilder::new().recursive(true).mode(0o701).create(volume).map_err(failed)?;
    }
    match DirBuilder::new().mode(0o755).create(data) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == IoKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

/// Whether a container mounts it. Asked of the database: while the engine opens and ends, the registry does not have
/// all of them.
fn is_used(name: &str, db: &Db) -> Result<bool> {
    let mounts = |mount: &Mount| matches!(&mount.kind, MountKind::Volume { name: have, .. } if have == name);
    Ok(db.containers()?.iter().any(|row| row.config.mounts.iter().any(mounts)))
}

/// Unmakes what a create that failed has made, unless another container has come to mount it. Goes on to the end.
pub(crate) fn unmake(made: Made, paths: &Paths, db: &Db, in_use: &RwLock<()>) {
    for name in made.0 {
        if let Err(error) = remove_unused(&name, paths, db, in_use) {
            tracing::warn!(
                volume = name,
                error = error.sentence(),
                "a volume of a failed create is left behind"
            );
        }
    }
}

/// Removes a volume that no container mounts, nor one that is being made; says whether it went.
pub(crate) fn remove_unused(name: &str, paths: &Paths, db: &Db, in_use: &RwLock<()>) -> Result<bool> {
    let _alone = in_use.write().unwrap_or_else(PoisonError::into_inner);
    if is_used(name, db)? {
        return Ok(false);
    }
    remove(name, paths, db).map(|()| true)
}

/// Removes a volume; none is no error.
fn remove(name: &str, paths: &Paths, db: &Db) -> Result<()> {
    remove_in(&paths.volumes(), name)?;
    Ok(db.delete_volume(name)?)
}

/// Removes what lies in a directory under this name, however deep a container has nested it.
fn remove_in(dir: &Path, name: &str) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let removed = openat(CWD, dir, flags, Mode::empty()).and_then(|dir| remove_tree(&dir, name.as_bytes()));
    removed.map_err(|error| EngineError::io("remove", &dir.join(name), error))
}

/// Names of the volumes that were made for this container alone.
pub(crate) fn anonymous(config: &ContainerConfig) -> impl Iterator<Item = &str> {
    config.mounts.iter().filter_map(|mount| match &mount.kind {
        MountKind::Volume { name, anonymous: true, .. } => Some(name.as_str()),
        _ => None,
    })
}

/// The host directory of each volume mount, in the order of the mounts.
pub(crate) fn directories(config: &ContainerConfig, paths: &Paths) -> Vec<Option<PathBuf>> {
    let data = |mount: &Mount| match &mount.kind {
        MountKind::Volume { name, .. } => Some(paths.volume_data(name)),
        _ => None,
    };
    config.mounts.iter().map(data).collect()
}

/// Fills volumes that are empty with what the image has in their place.
///
/// Repeatable: the copy is made beside the volume, gets its final name when it is complete, and is then moved in
/// entry by entry. The volume's directory itself stays, since another container may have it mounted.
pub(crate) fn fill(config: &ContainerConfig, paths: &Paths, root: &RootFd) -> Result<()> {
    for mount in &config.mounts {
        let MountKind::Volume { name, no_copy: false, .. } = &mount.kind else { continue };
        let data = paths.volume_data(name);
        let failed = |error: std::io::Error| EngineError::io("fill volume", &data, error);
        if !data.is_dir() {
            make_dirs(&data)?;
        }
        let complete = data.with_file_name("_data.fill");
        if complete.is_dir() {
            move_in(&complete, &data).map_err(failed)?;
            continue;
        }
        if fs::read_dir(&data).map_err(failed)?.next().is_some() {
            continue;
        }
        let source = match root.open_at(Path::new(&mount.target), OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(source) => source,
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            Err(error) => return Err(failed(error.into())),
        };
        let staging = data.with_file_name(STAGING);
        remove_in(&paths.volumes().join(name), STAGING)?;
        copy::copy_tree(source, &staging).map_err(failed)?;
        fs::rename(&staging, &complete).map_err(failed)?;
        move_in(&complete, &data).map_err(failed)?;
    }
    Ok(())
}

fn move_in(complete: &Path, data: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(complete)? {
        let entry = entry?;
        fs::rename(entry.path(), data.join(entry.file_name()))?;
    }
    copy::copy_attributes_of(complete, data)?;
    fs::remove_dir(complete)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use ross_types::{ContainerId, Digest};

    use super::*;
    use crate::db::{ContainerRow, Durability};
    use crate::model::{NetworkStatus, Run};

    #[test]
    fn names() {
        for good in ["", "ab", "my-volume_1.x"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["a", "..", "../x", "a/b", "-ab", ".ab", "a b"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_new_volume_starts_with_what_the_image_has_there() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path(), dir.path());
        let db = Db::open(&paths.database()).unwrap();
        let kind = |name: &str| MountKind::Volume {
            name: name.into(),
            no_copy: false,
            labels: std::collections::BTreeMap::new(),
            anonymous: false,
        };
        let mount =
            |name: &str, target: &str| Mount { kind: kind(name), target: target.into(), read_only: false };
        let mut config = ContainerConfig {
            mounts: vec![mount("named", "/data"), mount("", "/none")],
            ..ContainerConfig::default()
        };
        let mut made = Made::default();
        prepare(&mut config, &paths, &db, &mut made).unwrap();
        assert_eq!(made.0.len(), 2);
        assert!(!make_dirs(&paths.volume_data("named")).unwrap(), "whoever comes second has not made it");
        assert_eq!(anonymous(&config).count(), 1);

        let image = dir.path().join("image");
        fs::create_dir_all(image.join("real/sub")).unwrap();
        symlink("real", image.join("data")).unwrap();
        fs::write(image.join("real/sub/file"), "content").unwrap();
        fs::set_permissions(image.join("real"), fs::Permissions::from_mode(0o2770)).unwrap();
        symlink("/nowhere", image.join("real/link")).unwrap();
        let root = RootFd::open(&image).unwrap();
        for _ in 0..2 {
            fill(&config, &paths, &root).unwrap();
            let data = paths.volume_data("named");
            assert_eq!(fs::read_to_string(data.join("sub/file")).unwrap(), "content");
            assert_eq!(fs::metadata(&data).unwrap().mode() & 0o7777, 0o2770);
            assert_eq!(fs::read_link(data.join("link")).unwrap(), Path::new("/nowhere"));
            fs::write(image.join("real/later"), "").unwrap();
        }
        assert!(!paths.volume_data("named").join("later").exists(), "only an empty volume is filled");
        // A container can nest directories deeper than there are descriptors, or stack.
        let fd = (0..1_200).fold(
            openat(CWD, paths.volume_data("named"), OFlags::DIRECTORY, Mode::empty()),
            |at, _| {
                let at = at.unwrap();
                rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
                openat(&at, "d", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            },
        );
        drop(fd.unwrap());
        let id = ContainerId::from_random([1; 32]);
        let row = ContainerRow {
            id: id.clone(),
            name: "mounts-it".parse().unwrap(),
            image: "busybox".into(),
            image_id: Digest::sha256([9; 32]),
            layers: Vec::new(),
            config,
            created: Timestamp::from_unix_nanos(1),
            run: Run::default(),
            network: NetworkStatus::default(),
        };
        db.insert_container(&row, Durability::Relaxed).unwrap();
        remove_unused("named", &paths, &db, &RwLock::default()).unwrap();
        assert!(paths.volume_data("named").exists(), "a container mounts it");
        db.delete_container(&id, Durability::Relaxed).unwrap();
        unmake(made, &paths, &db, &RwLock::default());
        assert_eq!(fs::read_dir(paths.volumes()).unwrap().count(), 0);
    }
}
