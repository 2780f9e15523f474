//! The content of a file: where its data is, and carrying it over.

use std::io::Write;
use std::os::fd::OwnedFd;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::PackError;
use crate::layer::sparse::Segment;

const BLOCK: u64 = 512;
const CHUNK: usize = 128 << 10;
/// Holes smaller than this are written as zeros, in bytes.
const HOLE_MIN: u64 = 4 << 10;
/// Runs of data in one map; a file with more has its smallest holes filled.
const SEGMENTS_MAX: usize = 4096;

/// What is stored of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// Where data is, rising.
    runs: Vec<Segment>,
    /// The map of a file with holes, padded to whole blocks; empty for one without.
    map: Vec<u8>,
}

impl Content {
    /// All `size` bytes of a file.
    fn whole(size: u64) -> Self {
        Self { runs: vec![Segment { offset: 0, len: size }], map: Vec::new() }
    }

    /// What is to be stored of a file of `size` bytes, `allocated` of them on the disk.
    pub(super) fn of(file: &OwnedFd, size: u64, allocated: u64) -> Self {
        if size < HOLE_MIN || allocated >= size {
            return Self::whole(size);
        }
        // A file system that cannot tell has no holes.
        match runs(file, size) {
            Ok(runs) => Self::of_runs(runs, size),
            Err(_) => Self::whole(size),
        }
    }

    fn of_runs(mut runs: Vec<Segment>, size: u64) -> Self {
        let mut hole = HOLE_MIN;
        loop {
            runs = joined(runs, hole, size);
            if runs.len() <= SEGMENTS_MAX {
                break;
            }
            hole = hole.saturating_mul(2);
        }
        let stored: u64 = runs.iter().map(|run| run.len).sum();
        if stored == size {
            return Self::whole(size);
        }
        // The end of the file is where the last run ends.
        if runs.last().is_none_or(|last| last.offset + last.len < size) {
            runs.push(Segment { offset: size, len: 0 });
        }
        let mut map = format!("{}\n", runs.len());
        for run in &runs {
            map.push_str(&format!("{}\n{}\n", run.offset, run.len));
        }
        let mut map = map.into_bytes();
        map.resize(map.len().next_multiple_of(512), 0);
        Self { runs, map }
    }

    /// Whether there are holes.
    pub(super) fn is_sparse(&self) -> bool {
        !self.map.is_empty()
    }

    /// Bytes that follow the header, without padding.
    pub(super) fn stored(&self) -> u64 {
        self.runs.iter().fold(self.map.len() as u64, |sum, run| sum + run.len)
    }

    /// Writes exactly [`stored`](Self::stored) bytes, and the padding: zeros for what `file` has not any more.
    pub(super) fn write(
        &self,
        file: &OwnedFd,
        path: &[u8],
        buffer: &mut Vec<u8>,
        out: &mut dyn Write,
    ) -> Result<(), PackError> {
        out.write_all(&self.map).map_err(PackError::Write)?;
        buffer.resize(CHUNK, 0);
        for run in &self.runs {
            let (mut at, end) = (run.offset, run.offset + run.len);
            while at < end {
                let len = usize::try_from(end - at).map_or(CHUNK, |rest| rest.min(CHUNK));
                let read = match rustix::io::pread(file, &mut buffer[..len], at) {
                    Err(Errno::INTR) => continue,
                    read => read.map_err(|errno| PackError::read("read", path, errno))?,
                };
                if read == 0 {
                    zeros(end - at, buffer, out)?;
                    break;
                }
                out.write_all(&buffer[..read]).map_err(PackError::Write)?;
                at += read as u64;
            }
        }
        let stored = self.stored();
        zeros(stored.next_multiple_of(BLOCK) - stored, buffer, out)
    }
}

fn zeros(mut len: u64, buffer: &mut [u8], out: &mut dyn Write) -> Result<(), PackError> {
    buffer.fill(0);
    while len > 0 {
        let step = usize::try_from(len).map_or(buffer.len(), |rest| rest.min(buffer.len()));
        out.write_all(&buffer[..step]).map_err(PackError::Write)?;
        len -= step as u64;
    }
    Ok(())
}

/// The runs of data in the first `size` bytes.
fn runs(file: &OwnedFd, size: u64) -> rustix::io::Result<Vec<Segment>> {
    let mut runs = Vec::new();
    let mut at = 0;
    while at < size {
        let offset = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => break,
            offset => offset?,
        };
        if offset >= size {
            break;
        }
        // The end of the file counts as a hole; one that was cut off meanwhile has neither.
        let end = match rustix::fs::seek(file, SeekFrom::Hole(offset)) {
            Err(Errno::NXIO) => break,
            end => end?.min(size),
        };
        if end <= offset {
            break;
        }
        runs.push(Segment { offset, len: end - offset });
        at = end;
    }
    Ok(runs)
}

/// The runs with holes below `hole` bytes filled.
fn joined(runs: Vec<Segment>, hole: u64, size: u64) -> Vec<Segment> {
    let mut all: Vec<Segment> = Vec::with_capacity(runs.len());
    for run in runs {
        let before = all.last().map_or(0, |last| last.offset + last.len);
        match all.last_mut() {
            Some(last) if run.offset - before < hole => last.len = run.offset + run.len - last.offset,
            None if run.offset < hole => all.push(Segment { offset: 0, len: run.offset + run.len }),
            _ => all.push(run),
        }
    }
    if let Some(last) = all.last_mut()
        && size - (last.offset + last.len) < hole
    {
        last.len = size - last.offset;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(runs: &[(u64, u64)]) -> Vec<Segment> {
        runs.iter().map(|(offset, len)| Segment { offset: *offset, len: *len }).collect()
    }

    #[test]
    fn maps() {
        let check = |found: &[(u64, u64)], size: u64, map: &str| {
            let content = Content::of_runs(segments(found), size);
            let text = String::from_utf8(content.map.clone()).unwrap();
            assert_eq!(text.trim_end_matches('\0').replace('\n', " "), map, "{found:?} of {size}");
            assert_eq!(content.map.len() % 512, 0);
        };
        const M: u64 = 1 << 20;
        check(&[(0, M)], M, "");
        check(&[], M, "1 1048576 0 ");
        check(&[(M, M)], 2 * M, "1 1048576 1048576 ");
        check(&[(0, 4096)], M, "2 0 4096 1048576 0 ");
        check(&[(0, 4096), (8192, 4096)], M, "3 0 4096 8192 4096 1048576 0 ");
        check(&[(0, 4096), (8191, 4096)], M, "2 0 12287 1048576 0 ");
        check(&[(4096, 4096)], M, "2 4096 4096 1048576 0 ");
        check(&[(4095, 4096)], M, "2 0 8191 1048576 0 ");
        check(&[(0, M - 1)], M, "");
    }

    #[test]
    fn a_map_has_a_bound() {
        let step = 2 * HOLE_MIN;
        let count = SEGMENTS_MAX as u64 * 3;
        let many: Vec<_> = (0..count).map(|index| (index * step, 4096)).collect();
        let content = Content::of_runs(segments(&many), count * step);
        assert!(content.runs.len() <= SEGMENTS_MAX + 1, "{}", content.runs.len());
    }

    #[test]
    fn a_file_that_shrinks_is_padded() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10).unwrap();
        let fd = OwnedFd::from(file.try_clone().unwrap());
        let content = Content::of(&fd, 10_000, 10_000);
        file.set_len(3).unwrap();
        let mut out = Vec::new();
        content.write(&fd, b"f", &mut Vec::new(), &mut out).unwrap();
        assert_eq!(out.len(), 10_240);
    }
}
