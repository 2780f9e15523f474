//! One line of a json-file log.

use std::borrow::Cow;

use serde::Deserialize;

use crate::model::{LogEntry, Stream, Timestamp};

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
}

/// The entry of a line; none for one that a power cut has torn.
pub(super) fn parse(line: &[u8]) -> Option<LogEntry> {
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    let stream = match &*line.stream {
        "stdout" => Stream::Stdout,
        "stderr" => Stream::Stderr,
        _ => return None,
    };
    let time = Timestamp::parse(&line.time)?;
    let partial = !line.log.ends_with('\n');
    Some(LogEntry { stream, time, line: line.log.into_owned().into_bytes(), partial })
}

/// Whether the entry of a line ends in a newline, seen without parsing it.
pub(super) fn is_complete(line: &[u8]) -> bool {
    const AFTER: &[u8] = b"\",\"stream\":\"";
    // Quotes in the text are escaped, so the first bare one ends it.
    let Some(end) = line.windows(AFTER.len()).position(|window| window == AFTER) else { return true };
    let text = &line[..end];
    let Some(before) = text.strip_suffix(b"n") else { return false };
    // An odd number: the last one makes a newline of the n; else all are backslashes of the text.
    before.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let line = br#"{"log":"a \"q\" \u001b\n","stream":"stderr","time":"2026-11-21T09:00:00.000000005Z"}"#;
        let entry = parse(line).unwrap();
        assert_eq!(entry.line, b"a \"q\" \x1b\n");
        assert_eq!((entry.stream, entry.partial), (Stream::Stderr, false));
        assert_eq!(entry.time.unix_nanos() % 1_000_000_000, 5);
        assert!(parse(b"{\"log\":\"x").is_none());
        assert!(parse(b"").is_none());
    }

    #[test]
    fn complete_or_partial() {
        let check = |text: &str, complete: bool| {
            let line = serde_json::json!({"log": text, "stream": "stdout", "time": "2026-11-21T09:00:00Z"});
            let log = serde_json::to_string(&line["log"]).unwrap();
            let line = format!("{{\"log\":{log},\"stream\":\"stdout\",\"time\":\"2026-11-21T09:00:00Z\"}}");
            assert_eq!(is_complete(line.as_bytes()), complete, "{line}");
            assert_eq!(!parse(line.as_bytes()).unwrap().partial, complete);
        };
        check("x\n", true);
        check("\n", true);
        check("x", false);
        check("n", false);
        check("\\n", false);
        check("\\\n", true);
        check("\",\"stream\":\"", false);
    }
}
