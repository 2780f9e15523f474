//! Filters of the list of images, by docker's words.

use ross_api::v1::Filter;
use ross_engine::model::Timestamp;
use ross_image::Image;
use ross_types::ImageRef;
use tonic::Status;

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

    /// The references of `image` that were asked for: all of them where none was named.
    pub fn shown<'a>(&self, image: &'a Image) -> Vec<&'a ImageRef> {
        let asked = |reference: &&ImageRef| {
            self.references.is_empty() || self.references.iter().any(|pattern| names(pattern, reference))
        };
        image.record.references.iter().filter(asked).collect()
    }

    /// Whether all of them hold for `image`.
    pub fn accept(&self, image: &Image) -> bool {
        let labels = &image.config.config.labels;
        let made = creation(image);
        let label = |(name, value): &(String, Option<String>)| {
            labels.get(name).is_some_and(|have| value.as_ref().is_none_or(|want| want == have))
        };
        (self.references.is_empty() || !self.shown(image).is_empty())
            && (self.dangling.is_empty() || self.dangling.contains(&image.record.references.is_empty()))
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

/// Whether a pattern names a reference, as people know it: as a whole, or its repository; `*` and `?` match anything but
/// a slash.
fn names(pattern: &str, reference: &ImageRef) -> bool {
    let whole = reference.familiar();
    glob(pattern.as_bytes(), whole.as_bytes())
        || glob(pattern.as_bytes(), reference.familiar_name().as_bytes())
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
        let digest = format!("sha256:{}", "ab".repeat(32));
        let pinned = format!("alpine@{digest}");
        let check = |pattern: &str, reference: &str, expected: bool| {
            assert_eq!(names(pattern, &reference.parse().unwrap()), expected, "{pattern} {reference}")
        };
        check("alpine", "alpine:3", true);
        check("alpine:3", "alpine:3", true);
        check("alpine:4", "alpine:3", false);
        check("alp*", "alpine:3", true);
        check("*", "127.0.0.1:5000/a:1", false);
        check("*/*", "127.0.0.1:5000/a:1", true);
        check("127.0.0.1:5000/?", "127.0.0.1:5000/a:1", true);
        check("127.0.0.1:5000/a:2", "127.0.0.1:5000/a:1", false);
        check("alpin", "alpine:3", false);
        check("alpine", &pinned, true);
        check(&pinned, &pinned, true);
        check("alpine:3", &pinned, false);
    }

    fn image(references: &[&str]) -> Image {
        let digest = ross_types::Digest::sha256([1; 32]);
        let record = ross_image::ImageRecord {
            id: digest.clone(),
            manifest: digest,
            media_type: String::new(),
            platform: ross_types::Platform::host(),
            layers: Vec::new(),
            size: 0,
            created: None,
            pulled_at: 0,
            references: references.iter().map(|reference| reference.parse().unwrap()).collect(),
        };
        let config = ross_image::ImageConfig::default();
        Image { record, config, raw_config: Vec::new(), damaged: None }
    }

    #[test]
    fn an_image_is_shown_by_the_names_that_were_asked_for() {
        let pinned = format!("used@sha256:{}", "ab".repeat(32));
        let image = image(&["other:2", "used:1", "used:3", &pinned]);
        let check = |pattern: &str, expected: &[&str]| {
            let filter = Filter { key: "reference".to_owned(), values: vec![pattern.to_owned()] };
            let filters = ImageFilters::parse(&[filter], &[]).unwrap();
            let shown: Vec<String> = filters.shown(&image).into_iter().map(ImageRef::familiar).collect();
            assert_eq!(shown, expected, "{pattern}");
            assert_eq!(filters.accept(&image), !expected.is_empty(), "{pattern}");
        };
        check("used:1", &["used:1"]);
        check("used", &["used:1", "used:3", &pinned]);
        check(&pinned, &[&pinned]);
        check("other:*", &["other:2"]);
        check("none", &[]);
        assert_eq!(ImageFilters::default().shown(&image).len(), 4);
        let digests = |name: &str| {
            let names: ImageRef = name.parse().unwrap();
            crate::convert::image::summary(&image, &[&names], 0, 0).repo_digests
        };
        assert_eq!(digests("used:1"), [pinned.as_str()]);
        assert!(digests("other:2").is_empty(), "no registry has a name that was given here");
    }

    #[test]
    fn only_an_image_without_any_name_is_dangling() {
        let check = |references: &[&str], dangling: bool| {
            let filter = Filter { key: "dangling".to_owned(), values: vec!["true".to_owned()] };
            let filters = ImageFilters::parse(&[filter], &[]).unwrap();
            assert_eq!(filters.accept(&image(references)), dangling, "{references:?}");
        };
        check(&[], true);
        check(&["used:1"], false);
        check(&[&format!("used@sha256:{}", "ab".repeat(32))], false);
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
