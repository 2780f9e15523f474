//! Choosing an image of an index by platform.

use ross_types::{Digest, ErrorKind, Platform};

use super::ManifestError;
use super::document::{Descriptor, Entry};

/// Indexes in indexes deeper than this are refused.
pub(crate) const MAX_INDEX_DEPTH: usize = 4;

/// Entries that say no platform are looked into only this many at a time.
const MAX_UNKNOWN: usize = 8;

/// The entries of an index worth looking into for `wanted`, best first.
///
/// Entries for the platform come alone where there are any, the same variant first. Otherwise those that do not say
/// what they are for (nested indexes among them). `unknown/unknown` is what build attestations are marked with.
pub(crate) fn choose<'a>(
    index: &Digest,
    entries: &'a [Entry],
    wanted: &Platform,
) -> Result<Vec<&'a Descriptor>, ManifestError> {
    let platform = |entry: &Entry| entry.platform.as_ref().map(|entry| entry.platform());
    let mut fitting: Vec<_> = entries
        .iter()
        .filter_map(|entry| platform(entry).filter(|has| wanted.accepts(has)).map(|has| (has.variant, entry)))
        .collect();
    // Stable: of equals, the first in the index is taken, as other engines do.
    fitting.sort_by_key(|(variant, _)| *variant != wanted.variant);
    if let Some((_, entry)) = fitting.first() {
        return Ok(vec![&entry.descriptor]);
    }
    let unknown: Vec<_> = entries
        .iter()
        .filter(|entry| entry.platform.is_none())
        .map(|entry| &entry.descriptor)
        .take(MAX_UNKNOWN)
        .collect();
    if unknown.is_empty() { Err(none_fits(index, entries, wanted)) } else { Ok(unknown) }
}

/// No entry is for `wanted`: says which platforms there are.
pub(crate) fn none_fits(index: &Digest, entries: &[Entry], wanted: &Platform) -> ManifestError {
    let mut available: Vec<_> = entries
        .iter()
        .filter_map(|entry| entry.platform.as_ref().map(|entry| entry.platform().to_string()))
        .filter(|platform| platform != "unknown/unknown")
        .collect();
    available.dedup();
    available.truncate(20);
    let available = if available.is_empty() { "none".to_owned() } else { available.join(", ") };
    ManifestError::new(
        ErrorKind::NotFound,
        format!(
            "index {index}: no image for {wanted}; available: {}",
            super::document::printable(&available)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::document::{Document, parse};

    fn index(platforms: &[&str]) -> Vec<Entry> {
        let entries: Vec<_> = platforms
            .iter()
            .enumerate()
            .map(|(position, platform)| {
                let mut parts = platform.split('/');
                let mut next = || parts.next().unwrap_or_default();
                let (os, architecture, variant) = (next(), next(), next());
                let platform = match (os, variant) {
                    ("", _) => String::new(),
                    (_, "") => format!(r#","platform":{{"os":"{os}","architecture":"{architecture}"}}"#),
                    _ => format!(
                        r#","platform":{{"os":"{os}","architecture":"{architecture}","variant":"{variant}"}}"#
                    ),
                };
                let digest = format!("sha256:{position:064x}");
                format!(r#"{{"mediaType":"m","digest":"{digest}","size":{position}{platform}}}"#)
            })
            .collect();
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
        let Document::Index(entries) = parse(text.as_bytes(), None).unwrap() else { panic!("no index") };
        entries
    }

    #[test]
    fn chooses() {
        let digest = Digest::sha256([0; 32]);
        let check = |platforms: &[&str], wanted: &str, chosen: Result<&[u64], &str>| {
            let entries = index(platforms);
            let result = choose(&digest, &entries, &wanted.parse().unwrap());
            match (result, chosen) {
                (Ok(descriptors), Ok(positions)) => {
                    assert_eq!(descriptors.iter().map(|entry| entry.size).collect::<Vec<_>>(), positions);
                }
                (Err(error), Err(says)) => assert!(error.to_string().ends_with(says), "{error}"),
                (result, _) => panic!("{platforms:?} for {wanted}: {result:?}"),
            }
        };
        check(&["linux/amd64", "linux/arm64/v8"], "linux/amd64", Ok(&[0]));
        check(&["linux/amd64", "linux/arm64/v8"], "linux/arm64", Ok(&[1]));
        check(&["linux/arm/v5", "linux/arm/v7"], "linux/arm/v7", Ok(&[1]));
        check(&["linux/amd64/v3", "linux/amd64"], "linux/amd64", Ok(&[1]));
        check(&["linux/amd64", "linux/amd64"], "linux/amd64", Ok(&[0]));
        check(
            &["windows/amd64", "linux/arm64", "unknown/unknown"],
            "linux/amd64",
            Err("available: windows/amd64, linux/arm64"),
        );
        check(&["", "linux/arm64", ""], "linux/amd64", Ok(&[0, 2]));
        check(&[], "linux/amd64", Err("available: none"));
    }
}
