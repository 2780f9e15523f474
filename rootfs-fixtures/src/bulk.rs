//! Images of size: many small files, and a system like Debian's.

use serde_json::json;

use crate::image::Flavour;
use crate::{Compression, Entry, Image, Layer};

/// Bytes that compress about as well as programs do, the same for the same seed.
#[must_use]
pub fn content(seed: u64, len: usize) -> Vec<u8> {
    const WORDS: [&[u8]; 8] =
        [b"lib", b"\0\0\0\0", b"return ", b"usr/share", b"\x48\x89\xe5", b"the ", b"0x", b"\n\t"];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 16);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes()[..2]);
        bytes.extend_from_slice(WORDS[usize::try_from(state >> 61).unwrap_or_default()]);
    }
    bytes.truncate(len);
    bytes
}

/// `count` files of up to 4 KiB, a hundred to a directory.
#[must_use]
pub fn small_files(prefix: &str, count: usize) -> Vec<Entry> {
    let mut entries = vec![Entry::dir(prefix)];
    for index in 0..count {
        let dir = format!("{prefix}/{:04}", index / 100);
        if index.is_multiple_of(100) {
            entries.push(Entry::dir(&dir));
        }
        let len = (index * 1_103) % 4096;
        entries.push(Entry::file(format!("{dir}/file-{index}.txt"), content(index as u64, len)));
    }
    entries
}

/// One layer of many small files.
#[must_use]
pub fn many_small_files(count: usize, compression: Compression) -> Image {
    let layer = Layer::new(&small_files("files", count), compression);
    Image::new(vec![layer], &json!({"Cmd": ["/bin/true"]}), Flavour::Oci)
}

/// Layers of small files, all of them gzip: many layers that every engine reads, unlike those of
/// [`many_layers`](crate::many_layers()).
#[must_use]
pub fn layers_of_small_files(layers: usize, files: usize) -> Image {
    let layer = |number| Layer::new(&small_files(&format!("layer{number}"), files), Compression::Gzip);
    Image::new((0..layers).map(layer).collect(), &json!({"Cmd": ["/bin/true"]}), Flavour::Oci)
}

/// Eight layers shaped like a Debian image with a program on top, of about `megabytes` in all.
#[must_use]
pub fn debian_like(megabytes: usize, compression: Compression) -> Image {
    // Share of the whole in percent, and the middle size of a file in KiB.
    const SHAPES: [(usize, usize); 8] =
        [(38, 24), (22, 48), (14, 16), (9, 8), (8, 256), (5, 32), (3, 4), (1, 2)];
    let layers = SHAPES.iter().enumerate().map(|(number, (percent, kib))| {
        let size = (megabytes << 20) * percent / 100;
        Layer::new(&tree(&format!("layer{number}"), size, kib << 10), compression)
    });
    Image::new(layers.collect(), &json!({"Cmd": ["/bin/true"]}), Flavour::Oci)
}

fn tree(prefix: &str, size: usize, middle: usize) -> Vec<Entry> {
    let mut entries = vec![Entry::dir("usr"), Entry::dir(format!("usr/{prefix}"))];
    let mut left = size;
    for index in 0_usize.. {
        if left == 0 {
            break;
        }
        let dir = format!("usr/{prefix}/dir{:03}", index / 40);
        if index.is_multiple_of(40) {
            entries.push(Entry::dir(&dir));
        }
        let len = (middle / 4 + (index * 7_919) % (middle * 3 / 2)).min(left);
        left -= len;
        let seed = (size + index) as u64;
        let file = Entry::file(format!("{dir}/file{index}"), content(seed, len));
        entries.push(if index.is_multiple_of(3) { file.mode(0o755) } else { file });
        if index % 11 == 3 {
            entries.push(Entry::symlink(format!("{dir}/link{index}"), format!("file{index}")));
        }
    }
    entries
}
