//! A registry that lies: serves one image over HTTP on loopback, in one chosen way wrong.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use anyhow::Result;
use rootfs_fixtures::Image;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Layer bytes that have another digest.
    WrongDigest,
    /// A layer longer than its descriptor says.
    WrongSize,
    /// The connection ends in the middle of a layer, every time.
    Truncated,
    /// A redirect to itself.
    RedirectLoop,
    /// A redirect to a file of the host.
    RedirectToFile,
    /// This status for everything.
    Status(u16),
    /// A manifest without end.
    EndlessManifest,
    /// A manifest that is no JSON.
    Garbage,
    /// The first two answers of each path are 500, then all is well.
    Flaky,
    /// The first answer is 429 with Retry-After, then all is well.
    Throttled,
    /// Each connection for a layer ends after a third of what was asked for; ranges are honoured.
    CutButResumable,
}

/// Serves until dropped.
#[derive(Debug)]
pub struct Liar {
    address: String,
    stop: Arc<AtomicBool>,
}

impl Liar {
    pub fn start(image: &Image, lie: Lie) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let stop = Arc::new(AtomicBool::new(false));
        let server = Arc::new(Server {
            image: Content::of(image),
            lie,
            asked: AtomicU32::new(0),
            stop: Arc::clone(&stop),
        });
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if server.stop.load(Ordering::Relaxed) {
                    return;
                }
                let server = Arc::clone(&server);
                thread::spawn(move || server.converse(&stream));
            }
        });
        Ok(Self { address, stop })
    }

    /// A reference to the image it serves.
    pub fn reference(&self) -> String {
        format!("{}/liar/image:1", self.address)
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the listener so that it sees the flag.
        let _ = TcpStream::connect(&self.address);
    }
}

#[derive(Debug)]
struct Content {
    manifest: Vec<u8>,
    manifest_type: &'static str,
    config: (String, Vec<u8>),
    layers: Vec<(String, Vec<u8>)>,
}

impl Content {
    fn of(image: &Image) -> Self {
        Self {
            manifest: image.manifest.clone(),
            manifest_type: image.flavour.manifest_type(),
            config: (image.id(), image.config.clone()),
            layers: image.layer_blobs().map(|blob| (blob.digest.to_owned(), blob.bytes.to_vec())).collect(),
        }
    }
}

#[derive(Debug)]
struct Server {
    image: Content,
    lie: Lie,
    asked: AtomicU32,
    stop: Arc<AtomicBool>,
}

/// A request's line and the start of its range.
#[derive(Debug)]
struct Request {
    method: String,
    path: String,
    range_start: Option<usize>,
}

impl Server {
    fn converse(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(request) = read_request(&mut reader) {
            if self.answer(stream, &request).is_err() {
                return;
            }
        }
    }

    fn answer(&self, stream: &TcpStream, request: &Request) -> std::io::Result<()> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        match self.lie {
            Lie::Status(status) => {
                return plain(
                    stream,
                    status,
                    "",
                    b"{\"errors\":[{\"code\":\"X\",\"message\":\"a reason\"}]}",
                );
            }
            Lie::Throttled if asked == 0 => return plain(stream, 429, "Retry-After: 1\r\n", b""),
            Lie::Flaky if asked < 2 => return plain(stream, 500, "", b""),
            Lie::RedirectLoop if request.path.contains("/blobs/") => {
                return plain(stream, 307, &format!("Location: {}\r\n", request.path), b"");
            }
            Lie::RedirectToFile if request.path.contains("/blobs/") => {
                return plain(stream, 307, "Location: file:///etc/passwd\r\n", b"");
            }
            _ => {}
        }
        if request.path == "/v2/" {
            return plain(stream, 200, "", b"{}");
        }
        if request.path.contains("/manifests/") {
            return self.manifest(stream, request);
        }
        if request.path.ends_with(&self.image.config.0) {
            return plain(stream, 200, "", &self.image.config.1);
        }
        let layer = self.image.layers.iter().find(|(digest, _)| request.path.ends_with(digest.as_str()));
        let Some((_, bytes)) = layer else { return plain(stream, 404, "", b"{}") };
        match self.lie {
            Lie::WrongDigest => {
                let mut wrong = bytes.clone();
                let middle = wrong.len() / 2;
                wrong[middle] ^= 0xff;
                plain(stream, 200, "", &wrong)
            }
            Lie::WrongSize => plain(stream, 200, "", &[bytes.as_slice(), b"more than was promised"].concat()),
            Lie::Truncated => cut(stream, 200, bytes, bytes.len() / 2),
            Lie::CutButResumable => {
                let start = request.range_start.unwrap_or(0);
                let rest = &bytes[start.min(bytes.len())..];
                let status = if request.range_start.is_some() { 206 } else { 200 };
                let third = (bytes.len() / 3).max(1);
                if rest.len() <= third {
                    plain_range(stream, status, rest, start, bytes.len())
                } else {
                    cut_range(stream, status, rest, third, start, bytes.len())
                }
            }
            _ => plain(stream, 200, "", bytes),
        }
    }

    fn manifest(&self, mut stream: &TcpStream, request: &Request) -> std::io::Result<()> {
        let kind = format!("Content-Type: {}\r\n", self.image.manifest_type);
        match self.lie {
            Lie::Garbage => plain(stream, 200, &kind, b"{ this is no manifest"),
            Lie::EndlessManifest if request.method == "GET" => {
                write!(stream, "HTTP/1.1 200 OK\r\n{kind}Transfer-Encoding: chunked\r\n\r\n")?;
                let chunk = [b' '; 1 << 16];
                for _ in 0..1024 {
                    write!(stream, "{:x}\r\n", chunk.len())?;
                    stream.write_all(&chunk)?;
                    stream.write_all(b"\r\n")?;
                }
                stream.write_all(b"0\r\n\r\n")
            }
            _ if request.method == "HEAD" => {
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\n{kind}Content-Length: {}\r\n\r\n",
                    self.image.manifest.len()
                )
            }
            _ => plain(stream, 200, &kind, &self.image.manifest),
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_ascii_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut range_start = None;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            return Some(Request { method, path, range_start });
        }
        if let Some(range) = header.strip_prefix("range: bytes=") {
            range_start = range.split('-').next().and_then(|start| start.parse().ok());
        }
    }
}

fn plain(mut stream: &TcpStream, status: u16, headers: &str, body: &[u8]) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n", body.len())?;
    stream.write_all(body)
}

fn cut(mut stream: &TcpStream, status: u16, body: &[u8], after: usize) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len())?;
    stream.write_all(&body[..after])?;
    stream.shutdown(std::net::Shutdown::Both)?;
    Err(std::io::ErrorKind::ConnectionAborted.into())
}

fn plain_range(
    stream: &TcpStream,
    status: u16,
    body: &[u8],
    start: usize,
    total: usize,
) -> std::io::Result<()> {
    let range = format!("Content-Range: bytes {start}-{}/{total}\r\n", total.saturating_sub(1));
    plain(stream, status, &range, body)
}

fn cut_range(
    mut stream: &TcpStream,
    status: u16,
    body: &[u8],
    after: usize,
    start: usize,
    total: usize,
) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Range: bytes {start}-{}/{total}\r\nContent-Length: {}\r\n\r\n",
        total.saturating_sub(1),
        body.len()
    )?;
    stream.write_all(&body[..after])?;
    stream.shutdown(std::net::Shutdown::Both)?;
    Err(std::io::ErrorKind::ConnectionAborted.into())
}
