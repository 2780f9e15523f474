//! Archives and images made to deceive: every trick known against unpackers, each with what must be said of it.

use std::io::{self, Read};

use serde_json::json;

use crate::entry::{checksummed, number, record, special};
use crate::image::Flavour;
use crate::layer::archive;
use crate::{Compression, Entry, Image, Layer};

/// An archive that must be refused.
#[derive(Debug, Clone)]
pub struct Hostile {
    /// What it tries.
    pub name: &'static str,
    /// The uncompressed archive.
    pub tar: Vec<u8>,
    /// A part of the error's text that must be there.
    pub says: &'static str,
}

impl Hostile {
    /// An image with this archive as its only layer.
    #[must_use]
    pub fn image(&self) -> Image {
        let layer = Layer::of_tar(self.tar.clone(), Compression::Gzip);
        Image::new(vec![layer], &json!({}), Flavour::Oci)
    }
}

/// All of them. Each that names a place outside names `ross-was-here`, so that an escape is easy to find.
#[must_use]
pub fn hostile() -> Vec<Hostile> {
    let mut all = Vec::new();
    let mut add = |name, says, tar| all.push(Hostile { name, tar, says });
    escapes(&mut add);
    types(&mut add);
    malformed(&mut add);
    all
}

type Add<'a> = dyn FnMut(&'static str, &'static str, Vec<u8>) + 'a;

fn escapes(add: &mut Add<'_>) {
    let file = |name: &str| Entry::file(name, "escaped");
    let mut of = |name, says, entries: &[Entry]| add(name, says, archive(entries));
    of("parent in name", "`..`", &[file("../ross-was-here")]);
    of("parent in the middle", "`..`", &[Entry::dir("a"), file("a/../../ross-was-here")]);
    of("parent in an absolute name", "`..`", &[file("/../../ross-was-here")]);
    of("parent in an extended name", "`..`", &[file("x").record("path", "../ross-was-here")]);
    of(
        "write through a link that climbs",
        "leads out of the layer",
        &[Entry::symlink("out", "../../../../../../tmp"), file("out/ross-was-here")],
    );
    of(
        "write through two links that climb",
        "leads out of the layer",
        &[
            Entry::dir("a"),
            Entry::symlink("a/up", ".."),
            Entry::symlink("b", "a/up/.."),
            file("b/ross-was-here"),
        ],
    );
    of("directory through a link", "out of the layer", &[Entry::symlink("o", "../tmp"), Entry::dir("o/x")]);
    of(
        "whiteout through a link",
        "out of the layer",
        &[Entry::symlink("o", "../tmp"), Entry::whiteout("o/x")],
    );
    of("opaque mark through a link", "out of the layer", &[Entry::symlink("o", ".."), Entry::opaque("o/x")]);
    of("link loop", "too many", &[Entry::symlink("a", "b"), Entry::symlink("b", "a"), file("a/x")]);
    of("hard link out", "`..`", &[Entry::hard_link("passwd", "../../../../etc/passwd")]);
    of(
        "hard link through a link",
        "leads out of the layer",
        &[Entry::symlink("out", "../../etc"), Entry::hard_link("shadow", "out/shadow")],
    );
    of("hard link to a directory", "is a directory", &[Entry::dir("d"), Entry::hard_link("l", "d")]);
    of("hard link to the root", "is a directory", &[Entry::hard_link("l", "/")]);
    of("hard link to itself", "itself", &[file("f"), Entry::hard_link("f", "f")]);
    of("whiteout of the parent", "whiteout", &[Entry::file(".wh...", "")]);
    of("whiteout of the directory", "whiteout", &[Entry::dir("a"), Entry::file("a/.wh..", "")]);
    of("whiteout of nothing", "whiteout", &[Entry::file("a/.wh.", "")]);
    of("root as a file", "root", &[Entry::file("./", "")]);
    of("root as a link", "root", &[Entry::symlink("/", "/tmp")]);
}

fn types(add: &mut Add<'_>) {
    let mut of = |name, says, entries: &[Entry]| add(name, says, archive(entries));
    of("parent is a file", "not a directory", &[Entry::file("a", ""), Entry::file("a/b", "")]);
    of("parent is a device", "not a directory", &[Entry::char_device("a", 1, 3), Entry::file("a/b", "")]);
    of("forged whiteout", "whiteout", &[Entry::char_device("etc", 0, 0)]);
    of("device out of range", "out of range", &[Entry::char_device("d", 4096, 0)]);
    of("owner out of range", "out of range", &[Entry::file("f", "").owner(1 << 32, 0)]);
    of("owner -1", "out of range", &[Entry::file("f", "").owner(u64::from(u32::MAX), 0)]);
    of("empty link", "no target", &[Entry::symlink("l", "")]);
    of("zero in name", "zero byte", &[Entry::file("f", "").record("path", "a\0b")]);
    of("long component", "255", &[Entry::file("x".repeat(256), "")]);
    of("long path", "4095", &[Entry::file("abcdefgh/".repeat(500), "")]);
    of("deep path", "path components", &[Entry::file("d/".repeat(1000) + "f", "")]);
    let mut unknown = Entry::file("multi-volume", "");
    unknown.kind = b'M';
    of("unknown type", "not supported", &[unknown]);
    of("long attribute", "too long", &[Entry::file("f", "").xattr("user.big", vec![b'x'; 65_537])]);
}

fn malformed(add: &mut Add<'_>) {
    let good = || archive(&[Entry::dir("d"), Entry::file("d/f", vec![b'x'; 5000])]);
    add("cut in data", "ends in the middle", good()[..3000].to_vec());
    add("cut in a header", "ends in the middle", good()[..700].to_vec());
    add("cut in the last byte of data", "ends in the middle", good()[..512 + 512 + 4999].to_vec());
    add("garbage after the end", "after the end", [good(), b"more".to_vec()].concat());
    let mut broken = good();
    broken[0] ^= 1;
    add("checksum", "checksum", broken);
    add("no archive at all", "checksum", b"hello ".repeat(500));
    let sized = |size: i64| {
        let mut header: [u8; 512] = Entry::file("f", "").bytes()[..512].try_into().unwrap_or([0; 512]);
        number(&mut header[124..136], size);
        checksummed(header).to_vec()
    };
    add("size 2^63-1", "size field", sized(i64::MAX));
    add("negative size", "size field", sized(-1));
    add("size beyond the limit", "bytes of content", [sized(1 << 50), vec![0; 4096]].concat());
    let mut desync = Entry::file("f", vec![b'x'; 1024]).record("size", "0").bytes();
    desync.extend(Entry::file("inner", "").bytes());
    add("PAX and ustar sizes differ", "header 1024 bytes", desync);
    let records = |text: &[u8]| [special(b'x', text), Entry::file("f", "").bytes()].concat();
    add("PAX record too long", "extended header", records(b"999 path=x\n"));
    add("PAX record without equals", "extended header", records(b"7 path\n"));
    add("PAX size not a number", "valid size", records(&record("size", b"1e9")));
    add("PAX size overflow", "valid size", records(&record("size", b"99999999999999999999")));
    add("PAX twice", "two extended", [special(b'x', b""), records(b"")].concat());
    add("PAX at the end", "without an entry", [special(b'x', b""), archive(&[])].concat());
    add("PAX of a gigabyte", "larger than 1 MiB", {
        let mut header: [u8; 512] = special(b'x', b"")[..512].try_into().unwrap_or([0; 512]);
        number(&mut header[124..136], 1 << 30);
        checksummed(header).to_vec()
    });
    let sparse = |runs: &[(u64, &[u8])], size| archive(&[Entry::gnu_sparse("s", runs, size)]);
    add("sparse runs overlap", "sparse map", sparse(&[(512, &[1; 512]), (600, &[1; 512])], 4096));
    add("sparse run beyond the end", "sparse map", sparse(&[(4096, &[1; 512])], 4096));
    add("sparse run at 2^63", "sparse map", sparse(&[(i64::MAX as u64, &[1; 512])], 4096));
    let map =
        Entry::file("s", "9999999\n").record("GNU.sparse.major", "1").record("GNU.sparse.realsize", "1");
    add("sparse map without end", "sparse map", archive(&[map]));
}

/// An image whose configuration names a diff id that the layer does not have.
#[must_use]
pub fn wrong_diff_id() -> Image {
    let mut layer = Layer::new(&[Entry::file("f", "honest")], Compression::Gzip);
    layer.diff_id = crate::layer::sha256(b"something else");
    Image::new(vec![layer], &json!({}), Flavour::Oci)
}

/// A gzip stream of `megabytes` of zeros as one file: about a thousand to one.
#[must_use]
pub fn bomb(megabytes: usize) -> Layer {
    let mut header: [u8; 512] = Entry::file("zeros", "").bytes()[..512].try_into().unwrap_or([0; 512]);
    number(&mut header[124..136], i64::try_from(megabytes << 20).unwrap_or(i64::MAX));
    let mut tar = checksummed(header).to_vec();
    tar.resize(tar.len() + (megabytes << 20) + 1024, 0);
    Layer::of_tar(tar, Compression::Gzip)
}

/// An archive of `count` empty files, made while it is read.
#[must_use]
pub fn endless_entries(count: usize) -> impl Read {
    struct Entries {
        left: std::ops::Range<usize>,
        bytes: io::Cursor<Vec<u8>>,
    }
    impl Read for Entries {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let len = self.bytes.read(into)?;
            if len > 0 || into.is_empty() {
                return Ok(len);
            }
            let Some(index) = self.left.next() else { return Ok(0) };
            self.bytes = io::Cursor::new(Entry::file(format!("{index}"), "").bytes());
            self.bytes.read(into)
        }
    }
    Entries { left: 0..count, bytes: io::Cursor::default() }
}
