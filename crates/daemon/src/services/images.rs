//! Service `ImageService`.

use std::collections::HashMap;

use ross_api::v1::image_service_server::ImageService;
use ross_api::v1::*;
use ross_engine::Engine;
use ross_engine::model::ListQuery;
use ross_image::{ImageStore, Removed};
use ross_types::{Digest, ImageRef, Platform as ImagePlatform, RegistryHost};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};

use super::streams::InputTask;
use crate::convert;
use crate::convert::archive::{Archive, Piece};
use crate::convert::pull::pull;
use crate::convert::push::push;
use crate::convert::search::SearchFilters;
use crate::peer::log_change;
use crate::status::{internal, invalid, of_engine, of_image, unimplemented};
use crate::stop::{Answers, Stop};

/// Pieces of an archive on their way to the unpacker.
const ARCHIVE_PIECES: usize = 8;

/// Images.
#[derive(Debug)]
pub struct Images {
    engine: Engine,
    stop: Stop,
}

impl Images {
    /// The service over `engine`.
    pub fn new(engine: Engine, stop: Stop) -> Self {
        Self { engine, stop }
    }

    /// A call of the store that reads or writes the disk, off the threads that answer.
    async fn on_disk<T: Send + 'static>(
        &self,
        object: &str,
        call: impl FnOnce(&ImageStore) -> Result<T, ross_image::Error> + Send + 'static,
    ) -> Result<T, Status> {
        let images = self.engine.images().clone();
        let done = tokio::task::spawn_blocking(move || call(&images)).await;
        let done = done.map_err(|error| internal(format!("image store: {error}")))?;
        done.map_err(|error| of_image(&error, object))
    }

    /// How many containers use each image.
    async fn uses(&self) -> Result<HashMap<Digest, u32>, Status> {
        let all = ListQuery { all: true, ..ListQuery::default() };
        let mut uses = HashMap::new();
        for container in self.engine.list(all).await.map_err(|error| of_engine(&error))? {
            *uses.entry(container.image_id).or_insert(0) += 1;
        }
        Ok(uses)
    }
}

fn reference(field: &str, text: &str) -> Result<ImageRef, Status> {
    text.parse().map_err(|error| invalid(field, error))
}

/// A message's share of an archive.
struct Chunk {
    bytes: bytes::Bytes,
    /// It is the last one.
    last: bool,
}

/// An archive that comes in messages, and the task that takes them, which ends with the call.
fn feed<M: Send + 'static>(
    mut messages: Streaming<M>,
    chunk: impl Fn(M) -> Result<Chunk, Status> + Send + 'static,
) -> (Archive, InputTask) {
    let (pieces, queue) = mpsc::channel(ARCHIVE_PIECES);
    let feeding = tokio::spawn(async move {
        loop {
            // A call that is given up ends like one that is done: only what says so is the end.
            let (piece, last) =
                match messages.message().await.and_then(|message| message.map(&chunk).transpose()) {
                    Ok(Some(Chunk { bytes, last })) => (Ok(Piece::Bytes(bytes)), last),
                    Ok(None) => return,
                    Err(status) => (Err(std::io::Error::other(status.message().to_owned())), false),
                };
            let failed = piece.is_err();
            if pieces.send(piece).await.is_err() || failed {
                return;
            }
            if last {
                // Whoever reads may have had enough.
                let _ = pieces.send(Ok(Piece::End)).await;
                return;
            }
        }
    });
    (Archive::new(queue), InputTask(feeding))
}

#[tonic::async_trait]
impl ImageService for Images {
    type PullImageStream = Answers<PullImageResponse>;
    type PushImageStream = Answers<PushImageResponse>;
    type BuildImageStream = Answers<BuildImageResponse>;
    type SaveImagesStream = Answers<SaveImagesResponse>;
    type VerifyImagesStream = Answers<VerifyImagesResponse>;

    async fn list_images(
        &self,
        request: Request<ListImagesRequest>,
    ) -> Result<Response<ListImagesResponse>, Status> {
        let request = request.into_inner();
        let images = self.on_disk("images", ImageStore::list).await?;
        let filters = convert::filter::ImageFilters::parse(&request.filters, &images)?;
        let uses = self.uses().await?;
        let listed = move |store: &ImageStore| {
            let accepted = images.iter().filter(|image| filters.accept(image));
            let summary = |image: &ross_image::Image| {
                let containers = uses.get(&image.record.id).copied().unwrap_or(0);
                let size = store.layer_sizes(image).iter().sum();
                convert::image::summary(image, &filters.shown(image), containers, size)
            };
            Ok(accepted.map(summary).collect())
        };
        let images = self.on_disk("images", listed).await?;
        Ok(Response::new(ListImagesResponse { images }))
    }

    async fn inspect_image(
        &self,
        request: Request<InspectImageRequest>,
    ) -> Result<Response<InspectImageResponse>, Status> {
        let name = request.into_inner().image;
        let image = self.engine.image(&name).await.map_err(|error| of_engine(&error))?;
        let uses = self.uses().await?.get(&image.record.id).copied().unwrap_or(0);
        let inspected = move |store: &ImageStore| {
            Ok(convert::image::inspection(&image, uses, &store.layer_sizes(&image)))
        };
        Ok(Response::new(self.on_disk(&name, inspected).await?))
    }

    async fn pull_image(
        &self,
        request: Request<PullImageRequest>,
    ) -> Result<Response<Self::PullImageStream>, Status> {
        log_change(&request, "PullImage", &request.get_ref().reference);
        let request = request.into_inner();
        let reference = reference("reference", &request.reference)?;
        let platform = match request.platform.as_str() {
            "" => ImagePlatform::host(),
            text => text.parse().map_err(|error| invalid("platform", error))?,
        };
        let credentials = request.auth.and_then(convert::pull::credentials);
        let pull = pull(self.engine.images().clone(), reference, platform, credentials);
        Ok(Response::new(self.stop.cut(pull)))
    }

    async fn push_image(
        &self,
        request: Request<PushImageRequest>,
    ) -> Result<Response<Self::PushImageStream>, Status> {
        log_change(&request, "PushImage", &request.get_ref().reference);
        let request = request.into_inner();
        let reference = reference("reference", &request.reference)?;
        let references = if request.all_tags {
            self.on_disk(&request.reference, move |images| images.tags(&reference)).await?
        } else {
            vec![reference]
        };
        let credentials = request.auth.and_then(convert::pull::credentials);
        let push = push(self.engine.images().clone(), references, credentials);
        Ok(Response::new(self.stop.cut(push)))
    }

    async fn build_image(
        &self,
        _: Request<Streaming<BuildImageRequest>>,
    ) -> Result<Response<Self::BuildImageStream>, Status> {
        Err(unimplemented("building an image", "build it with another tool, then load or pull it"))
    }

    async fn load_images(
        &self,
        request: Request<Streaming<LoadImagesRequest>>,
    ) -> Result<Response<LoadImagesResponse>, Status> {
        log_change(&request, "LoadImages", "");
        let chunk = |LoadImagesRequest { chunk: bytes, last }| Ok(Chunk { bytes, last });
        let (archive, _feeding) = feed(request.into_inner(), chunk);
        let quiet = std::sync::Arc::new(|_| {});
        let loading = self.engine.images().load(archive, quiet);
        let mut stop = self.stop.clone();
        let loaded = tokio::select! {
            loaded = loading => loaded.map_err(|error| of_image(&error, "archive"))?,
            () = stop.stopped() => return Err(crate::status::stopping()),
        };
        let images = loaded.iter().map(convert::image::loaded).collect();
        Ok(Response::new(LoadImagesResponse { images }))
    }

    async fn remove_image(
        &self,
        request: Request<RemoveImageRequest>,
    ) -> Result<Response<RemoveImageResponse>, Status> {
        log_change(&request, "RemoveImage", &request.get_ref().image);
        let request = request.into_inner();
        let removed = self.engine.remove_image(&request.image, request.force).await;
        let mut answer = RemoveImageResponse::default();
        for step in removed.map_err(|error| of_engine(&error))? {
            match step {
                Removed::Untagged(name) => answer.untagged.push(name),
                Removed::Deleted(id) => answer.deleted.push(id.to_string()),
            }
        }
        Ok(Response::new(answer))
    }

    async fn tag_image(
        &self,
        request: Request<TagImageRequest>,
    ) -> Result<Response<TagImageResponse>, Status> {
        log_change(&request, "TagImage", &request.get_ref().target);
        let request = request.into_inner();
        let target = reference("target", &request.target)?;
        let image = self.engine.image(&request.source).await.map_err(|error| of_engine(&error))?;
        self.on_disk(&request.target, move |images| images.tag(&image, &target)).await?;
        Ok(Response::new(TagImageResponse {}))
    }

    async fn search_images(
        &self,
        request: Request<SearchImagesRequest>,
    ) -> Result<Response<SearchImagesResponse>, Status> {
        let request = request.into_inner();
        let limit = convert::search::limit(request.limit)?;
        let filters = SearchFilters::parse(&request.filters)?;
        let credentials = request.auth.and_then(convert::pull::credentials);
        let found = self.engine.images().search(&request.term, limit, credentials).await;
        let found = found.map_err(|error| of_image(&error, &request.term))?;
        Ok(Response::new(SearchImagesResponse { results: filters.results(found) }))
    }

    async fn save_images(
        &self,
        request: Request<SaveImagesRequest>,
    ) -> Result<Response<Self::SaveImagesStream>, Status> {
        let names = request.into_inner().images;
        if names.is_empty() {
            return Err(invalid("images", "name at least one"));
        }
        let object = names.join(" ");
        let saving = self.engine.images().save(names).await.map_err(|error| of_image(&error, &object))?;
        Ok(Response::new(self.stop.cut(convert::save::archive(saving))))
    }

    async fn login(&self, request: Request<LoginRequest>) -> Result<Response<LoginResponse>, Status> {
        let LoginRequest { registry, auth } = request.into_inner();
        let registry: RegistryHost = registry.parse().map_err(|error| invalid("registry", error))?;
        let credentials = auth.and_then(convert::pull::credentials);
        let credentials = credentials.ok_or_else(|| invalid("auth", "there are no credentials in it"))?;
        let identity_token = self.engine.images().login(&registry, &credentials).await;
        let identity_token = identity_token.map_err(|error| of_image(&error, registry.as_str()))?;
        Ok(Response::new(LoginResponse { identity_token: identity_token.unwrap_or_default() }))
    }

    async fn verify_images(
        &self,
        request: Request<VerifyImagesRequest>,
    ) -> Result<Response<Self::VerifyImagesStream>, Status> {
        if request.get_ref().repair {
            log_change(&request, "VerifyImages", &request.get_ref().images.join(" "));
        }
        let verifying = convert::verify::verify(self.engine.clone(), request.into_inner());
        Ok(Response::new(self.stop.cut(verifying)))
    }

    async fn import_image(
        &self,
        request: Request<Streaming<ImportImageRequest>>,
    ) -> Result<Response<ImportImageResponse>, Status> {
        use import_image_request::Part;
        log_change(&request, "ImportImage", "");
        let mut messages = request.into_inner();
        let Some(ImportImageRequest { part: Some(Part::Options(options)), .. }) = messages.message().await?
        else {
            return Err(invalid("part", "the first one must be `options`"));
        };
        let request = convert::image::import(options)?;
        let (archive, _feeding) = feed(messages, |ImportImageRequest { part, last }| match part {
            Some(Part::Chunk(bytes)) => Ok(Chunk { bytes, last }),
            None if last => Ok(Chunk { bytes: bytes::Bytes::new(), last }),
            _ => Err(invalid("part", "only the first one may be `options`")),
        });
        let mut stop = self.stop.clone();
        let id = tokio::select! {
            id = self.engine.import(archive, request) => id.map_err(|error| of_engine(&error))?,
            () = stop.stopped() => return Err(crate::status::stopping()),
        };
        Ok(Response::new(ImportImageResponse { id: id.to_string() }))
    }
}
