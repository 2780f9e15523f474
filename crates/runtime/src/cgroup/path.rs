//! Where a cgroup is in the hierarchy.

use std::fmt;

use super::CgroupError;

/// The absolute path of a cgroup below the cgroup2 mount, such as `/ross/web`: no `.` or `..`, no empty component,
/// and not the root.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CgroupPath(String);

/// The cgroup above those of containers that name none of their own. It is ross's: made with the first of them, and
/// removed with the last.
pub const DEFAULT_PARENT: &str = "ross";

impl CgroupPath {
    /// Checks a path. A relative one is taken from the root; repeated slashes are one.
    pub fn new(path: &str) -> Result<Self, CgroupError> {
        let invalid = |reason| CgroupError::InvalidPath { path: path.to_owned(), reason };
        let mut checked = String::with_capacity(path.len() + 1);
        for component in path.split('/').filter(|component| !component.is_empty()) {
            match component {
                "." | ".." => return Err(invalid("has a component that is not a name")),
                _ if component.len() > 255 => return Err(invalid("has a component longer than 255 bytes")),
                _ if component.bytes().any(|byte| byte.is_ascii_control()) => {
                    return Err(invalid("has a control character"));
                }
                _ => {}
            }
            checked.push('/');
            checked.push_str(component);
        }
        if checked.is_empty() {
            return Err(invalid("is the root"));
        }
        if checked.len() > 4000 {
            return Err(invalid("is longer than 4000 bytes"));
        }
        Ok(Self(checked))
    }

    /// The cgroup of a container: `linux.cgroupsPath`, or `/ross/<id>` where that is empty.
    pub fn of_container(cgroups_path: &str, id: &str) -> Result<Self, CgroupError> {
        if cgroups_path.is_empty() {
            return Self::new(&format!("/{DEFAULT_PARENT}/{id}"));
        }
        Self::new(cgroups_path)
    }

    /// A cgroup inside this one; `..` cannot lead out of it.
    pub fn child(&self, name: &str) -> Result<Self, CgroupError> {
        Self::new(&format!("{}/{}", self.0, Self::new(name)?.0))
    }

    /// The path, starting with a slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path without its first slash, for use below a directory.
    pub(super) fn relative(&self) -> &str {
        &self.0[1..]
    }

    /// Where its directory is (empty for the root), and its name there.
    pub(super) fn split(&self) -> (&str, &str) {
        self.relative().rsplit_once('/').unwrap_or(("", self.relative()))
    }
}

impl fmt::Display for CgroupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_checked() {
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(CgroupPath::new(path).ok().as_ref().map(CgroupPath::as_str), expected, "{path}");
        };
        check("/ross/web", Some("/ross/web"));
        check("ross//web/", Some("/ross/web"));
        check("a..b", Some("/a..b"));
        check("", None);
        check("/", None);
        check("/a/../b", None);
        check("..", None);
        check("/a/./b", None);
        check("/a\n/b", None);
        check(&"x".repeat(256), None);
        check(&"/abc".repeat(1100), None);
        assert_eq!(CgroupPath::of_container("", "id").unwrap().as_str(), "/ross/id");
        assert_eq!(CgroupPath::of_container("/a/b", "id").unwrap().as_str(), "/a/b");
        assert!(CgroupPath::of_container("", "../etc").is_err());
        let parent = CgroupPath::new("/a").unwrap();
        assert_eq!(parent.child("b/c").unwrap().as_str(), "/a/b/c");
        assert!(parent.child("../b").is_err());
        assert_eq!(CgroupPath::new("/a/b/c").unwrap().split(), ("a/b", "c"));
        assert_eq!(parent.split(), ("", "a"));
    }
}
