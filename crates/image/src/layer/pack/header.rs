//! One entry's header: ustar, with an extended header (POSIX pax) before it for what does not fit there.
//!
//! Owners beyond 2^21, sizes from 8 GiB, times with nanoseconds or before 1970, names and targets above 100 bytes,
//! extended attributes (`SCHILY.xattr.`) and maps of holes (`GNU.sparse.`, format 1.0) are what does not. Names are
//! bytes: they are written as they are, UTF-8 or not.

use rustix::fs::Timespec;

const BLOCK: usize = 512;
const NAME_MAX: usize = 100;

/// An entry as its header tells it.
#[derive(Debug, Clone)]
pub(super) struct Header<'a> {
    pub(super) name: &'a [u8],
    /// The type flag.
    pub(super) kind: u8,
    /// What a link leads to.
    pub(super) link: &'a [u8],
    /// Permission, set-id and sticky bits.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: Timespec,
    /// Bytes of data that follow; of a sparse file its map, too.
    pub(super) size: u64,
    /// The size of a sparse file with its holes.
    pub(super) real_size: Option<u64>,
    pub(super) device: (u32, u32),
    pub(super) xattrs: &'a [(Vec<u8>, Vec<u8>)],
}

impl<'a> Header<'a> {
    /// An entry of this type and name, of nobody and no time, without content.
    pub(super) fn new(kind: u8, name: &'a [u8]) -> Self {
        Self {
            name,
            kind,
            link: &[],
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: Timespec { tv_sec: 0, tv_nsec: 0 },
            size: 0,
            real_size: None,
            device: (0, 0),
            xattrs: &[],
        }
    }

    /// Its blocks; none when the extended header would be larger than `records_max` bytes.
    pub(super) fn blocks(&self, records_max: u64) -> Option<Vec<u8>> {
        let mut block = [0; BLOCK];
        let mut records = Vec::new();
        if self.real_size.is_none() && !put_text(&mut block[..NAME_MAX], self.name) {
            record(&mut records, b"path", self.name);
        }
        if !put_text(&mut block[157..157 + NAME_MAX], self.link) {
            record(&mut records, b"linkpath", self.link);
        }
        put_number(&mut block[100..108], self.mode.into());
        if !put_number(&mut block[108..116], self.uid.into()) {
            record(&mut records, b"uid", self.uid.to_string().as_bytes());
        }
        if !put_number(&mut block[116..124], self.gid.into()) {
            record(&mut records, b"gid", self.gid.to_string().as_bytes());
        }
        if !put_number(&mut block[124..136], self.size) {
            record(&mut records, b"size", self.size.to_string().as_bytes());
        }
        let seconds = u64::try_from(self.mtime.tv_sec).ok();
        let fits = put_number(&mut block[136..148], seconds.unwrap_or(0));
        if !fits || seconds.is_none() || self.mtime.tv_nsec != 0 {
            record(&mut records, b"mtime", time(self.mtime).as_bytes());
        }
        put_number(&mut block[329..337], self.device.0.into());
        put_number(&mut block[337..345], self.device.1.into());
        for (name, value) in self.xattrs {
            record(&mut records, &[b"SCHILY.xattr.", name.as_slice()].concat(), value);
        }
        if let Some(size) = self.real_size {
            put_text(&mut block[..NAME_MAX], b"GNUSparseFile.0/sparse");
            record(&mut records, b"GNU.sparse.major", b"1");
            record(&mut records, b"GNU.sparse.minor", b"0");
            record(&mut records, b"GNU.sparse.name", self.name);
            record(&mut records, b"GNU.sparse.realsize", size.to_string().as_bytes());
        }
        block[156] = self.kind;
        finish(&mut block);
        if records.len() as u64 > records_max {
            return None;
        }
        let mut blocks = extended(records);
        blocks.extend_from_slice(&block);
        Some(blocks)
    }
}

/// The extended header with these records, if there are any.
fn extended(mut records: Vec<u8>) -> Vec<u8> {
    if records.is_empty() {
        return Vec::new();
    }
    let mut block = [0; BLOCK];
    put_text(&mut block[..NAME_MAX], b"PaxHeaders.0/entry");
    put_number(&mut block[100..108], 0o644);
    put_number(&mut block[108..116], 0);
    put_number(&mut block[116..124], 0);
    put_number(&mut block[124..136], records.len() as u64);
    put_number(&mut block[136..148], 0);
    block[156] = b'x';
    finish(&mut block);
    records.resize(records.len().next_multiple_of(BLOCK), 0);
    [block.to_vec(), records].concat()
}

/// Puts text into a field, as much of it as fits; says whether all of it did.
fn put_text(field: &mut [u8], text: &[u8]) -> bool {
    let len = text.len().min(field.len());
    field[..len].copy_from_slice(&text[..len]);
    len == text.len()
}

/// Puts octal digits and a zero into a field; a number that does not fit is put as 0, and told.
fn put_number(field: &mut [u8], number: u64) -> bool {
    let digits = field.len() - 1;
    let text = format!("{number:0digits$o}");
    let fits = text.len() == digits;
    let text = if fits { text } else { "0".repeat(digits) };
    field[..digits].copy_from_slice(text.as_bytes());
    fits
}

/// Adds the magic and the checksum, in which the checksum itself counts as blanks.
fn finish(block: &mut [u8; BLOCK]) {
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    put_number(&mut block[148..155], sum);
    block[155] = b' ';
}

/// `length SP key=value LF`, where length counts the whole record, itself included.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(format!("{length} ").as_bytes());
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// Seconds, with nine decimals where there are any.
fn time(time: Timespec) -> String {
    match (time.tv_sec, time.tv_nsec) {
        (seconds, 0) => seconds.to_string(),
        (seconds, nanos) if seconds >= 0 => format!("{seconds}.{nanos:09}"),
        // The kernel counts nanoseconds upwards, also before 1970.
        (seconds, nanos) => format!("-{}.{:09}", -(seconds + 1), 1_000_000_000 - nanos),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Archive, number};

    const MAX: u64 = 1 << 20;

    #[test]
    fn what_is_written_is_read() {
        let check = |header: &Header<'_>, plain: bool| {
            let blocks = header.blocks(MAX).unwrap();
            assert_eq!(blocks.len() == BLOCK, plain, "{header:?}");
            let mut archive = Archive::new(&blocks[..]);
            let member = archive.next().unwrap().unwrap();
            assert_eq!(member.name, header.name, "{header:?}");
            assert_eq!(member.link, header.link, "{header:?}");
            assert_eq!((member.uid, member.gid), (header.uid.into(), header.gid.into()), "{header:?}");
            assert_eq!(member.mode, header.mode, "{header:?}");
            let time = |time: Timespec| (time.tv_sec, time.tv_nsec);
            assert_eq!(time(member.mtime), time(header.mtime), "{header:?}");
            assert_eq!(member.stored, header.size, "{header:?}");
            assert_eq!(member.device, (header.device.0.into(), header.device.1.into()), "{header:?}");
            assert_eq!(member.xattrs, header.xattrs, "{header:?}");
        };
        let plain = Header { mode: 0o4755, uid: 2_097_151, gid: 7, ..Header::new(b'0', b"a/b") };
        check(&plain, true);
        check(&Header { size: (8 << 30) - 1, ..plain.clone() }, true);
        check(&Header { size: 8 << 30, ..plain.clone() }, false);
        check(&Header { uid: 2_097_152, gid: u32::MAX - 1, ..plain.clone() }, false);
        check(&Header { name: &[b'n'; 100], ..plain.clone() }, true);
        check(&Header { name: &[b'n'; 101], ..plain.clone() }, false);
        check(&Header { name: b"caf\xe9 \xff", ..plain.clone() }, true);
        check(&Header { link: &[0xff; 300], ..Header::new(b'2', b"l") }, false);
        check(&Header { device: (4095, 1_048_575), ..Header::new(b'3', b"dev") }, true);
        for (seconds, nanos, fits) in
            [(1, 0, true), (1, 5, false), (-2, 500_000_000, false), (-1, 0, false), (1 << 34, 0, false)]
        {
            check(&Header { mtime: Timespec { tv_sec: seconds, tv_nsec: nanos }, ..plain.clone() }, fits);
        }
        let xattrs = [
            (b"security.capability".to_vec(), vec![1, 0, 0, 2, b'\n', b'=', 0]),
            (b"user.a=b".to_vec(), vec![]),
        ];
        check(&Header { xattrs: &xattrs[..1], ..plain.clone() }, false);
        let large = [(b"user.x".to_vec(), vec![0; 1 << 20])];
        assert!(Header { xattrs: &large, ..plain }.blocks(MAX).is_none());
    }

    #[test]
    fn lengths_of_records_count_themselves() {
        for value in 0..2000 {
            let mut records = Vec::new();
            record(&mut records, b"key", &vec![b'v'; value]);
            let space = records.iter().position(|byte| *byte == b' ').unwrap();
            assert_eq!(number::decimal(&records[..space]), Some(records.len() as u64), "{value}");
        }
    }

    #[test]
    fn times() {
        let check = |seconds, nanos, expected: &str| {
            assert_eq!(time(Timespec { tv_sec: seconds, tv_nsec: nanos }), expected);
        };
        check(0, 0, "0");
        check(12, 34, "12.000000034");
        check(-3, 0, "-3");
        check(-2, 500_000_000, "-1.500000000");
        check(-1, 999_999_999, "-0.000000001");
    }
}
