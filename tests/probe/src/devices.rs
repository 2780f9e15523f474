//! What lies in /dev, and what one file is.

use std::fs;

use rustix::fs::{AtFlags, CWD, FileType, major, minor, statat};
use rustix::io::Errno;
use serde_json::{Map, Value, json};

/// The names directly in /dev, each with what it is.
pub fn report() -> Value {
    let entries = fs::read_dir("/dev").into_iter().flatten().flatten();
    let pair = |entry: fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let facts = describe(&entry.path().to_string_lossy()).ok()?;
        Some((name, facts))
    };
    Value::Object(entries.filter_map(pair).collect::<Map<_, _>>())
}

/// Type, permissions and owner of a file, the device it stands for, the target of a link.
///
/// # Errors
/// Those of statx(2).
pub fn describe(path: &str) -> Result<Value, Errno> {
    let stat = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "link",
        FileType::CharacterDevice => "c",
        FileType::BlockDevice => "b",
        FileType::Fifo => "p",
        FileType::Socket => "socket",
        _ => "unknown",
    };
    let mut facts = json!({
        "type": kind,
        "mode": stat.st_mode & 0o7777,
        "uid": stat.st_uid,
        "gid": stat.st_gid,
        "size": stat.st_size,
    });
    if matches!(kind, "c" | "b") {
        facts["device"] = json!([major(stat.st_rdev), minor(stat.st_rdev)]);
    }
    if kind == "link" {
        facts["target"] = fs::read_link(path)
            .map(|target| target.to_string_lossy().into_owned())
            .unwrap_or_default()
            .into();
    }
    Ok(facts)
}
