//! Points in time of `--since` and `--until`: a time, seconds since 1970, or a duration before now.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Parsed, duration};

/// The moment `text` means, where `now` and `zone` stand for here and now.
pub fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Parsed<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Some(time) = unix(text) {
        return Ok(time);
    }
    let civil = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|date| date.at(0, 0, 0, 0)));
    if let Ok(civil) = civil {
        let zoned = civil.to_zoned(zone.clone()).map_err(|error| error.to_string())?;
        return Ok(zoned.timestamp());
    }
    let expected = || {
        "expected a time such as 2026-01-31T12:00:00Z, seconds since 1970, or a duration such as 10m"
            .to_owned()
    };
    let span = duration::parse(text).map_err(|_| expected())?;
    let span = SignedDuration::try_from(span).map_err(|_| expected())?;
    now.checked_sub(span).map_err(|_| expected())
}

/// Seconds since 1970, with up to nine decimals.
fn unix(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if seconds.is_empty() || !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    Timestamp::new(seconds.parse().ok()?, format!("{fraction:0<9}").parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let check = |text: &str, expected: &str| {
            assert_eq!(
                parse(text, now, &zone).map(|time| time.to_string()),
                Ok(expected.to_owned()),
                "{text:?}"
            );
        };
        check("10m", "2026-11-21T09:50:00Z");
        check("1h30m", "2026-11-21T08:30:00Z");
        check("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z");
        check("2026-01-02T03:04:05.000000001+01:00", "2026-01-02T02:04:05.000000001Z");
        check("2026-01-02T03:04:05", "2026-01-02T01:04:05Z");
        check("2026-01-02T03:04", "2026-01-02T01:04:00Z");
        check("2026-01-02", "2026-01-01T22:00:00Z");
        check("0", "1970-01-01T00:00:00Z");
        check("1136073845.000000001", "2006-01-01T00:04:05.000000001Z");
        for bad in ["", "yesterday", "1x", "-10", "2026-13-01"] {
            assert!(parse(bad, now, &zone).is_err(), "{bad:?}");
        }
    }
}
