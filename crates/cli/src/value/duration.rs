//! Durations as Go writes them: `300ms`, `1m30s`, `1.5h`.

use std::time::Duration;

use super::Parsed;

/// A span of time without a sign; `0` needs no unit.
pub fn parse(text: &str) -> Parsed<Duration> {
    const EXPECTED: &str = "expected a duration with units of h, m, s, ms, us or ns, such as 1m30s";
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u128 = 0;
    if rest.is_empty() {
        return Err(EXPECTED.to_owned());
    }
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(EXPECTED)?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let nanos: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(EXPECTED.to_owned()),
        };
        total += scaled(number, nanos).ok_or(EXPECTED)?;
        rest = tail;
    }
    let nanos = u64::try_from(total).ok().filter(|&nanos| i64::try_from(nanos).is_ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| "it is longer than 292 years".to_owned())
}

/// `number` of `unit`, where `number` may have a fraction.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction: String = fraction.chars().take(18).collect();
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    Some(u128::from(whole) * unit + u128::from(part) * unit / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check =
            |text: &str, millis: u64| assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text:?}");
        check("0", 0);
        check("0s", 0);
        check("30s", 30_000);
        check("1m30s", 90_000);
        check("1.5h", 5_400_000);
        check("300ms", 300);
        check(".5s", 500);
        check("2h45m0.5s", 9_900_500);
        assert_eq!(parse("3us"), Ok(Duration::from_micros(3)));
        assert_eq!(parse("7ns"), Ok(Duration::from_nanos(7)));
    }

    #[test]
    fn refusals() {
        for bad in ["", "10", "s", "-1s", "1d", "1 s", "1m30", "1..5s", ".s", "9999999h", "1h-1m", "+1s"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
