//! What a registry has, and what makes an image of it: blobs by HEAD, manifests by PUT.
//!
//! Source: OCI distribution specification, "Push".

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use ross_types::{Digest, ErrorKind};

use super::client::{self, Request};
use super::payload::Payload;
use super::upload::{Setback, digest_of};
use super::{RegistryError, Repository};

impl Repository {
    /// Whether the repository has the blob `digest` of `size` bytes. A registry that does not tell has it not.
    pub(crate) async fn has_blob(&self, digest: &Digest, size: u64) -> Result<bool, RegistryError> {
        let object = self.object(&format!("blob {digest}"));
        let request = Request::new(Method::HEAD, self.origin().url("blobs", &digest.to_string()));
        let known = [StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
        let response = self.insist(&object, &request, &known).await?;
        let length =
            response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(response.status() == StatusCode::OK
            && length.is_none_or(|length: u64| length == size)
            && digest_of(&response).is_none_or(|actual| actual == *digest))
    }

    /// Makes `target`, a tag or a digest, lead to this manifest. Everything it names is there already.
    pub(crate) async fn put_manifest(
        &self,
        target: &str,
        media_type: &str,
        bytes: Bytes,
        digest: &Digest,
    ) -> Result<(), RegistryError> {
        let object = self.object(&format!("manifest {target}"));
        let media_type = HeaderValue::try_from(media_type).map_err(|_| {
            RegistryError::lasting(&object, ErrorKind::DataLoss, "its media type cannot be sent")
        })?;
        let mut request = Request::new(Method::PUT, self.origin().url("manifests", target))
            .header(CONTENT_TYPE, media_type);
        request.body = Some(Payload::Bytes(bytes));
        let response = self.insist(&object, &request, &[StatusCode::CREATED]).await?;
        match digest_of(&response) {
            Some(stored) if stored != *digest => {
                let text = format!("the registry stored it as {stored}, and it is {digest}");
                Err(RegistryError::lasting(&object, ErrorKind::DataLoss, text))
            }
            _ => Ok(()),
        }
    }

    /// Sends `request` until one of these answers comes, or a failure that does not pass.
    pub(super) async fn insist(
        &self,
        object: &str,
        request: &Request,
        wanted: &[StatusCode],
    ) -> Result<Response, RegistryError> {
        let mut attempts = self.http.attempts();
        loop {
            match self.try_once(object, request, wanted).await {
                Ok(response) => return Ok(response),
                Err(Setback { error, .. }) => attempts.after(error).await?,
            }
        }
    }

    /// Sends `request` once.
    pub(super) async fn try_once(
        &self,
        object: &str,
        request: &Request,
        wanted: &[StatusCode],
    ) -> Result<Response, Setback> {
        let response = self.origin().send(object, request).await.map_err(Setback::of)?;
        let status = response.status();
        if wanted.contains(&status) {
            return Ok(response);
        }
        let error = client::failure(object, self.origin().is_known(), response).await;
        let error = match error.kind() {
            ErrorKind::Unauthenticated | ErrorKind::PermissionDenied => error.advise(&self.login_advice()),
            _ => error,
        };
        Err(Setback { error, status: Some(status) })
    }
}
