//! Writing the archive: members in the order of their names, without times or owners.

use std::fs::File;
use std::io::{self, Read, Write};

use ross_types::Digest;

use crate::content::{BlobStore, ContentError, Hasher};
use crate::error::Error;

/// Bytes of a blob that are read at once.
const PIECE: usize = 256 * 1024;

/// The size of a tar block in bytes.
const BLOCK: usize = 512;

/// A tar archive that is being written.
pub(super) struct Archive<W: Write> {
    builder: tar::Builder<W>,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { builder: tar::Builder::new(writer) }
    }

    fn header(&mut self, name: &str, kind: tar::EntryType, mode: u32, size: u64) -> Result<(), Error> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(size);
        // The content follows by itself.
        self.builder.append_data(&mut header, name, io::empty()).map_err(Error::Write)
    }

    pub(super) fn directory(&mut self, name: &str) -> Result<(), Error> {
        self.header(name, tar::EntryType::Directory, 0o755, 0)
    }

    pub(super) fn document(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.header(name, tar::EntryType::Regular, 0o644, bytes.len() as u64)?;
        self.builder.get_mut().write_all(bytes).map_err(Error::Write)?;
        self.pad(bytes.len() as u64)
    }

    /// A blob of `size` bytes, compared with its digest on the way.
    pub(super) fn blob(
        &mut self,
        name: &str,
        blobs: &BlobStore,
        digest: &Digest,
        size: u64,
    ) -> Result<(), Error> {
        let (file, actual) = blobs.reader(digest)?;
        if actual != size {
            return Err(ContentError::Size { digest: digest.clone(), expected: size, actual }.into());
        }
        self.header(name, tar::EntryType::Regular, 0o644, size)?;
        let path = blobs.path(digest);
        let actual = match copy(file, size, digest, self.builder.get_mut()) {
            Ok(actual) => actual,
            Err(Failed::Read(source)) => {
                return Err(ContentError::File { action: "read", path, source }.into());
            }
            Err(Failed::Write(source)) => return Err(Error::Write(source)),
        };
        if actual != *digest {
            return Err(ContentError::Digest { expected: digest.clone(), actual }.into());
        }
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> Result<(), Error> {
        let rest = usize::try_from(size.next_multiple_of(BLOCK as u64) - size).expect("less than a block");
        self.builder.get_mut().write_all(&[0; BLOCK][..rest]).map_err(Error::Write)
    }

    /// Writes the end of the archive.
    pub(super) fn finish(self) -> Result<(), Error> {
        let mut writer = self.builder.into_inner().map_err(Error::Write)?;
        writer.flush().map_err(Error::Write)
    }
}

enum Failed {
    Read(io::Error),
    Write(io::Error),
}

/// Copies `size` bytes; says which digest they have.
fn copy(mut file: File, size: u64, digest: &Digest, writer: &mut impl Write) -> Result<Digest, Failed> {
    let mut hasher = Hasher::new(digest.algorithm());
    let mut buffer = vec![0; PIECE];
    let mut left = size;
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        file.read_exact(&mut buffer[..wanted]).map_err(Failed::Read)?;
        hasher.update(&buffer[..wanted]);
        writer.write_all(&buffer[..wanted]).map_err(Failed::Write)?;
        left -= wanted as u64;
    }
    Ok(hasher.finish())
}
