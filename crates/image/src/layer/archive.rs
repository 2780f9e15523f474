//! The framing of a tar stream: headers and their extensions in, one [`Member`] at a time out.
//!
//! Reads v7, ustar, star, GNU (long names, sparse) and pax archives, as Go's reader does, which every other engine
//! uses, so that ross sees the entries they see. The tar crate supplies the header's layout; the framing is ross's
//! own because the crate believes sizes without a bound and splits pax records at newlines.
//!
//! One number, [`Member::stored`], says how much data follows a header, here and for whoever reads it.
//! What a header may ask for before it is understood is bounded by [`SPECIAL_MAX`].

use std::io::BufRead;

use rustix::fs::Timespec;
use tar::Header;

use super::pax::{self, Pax};
use super::sparse::{self, Segment};
use super::{ArchiveFlaw, number};

const BLOCK: usize = 512;
/// Largest long name, extended header or sparse map; Go's reader has the same bound.
pub(super) const SPECIAL_MAX: u64 = 1 << 20;

/// What kind of inode a member makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    HardLink,
    Symlink,
    CharDevice,
    BlockDevice,
    Directory,
    Fifo,
    /// A type flag that ross does not know.
    Other(u8),
}

/// One entry of the archive, its header and all extensions taken together.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) link: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: i64,
    pub(super) gid: i64,
    pub(super) mtime: Timespec,
    pub(super) device: (i64, i64),
    /// Bytes of data in the archive.
    pub(crate) stored: u64,
    /// Where the data goes, for a sparse file; the last segment's end may lie before `real_size`.
    pub(crate) sparse: Option<Vec<Segment>>,
    /// The file's size: `stored`, plus the holes.
    pub(super) real_size: u64,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A reader of tar members.
pub(crate) struct Archive<R> {
    source: R,
    offset: u64,
    /// Data of the current member not yet consumed.
    remaining: u64,
    /// Zero bytes after that data, up to the next block.
    padding: u64,
}

#[derive(Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Option<Pax>,
}

type Result<T> = std::result::Result<T, ArchiveFlaw>;

impl<R: BufRead> Archive<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { source, offset: 0, remaining: 0, padding: 0 }
    }

    /// How far the stream is read.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next member, or the end of the archive, which is reached only when nothing but zeros follows: two blocks
    /// of them, or fewer, or not even the padding of the last entry.
    pub(crate) fn next(&mut self) -> Result<Option<Member>> {
        self.skip(self.remaining)?;
        self.remaining = 0;
        self.skip_padding()?;
        let mut extensions = Extensions::default();
        loop {
            let mut header = Header::new_old();
            let present = self.block(header.as_mut_bytes())?;
            if !present || header.as_bytes().iter().all(|byte| *byte == 0) {
                extensions.must_be_empty()?;
                if present {
                    self.expect_zeros_to_end()?;
                }
                return Ok(None);
            }
            verify_checksum(&header)?;
            let size = number::field(&header.as_old().size).and_then(|size| u64::try_from(size).ok());
            let size = size.ok_or(ArchiveFlaw::Number("size"))?;
            match header.as_old().linkflag[0] {
                b'L' => {
                    let name = c_string(self.special(size, "long name")?);
                    set_once(&mut extensions.name, name, "long name")?;
                }
                b'K' => {
                    let link = c_string(self.special(size, "long link")?);
                    set_once(&mut extensions.link, link, "long link")?;
                }
                b'x' => {
                    let pax = pax::parse(&self.special(size, "extended")?)?;
                    set_once(&mut extensions.pax, pax, "extended")?;
                }
                // Go's reader, and so every other engine, gives global values no effect.
                b'g' => drop(self.special(size, "global")?),
                _ => return self.member(&header, size, extensions).map(Some),
            }
        }
    }

    /// Some of the current member's data, at most what is buffered; empty when all of it was consumed.
    pub(crate) fn data(&mut self) -> Result<&[u8]> {
        if self.remaining == 0 {
            return Ok(&[]);
        }
        let available = fill(&mut self.source)?;
        if available.is_empty() {
            return Err(ArchiveFlaw::Truncated);
        }
        let len = usize::try_from(self.remaining).map_or(available.len(), |rest| rest.min(available.len()));
        Ok(&available[..len])
    }

    /// Takes `len` bytes of what [`Archive::data`] returned.
    pub(crate) fn consume(&mut self, len: usize) {
        self.source.consume(len);
        self.offset += len as u64;
        self.remaining -= len as u64;
    }

    fn member(&mut self, header: &Header, size: u64, extensions: Extensions) -> Result<Member> {
        let fields = header.as_old();
        let pax = extensions.pax.unwrap_or_default();
        let mut name = pax.path.or(extensions.name).unwrap_or_else(|| header_name(header));
        let kind = match fields.linkflag[0] {
            0 if name.ends_with(b"/") => Kind::Directory,
            0 | b'0' | b'7' | b'S' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::CharDevice,
            b'4' => Kind::BlockDevice,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            other => Kind::Other(other),
        };
        let stored = match (kind, pax.size) {
            // Whatever the size field of these says, no data follows them.
            (Kind::File | Kind::Other(_), None) => size,
            (Kind::File | Kind::Other(_), Some(pax)) if size == 0 || size == pax => pax,
            (Kind::File | Kind::Other(_), Some(pax)) => {
                return Err(ArchiveFlaw::SizeConflict { pax, header: size });
            }
            _ => 0,
        };
        self.expect_data(stored)?;
        let mut sparse = None;
        let mut real_size = stored;
        if fields.linkflag[0] == b'S' {
            let (segments, size) = self.gnu_sparse(header)?;
            (sparse, real_size) = (Some(segments), size);
        } else if let (Kind::File, Some(keys)) = (kind, pax.sparse) {
            name = keys.name.unwrap_or(name);
            real_size = keys.real_size.ok_or(ArchiveFlaw::SparseMap)?;
            let map = if keys.map_in_data { sparse::read_map(self)? } else { keys.map };
            sparse = Some(sparse::segments(&map)?);
        }
        if let Some(segments) = &sparse {
            sparse::check(segments, self.remaining, real_size)?;
        }
        let number = |bytes: &[u8], name| number::field(bytes).ok_or(ArchiveFlaw::Number(name));
        let signed = |value: u64, name| i64::try_from(value).map_err(|_| ArchiveFlaw::PaxValue(name));
        let seconds = match pax.mtime {
            Some(time) => time,
            None => Timespec { tv_sec: number(&fields.mtime, "mtime")?, tv_nsec: 0 },
        };
        let device = match (kind, header.as_ustar()) {
            (Kind::CharDevice | Kind::BlockDevice, _) => {
                // Old headers have no such fields; ustar and GNU have them at the same place.
                let bytes = header.as_bytes();
                (number(&bytes[329..337], "device")?, number(&bytes[337..345], "device")?)
            }
            _ => (0, 0),
        };
        Ok(Member {
            name,
            kind,
            link: pax.link.or(extensions.link).unwrap_or_else(|| c_string(fields.linkname.to_vec())),
            mode: u32::try_from(number(&fields.mode, "mode")? & 0o7777).unwrap_or_default(),
            uid: pax.uid.map_or_else(|| number(&fields.uid, "uid"), |uid| signed(uid, "uid"))?,
            gid: pax.gid.map_or_else(|| number(&fields.gid, "gid"), |gid| signed(gid, "gid"))?,
            mtime: seconds,
            device,
            stored: self.remaining,
            sparse,
            real_size,
            xattrs: pax.xattrs.into_iter().collect(),
        })
    }

    /// Announces `size` bytes of data before the next header.
    fn expect_data(&mut self, size: u64) -> Result<()> {
        let block = BLOCK as u64;
        if size > i64::MAX as u64 - block {
            return Err(ArchiveFlaw::Number("size"));
        }
        self.remaining = size;
        self.padding = size.next_multiple_of(block) - size;
        Ok(())
    }

    fn gnu_sparse(&mut self, header: &Header) -> Result<(Vec<Segment>, u64)> {
        let gnu = header.as_gnu().ok_or(ArchiveFlaw::SparseMap)?;
        let size = |bytes: &[u8]| {
            number::field(bytes).and_then(|size| u64::try_from(size).ok()).ok_or(ArchiveFlaw::SparseMap)
        };
        let mut map = Vec::new();
        let add = |map: &mut Vec<u64>, entries: &[tar::GnuSparseHeader]| {
            for entry in entries.iter().filter(|entry| entry.offset[0] != 0 && entry.numbytes[0] != 0) {
                map.push(size(&entry.offset)?);
                map.push(size(&entry.numbytes)?);
            }
            if map.len() as u64 > SPECIAL_MAX / 8 { Err(ArchiveFlaw::SparseMap) } else { Ok(()) }
        };
        add(&mut map, &gnu.sparse)?;
        let mut more = gnu.is_extended();
        while more {
            let mut extension = tar::GnuExtSparseHeader::new();
            if !self.block(extension.as_mut_bytes())? {
                return Err(ArchiveFlaw::Truncated);
            }
            add(&mut map, extension.sparse())?;
            more = extension.is_extended();
        }
        Ok((sparse::segments(&map)?, size(&gnu.realsize)?))
    }

    /// The whole data of a header that describes the next one.
    fn special(&mut self, size: u64, what: &'static str) -> Result<Vec<u8>> {
        if size > SPECIAL_MAX {
            return Err(ArchiveFlaw::HeaderTooLarge(what, size));
        }
        self.expect_data(size)?;
        let mut bytes = Vec::new();
        loop {
            let piece = self.data()?;
            if piece.is_empty() {
                break;
            }
            bytes.extend_from_slice(piece);
            let len = piece.len();
            self.consume(len);
        }
        self.skip_padding()?;
        Ok(bytes)
    }

    /// Fills `block`, or finds the stream at its end before the first byte of it.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool> {
        let mut filled = 0;
        while filled < BLOCK {
            let available = fill(&mut self.source)?;
            if available.is_empty() {
                return if filled == 0 { Ok(false) } else { Err(ArchiveFlaw::Truncated) };
            }
            let len = available.len().min(BLOCK - filled);
            block[filled..filled + len].copy_from_slice(&available[..len]);
            self.source.consume(len);
            self.offset += len as u64;
            filled += len;
        }
        Ok(true)
    }

    fn skip(&mut self, len: u64) -> Result<()> {
        if self.skip_at_most(len)? == len { Ok(()) } else { Err(ArchiveFlaw::Truncated) }
    }

    /// Skips up to the next block. Some writers (umoci) leave out the padding of the last entry; a stream that ends
    /// inside it ends the archive, as for Go's reader, and the next block is then found missing.
    fn skip_padding(&mut self) -> Result<()> {
        let padding = std::mem::take(&mut self.padding);
        self.skip_at_most(padding).map(drop)
    }

    /// Skips `len` bytes, or all there are; says how many those were.
    fn skip_at_most(&mut self, len: u64) -> Result<u64> {
        let mut rest = len;
        while rest > 0 {
            let available = fill(&mut self.source)?.len();
            if available == 0 {
                break;
            }
            let step = usize::try_from(rest).map_or(available, |rest| rest.min(available));
            self.source.consume(step);
            self.offset += step as u64;
            rest -= step as u64;
        }
        Ok(len - rest)
    }

    fn expect_zeros_to_end(&mut self) -> Result<()> {
        loop {
            let available = fill(&mut self.source)?;
            if available.is_empty() {
                return Ok(());
            }
            if available.iter().any(|byte| *byte != 0) {
                return Err(ArchiveFlaw::TrailingData);
            }
            let len = available.len();
            self.source.consume(len);
            self.offset += len as u64;
        }
    }
}

/// A reader that fails is a reader that ends: the thread that feeds it reports why.
fn fill<R: BufRead>(source: &mut R) -> Result<&[u8]> {
    source.fill_buf().map_err(|_| ArchiveFlaw::Truncated)
}

impl Extensions {
    fn must_be_empty(&self) -> Result<()> {
        let dangling = |what| Err(ArchiveFlaw::Dangling(what));
        match self {
            Self { name: Some(_), .. } => dangling("long name"),
            Self { link: Some(_), .. } => dangling("long link"),
            Self { pax: Some(_), .. } => dangling("extended"),
            _ => Ok(()),
        }
    }
}

fn set_once<T>(slot: &mut Option<T>, value: T, what: &'static str) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(ArchiveFlaw::Repeated(what)),
    }
}

/// The sum of all bytes with the checksum itself read as blanks; some old writers summed signed bytes.
fn verify_checksum(header: &Header) -> Result<()> {
    let expect = number::field(&header.as_old().cksum).ok_or(ArchiveFlaw::Checksum)?;
    let bytes = || {
        let bytes = header.as_bytes();
        bytes[..148].iter().chain(b"        ").chain(&bytes[156..])
    };
    let unsigned: i64 = bytes().map(|byte| i64::from(*byte)).sum();
    let signed = || -> i64 { bytes().map(|byte| i64::from(byte.cast_signed())).sum() };
    if expect == unsigned || expect == signed() { Ok(()) } else { Err(ArchiveFlaw::Checksum) }
}

/// The name of a header, put together with ustar's or star's prefix.
fn header_name(header: &Header) -> Vec<u8> {
    let bytes = header.as_bytes();
    let name = c_string(bytes[..100].to_vec());
    if &bytes[257..263] != b"ustar\0" {
        return name;
    }
    let prefix = if &bytes[508..512] == b"tar\0" { &bytes[345..476] } else { &bytes[345..500] };
    let mut whole = c_string(prefix.to_vec());
    if whole.is_empty() {
        return name;
    }
    whole.push(b'/');
    whole.extend_from_slice(&name);
    whole
}

/// The bytes before the first zero.
fn c_string(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}

/// Reads `data` as an archive, all of it or until it is refused.
#[cfg(test)]
fn fuzz(data: &[u8]) {
    let mut archive = Archive::new(data);
    while let Ok(Some(member)) = archive.next() {
        let stored = member.sparse.map_or(member.stored, |runs| runs.iter().map(|run| run.len).sum());
        assert_eq!(stored, member.stored);
        assert!(member.real_size >= stored);
        assert!(archive.offset() <= data.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rootfs_fixtures::many_layers_entries;

    use super::*;

    /// Bytes that look like an archive, so that mutations get past the first checksum.
    fn archive() -> Vec<u8> {
        let mut tar: Vec<u8> =
            many_layers_entries(0).iter().flatten().flat_map(rootfs_fixtures::Entry::bytes).collect();
        tar.resize(tar.len() + 1024, 0);
        tar
    }

    fn with_checksum(block: &mut [u8]) {
        let block: &mut [u8; BLOCK] = block.try_into().unwrap();
        *block = rootfs_fixtures::checksummed(*block);
    }

    /// One block of a header, for `size` bytes of data.
    fn header(kind: u8, name: &str, size: u64) -> Vec<u8> {
        let mut header = Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    /// The number of members, each of which is skipped as a whole or, with `read`, read first.
    fn count(data: &[u8], read: bool) -> Result<usize> {
        // A reader that hands out little at a time, as those of layers do at the end of a chunk.
        let mut archive = Archive::new(std::io::BufReader::with_capacity(100, data));
        let mut members = 0;
        while archive.next()?.is_some() {
            members += 1;
            let mut len = if read { archive.data()?.len() } else { 0 };
            while len > 0 {
                archive.consume(len);
                len = archive.data()?.len();
            }
        }
        assert!(archive.next()?.is_none(), "the end stays the end");
        Ok(members)
    }

    #[test]
    fn ends_inside_the_last_padding() {
        let mut two = header(b'0', "one", 600);
        two.extend([b'1'; 600]);
        two.resize(3 * BLOCK, 0);
        two.extend(header(b'0', "two", 600));
        two.extend([b'2'; 600]);
        two.resize(6 * BLOCK, 0);
        let content = 4 * BLOCK + 600;
        let check = |end: usize, expected: std::result::Result<usize, &str>| {
            for read in [false, true] {
                let found = count(&two[..end], read).map_err(|flaw| flaw.to_string());
                assert_eq!(found, expected.map_err(str::to_owned), "the first {end} bytes, read: {read}");
            }
        };
        let truncated = Err("the stream ends in the middle of an entry");
        check(two.len(), Ok(2));
        check(two.len() - 1, Ok(2));
        check(content + 1, Ok(2));
        check(content, Ok(2));
        check(content - 1, truncated);
        check(4 * BLOCK, truncated);
        check(4 * BLOCK - 1, truncated);
        check(3 * BLOCK, Ok(1));
        check(3 * BLOCK - 1, Ok(1));
    }

    #[test]
    fn an_extension_describes_a_member_that_must_follow() {
        let check = |kind, data: &[u8], expected: std::result::Result<usize, &str>| {
            let mut tar = header(kind, "extension", data.len() as u64);
            tar.extend(data);
            let found = count(&tar, true).map_err(|flaw| flaw.to_string());
            assert_eq!(found, expected.map_err(str::to_owned), "{}", char::from(kind));
        };
        check(b'g', b"9 path=a\n", Ok(0));
        check(b'x', b"9 path=a\n", Err("a extended header without an entry after it"));
        check(b'L', b"name\0", Err("a long name header without an entry after it"));
    }

    proptest! {
        #[test]
        fn any_bytes(data in proptest::collection::vec(any::<u8>(), 0..4096)) {
            fuzz(&data);
        }

        #[test]
        fn changed_archives(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
            let mut data = archive();
            for (index, byte) in changes {
                let at = index.index(data.len());
                data[at] = byte;
                let start = at - at % BLOCK;
                if &data[start + 257..start + 262] == b"ustar" {
                    with_checksum(&mut data[start..start + BLOCK]);
                }
            }
            fuzz(&data);
        }

        #[test]
        fn cut_archives(end in any::<prop::sample::Index>()) {
            let data = archive();
            fuzz(&data[..end.index(data.len())]);
        }
    }
}
