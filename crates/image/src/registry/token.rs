//! Token services: what a registry accepts in place of a password.
//!
//! Source: the distribution project's token specification: by GET ("Docker Registry v2 authentication via central
//! service") and by POST ("Docker Registry v2 OAuth2 authentication", RFC 6749). A service gets credentials only where
//! [`may_authenticate`] lets them go.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use ross_types::ErrorKind;
use serde::Deserialize;

use super::client::{self, HttpClient, Request};
use super::endpoint::may_authenticate;
use super::payload::Payload;
use super::{Credentials, RegistryError, auth};

/// A token service's answer is no longer than this.
const MAX_ANSWER: u64 = 1024 * 1024;

/// What ross calls itself there.
const CLIENT: &str = "ross";

/// A token service, and what its tokens are to be good for.
#[derive(Debug, Clone)]
pub(super) struct TokenService {
    realm: Url,
    service: Option<String>,
    /// With spaces between several; nothing in particular, when only the login itself is of interest.
    scopes: Option<String>,
}

/// A token, and what gets further ones without the password (an identity token), if the service gives that.
pub(super) struct Token {
    pub(super) bearer: HeaderValue,
    pub(super) refresh: Option<String>,
}

/// A request to a token service.
enum TokenRequest {
    /// A GET with this `Authorization`, if any.
    Get(Url, Option<HeaderValue>),
    /// A POST of this form.
    Post(Url, String),
}

/// A token service's answer. Both names are in use for the same thing.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    refresh_token: Option<String>,
}

impl TokenService {
    /// The service at `realm` that the registry at `registry` sends its clients to.
    pub(super) fn of(
        object: &str,
        registry: &Url,
        realm: &str,
        service: Option<&str>,
    ) -> Result<Self, RegistryError> {
        let lasting = |text: String| RegistryError::lasting(object, ErrorKind::Unauthenticated, text);
        let realm =
            Url::parse(realm).map_err(|_| lasting("the registry names no valid token service".into()))?;
        may_authenticate(registry, &realm)
            .map_err(|why| lasting(format!("the registry sends its clients for tokens {why}")))?;
        Ok(Self { realm, service: service.map(str::to_owned), scopes: None })
    }

    /// The same for tokens that are good for `scopes`.
    pub(super) fn with_scopes(self, scopes: String) -> Self {
        Self { scopes: Some(scopes), ..self }
    }

    /// A token for whoever has `credentials`, or for anybody.
    pub(super) async fn token(
        &self,
        http: &HttpClient,
        object: &str,
        credentials: Option<&Credentials>,
    ) -> Result<HeaderValue, RegistryError> {
        let known = credentials.is_some();
        let token = match credentials {
            Some(Credentials::IdentityToken(refresh)) => {
                match self.fetch(http, object, known, self.by_refresh_token(refresh)).await? {
                    // A service that knows no POST, such as some have been: it takes the token for a password.
                    Err(NOT_FOUND | NO_POST) => {
                        let request = self.by_get(Some(("", refresh)));
                        self.insist(http, object, known, request).await?
                    }
                    fetched => or_refused(object, fetched)?,
                }
            }
            Some(Credentials::Basic { username, password }) => {
                self.insist(http, object, known, self.by_get(Some((username, password)))).await?
            }
            _ => self.insist(http, object, known, self.by_get(None)).await?,
        };
        Ok(token.bearer)
    }

    /// A token for whoever has `credentials`, with one to get further ones if the service has such.
    pub(super) async fn login(
        &self,
        http: &HttpClient,
        object: &str,
        credentials: &Credentials,
    ) -> Result<Token, RegistryError> {
        match credentials {
            Credentials::Basic { username, password } => {
                // There is a wealth of ways in which services say that they want a GET: 400, 401, 403, 404, 405, 500, or a
                // page in the place of a token.
                let posted = match self.fetch(http, object, true, self.by_password(username, password)).await
                {
                    Ok(Ok(token)) => return Ok(token),
                    Ok(Err(_)) => None,
                    // A service that fails, and does not say for how long.
                    Err(error)
                        if error.is_passing()
                            && error.kind() == ErrorKind::Unavailable
                            && error.asked().is_none() =>
                    {
                        Some(error)
                    }
                    Err(error) => return Err(error),
                };
                let mut request = self.by_get(Some((username, password)));
                if let TokenRequest::Get(url, _) = &mut request {
                    url.query_pairs_mut()
                        .append_pair("offline_token", "true")
                        .append_pair("client_id", CLIENT);
                }
                self.insist(http, object, true, request).await.map_err(|error| match posted {
                    // Of a service that fails at both, the first is what may pass.
                    Some(posted)
                        if !matches!(
                            error.kind(),
                            ErrorKind::Unauthenticated | ErrorKind::PermissionDenied
                        ) =>
                    {
                        posted
                    }
                    _ => error,
                })
            }
            Credentials::IdentityToken(_) | Credentials::RegistryToken(_) => {
                let bearer = self.token(http, object, Some(credentials)).await?;
                Ok(Token { bearer, refresh: None })
            }
        }
    }

    fn by_get(&self, user: Option<(&str, &str)>) -> TokenRequest {
        let mut url = self.realm.clone();
        let mut pairs = url.query_pairs_mut();
        if let Some(service) = &self.service {
            pairs.append_pair("service", service);
        }
        for scope in self.scopes.iter().flat_map(|scopes| scopes.split(' ')) {
            pairs.append_pair("scope", scope);
        }
        if let Some((name, _)) = user.filter(|(name, _)| !name.is_empty()) {
            pairs.append_pair("account", name);
        }
        drop(pairs);
        // `?` alone is what is left where nothing was appended.
        if url.query() == Some("") {
            url.set_query(None);
        }
        TokenRequest::Get(url, user.and_then(|(name, password)| auth::basic(name, password)))
    }

    fn by_refresh_token(&self, refresh: &str) -> TokenRequest {
        self.by_post(&[("grant_type", "refresh_token"), ("refresh_token", refresh)])
    }

    fn by_password(&self, username: &str, password: &str) -> TokenRequest {
        let grant = [("grant_type", "password"), ("username", username), ("password", password)];
        self.by_post(&[&grant[..], &[("access_type", "offline")]].concat())
    }

    fn by_post(&self, grant: &[(&str, &str)]) -> TokenRequest {
        // Url's own encoder of query pairs is that of forms.
        let mut form = Url::parse("form:").expect("a constant");
        let mut pairs = form.query_pairs_mut();
        pairs.extend_pairs(grant).append_pair("client_id", CLIENT);
        for (name, value) in [("service", &self.service), ("scope", &self.scopes)] {
            if let Some(value) = value {
                pairs.append_pair(name, value);
            }
        }
        drop(pairs);
        TokenRequest::Post(self.realm.clone(), form.query().unwrap_or_default().to_owned())
    }

    /// The token that `request` gets, or the status that comes instead of one: of a POST any but failures of the server, of a GET that of success.
    async fn fetch(
        &self,
        http: &HttpClient,
        object: &str,
        known: bool,
        request: TokenRequest,
    ) -> Result<Result<Token, u16>, RegistryError> {
        let (request, authorization) = match request {
            TokenRequest::Get(url, authorization) => (Request::get(url), authorization),
            TokenRequest::Post(url, form) => {
                let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
                let headers = HeaderMap::from_iter([(CONTENT_TYPE, form_type)]);
                let body = Some(Payload::Secret(form.into()));
                (Request { method: Method::POST, url, headers, body }, None)
            }
        };
        let posted = request.method == Method::POST;
        let response = http.exchange(object, &request, authorization.as_ref()).await?.response;
        let status = response.status();
        let may_pass = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        if posted && status != StatusCode::OK && !may_pass {
            return Ok(Err(status.as_u16()));
        }
        if status != StatusCode::OK {
            return Err(client::failure(object, known, response).await);
        }
        let bytes = http.read_bounded(object, response, MAX_ANSWER).await?;
        let answer: Answer = serde_json::from_slice(&bytes).unwrap_or_default();
        let full = |token: &Option<String>| token.as_ref().filter(|token| !token.is_empty()).cloned();
        let bearer =
            full(&answer.token).or(full(&answer.access_token)).and_then(|token| auth::bearer(&token));
        Ok(match bearer {
            Some(bearer) => Ok(Token { bearer, refresh: full(&answer.refresh_token) }),
            None => Err(status.as_u16()),
        })
    }

    async fn insist(
        &self,
        http: &HttpClient,
        object: &str,
        known: bool,
        request: TokenRequest,
    ) -> Result<Token, RegistryError> {
        let fetched = self.fetch(http, object, known, request).await?;
        or_refused(object, fetched)
    }
}

fn or_refused(object: &str, fetched: Result<Token, u16>) -> Result<Token, RegistryError> {
    fetched.map_err(|status| {
        let text = match status {
            200 => "the token service answers without a token".to_owned(),
            _ => format!("the token service refuses these credentials (status {status}); log in again"),
        };
        RegistryError::lasting(object, ErrorKind::Unauthenticated, text)
    })
}

/// Statuses of services that know no POST.
const NOT_FOUND: u16 = 404;
const NO_POST: u16 = 405;

#[cfg(test)]
mod tests {
    use super::*;

    fn service(scope: Option<&str>) -> TokenService {
        let registry: Url = "https://registry.example/".parse().unwrap();
        let service = TokenService::of("it", &registry, "https://auth.example/token?a=b", Some("r")).unwrap();
        match scope {
            Some(scope) => service.with_scopes(scope.to_owned()),
            None => service,
        }
    }

    #[test]
    fn gets() {
        let check =
            |scope: Option<&str>, user: Option<(&str, &str)>, query: &str, authorization: Option<&str>| {
                let TokenRequest::Get(url, actual) = service(scope).by_get(user) else { panic!("a GET") };
                assert_eq!(url.query(), Some(query));
                assert_eq!(actual.as_ref().map(|value| value.to_str().unwrap()), authorization);
            };
        let scope = Some("repository:a/b:pull");
        check(scope, None, "a=b&service=r&scope=repository%3Aa%2Fb%3Apull", None);
        let query = "a=b&service=r&scope=repository%3Aa%2Fb%3Apull&account=me";
        check(scope, Some(("me", "p&w")), query, Some("Basic bWU6cCZ3"));
        check(Some("s:1 s:2"), None, "a=b&service=r&scope=s%3A1&scope=s%3A2", None);
        check(None, Some(("", "t")), "a=b&service=r", Some("Basic OnQ="));
        let bare = TokenService { realm: "https://x/t".parse().unwrap(), service: None, scopes: None };
        let TokenRequest::Get(url, _) = bare.by_get(None) else { panic!("a GET") };
        assert_eq!(url.as_str(), "https://x/t");
    }

    #[test]
    fn posts() {
        let check = |request: TokenRequest, expected: &str| {
            let TokenRequest::Post(_, form) = request else { panic!("a POST") };
            assert_eq!(form, expected);
        };
        check(
            service(Some("s")).by_refresh_token("t&t"),
            "grant_type=refresh_token&refresh_token=t%26t&client_id=ross&service=r&scope=s",
        );
        check(
            service(None).by_password("me", "p w"),
            "grant_type=password&username=me&password=p+w&access_type=offline&client_id=ross&service=r",
        );
    }

    #[test]
    fn services_that_are_not_asked() {
        let check = |realm: &str, says: &str| {
            let registry: Url = "https://registry.example/".parse().unwrap();
            let error = TokenService::of("it", &registry, realm, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
            assert!(error.to_string().contains(says), "{error}");
        };
        check("nonsense", "no valid token service");
        check("http://auth.example/token", "from https to plain http");
        check("https://169.254.169.254/token", "to an address of this machine");
    }
}
