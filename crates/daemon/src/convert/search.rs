//! Filters of a search, by docker's words, and its results.

use ross_api::v1::Filter;
use ross_api::v1::search_images_response::Result as Found;
use ross_image::SearchResult;
use tonic::Status;

use crate::status::invalid;

/// As docker has it.
const DEFAULT_LIMIT: u32 = 25;
const MAX_LIMIT: u32 = 100;

/// How many results are asked for.
pub fn limit(limit: u32) -> Result<usize, Status> {
    match limit {
        0 => Ok(DEFAULT_LIMIT as usize),
        1..=MAX_LIMIT => Ok(limit as usize),
        _ => Err(invalid("limit", format!("{limit} is not between 1 and {MAX_LIMIT}"))),
    }
}

/// Which results are wanted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SearchFilters {
    official: Option<bool>,
    stars: u32,
}

impl SearchFilters {
    /// Reads filters as typed.
    pub fn parse(filters: &[Filter]) -> Result<Self, Status> {
        let mut parsed = Self::default();
        for (key, value) in
            filters.iter().flat_map(|filter| filter.values.iter().map(|value| (&filter.key, value)))
        {
            let wrong = |what: &str| invalid(&format!("filter `{key}`"), format!("`{value}` is {what}"));
            match key.as_str() {
                "is-official" => {
                    parsed.official = Some(match value.as_str() {
                        "true" | "1" => true,
                        "false" | "0" => false,
                        _ => return Err(wrong("neither true nor false")),
                    });
                }
                "stars" => {
                    let stars = value.parse().map_err(|_| wrong("no number of stars"))?;
                    parsed.stars = parsed.stars.max(stars);
                }
                _ => return Err(invalid("filter", format!("`{key}` is none of is-official, stars"))),
            }
        }
        Ok(parsed)
    }

    fn accept(&self, found: &SearchResult) -> bool {
        self.official.is_none_or(|official| official == found.official) && found.stars >= self.stars
    }

    /// Those of `found` that are wanted.
    pub fn results(&self, found: Vec<SearchResult>) -> Vec<Found> {
        let wanted = found.into_iter().filter(|found| self.accept(found));
        wanted
            .map(|found| Found {
                name: found.name,
                description: found.description,
                stars: found.stars,
                official: found.official,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        let found = |name: &str, stars: u32, official: bool| SearchResult {
            name: name.to_owned(),
            description: String::new(),
            stars,
            official,
        };
        let all = || vec![found("a", 10, true), found("b", 3, false), found("c", 0, false)];
        let check = |filters: &[(&str, &str)], expected: Option<&[&str]>| {
            let filters: Vec<Filter> = filters
                .iter()
                .map(|(key, value)| Filter { key: (*key).to_owned(), values: vec![(*value).to_owned()] })
                .collect();
            let names = SearchFilters::parse(&filters).map(|filters| {
                filters.results(all()).into_iter().map(|found| found.name).collect::<Vec<_>>()
            });
            match expected {
                Some(expected) => assert_eq!(names.unwrap(), expected, "{filters:?}"),
                None => assert!(names.is_err(), "{filters:?}"),
            }
        };
        check(&[], Some(&["a", "b", "c"]));
        check(&[("is-official", "true")], Some(&["a"]));
        check(&[("is-official", "false")], Some(&["b", "c"]));
        check(&[("stars", "3")], Some(&["a", "b"]));
        check(&[("stars", "3"), ("is-official", "0")], Some(&["b"]));
        check(&[("stars", "many")], None);
        check(&[("is-official", "maybe")], None);
        check(&[("is-automated", "true")], None);
    }

    #[test]
    fn limits() {
        assert_eq!(limit(0).unwrap(), 25);
        assert_eq!((limit(1).unwrap(), limit(100).unwrap()), (1, 100));
        assert!(limit(101).is_err());
    }
}
