//! Where the data of a sparse file goes.

use std::io::BufRead;

use super::archive::{Archive, SPECIAL_MAX};
use super::{ArchiveFlaw, number};

/// A run of data; what lies between runs is a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// Segments from offsets and lengths in turn.
pub(super) fn segments(map: &[u64]) -> Result<Vec<Segment>, ArchiveFlaw> {
    let (pairs, rest) = map.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(ArchiveFlaw::SparseMap);
    }
    Ok(pairs.iter().map(|[offset, len]| Segment { offset: *offset, len: *len }).collect())
}

/// Segments must rise, not overlap, end within the file and use exactly the data that is stored.
pub(super) fn check(segments: &[Segment], stored: u64, real_size: u64) -> Result<(), ArchiveFlaw> {
    let mut end = 0;
    let mut used = 0_u64;
    for Segment { offset, len } in segments {
        if *offset < end {
            return Err(ArchiveFlaw::SparseMap);
        }
        end = offset.checked_add(*len).ok_or(ArchiveFlaw::SparseMap)?;
        used = used.checked_add(*len).ok_or(ArchiveFlaw::SparseMap)?;
    }
    let fits = end <= real_size && i64::try_from(real_size).is_ok();
    if used == stored && fits { Ok(()) } else { Err(ArchiveFlaw::SparseMap) }
}

/// The map of GNU's sparse format 1.0: decimal numbers, one a line, a count first, padded to whole blocks of data.
pub(super) fn read_map<R: BufRead>(archive: &mut Archive<R>) -> Result<Vec<u64>, ArchiveFlaw> {
    let mut lines = MapLines { archive, used: 0 };
    let count = lines.number()?;
    if count > SPECIAL_MAX / 16 {
        return Err(ArchiveFlaw::SparseMap);
    }
    let map = (0..count * 2).map(|_| lines.number()).collect::<Result<_, _>>()?;
    lines.skip_to_block()?;
    Ok(map)
}

struct MapLines<'a, R> {
    archive: &'a mut Archive<R>,
    used: u64,
}

impl<R: BufRead> MapLines<'_, R> {
    fn byte(&mut self) -> Result<u8, ArchiveFlaw> {
        let byte = *self.archive.data()?.first().ok_or(ArchiveFlaw::SparseMap)?;
        self.archive.consume(1);
        self.used += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64, ArchiveFlaw> {
        let mut digits = Vec::with_capacity(20);
        loop {
            match self.byte()? {
                b'\n' => return number::decimal(&digits).ok_or(ArchiveFlaw::SparseMap),
                digit if digits.len() < 20 => digits.push(digit),
                _ => return Err(ArchiveFlaw::SparseMap),
            }
        }
    }

    fn skip_to_block(&mut self) -> Result<(), ArchiveFlaw> {
        while !self.used.is_multiple_of(512) {
            self.byte()?;
        }
        Ok(())
    }
}
