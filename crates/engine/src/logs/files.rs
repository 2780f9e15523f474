//! The files of one log, oldest first: `container.log` and the rotated `container.log.1`, `.2`, ….
//!
//! Blocks. A file is known by its inode, since rotation renames it under the reader; it is held open until it is
//! read to its end, so that nothing of it is missed or read twice.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::entry::{is_complete, parse};
use crate::model::{LogEntry, LogQuery, Stream};

const BLOCK: usize = 64 << 10;
/// More rotated files than this are not looked for.
const MAX_FILES: u32 = 1000;

/// A place in a log.
#[derive(Debug)]
pub(super) struct LogFiles {
    path: PathBuf,
    query: LogQuery,
    /// To be read after the current one, oldest first.
    next: VecDeque<File>,
    current: Option<File>,
    inode: u64,
    /// Bytes read that make no line yet.
    rest: Vec<u8>,
}

/// What one reading brought.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<LogEntry>,
    /// Everything that is there now was read.
    pub(super) at_end: bool,
    /// Nothing that follows can be wanted.
    pub(super) done: bool,
}

fn rotated(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    if number > 0 {
        name.push(format!(".{number}"));
    }
    name.into()
}

impl LogFiles {
    /// Opens the log at `path`, which may not exist yet.
    pub(super) fn open(path: &Path, query: LogQuery) -> io::Result<Self> {
        let mut files = VecDeque::new();
        let mut seen = HashSet::new();
        // Newest first: what is rotated meanwhile is met again under its next name, and known by its inode.
        for number in 0..MAX_FILES {
            match File::open(rotated(path, number)) {
                Ok(file) => {
                    if seen.insert(file.metadata()?.ino()) {
                        files.push_front(file);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound && number > 0 => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(tail) = query.tail {
            skip_to_tail(&mut files, tail)?;
        }
        let mut log =
            Self { path: path.to_owned(), query, next: files, current: None, inode: 0, rest: Vec::new() };
        log.advance()?;
        Ok(log)
    }

    /// Goes to the next file; false when there is none.
    fn advance(&mut self) -> io::Result<bool> {
        // A torn line at the end of a file stays torn.
        self.rest.clear();
        self.current = self.next.pop_front();
        if let Some(file) = &self.current {
            self.inode = file.metadata()?.ino();
        }
        Ok(self.current.is_some())
    }

    /// The file that follows the current one in time, when rotation has made one.
    fn successor(&self) -> io::Result<Option<File>> {
        let mut newer = None;
        for number in 0..MAX_FILES {
            let file = match File::open(rotated(&self.path, number)) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            };
            if self.current.is_some() && file.metadata()?.ino() == self.inode {
                return Ok(newer);
            }
            newer = Some(file);
        }
        // The current one was rotated out of sight: the oldest there is follows.
        Ok(newer)
    }

    /// Reads on, at most a block or two.
    pub(super) fn read(&mut self) -> io::Result<Batch> {
        let mut batch = Batch::default();
        loop {
            let mut block = vec![0; BLOCK];
            let count = match &mut self.current {
                Some(file) => file.read(&mut block)?,
                None => 0,
            };
            if count > 0 {
                self.rest.extend_from_slice(&block[..count]);
                self.take_lines(&mut batch);
                // Also when nothing of it is wanted: whoever reads may have gone meanwhile.
                return Ok(batch);
            }
            if !self.next.is_empty() {
                self.advance()?;
                continue;
            }
            match self.successor()? {
                Some(file) => {
                    // What was written before the rotation and after the last read.
                    let more = match &mut self.current {
                        Some(current) => current.read(&mut block)?,
                        None => 0,
                    };
                    self.next.push_back(file);
                    if more > 0 {
                        self.rest.extend_from_slice(&block[..more]);
                        self.take_lines(&mut batch);
                        if batch.done || !batch.entries.is_empty() {
                            return Ok(batch);
                        }
                    }
                }
                None => {
                    batch.at_end = true;
                    return Ok(batch);
                }
            }
        }
    }

    fn take_lines(&mut self, batch: &mut Batch) {
        let Some(end) = self.rest.iter().rposition(|&byte| byte == b'\n') else { return };
        for line in self.rest[..end].split(|&byte| byte == b'\n') {
            let Some(entry) = parse(line) else { continue };
            if self.query.until.is_some_and(|until| entry.time > until) {
                batch.done = true;
                break;
            }
            let both = !self.query.stdout && !self.query.stderr;
            let wanted = both
                || match entry.stream {
                    Stream::Stdout => self.query.stdout,
                    Stream::Stderr => self.query.stderr,
                };
            if wanted && self.query.since.is_none_or(|since| entry.time >= since) {
                batch.entries.push(entry);
            }
        }
        self.rest.drain(..=end);
    }
}

/// Leaves only the last `tail` lines to be read.
fn skip_to_tail(files: &mut VecDeque<File>, tail: u64) -> io::Result<()> {
    let mut missing = tail;
    for index in (0..files.len()).rev() {
        let (offset, found) = tail_of(&files[index], missing)?;
        files[index].seek(SeekFrom::Start(offset))?;
        missing = missing.saturating_sub(found);
        if missing == 0 {
            files.drain(..index);
            return Ok(());
        }
    }
    Ok(())
}

/// Where the last `want` lines of a file begin, and how many there are, at most `want`. Parts of a line count as one.
fn tail_of(file: &File, want: u64) -> io::Result<(u64, u64)> {
    let mut end = file.metadata()?.len();
    if want == 0 {
        return Ok((end, 0));
    }
    // Bytes from `end` on that were read and belong to a line that begins before them.
    let mut carry: Vec<u8> = Vec::new();
    let mut found = 0;
    let mut last = true;
    while end > 0 {
        let start = end.saturating_sub(BLOCK as u64);
        let mut block = vec![0; usize::try_from(end - start).expect("a block is small")];
        file.read_exact_at(&mut block, start)?;
        block.extend_from_slice(&carry);
        let mut line_end = block.len();
        // Each newline but the last of the file stands before a line.
        while let Some(at) = block[..line_end].iter().rposition(|&byte| byte == b'\n') {
            let line = &block[at + 1..line_end];
            if !line.is_empty() {
                count(line, &mut found, &mut last);
                if found > want {
                    return Ok((start + line_end as u64 + 1, want));
                }
            }
            line_end = at;
        }
        carry = block[..line_end].to_vec();
        end = start;
    }
    if !carry.is_empty() {
        let length = carry.len() as u64;
        count(&carry, &mut found, &mut last);
        if found > want {
            return Ok((length + 1, want));
        }
    }
    Ok((0, found.min(want)))
}

fn count(line: &[u8], found: &mut u64, last: &mut bool) {
    // The very last entry counts even if its line has not ended.
    if is_complete(line) || *last {
        *found += 1;
    }
    *last = false;
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::fs;

    use super::*;
    use crate::model::Timestamp;

    fn lines(range: std::ops::Range<u32>) -> String {
        range.fold(String::new(), |mut text, number| {
            let stream = if number.is_multiple_of(2) { "stdout" } else { "stderr" };
            let _ = writeln!(
                text,
                "{{\"log\":\"{number}\\n\",\"stream\":\"{stream}\",\"time\":\"2026-11-21T09:{:02}:{:02}Z\"}}",
                number / 60,
                number % 60
            );
            text
        })
    }

    fn all(log: &mut LogFiles) -> Vec<u32> {
        let mut numbers = Vec::new();
        loop {
            let batch = log.read().unwrap();
            let text = |entry: &LogEntry| String::from_utf8(entry.line.clone()).unwrap();
            numbers.extend(batch.entries.iter().map(|entry| text(entry).trim().parse::<u32>().unwrap()));
            if batch.at_end || batch.done {
                return numbers;
            }
        }
    }

    #[test]
    fn files_are_read_in_order_and_from_their_tail() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("container.log");
        fs::write(rotated(&path, 2), lines(0..10)).unwrap();
        fs::write(rotated(&path, 1), lines(10..1000)).unwrap();
        fs::write(&path, lines(1000..1005)).unwrap();
        let check = |query: LogQuery, expected: std::ops::Range<u32>| {
            let numbers = all(&mut LogFiles::open(&path, query.clone()).unwrap());
            assert_eq!(numbers, expected.collect::<Vec<_>>(), "{query:?}");
        };
        let tail = |tail| LogQuery { tail: Some(tail), ..LogQuery::default() };
        check(LogQuery::default(), 0..1005);
        check(tail(0), 1005..1005);
        check(tail(1), 1004..1005);
        check(tail(5), 1000..1005);
        check(tail(6), 999..1005);
        check(tail(995), 10..1005);
        check(tail(996), 9..1005);
        check(tail(5000), 0..1005);
        let time = |text: &str| Timestamp::parse(text);
        let since = LogQuery { since: time("2026-11-21T09:16:40Z"), ..LogQuery::default() };
        check(since, 1000..1005);
        let until = LogQuery { until: time("2026-11-21T09:00:03Z"), ..LogQuery::default() };
        check(until, 0..4);
        let errors = LogQuery { stderr: true, tail: Some(5), ..LogQuery::default() };
        assert_eq!(all(&mut LogFiles::open(&path, errors).unwrap()), [1001, 1003]);
    }

    #[test]
    fn a_reader_follows_through_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("container.log");
        let mut log = LogFiles::open(&path, LogQuery::default()).unwrap();
        assert!(all(&mut log).is_empty());
        fs::write(&path, lines(0..3)).unwrap();
        assert_eq!(all(&mut log), [0, 1, 2]);
        let append = |path: &Path, text: &str| {
            let mut old = fs::read_to_string(path).unwrap();
            old.push_str(text);
            // In place: the reader holds the inode.
            fs::write(path, old).unwrap();
        };
        append(&path, &lines(3..4));
        fs::rename(&path, rotated(&path, 1)).unwrap();
        fs::write(&path, lines(4..6)).unwrap();
        fs::rename(rotated(&path, 1), rotated(&path, 2)).unwrap();
        fs::rename(&path, rotated(&path, 1)).unwrap();
        fs::write(&path, &lines(6..7)[..20]).unwrap();
        assert_eq!(all(&mut log), [3, 4, 5]);
        append(&path, &lines(6..7)[20..]);
        assert_eq!(all(&mut log), [6]);
    }

    #[test]
    fn parts_of_a_line_count_as_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("container.log");
        let line = |text: &str| {
            format!("{{\"log\":\"{text}\",\"stream\":\"stdout\",\"time\":\"2026-11-21T09:00:00Z\"}}\n")
        };
        fs::write(&path, [line("1\\n"), line("2"), line("2"), line("2\\n"), line("3")].concat()).unwrap();
        let count = |tail| {
            let query = LogQuery { tail: Some(tail), ..LogQuery::default() };
            LogFiles::open(&path, query).unwrap().read().unwrap().entries.len()
        };
        assert_eq!([count(1), count(2), count(3), count(9)], [1, 4, 5, 5]);
    }
}
