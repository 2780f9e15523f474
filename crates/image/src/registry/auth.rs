//! How a registry wants to be asked, and what is shown to it.
//!
//! Source: RFC 9110 §11. Only a challenge of the registry itself is answered, never one met behind a redirect
//! (CVE-2020-15157).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

/// How a registry wants to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    /// By a token of the service at `realm`. The scope that the registry proposes is not looked at: what is needed is known.
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

impl Challenge {
    /// The challenge of a 401 answer that ross can meet; bearer is preferred over basic.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let mut basic = None;
        for value in values {
            let Ok(challenges) = http_auth::parse_challenges(value) else { continue };
            for challenge in challenges {
                let parameter = |name: &str| {
                    let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.to_unescaped())
                };
                if challenge.scheme.eq_ignore_ascii_case("bearer") {
                    if let Some(realm) = parameter("realm") {
                        return Some(Self::Bearer { realm, service: parameter("service") });
                    }
                } else if challenge.scheme.eq_ignore_ascii_case("basic") {
                    basic = Some(Self::Basic);
                }
            }
        }
        basic
    }
}

fn secret(text: String) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

pub(super) fn basic(username: &str, password: &str) -> Option<HeaderValue> {
    secret(format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))))
}

pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    secret(format!("Bearer {token}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges() {
        let check = |values: &[&str], expected: Option<Challenge>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
            }
            assert_eq!(Challenge::of(&headers), expected, "{values:?}");
        };
        let bearer = |service: Option<&str>| {
            let realm = "https://auth.example/token".to_owned();
            Some(Challenge::Bearer { realm, service: service.map(str::to_owned) })
        };
        check(&[], None);
        check(&["Negotiate"], None);
        check(&["garbage=\"\\"], None);
        check(&["Bearer"], None);
        check(&["Basic realm=\"x\""], Some(Challenge::Basic));
        check(
            &["Bearer realm=\"https://auth.example/token\",service=\"reg\",scope=\"repository:a/b:pull\""],
            bearer(Some("reg")),
        );
        check(&["Basic realm=\"x\"", "bearer REALM=\"https://auth.example/token\""], bearer(None));
    }
}
