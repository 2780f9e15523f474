//! Devices of the host, and limits of their speed.

use ross_api::v1::{Device, DeviceThrottle};

use super::{Parsed, number};

/// `HOST-PATH[:PATH-INSIDE][:rwm]`
pub fn device(text: &str) -> Parsed<Device> {
    let parts: Vec<&str> = text.split(':').collect();
    let (host, inside, permissions) = match parts[..] {
        [host] => (host, host, "rwm"),
        [host, permissions] if is_permissions(permissions) => (host, host, permissions),
        [host, inside] => (host, inside, "rwm"),
        [host, inside, permissions] if is_permissions(permissions) => (host, inside, permissions),
        [_, _, permissions] => return Err(format!("`{permissions}` is not made of r, w and m")),
        _ => return Err("expected PATH[:PATH-INSIDE][:rwm]".to_owned()),
    };
    for path in [host, inside] {
        if !path.starts_with('/') {
            return Err(format!("`{path}` is no absolute path"));
        }
    }
    Ok(Device {
        host_path: host.to_owned(),
        container_path: inside.to_owned(),
        permissions: permissions.to_owned(),
    })
}

fn is_permissions(text: &str) -> bool {
    let once = |c: char| text.matches(c).count() <= 1;
    !text.is_empty() && text.chars().all(|c| "rwm".contains(c)) && "rwm".chars().all(once)
}

/// A rule of the device list: `TYPE MAJOR:MINOR ACCESS`.
pub fn rule(text: &str) -> Parsed<String> {
    let number = |part: &str| part == "*" || (!part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    let words: Vec<&str> = text.split(' ').collect();
    let valid = match words[..] {
        ["a" | "b" | "c", numbers, access] => {
            is_permissions(access)
                && numbers.split_once(':').is_some_and(|(major, minor)| number(major) && number(minor))
        }
        _ => false,
    };
    if valid { Ok(text.to_owned()) } else { Err("expected a rule such as \"c 1:3 rwm\"".to_owned()) }
}

/// Which speed of a device a flag bounds.
#[derive(Debug, Clone, Copy)]
pub enum Speed {
    /// `--device-read-bps`
    ReadBytes,
    /// `--device-write-bps`
    WriteBytes,
    /// `--device-read-iops`
    Reads,
    /// `--device-write-iops`
    Writes,
}

/// `PATH:RATE`
pub fn throttle(text: &str, speed: Speed) -> Parsed<DeviceThrottle> {
    let (path, rate) = text.rsplit_once(':').ok_or("expected PATH:RATE")?;
    if !path.starts_with('/') {
        return Err(format!("`{path}` is no absolute path"));
    }
    let mut limit = DeviceThrottle { path: path.to_owned(), ..DeviceThrottle::default() };
    let operations = || rate.parse().map_err(|_| format!("`{rate}` is no number"));
    match speed {
        Speed::ReadBytes => limit.read_bps = number::bytes(rate)?,
        Speed::WriteBytes => limit.write_bps = number::bytes(rate)?,
        Speed::Reads => limit.read_iops = operations()?,
        Speed::Writes => limit.write_iops = operations()?,
    }
    Ok(limit)
}

/// The limits of one device in one entry.
pub fn merge(limits: impl IntoIterator<Item = DeviceThrottle>) -> Vec<DeviceThrottle> {
    let mut merged: Vec<DeviceThrottle> = Vec::new();
    for limit in limits {
        let Some(known) = merged.iter_mut().find(|known| known.path == limit.path) else {
            merged.push(limit);
            continue;
        };
        let latest = |old: u64, new: u64| if new == 0 { old } else { new };
        known.read_bps = latest(known.read_bps, limit.read_bps);
        known.write_bps = latest(known.write_bps, limit.write_bps);
        known.read_iops = latest(known.read_iops, limit.read_iops);
        known.write_iops = latest(known.write_iops, limit.write_iops);
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        let check = |text: &str, expected: Option<[&str; 3]>| {
            let device = device(text).ok().map(|d| [d.host_path, d.container_path, d.permissions]);
            assert_eq!(device, expected.map(|parts| parts.map(str::to_owned)), "{text:?}");
        };
        check("/dev/fuse", Some(["/dev/fuse", "/dev/fuse", "rwm"]));
        check("/dev/a:/dev/b", Some(["/dev/a", "/dev/b", "rwm"]));
        check("/dev/a:r", Some(["/dev/a", "/dev/a", "r"]));
        check("/dev/a:/dev/b:rw", Some(["/dev/a", "/dev/b", "rw"]));
        for bad in ["", "fuse", "/dev/a:b:rw", "/dev/a:/dev/b:x", "/dev/a:/b:rw:m", "/dev/a:/b:rr"] {
            check(bad, None);
        }
    }

    #[test]
    fn rules() {
        for good in ["c 1:3 rwm", "b *:* r", "a *:* m", "c 10:* rw"] {
            assert!(rule(good).is_ok(), "{good:?}");
        }
        for bad in ["", "c 1:3", "d 1:3 rwm", "c 1 rwm", "c 1:3 x", "c  1:3 r", "c a:3 r"] {
            assert!(rule(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn throttles_of_one_device_come_together() {
        let limits = [
            throttle("/dev/sda:1m", Speed::ReadBytes).unwrap(),
            throttle("/dev/sdb:5", Speed::Writes).unwrap(),
            throttle("/dev/sda:100", Speed::Reads).unwrap(),
        ];
        let merged = merge(limits);
        assert_eq!(merged.len(), 2);
        assert_eq!((merged[0].read_bps, merged[0].read_iops), (1 << 20, 100));
        assert!(throttle("sda:1m", Speed::ReadBytes).is_err());
        assert!(throttle("/dev/sda:1m", Speed::Reads).is_err());
        assert!(throttle("/dev/sda", Speed::Reads).is_err());
    }
}
