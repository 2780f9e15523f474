//! Sizes and spans of time in docker's words.

use std::time::Duration;

use jiff::Timestamp;

/// `7.05MB`: powers of 1000, three significant digits.
pub fn decimal_size(bytes: u64) -> String {
    size(bytes, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], 3)
}

/// `1.234MiB`: powers of 1024, four significant digits.
pub fn binary_size(bytes: u64) -> String {
    size(bytes, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], 4)
}

#[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
fn size(bytes: u64, base: f64, units: &[&str], digits: usize) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    format!("{}{}", significant(value, digits), units[unit])
}

/// At most `digits` significant digits, without zeros at the end of a fraction.
fn significant(value: f64, digits: usize) -> String {
    let whole = format!("{}", value.trunc()).len();
    let text = format!("{value:.decimals$}", decimals = digits.saturating_sub(whole));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// `3 minutes`, `About an hour`, `2 weeks`.
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    let days = seconds / 86_400;
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", days.max(2)),
        () if hours < 24 * 30 * 2 => format!("{} weeks", days / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", days / 30),
        () => format!("{} years", days / 365),
    }
}

/// `3 minutes ago`; empty when the time is unknown.
pub fn ago(then: Option<&prost_types::Timestamp>, now: Timestamp) -> String {
    let Some(then) = then.and_then(moment) else { return String::new() };
    let elapsed = Duration::try_from(now.duration_since(then)).unwrap_or(Duration::ZERO);
    format!("{} ago", span(elapsed))
}

/// The moment a message carries, if it is one.
pub fn moment(time: &prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(time.seconds, time.nanos).ok()
}

/// RFC 3339 with nine decimals, in UTC, as docker prints the time of a line of a log.
pub fn rfc3339(time: Timestamp) -> String {
    format!("{time:.9}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let check = |bytes: u64, decimal: &str, binary: &str| {
            assert_eq!((decimal_size(bytes).as_str(), binary_size(bytes).as_str()), (decimal, binary));
        };
        check(0, "0B", "0B");
        check(999, "999B", "999B");
        check(1000, "1kB", "1000B");
        check(1024, "1.02kB", "1KiB");
        check(7_050_000, "7.05MB", "6.723MiB");
        check(1_536, "1.54kB", "1.5KiB");
        check(123_456_789, "123MB", "117.7MiB");
        check(1 << 30, "1.07GB", "1GiB");
        check(10 << 30, "10.7GB", "10GiB");
        check(u64::MAX, "18.4EB", "16EiB");
    }

    #[test]
    fn spans() {
        let check =
            |seconds: u64, text: &str| assert_eq!(span(Duration::from_secs(seconds)), text, "{seconds}");
        const HOUR: u64 = 3600;
        const DAY: u64 = 24 * HOUR;
        check(0, "Less than a second");
        check(1, "1 second");
        check(45, "45 seconds");
        check(60, "About a minute");
        check(119, "About a minute");
        check(120, "2 minutes");
        check(59 * 60 + 59, "59 minutes");
        check(HOUR, "About an hour");
        check(HOUR + 1799, "About an hour");
        check(HOUR + 1800, "2 hours");
        check(47 * HOUR, "47 hours");
        check(2 * DAY, "2 days");
        check(13 * DAY, "13 days");
        check(14 * DAY, "2 weeks");
        check(59 * DAY, "8 weeks");
        check(60 * DAY, "2 months");
        check(729 * DAY, "24 months");
        check(730 * DAY, "2 years");
    }

    #[test]
    fn times() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let then = prost_types::Timestamp { seconds: now.as_second() - 180, nanos: 0 };
        assert_eq!(ago(Some(&then), now), "3 minutes ago");
        assert_eq!(ago(None, now), "");
        let future = prost_types::Timestamp { seconds: now.as_second() + 5, nanos: 0 };
        assert_eq!(ago(Some(&future), now), "Less than a second ago");
        assert_eq!(rfc3339(Timestamp::new(1, 50).unwrap()), "1970-01-01T00:00:01.000000050Z");
    }
}
