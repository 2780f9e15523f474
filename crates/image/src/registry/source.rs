//! One repository at one server, be it the registry or a mirror: addresses, and what authorizes requests there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::HeaderValue;
use reqwest::{Response, StatusCode, Url};
use tokio::sync::Mutex as AsyncMutex;

use super::auth::{self, Challenge};
use super::client::{HttpClient, Request};
use super::endpoint::same_origin;
use super::token::TokenService;
use super::{Credentials, RegistryError};

/// What is to be done at a registry. A token is asked for that allows this and no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Access {
    /// Manifests and blobs of a repository are fetched, from mirrors too.
    Pull,
    /// They are sent, to the registry itself; blobs may be mounted from these other repositories there.
    Push(Vec<String>),
    /// The names of all repositories are read.
    Catalog,
}

impl Access {
    /// The scopes of a token for the repository `path`, as the token specification has them, with spaces between.
    fn scopes(&self, path: &str) -> String {
        match self {
            Self::Pull => format!("repository:{path}:pull"),
            Self::Push(others) => {
                let others = others.iter().map(|other| format!(" repository:{other}:pull"));
                format!("repository:{path}:pull,push{}", others.collect::<String>())
            }
            Self::Catalog => "registry:catalog:*".to_owned(),
        }
    }
}

/// A server that has the repository. Remembers what authorizes requests, for all layers of a pull.
#[derive(Debug)]
pub(super) struct Source {
    http: Arc<HttpClient>,
    base: Url,
    path: String,
    /// What a token is asked for.
    scopes: String,
    credentials: Option<Credentials>,
    authorization: Mutex<Option<HeaderValue>>,
    /// Held by the one who gets a new authorization; meant to be held across an await, so that the others wait for it.
    renewing: AsyncMutex<()>,
    passed_over: AtomicBool,
}

impl Source {
    pub(super) fn new(
        http: Arc<HttpClient>,
        base: Url,
        path: String,
        access: &Access,
        credentials: Option<Credentials>,
    ) -> Self {
        let authorization = match &credentials {
            Some(Credentials::RegistryToken(token)) => auth::bearer(token),
            _ => None,
        };
        Self {
            http,
            base,
            scopes: access.scopes(&path),
            path,
            credentials,
            authorization: Mutex::new(authorization),
            renewing: AsyncMutex::default(),
            passed_over: AtomicBool::new(false),
        }
    }

    /// Host and port, for people.
    pub(super) fn server(&self) -> &str {
        self.base.authority()
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    pub(super) fn url(&self, kind: &str, name: &str) -> Url {
        // Both parts have no characters that mean something in a URL: their types see to that.
        self.base.join(&format!("v2/{}/{kind}/{name}", self.path)).expect("a path joins a base")
    }

    /// Whether it is asked as somebody.
    pub(super) fn is_known(&self) -> bool {
        self.credentials.is_some()
    }

    /// It is not to be asked again.
    pub(super) fn pass_over(&self) {
        self.passed_over.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_passed_over(&self) -> bool {
        self.passed_over.load(Ordering::Relaxed)
    }

    fn authorization(&self) -> Option<HeaderValue> {
        self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a request, and answers the server's challenge when it has one: the first time, and whenever a token has
    /// expired. Any final status is an answer.
    pub(super) async fn send(&self, object: &str, request: &Request) -> Result<Response, RegistryError> {
        // An upload may be sent elsewhere by the registry; who is asked there gets nothing to know this user by.
        let own = same_origin(&self.base, &request.url);
        let used = self.authorization().filter(|_| own);
        let answer = self.http.exchange(object, request, used.as_ref()).await?;
        let challenge = match answer.response.status() {
            StatusCode::UNAUTHORIZED if answer.from_origin && own => Challenge::of(answer.response.headers()),
            _ => None,
        };
        let Some(challenge) = challenge else { return Ok(answer.response) };
        let Some(fresh) = self.renew(object, &challenge, used.as_ref()).await? else {
            return Ok(answer.response);
        };
        Ok(self.http.exchange(object, request, Some(&fresh)).await?.response)
    }

    /// Another authorization than `used`, if there is one to be had. Of several who need it one gets it.
    async fn renew(
        &self,
        object: &str,
        challenge: &Challenge,
        used: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let _alone = self.renewing.lock().await;
        let current = self.authorization();
        if current.is_some() && current.as_ref() != used {
            return Ok(current);
        }
        let fresh = self.answer(object, challenge).await?;
        if fresh.is_none() || fresh.as_ref() == used {
            return Ok(None);
        }
        self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&fresh);
        Ok(fresh)
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
            (Challenge::Bearer { realm, service }, credentials) => {
                let service = TokenService::of(object, &self.base, realm, service.as_deref())?;
                // Never more than is needed, whatever the registry proposes.
                let service = service.with_scopes(self.scopes.clone());
                service.token(&self.http, object, credentials.as_ref()).await.map(Some)
            }
        }
    }
}
