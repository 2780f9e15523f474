//! Looking for images at a registry: by the search that docker's hub has, or in the catalog of names.
//!
//! Sources: docker's index API (`/v1/search`); the distribution project's `GET /v2/_catalog`, in pages that `Link`
//! leads to (RFC 8288). The catalog is no part of the OCI specification: many registries have neither.

use reqwest::header::LINK;
use reqwest::{Response, StatusCode, Url};
use ross_types::{ErrorKind, ImageRef};
use serde::Deserialize;

use super::client::Request;
use super::source::Access;
use super::{Credentials, Registries, RegistryError, Repository, endpoint};

/// As many results as docker's hub gives at once.
pub(crate) const MAX_RESULTS: usize = 100;

/// A page of results is no longer than this, in bytes.
const MAX_PAGE: u64 = 4 * 1024 * 1024;

/// Names asked for at once, and how often that is done for one search.
const PAGE: usize = 1000;
const MAX_PAGES: usize = 100;

/// What is looked for, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Term {
    registry: String,
    text: String,
}

/// An image that a registry offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchResult {
    /// The name to pull it by.
    pub name: String,
    /// What its owner says of it; empty where the registry knows names alone.
    pub description: String,
    /// How many users have marked it.
    pub stars: u32,
    /// Whether it is one of docker's own.
    pub official: bool,
}

#[derive(Deserialize)]
struct Index {
    results: Vec<IndexEntry>,
}

#[derive(Deserialize)]
struct IndexEntry {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    star_count: u32,
    #[serde(default)]
    is_official: bool,
}

#[derive(Deserialize)]
struct Catalog {
    repositories: Option<Vec<String>>,
}

impl Term {
    /// Reads what was typed: `term`, or `registry/term`, by the rule that tells registries in references.
    ///
    /// # Errors
    /// Why it can be neither.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.contains("://") {
            return Err("a registry is given without a scheme");
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("it has spaces in it");
        }
        let registry = |first: &str| first.contains(['.', ':']) || first == "localhost";
        let (registry, text) = match text.split_once('/') {
            Some((first, rest)) if registry(first) => (first, rest),
            _ => ("docker.io", text),
        };
        if format!("{registry}/x").parse::<ImageRef>().is_err() {
            return Err("the registry is no host name or address with an optional port");
        }
        if !matches!(registry, "docker.io" | "index.docker.io") {
            return Ok(Self { registry: registry.to_owned(), text: text.to_owned() });
        }
        let text = text.strip_prefix("library/").unwrap_or(text);
        if text.is_empty() {
            return Err("it is empty");
        }
        Ok(Self { registry: "docker.io".to_owned(), text: text.to_owned() })
    }
}

impl Registries {
    /// Up to `limit` images that `term` finds.
    pub(crate) async fn search(
        &self,
        term: &Term,
        limit: usize,
        credentials: Option<Credentials>,
    ) -> Result<Vec<SearchResult>, RegistryError> {
        let registry = &term.registry;
        let invalid = || {
            RegistryError::lasting(registry, ErrorKind::InvalidArgument, "the registry has no valid address")
        };
        let base = endpoint::search_url(registry, self.config()).ok_or_else(invalid)?;
        let whole = Repository::whole(self.http(), registry, base, &Access::Catalog, credentials);
        match index(&whole, term, limit).await? {
            Some(found) => Ok(found),
            None if registry == "docker.io" => {
                let text = "docker's hub gives no results of a search now";
                Err(RegistryError::lasting(registry, ErrorKind::Unavailable, text))
            }
            None => catalog(&whole, term, limit).await,
        }
    }
}

/// What docker's search finds; none where the registry has no such search.
async fn index(
    registry: &Repository,
    term: &Term,
    limit: usize,
) -> Result<Option<Vec<SearchResult>>, RegistryError> {
    let object = registry.object("the search");
    let mut url = registry.origin().base().join("v1/search").expect("a path joins a base");
    url.query_pairs_mut().append_pair("q", &term.text).append_pair("n", &limit.to_string());
    let hub = term.registry == "docker.io";
    let others: &[u16] = if hub { &[] } else { &[400, 401, 403, 404, 405, 406, 410, 501] };
    let wanted: Vec<StatusCode> =
        others.iter().chain(&[200]).filter_map(|status| StatusCode::from_u16(*status).ok()).collect();
    let response = registry.insist(&object, &Request::get(url), &wanted).await?;
    if response.status() != StatusCode::OK {
        return Ok(None);
    }
    let bytes = registry.http.read_bounded(&object, response, MAX_PAGE).await?;
    // Some registries answer any path with a page for people.
    let Ok(index) = serde_json::from_slice::<Index>(&bytes) else { return Ok(None) };
    let prefix = if hub { String::new() } else { format!("{}/", term.registry) };
    let found = index.results.into_iter().take(limit).map(|entry| SearchResult {
        name: format!("{prefix}{}", entry.name),
        description: entry.description.unwrap_or_default(),
        stars: entry.star_count,
        official: entry.is_official,
    });
    Ok(Some(found.collect()))
}

/// The names of the catalog that have the term in them.
async fn catalog(
    registry: &Repository,
    term: &Term,
    limit: usize,
) -> Result<Vec<SearchResult>, RegistryError> {
    let object = registry.object("the catalog");
    let cannot = |kind| {
        let text =
            "this registry cannot be searched: it has neither docker's search nor a catalog of its images";
        RegistryError::lasting(&term.registry, kind, text)
    };
    let mut url = registry.origin().base().join("v2/_catalog").expect("a path joins a base");
    url.query_pairs_mut().append_pair("n", &PAGE.to_string());
    let mut next = Some(url);
    let mut found = Vec::new();
    for _ in 0..MAX_PAGES {
        let Some(url) = next.take() else { return Ok(found) };
        let wanted = [StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
        let response = registry.insist(&object, &Request::get(url), &wanted).await?;
        if response.status() != StatusCode::OK {
            return Err(cannot(ErrorKind::Unimplemented));
        }
        next = next_page(registry, &response);
        let bytes = registry.http.read_bounded(&object, response, MAX_PAGE).await?;
        let Ok(page) = serde_json::from_slice::<Catalog>(&bytes) else {
            return Err(cannot(ErrorKind::Unimplemented));
        };
        for name in page.repositories.unwrap_or_default() {
            if name.contains(&term.text) {
                let name = format!("{}/{name}", term.registry);
                found.push(SearchResult { name, description: String::new(), stars: 0, official: false });
                if found.len() == limit {
                    return Ok(found);
                }
            }
        }
    }
    if found.is_empty() && next.is_some() {
        let text = format!("none of the first {} names fits; name the image", PAGE * MAX_PAGES);
        return Err(RegistryError::lasting(&object, ErrorKind::ResourceExhausted, text));
    }
    Ok(found)
}

/// Where `Link` says that the next page is. Only the registry itself is asked for it.
fn next_page(registry: &Repository, response: &Response) -> Option<Url> {
    let link = response.headers().get(LINK)?.to_str().ok()?;
    let (target, parameters) = link.strip_prefix('<')?.split_once('>')?;
    let is_next = parameters.replace([' ', '"'], "").contains("rel=next");
    let url = response.url().join(target).ok()?;
    (is_next && endpoint::same_origin(registry.origin().base(), &url)).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let term = Term::parse(text).ok();
            let expected = expected
                .map(|(registry, text)| Term { registry: registry.to_owned(), text: text.to_owned() });
            assert_eq!(term, expected, "{text}");
        };
        check("alpine", Some(("docker.io", "alpine")));
        check("library/alpine", Some(("docker.io", "alpine")));
        check("team/app", Some(("docker.io", "team/app")));
        check("docker.io/alpine", Some(("docker.io", "alpine")));
        check("index.docker.io/library/alpine", Some(("docker.io", "alpine")));
        check("localhost:5000/app", Some(("localhost:5000", "app")));
        check("localhost/a/b", Some(("localhost", "a/b")));
        check("quay.io/", Some(("quay.io", "")));
        check("", None);
        check("docker.io/", None);
        check("https://quay.io/app", None);
        check("two words", None);
        check("me@host.example/app", None);
        check("host.example:99999/app", None);
    }
}
