//! One blob of a push: found at the registry, taken over from another repository, or sent.

use std::sync::Arc;

use ross_types::Digest;

use super::subject::Subject;
use crate::content::{ContentError, Hasher};
use crate::error::Error;
use crate::manifest::Descriptor;
use crate::progress::{PushEvent, PushSink, PushState};
use crate::pull::bring_back;
use crate::registry::{Credentials, Repository, Upload, Uploaded};
use crate::store::{Inner, blocking};

/// Takes the states of one blob.
type Reporter = Arc<dyn Fn(PushState) + Send + Sync>;

/// What the blobs of a push share.
pub(super) struct Push {
    pub(super) inner: Arc<Inner>,
    pub(super) repository: Arc<Repository>,
    pub(super) subject: Subject,
    pub(super) registry: String,
    pub(super) credentials: Option<Credentials>,
    pub(super) progress: PushSink,
}

impl Push {
    /// Tells of one layer.
    fn reporter(self: &Arc<Self>, layer: &Digest) -> Reporter {
        let (push, digest) = (self.clone(), layer.clone());
        Arc::new(move |state| (push.progress)(PushEvent { digest: digest.clone(), state }))
    }

    /// Sees to it that the repository has a layer.
    pub(super) async fn layer(self: &Arc<Self>, layer: &Descriptor) -> Result<(), Error> {
        let report = self.reporter(&layer.digest);
        let done = if self.subject.is_foreign(&layer.digest) {
            PushState::Foreign
        } else {
            match self.blob(layer, &report).await? {
                None => PushState::Exists,
                Some(Uploaded::Mounted(from)) => PushState::Mounted(from),
                Some(Uploaded::Sent) => PushState::Pushed,
            }
        };
        report(done);
        Ok(())
    }

    /// Sees to it that the repository has the configuration, of which nobody is told.
    pub(super) async fn config(self: &Arc<Self>, config: &Descriptor) -> Result<(), Error> {
        let silent: Reporter = Arc::new(|_| {});
        self.blob(config, &silent).await.map(drop)
    }

    /// Sees to it that the repository has a blob; none says that it had it.
    async fn blob(&self, blob: &Descriptor, report: &Reporter) -> Result<Option<Uploaded>, Error> {
        let digest = &blob.digest;
        if self.repository.has_blob(digest, blob.size).await? {
            return Ok(None);
        }
        let file = match self.open(blob).await? {
            Some(file) => file,
            None => {
                report(PushState::Fetching);
                let registry = self.registry.as_str();
                bring_back(
                    &self.inner,
                    &self.subject.record,
                    blob,
                    Some((registry, self.credentials.clone())),
                )
                .await?;
                self.open(blob).await?.ok_or_else(|| ContentError::Missing(digest.clone()))?
            }
        };
        let (report, total) = (report.clone(), blob.size);
        let position = Arc::new(move |done| report(PushState::Pushing { done, total }));
        let upload = Upload::new(&self.repository, digest, blob.size, file, position);
        match upload.run(&self.subject.others_with(digest)).await {
            Ok(uploaded) => Ok(Some(uploaded)),
            Err(error) => {
                // What the registry refuses may be wrong here already: then that is the cause.
                self.check(blob).await?;
                Err(error.into())
            }
        }
    }

    /// The blob's file; none when it is not here, or not of its size.
    async fn open(&self, blob: &Descriptor) -> Result<Option<std::fs::File>, Error> {
        let (inner, blob) = (self.inner.clone(), blob.clone());
        blocking(move || match inner.blobs.reader(&blob.digest) {
            Ok((file, size)) => Ok((size == blob.size).then_some(file)),
            Err(ContentError::Missing(_)) => Ok(None),
            Err(error) => Err(error.into()),
        })
        .await
    }

    async fn check(&self, blob: &Descriptor) -> Result<(), Error> {
        let (inner, digest) = (self.inner.clone(), blob.digest.clone());
        blocking(move || {
            let (file, _) = inner.blobs.reader(&digest)?;
            let actual = Hasher::digest_of(digest.algorithm(), file)
                .map_err(ContentError::file("read", &inner.blobs.path(&digest)))?;
            if actual == digest {
                Ok(())
            } else {
                Err(ContentError::Digest { expected: digest, actual }.into())
            }
        })
        .await
    }
}
