//! Whether a registry takes somebody's credentials.

use reqwest::{StatusCode, Url};
use ross_types::{ErrorKind, RegistryHost};

use super::auth::{self, Challenge};
use super::client::{self, HttpClient, Request};
use super::token::TokenService;
use super::{Credentials, RegistryError, endpoint};

/// Shows `credentials` to `registry`, at the address every registry has (`/v2/`). Answers the identity token that its
/// token service gives in their place, if it does. A registry that asks nobody who they are takes any.
pub(super) async fn login(
    http: &HttpClient,
    registry: &RegistryHost,
    credentials: &Credentials,
) -> Result<Option<String>, RegistryError> {
    let object = format!("login at {registry}");
    let base = endpoint::base_url(registry.as_str(), &http.config).ok_or_else(|| {
        RegistryError::lasting(&object, ErrorKind::InvalidArgument, "the registry has no valid address")
    })?;
    let login = Login { http, object, base, credentials };
    let mut attempts = http.attempts();
    loop {
        match login.attempt().await {
            Ok(identity_token) => return Ok(identity_token),
            Err(error) => attempts.after(error).await?,
        }
    }
}

#[derive(Debug)]
struct Login<'a> {
    http: &'a HttpClient,
    object: String,
    base: Url,
    credentials: &'a Credentials,
}

impl Login<'_> {
    async fn attempt(&self) -> Result<Option<String>, RegistryError> {
        let request = Request::get(self.base.join("v2/").expect("a path joins a base"));
        let answer = self.http.exchange(&self.object, &request, None).await?;
        let challenge = match answer.response.status() {
            StatusCode::OK => return Ok(None),
            StatusCode::UNAUTHORIZED if answer.from_origin => Challenge::of(answer.response.headers()),
            _ => None,
        };
        let Some(challenge) = challenge else {
            return Err(client::failure(&self.object, true, answer.response).await);
        };
        let (authorization, identity_token) = match &challenge {
            Challenge::Basic => match self.credentials {
                Credentials::Basic { username, password } => (auth::basic(username, password), None),
                _ => {
                    let text = "the registry takes a user name and a password only";
                    return Err(RegistryError::lasting(&self.object, ErrorKind::Unauthenticated, text));
                }
            },
            Challenge::Bearer { realm, service } => {
                let service = TokenService::of(&self.object, &self.base, realm, service.as_deref())?;
                let token = service.login(self.http, &self.object, self.credentials).await?;
                (Some(token.bearer), token.refresh)
            }
        };
        let answer = self.http.exchange(&self.object, &request, authorization.as_ref()).await?;
        match answer.response.status() {
            StatusCode::OK => Ok(identity_token),
            _ => Err(client::failure(&self.object, true, answer.response).await),
        }
    }
}
