//! An image whose layers use everything that layers can hold.

use serde_json::json;

use crate::image::Flavour;
use crate::{Compression, Entry, Image, Layer};

/// `cap_net_bind_service=ep`, revision 2, as the kernel stores it.
pub const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The entries of each layer, lowest first: eight of them, and `more` small ones.
#[must_use]
pub fn many_layers_entries(more: usize) -> Vec<Vec<Entry>> {
    let mut layers = vec![
        base(),
        attributes(),
        names(),
        removals(),
        replacements(),
        implicit_parents(),
        lower_links(),
        Vec::new(),
    ];
    layers.extend((0..more).map(small));
    layers
}

/// The image of [`many_layers_entries`], its layers compressed in turn by gzip, zstd, not at all and in many members.
#[must_use]
pub fn many_layers(more: usize, flavour: Flavour) -> Image {
    let kinds = [Compression::Gzip, Compression::Zstd, Compression::None, Compression::MultiGzip];
    let layers = many_layers_entries(more).into_iter().zip(kinds.iter().cycle());
    let layers = layers.map(|(entries, kind)| Layer::new(&entries, *kind)).collect();
    Image::new(layers, &json!({"Cmd": ["/bin/true"]}), flavour)
}

fn base() -> Vec<Entry> {
    let mut all = vec![Entry::dir("./").mode(0o555)];
    let dirs = ["bin", "dev", "etc", "home", "opt", "opt/keep", "opt/old", "opt/opaque", "opt/opaque/sub"];
    all.extend(dirs.map(Entry::dir));
    all.extend(["usr", "usr/lib", "usr/share", "var", "swap"].map(Entry::dir));
    all.push(Entry::symlink("lib", "usr/lib"));
    all.push(Entry::file("etc/passwd", "root:x:0:0::/root:/bin/sh\n"));
    all.push(Entry::file("etc/gone", "removed above"));
    all.push(Entry::file("usr/lib/libc.so", "the C library").mode(0o755).mtime(1_600_000_000, 0));
    all.extend(["a", "b", "c"].map(|name| Entry::file(format!("opt/old/{name}"), name)));
    all.extend(["a", "sub/b"].map(|name| Entry::file(format!("opt/opaque/{name}"), name)));
    all.push(Entry::file("opt/keep/file", "kept"));
    all.push(Entry::file("swap/file-to-dir", "a file"));
    all.push(Entry::dir("swap/dir-to-file"));
    all.push(Entry::file("swap/dir-to-file/inside", "hidden above"));
    all.push(Entry::dir("swap/dir-to-link"));
    all
}

fn attributes() -> Vec<Entry> {
    vec![
        Entry::dir("tmp").mode(0o1777),
        Entry::dir("var").mtime(1_234_567_890, 0),
        Entry::dir("var/mail").mode(0o2775).owner(0, 8),
        Entry::file("var/mail/root", "of root's group though the directory hands its own on"),
        Entry::dir("bin"),
        Entry::file("bin/su", "setuid").mode(0o4755),
        Entry::file("bin/wall", "setgid").mode(0o2755).owner(0, 5),
        Entry::file("bin/ping", "capable").mode(0o755).xattr("security.capability", CAPABILITY),
        Entry::file("bin/noted", "").xattr("user.note", "two\nlines\n").xattr("user.empty", ""),
        Entry::dir("home/user").owner(70_000, 70_001).mode(0o700).xattr("user.dir", "yes").mtime(7, 7),
        Entry::file("home/user/old", "").owner(4_294_967_294, 2_097_152),
        Entry::file("home/user/nanos", "nanos").mtime(1_350_244_992, 23_960_108),
        Entry::file("home/user/before", "1969").mtime(-10, 0),
        Entry::file("home/user/none", "unreadable").mode(0),
        Entry::char_device("dev/null", 1, 3).mode(0o666),
        Entry::block_device("dev/sda", 8, 0).mode(0o660).owner(0, 6),
        Entry::char_device("dev/high", 511, 1_048_575),
        Entry::fifo("var/pipe").mode(0o620),
        Entry::file("bin/a", "twice\n").mode(0o755),
        Entry::hard_link("bin/b", "bin/a"),
        Entry::hard_link("usr/share/c", "/bin/b"),
        Entry::symlink("usr/share/dangling", "/nowhere/at/all").owner(1000, 1000),
        Entry::hard_link("usr/share/dangling-too", "usr/share/dangling"),
        Entry::gnu_sparse("var/sparse", &[(4096, b"four"), (1 << 20, b"mega")], 5 << 20),
        Entry::gnu_sparse(
            "var/holes",
            &[(0, b"0"), (8192, b"1"), (16_384, b"2"), (24_576, b"3"), (32_768, b"4")].map(pad),
            65_536,
        ),
        Entry::pax_sparse("var/pax-sparse", &[(1 << 20, b"here")], 3 << 20),
    ]
}

/// GNU's format wants every run but the last to fill whole blocks.
fn pad((offset, byte): (u64, &[u8; 1])) -> (u64, &'static [u8]) {
    (offset, Box::leak(vec![byte[0]; 512].into_boxed_slice()))
}

fn names() -> Vec<Entry> {
    let component = "n".repeat(255);
    let deep = (0..20).map(|_| "level-of-twenty-bytes").collect::<Vec<_>>();
    let mut all = vec![Entry::dir("usr/share/names")];
    all.extend((1..=deep.len()).map(|depth| Entry::dir(format!("usr/share/{}", deep[..depth].join("/")))));
    all.push(Entry::file(format!("usr/share/{}/{component}", deep.join("/")), "pax"));
    all.push(Entry::file(format!("usr/share/{}/{}", deep.join("/"), "g".repeat(255)), "gnu").gnu());
    all.push(Entry::symlink("usr/share/names/long", "t/".repeat(150)));
    all.push(Entry::symlink("usr/share/names/long-gnu", "t/".repeat(150)).gnu());
    for name in [&b"\xff\xfe not UTF-8"[..], b"new\nline", b"back\\slash", b" ", b"*", b"-rf", b"a:b,c=d"] {
        all.push(Entry::file([b"usr/share/names/", name].concat(), name));
    }
    for name in ["twin", "Twin", "\u{e9}", "e\u{301}", ".wh", ".whx"] {
        all.push(Entry::file(format!("./usr/share//names/{name}"), name));
    }
    all
}

fn removals() -> Vec<Entry> {
    vec![
        Entry::dir("etc"),
        Entry::whiteout("etc/gone"),
        Entry::whiteout("etc/never-was"),
        Entry::dir("opt").mode(0o750),
        Entry::dir("opt/old"),
        Entry::whiteout("opt/old/a"),
        Entry::whiteout("opt/old/b"),
        Entry::file("opt/old/b", "made again, after its whiteout"),
        Entry::dir("opt/opaque"),
        Entry::opaque("opt/opaque"),
        Entry::file("opt/opaque/new", "alone here"),
        Entry::file("opt/.wh..wh.plnk", "bookkeeping of AUFS"),
    ]
}

fn replacements() -> Vec<Entry> {
    vec![
        Entry::dir("swap"),
        Entry::dir("swap/file-to-dir"),
        Entry::file("swap/file-to-dir/inside", "a directory now"),
        Entry::file("swap/dir-to-file", "a file now"),
        Entry::symlink("swap/dir-to-link", "file-to-dir"),
        Entry::file("swap/last", "first"),
        Entry::dir("swap/last").mode(0o700),
        Entry::file("swap/last/inside", "gone with it"),
        Entry::file("swap/last", "last").mode(0o600),
        Entry::symlink("swap/way", "file-to-dir"),
        Entry::file("swap/way/through", "a link of the same layer"),
    ]
}

/// Directories of lower layers that the archive uses without describing them.
fn implicit_parents() -> Vec<Entry> {
    vec![
        Entry::file("home/user/new", "").owner(70_000, 70_001),
        Entry::file("var/mail/new/box", "").owner(0, 8),
        Entry::file("lib/extra.so", "belongs in usr/lib"),
        Entry::file("lib/modules/6.1/index", "as well"),
        Entry::whiteout("opt/keep/file"),
    ]
}

/// Hard links to files of lower layers.
fn lower_links() -> Vec<Entry> {
    vec![
        Entry::dir("usr"),
        Entry::hard_link("usr/libc-link", "usr/lib/libc.so"),
        Entry::hard_link("usr/libc-link-too", "lib/libc.so"),
        Entry::hard_link("usr/capable", "bin/ping"),
    ]
}

fn small(index: usize) -> Vec<Entry> {
    vec![
        Entry::dir("layers"),
        Entry::file(format!("layers/{index}"), index.to_string()),
        Entry::file("layers/top", index.to_string()),
    ]
}
