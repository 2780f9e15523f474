//! Logins: which requests show the credentials to whom, and what comes back.

use ross_image::{Credentials, Error, RegistryConfig};
use ross_types::ErrorKind;

use crate::fixture::{TestStore, patient, text_of};
use crate::registry::{Registry, Reply, Request};

const SECRET: &str = "Basic bWU6c2VjcmV0";

fn me(password: &str) -> Credentials {
    Credentials::Basic { username: "me".into(), password: password.into() }
}

async fn login(registry: &Registry, credentials: &Credentials) -> Result<Option<String>, Error> {
    let test = TestStore::open_with(RegistryConfig { attempts: 2, ..patient() }).await;
    test.store.login(&registry.address.parse().unwrap(), credentials).await
}

async fn refused(registry: &Registry, credentials: &Credentials) -> String {
    let error = login(registry, credentials).await.expect_err("the registry refuses");
    let text = text_of(&error);
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{text}");
    assert!(text.starts_with(&format!("login at {}: ", registry.address)), "{text}");
    assert!(!text.contains("wrong"), "{text}");
    text
}

#[tokio::test]
async fn by_password() {
    let registry = Registry::start();
    registry.hook(|request| {
        let challenge = Reply::status(401).header("www-authenticate", "Basic realm=\"x\"");
        Some(if request.header("authorization") == Some(SECRET) { Reply::ok("{}") } else { challenge })
    });
    assert_eq!(login(&registry, &me("secret")).await.unwrap(), None);
    let asked: Vec<_> =
        registry.requests().iter().map(|request| format!("{} {}", request.method, request.path)).collect();
    assert_eq!(asked, ["GET /v2/", "GET /v2/"]);
    assert!(registry.requests()[0].header("authorization").is_none(), "nobody has asked yet");
    let text = refused(&registry, &me("wrong")).await;
    assert!(text.contains("refuses these credentials"), "{text}");
    let text = refused(&registry, &Credentials::IdentityToken("t".into())).await;
    assert!(text.contains("a user name and a password only"), "{text}");
}

/// A registry whose tokens come from its own `/token`, which answers by `service`.
fn with_tokens(service: impl Fn(&Request) -> Reply + Send + 'static) -> Registry {
    let registry = Registry::start();
    let realm = format!("http://{}/token", registry.address);
    registry.hook(move |request| {
        let challenge = format!("Bearer realm=\"{realm}\",service=\"here\"");
        Some(if request.path.starts_with("/token") {
            service(request)
        } else if request.header("authorization") == Some("Bearer t") {
            Reply::ok("{}")
        } else {
            Reply::status(401).header("www-authenticate", challenge)
        })
    });
    registry
}

#[tokio::test]
async fn by_a_token_service_that_gives_identity_tokens() {
    let registry = with_tokens(|request| match request.method.as_str() {
        "POST" if request.text().contains("grant_type=password") => {
            let good =
                ["username=me&password=secret", "access_type=offline", "client_id=ross", "service=here"];
            if good.iter().all(|part| request.text().contains(*part)) {
                Reply::ok(r#"{"access_token":"t","refresh_token":"keep"}"#)
            } else {
                Reply::status(401)
            }
        }
        "POST" if request.text().contains("grant_type=refresh_token&refresh_token=keep") => {
            Reply::ok(r#"{"access_token":"t"}"#)
        }
        "POST" => Reply::status(400),
        _ => Reply::status(401),
    });
    assert_eq!(login(&registry, &me("secret")).await.unwrap().as_deref(), Some("keep"));
    assert!(registry.requests().iter().all(|request| !request.path.contains("secret")), "not in an address");
    assert_eq!(login(&registry, &Credentials::IdentityToken("keep".into())).await.unwrap(), None);
    refused(&registry, &me("wrong")).await;
    let text = refused(&registry, &Credentials::IdentityToken("wrong".into())).await;
    assert!(text.contains("log in again"), "{text}");
}

/// A redirect keeps the method and the body: what is secret in it is for nobody else.
#[tokio::test]
async fn a_password_does_not_follow_a_redirect() {
    for status in [307, 308] {
        let elsewhere = Registry::start();
        let target = format!("http://{}/token", elsewhere.address);
        let registry = with_tokens(move |request| match request.method.as_str() {
            "POST" => Reply::status(status).header("location", target.clone()),
            _ => Reply::status(401),
        });
        for credentials in [me("secret"), Credentials::IdentityToken("secret".into())] {
            let error = login(&registry, &credentials).await.expect_err("nobody is asked elsewhere");
            assert!(text_of(&error).contains("to another server"), "{}", text_of(&error));
        }
        assert!(elsewhere.requests().is_empty(), "{:?}", elsewhere.requests());
    }
}

#[tokio::test]
async fn by_a_token_service_that_knows_no_post() {
    for status in [400, 401, 404, 405, 500, 200] {
        let registry = with_tokens(move |request| {
            let good = request.header("authorization") == Some(SECRET);
            match request.method.as_str() {
                "GET"
                    if good
                        && request.path
                            == "/token?service=here&account=me&offline_token=true&client_id=ross" =>
                {
                    Reply::ok(r#"{"token":"t","refresh_token":"keep"}"#)
                }
                "GET" => Reply::status(401),
                _ => Reply::status(status),
            }
        });
        assert_eq!(login(&registry, &me("secret")).await.unwrap().as_deref(), Some("keep"), "{status}");
        let text = refused(&registry, &me("wrong")).await;
        assert!(text.contains("refuses these credentials"), "{text}");
    }
}

#[tokio::test]
async fn registries_that_cannot_say() {
    let open = Registry::start();
    open.hook(|_| Some(Reply::ok("{}")));
    assert_eq!(login(&open, &me("any")).await.unwrap(), None);
    assert!(open.requests().iter().all(|request| request.header("authorization").is_none()));

    let check = async |reply: fn() -> Reply, kind: ErrorKind, requests: usize| {
        let registry = Registry::start();
        registry.hook(move |_| Some(reply()));
        let error = login(&registry, &me("secret")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{}", text_of(&error));
        assert_eq!(registry.requests().len(), requests);
    };
    check(|| Reply::status(404), ErrorKind::NotFound, 1).await;
    check(|| Reply::status(401), ErrorKind::Unauthenticated, 1).await;
    check(|| Reply::status(503), ErrorKind::Unavailable, 2).await;
    let elsewhere = || Reply::status(401).header("www-authenticate", "Bearer realm=\"http://a.example/t\"");
    check(elsewhere, ErrorKind::Unauthenticated, 1).await;
    // A challenge behind a redirect is that of somebody else.
    let (registry, thief) = (Registry::start(), Registry::start());
    thief.hook(|_| Some(Reply::status(401).header("www-authenticate", "Basic realm=\"x\"")));
    let target = format!("http://{}/v2/", thief.address);
    registry.hook(move |_| Some(Reply::status(307).header("location", target.clone())));
    refused(&registry, &me("secret")).await;
    assert!(thief.requests().iter().all(|request| request.header("authorization").is_none()));
}
