//! An OCI layout in a directory, packed into an archive while it is read.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The documents of a layout; docker's is there where an archive of docker was unpacked.
const DOCUMENTS: [&str; 3] = ["oci-layout", "index.json", "manifest.json"];

/// That `dir` is a layout.
pub fn check(dir: &Path) -> io::Result<()> {
    if dir.join("index.json").is_file() {
        return Ok(());
    }
    let reason = "it is a directory and no OCI layout: it has no index.json";
    Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
}

/// Writes the layout in `dir` as a tar archive: its documents and blobs, and nothing else that is there.
pub fn pack(dir: &Path, writer: impl Write) -> io::Result<()> {
    let mut builder = tar::Builder::new(writer);
    for name in DOCUMENTS {
        let path = dir.join(name);
        if path.is_file() {
            builder.append_path_with_name(&path, name)?;
        }
    }
    for algorithm in entries(&dir.join("blobs"))? {
        for blob in entries(&algorithm)? {
            if let (Ok(name), true) = (blob.strip_prefix(dir), blob.is_file()) {
                builder.append_path_with_name(&blob, name)?;
            }
        }
    }
    builder.into_inner()?.flush()
}

/// What is in a directory, in order.
fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let entries: io::Result<Vec<PathBuf>> = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect();
    let mut entries = entries?;
    entries.sort();
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn packs_a_layout_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        assert!(check(root).unwrap_err().to_string().contains("no index.json"));
        fs::create_dir_all(root.join("blobs/sha256/deep")).unwrap();
        for (name, content) in [
            ("index.json", "{}"),
            ("oci-layout", "x"),
            ("secret", "s"),
            ("blobs/sha256/b", "2"),
            ("blobs/sha256/a", "1"),
        ] {
            fs::write(root.join(name), content).unwrap();
        }
        check(root).unwrap();
        let mut packed = Vec::new();
        pack(root, &mut packed).unwrap();
        let mut seen = Vec::new();
        for entry in tar::Archive::new(&packed[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            seen.push((entry.path().unwrap().to_string_lossy().into_owned(), content));
        }
        let shown: Vec<(&str, &str)> =
            seen.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
        assert_eq!(
            shown,
            [("oci-layout", "x"), ("index.json", "{}"), ("blobs/sha256/a", "1"), ("blobs/sha256/b", "2")]
        );
    }
}
