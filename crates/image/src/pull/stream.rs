//! From pieces of a blob, as they arrive, to the bytes of its archive.

use std::io::{self, BufRead, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::{Buf, Bytes};

/// Pieces that may wait between two stages of a pipeline. Enough to keep both busy; with pieces of up to 400 KiB
/// (what hyper reads at once) it bounds the memory of a layer to a few MiB.
pub(super) const DEPTH: usize = 4;

/// Bytes unpacked below which no ratio is too high.
const RATIO_FLOOR: u64 = 1 << 30;

/// The highest ratio of unpacked to packed bytes beyond that: whole systems have 2 to 5, a stream of zeros 1,000.
const MAX_RATIO: u64 = 250;

#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    End,
}

/// The writing end of a channel of pieces. Dropped without [`end`](Self::end), the reader fails.
#[derive(Debug)]
pub(super) struct PieceSender {
    pieces: SyncSender<Piece>,
}

/// The other end is gone.
#[derive(Debug)]
pub(super) struct Gone;

impl PieceSender {
    pub(super) fn send(&self, bytes: Bytes) -> Result<(), Gone> {
        self.pieces.send(Piece::Bytes(bytes)).map_err(|_| Gone)
    }

    /// Says that all bytes were sent and are right.
    pub(super) fn end(self) {
        // A reader that needs no more has its own reasons, and reports them.
        let _ = self.pieces.send(Piece::End);
    }
}

/// The reading end: the pieces as one stream, without copying them together.
#[derive(Debug)]
pub(super) struct PieceReader {
    pieces: Receiver<Piece>,
    current: Bytes,
    ended: bool,
    consumed: Arc<AtomicU64>,
}

/// A channel of pieces. `consumed` counts the bytes that were read.
pub(super) fn pieces(consumed: Arc<AtomicU64>) -> (PieceSender, PieceReader) {
    let (sender, receiver) = sync_channel(DEPTH);
    (
        PieceSender { pieces: sender },
        PieceReader { pieces: receiver, current: Bytes::new(), ended: false, consumed },
    )
}

impl BufRead for PieceReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.recv() {
                Ok(Piece::Bytes(bytes)) => self.current = bytes,
                Ok(Piece::End) => self.ended = true,
                Err(_) => {
                    let text = "the blob did not come to its end";
                    return Err(io::Error::new(io::ErrorKind::ConnectionAborted, text));
                }
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, amount: usize) {
        self.current.advance(amount);
        self.consumed.fetch_add(amount as u64, Ordering::Relaxed);
    }
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(buffer.len());
        buffer[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}

/// How a stream is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    /// Seen from the first bytes, as docker and containerd do: labels on layers are wrong too often.
    pub(crate) fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A skippable frame (zstd:chunked begins with one) is 0x184d2a50 to 5f.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

/// A stream of unpacked bytes.
pub(crate) type Unpacked<'a> = Box<dyn Read + Send + 'a>;

/// The unpacked bytes of `source`, whatever way it is packed.
pub(crate) fn unpacked<'a>(mut source: impl BufRead + Send + 'a) -> io::Result<(Packing, Unpacked<'a>)> {
    let mut head = [0; 4];
    let mut length = 0;
    while length < head.len() {
        let read = source.read(&mut head[length..])?;
        if read == 0 {
            break;
        }
        length += read;
    }
    let packing = Packing::of(&head[..length]);
    let whole = Read::chain(Read::take(Cursor::new(head), length as u64), source);
    let reader: Unpacked<'a> = match packing {
        Packing::Plain => Box::new(whole),
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(whole)?),
    };
    Ok((packing, reader))
}

/// Stops a stream that unpacks to out of all proportion.
#[derive(Debug)]
pub(crate) struct Proportionate<R> {
    inner: R,
    packed: Arc<AtomicU64>,
    unpacked: u64,
    floor: u64,
}

/// A layer grows out of all proportion.
#[derive(Debug, thiserror::Error)]
#[error("more than {MAX_RATIO} times as large unpacked as packed, like a decompression bomb")]
pub(super) struct Disproportionate;

impl<R> Proportionate<R> {
    /// `packed` counts the bytes that went in.
    pub(crate) fn new(inner: R, packed: Arc<AtomicU64>) -> Self {
        Self { inner, packed, unpacked: 0, floor: RATIO_FLOOR }
    }
}

impl<R: Read> Read for Proportionate<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.unpacked += read as u64;
        if self.unpacked > self.floor && self.unpacked / MAX_RATIO > self.packed.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, Disproportionate));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read_all(bytes: &[u8], piece: usize) -> io::Result<(Packing, Vec<u8>)> {
        let (sender, reader) = pieces(Arc::default());
        let owned: Vec<Bytes> = bytes.chunks(piece).map(Bytes::copy_from_slice).collect();
        let feeding = std::thread::spawn(move || {
            for bytes in owned {
                if sender.send(bytes).is_err() {
                    return;
                }
            }
            sender.end();
        });
        let result = unpacked(reader).and_then(|(packing, mut reader)| {
            let mut out = Vec::new();
            reader.read_to_end(&mut out).map(|_| (packing, out))
        });
        feeding.join().unwrap();
        result
    }

    #[test]
    fn unpacks_by_what_it_sees() {
        let text: Vec<u8> = (0..10_000u32).flat_map(u32::to_le_bytes).collect();
        let zstd = zstd::encode_all(&text[..], 1).unwrap();
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9], &zstd[..]].concat();
        let two_members = [gzip(&text[..1000]), gzip(&text[1000..])].concat();
        for piece in [1, 3, 4096, usize::MAX] {
            let check = |packed: &[u8], packing, plain: &[u8]| {
                let (found, bytes) = read_all(packed, piece).unwrap();
                assert_eq!(found, packing);
                assert!(bytes == plain, "{packing:?} in pieces of {piece}");
            };
            check(&text, Packing::Plain, &text);
            check(&gzip(&text), Packing::Gzip, &text);
            check(&two_members, Packing::Gzip, &text);
            check(&zstd, Packing::Zstd, &text);
            check(&skippable, Packing::Zstd, &text);
            check(&[zstd.clone(), zstd.clone()].concat(), Packing::Zstd, &[&text[..], &text[..]].concat());
            check(b"", Packing::Plain, b"");
            check(b"ab", Packing::Plain, b"ab");
        }
    }

    #[test]
    fn fails_on_what_is_broken() {
        let packed = gzip(&[7; 100_000]);
        assert!(read_all(&packed[..packed.len() / 2], 100).is_err(), "truncated gzip");
        assert!(read_all(&[&packed[..], b"garbage"].concat(), 100).is_err(), "garbage after gzip");
        let zstd = zstd::encode_all(&[7; 100_000][..], 1).unwrap();
        assert!(read_all(&zstd[..zstd.len() - 2], 100).is_err(), "truncated zstd");

        let (sender, mut reader) = pieces(Arc::default());
        sender.send(Bytes::from_static(b"abc")).unwrap();
        drop(sender);
        let mut out = Vec::new();
        let error = reader.read_to_end(&mut out).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted, "a stream without an end has none");
        assert_eq!(out, b"abc");
    }

    #[test]
    fn stops_bombs() {
        let check = |packed: u64, floor: u64, passes: bool| {
            let mut reader = Proportionate {
                inner: io::repeat(0).take(1 << 20),
                packed: Arc::new(AtomicU64::new(packed)),
                unpacked: 0,
                floor,
            };
            assert_eq!(io::copy(&mut reader, &mut io::sink()).is_ok(), passes, "{packed} {floor}");
        };
        check(1, 1 << 20, true);
        check(1, 1 << 19, false);
        check(4200, 0, true);
        check(4100, 0, false);
    }
}
