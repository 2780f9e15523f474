//! One repository of one registry, as one user sees it, wherever it is served from.

use std::sync::Arc;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{StatusCode, Url};
use ross_types::{Digest, DigestAlgorithm, ErrorKind, ImageRef};

use super::client::{self, HttpClient, Request};
use super::endpoint;
use super::source::{Access, Source};
use super::{Credentials, RegistryError};
use crate::content::Hasher;
use crate::manifest::{self, MAX_MANIFEST_SIZE};

/// A repository to fetch from; shared by the layers of a pull.
///
/// Its mirrors are asked first, in order, each as nobody in particular: credentials are for the registry alone. A mirror
/// that fails is passed over from then on; what counts in the end is what the registry itself says.
#[derive(Debug)]
pub(crate) struct Repository {
    pub(super) http: Arc<HttpClient>,
    /// `registry/repository`, for people.
    name: String,
    registry: String,
    /// The mirrors, then the registry.
    sources: Vec<Source>,
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
        access: &Access,
        credentials: Option<Credentials>,
    ) -> Result<Self, RegistryError> {
        let name = reference.familiar_name();
        let no_address =
            || RegistryError::lasting(&name, ErrorKind::InvalidArgument, "the registry has no valid address");
        let (registry, path) = (reference.registry(), reference.repository());
        let config = &http.config;
        let mut sources = Vec::new();
        let mirrors = config.hosts.get(registry).filter(|_| *access == Access::Pull);
        for mirror in mirrors.map_or(&[][..], |host| &host.mirrors) {
            let base = endpoint::mirror_url(mirror, config).ok_or_else(no_address)?;
            let path = format!("{}{path}", mirror.prefix);
            sources.push(Source::new(http.clone(), base, path, access, None));
        }
        let base = endpoint::base_url(registry, config).ok_or_else(no_address)?;
        sources.push(Source::new(http.clone(), base, path.to_owned(), access, credentials));
        let registry = registry.to_owned();
        Ok(Self { http, name, registry, sources })
    }

    /// All of the registry at `base`, to ask for what is open to `access`.
    pub(super) fn whole(
        http: Arc<HttpClient>,
        registry: &str,
        base: Url,
        access: &Access,
        credentials: Option<Credentials>,
    ) -> Self {
        let source = Source::new(http.clone(), base, String::new(), access, credentials);
        Self { http, name: registry.to_owned(), registry: registry.to_owned(), sources: vec![source] }
    }

    /// What to do about a registry that wants somebody else.
    pub(super) fn login_advice(&self) -> String {
        let registry = if self.registry == "docker.io" { "" } else { &format!(" {}", self.registry) };
        format!("log in as a user who may do that: ross login{registry}")
    }

    /// What is asked for, for people.
    pub(super) fn object(&self, what: &str) -> String {
        format!("{what} of {}", self.name)
    }

    /// The registry itself.
    pub(super) fn origin(&self) -> &Source {
        self.sources.last().expect("the registry itself is always among them")
    }

    /// The number of the first server that is worth asking.
    pub(super) fn first(&self) -> usize {
        let last = self.sources.len() - 1;
        self.sources[..last].iter().position(|mirror| !mirror.is_passed_over()).unwrap_or(last)
    }

    pub(super) fn source(&self, number: usize) -> &Source {
        &self.sources[number]
    }

    pub(super) fn is_mirror(&self, number: usize) -> bool {
        number + 1 < self.sources.len()
    }

    /// The mirror of that number is not asked again, as it failed with `error`.
    pub(super) fn pass_over(&self, number: usize, error: &RegistryError) {
        let mirror = self.source(number);
        mirror.pass_over();
        let error = error as &dyn std::error::Error;
        tracing::warn!(mirror = mirror.server(), error, "a mirror fails and is passed over");
    }

    /// Asks the registry alone from now on, as a mirror has sent something wrong.
    pub(crate) fn leave_mirrors(&self) {
        let (_, mirrors) = self.sources.split_last().expect("the registry itself is always among them");
        if mirrors.iter().all(Source::is_passed_over) {
            return;
        }
        mirrors.iter().for_each(Source::pass_over);
        tracing::warn!(repository = self.name, "a mirror sends wrong content; the registry is asked alone");
    }

    /// Fetches a manifest or index by tag or digest. What a digest names has that digest.
    pub(crate) async fn manifest(
        &self,
        tag: Option<&str>,
        digest: Option<&Digest>,
    ) -> Result<FetchedManifest, RegistryError> {
        loop {
            let number = self.first();
            if !self.is_mirror(number) {
                break;
            }
            match self.manifest_from(self.source(number), tag, digest).await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => self.pass_over(number, &error),
            }
        }
        let mut attempts = self.http.attempts();
        loop {
            match self.manifest_from(self.origin(), tag, digest).await {
                Ok(fetched) => return Ok(fetched),
                Err(error) if error.kind() == ErrorKind::Unauthenticated => {
                    return Err(error.advise(&self.login_advice()));
                }
                Err(error) => attempts.after(error).await?,
            }
        }
    }

    async fn manifest_from(
        &self,
        source: &Source,
        tag: Option<&str>,
        expected: Option<&Digest>,
    ) -> Result<FetchedManifest, RegistryError> {
        let target = expected.map(Digest::to_string).or(tag.map(str::to_owned)).unwrap_or_default();
        let object = self.object(&format!("manifest {target}"));
        let request = Request::get(source.url("manifests", &target))
            .header(ACCEPT, HeaderValue::from_static(manifest::ACCEPT));
        let response = source.send(&object, &request).await?;
        if response.status() != StatusCode::OK {
            return Err(client::failure(&object, source.is_known(), response).await);
        }
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let content_type = header(CONTENT_TYPE.as_str());
        let claimed = header("docker-content-digest");
        let bytes = self.http.read_bounded(&object, response, MAX_MANIFEST_SIZE).await?;
        let algorithm = expected.map_or(DigestAlgorithm::Sha256, Digest::algorithm);
        let digest = Hasher::digest(algorithm, &bytes);
        let lies = |text: String| Err(RegistryError::lasting(&object, ErrorKind::DataLoss, text));
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
}
