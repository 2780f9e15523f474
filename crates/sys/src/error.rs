//! A failed kernel operation as people need to see it: the call, its arguments, the path.

use std::fmt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// A system call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SysError {
    /// Name of the call, such as `open_tree`.
    pub call: &'static str,
    /// Its other arguments, where they tell something.
    pub args: String,
    /// The path it was about, or the one behind the descriptor it was about.
    pub path: Option<PathBuf>,
    /// What the kernel said.
    pub errno: Errno,
}

impl SysError {
    /// A call about nothing in particular.
    #[must_use]
    pub fn new(call: &'static str, errno: Errno) -> Self {
        Self { call, args: String::new(), path: None, errno }
    }

    /// A call about a path.
    #[must_use]
    pub fn on(call: &'static str, path: impl AsRef<Path>, errno: Errno) -> Self {
        Self { path: Some(path.as_ref().to_owned()), ..Self::new(call, errno) }
    }

    /// The same with arguments.
    #[must_use]
    pub fn with(mut self, args: impl Into<String>) -> Self {
        self.args = args.into();
        self
    }
}

impl fmt::Display for SysError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.call)?;
        if let Some(path) = &self.path {
            write!(out, " {}", path.display())?;
        }
        if !self.args.is_empty() {
            write!(out, " ({})", self.args)?;
        }
        write!(out, ": {}", describe(self.errno))
    }
}

impl std::error::Error for SysError {}

/// The C library's sentence for an errno, in lower case as Unix programs print it. A call that is not there is one of a
/// newer kernel, or is kept away by a filter that does not know it.
#[must_use]
pub fn describe(errno: Errno) -> String {
    if errno == Errno::NOSYS {
        return "function not implemented (ross needs Linux 6.1, and all its calls of a filter around it)"
            .to_owned();
    }
    let text = std::io::Error::from(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// An error with those of its sources that it does not quote, as one line.
#[must_use]
pub fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let source = error.downcast_ref().map_or_else(|| error.to_string(), |errno| describe(*errno));
        if !text.contains(&source) {
            text.push_str(": ");
            text.push_str(&source);
        }
        next = error.source();
    }
    text
}

/// The errno the C library keeps for this thread.
pub(crate) fn last_errno() -> Errno {
    // std reads errno without allocating.
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_well() {
        let check = |error: SysError, text: &str| assert_eq!(error.to_string(), text);
        check(SysError::new("clone3", Errno::NOSPC), "clone3: no space left on device");
        check(
            SysError::on("open", "/x", Errno::NOENT).with("O_PATH"),
            "open /x (O_PATH): no such file or directory",
        );
    }
}
