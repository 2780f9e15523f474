//! Proving to a registry who asks: challenges and tokens.
//!
//! Sources: RFC 9110 §11, the distribution project's token authentication. Only a challenge of the registry
//! itself is answered, never one met behind a redirect (CVE-2020-15157), and a token service gets credentials
//! only where [`may_authenticate`](super::endpoint::may_authenticate) lets them go.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;

use super::Credentials;

/// How a registry wants to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
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
                        return Some(Self::Bearer {
                            realm,
                            service: parameter("service"),
                            scope: parameter("scope"),
                        });
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

/// A request to a token service.
#[derive(Debug)]
pub(super) enum TokenRequest {
    /// A GET with this `Authorization`, if any.
    Get { url: Url, authorization: Option<HeaderValue> },
    /// A POST of this form (OAuth2 with a refresh token).
    Post { url: Url, form: String },
}

/// The request that gets a token for `scope`, which is several with spaces between them.
pub(super) fn token_request(
    realm: &Url,
    service: Option<&str>,
    scope: &str,
    credentials: Option<&Credentials>,
) -> TokenRequest {
    let mut url = realm.clone();
    if let Some(Credentials::IdentityToken(refresh)) = credentials {
        // Url's own encoder of query pairs is that of forms.
        let mut form = Url::parse("form:").expect("a constant");
        let mut pairs = form.query_pairs_mut();
        pairs.append_pair("grant_type", "refresh_token");
        pairs.append_pair("client_id", "ross");
        pairs.append_pair("refresh_token", refresh);
        pairs.append_pair("scope", scope);
        if let Some(service) = service {
            pairs.append_pair("service", service);
        }
        drop(pairs);
        return TokenRequest::Post { url, form: form.query().unwrap_or_default().to_owned() };
    }
    let mut pairs = url.query_pairs_mut();
    if let Some(service) = service {
        pairs.append_pair("service", service);
    }
    for scope in scope.split(' ') {
        pairs.append_pair("scope", scope);
    }
    let authorization = match credentials {
        Some(Credentials::Basic { username, password }) => {
            pairs.append_pair("account", username);
            basic(username, password)
        }
        _ => None,
    };
    drop(pairs);
    TokenRequest::Get { url, authorization }
}

/// A token service's answer.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl TokenAnswer {
    pub(super) fn token(self) -> Option<String> {
        self.token.or(self.access_token).filter(|token| !token.is_empty())
    }
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
        let bearer = |service: Option<&str>, scope: Option<&str>| {
            Some(Challenge::Bearer {
                realm: "https://auth.example/token".into(),
                service: service.map(str::to_owned),
                scope: scope.map(str::to_owned),
            })
        };
        check(&[], None);
        check(&["Negotiate"], None);
        check(&["garbage=\"\\"], None);
        check(&["Bearer"], None);
        check(&["Basic realm=\"x\""], Some(Challenge::Basic));
        check(
            &["Bearer realm=\"https://auth.example/token\",service=\"reg\",scope=\"repository:a/b:pull\""],
            bearer(Some("reg"), Some("repository:a/b:pull")),
        );
        check(&["Basic realm=\"x\"", "bearer REALM=\"https://auth.example/token\""], bearer(None, None));
    }

    #[test]
    fn token_requests() {
        let realm: Url = "https://auth.example/token?a=b".parse().unwrap();
        let user = Credentials::Basic { username: "me".into(), password: "p&w".into() };
        let TokenRequest::Get { url, authorization } =
            token_request(&realm, Some("r"), "repository:a/b:pull", Some(&user))
        else {
            panic!("a GET")
        };
        assert_eq!(url.query(), Some("a=b&service=r&scope=repository%3Aa%2Fb%3Apull&account=me"));
        assert_eq!(authorization.unwrap().to_str().unwrap(), "Basic bWU6cCZ3");
        let refresh = Credentials::IdentityToken("t&t".into());
        let TokenRequest::Post { form, .. } = token_request(&realm, None, "s", Some(&refresh)) else {
            panic!("a POST")
        };
        assert_eq!(form, "grant_type=refresh_token&client_id=ross&refresh_token=t%26t&scope=s");
        assert!(!format!("{user:?} {refresh:?}").contains("t&t"));
        assert!(!format!("{user:?}").contains("p&w"));
    }
}
