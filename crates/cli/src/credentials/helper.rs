//! Credential helpers: programs `docker-credential-NAME` that keep secrets better than a file.
//!
//! Protocol (docker-credential-helpers): one word says what to do (`get`, `store`, `erase`, `list`), standard input has
//! the registry or a JSON object, standard output the answer, or a sentence when the exit code is not 0.

use std::collections::BTreeMap;
use std::io;
use std::process::Stdio;

use ross_api::v1::RegistryAuth;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::CredentialsError;

/// The user name that says that the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// How every helper's answer begins when it has nothing.
const NOT_FOUND: &str = "credentials not found";

/// One of these programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Helper {
    name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(rename = "ServerURL", default)]
    server_url: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

impl Helper {
    /// The helper `docker-credential-NAME`.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// How its program is called.
    pub fn program(&self) -> String {
        format!("docker-credential-{}", self.name)
    }

    /// What it keeps for `server`.
    pub async fn get(&self, server: &str) -> Result<Option<RegistryAuth>, CredentialsError> {
        let Some(answer) = self.ask("get", server.as_bytes()).await? else { return Ok(None) };
        let entry: Entry = self.parse("get", &answer)?;
        let mut auth = RegistryAuth { username: entry.username, ..RegistryAuth::default() };
        if auth.username == TOKEN_USER {
            auth.identity_token = entry.secret;
        } else {
            auth.password = entry.secret;
        }
        Ok(Some(auth))
    }

    /// Lets it keep `auth` for `server`.
    pub async fn store(&self, server: &str, auth: &RegistryAuth) -> Result<(), CredentialsError> {
        let (username, secret) = match auth.identity_token.as_str() {
            "" => (auth.username.as_str(), auth.password.as_str()),
            token => (TOKEN_USER, token),
        };
        let entry =
            Entry { server_url: server.to_owned(), username: username.to_owned(), secret: secret.to_owned() };
        let text = serde_json::to_vec(&entry).expect("strings are JSON");
        match self.ask("store", &text).await? {
            Some(_) => Ok(()),
            None => Err(self.failed("store", NOT_FOUND)),
        }
    }

    /// Lets it forget what it keeps for `server`; says whether there was something.
    pub async fn erase(&self, server: &str) -> Result<bool, CredentialsError> {
        Ok(self.ask("erase", server.as_bytes()).await?.is_some())
    }

    /// The servers that it keeps something for.
    pub async fn list(&self) -> Result<Vec<String>, CredentialsError> {
        let Some(answer) = self.ask("list", b"").await? else { return Ok(Vec::new()) };
        let users: BTreeMap<String, String> = self.parse("list", &answer)?;
        Ok(users.into_keys().collect())
    }

    fn failed(&self, action: &'static str, reason: impl Into<String>) -> CredentialsError {
        CredentialsError::Helper { name: self.name.clone(), action, reason: reason.into() }
    }

    fn parse<'a, T: Deserialize<'a>>(
        &self,
        action: &'static str,
        answer: &'a [u8],
    ) -> Result<T, CredentialsError> {
        // Without serde's words: they may have the secret in them.
        serde_json::from_slice(answer)
            .map_err(|_| self.failed(action, "the answer is not what a helper answers"))
    }

    /// What it answers; none when it has no such credentials.
    async fn ask(&self, action: &'static str, input: &[u8]) -> Result<Option<Vec<u8>>, CredentialsError> {
        if self.name.contains('/') {
            return Err(self.failed(action, "a helper is named without a path"));
        }
        let started = Command::new(self.program())
            .arg(action)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = started.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.failed(action, "there is no such program in $PATH"),
            _ => self.failed(action, error.to_string()),
        })?;
        if let Some(mut stdin) = child.stdin.take() {
            // A helper may answer without having read anything.
            let _ = stdin.write_all(input).await;
        }
        let output = child.wait_with_output().await;
        let output = output.map_err(|error| self.failed(action, error.to_string()))?;
        if output.status.success() {
            return Ok(Some(output.stdout));
        }
        let said = String::from_utf8_lossy(&output.stdout);
        match said.trim() {
            "" => Err(self.failed(action, output.status.to_string())),
            said if said.starts_with(NOT_FOUND) => Ok(None),
            said => Err(self.failed(action, said)),
        }
    }
}
