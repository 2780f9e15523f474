//! A registry that does what a test tells it to, on a loopback address, over plain HTTP or TLS.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::fixture::{TestImage, sha256};

/// A connection, encrypted or not.
trait Wire: Read + Write + Send {
    fn socket(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Wire for StreamOwned<ServerConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
    /// The connection is cut before the end of the body: no answer arrives.
    pub cut: bool,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Its body, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn range_start(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// How a body is sent.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    Whole,
    /// So many bytes, then the connection is closed.
    Cut(usize),
    /// So many bytes, then nothing until the client goes away.
    Stall(usize),
    /// A byte every few milliseconds until the client goes away.
    Drip,
}

#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The `Content-Length` that is announced, where it is not the body's; 0 for none (the end is the end of the
    /// connection).
    pub announced: Option<usize>,
    pub pace: Pace,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), announced: None, pace: Pace::Whole }
    }

    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::status(200) }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }
}

type Hook = Box<dyn FnMut(&Request) -> Option<Reply> + Send>;

/// Of a request whose body is still to come, how many bytes of it are taken before the connection is cut.
type Cutter = Box<dyn FnMut(&Request) -> Option<usize> + Send>;

#[derive(Default)]
struct State {
    blobs: Mutex<HashMap<String, Vec<u8>>>,
    manifests: Mutex<HashMap<String, (String, Vec<u8>)>>,
    hook: Mutex<Option<Hook>>,
    cutter: Mutex<Option<Cutter>>,
    requests: Mutex<Vec<Request>>,
}

/// A running registry. It serves whoever connects until the process ends.
#[derive(Clone)]
pub struct Registry {
    pub address: String,
    state: Arc<State>,
}

impl Registry {
    pub fn start() -> Self {
        Self::start_at("127.0.0.1:0")
    }

    /// At an address that stays what it is over a restart.
    pub fn start_at(address: &str) -> Self {
        Self::start_with(address, |stream| Box::new(stream))
    }

    pub fn start_tls(config: Arc<ServerConfig>) -> Self {
        Self::start_with("127.0.0.1:0", move |stream| {
            let connection = ServerConnection::new(config.clone()).unwrap();
            Box::new(StreamOwned::new(connection, stream))
        })
    }

    fn start_with(address: &str, wire: impl Fn(TcpStream) -> Box<dyn Wire> + Send + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State::default());
        let serving = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = serving.clone();
                stream.set_nodelay(true).unwrap();
                let mut stream = wire(stream);
                // A client that goes away in the middle is what half of the tests are about.
                std::thread::spawn(move || drop(serve(&state, &mut *stream)));
            }
        });
        Self { address, state }
    }

    pub fn with(image: &TestImage) -> Self {
        let registry = Self::start();
        registry.add("latest", image);
        registry
    }

    /// The reference of `app` here.
    pub fn reference(&self, suffix: &str) -> String {
        format!("{}/test/app{suffix}", self.address)
    }

    pub fn add(&self, tag: &str, image: &TestImage) {
        for layer in &image.layers {
            self.add_blob(&layer.blob);
        }
        self.add_blob(&image.config);
        self.add_manifest(tag, image.media_type, &image.manifest);
    }

    pub fn add_blob(&self, bytes: &[u8]) {
        self.state.blobs.lock().unwrap().insert(sha256(bytes).to_string(), bytes.to_vec());
    }

    /// Serves these bytes under this name, also where it is a digest that is not theirs.
    pub fn add_blob_as(&self, name: &str, bytes: &[u8]) {
        self.state.blobs.lock().unwrap().insert(name.to_owned(), bytes.to_vec());
    }

    pub fn add_manifest(&self, tag: &str, media_type: &str, bytes: &[u8]) {
        let mut manifests = self.state.manifests.lock().unwrap();
        for name in [tag.to_owned(), sha256(bytes).to_string()] {
            manifests.insert(name, (media_type.to_owned(), bytes.to_vec()));
        }
    }

    /// Asks `hook` first for each request.
    pub fn hook(&self, hook: impl FnMut(&Request) -> Option<Reply> + Send + 'static) {
        *self.state.hook.lock().unwrap() = Some(Box::new(hook));
    }

    /// Cuts connections while a request comes in.
    pub fn cut(&self, cutter: impl FnMut(&Request) -> Option<usize> + Send + 'static) {
        *self.state.cutter.lock().unwrap() = Some(Box::new(cutter));
    }

    pub fn unhook(&self) {
        *self.state.cutter.lock().unwrap() = None;
        *self.state.hook.lock().unwrap() = None;
    }

    pub fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }

    /// How many requests had this in their path.
    pub fn count(&self, part: &str) -> usize {
        self.requests().iter().filter(|request| request.path.contains(part)).count()
    }

    /// What the registry answers when nothing is wrong.
    pub fn honest(&self, request: &Request) -> Reply {
        honest(&self.state, request)
    }
}

fn honest(state: &State, request: &Request) -> Reply {
    let name = request.path.rsplit('/').next().unwrap_or_default();
    if request.path.contains("/manifests/") {
        return match state.manifests.lock().unwrap().get(name) {
            Some((media_type, bytes)) => Reply::ok(bytes.clone())
                .header("content-type", media_type)
                .header("docker-content-digest", sha256(bytes).to_string()),
            None => Reply {
                body: br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#.to_vec(),
                ..Reply::status(404)
            },
        };
    }
    match state.blobs.lock().unwrap().get(name) {
        Some(bytes) => match request.range_start() {
            Some(start) if start < bytes.len() => Reply { status: 206, ..Reply::ok(&bytes[start..]) }
                .header("content-range", format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len())),
            _ => Reply::ok(bytes.clone()),
        },
        None => Reply::status(404),
    }
}

fn serve(state: &State, stream: &mut dyn Wire) -> io::Result<()> {
    let mut pending = Vec::new();
    while let Some(request) = read_request(state, stream, &mut pending)? {
        state.requests.lock().unwrap().push(request.clone());
        let hooked = state.hook.lock().unwrap().as_mut().and_then(|hook| hook(&request));
        let reply = hooked.unwrap_or_else(|| honest(state, &request));
        if request.cut || !send(stream, &request, &reply)? {
            return Ok(());
        }
    }
    Ok(())
}

fn read_request(state: &State, stream: &mut dyn Wire, pending: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let mut buffer = [0; 65536];
    let end = loop {
        if let Some(end) = pending.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(None);
        }
        pending.extend_from_slice(&buffer[..read]);
    };
    let head = String::from_utf8_lossy(&pending[..end]).into_owned();
    pending.drain(..end + 4);
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, path) =
        (first.next().unwrap_or_default().to_owned(), first.next().unwrap_or_default().to_owned());
    let headers: HashMap<_, _> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut request = Request { method, path, headers, body: Vec::new(), cut: false };
    let taken = state.cutter.lock().unwrap().as_mut().and_then(|cutter| cutter(&request));
    let length = match taken {
        Some(taken) => taken.min(length),
        None => length,
    };
    request.cut = taken.is_some();
    while pending.len() < length {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(None);
        }
        pending.extend_from_slice(&buffer[..read]);
    }
    request.body = pending[..length].to_vec();
    pending.drain(..length);
    Ok(Some(request))
}

/// Says whether the connection can serve another request.
fn send(stream: &mut dyn Wire, request: &Request, reply: &Reply) -> io::Result<bool> {
    let mut head = format!("HTTP/1.1 {} Status\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match reply.announced {
        None => head.push_str(&format!("content-length: {}\r\n", reply.body.len())),
        Some(0) => head.push_str("connection: close\r\n"),
        Some(length) => head.push_str(&format!("content-length: {length}\r\n")),
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if request.method == "HEAD" {
        return Ok(true);
    }
    match reply.pace {
        Pace::Whole => {
            stream.write_all(&reply.body)?;
            return Ok(reply.announced.is_none_or(|length| length == reply.body.len()));
        }
        Pace::Cut(length) => stream.write_all(&reply.body[..length])?,
        Pace::Stall(length) => {
            stream.write_all(&reply.body[..length])?;
            wait_for_end(stream, None)?;
        }
        Pace::Drip => {
            for byte in &reply.body {
                stream.write_all(&[*byte])?;
                if wait_for_end(stream, Some(Duration::from_millis(5)))? {
                    break;
                }
            }
        }
    }
    Ok(false)
}

/// Waits until the client is gone, for no longer than `limit`.
fn wait_for_end(stream: &mut dyn Wire, limit: Option<Duration>) -> io::Result<bool> {
    stream.socket().set_read_timeout(limit)?;
    match stream.read(&mut [0; 16]) {
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            Ok(false)
        }
        _ => Ok(true),
    }
}
