//! The address of a daemon.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::args::DEFAULT_HOST;
use crate::failure::Failure;

/// A Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(PathBuf);

impl Host {
    /// What was typed, else what the environment says (empty is nothing), else the usual.
    pub fn choose(typed: Option<&str>, environment: Option<OsString>) -> Result<Self, Failure> {
        let environment = environment.filter(|value| !value.is_empty());
        match (typed, environment) {
            (Some(text), _) => Self::parse_as("--host", text),
            (None, Some(text)) => Self::parse_as("ROSS_HOST", &text.to_string_lossy()),
            (None, None) => Self::parse(DEFAULT_HOST),
        }
    }

    /// `unix:///PATH`
    pub fn parse(text: &str) -> Result<Self, Failure> {
        Self::parse_as("--host", text)
    }

    /// The same, with `what` as the name of what has it.
    fn parse_as(what: &str, text: &str) -> Result<Self, Failure> {
        if text.starts_with("tcp://") || text.starts_with("http://") || text.starts_with("https://") {
            return Err(Failure::Usage(format!(
                "{what} `{text}`: ross talks to its daemon over a Unix socket only; TCP comes with mutual TLS"
            )));
        }
        let path = text.strip_prefix("unix://").map(Path::new).filter(|path| path.is_absolute());
        match path {
            Some(path) => Ok(Self(path.to_owned())),
            None => Err(Failure::Usage(format!("{what} `{text}`: expected unix:///PATH"))),
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
        let chosen = |typed: Option<&str>, environment: Option<&str>| {
            Host::choose(typed, environment.map(OsString::from)).map(|host| host.path().display().to_string())
        };
        assert_eq!(chosen(Some("unix:///a"), Some("unix:///b")).unwrap(), "/a");
        assert_eq!(chosen(None, Some("unix:///b")).unwrap(), "/b");
        assert_eq!(chosen(None, Some("")).unwrap(), "/run/ross/ross.sock");
        assert_eq!(chosen(None, None).unwrap(), "/run/ross/ross.sock");
        assert!(chosen(None, Some("b")).unwrap_err().to_string().starts_with("ROSS_HOST `b`: expected"));
    }
}
