//! Reading: bytes to a checked [`Spec`], and where in the document an error is.

use std::fmt::Write as _;

use serde::de::DeserializeOwned;

use super::{LinuxResources, Process, Spec};

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct InvalidSpec {
    /// JSON path of the value, such as `linux.namespaces[2].type`.
    pub path: String,
    /// What is wrong, as a lower-case fragment.
    pub reason: String,
}

impl InvalidSpec {
    pub(crate) fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into() }
    }
}

impl Spec {
    /// Parses `config.json` and checks it.
    ///
    /// # Errors
    /// When it is no JSON, has a value of a wrong type, or contradicts itself.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidSpec> {
        let mut spec: Self = parse(bytes)?;
        spec.read_as_its_version();
        spec.check()?;
        Ok(spec)
    }

    /// Says what a field meant in the version of the specification that the configuration names.
    fn read_as_its_version(&mut self) {
        let minor = self.oci_version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
        let resources = self.linux.as_mut().and_then(|linux| linux.resources.as_mut());
        // Before 1.3 zero, which Go writes for nothing, was no limit; podman up to 5.3 writes it for `--pids-limit -1`.
        if minor.is_some_and(|minor| minor < 3)
            && let Some(pids) = resources.and_then(|resources| resources.pids.as_mut())
            && pids.limit == Some(0)
        {
            pids.limit = Some(-1);
        }
    }
}

impl Process {
    /// Parses the process of an exec (`--process FILE`) and checks it.
    ///
    /// # Errors
    /// As [`Spec::parse`].
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidSpec> {
        let process: Self = parse(bytes)?;
        process.check("process")?;
        Ok(process)
    }
}

impl LinuxResources {
    /// Parses the resources of an update.
    ///
    /// # Errors
    /// As [`Spec::parse`].
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidSpec> {
        parse(bytes)
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, InvalidSpec> {
    serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        let reason = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]);
        let offset = offset_of(bytes, error.line(), error.column());
        let path = if error.is_data() { path_at(bytes, offset) } else { String::new() };
        if path.is_empty() {
            InvalidSpec::new(format!("line {} column {}", error.line(), error.column()), reason)
        } else {
            InvalidSpec::new(path, reason)
        }
    })
}

/// The offset just behind the byte at this line and column, both counted from 1.
fn offset_of(bytes: &[u8], line: usize, column: usize) -> usize {
    let start = bytes.split_inclusive(|&byte| byte == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len);
    (start.sum::<usize>() + column).min(bytes.len())
}

enum Level {
    Object { key: String, key_next: bool },
    Array { index: usize },
}

/// The path of the innermost value that begins before `end` of a document that is valid up to there.
fn path_at(bytes: &[u8], end: usize) -> String {
    let mut levels: Vec<Level> = Vec::new();
    let mut rest = bytes[..end].iter().enumerate();
    while let Some((at, byte)) = rest.next() {
        match byte {
            b'{' => levels.push(Level::Object { key: String::new(), key_next: true }),
            b'[' => levels.push(Level::Array { index: 0 }),
            // What ends with the last byte is what the error is about.
            b'}' | b']' if at + 1 < end => {
                levels.pop();
            }
            b',' => match levels.last_mut() {
                Some(Level::Object { key_next, .. }) => *key_next = true,
                Some(Level::Array { index }) => *index += 1,
                None => {}
            },
            b'"' => {
                let mut escaped = false;
                let mut stop = end;
                for (at, &byte) in rest.by_ref() {
                    match byte {
                        b'"' if !escaped => {
                            stop = at;
                            break;
                        }
                        _ => escaped = byte == b'\\' && !escaped,
                    }
                }
                if let Some(Level::Object { key, key_next }) = levels.last_mut()
                    && *key_next
                {
                    *key = String::from_utf8_lossy(&bytes[at + 1..stop]).into_owned();
                    *key_next = false;
                }
            }
            _ => {}
        }
    }
    let mut path = String::new();
    for level in &levels {
        match level {
            Level::Object { key, .. } if key.is_empty() => {}
            Level::Object { key, .. } if path.is_empty() => path.push_str(key),
            Level::Object { key, .. } => {
                path.push('.');
                path.push_str(key);
            }
            Level::Array { index } => {
                let _ = write!(path, "[{index}]");
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_path() {
        let check = |json: &str, path: &str, reason: &str| {
            let error = Spec::parse(json.as_bytes()).unwrap_err();
            assert_eq!(error.path, path, "{json}: {error}");
            assert!(error.reason.contains(reason), "{json}: {error}");
        };
        check(r#"{"ociVersion": 1}"#, "ociVersion", "expected a string");
        check(r#"{"process":{"args":["a",{}]}}"#, "process.args[1]", "expected a string");
        check(
            r#"{"linux":{"namespaces":[{"type":"pid"},{"type":"nose"}]}}"#,
            "linux.namespaces[1].type",
            "nose",
        );
        check(r#"{"process":{"user":{"uid":-1}}}"#, "process.user.uid", "invalid value");
        check(r#"{"a\"b":[{"c":1}],"root":{"readonly":"yes"}}"#, "root.readonly", "expected a boolean");
        check("{\"root\":\n{\"path\":\n3}}", "root.path", "expected a string");
        check("{", "line 1 column 1", "EOF");
        check("7", "line 1 column 1", "expected");
    }

    #[test]
    fn no_processes_by_version() {
        let check = |version: &str, limit: i64| {
            let resources = r#""linux":{"namespaces":[{"type":"mount"}],"resources":{"pids":{"limit":0}}}"#;
            let process = r#""process":{"args":["a"],"cwd":"/"},"root":{"path":"r"}"#;
            let json = format!(r#"{{"ociVersion":"{version}",{process},{resources}}}"#);
            let spec = Spec::parse(json.as_bytes()).unwrap();
            let pids = spec.linux.unwrap().resources.unwrap().pids.unwrap();
            assert_eq!(pids.limit, Some(limit), "{version}");
        };
        check("1.0.2-dev", -1);
        check("1.2.1", -1);
        check("1.3.0", 0);
        check("1.10.0+dev", 0);
    }

    #[test]
    fn ignores_unknown_properties_and_null() {
        let json = br#"{"ociVersion":"1.3.0+dev","x":{"y":[1]},"root":{"path":"r"},"mounts":null,
            "process":{"args":["a"],"cwd":"/","env":null,"commandLine":"z","user":null},
            "linux":{"namespaces":[{"type":"mount"}]}}"#;
        let spec = Spec::parse(json).unwrap();
        assert!(spec.mounts.is_empty());
        let again = serde_json::to_vec(&spec).unwrap();
        assert_eq!(Spec::parse(&again).unwrap(), spec);
    }
}
