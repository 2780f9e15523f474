//! The address of a daemon.

use std::path::{Path, PathBuf};

use crate::args::DEFAULT_HOST;
use crate::failure::Failure;

/// A Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(PathBuf);

impl Host {
    /// `unix:///PATH`
    pub fn parse(text: &str) -> Result<Self, Failure> {
        if text.starts_with("tcp://") || text.starts_with("http://") || text.starts_with("https://") {
            return Err(Failure::Usage(format!(
                "--host `{text}`: ross talks to its daemon over a Unix socket only; TCP comes with mutual TLS"
            )));
        }
        let path = text.strip_prefix("unix://").map(Path::new).filter(|path| path.is_absolute());
        match path {
            Some(path) => Ok(Self(path.to_owned())),
            None => Err(Failure::Usage(format!("--host `{text}`: expected unix:///PATH"))),
        }
    }

    /// Path of the socket.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// As tonic has it.
    pub fn uri(&self) -> String {
        format!("unix://{}", self.0.display())
    }

    /// Whether this is where a daemon listens that was not told otherwise.
    pub fn is_default(&self) -> bool {
        DEFAULT_HOST.strip_prefix("unix://").is_some_and(|path| Path::new(path) == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        assert!(Host::parse(DEFAULT_HOST).unwrap().is_default());
        let other = Host::parse("unix:///tmp/x.sock").unwrap();
        assert_eq!((other.path(), other.is_default()), (Path::new("/tmp/x.sock"), false));
        for bad in ["", "/run/ross.sock", "unix://relative", "unix:", "unix://", "tcp://1.2.3.4:1", "ssh://x"]
        {
            assert!(Host::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Host::parse("tcp://[::1]:1").unwrap_err().to_string().contains("mutual TLS"));
    }
}
