//! What the commands' options have in common: walking over them, and the kinds of values Go programs write.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

use super::{Parsed, usage};

/// An option's name, owned by nobody, so that the parser can be asked for its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given<'a> {
    Short(char),
    Long(&'a str),
}

/// Takes one option; false when it does not know it.
pub(super) type TakeOption<'a> = dyn FnMut(Given<'_>, &mut lexopt::Parser) -> Parsed<bool> + 'a;

/// Takes options up to the next argument that is none.
pub(super) fn take_until_value(
    parser: &mut lexopt::Parser,
    take: &mut TakeOption<'_>,
) -> Parsed<Option<OsString>> {
    while let Some(argument) = parser.next()? {
        let (known, name) = match argument {
            Value(value) => return Ok(Some(value)),
            Short(letter) => (take(Given::Short(letter), parser)?, format!("-{letter}")),
            Long(name) => {
                let name = name.to_owned();
                (take(Given::Long(&name), parser)?, format!("--{name}"))
            }
        };
        match (known, name.as_str()) {
            (true, _) => {}
            (false, "-h" | "--help") => return Err(lexopt::Error::Custom(Box::new(usage::Asked))),
            (false, name) => return Err(format!("option {name} is unknown here; see --help").into()),
        }
    }
    Ok(None)
}

/// Parses options anywhere, and at most `most` other arguments.
pub(super) fn positionals(
    parser: &mut lexopt::Parser,
    most: usize,
    take: &mut TakeOption<'_>,
) -> Parsed<Vec<String>> {
    let mut found = Vec::new();
    while let Some(value) = take_until_value(parser, take)? {
        if found.len() == most {
            return Err(lexopt::Error::UnexpectedArgument(value));
        }
        found.push(value.string()?);
    }
    Ok(found)
}

pub(super) fn id(found: Vec<String>) -> Parsed<String> {
    found.into_iter().next().ok_or_else(|| "the container id is missing".into())
}

pub(super) fn only_id(parser: &mut lexopt::Parser) -> Parsed<String> {
    id(positionals(parser, 1, &mut |_, _| Ok(false))?)
}

/// An option that is on when given, unless it says otherwise as Go's do: `--detach=false`.
pub(super) fn flag(option: Given<'_>, parser: &mut lexopt::Parser) -> Parsed<bool> {
    let Given::Long(name) = option else { return Ok(true) };
    match parser.optional_value().as_deref().map(std::ffi::OsStr::to_str) {
        None | Some(Some("1" | "t" | "T" | "true" | "TRUE" | "True")) => Ok(true),
        Some(Some("0" | "f" | "F" | "false" | "FALSE" | "False")) => Ok(false),
        Some(_) => Err(format!("--{name}: use true or false").into()),
    }
}

/// A path; an empty one is as none.
pub(super) fn path(parser: &mut lexopt::Parser) -> Parsed<Option<PathBuf>> {
    Ok(Some(parser.value()?).filter(|value| !value.is_empty()).map(PathBuf::from))
}

/// A time as Go writes it: `5s`, `1.5m`, `1h10m`, `300ms`. More than none.
pub(super) fn duration(text: &str) -> Parsed<Duration> {
    let wrong = || format!("`{text}` is not a time such as 5s, 300ms or 1m30s");
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = &rest[digits..];
        let length = unit.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit.len());
        let seconds = match &unit[..length] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(wrong().into()),
        };
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = &unit[length..];
    }
    if total.is_zero() {
        return Err("duration interval must be greater than 0".into());
    }
    Ok(total)
}

/// A number of bytes with an optional unit of 1024s: `512`, `64k`, `1.5G`, `2MiB`. -1 is no limit.
pub(super) fn bytes(text: &str) -> Parsed<i64> {
    let wrong = || format!("`{text}` is not a number of bytes such as 512, 64k, 1.5G or -1");
    if text == "-1" {
        return Ok(-1);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let unit = text[digits..].trim_start().to_ascii_lowercase();
    let shift = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit) {
        "" if !unit.ends_with("ib") => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return Err(wrong().into()),
    };
    let number = &text[..digits];
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || part.contains('.') || part.len() > 9 {
        return Err(wrong().into());
    }
    let scale = 10_i128.pow(u32::try_from(part.len()).unwrap_or(0));
    let digits: i128 = format!("{whole}{part}").parse().map_err(|_| wrong())?;
    let total = digits.checked_mul(1 << shift).map(|total| total / scale);
    total.and_then(|total| i64::try_from(total).ok()).ok_or_else(|| wrong().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let check = |text: &str, expected| {
            assert_eq!(duration(text).ok().map(|time| time.as_millis()), expected, "{text}");
        };
        check("5s", Some(5000));
        check("300ms", Some(300));
        check("1m30s", Some(90_000));
        check("1.5h", Some(5_400_000));
        for text in ["", "5", "s", "0s", "-1s", "1x", "1.2.3s", "5000000000000000h5000000000000000h"] {
            check(text, None);
        }
    }

    #[test]
    fn sizes() {
        let check = |text: &str, expected| assert_eq!(bytes(text).ok(), expected, "{text}");
        check("-1", Some(-1));
        check("0", Some(0));
        check("512", Some(512));
        check("512b", Some(512));
        check("64k", Some(65_536));
        check("64KB", Some(65_536));
        check("2MiB", Some(2 << 20));
        check("1.5 G", Some(3 << 29));
        check("9223372036854775807", Some(i64::MAX));
        for text in ["", "-2", "k", "1x", "1ib", "1.2.3", "9223372036854775808", "8388608t", "0x10"] {
            check(text, None);
        }
    }
}
