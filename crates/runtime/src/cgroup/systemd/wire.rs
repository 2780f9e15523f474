//! D-Bus messages, little endian, with the types that systemd's manager takes and gives (D-Bus Specification, "Message
//! Protocol").

/// A value in a variant.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Int32(i32),
    Uint32(u32),
    Int64(i64),
    Uint64(u64),
    Double(f64),
    Text(String),
    Texts(Vec<String>),
    Bytes(Vec<u8>),
    Numbers(Vec<u32>),
}

impl Value {
    fn signature(&self) -> &'static str {
        match self {
            Self::Bool(_) => "b",
            Self::Int32(_) => "i",
            Self::Uint32(_) => "u",
            Self::Int64(_) => "x",
            Self::Uint64(_) => "t",
            Self::Double(_) => "d",
            Self::Text(_) => "s",
            Self::Texts(_) => "as",
            Self::Bytes(_) => "ay",
            Self::Numbers(_) => "au",
        }
    }
}

/// A name and a value: `(sv)`.
pub(super) type Property = (String, Value);

/// Values one behind the other, each at a multiple of its size.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    pub(super) fn number(&mut self, number: u32) {
        self.align(4);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn long(&mut self, bytes: [u8; 8]) {
        self.align(8);
        self.0.extend_from_slice(&bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.number(length(text.len()));
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.0.push(u8::try_from(signature.len()).expect("signatures are short"));
        self.0.extend_from_slice(signature.as_bytes());
        self.0.push(0);
    }

    /// An array of items that begin at multiples of `align`.
    fn array(&mut self, align: usize, items: impl FnOnce(&mut Self)) {
        self.number(0);
        let at = self.0.len();
        self.align(align);
        let start = self.0.len();
        items(self);
        let len = length(self.0.len() - start);
        self.0[at - 4..at].copy_from_slice(&len.to_le_bytes());
    }

    fn variant(&mut self, value: &Value) {
        self.signature(value.signature());
        match value {
            Value::Bool(value) => self.number(u32::from(*value)),
            Value::Int32(value) => self.number(value.cast_unsigned()),
            Value::Uint32(value) => self.number(*value),
            Value::Int64(value) => self.long(value.to_le_bytes()),
            Value::Uint64(value) => self.long(value.to_le_bytes()),
            Value::Double(value) => self.long(value.to_le_bytes()),
            Value::Text(text) => self.text(text),
            Value::Texts(texts) => self.array(4, |all| texts.iter().for_each(|text| all.text(text))),
            Value::Bytes(bytes) => self.array(1, |all| all.0.extend_from_slice(bytes)),
            Value::Numbers(numbers) => self.array(4, |all| numbers.iter().for_each(|n| all.number(*n))),
        }
    }

    /// `a(sv)`.
    pub(super) fn properties(&mut self, properties: &[Property]) {
        self.array(8, |all| {
            for (name, value) in properties {
                all.align(8);
                all.text(name);
                all.variant(value);
            }
        });
    }

    /// `a(sa(sv))` without any.
    pub(super) fn no_units(&mut self) {
        self.array(8, |_| {});
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.number(u32::from(value));
    }
}

fn length(len: usize) -> u32 {
    u32::try_from(len).expect("a message is smaller than 4 GiB")
}

/// A method to call.
#[derive(Debug)]
pub(super) struct Call {
    /// `None` on a connection that leads to systemd alone.
    pub destination: Option<&'static str>,
    pub path: &'static str,
    pub interface: &'static str,
    pub member: &'static str,
    pub signature: &'static str,
    pub body: Writer,
}

/// Kinds of messages.
pub(super) const METHOD_CALL: u8 = 1;
pub(super) const METHOD_RETURN: u8 = 2;
pub(super) const ERROR: u8 = 3;
pub(super) const SIGNAL: u8 = 4;

/// Fields of a header.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// As much as is needed to know the length of a message: up to that of the array of fields.
pub(super) const PREFIX: usize = 16;

/// Longest message that is read: what systemd answers is short.
const LONGEST: usize = 1 << 20;

impl Call {
    pub(super) fn encode(self, serial: u32) -> Vec<u8> {
        let mut message = Writer(vec![b'l', METHOD_CALL, 0, 1]);
        message.number(length(self.body.0.len()));
        message.number(serial);
        let field = |all: &mut Writer, code: u8, kind: &str, text: &str| {
            all.align(8);
            all.0.push(code);
            all.signature(kind);
            match kind {
                "g" => all.signature(text),
                _ => all.text(text),
            }
        };
        message.array(8, |all| {
            field(all, PATH, "o", self.path);
            field(all, INTERFACE, "s", self.interface);
            field(all, MEMBER, "s", self.member);
            if let Some(destination) = self.destination {
                field(all, DESTINATION, "s", destination);
            }
            if !self.signature.is_empty() {
                field(all, SIGNATURE, "g", self.signature);
            }
        });
        message.align(8);
        message.0.extend_from_slice(&self.body.0);
        message.0
    }
}

/// What came, as far as it is looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub kind: u8,
    pub reply_to: Option<u32>,
    pub member: String,
    pub error: String,
    pub signature: String,
    pub body: Vec<u8>,
}

/// The length of the message that begins so; `None` when it is none, or too long to be one.
pub(super) fn whole_length(prefix: [u8; PREFIX]) -> Option<usize> {
    let number = |at: usize| usize::try_from(u32::from_le_bytes(*prefix.get(at..)?.first_chunk()?)).ok();
    let (body, fields) = (number(4)?, number(12)?);
    let fine = prefix[0] == b'l' && body <= LONGEST && fields <= LONGEST;
    fine.then(|| (PREFIX + fields).next_multiple_of(8) + body)
}

impl Message {
    /// Reads a whole message.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let whole = whole_length(*bytes.first_chunk()?)?;
        let fields_len = usize::try_from(u32::from_le_bytes(*bytes.get(12..)?.first_chunk()?)).ok()?;
        let header = bytes.get(..PREFIX + fields_len)?;
        let body = bytes.get(header.len().next_multiple_of(8)..whole)?;
        let mut message = Self { kind: bytes[1], body: body.to_owned(), ..Self::default() };
        let mut fields = Reader { bytes: header, at: PREFIX };
        while fields.at < header.len() {
            fields.align(8);
            let code = fields.byte()?;
            let kind = fields.signature()?;
            match (kind, code) {
                ("u", REPLY_SERIAL) => message.reply_to = Some(fields.number()?),
                ("u", _) => drop(fields.number()?),
                ("g", SIGNATURE) => message.signature = fields.signature()?.to_owned(),
                ("g", _) => drop(fields.signature()?),
                ("s", MEMBER) => message.member = fields.text()?.to_owned(),
                ("s", ERROR_NAME) => message.error = fields.text()?.to_owned(),
                ("s" | "o", _) => drop(fields.text()?),
                _ => return None,
            }
        }
        Some(message)
    }

    pub(super) fn read(&self) -> Reader<'_> {
        Reader { bytes: &self.body, at: 0 }
    }
}

/// Values one behind the other. The start of the bytes is at a multiple of eight.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..)?.get(..len)?;
        self.at += len;
        Some(taken)
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        self.align(4);
        Some(u32::from_le_bytes(*self.take(4)?.first_chunk()?))
    }

    /// A string, or an object path.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        let len = usize::try_from(self.number()?).ok()?;
        let text = self.take(len)?;
        self.byte()?;
        std::str::from_utf8(text).ok()
    }

    fn signature(&mut self) -> Option<&'a str> {
        let len = usize::from(self.byte()?);
        let text = self.take(len)?;
        self.byte()?;
        std::str::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_back() {
        let mut body = Writer::default();
        body.text("unit");
        body.properties(&[
            ("Delegate".to_owned(), Value::Bool(true)),
            ("MemoryMax".to_owned(), Value::Uint64(u64::MAX)),
            ("PIDs".to_owned(), Value::Numbers(vec![7, 8])),
            ("AllowedCPUs".to_owned(), Value::Bytes(vec![3])),
            ("After".to_owned(), Value::Texts(vec!["a".to_owned(), "bc".to_owned()])),
        ]);
        body.no_units();
        let call = Call {
            destination: Some("org.freedesktop.systemd1"),
            path: "/org/freedesktop/systemd1",
            interface: "org.freedesktop.systemd1.Manager",
            member: "StartTransientUnit",
            signature: "sa(sv)a(sa(sv))",
            body,
        };
        let bytes = call.encode(9);
        assert_eq!(whole_length(*bytes.first_chunk().unwrap()), Some(bytes.len()));
        let message = Message::decode(&bytes).unwrap();
        assert_eq!((message.kind, message.member.as_str()), (METHOD_CALL, "StartTransientUnit"));
        assert_eq!(message.signature, "sa(sv)a(sa(sv))");
        let mut reader = message.read();
        assert_eq!(reader.text(), Some("unit"));
        // Length of the array, which begins at a multiple of eight behind it.
        let len = reader.number().unwrap();
        reader.align(8);
        assert!(usize::try_from(len).unwrap() < message.body.len() - reader.at);
        assert_eq!(reader.text(), Some("Delegate"));
        for end in 0..bytes.len() {
            assert_eq!(Message::decode(&bytes[..end]), None, "{end}");
        }
    }

    #[test]
    fn lengths_have_bounds() {
        let mut prefix = [0; PREFIX];
        prefix[0] = b'l';
        assert_eq!(whole_length(prefix), Some(16));
        prefix[4] = 3;
        prefix[12] = 9;
        assert_eq!(whole_length(prefix), Some(32 + 3));
        prefix[7] = 1;
        assert_eq!(whole_length(prefix), None);
        prefix = [0; PREFIX];
        prefix[0] = b'B';
        assert_eq!(whole_length(prefix), None);
    }
}
