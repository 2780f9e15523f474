//! Sizes in bytes and numbers of CPUs.

use super::Parsed;

/// Bytes, such as `512m` or `1.5GiB`: units are powers of 1024, as docker has them for memory.
pub fn bytes(text: &str) -> Parsed<u64> {
    const EXPECTED: &str = "expected a number with an optional unit of b, k, m, g, t or p, such as 512m";
    let lower = text.trim().to_ascii_lowercase();
    let split = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(split);
    let shift = match unit.trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        "p" | "pb" | "pib" => 50,
        _ => return Err(EXPECTED.to_owned()),
    };
    let (whole, fraction) = decimal(number).ok_or_else(|| EXPECTED.to_owned())?;
    let too_large = || "it is too large".to_owned();
    let unit = 1_u64 << shift;
    let whole = whole.checked_mul(unit).ok_or_else(too_large)?;
    let part = u128::from(fraction) * u128::from(unit) / u128::from(BILLION);
    whole.checked_add(u64::try_from(part).map_err(|_| too_large())?).ok_or_else(too_large)
}

/// Bytes, where -1 stands for no bound.
pub fn bytes_or_unlimited(text: &str) -> Parsed<i64> {
    if text == "-1" {
        return Ok(-1);
    }
    i64::try_from(bytes(text)?).map_err(|_| "it is too large".to_owned())
}

/// CPUs as billionths: `1.5` is 1,500,000,000.
pub fn cpus(text: &str) -> Parsed<u64> {
    let (whole, fraction) =
        decimal(text).ok_or("expected a number with at most nine decimals, such as 1.5".to_owned())?;
    let nanos = whole.checked_mul(BILLION).and_then(|nanos| nanos.checked_add(fraction));
    match nanos {
        Some(0) => Err("it must be more than nothing".to_owned()),
        Some(nanos) => Ok(nanos),
        None => Err("it is too large".to_owned()),
    }
}

const BILLION: u64 = 1_000_000_000;

/// The whole part, and the fraction in billionths, of a decimal number without a sign.
fn decimal(text: &str) -> Option<(u64, u64)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) || fraction.len() > 9
    {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    Some((whole, format!("{fraction:0<9}").parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_sizes() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(bytes(text).ok(), expected, "{text:?}");
        check("0", Some(0));
        check("1024", Some(1024));
        check("10b", Some(10));
        check("1k", Some(1024));
        check("1KB", Some(1024));
        check("64m", Some(64 << 20));
        check("64MiB", Some(64 << 20));
        check("1.5g", Some(3 << 29));
        check(".5k", Some(512));
        check("2 g", Some(2 << 30));
        check("1t", Some(1 << 40));
        check("16383p", Some(16383 << 50));
        check("16384p", None);
        for bad in ["", "m", "-1", "1x", "1.2.3", "1,5g", "0x10", "1e3", ".", "ten", "99999999999999999999"] {
            check(bad, None);
        }
    }

    #[test]
    fn swap() {
        assert_eq!(bytes_or_unlimited("-1"), Ok(-1));
        assert_eq!(bytes_or_unlimited("1g"), Ok(1 << 30));
        assert!(bytes_or_unlimited("-2").is_err());
    }

    #[test]
    fn cpu_numbers() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(cpus(text).ok(), expected, "{text:?}");
        check("1", Some(1_000_000_000));
        check("1.5", Some(1_500_000_000));
        check(".01", Some(10_000_000));
        check("0.000000001", Some(1));
        check("0.0000000001", None);
        for bad in ["0", "0.0", "", ".", "-1", "1/2", "two", "+1", "99999999999"] {
            check(bad, None);
        }
    }
}
