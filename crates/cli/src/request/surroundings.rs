//! Where a command line was typed: all that its meaning depends on besides itself.

use std::io;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Looks a variable of the environment up.
type Variable = Box<dyn Fn(&str) -> Option<String>>;

/// Reads the text of a file.
type Read = Box<dyn Fn(&Path) -> io::Result<String>>;

/// What the meaning of a command line depends on besides itself.
pub struct Surroundings {
    /// The working directory.
    pub directory: PathBuf,
    /// A variable of the environment.
    pub variable: Variable,
    /// The text of a file.
    pub read: Read,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Surroundings").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self {
            directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            variable: Box::new(|key| std::env::var(key).ok()),
            read: Box::new(|path| std::fs::read_to_string(path)),
        }
    }

    /// The text of a file that a flag names.
    pub(super) fn file(&self, what: &'static str, path: &str) -> Result<String, Failure> {
        let path = self.directory.join(path);
        (self.read)(&path).map_err(|source| Failure::File { what, path, source })
    }
}

#[cfg(test)]
pub mod testing {
    //! Surroundings made up for tests.

    use super::*;

    /// `/here`, with `HOME` set and a handful of files.
    pub fn surroundings() -> Surroundings {
        Surroundings {
            directory: PathBuf::from("/here"),
            variable: Box::new(|key| (key == "HOME").then(|| "/root".to_owned())),
            read: Box::new(|path| match path.to_str() {
                Some("/here/vars") => Ok("# vars\nA=file\nB=file\nHOME\n".to_owned()),
                Some("/here/bad-vars") => Ok("A B=1\n".to_owned()),
                Some("/here/labels") => Ok("team=blue\n".to_owned()),
                Some("/here/profile.json") => Ok("{\"defaultAction\":\"SCMP_ACT_ALLOW\"}".to_owned()),
                Some("/here/broken.json") => Ok("{".to_owned()),
                _ => Err(io::Error::from(io::ErrorKind::NotFound)),
            }),
        }
    }
}
