//! The list of images, and the results of a search.

use jiff::Timestamp;
use ross_api::v1::{ImageSummary, search_images_response};

use super::table::{shorten, table};
use super::units::{ago, decimal_size};

const NONE: &str = "<none>";
const SHORT_ID: usize = 12;
const DESCRIPTION_LENGTH: usize = 45;

/// What a list of images shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Columns {
    /// Ids in full.
    pub whole: bool,
    /// Digests of manifests, too.
    pub digests: bool,
}

/// The table of `images`: a row for each name of each image.
pub fn list(images: &[ImageSummary], columns: Columns, now: Timestamp) -> String {
    let header: &[&str] = if columns.digests {
        &["REPOSITORY", "TAG", "DIGEST", "IMAGE ID", "CREATED", "SIZE"]
    } else {
        &["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]
    };
    let mut rows = Vec::new();
    for image in images {
        for name in names(image) {
            let mut row = vec![name.repository, name.tag];
            if columns.digests {
                row.push(name.digest);
            }
            row.push(id(&image.id, columns.whole).to_owned());
            row.push(ago(image.created.as_ref(), now));
            row.push(decimal_size(image.size_bytes));
            rows.push(row);
        }
    }
    table(header, &rows)
}

/// How many rows an image has.
pub fn row_count(image: &ImageSummary) -> usize {
    names(image).len()
}

/// An id, in full or as people know it.
pub fn id(id: &str, whole: bool) -> &str {
    if whole {
        return id;
    }
    let hex = id.split_once(':').map_or(id, |(_, hex)| hex);
    hex.get(..SHORT_ID).unwrap_or(hex)
}

struct Name {
    repository: String,
    tag: String,
    digest: String,
}

fn names(image: &ImageSummary) -> Vec<Name> {
    let digest_of = |repository: &str| {
        let same =
            |reference: &&String| reference.split_once('@').is_some_and(|(name, _)| name == repository);
        let reference = image.repo_digests.iter().find(same);
        reference
            .and_then(|reference| reference.split_once('@'))
            .map_or(NONE, |(_, digest)| digest)
            .to_owned()
    };
    let mut names: Vec<Name> = Vec::new();
    for reference in &image.repo_tags {
        let (repository, tag) = reference.rsplit_once(':').unwrap_or((reference, NONE));
        names.push(Name {
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            digest: digest_of(repository),
        });
    }
    for reference in &image.repo_digests {
        let Some((repository, digest)) = reference.split_once('@') else { continue };
        if !names.iter().any(|name| name.repository == repository) {
            names.push(Name {
                repository: repository.to_owned(),
                tag: NONE.to_owned(),
                digest: digest.to_owned(),
            });
        }
    }
    if names.is_empty() {
        names.push(Name { repository: NONE.to_owned(), tag: NONE.to_owned(), digest: NONE.to_owned() });
    }
    names
}

/// The table of `search`.
pub fn results(results: &[search_images_response::Result], whole: bool) -> String {
    let rows: Vec<Vec<String>> = results
        .iter()
        .map(|result| {
            let description = result.description.replace('\n', " ");
            vec![
                result.name.clone(),
                if whole { description } else { shorten(&description, DESCRIPTION_LENGTH) },
                result.stars.to_string(),
                if result.official { "[OK]".to_owned() } else { String::new() },
            ]
        })
        .collect();
    table(&["NAME", "DESCRIPTION", "STARS", "OFFICIAL"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let image = |tags: &[&str], digests: &[&str]| ImageSummary {
            id: format!("sha256:{}", "ab".repeat(32)),
            repo_tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            repo_digests: digests.iter().map(|digest| (*digest).to_owned()).collect(),
            created: Some(prost_types::Timestamp { seconds: now.as_second() - 90_000 * 2, nanos: 0 }),
            size_bytes: 7_050_000,
            ..ImageSummary::default()
        };
        let images = [
            image(&["alpine:3", "127.0.0.1:5000/a:b"], &["alpine@sha256:1"]),
            image(&[], &["only@sha256:2"]),
            image(&[], &[]),
        ];
        assert_eq!(
            list(&images, Columns::default(), now),
            "REPOSITORY         TAG      IMAGE ID       CREATED      SIZE\n\
             alpine             3        abababababab   2 days ago   7.05MB\n\
             127.0.0.1:5000/a   b        abababababab   2 days ago   7.05MB\n\
             only               <none>   abababababab   2 days ago   7.05MB\n\
             <none>             <none>   abababababab   2 days ago   7.05MB\n"
        );
        let digests = list(&images, Columns { whole: true, digests: true }, now);
        assert!(digests.contains("sha256:1") && digests.contains("sha256:abab"), "{digests}");
        assert_eq!(images.iter().map(row_count).sum::<usize>(), 4);
    }
}
