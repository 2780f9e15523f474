//! Names in archives, made into paths under the layer's root.
//!
//! A path is components joined by single slashes, without one at either end; the root is the empty path. A leading
//! slash means the layer's root, as it does to Docker; a `..` is refused wherever it stands.

use super::EntryFlaw;

const COMPONENT_MAX: usize = 255;
pub(super) const PATH_MAX: usize = 4095;

/// Cleans a name.
pub(super) fn clean(name: &[u8]) -> Result<Vec<u8>, EntryFlaw> {
    if name.is_empty() {
        return Err(EntryFlaw::EmptyName);
    }
    if name.contains(&0) {
        return Err(EntryFlaw::ZeroInName);
    }
    let mut path = Vec::with_capacity(name.len());
    for component in name.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => continue,
            b".." => return Err(EntryFlaw::ParentInName),
            _ if component.len() > COMPONENT_MAX => return Err(EntryFlaw::ComponentTooLong),
            _ => {}
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(component);
    }
    if path.len() > PATH_MAX { Err(EntryFlaw::NameTooLong) } else { Ok(path) }
}

/// A path's parent and last component; none for the root.
pub(super) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.is_empty() {
        return None;
    }
    Some(match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    })
}

/// The path of `name` in `parent`.
pub(super) fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(parent.len() + 1 + name.len());
    path.extend_from_slice(parent);
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// Whether `path` lies strictly below `ancestor`.
pub(super) fn is_below(path: &[u8], ancestor: &[u8]) -> bool {
    if ancestor.is_empty() {
        return !path.is_empty();
    }
    path.strip_prefix(ancestor).is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// The components of a path.
pub(super) fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|component| !component.is_empty())
}

/// What a name that starts with `.wh.` asks for (OCI image specification, `layer.md`).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whiteout<'a> {
    /// Hide this name of the layers below.
    Of(&'a [u8]),
    /// Hide all that the layers below have in this directory.
    Opaque,
    /// Bookkeeping of AUFS; of no meaning.
    Aufs,
}

/// Reads a last component as a whiteout.
pub(super) fn whiteout(name: &[u8]) -> Result<Option<Whiteout<'_>>, EntryFlaw> {
    let Some(of) = name.strip_prefix(b".wh.") else { return Ok(None) };
    match of {
        b".wh..opq" => Ok(Some(Whiteout::Opaque)),
        _ if of.starts_with(b".wh.") => Ok(Some(Whiteout::Aufs)),
        b"" | b"." | b".." => Err(EntryFlaw::Whiteout),
        _ => Ok(Some(Whiteout::Of(of))),
    }
}

/// A name as it is shown to people: printable, whatever bytes it has.
pub(super) fn show(name: &[u8]) -> String {
    const SHOWN: usize = 256;
    let mut text = String::from_utf8_lossy(&name[..name.len().min(SHOWN)]).escape_debug().to_string();
    if name.len() > SHOWN {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans() {
        let check = |name: &[u8], expect: Result<&[u8], EntryFlaw>| {
            assert_eq!(clean(name), expect.map(<[u8]>::to_vec), "{}", name.escape_ascii());
        };
        check(b"a/b", Ok(b"a/b"));
        check(b"./a//b/", Ok(b"a/b"));
        check(b"/etc/passwd", Ok(b"etc/passwd"));
        check(b"./", Ok(b""));
        check(b"/", Ok(b""));
        check(b"a/..b/...", Ok(b"a/..b/..."));
        check(b"", Err(EntryFlaw::EmptyName));
        check(b"../a", Err(EntryFlaw::ParentInName));
        check(b"a/../b", Err(EntryFlaw::ParentInName));
        check(b"a/..", Err(EntryFlaw::ParentInName));
        check(b"a\0b", Err(EntryFlaw::ZeroInName));
        check(&[b'x'; 255], Ok(&[b'x'; 255]));
        check(&[b'x'; 256], Err(EntryFlaw::ComponentTooLong));
        check(&b"x/".repeat(2048), Ok(&b"x/".repeat(2048)[..4095]));
        check(&b"xx/".repeat(2048), Err(EntryFlaw::NameTooLong));
    }

    #[test]
    fn whiteouts() {
        let check = |name: &[u8], expect| assert_eq!(whiteout(name), expect, "{}", name.escape_ascii());
        check(b"a", Ok(None));
        check(b".whx", Ok(None));
        check(b".wh.a", Ok(Some(Whiteout::Of(b"a"))));
        check(b".wh..a", Ok(Some(Whiteout::Of(b".a"))));
        check(b".wh..wh..opq", Ok(Some(Whiteout::Opaque)));
        check(b".wh..wh.plnk", Ok(Some(Whiteout::Aufs)));
        for bad in [&b".wh."[..], b".wh..", b".wh..."] {
            check(bad, Err(EntryFlaw::Whiteout));
        }
    }
}
