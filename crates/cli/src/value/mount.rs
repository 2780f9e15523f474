//! Mounts: `--volume`, `--mount`, `--tmpfs`.

use std::path::{Path, PathBuf};

use ross_api::v1::{Mount, mount::Type};

use super::{Parsed, csv, number, pair};

const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

/// `[SOURCE:]TARGET[:OPTIONS]`; a relative source is taken from `directory`.
pub fn volume(text: &str, directory: &Path) -> Parsed<Mount> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => ("", target, ""),
        [source, target] if target.starts_with('/') || source.is_empty() => (source, target, ""),
        [target, options] if target.starts_with('/') && is_volume_options(options) => ("", target, options),
        [source, target] => (source, target, ""),
        [source, target, options] => (source, target, options),
        _ => return Err("expected [SOURCE:]TARGET[:OPTIONS]".to_owned()),
    };
    if source.is_empty() && parts.len() > 1 && parts[0].is_empty() {
        return Err("the source is empty".to_owned());
    }
    let mut mount = Mount { target: absolute_target(target)?, ..Mount::default() };
    if source.starts_with(['/', '.', '~']) {
        mount.set_type(Type::Bind);
        mount.source = host_path(source, directory)?;
        mount.create_source = true;
    } else {
        mount.set_type(Type::Volume);
        mount.source = volume_name(source)?;
    }
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" | "readonly" => mount.read_only = true,
            "rw" => mount.read_only = false,
            "nocopy" | "volume-nocopy" => mount.no_copy = true,
            // Relabelling for SELinux and the consistency words of other platforms change nothing here.
            "z" | "Z" | "consistent" | "cached" | "delegated" => {}
            other if PROPAGATIONS.contains(&other) => mount.propagation = other.to_owned(),
            other => return Err(format!("`{other}` is no option of a volume")),
        }
    }
    Ok(mount)
}

fn is_volume_options(text: &str) -> bool {
    const WORDS: [&str; 10] =
        ["ro", "rw", "readonly", "nocopy", "volume-nocopy", "z", "Z", "consistent", "cached", "delegated"];
    text.split(',').all(|word| WORDS.contains(&word) || PROPAGATIONS.contains(&word))
}

/// `type=…,source=…,target=…[,…]`
pub fn mount(text: &str, directory: &Path) -> Parsed<Mount> {
    let mut mount = Mount::default();
    mount.set_type(Type::Volume);
    for field in csv::fields(text)? {
        let (key, value) =
            field.split_once('=').map_or((field.as_str(), None), |(key, value)| (key, Some(value)));
        let needed = || value.ok_or_else(|| format!("`{key}` needs a value"));
        match key.to_ascii_lowercase().as_str() {
            "type" => mount.set_type(kind(needed()?)?),
            "source" | "src" => mount.source = needed()?.to_owned(),
            "target" | "dst" | "destination" => mount.target = absolute_target(needed()?)?,
            "readonly" | "ro" => mount.read_only = switch(key, value)?,
            "bind-propagation" => mount.propagation = propagation(needed()?)?,
            "bind-nonrecursive" => mount.non_recursive = switch(key, value)?,
            "bind-recursive" => mount.non_recursive = recursion(needed()?)?,
            "bind-create-src" | "create-src" => mount.create_source = switch(key, value)?,
            "volume-nocopy" => mount.no_copy = switch(key, value)?,
            "volume-label" => {
                let (key, value) = pair::label(needed()?)?;
                mount.labels.insert(key, value);
            }
            "tmpfs-size" => mount.tmpfs_size_bytes = number::bytes(needed()?)?,
            "tmpfs-mode" => mount.tmpfs_mode = mode(needed()?)?,
            "consistency" => {}
            _ => return Err(format!("`{key}` is no option of a mount")),
        }
    }
    finish(mount, directory)
}

/// Checks what the options amount to.
fn finish(mut mount: Mount, directory: &Path) -> Parsed<Mount> {
    if mount.target.is_empty() {
        return Err("target is missing".to_owned());
    }
    let kind = mount.r#type();
    let misplaced = |set: bool, option: &str, belongs: Type| {
        if set && kind != belongs {
            Err(format!("`{option}` does not go with this type of mount"))
        } else {
            Ok(())
        }
    };
    misplaced(!mount.propagation.is_empty(), "bind-propagation", Type::Bind)?;
    misplaced(mount.non_recursive, "bind-recursive", Type::Bind)?;
    misplaced(mount.create_source, "bind-create-src", Type::Bind)?;
    misplaced(mount.no_copy, "volume-nocopy", Type::Volume)?;
    misplaced(!mount.labels.is_empty(), "volume-label", Type::Volume)?;
    misplaced(mount.tmpfs_size_bytes != 0, "tmpfs-size", Type::Tmpfs)?;
    misplaced(mount.tmpfs_mode != 0, "tmpfs-mode", Type::Tmpfs)?;
    match kind {
        Type::Bind if mount.source.is_empty() => return Err("source is missing".to_owned()),
        Type::Bind => mount.source = host_path(&mount.source, directory)?,
        Type::Volume => mount.source = volume_name(&mount.source)?,
        Type::Tmpfs if !mount.source.is_empty() => return Err("a tmpfs has no source".to_owned()),
        Type::Image if mount.source.is_empty() => return Err("source is missing".to_owned()),
        Type::Tmpfs | Type::Image | Type::Unspecified => {}
    }
    Ok(mount)
}

/// `PATH[:OPTIONS]`
pub fn tmpfs(text: &str) -> Parsed<Mount> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let mut mount = Mount { target: absolute_target(target)?, ..Mount::default() };
    mount.set_type(Type::Tmpfs);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("size", size)) => mount.tmpfs_size_bytes = number::bytes(size)?,
            Some(("mode", bits)) => mount.tmpfs_mode = mode(bits)?,
            None if option == "ro" => mount.read_only = true,
            None if option == "rw" => mount.read_only = false,
            _ => mount.tmpfs_options.push(option.to_owned()),
        }
    }
    Ok(mount)
}

fn kind(text: &str) -> Parsed<Type> {
    match text.to_ascii_lowercase().as_str() {
        "bind" => Ok(Type::Bind),
        "volume" => Ok(Type::Volume),
        "tmpfs" => Ok(Type::Tmpfs),
        "image" => Ok(Type::Image),
        _ => Err(format!("`{text}` is none of bind, volume, tmpfs, image")),
    }
}

fn switch(key: &str, value: Option<&str>) -> Parsed<bool> {
    match value {
        None | Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(other) => Err(format!("`{key}={other}` is neither true nor false")),
    }
}

fn recursion(text: &str) -> Parsed<bool> {
    match text {
        "enabled" => Ok(false),
        "disabled" => Ok(true),
        _ => Err(format!("`bind-recursive={text}` is neither enabled nor disabled")),
    }
}

fn propagation(text: &str) -> Parsed<String> {
    if PROPAGATIONS.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}` is none of {}", PROPAGATIONS.join(", ")))
}

fn mode(text: &str) -> Parsed<u32> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o7777 => Ok(mode),
        _ => Err(format!("`{text}` is no octal mode")),
    }
}

fn absolute_target(text: &str) -> Parsed<String> {
    if !text.starts_with('/') {
        return Err(format!("the target `{text}` is no absolute path"));
    }
    if text.trim_matches('/').is_empty() {
        return Err("the target must not be /".to_owned());
    }
    Ok(text.to_owned())
}

/// An absolute path, without `.`; links are the daemon's to follow.
fn host_path(text: &str, directory: &Path) -> Parsed<String> {
    if text.starts_with('~') {
        return Err("a tilde is the shell's to expand: type it without quotes".to_owned());
    }
    let path: PathBuf = directory.join(text).components().collect();
    path.into_os_string().into_string().map_err(|_| "the path is not UTF-8".to_owned())
}

fn volume_name(text: &str) -> Parsed<String> {
    let bytes = text.as_bytes();
    let inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if text.is_empty() || (bytes[0].is_ascii_alphanumeric() && bytes.len() > 1 && bytes.iter().all(inner)) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{text}` is no name of a volume; a path of the host starts with / or ./, a name has two or more of \
         [a-zA-Z0-9_.-]"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(mount: Parsed<Mount>) -> Result<String, String> {
        let mount = mount?;
        let kind = format!("{:?}", mount.r#type()).to_lowercase();
        let mut text = format!("{kind} {}>{}", mount.source, mount.target);
        let mut word = |set: bool, word: &str| {
            if set {
                text.push(' ');
                text.push_str(word);
            }
        };
        word(mount.read_only, "ro");
        word(mount.create_source, "create");
        word(mount.non_recursive, "nonrec");
        word(mount.no_copy, "nocopy");
        word(!mount.propagation.is_empty(), &mount.propagation);
        word(mount.tmpfs_size_bytes > 0, &format!("size={}", mount.tmpfs_size_bytes));
        word(mount.tmpfs_mode > 0, &format!("mode={:o}", mount.tmpfs_mode));
        word(!mount.tmpfs_options.is_empty(), &mount.tmpfs_options.join(","));
        Ok(text)
    }

    #[test]
    fn volumes() {
        let check = |text: &str, expected: &str| {
            assert_eq!(shown(volume(text, Path::new("/here"))).as_deref(), Ok(expected), "{text:?}");
        };
        check("/data", "volume >/data");
        check("/data:ro", "volume >/data ro");
        check("vol:/data", "volume vol>/data");
        check("vol:/data:ro,nocopy", "volume vol>/data ro nocopy");
        check("/src:/data", "bind /src>/data create");
        check("/src:/data:ro", "bind /src>/data ro create");
        check("./a/../b:/data", "bind /here/a/../b>/data create");
        check(".:/data", "bind /here>/data create");
        check("/src:/data:ro,rslave,z", "bind /src>/data ro create rslave");
    }

    #[test]
    fn mounts() {
        let check = |text: &str, expected: &str| {
            assert_eq!(shown(mount(text, Path::new("/here"))).as_deref(), Ok(expected), "{text:?}");
        };
        check("type=bind,source=/a,target=/b", "bind /a>/b");
        check("type=bind,src=./a,dst=/b,readonly", "bind /here/a>/b ro");
        check("type=bind,src=/a,dst=/b,ro=false,bind-propagation=shared", "bind /a>/b shared");
        check("type=bind,src=/a,dst=/b,bind-recursive=disabled", "bind /a>/b nonrec");
        check("source=vol,destination=/b,volume-nocopy", "volume vol>/b nocopy");
        check("type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1770", "tmpfs >/t size=67108864 mode=1770");
        check("type=image,source=busybox,target=/i", "image busybox>/i");
        check(r#"type=bind,"src=/a,b",dst=/c"#, "bind /a,b>/c");
    }

    #[test]
    fn tmpfses() {
        let check =
            |text: &str, expected: &str| assert_eq!(shown(tmpfs(text)).as_deref(), Ok(expected), "{text:?}");
        check("/run", "tmpfs >/run");
        check("/run:size=1m,mode=755,noexec,ro", "tmpfs >/run ro size=1048576 mode=755 noexec");
    }

    #[test]
    fn refusals() {
        let here = Path::new("/here");
        for bad in
            ["", "data", "vol:data", ":/data", "/a:/b:ro:x", "/a:/b:what", "v:/", "~/x:/y", "-v:/y", "/a:b"]
        {
            assert!(volume(bad, here).is_err(), "{bad:?}");
        }
        for bad in [
            "",
            "type=bind,target=/b",
            "type=bind,source=/a",
            "type=what,target=/b",
            "type=bind,source=/a,target=b",
            "type=tmpfs,source=/a,target=/b",
            "type=tmpfs,target=/b,bind-propagation=shared",
            "type=volume,target=/b,tmpfs-size=1m",
            "type=bind,source=/a,target=/b,volume-nocopy",
            "type=tmpfs,target=/b,tmpfs-mode=9",
            "target=/b,source",
            "target=/b,readonly=maybe",
            "target=/b,colour=red",
        ] {
            assert!(mount(bad, here).is_err(), "{bad:?}");
        }
        for bad in ["", "run", "/", "/run:size=big", "/run:mode=abc"] {
            assert!(tmpfs(bad).is_err(), "{bad:?}");
        }
    }
}
