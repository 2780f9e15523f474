//! Failures inside an unpack, before the layer and the entry are known by name.

use ross_types::DiffId;
use rustix::io::Errno;

use super::{ArchiveFlaw, EntryFlaw, LayerError, name};

/// What went wrong with the entry in hand.
#[derive(Debug)]
pub(super) enum Fault {
    Archive(ArchiveFlaw),
    Entry(EntryFlaw),
    Limit { limit: u64, of: &'static str },
    Kernel { action: &'static str, errno: Errno },
}

pub(super) type Result<T> = std::result::Result<T, Fault>;

impl From<EntryFlaw> for Fault {
    fn from(flaw: EntryFlaw) -> Self {
        Self::Entry(flaw)
    }
}

impl From<ArchiveFlaw> for Fault {
    fn from(flaw: ArchiveFlaw) -> Self {
        Self::Archive(flaw)
    }
}

/// Names what a system call was for.
pub(super) trait Doing<T> {
    fn doing(self, action: &'static str) -> Result<T>;
}

impl<T> Doing<T> for rustix::io::Result<T> {
    fn doing(self, action: &'static str) -> Result<T> {
        self.map_err(|errno| Fault::Kernel { action, errno })
    }
}

impl Fault {
    /// The public error, with the layer and the entry named.
    pub(super) fn at(self, layer: &DiffId, entry: &[u8], offset: u64) -> LayerError {
        let (layer, entry) = (layer.clone(), name::show(entry));
        match self {
            Self::Archive(flaw) => LayerError::Archive { layer, offset, flaw },
            Self::Entry(flaw) => LayerError::Entry { layer, entry, flaw },
            Self::Limit { limit, of } => LayerError::Limit { layer, entry, limit, of },
            Self::Kernel { action, errno } => {
                LayerError::Create { layer, entry, action, source: errno.into() }
            }
        }
    }
}
