//! Which images the names of a save mean, and which names they have in the archive, by Docker's rules.

use ross_types::{Digest, ImageRef};

use crate::error::Error;
use crate::record::ImageRecord;
use crate::store::{Named, find};

/// An image and the names it is saved under, none for one named by id or digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) id: Digest,
    pub(super) names: Vec<ImageRef>,
}

/// The images that `names` mean, each once, in the order they are named first.
pub(super) fn choose(records: &[ImageRecord], names: &[String]) -> Result<Vec<Choice>, Error> {
    let mut choices: Vec<Choice> = Vec::new();
    for name in names {
        for choice in meant(records, name)? {
            match choices.iter_mut().find(|known| known.id == choice.id) {
                Some(known) => known.names.extend(choice.names),
                None => choices.push(choice),
            }
        }
    }
    for choice in &mut choices {
        choice.names.sort();
        choice.names.dedup();
    }
    Ok(choices)
}

/// A name without a tag means all tags of its repository.
fn meant(records: &[ImageRecord], name: &str) -> Result<Vec<Choice>, Error> {
    if let Some(repository) = repository_alone(name) {
        let familiar = repository.familiar_name();
        let same = |own: &&ImageRef| own.digest().is_none() && own.familiar_name() == familiar;
        let tagged = records.iter().map(|record| Choice {
            id: record.id.clone(),
            names: record.references.iter().filter(same).cloned().collect(),
        });
        let tagged: Vec<Choice> = tagged.filter(|choice| !choice.names.is_empty()).collect();
        if !tagged.is_empty() {
            return Ok(tagged);
        }
    }
    let (record, named) = find(records.to_vec(), name)?;
    let names = match named {
        Named::Reference(reference) if reference.digest().is_none() => vec![reference],
        _ => Vec::new(),
    };
    Ok(vec![Choice { id: record.id, names }])
}

/// The reference that `name` is, when it has neither a tag nor a digest.
fn repository_alone(name: &str) -> Option<ImageRef> {
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    if name[last..].contains([':', '@']) { None } else { name.parse().ok() }
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
    fn chooses() {
        let digest = format!("sha256:{}", "ee".repeat(32));
        let pinned = format!("app@{digest}");
        let records = [
            record("aa", &["app:1", "app:2", &pinned, "other:1"]),
            record("ab", &["app:3"]),
            record("cc", &[]),
        ];
        let check = |names: &[&str], expected: &[(&str, &[&str])]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let chosen = choose(&records, &names).unwrap();
            let shown: Vec<(String, Vec<String>)> = chosen
                .iter()
                .map(|choice| {
                    let names = choice.names.iter().map(ImageRef::familiar).collect();
                    (choice.id.hex()[..2].to_owned(), names)
                })
                .collect();
            let expected: Vec<(String, Vec<String>)> = expected
                .iter()
                .map(|(id, names)| ((*id).to_owned(), names.iter().map(|n| (*n).to_owned()).collect()))
                .collect();
            assert_eq!(shown, expected, "{names:?}");
        };
        check(&["app:1"], &[("aa", &["app:1"])]);
        check(&["app"], &[("aa", &["app:1", "app:2"]), ("ab", &["app:3"])]);
        check(&["app:2", "app:1", "app:2"], &[("aa", &["app:1", "app:2"])]);
        check(&["app:3", "app:1", "other"], &[("ab", &["app:3"]), ("aa", &["app:1", "other:1"])]);
        check(&["cc"], &[("cc", &[])]);
        check(&[&pinned], &[("aa", &[])]);
        check(&["aa0", "other:1"], &[("aa", &["other:1"])]);
        let fails = |name: &str| choose(&records, &["app:1".into(), name.into()]).unwrap_err().to_string();
        assert!(fails("app:9").contains("no such image: app:9"));
        assert!(fails("nope").contains("no such image: nope"));
        assert!(fails("a").contains("ambiguous"));
    }
}
