//! One member of a tar archive, and its bytes.

/// When fixtures were made, as far as their files tell: 2023-11-14T22:13:20Z.
pub const MTIME: i64 = 1_700_000_000;

/// A member of an archive. Made by the functions named after its type, changed by the methods.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name, as written.
    pub name: Vec<u8>,
    /// The type flag.
    pub kind: u8,
    /// What a link leads to.
    pub link: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Seconds and nanoseconds.
    pub mtime: (i64, u32),
    /// Content.
    pub data: Vec<u8>,
    /// Extended attributes.
    pub xattrs: Vec<(String, Vec<u8>)>,
    /// Device number.
    pub device: (u32, u32),
    /// Offsets and lengths of the runs that `data` is made of, and the file's size.
    pub sparse: Option<(Vec<(u64, u64)>, u64)>,
    /// Extended header records beside those the fields ask for.
    pub records: Vec<(String, Vec<u8>)>,
    /// Long names by GNU's `L` and `K` members instead of an extended header.
    pub gnu: bool,
}

impl Entry {
    fn new(name: impl AsRef<[u8]>, kind: u8, mode: u32) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            kind,
            link: Vec::new(),
            mode,
            uid: 0,
            gid: 0,
            mtime: (MTIME, 0),
            data: Vec::new(),
            xattrs: Vec::new(),
            device: (0, 0),
            sparse: None,
            records: Vec::new(),
            gnu: false,
        }
    }

    /// A regular file, mode 0644.
    pub fn file(name: impl AsRef<[u8]>, data: impl Into<Vec<u8>>) -> Self {
        Self { data: data.into(), ..Self::new(name, b'0', 0o644) }
    }

    /// A directory, mode 0755.
    pub fn dir(name: impl AsRef<[u8]>) -> Self {
        Self::new(name, b'5', 0o755)
    }

    /// A symbolic link.
    pub fn symlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self { link: target.as_ref().to_vec(), ..Self::new(name, b'2', 0o777) }
    }

    /// A hard link.
    pub fn hard_link(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self { link: target.as_ref().to_vec(), ..Self::new(name, b'1', 0o644) }
    }

    /// A character device.
    pub fn char_device(name: impl AsRef<[u8]>, major: u32, minor: u32) -> Self {
        Self { device: (major, minor), ..Self::new(name, b'3', 0o600) }
    }

    /// A block device.
    pub fn block_device(name: impl AsRef<[u8]>, major: u32, minor: u32) -> Self {
        Self { device: (major, minor), ..Self::new(name, b'4', 0o600) }
    }

    /// A fifo.
    pub fn fifo(name: impl AsRef<[u8]>) -> Self {
        Self::new(name, b'6', 0o644)
    }

    /// A whiteout of the last component of `name`.
    pub fn whiteout(name: &str) -> Self {
        let (dir, file) = name.rsplit_once('/').map_or(("", name), |(dir, file)| (dir, file));
        let slash = if dir.is_empty() { "" } else { "/" };
        Self::file(format!("{dir}{slash}.wh.{file}"), [])
    }

    /// The mark that makes a directory opaque.
    pub fn opaque(dir: &str) -> Self {
        Self::file(format!("{dir}/.wh..wh..opq"), [])
    }

    /// A file of `size` bytes with data only at the given offsets, in GNU's own sparse format.
    pub fn gnu_sparse(name: impl AsRef<[u8]>, runs: &[(u64, &[u8])], size: u64) -> Self {
        let map = runs.iter().map(|(offset, data)| (*offset, data.len() as u64)).collect();
        let data = runs.iter().flat_map(|(_, data)| data.iter().copied()).collect();
        Self { data, sparse: Some((map, size)), ..Self::new(name, b'S', 0o644) }
    }

    /// The same in the sparse format 1.0 of extended headers.
    pub fn pax_sparse(name: impl AsRef<[u8]>, runs: &[(u64, &[u8])], size: u64) -> Self {
        Self { kind: b'0', ..Self::gnu_sparse(name, runs, size) }
    }

    /// The file's content, holes and all.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        let Some((runs, size)) = &self.sparse else { return self.data.clone() };
        let mut content = vec![0; usize::try_from(*size).unwrap_or_default()];
        let mut data = self.data.as_slice();
        for (offset, len) in runs {
            let (offset, len) = (usize::try_from(*offset), usize::try_from(*len));
            let (offset, len) = (offset.unwrap_or_default(), len.unwrap_or_default());
            content[offset..offset + len].copy_from_slice(&data[..len]);
            data = &data[len..];
        }
        content
    }

    /// With these permission bits.
    #[must_use]
    pub fn mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    /// With this owner.
    #[must_use]
    pub fn owner(self, uid: u64, gid: u64) -> Self {
        Self { uid, gid, ..self }
    }

    /// Modified at this time.
    #[must_use]
    pub fn mtime(self, seconds: i64, nanos: u32) -> Self {
        Self { mtime: (seconds, nanos), ..self }
    }

    /// With one more extended attribute.
    #[must_use]
    pub fn xattr(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.xattrs.push((name.into(), value.into()));
        self
    }

    /// With one more extended header record.
    #[must_use]
    pub fn record(mut self, key: &str, value: impl Into<Vec<u8>>) -> Self {
        self.records.push((key.into(), value.into()));
        self
    }

    /// With long names as GNU writes them.
    #[must_use]
    pub fn gnu(self) -> Self {
        Self { gnu: true, ..self }
    }

    /// Its bytes in an archive: extensions, header, data, padding.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.data.len() + 1024);
        let mut records = self.records.clone();
        let mut payload = std::borrow::Cow::from(&self.data);
        if let (b'0', Some((runs, size))) = (self.kind, &self.sparse) {
            records.extend(
                [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")].map(|(k, v)| (k.into(), v.into())),
            );
            records.push(("GNU.sparse.name".into(), self.name.clone()));
            records.push(("GNU.sparse.realsize".into(), size.to_string().into()));
            payload = [sparse_map(runs), self.data.clone()].concat().into();
        }
        for (value, flag, key) in [(&self.name, b'L', "path"), (&self.link, b'K', "linkpath")] {
            if value.len() > 100 && self.gnu {
                out.extend(special(flag, &[value, &b"\0"[..]].concat()));
            } else if value.len() > 100 {
                records.push((key.into(), value.clone()));
            }
        }
        if self.mtime.1 != 0 {
            let (seconds, nanos) = self.mtime;
            records.push(("mtime".into(), format!("{seconds}.{nanos:09}").into()));
        }
        for (name, value) in &self.xattrs {
            records.push((format!("SCHILY.xattr.{name}"), value.clone()));
        }
        if !records.is_empty() {
            let text: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
            out.extend(special(b'x', &text));
        }
        let mut header = self.header(payload.len());
        let old = self.sparse.as_ref().filter(|_| self.kind == b'S');
        let runs = old.map_or(&[][..], |(runs, _)| runs);
        let extended = runs.len() > 4;
        if let Some((runs, size)) = old {
            sparse_runs(&mut header[386..482], runs);
            header[482] = u8::from(extended);
            number(&mut header[483..495], size.cast_signed());
        }
        out.extend(checksummed(header));
        for (index, chunk) in runs.get(4..).unwrap_or_default().chunks(21).enumerate() {
            let mut block = [0; 512];
            sparse_runs(&mut block[..504], chunk);
            block[504] = u8::from(4 + (index + 1) * 21 < runs.len());
            out.extend(block);
        }
        out.extend(&*payload);
        out.resize(out.len().next_multiple_of(512), 0);
        out
    }

    fn header(&self, size: usize) -> [u8; 512] {
        let mut header = [0; 512];
        let cut = |bytes: &[u8]| bytes[..bytes.len().min(100)].to_vec();
        header[..cut(&self.name).len()].copy_from_slice(&cut(&self.name));
        number(&mut header[100..108], i64::from(self.mode));
        number(&mut header[108..116], self.uid.cast_signed());
        number(&mut header[116..124], self.gid.cast_signed());
        number(&mut header[124..136], i64::try_from(size).unwrap_or_default());
        number(&mut header[136..148], self.mtime.0);
        header[156] = self.kind;
        header[157..157 + cut(&self.link).len()].copy_from_slice(&cut(&self.link));
        let magic = if self.gnu || self.kind == b'S' { b"ustar  \0" } else { b"ustar\x0000" };
        header[257..265].copy_from_slice(magic);
        number(&mut header[329..337], i64::from(self.device.0));
        number(&mut header[337..345], i64::from(self.device.1));
        header
    }
}

fn sparse_runs(fields: &mut [u8], runs: &[(u64, u64)]) {
    for ((offset, len), field) in runs.iter().zip(fields.chunks_exact_mut(24)) {
        number(&mut field[..12], offset.cast_signed());
        number(&mut field[12..], len.cast_signed());
    }
}

/// The map of the sparse format 1.0, filled up to whole blocks.
fn sparse_map(runs: &[(u64, u64)]) -> Vec<u8> {
    let mut map = format!("{}\n", runs.len());
    for (offset, len) in runs {
        map += &format!("{offset}\n{len}\n");
    }
    let mut bytes = map.into_bytes();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// A member that describes the next one.
#[must_use]
pub fn special(kind: u8, data: &[u8]) -> Vec<u8> {
    let entry = Entry::new("././@Special", kind, 0o644);
    let mut out = checksummed(entry.header(data.len())).to_vec();
    out.extend(data);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

/// A record of an extended header, its own length first.
#[must_use]
pub fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let body = key.len() + value.len() + 3;
    let mut len = body;
    while len != body + len.to_string().len() {
        len = body + len.to_string().len();
    }
    [format!("{len} {key}=").as_bytes(), value, b"\n"].concat()
}

/// A number field: octal, or base-256 when that does not fit.
pub fn number(field: &mut [u8], value: i64) {
    let digits = format!("{value:0width$o}", width = field.len() - 1);
    if value >= 0 && digits.len() < field.len() {
        field[..digits.len()].copy_from_slice(digits.as_bytes());
        return;
    }
    let fill = if value < 0 { 0xff } else { 0 };
    field.fill(fill);
    let bytes = value.to_be_bytes();
    let skip = bytes.len().saturating_sub(field.len());
    let start = field.len() - (bytes.len() - skip);
    field[start..].copy_from_slice(&bytes[skip..]);
    field[0] |= 0x80;
}

/// The header with its checksum put in.
#[must_use]
pub fn checksummed(mut header: [u8; 512]) -> [u8; 512] {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}
