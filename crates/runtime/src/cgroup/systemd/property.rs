//! Limits and annotations as properties of a unit (org.freedesktop.systemd1(5)).
//!
//! systemd has to know the limits of a scope, or it would set its own again when it reloads. What it has no property for
//! is in the files of the cgroup alone.

use std::collections::BTreeMap;

use crate::cgroup::CgroupError;
use crate::cgroup::limits::Write;

use super::wire::{Property, Value};

const ANNOTATION: &str = "org.systemd.property.";

/// A time of CPU that systemd can express: hundredths of a second in a second.
const STEP: u64 = 10_000;
const SECOND: u64 = 1_000_000;

/// The properties behind what is written to files; a later one takes the place of an earlier.
pub(super) fn of_limits(writes: &[Write]) -> Vec<Property> {
    let mut properties: BTreeMap<&str, Value> = BTreeMap::new();
    for write in writes {
        let value = write.value.as_str();
        match &*write.file {
            "memory.max" => properties.extend(amount(value).map(|value| ("MemoryMax", value))),
            "memory.high" => properties.extend(amount(value).map(|value| ("MemoryHigh", value))),
            "memory.low" => properties.extend(amount(value).map(|value| ("MemoryLow", value))),
            "memory.min" => properties.extend(amount(value).map(|value| ("MemoryMin", value))),
            "memory.swap.max" => properties.extend(amount(value).map(|value| ("MemorySwapMax", value))),
            "pids.max" => properties.extend(amount(value).map(|value| ("TasksMax", value))),
            "cpu.weight" => properties.extend(amount(value).map(|value| ("CPUWeight", value))),
            // A weight of none is systemd's word for idle (252).
            "cpu.idle" if value == "1" => drop(properties.insert("CPUWeight", Value::Uint64(0))),
            "cpu.max" => properties.extend(quota(value).into_iter().flatten()),
            "cpuset.cpus" => properties.extend(mask(value).map(|value| ("AllowedCPUs", value))),
            "cpuset.mems" => properties.extend(mask(value).map(|value| ("AllowedMemoryNodes", value))),
            "io.weight" | "io.bfq.weight" => {
                properties.extend(weight(write).map(|value| ("IOWeight", value)))
            }
            _ => {}
        }
    }
    properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A number, or `max`.
fn amount(text: &str) -> Option<Value> {
    if text == "max" { Some(Value::Uint64(u64::MAX)) } else { text.parse().ok().map(Value::Uint64) }
}

/// `QUOTA PERIOD`: systemd has the quota of a second, which must not be less than what was meant.
fn quota(text: &str) -> Option<[(&'static str, Value); 2]> {
    let (quota, period) = text.split_once(' ')?;
    let period: u64 = period.parse().ok().filter(|&period| period > 0)?;
    let of_second = match quota {
        "max" => u64::MAX,
        quota => quota.parse::<u64>().ok()?.checked_mul(SECOND)?.div_ceil(period).next_multiple_of(STEP),
    };
    Some([("CPUQuotaPerSecUSec", Value::Uint64(of_second)), ("CPUQuotaPeriodUSec", Value::Uint64(period))])
}

/// A list such as `0-3,7` as bits, eight to a byte.
fn mask(list: &str) -> Option<Value> {
    let ranges = crate::plan::ranges(list, 8192)?;
    let mut bytes = Vec::new();
    for number in ranges.into_iter().flatten() {
        bytes.resize(bytes.len().max(number / 8 + 1), 0_u8);
        bytes[number / 8] |= 1 << (number % 8);
    }
    Some(Value::Bytes(bytes))
}

/// Of all devices; those of single ones are in the file alone.
fn weight(write: &Write) -> Option<Value> {
    let value = match &write.missing {
        crate::cgroup::limits::Missing::Instead { value, .. } => value,
        _ => &write.value,
    };
    let value = value.strip_prefix("default ").unwrap_or(value);
    value.parse().ok().map(Value::Uint64)
}

/// The properties that annotations `org.systemd.property.NAME` ask for.
pub(super) fn of_annotations(annotations: &BTreeMap<String, String>) -> Result<Vec<Property>, CgroupError> {
    let mut properties = Vec::new();
    for (annotation, text) in annotations {
        let Some(name) = annotation.strip_prefix(ANNOTATION) else { continue };
        let wrong = |reason: &str| CgroupError::InvalidValue {
            field: format!("annotations[{annotation}]"),
            reason: reason.to_owned(),
        };
        if name.len() < 3 || !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(wrong("is not the name of a property"));
        }
        let value = variant(text.trim())
            .ok_or_else(|| wrong("is no value such as 'text', true, uint64 5 or ['a', 'b']"))?;
        // As systemd does in unit files: a time in seconds is a property in microseconds.
        match name.strip_suffix("Sec").filter(|name| !name.ends_with('U')) {
            None => properties.push((name.to_owned(), value)),
            Some(name) => {
                let time = microseconds(&value).ok_or_else(|| wrong("is no time in seconds"))?;
                properties.push((format!("{name}USec"), Value::Uint64(time)));
            }
        }
    }
    Ok(properties)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a time that is too long is as good as the longest"
)]
fn microseconds(value: &Value) -> Option<u64> {
    match *value {
        Value::Int32(seconds) => u64::try_from(seconds).ok()?.checked_mul(SECOND),
        Value::Int64(seconds) => u64::try_from(seconds).ok()?.checked_mul(SECOND),
        Value::Uint32(seconds) => u64::from(seconds).checked_mul(SECOND),
        Value::Uint64(seconds) => seconds.checked_mul(SECOND),
        Value::Double(seconds) if seconds >= 0.0 => Some((seconds * 1e6) as u64),
        _ => None,
    }
}

/// A value in GVariant's text format, as far as units have such properties.
fn variant(text: &str) -> Option<Value> {
    if let Some(list) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return texts(list.trim()).map(Value::Texts);
    }
    if let Some((text, "")) = quoted(text) {
        return Some(Value::Text(text));
    }
    match text.split_once(' ').map(|(kind, number)| (kind, number.trim())) {
        None => match text {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            number if number.contains('.') => number.parse().ok().map(Value::Double),
            number => number.parse().ok().map(Value::Int32),
        },
        Some(("int32", number)) => number.parse().ok().map(Value::Int32),
        Some(("uint32", number)) => number.parse().ok().map(Value::Uint32),
        Some(("int64", number)) => number.parse().ok().map(Value::Int64),
        Some(("uint64", number)) => number.parse().ok().map(Value::Uint64),
        Some(("double", number)) => number.parse().ok().map(Value::Double),
        Some(_) => None,
    }
}

fn texts(mut list: &str) -> Option<Vec<String>> {
    let mut texts = Vec::new();
    while !list.is_empty() {
        let (text, rest) = quoted(list)?;
        texts.push(text);
        list = match rest.trim_start().strip_prefix(',') {
            Some(rest) => rest.trim_start(),
            None if rest.trim().is_empty() => "",
            None => return None,
        };
    }
    Some(texts)
}

/// A text in quotes, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let mut value = String::new();
    let mut characters = text[1..].char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.push(characters.next().map(|(_, next)| next)?),
            end if end == quote => return Some((value, &text[at + 2..])),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::limits::Limits;
    use crate::spec::LinuxResources;

    #[test]
    fn limits() {
        let check = |json: &str, expected: &[(&str, Value)]| {
            let limits = Limits::new(&LinuxResources::parse(json.as_bytes()).unwrap()).unwrap();
            let expected: Vec<Property> =
                expected.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            assert_eq!(of_limits(&limits.writes), expected, "{json}");
        };
        let long = Value::Uint64;
        check(
            r#"{"memory":{"limit":1000,"swap":3000,"reservation":500},"pids":{"limit":-1}}"#,
            &[
                ("MemoryLow", long(500)),
                ("MemoryMax", long(1000)),
                ("MemorySwapMax", long(2000)),
                ("TasksMax", long(u64::MAX)),
            ],
        );
        check(
            r#"{"cpu":{"shares":1024,"quota":50001,"period":100000,"cpus":"0-1,9"}}"#,
            &[
                ("AllowedCPUs", Value::Bytes(vec![3, 2])),
                ("CPUQuotaPerSecUSec", long(510_000)),
                ("CPUQuotaPeriodUSec", long(100_000)),
                ("CPUWeight", long(100)),
            ],
        );
        check(
            r#"{"cpu":{"quota":-1,"idle":1},"blockIO":{"weight":10}}"#,
            &[
                ("CPUQuotaPerSecUSec", long(u64::MAX)),
                ("CPUQuotaPeriodUSec", long(100_000)),
                ("CPUWeight", long(0)),
                ("IOWeight", long(1)),
            ],
        );
        check(
            r#"{"memory":{"limit":5},"unified":{"memory.max":"max","io.weight":"default 7","misc.max":"x 1"}}"#,
            &[("IOWeight", long(7)), ("MemoryMax", long(u64::MAX))],
        );
        check("{}", &[]);
    }

    #[test]
    fn annotations() {
        let check = |name: &str, text: &str, expected: Option<(&str, Value)>| {
            let annotations = BTreeMap::from([
                (format!("{ANNOTATION}{name}"), text.to_owned()),
                ("other".to_owned(), "x".to_owned()),
            ]);
            let expected = expected.map(|(name, value)| vec![(name.to_owned(), value)]);
            assert_eq!(of_annotations(&annotations).ok(), expected, "{name} {text}");
        };
        check("TimeoutStopUSec", "uint64 5000", Some(("TimeoutStopUSec", Value::Uint64(5000))));
        check("TimeoutStopSec", "5", Some(("TimeoutStopUSec", Value::Uint64(5_000_000))));
        check("TimeoutStopSec", "0.5", Some(("TimeoutStopUSec", Value::Uint64(500_000))));
        check(
            "CollectMode",
            "'inactive-or-failed'",
            Some(("CollectMode", Value::Text("inactive-or-failed".into()))),
        );
        check("SendSIGHUP", "true", Some(("SendSIGHUP", Value::Bool(true))));
        check(
            "After",
            r#"['a.service', "b\"c"]"#,
            Some(("After", Value::Texts(vec!["a.service".into(), "b\"c".into()]))),
        );
        check("After", "[]", Some(("After", Value::Texts(vec![]))));
        check("KillSignal", "15", Some(("KillSignal", Value::Int32(15))));
        for (name, text) in [
            ("TimeoutStopSec", "'5'"),
            ("TimeoutStopSec", "-5"),
            ("A1b", "5"),
            ("Ab", "5"),
            ("After", "['a' 'b']"),
            ("After", "['a"),
            ("After", ""),
            ("After", "'a' b"),
            ("After", "uint64 x"),
            ("After", "byte 1"),
        ] {
            check(name, text, None);
        }
    }
}
