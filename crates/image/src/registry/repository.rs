//! One repository of one registry, as one user sees it.

use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};
use ross_types::{Digest, DigestAlgorithm, ErrorKind, ImageRef};

use super::auth::{self, Challenge, TokenAnswer, TokenRequest};
use super::client::{self, HttpClient, Request};
use super::endpoint;
use super::payload::Payload;
use super::{Credentials, RegistryError};
use crate::content::Hasher;
use crate::manifest::{self, MAX_MANIFEST_SIZE};

/// A token service's answer is no longer than this.
const MAX_TOKEN_ANSWER: u64 = 1024 * 1024;

/// A repository to fetch from. Remembers what authorizes its requests; shared by the layers of a pull.
#[derive(Debug)]
pub(crate) struct Repository {
    pub(super) http: Arc<HttpClient>,
    base: Url,
    /// `registry/repository`, for people.
    name: String,
    path: String,
    credentials: Option<Credentials>,
    authorization: Mutex<Option<HeaderValue>>,
    registry: String,
    /// What a token is asked for, with spaces between several.
    scope: String,
}

/// A manifest or index as it came.
#[derive(Debug)]
pub(crate) struct FetchedManifest {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: Digest,
    pub(crate) content_type: Option<String>,
}

impl Repository {
    pub(super) fn new(
        http: Arc<HttpClient>,
        reference: &ImageRef,
        credentials: Option<Credentials>,
    ) -> Result<Self, RegistryError> {
        let name = reference.familiar_name();
        let base = endpoint::base_url(reference.registry(), &http.config).ok_or_else(|| {
            RegistryError::lasting(&name, ErrorKind::InvalidArgument, "the registry has no valid address")
        })?;
        let authorization = match &credentials {
            Some(Credentials::RegistryToken(token)) => auth::bearer(token),
            _ => None,
        };
        let authorization = Mutex::new(authorization);
        let path = reference.repository().to_owned();
        let scope = format!("repository:{path}:pull");
        let registry = reference.registry().to_owned();
        Ok(Self { http, base, name, path, credentials, authorization, registry, scope })
    }

    /// All of the registry at `base`, to ask for what a token for `scope` opens.
    pub(super) fn whole(
        http: Arc<HttpClient>,
        registry: &str,
        base: Url,
        scope: &str,
        credentials: Option<Credentials>,
    ) -> Self {
        Self {
            http,
            base,
            name: registry.to_owned(),
            path: String::new(),
            credentials,
            authorization: Mutex::new(None),
            registry: registry.to_owned(),
            scope: scope.to_owned(),
        }
    }

    /// The same repository, to push to as well, and blobs may be mounted from `others` on the same registry.
    pub(super) fn for_push(mut self, others: &[String]) -> Self {
        self.scope = format!("repository:{}:pull,push", self.path);
        for other in others {
            self.scope.push_str(&format!(" repository:{other}:pull"));
        }
        self
    }

    /// What to do about a registry that wants somebody else.
    pub(super) fn login_advice(&self) -> String {
        let registry = if self.registry == "docker.io" { "" } else { &format!(" {}", self.registry) };
        format!("log in as a user who may do that: ross login{registry}")
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// What is asked for, for people.
    pub(super) fn object(&self, what: &str) -> String {
        format!("{what} of {}", self.name)
    }

    pub(super) fn url(&self, kind: &str, name: &str) -> Url {
        // Both parts have no characters that mean something in a URL: their types see to that.
        self.base.join(&format!("v2/{}/{kind}/{name}", self.path)).expect("a path joins a base")
    }

    /// Fetches a manifest or index by tag or digest. What a digest names has that digest.
    pub(crate) async fn manifest(
        &self,
        tag: Option<&str>,
        digest: Option<&Digest>,
    ) -> Result<FetchedManifest, RegistryError> {
        let target = digest.map(Digest::to_string).or(tag.map(str::to_owned)).unwrap_or_default();
        let object = self.object(&format!("manifest {target}"));
        let request = Request::get(self.url("manifests", &target))
            .header(ACCEPT, HeaderValue::from_static(manifest::ACCEPT));
        let mut failures = 0;
        loop {
            let (error, asked) = match self.send(&object, &request).await {
                Ok(response) if response.status() == StatusCode::OK => {
                    match self.read_manifest(&object, digest, response).await {
                        Ok(fetched) => return Ok(fetched),
                        Err(error) => (error, None),
                    }
                }
                Ok(response) => {
                    let asked = client::retry_after(&response);
                    (client::failure(&object, self.is_known(), response).await, asked)
                }
                Err(error) => (error, None),
            };
            failures += 1;
            if !error.is_passing() || failures >= self.http.config.attempts {
                return Err(error.after(failures));
            }
            tokio::time::sleep(self.http.delay(failures, asked)).await;
        }
    }

    async fn read_manifest(
        &self,
        object: &str,
        expected: Option<&Digest>,
        response: Response,
    ) -> Result<FetchedManifest, RegistryError> {
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let content_type = header(CONTENT_TYPE.as_str());
        let claimed = header("docker-content-digest");
        let bytes = self.read_bounded(object, response, MAX_MANIFEST_SIZE).await?;
        let algorithm = expected.map_or(DigestAlgorithm::Sha256, Digest::algorithm);
        let digest = Hasher::digest(algorithm, &bytes);
        let lies = |text: String| Err(RegistryError::lasting(object, ErrorKind::DataLoss, text));
        if let Some(expected) = expected
            && digest != *expected
        {
            return lies(format!("the registry sent content with digest {digest}"));
        }
        if let Some(claimed) = claimed.and_then(|claimed| claimed.parse::<Digest>().ok()) {
            let actual = Hasher::digest(claimed.algorithm(), &bytes);
            if actual != claimed {
                return lies(format!("the registry announced digest {claimed} and sent {actual}"));
            }
        }
        Ok(FetchedManifest { bytes, digest, content_type })
    }

    pub(super) async fn read_bounded(
        &self,
        object: &str,
        mut response: Response,
        limit: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        let too_large = || {
            let text = format!("the registry sends more than {limit} bytes for it");
            RegistryError::lasting(object, ErrorKind::ResourceExhausted, text)
        };
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        let read = async {
            while let Some(chunk) =
                response.chunk().await.map_err(|error| RegistryError::of_transport(object, error))?
            {
                if (bytes.len() + chunk.len()) as u64 > limit {
                    return Err(too_large());
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(())
        };
        match tokio::time::timeout(self.http.config.stall_window + self.http.config.response_timeout, read)
            .await
        {
            Ok(read) => read.map(|()| bytes),
            Err(_) => Err(RegistryError::passing(
                object,
                ErrorKind::DeadlineExceeded,
                "the registry sends it too slowly",
            )),
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.credentials.is_some()
    }

    fn authorization(&self) -> Option<HeaderValue> {
        self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a request, and answers the registry's challenge when it has one. Any final status is an answer.
    pub(super) async fn send(&self, object: &str, request: &Request) -> Result<Response, RegistryError> {
        // An upload may be sent elsewhere by the registry; who is asked there gets nothing to know this user by.
        let own = endpoint::same_origin(&self.base, &request.url);
        let authorization = self.authorization().filter(|_| own);
        let answer = self.http.exchange(object, request, authorization.as_ref()).await?;
        let challenge = match answer.response.status() {
            StatusCode::UNAUTHORIZED if answer.from_origin && own => Challenge::of(answer.response.headers()),
            _ => None,
        };
        let Some(challenge) = challenge else { return Ok(answer.response) };
        let Some(fresh) = self.answer(object, &challenge).await? else { return Ok(answer.response) };
        if authorization.as_ref() == Some(&fresh) {
            return Ok(answer.response);
        }
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh.clone());
        Ok(self.http.exchange(object, request, Some(&fresh)).await?.response)
    }

    async fn answer(
        &self,
        object: &str,
        challenge: &Challenge,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        match (challenge, &self.credentials) {
            (_, Some(Credentials::RegistryToken(_))) => Ok(None),
            (Challenge::Basic, Some(Credentials::Basic { username, password })) => {
                Ok(auth::basic(username, password))
            }
            (Challenge::Basic, _) => Ok(None),
            (Challenge::Bearer { realm, service, .. }, credentials) => {
                let lasting = |text: String| RegistryError::lasting(object, ErrorKind::Unauthenticated, text);
                let realm = Url::parse(realm)
                    .map_err(|_| lasting("the registry names no valid token service".into()))?;
                endpoint::may_authenticate(&self.base, &realm)
                    .map_err(|why| lasting(format!("the registry sends its clients for tokens {why}")))?;
                // Never more than is needed, whatever the registry proposes.
                let request =
                    auth::token_request(&realm, service.as_deref(), &self.scope, credentials.as_ref());
                self.fetch_token(object, request).await.map(Some)
            }
        }
    }

    async fn fetch_token(&self, object: &str, request: TokenRequest) -> Result<HeaderValue, RegistryError> {
        let (request, authorization) = match request {
            TokenRequest::Get { url, authorization } => (Request::get(url), authorization),
            TokenRequest::Post { url, form } => {
                let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
                let headers = HeaderMap::from_iter([(CONTENT_TYPE, form_type)]);
                (
                    Request { method: Method::POST, url, headers, body: Some(Payload::Bytes(form.into())) },
                    None,
                )
            }
        };
        let answer = self.http.exchange(object, &request, authorization.as_ref()).await?;
        if answer.response.status() != StatusCode::OK {
            return Err(client::failure(object, self.is_known(), answer.response).await);
        }
        let bytes = self.read_bounded(object, answer.response, MAX_TOKEN_ANSWER).await?;
        let token = serde_json::from_slice::<TokenAnswer>(&bytes).ok().and_then(TokenAnswer::token);
        token.and_then(|token| auth::bearer(&token)).ok_or_else(|| {
            RegistryError::lasting(
                object,
                ErrorKind::Unauthenticated,
                "the token service answers without a token",
            )
        })
    }
}
