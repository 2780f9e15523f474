//! Searching registries: docker's search, the catalog, and those that have neither.

use ross_image::{Credentials, Error, SearchResult};
use ross_types::ErrorKind;

use crate::fixture::{TestStore, text_of};
use crate::registry::{Registry, Reply, Request};

/// How a registry answers.
type Hook = dyn FnMut(&Request) -> Option<Reply> + Send;

async fn search(registry: &Registry, term: &str, limit: usize) -> Result<Vec<SearchResult>, Error> {
    let test = TestStore::open().await;
    let user = Credentials::Basic { username: "me".into(), password: "secret".into() };
    test.store.search(&format!("{}/{term}", registry.address), limit, Some(user)).await
}

fn json(value: &serde_json::Value) -> Reply {
    Reply::ok(value.to_string()).header("content-type", "application/json")
}

fn names(registry: &Registry, found: &[SearchResult]) -> Vec<String> {
    let own = format!("{}/", registry.address);
    found.iter().map(|found| found.name.strip_prefix(&own).unwrap().to_owned()).collect()
}

/// A catalog of `names`, in pages of two.
fn catalog(names: &'static [&'static str]) -> impl Fn(&Request) -> Option<Reply> {
    move |request| {
        let (path, query) = request.path.split_once('?')?;
        if path != "/v2/_catalog" {
            return Some(Reply::status(404));
        }
        let last = query.split('&').find_map(|pair| pair.strip_prefix("last="));
        let start = last.map_or(0, |last| names.iter().position(|name| *name == last).unwrap() + 1);
        let page: Vec<_> = names.iter().skip(start).take(2).collect();
        let reply = json(&serde_json::json!({"repositories": page}));
        Some(match page.last() {
            Some(last) if start + 2 < names.len() => {
                reply.header("link", format!("</v2/_catalog?n=2&last={last}>; rel=\"next\""))
            }
            _ => reply,
        })
    }
}

#[tokio::test]
async fn by_dockers_search() {
    let registry = Registry::start();
    registry.hook(|request| {
        request.path.starts_with("/v1/search?q=app&n=7").then(|| {
            json(&serde_json::json!({"num_results": 2, "results": [
                {"name": "team/app", "description": "An app", "star_count": 12, "is_official": true, "is_automated": false},
                {"name": "x/app", "description": null},
            ]}))
        })
    });
    let found = search(&registry, "app", 7).await.unwrap();
    let name = |name: &str| format!("{}/{name}", registry.address);
    let first =
        SearchResult { name: name("team/app"), description: "An app".into(), stars: 12, official: true };
    let second = SearchResult { name: name("x/app"), description: String::new(), stars: 0, official: false };
    assert_eq!(found, [first, second]);
    assert_eq!(registry.requests().len(), 1);
}

#[tokio::test]
async fn in_the_catalog() {
    let all: &[&str] = &["app", "base/app", "base/other", "more", "team/application"];
    let check = async |term: &str, limit: usize, expected: &[&str], requests: usize| {
        let registry = Registry::start();
        registry.hook(catalog(all));
        let found = search(&registry, term, limit).await.unwrap();
        assert_eq!(names(&registry, &found), expected, "{term}");
        assert_eq!(registry.count("_catalog"), requests, "{term}");
    };
    check("app", 25, &["app", "base/app", "team/application"], 3).await;
    check("app", 2, &["app", "base/app"], 1).await;
    check("", 25, all, 3).await;
    check("nothing", 25, &[], 3).await;
    // Some answer any path with a page for people.
    let registry = Registry::start();
    let pages = catalog(all);
    registry.hook(move |request| match request.path.starts_with("/v1/") {
        true => Some(Reply::ok("<html>")),
        false => pages(request),
    });
    assert_eq!(search(&registry, "more", 5).await.unwrap().len(), 1);
}

#[tokio::test]
async fn where_a_registry_cannot() {
    let check = async |hook: Box<Hook>, kind: ErrorKind, says: &str| {
        let registry = Registry::start();
        registry.hook(hook);
        let error = search(&registry, "app", 5).await.unwrap_err();
        let text = text_of(&error);
        assert_eq!(error.kind(), kind, "{text}");
        assert!(text.contains(says) && text.contains(&registry.address), "{text:?} should say {says:?}");
        registry
    };
    check(Box::new(|_| Some(Reply::status(404))), ErrorKind::Unimplemented, "cannot be searched").await;
    check(Box::new(|_| Some(Reply::ok("<html>"))), ErrorKind::Unimplemented, "cannot be searched").await;
    let login = check(
        Box::new(|_| Some(Reply::status(401).header("www-authenticate", "Basic realm=\"x\""))),
        ErrorKind::Unauthenticated,
        "refuses these credentials",
    );
    login.await;
    check(Box::new(|_| Some(Reply::status(403))), ErrorKind::PermissionDenied, "ross login").await;
    check(Box::new(|_| Some(Reply::status(500))), ErrorKind::Unavailable, "the registry fails").await;
    // A catalog without end.
    let endless = check(
        Box::new(|request| {
            let page = json(&serde_json::json!({"repositories": ["x"]}));
            let next = page.header("link", "</v2/_catalog?last=x>; rel=\"next\"");
            Some(if request.path.starts_with("/v2/") { next } else { Reply::status(404) })
        }),
        ErrorKind::ResourceExhausted,
        "none of the first",
    )
    .await;
    assert_eq!(endless.count("_catalog"), 100);
    // A next page elsewhere is not asked for.
    let elsewhere = Registry::start();
    let link = format!("<http://{}/v2/_catalog>; rel=\"next\"", elsewhere.address);
    let registry = Registry::start();
    registry.hook(move |request| {
        let page = json(&serde_json::json!({"repositories": ["app"]}));
        let next = page.header("link", link.clone());
        Some(if request.path.starts_with("/v2/") { next } else { Reply::status(404) })
    });
    assert_eq!(search(&registry, "app", 5).await.unwrap().len(), 1);
    assert!(elsewhere.requests().is_empty());
    let test = TestStore::open().await;
    for term in ["", "https://quay.io/x", "two words"] {
        let error = test.store.search(term, 5, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
}
