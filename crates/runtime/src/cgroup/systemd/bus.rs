//! The conversation with systemd: over the system bus, or where there is none over systemd's own socket, which is for root.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};

use super::wire::{Call, ERROR, METHOD_RETURN, Message, PREFIX, SIGNAL, Writer, whole_length};

const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";
const PRIVATE: &str = "/run/systemd/private";

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const DBUS: &str = "org.freedesktop.DBus";

/// How long a conversation may take, whatever else systemd tells meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two attempts to be let in.
const PAUSE: Duration = Duration::from_millis(10);

/// Why a call failed: the name of a D-Bus error, or none when it did not come so far, and words.
#[derive(Debug)]
pub(super) struct CallError {
    pub name: String,
    pub text: String,
}

impl CallError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { name: String::new(), text: text.into() }
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.name.strip_prefix("org.freedesktop.systemd1.") == Some(name)
    }
}

impl From<std::io::Error> for CallError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => {
                Self::new("systemd does not answer")
            }
            _ => Self::new(format!("socket of systemd: {error}")),
        }
    }
}

type Called<T> = Result<T, CallError>;

/// What is left until `deadline`; an error when nothing is.
fn left(deadline: Instant) -> std::io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(std::io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Connects; where too many wait to be let in, tries again until `deadline`.
fn connect(path: &str, deadline: Instant) -> std::io::Result<UnixStream> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    loop {
        match rustix::net::connect(&socket, &address) {
            Err(Errno::AGAIN) => std::thread::sleep(left(deadline)?.min(PAUSE)),
            Err(Errno::INTR) => {}
            result => break result?,
        }
    }
    let socket = UnixStream::from(socket);
    socket.set_nonblocking(false)?;
    Ok(socket)
}

/// A connection.
#[derive(Debug)]
pub(super) struct Bus {
    socket: UnixStream,
    /// When it must be over.
    deadline: Instant,
    serial: u32,
    /// Whether systemd itself is at the other end.
    direct: bool,
    /// What came while an answer was waited for.
    signals: VecDeque<Message>,
}

impl Bus {
    /// Connects, says who this is, and asks to be told of jobs that end.
    pub(super) fn open() -> Called<Self> {
        let deadline = Instant::now() + PATIENCE;
        let (socket, direct) = match connect(SYSTEM_BUS, deadline) {
            Ok(socket) => (socket, false),
            Err(first) => match connect(PRIVATE, deadline) {
                Ok(socket) => (socket, true),
                Err(second) => {
                    return Err(CallError::new(format!(
                        "connect to {SYSTEM_BUS}: {first}; connect to {PRIVATE}: {second}"
                    )));
                }
            },
        };
        let mut bus = Self { socket, deadline, serial: 0, direct, signals: VecDeque::new() };
        bus.authenticate()?;
        if !direct {
            bus.call_dbus("Hello", "", Writer::default())?;
            let mut rule = Writer::default();
            rule.text("type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'");
            bus.call_dbus("AddMatch", "s", rule)?;
        }
        Ok(bus)
    }

    /// SASL, mechanism EXTERNAL: the user id in decimal digits, and those in hexadecimal ones.
    fn authenticate(&mut self) -> Called<()> {
        let uid = rustix::process::geteuid().as_raw().to_string();
        let hex: String = uid.bytes().map(|digit| format!("{digit:02x}")).collect();
        // With the word that ends it, as libsystemd does: systemd does not look at a message that it has read in one go
        // with BEGIN before the next one comes, and none would.
        self.write(format!("\0AUTH EXTERNAL {hex}\r\nBEGIN\r\n").as_bytes())?;
        let mut line = Vec::new();
        // A byte at a time: what follows the line is for others.
        while !line.ends_with(b"\r\n") && line.len() < 512 {
            let mut byte = [0];
            self.read(&mut byte)?;
            line.push(byte[0]);
        }
        if !line.starts_with(b"OK ") {
            let said = String::from_utf8_lossy(&line);
            return Err(CallError::new(format!("the bus refuses user {uid}: {}", said.trim())));
        }
        Ok(())
    }

    fn call_dbus(&mut self, member: &'static str, signature: &'static str, body: Writer) -> Called<Message> {
        let (path, interface) = ("/org/freedesktop/DBus", DBUS);
        self.call(Call { destination: Some(DBUS), path, interface, member, signature, body })
    }

    /// Calls a method of systemd's manager.
    pub(super) fn manager(
        &mut self,
        member: &'static str,
        signature: &'static str,
        body: Writer,
    ) -> Called<Message> {
        let destination = (!self.direct).then_some(SYSTEMD);
        self.call(Call { destination, path: MANAGER_PATH, interface: MANAGER, member, signature, body })
    }

    /// The same, of one that starts a job, and waits until the job is over. Says how it went: `done`, if well.
    pub(super) fn job(
        &mut self,
        member: &'static str,
        signature: &'static str,
        body: Writer,
    ) -> Called<String> {
        let answer = self.manager(member, signature, body)?;
        let job = answer.read().text().ok_or_else(|| CallError::new("the answer names no job"))?.to_owned();
        loop {
            let signal = match self.signals.pop_front() {
                Some(signal) => signal,
                None => self.receive()?,
            };
            if signal.kind != SIGNAL || signal.member != "JobRemoved" || signal.signature != "uoss" {
                continue;
            }
            let mut body = signal.read();
            let (_, path, _, result) = (body.number(), body.text(), body.text(), body.text());
            if path == Some(&job) {
                return Ok(result.unwrap_or("lost").to_owned());
            }
        }
    }

    fn call(&mut self, call: Call) -> Called<Message> {
        self.serial += 1;
        let serial = self.serial;
        self.write(&call.encode(serial))?;
        loop {
            let message = self.receive()?;
            match message.kind {
                METHOD_RETURN if message.reply_to == Some(serial) => return Ok(message),
                ERROR if message.reply_to == Some(serial) => {
                    let text = if message.signature.starts_with('s') { message.read().text() } else { None };
                    let text = text.unwrap_or(&message.error).to_owned();
                    return Err(CallError { name: message.error, text });
                }
                SIGNAL => self.signals.push_back(message),
                _ => {}
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.socket.set_write_timeout(Some(left(self.deadline)?))?;
        self.socket.write_all(bytes)
    }

    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<()> {
        self.socket.set_read_timeout(Some(left(self.deadline)?))?;
        self.socket.read_exact(bytes)
    }

    fn receive(&mut self) -> Called<Message> {
        let mut prefix = [0; PREFIX];
        self.read(&mut prefix)?;
        let wrong = || CallError::new("systemd sends what is no message");
        let mut message = prefix.to_vec();
        message.resize(whole_length(prefix).ok_or_else(wrong)?, 0);
        self.read(&mut message[PREFIX..])?;
        Message::decode(&message).ok_or_else(wrong)
    }
}
