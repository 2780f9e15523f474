//! Numbers in tar headers and extended headers, read strictly.

use rustix::fs::Timespec;

/// A numeric header field: octal digits, or GNU's base-256 when the first byte has its high bit set.
///
/// An empty field is zero, as writers leave it for what does not apply.
pub(super) fn field(bytes: &[u8]) -> Option<i64> {
    match bytes.first() {
        Some(first) if first & 0x80 != 0 => base256(bytes),
        _ => octal(bytes),
    }
}

fn octal(bytes: &[u8]) -> Option<i64> {
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = bytes.iter().position(|byte| !blank(byte)).unwrap_or(bytes.len());
    let digits = &bytes[start..];
    let end = digits.iter().position(blank).unwrap_or(digits.len());
    let mut value: i64 = 0;
    for digit in &digits[..end] {
        if !matches!(digit, b'0'..=b'7') {
            return None;
        }
        value = value.checked_mul(8)?.checked_add(i64::from(digit - b'0'))?;
    }
    digits[end..].iter().all(blank).then_some(value)
}

/// Two's complement, most significant byte first, after the one marker bit.
fn base256(bytes: &[u8]) -> Option<i64> {
    let (first, rest) = bytes.split_first()?;
    let top = i128::from(first & 0x7f) - if first & 0x40 == 0 { 0 } else { 128 };
    // Fields have at most 12 bytes, so this cannot overflow.
    let value = rest.iter().fold(top, |value, byte| value * 256 + i128::from(*byte));
    i64::try_from(value).ok()
}

/// An unsigned decimal number of an extended header.
pub(super) fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0_u64, |value, byte| {
        byte.is_ascii_digit().then_some(())?;
        value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))
    })
}

/// `seconds[.fraction]`, possibly negative; digits beyond nanoseconds are cut off.
pub(super) fn time(bytes: &[u8]) -> Option<Timespec> {
    let (negative, rest) = match bytes.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, bytes),
    };
    let (seconds, fraction) = match rest.iter().position(|byte| *byte == b'.') {
        Some(dot) => (&rest[..dot], &rest[dot + 1..]),
        None => (rest, &[][..]),
    };
    let seconds = i64::try_from(decimal(seconds)?).ok()?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nanos = (0..9).fold(0_i64, |value, index| {
        value * 10 + fraction.get(index).map_or(0, |digit| i64::from(digit - b'0'))
    });
    Some(match (negative, nanos) {
        (false, _) => Timespec { tv_sec: seconds, tv_nsec: nanos },
        (true, 0) => Timespec { tv_sec: -seconds, tv_nsec: 0 },
        (true, _) => Timespec { tv_sec: -seconds - 1, tv_nsec: 1_000_000_000 - nanos },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let check = |bytes: &[u8], expect: Option<i64>| assert_eq!(field(bytes), expect, "{bytes:?}");
        check(b"0000644\0", Some(0o644));
        check(b" 644 \0\0\0", Some(0o644));
        check(b"\0\0\0\0\0\0\0\0", Some(0));
        check(b"77777777777\0", Some(0o77_777_777_777));
        check(b"777777777777", Some(0o777_777_777_777));
        check(b"0000648\0", None);
        check(b"-000644\0", None);
        check(b"644 7  \0", None);
        check(&[0x80, 0, 0, 0, 0, 1, 0x11, 0x70], Some(70_000));
        check(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0], Some(8 << 30));
        check(&[0xff; 12], Some(-1));
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf6], Some(-10));
        check(&[0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Some(i64::MAX));
        check(&[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0], None);
        check(&[0xbf; 12], None);
    }

    #[test]
    fn times() {
        let check = |text: &str, expect: Option<(i64, i64)>| {
            assert_eq!(time(text.as_bytes()).map(|t| (t.tv_sec, t.tv_nsec)), expect, "{text}");
        };
        check("1", Some((1, 0)));
        check("1350244992.023960108", Some((1_350_244_992, 23_960_108)));
        check("1.5", Some((1, 500_000_000)));
        check("1.0000000019", Some((1, 1)));
        check("-1.5", Some((-2, 500_000_000)));
        check("-3", Some((-3, 0)));
        for bad in ["", "-", ".5", "1.x", "+1", "1e9", "99999999999999999999"] {
            check(bad, None);
        }
    }
}
