//! Filters of the list of images, by docker's words.

use ross_api::v1::{Filter, ImageSummary};
use ross_engine::model::Timestamp;
use ross_image::Image;
use ross_types::ImageRef;
use tonic::Status;

use super::image::tags;
use crate::status::invalid;

/// Filters, checked. Alternatives in each list; a list that is empty says nothing.
#[derive(Debug, Default)]
pub struct ImageFilters {
    references: Vec<String>,
    dangling: Vec<bool>,
    labels: Vec<(String, Option<String>)>,
    before: Vec<Timestamp>,
    since: Vec<Timestamp>,
}

impl ImageFilters {
    /// Reads filters as typed; `images` are those that `before` and `since` may name.
    pub fn parse(filters: &[Filter], images: &[Image]) -> Result<Self, Status> {
        let mut parsed = Self::default();
        for Filter { key, values } in filters {
            for value in values {
                parsed.add(key, value, images)?;
            }
        }
        Ok(parsed)
    }

    fn add(&mut self, key: &str, value: &str, images: &[Image]) -> Result<(), Status> {
        match key {
            "reference" => self.references.push(value.to_owned()),
            "dangling" => self.dangling.push(match value {
                "true" | "1" => true,
                "false" | "0" => false,
                _ => {
                    return Err(invalid("filter `dangling`", format!("`{value}` is neither true nor false")));
                }
            }),
            "label" => self.labels.push(match value.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (value.to_owned(), None),
            }),
            "before" => self.before.push(made(key, value, images)?),
            "since" => self.since.push(made(key, value, images)?),
            _ => {
                let reason = format!("`{key}` is none of before, dangling, label, reference, since");
                return Err(invalid("filter", reason));
            }
        }
        Ok(())
    }

    /// Leaves an image that was asked for by name only the names that were asked for.
    pub fn keep_names(&self, summary: &mut ImageSummary) {
        summary.repo_tags.retain(|tag| self.asks_for(tag));
        let digest_of_kept = |digest: &String| {
            let repository = digest.split_once('@').map_or(digest.as_str(), |(repository, _)| repository);
            summary
                .repo_tags
                .iter()
                .any(|tag| tag.rsplit_once(':').is_some_and(|(name, _)| name == repository))
                || self.asks_for(digest)
        };
        summary.repo_digests.retain(digest_of_kept);
    }

    fn asks_for(&self, name: &str) -> bool {
        self.references.is_empty() || self.references.iter().any(|pattern| names(pattern, name))
    }

    /// Whether all of them hold for `image`.
    pub fn accept(&self, image: &Image) -> bool {
        let tags = tags(image);
        let labels = &image.config.config.labels;
        let made = creation(image);
        let label = |(name, value): &(String, Option<String>)| {
            labels.get(name).is_some_and(|have| value.as_ref().is_none_or(|want| want == have))
        };
        (self.references.is_empty() || tags.iter().any(|tag| self.asks_for(tag)))
            && (self.dangling.is_empty() || self.dangling.contains(&tags.is_empty()))
            && self.labels.iter().all(label)
            && (self.before.is_empty()
                || self.before.iter().any(|limit| made.is_some_and(|made| made < *limit)))
            && (self.since.is_empty()
                || self.since.iter().any(|limit| made.is_some_and(|made| made > *limit)))
    }
}

fn creation(image: &Image) -> Option<Timestamp> {
    image.record.created.as_ref().and_then(|text| Timestamp::parse(text))
}

/// When the image that a filter names was made.
fn made(key: &str, value: &str, images: &[Image]) -> Result<Timestamp, Status> {
    let field = format!("filter `{key}`");
    let name = value.parse::<ImageRef>().ok();
    let hex = value.strip_prefix("sha256:").unwrap_or(value);
    let image = images.iter().find(|image| {
        name.as_ref().is_some_and(|name| image.record.references.contains(name))
            || (hex.len() >= 4 && image.record.id.hex().starts_with(hex))
    });
    let image = image.ok_or_else(|| invalid(&field, format!("no image `{value}`")))?;
    creation(image).ok_or_else(|| invalid(&field, format!("image `{value}` does not say when it was made")))
}

/// Whether a pattern names a tag: with a tag, without one, or the repository's last part; `*` and `?` match
/// anything but a slash.
fn names(pattern: &str, tag: &str) -> bool {
    let repository = tag.rsplit_once(':').map_or(tag, |(repository, _)| repository);
    glob(pattern.as_bytes(), tag.as_bytes()) || glob(pattern.as_bytes(), repository.as_bytes())
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), Some((first, tail))) => {
            glob(rest, text) || (*first != b'/' && glob(pattern, tail))
        }
        (Some((b'*', rest)), None) => glob(rest, text),
        (Some((b'?', rest)), Some((first, tail))) => *first != b'/' && glob(rest, tail),
        (Some((want, rest)), Some((have, tail))) => want == have && glob(rest, tail),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern: &str, tag: &str, expected: bool| {
            assert_eq!(names(pattern, tag), expected, "{pattern} {tag}")
        };
        check("alpine", "alpine:3", true);
        check("alpine:3", "alpine:3", true);
        check("alpine:4", "alpine:3", false);
        check("alp*", "alpine:3", true);
        check("*", "127.0.0.1:5000/a:1", false);
        check("*/*", "127.0.0.1:5000/a:1", true);
        check("127.0.0.1:5000/?", "127.0.0.1:5000/a:1", true);
        check("alpin", "alpine:3", false);
    }

    #[test]
    fn unknown_words_are_refused() {
        let check = |key: &str, value: &str, part: &str| {
            let filter = Filter { key: key.to_owned(), values: vec![value.to_owned()] };
            let status = ImageFilters::parse(&[filter], &[]).expect_err(part);
            assert!(status.message().contains(part), "{}", status.message());
        };
        check("colour", "red", "colour");
        check("dangling", "maybe", "maybe");
        check("before", "alpine", "alpine");
    }
}
