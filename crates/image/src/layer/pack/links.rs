//! Files with several names: which of them the archive has already.

use std::collections::HashMap;

use super::PackError;

/// Memory for the names of files with several, in bytes.
const MEMORY_MAX: usize = 64 << 20;

/// The first name of each file with several, until its last one was seen.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// By device and inode: the name in the archive, and how many names are still to come.
    first: HashMap<(u64, u64), (Vec<u8>, u64)>,
    memory: usize,
}

impl Links {
    /// The name in the archive that `path` is another one of; none when it is the first, which is remembered.
    pub(super) fn seen(
        &mut self,
        inode: (u64, u64),
        names: u64,
        path: &[u8],
    ) -> Result<Option<Vec<u8>>, PackError> {
        if names < 2 {
            return Ok(None);
        }
        if let Some((first, left)) = self.first.get_mut(&inode) {
            *left -= 1;
            if *left > 0 {
                return Ok(Some(first.clone()));
            }
            let (first, _) = self.first.remove(&inode).unwrap_or_default();
            self.memory -= first.len();
            return Ok(Some(first));
        }
        self.memory += path.len();
        if self.memory > MEMORY_MAX {
            return Err(PackError::limit(path, MEMORY_MAX as u64, "bytes of names of files with several"));
        }
        self.first.insert(inode, (path.to_vec(), names - 1));
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_forgotten_with_the_last() {
        let mut links = Links::default();
        let check = |links: &mut Links, inode, path: &str, first: Option<&str>| {
            let seen = links.seen((1, inode), 3, path.as_bytes()).unwrap();
            assert_eq!(seen.as_deref(), first.map(str::as_bytes), "{path}");
        };
        check(&mut links, 7, "a", None);
        check(&mut links, 8, "b", None);
        check(&mut links, 7, "c", Some("a"));
        check(&mut links, 7, "d", Some("a"));
        check(&mut links, 8, "e", Some("b"));
        assert_eq!((links.first.len(), links.memory), (1, 1));
        assert_eq!(links.seen((1, 9), 1, b"single").unwrap(), None);
        assert_eq!(links.first.len(), 1, "a file with one name is not remembered");
    }
}
