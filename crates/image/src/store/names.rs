//! Which image a name means.

use ross_types::{Digest, ImageRef};

use crate::error::Error;
use crate::record::ImageRecord;

/// Fewer digits than this are a name, not the beginning of an id.
const MIN_PREFIX: usize = 1;

/// How an image was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// By its id, or the beginning of it.
    Id,
    /// By this reference.
    Reference(ImageRef),
}

/// The image that `name` means, by Docker's rules: a full id, then a reference, then the first digits of an id.
pub(crate) fn find(mut records: Vec<ImageRecord>, name: &str) -> Result<(ImageRecord, Named), Error> {
    let hex = name.strip_prefix("sha256:").or_else(|| name.strip_prefix("sha512:"));
    if let Some(position) = full_id(name).and_then(|id| records.iter().position(|record| record.id == id)) {
        return Ok((records.swap_remove(position), Named::Id));
    }
    let reference = name.parse::<ImageRef>();
    if let Ok(reference) = &reference
        && hex.is_none()
        && let Some(position) = records.iter().position(|record| leads_to(record, reference))
    {
        return Ok((records.swap_remove(position), Named::Reference(reference.clone())));
    }
    let digits = hex.unwrap_or(name);
    let is_prefix =
        digits.len() >= MIN_PREFIX && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_prefix {
        let mut matching =
            records.iter().enumerate().filter(|(_, record)| record.id.hex().starts_with(digits));
        match (matching.next().map(|(position, _)| position), matching.next()) {
            (Some(position), None) => return Ok((records.swap_remove(position), Named::Id)),
            (Some(_), Some(_)) => return Err(Error::Ambiguous(name.to_owned())),
            (None, _) => return Err(Error::NotFound(name.to_owned())),
        }
    }
    match reference {
        Ok(reference) => Err(Error::NotFound(reference.familiar())),
        Err(_) => Err(Error::InvalidName(name.to_owned())),
    }
}

fn full_id(name: &str) -> Option<Digest> {
    name.parse().or_else(|_| format!("sha256:{name}").parse()).ok()
}

/// A digest in the reference decides, as in docker; the tag beside it is for people. It may be the digest the
/// reference was pulled by, or that of the image's own manifest.
fn leads_to(record: &ImageRecord, reference: &ImageRef) -> bool {
    let Some(digest) = reference.digest() else { return record.references.contains(reference) };
    let same_repository = |other: &ImageRef| {
        other.registry() == reference.registry() && other.repository() == reference.repository()
    };
    record
        .references
        .iter()
        .any(|own| same_repository(own) && (own.digest() == Some(digest) || record.manifest == *digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ross_types::Platform;

    fn record(id: &str, references: &[&str]) -> ImageRecord {
        let id: Digest = format!("sha256:{id:0<64}").parse().unwrap();
        ImageRecord {
            manifest: Digest::sha256([0xee; 32]),
            id,
            media_type: String::new(),
            platform: Platform::host(),
            layers: Vec::new(),
            size: 0,
            created: None,
            pulled_at: 0,
            references: references.iter().map(|reference| reference.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn finds() {
        let index = format!("sha256:{}", "dd".repeat(32));
        let by_digest = format!("quay.io/x/app@{index}");
        let records = || {
            vec![
                record("abc1", &["alpine", "quay.io/x/app:1", &by_digest]),
                record("abc2", &["beef"]),
                record("beef", &["other"]),
            ]
        };
        let check = |name: &str, expected: Result<&str, &str>| match (find(records(), name), expected) {
            (Ok((record, _)), Ok(id)) => assert!(record.id.hex().starts_with(id), "{name}: {record:?}"),
            (Err(error), Err(says)) => assert!(error.to_string().contains(says), "{name}: {error}"),
            (found, _) => panic!("{name}: {found:?}"),
        };
        check("alpine", Ok("abc1"));
        check("docker.io/library/alpine:latest", Ok("abc1"));
        check("alpine:2", Err("no such image: alpine:2"));
        check("abc", Err("ambiguous"));
        check("abc1", Ok("abc1"));
        check("sha256:abc2", Ok("abc2"));
        check(&format!("{:0<64}", "abc2"), Ok("abc2"));
        check(&format!("sha256:{:0<64}", "abc2"), Ok("abc2"));
        check("beef", Ok("abc2"));
        check("bee", Ok("beef"));
        check("sha256:beef", Ok("beef"));
        check(&by_digest, Ok("abc1"));
        check(&format!("quay.io/x/app:1@{index}"), Ok("abc1"));
        check(&format!("quay.io/x/app:9@{index}"), Ok("abc1"));
        check(&format!("quay.io/x/app@sha256:{}", "ee".repeat(32)), Ok("abc1"));
        check(&format!("quay.io/x/other@{index}"), Err("no such image"));
        check("ffff", Err("no such image: ffff"));
        check("", Err("names no image"));
        check("A/B", Err("names no image"));
    }
}
