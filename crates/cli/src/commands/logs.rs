//! `logs`: what a container wrote, stdout and stderr apart.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ross_api::v1::{GetLogsRequest, LogEntry, OutputStream};

use super::{Context, Outcome};
use crate::args::LogsArgs;
use crate::failure::Failure;
use crate::render::units::{moment, rfc3339};
use crate::value::{BadValue, flag, time};

/// `logs`
pub async fn logs(args: &LogsArgs, context: &mut Context) -> Outcome {
    let request = request(args, Timestamp::now(), &TimeZone::system())?;
    let mut entries = context.daemon().await?.containers().get_logs(request).await?.into_inner();
    let mut stamps = Stamps { wanted: args.timestamps, within: [false; 2] };
    while let Some(entry) = entries.message().await? {
        let line = stamps.put(&entry);
        match entry.stream() {
            OutputStream::Stderr => context.streams.stderr.write(line)?,
            OutputStream::Stdout | OutputStream::Unspecified => context.streams.stdout.write(line)?,
        }
    }
    Ok(0)
}

fn request(args: &LogsArgs, now: Timestamp, zone: &TimeZone) -> Result<GetLogsRequest, Failure> {
    let tail = match (args.tail.as_str(), args.tail.parse::<i64>()) {
        ("all", _) => None,
        (text, Err(_)) => return Err(BadValue::new("--tail", text, "expected a number or \"all\"").into()),
        // Docker takes any negative number for all.
        (_, Ok(lines)) => u64::try_from(lines).ok(),
    };
    let at = |name: &str, text: &Option<String>| -> Result<Option<prost_types::Timestamp>, Failure> {
        let Some(text) = text else { return Ok(None) };
        let time = flag(name, text, |text| time::parse(text, now, zone))?;
        Ok(Some(prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }))
    };
    Ok(GetLogsRequest {
        container: args.container.clone(),
        follow: args.follow,
        stdout: true,
        stderr: true,
        since: at("--since", &args.since)?,
        until: at("--until", &args.until)?,
        tail,
    })
}

/// Times before lines, not before the further parts of one.
#[derive(Debug)]
struct Stamps {
    wanted: bool,
    /// Whether stdout and stderr are in the middle of a line.
    within: [bool; 2],
}

impl Stamps {
    fn put(&mut self, entry: &LogEntry) -> Vec<u8> {
        let mut line = Vec::with_capacity(entry.line.len() + 40);
        let within = &mut self.within[usize::from(entry.stream() == OutputStream::Stderr)];
        if self.wanted
            && !*within
            && let Some(time) = entry.time.as_ref().and_then(moment)
        {
            line.extend_from_slice(rfc3339(time).as_bytes());
            line.push(b' ');
        }
        *within = entry.partial;
        line.extend_from_slice(&entry.line);
        line
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn requests() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let check = |line: &str| {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            let Command::Logs(args) = cli.command else { panic!("{line}") };
            request(&args, now, &TimeZone::UTC).map_err(|error| error.to_string())
        };
        let all = check("ross logs web").unwrap();
        assert!(all.tail.is_none() && all.since.is_none() && !all.follow && all.stdout && all.stderr);
        let some = check("ross logs -f --tail 5 --since 10m --until 2026-11-21T11:00:00Z web").unwrap();
        assert_eq!((some.tail, some.follow), (Some(5), true));
        assert_eq!(some.since.unwrap().seconds, now.as_second() - 600);
        assert_eq!(some.until.unwrap().seconds, now.as_second() + 3600);
        assert!(check("ross logs -n -5 web").unwrap().tail.is_none());
        assert_eq!(check("ross logs --tail 0 web").unwrap().tail, Some(0));
        assert!(check("ross logs --tail x web").unwrap_err().contains("--tail"));
        assert!(check("ross logs --since x web").unwrap_err().contains("--since"));
    }

    #[test]
    fn stamps_begin_lines_only() {
        let entry = |stream: OutputStream, line: &'static str, partial: bool| LogEntry {
            stream: stream.into(),
            time: Some(prost_types::Timestamp { seconds: 0, nanos: 1 }),
            line: bytes::Bytes::from_static(line.as_bytes()),
            partial,
        };
        let mut stamps = Stamps { wanted: true, within: [false; 2] };
        let mut text = Vec::new();
        text.extend(stamps.put(&entry(OutputStream::Stdout, "a", true)));
        text.extend(stamps.put(&entry(OutputStream::Stderr, "e\n", false)));
        text.extend(stamps.put(&entry(OutputStream::Stdout, "b\n", false)));
        text.extend(stamps.put(&entry(OutputStream::Stdout, "c\n", false)));
        let stamp = "1970-01-01T00:00:00.000000001Z ";
        assert_eq!(String::from_utf8(text).unwrap(), format!("{stamp}a{stamp}e\nb\n{stamp}c\n"));
    }
}
