//! One entry of a json-file log:
//! `{"log":"text\n","stream":"stdout","time":"2026-11-21T09:38:11.123456789Z"}`.
//!
//! The escapes are those of Docker's encoder: `\n`, `\r`, `\"`, `\\` by name; other control characters,
//! `<`, `>`, `&`, U+2028 and U+2029 by number; a byte that is not UTF-8 becomes U+FFFD.

use crate::protocol::Stream;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Which bytes go into a JSON string as they are; those of several-byte characters are looked at apart.
const PLAIN: [bool; 256] = {
    let mut table = [true; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = false;
        byte += 1;
    }
    table[b'"' as usize] = false;
    table[b'\\' as usize] = false;
    table[b'<' as usize] = false;
    table[b'>' as usize] = false;
    table[b'&' as usize] = false;
    table[0xe2] = false; // where U+2028 and U+2029 begin
    table
};

/// Appends one entry to `out`. `time` is what [`append_time`] makes; `newline` says whether the line was
/// complete.
pub fn append_entry(out: &mut Vec<u8>, line: &[u8], newline: bool, stream: Stream, time: &[u8]) {
    out.extend_from_slice(b"{\"log\":\"");
    for chunk in line.utf8_chunks() {
        escape(out, chunk.valid().as_bytes());
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    if newline {
        out.extend_from_slice(b"\\n");
    }
    out.extend_from_slice(b"\",\"stream\":\"");
    out.extend_from_slice(stream.as_str().as_bytes());
    out.extend_from_slice(b"\",\"time\":\"");
    out.extend_from_slice(time);
    out.extend_from_slice(b"\"}\n");
}

fn escape(out: &mut Vec<u8>, mut text: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    while let Some(at) = text.iter().position(|byte| !PLAIN[usize::from(*byte)]) {
        out.extend_from_slice(&text[..at]);
        let mut used = 1;
        match text[at] {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0xe2 => match text[at..] {
                [_, 0x80, last @ (0xa8 | 0xa9), ..] => {
                    out.extend_from_slice(if last == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                    used = 3;
                }
                _ => out.push(0xe2),
            },
            byte => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits);
            }
        }
        text = &text[at + used..];
    }
    out.extend_from_slice(text);
}

/// Appends a time, given in nanoseconds since 1970, as Go's `RFC3339Nano` in UTC: without zeros at the
/// fraction's end.
pub fn append_time(out: &mut Vec<u8>, unix_nanos: i64) {
    let seconds = unix_nanos.div_euclid(NANOS_PER_SECOND);
    let nanos = unix_nanos.rem_euclid(NANOS_PER_SECOND);
    let (year, month, day) = civil(seconds.div_euclid(SECONDS_PER_DAY));
    let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
    digits(out, year, 4);
    for (mark, value) in
        [(b'-', month), (b'-', day), (b'T', of_day / 3600), (b':', of_day / 60 % 60), (b':', of_day % 60)]
    {
        out.push(mark);
        digits(out, value, 2);
    }
    if nanos != 0 {
        out.push(b'.');
        digits(out, nanos, 9);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
    out.push(b'Z');
}

fn digits(out: &mut Vec<u8>, mut value: i64, width: usize) {
    let start = out.len();
    out.resize(start + width, b'0');
    for place in out[start..].iter_mut().rev() {
        *place += u8::try_from(value % 10).expect("one digit");
        value /= 10;
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
///
/// Counted in eras of 400 years of 146,097 days that begin on the first of March, so that the leap day
/// comes last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(line: &[u8], newline: bool) -> String {
        let mut out = Vec::new();
        append_entry(&mut out, line, newline, Stream::Stdout, b"T");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn entries_are_dockers() {
        let check = |line: &[u8], escaped: &str| {
            let expected = format!("{{\"log\":\"{escaped}\",\"stream\":\"stdout\",\"time\":\"T\"}}\n");
            assert_eq!(entry(line, false), expected);
        };
        check(b"", "");
        check(b"plain \x7f text", "plain \x7f text");
        check(b"a\"b\\c\td\re\x00\x1b[0m", r#"a\"b\\c\u0009d\re\u0000\u001b[0m"#);
        check(b"<a href='x'>&", r"\u003ca href='x'\u003e\u0026");
        check("grün €😀".as_bytes(), "grün €😀");
        check("\u{2028}\u{2029}\u{2027}".as_bytes(), "\\u2028\\u2029\u{2027}");
        check(b"\xff\xfe ok \xe2\x82", r"\ufffd\ufffd ok \ufffd\ufffd");
        assert_eq!(entry(b"x", true), "{\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"T\"}\n");
    }

    #[test]
    fn times_are_gos() {
        let check = |nanos: i64, expected: &str| {
            let mut out = Vec::new();
            append_time(&mut out, nanos);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check(0, "1970-01-01T00:00:00Z");
        check(1, "1970-01-01T00:00:00.000000001Z");
        check(-1, "1969-12-31T23:59:59.999999999Z");
        check(951_782_400 * NANOS_PER_SECOND, "2000-02-29T00:00:00Z");
        check(4_107_542_400 * NANOS_PER_SECOND, "2100-03-01T00:00:00Z");
        check(1_795_253_891_120_000_000, "2026-11-21T09:38:11.12Z");
    }

    proptest! {
        #[test]
        fn any_line_is_json(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let value: serde_json::Value = serde_json::from_str(&entry(&line, true)).unwrap();
            let text = value["log"].as_str().unwrap();
            if let Ok(line) = std::str::from_utf8(&line) {
                prop_assert_eq!(text, format!("{line}\n"));
            }
        }
    }
}
