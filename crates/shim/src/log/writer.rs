//! The writer: output of both streams in, entries in files out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{append_entry, append_time};
use crate::config::{LogConfig, LogDriver};
use crate::protocol::Stream;

/// The longest part of a line that goes into one entry; a longer line becomes several, all but the last
/// without a newline.
const MAX_PART: usize = 16 << 10;

/// How much is gathered before it is written, at least.
const BATCH: usize = 64 << 10;

/// Buffers larger than this are given back when they are empty.
const KEPT_CAPACITY: usize = 4 << 10;

/// Writes a container's log.
#[derive(Debug)]
pub struct LogWriter {
    files: Option<Files>,
    parts: [Vec<u8>; 2],
    batch: Vec<u8>,
    time: Vec<u8>,
    lost: u64,
    last_error: Option<io::Error>,
}

/// The current file and where the older ones are.
#[derive(Debug)]
struct Files {
    path: PathBuf,
    max_size: u64,
    max_files: u32,
    file: Option<File>,
    size: u64,
}

impl LogWriter {
    /// Opens the log for appending.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(config: &LogConfig) -> io::Result<Self> {
        let files = match config.driver {
            LogDriver::None => None,
            LogDriver::JsonFile => Some(Files::open(config)?),
        };
        Ok(Self {
            files,
            parts: [Vec::new(), Vec::new()],
            batch: Vec::new(),
            time: Vec::new(),
            lost: 0,
            last_error: None,
        })
    }

    /// Takes what was read from `stream` at `unix_nanos`. Complete lines go out with the next
    /// [`flush`](Self::flush), sooner when there are many.
    pub fn append(&mut self, stream: Stream, mut bytes: &[u8], unix_nanos: i64) {
        if self.files.is_none() {
            return;
        }
        self.time.clear();
        append_time(&mut self.time, unix_nanos);
        while !bytes.is_empty() {
            let held = self.parts[stream.index()].len();
            let room = MAX_PART - held;
            let window = &bytes[..bytes.len().min(room)];
            let (line, newline, used) = match window.iter().position(|byte| *byte == b'\n') {
                Some(at) => (&window[..at], true, at + 1),
                None if window.len() == room => (window, false, room),
                None => {
                    self.parts[stream.index()].extend_from_slice(window);
                    return;
                }
            };
            bytes = &bytes[used..];
            if held == 0 && newline {
                self.entry(stream, line, true);
                continue;
            }
            let mut part = std::mem::take(&mut self.parts[stream.index()]);
            part.extend_from_slice(line);
            // A character is not torn apart, unless what ends the part is none.
            let whole = if newline { part.len() } else { part.len() - torn_tail(&part) };
            self.entry(stream, &part[..whole], newline);
            part.drain(..whole);
            self.parts[stream.index()] = part;
        }
    }

    /// Writes what was gathered.
    pub fn flush(&mut self) {
        self.write_batch(self.batch.len());
        for buffer in self.parts.iter_mut().chain([&mut self.batch]) {
            if buffer.is_empty() && buffer.capacity() > KEPT_CAPACITY {
                *buffer = Vec::new();
            }
        }
    }

    /// Writes everything, lines that have no end too, and says what went wrong since the log was opened.
    pub fn finish(&mut self, unix_nanos: i64) -> Option<String> {
        self.time.clear();
        append_time(&mut self.time, unix_nanos);
        for stream in [Stream::Stdout, Stream::Stderr] {
            let part = std::mem::take(&mut self.parts[stream.index()]);
            if !part.is_empty() {
                self.entry(stream, &part, false);
            }
        }
        self.flush();
        self.last_error.take().map(|error| format!("{} bytes of the log were lost: {error}", self.lost))
    }

    fn entry(&mut self, stream: Stream, line: &[u8], newline: bool) {
        let start = self.batch.len();
        append_entry(&mut self.batch, line, newline, stream, &self.time);
        let full = self.files.as_ref().is_some_and(|files| files.is_full(start, self.batch.len()));
        if full {
            self.write_batch(start);
            let rotated = self.files.as_mut().map_or(Ok(()), Files::rotate);
            if let Err(error) = rotated {
                self.last_error = Some(error);
            }
        } else if self.batch.len() >= BATCH {
            self.write_batch(self.batch.len());
        }
    }

    /// Writes the first `length` bytes of the batch, or gives them up.
    fn write_batch(&mut self, length: usize) {
        if length == 0 {
            return;
        }
        if let Some(files) = &mut self.files
            && let Err(error) = files.write(&self.batch[..length])
        {
            self.lost += u64::try_from(length).unwrap_or(u64::MAX);
            self.last_error = Some(error);
        }
        self.batch.drain(..length);
    }
}

impl Files {
    fn open(config: &LogConfig) -> io::Result<Self> {
        let mut files = Self {
            path: config.path.clone(),
            max_size: if config.max_size == 0 { u64::MAX } else { config.max_size },
            max_files: config.max_files.max(1),
            file: None,
            size: 0,
        };
        files.reopen()?;
        Ok(files)
    }

    /// Whether a batch of `with` bytes is too much for the current file, where `without` its last entry it
    /// was not. An empty file takes an entry of any size.
    fn is_full(&self, without: usize, with: usize) -> bool {
        let after = self.size.saturating_add(u64::try_from(with).unwrap_or(u64::MAX));
        after > self.max_size && (self.size > 0 || without > 0)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            self.reopen()?;
        }
        let file = self.file.as_mut().expect("reopened above");
        match file.write_all(bytes) {
            Ok(()) => {
                self.size += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                Ok(())
            }
            Err(error) => {
                // Half an entry would spoil the next one as well. That this fails too changes nothing.
                let _ = file.set_len(self.size);
                Err(error)
            }
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        self.size = 0;
        if self.max_files == 1 {
            fs::remove_file(&self.path)?;
        } else {
            for number in (1..self.max_files - 1).rev() {
                ignore_missing(fs::rename(self.numbered(number), self.numbered(number + 1)))?;
            }
            fs::rename(&self.path, self.numbered(1))?;
        }
        self.reopen()
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    fn reopen(&mut self) -> io::Result<()> {
        let mut file = open_for_append(&self.path)?;
        self.size = file.metadata()?.len();
        if self.size > 0 && !ends_with_newline(&mut file)? {
            // A power cut tore the last entry: it ends here, and the next one begins a line of its own.
            file.write_all(b"\n")?;
            self.size += 1;
        }
        self.file = Some(file);
        Ok(())
    }
}

fn open_for_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)
}

fn ends_with_newline(file: &mut File) -> io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == [b'\n'])
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// How many bytes at the end of `part` are the beginning of a character.
fn torn_tail(part: &[u8]) -> usize {
    for back in 1..=part.len().min(3) {
        let needed = match part[part.len() - back] {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if needed > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Log {
        dir: tempfile::TempDir,
    }

    impl Log {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap() }
        }

        fn config(&self, max_size: u64, max_files: u32) -> LogConfig {
            LogConfig { max_size, max_files, ..LogConfig::json_file(self.path("")) }
        }

        fn path(&self, suffix: &str) -> PathBuf {
            self.dir.path().join(format!("container.log{suffix}"))
        }

        fn lines(&self, suffix: &str) -> Vec<(String, String)> {
            let text = fs::read_to_string(self.path(suffix)).unwrap();
            let parse = |line: &str| -> (String, String) {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                (value["stream"].as_str().unwrap().into(), value["log"].as_str().unwrap().into())
            };
            text.lines().map(parse).collect()
        }
    }

    fn check(reads: &[(Stream, &[u8])], expected: &[(&str, &str)]) {
        let log = Log::new();
        let mut writer = LogWriter::open(&log.config(0, 1)).unwrap();
        for (stream, bytes) in reads {
            writer.append(*stream, bytes, 7);
            writer.flush();
        }
        assert_eq!(writer.finish(8), None);
        let lines = log.lines("");
        let lines: Vec<_> = lines.iter().map(|(stream, text)| (stream.as_str(), text.as_str())).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn lines_and_parts() {
        use Stream::{Stderr, Stdout};
        check(&[], &[]);
        check(&[(Stdout, b"a\nb\n")], &[("stdout", "a\n"), ("stdout", "b\n")]);
        check(
            &[(Stdout, b"a"), (Stderr, b"x\n"), (Stdout, b"b\n")],
            &[("stderr", "x\n"), ("stdout", "ab\n")],
        );
        check(&[(Stdout, b"no end")], &[("stdout", "no end")]);
        check(&[(Stdout, b"\n\n")], &[("stdout", "\n"), ("stdout", "\n")]);
        let long = "x".repeat(MAX_PART);
        check(&[(Stdout, format!("{long}yz\n").as_bytes())], &[("stdout", &long), ("stdout", "yz\n")]);
        check(&[(Stdout, format!("{long}\n").as_bytes())], &[("stdout", &long), ("stdout", "\n")]);
        check(
            &[(Stdout, &long.as_bytes()[1..]), (Stdout, b"\n")],
            &[("stdout", &format!("{}\n", &long[1..]))],
        );
        // A character across the cut stays whole.
        let cut = format!("{}€", &long[1..]);
        check(&[(Stdout, cut.as_bytes()), (Stdout, b"\n")], &[("stdout", &long[1..]), ("stdout", "€\n")]);
        check(&[(Stdout, b"g\xc3"), (Stdout, b"\xbcn\n")], &[("stdout", "gün\n")]);
    }

    #[test]
    fn torn_tails() {
        for (part, torn) in [
            (&b"abc"[..], 0),
            (b"", 0),
            (b"a\xc3", 1),
            (b"a\xc3\xbc", 0),
            (b"\xe2\x82", 2),
            (b"\xf0\x9f\x98", 3),
            (b"\xf0\x9f\x98\x80", 0),
            (b"\x80\x80\x80\x80", 0),
            (b"\xff", 0),
        ] {
            assert_eq!(torn_tail(part), torn, "{part:?}");
        }
    }

    #[test]
    fn files_are_bounded_and_rotated_between_entries() {
        let log = Log::new();
        let mut writer = LogWriter::open(&log.config(1000, 3)).unwrap();
        for number in 0..200 {
            writer.append(Stream::Stdout, format!("line {number}\n").as_bytes(), 1);
        }
        assert_eq!(writer.finish(1), None);
        let mut all = Vec::new();
        for suffix in [".2", ".1", ""] {
            assert!(fs::metadata(log.path(suffix)).unwrap().len() <= 1000);
            all.extend(log.lines(suffix));
        }
        assert!(!log.path(".3").exists());
        let first = 200 - all.len();
        for (offset, (_, text)) in all.iter().enumerate() {
            assert_eq!(text, &format!("line {}\n", first + offset));
        }
        assert!(all.len() > 20, "{}", all.len());
    }

    #[test]
    fn one_file_starts_over() {
        let log = Log::new();
        let mut writer = LogWriter::open(&log.config(500, 1)).unwrap();
        for number in 0..50 {
            writer.append(Stream::Stdout, format!("{number}\n").as_bytes(), 1);
        }
        writer.flush();
        assert!(fs::metadata(log.path("")).unwrap().len() <= 500);
        assert_eq!(log.lines("").last().unwrap().1, "49\n");
        assert_eq!(fs::read_dir(log.dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn goes_on_where_it_ended() {
        let log = Log::new();
        fs::write(log.path(""), "{\"log\":\"torn").unwrap();
        let mut writer = LogWriter::open(&log.config(0, 1)).unwrap();
        writer.append(Stream::Stderr, b"next\n", 0);
        writer.flush();
        let text = fs::read_to_string(log.path("")).unwrap();
        let expected = "{\"log\":\"next\\n\",\"stream\":\"stderr\",\"time\":\"1970-01-01T00:00:00Z\"}";
        assert_eq!(text.lines().nth(1), Some(expected));
    }

    #[test]
    fn a_full_disk_is_survived_and_told() {
        let config = LogConfig::json_file("/dev/full".into());
        let mut files = Files {
            path: config.path.clone(),
            max_size: u64::MAX,
            max_files: 1,
            file: Some(File::options().write(true).open("/dev/full").unwrap()),
            size: 0,
        };
        assert!(files.write(b"x").is_err());
        let mut writer = LogWriter {
            files: Some(files),
            parts: [Vec::new(), Vec::new()],
            batch: Vec::new(),
            time: Vec::new(),
            lost: 0,
            last_error: None,
        };
        writer.append(Stream::Stdout, b"gone\n", 0);
        assert!(writer.finish(0).unwrap().contains("bytes of the log were lost: No space left"));
    }

    #[test]
    fn no_log_keeps_nothing() {
        let log = Log::new();
        let config = LogConfig { driver: LogDriver::None, ..log.config(0, 1) };
        let mut writer = LogWriter::open(&config).unwrap();
        writer.append(Stream::Stdout, b"x\n", 0);
        assert_eq!(writer.finish(0), None);
        assert!(!log.path("").exists());
    }
}
