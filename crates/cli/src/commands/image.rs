//! Image commands other than pull and push.

use jiff::Timestamp;
use ross_api::v1::{
    BuildImageRequest, BuildImageResponse, LoadImagesRequest, RemoveImageRequest, SearchImagesRequest,
    TagImageRequest, build_image_request, build_image_response,
};
use tokio_stream::StreamExt as _;

use super::{Context, Outcome, archive};
use crate::args::{BuildArgs, ImageListArgs, ImageRemoveArgs, LoadArgs, SearchArgs, TagArgs};
use crate::credentials::auth_for;
use crate::failure::Failure;
use crate::render::image::{Columns, id, list as table, results, row_count};
use crate::render::json_image;
use crate::request;
use crate::value::pair;

/// `images`, `image list`
pub async fn list(args: &ImageListArgs, context: &mut Context) -> Outcome {
    let request = request::list(args)?;
    let images = context.daemon().await?.images().list_images(request).await?.into_inner().images;
    if context.json() {
        context.print_json(&images.iter().map(json_image::summary).collect())?;
    } else if args.quiet {
        let line = |image: &ross_api::v1::ImageSummary| {
            format!("{}\n", id(&image.id, args.no_trunc)).repeat(row_count(image))
        };
        context.streams.stdout.write(images.iter().map(line).collect::<String>())?;
    } else {
        let columns = Columns { whole: args.no_trunc, digests: args.digests };
        context.streams.stdout.write(table(&images, columns, Timestamp::now()))?;
    }
    Ok(0)
}

/// `rmi`, `image remove`
pub async fn remove(args: ImageRemoveArgs, context: &mut Context) -> Outcome {
    let mut client = context.daemon().await?.images();
    let mut failed = false;
    for image in args.images {
        let request = RemoveImageRequest { image, force: args.force, no_prune: args.no_prune };
        match client.remove_image(request).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                for name in &answer.untagged {
                    context.streams.stdout.line(format_args!("Untagged: {name}"))?;
                }
                for name in &answer.deleted {
                    context.streams.stdout.line(format_args!("Deleted: {name}"))?;
                }
            }
            Err(status) => {
                let failure = Failure::from(status);
                context.streams.stderr.say(&failure);
                // By force, what is gone already is no failure, as with docker.
                failed |= !(args.force && failure.is_not_found());
            }
        }
    }
    if failed { Err(Failure::Reported) } else { Ok(0) }
}

/// `tag`
pub async fn tag(args: TagArgs, context: &mut Context) -> Outcome {
    let target = request::pull_reference(&args.target, args.tag.as_deref())?;
    let request = TagImageRequest { source: args.source, target };
    context.daemon().await?.images().tag_image(request).await?;
    Ok(0)
}

/// `search`
pub async fn search(args: SearchArgs, context: &mut Context) -> Outcome {
    let filters = pair::filters(&args.filters)?;
    // A term begins with a registry by the rule of references, or is for docker's hub.
    let registry = args.term.split_once('/').map_or("docker.io", |(first, _)| first);
    let auth = auth_for(&format!("{registry}/term"), &context.streams).await;
    let request = SearchImagesRequest { term: args.term, limit: args.limit, auth, filters };
    let found = context.daemon().await?.images().search_images(request).await?.into_inner().results;
    if context.json() {
        context.print_json(&found.iter().map(json_image::found).collect())?;
    } else {
        context.streams.stdout.write(results(&found, args.no_trunc))?;
    }
    Ok(0)
}

/// `build`
pub async fn build(args: &BuildArgs, context: &mut Context) -> Outcome {
    let options = request::build(args)?;
    let metadata = std::fs::metadata(&args.context);
    let is_directory = metadata.map_err(|source| Failure::File {
        what: "the build's directory",
        path: args.context.clone(),
        source,
    })?;
    if !is_directory.is_dir() {
        return Err(Failure::Usage(format!("`{}` is no directory", args.context.display())));
    }
    let first = BuildImageRequest { part: Some(build_image_request::Part::Options(options)) };
    let mut events =
        context.daemon().await?.images().build_image(tokio_stream::once(first)).await?.into_inner();
    while let Some(BuildImageResponse { event }) = events.message().await? {
        match event {
            Some(build_image_response::Event::Log(line)) => context.streams.stderr.line(line)?,
            Some(build_image_response::Event::Built(built)) => {
                context.streams.stdout.line(&built.id)?;
                return Ok(0);
            }
            None => {}
        }
    }
    Err(Failure::Protocol("a build ended without its image"))
}

/// `load`
pub async fn load(args: LoadArgs, context: &mut Context) -> Outcome {
    let mut client = context.daemon().await?.images();
    let hint = "name an archive with --input, or redirect one";
    let (sending, chunks) = archive::open_or_pack(args.input.as_deref(), hint, context)?;
    let chunks = chunks.map(|chunk| LoadImagesRequest { chunk: chunk.bytes, last: chunk.last });
    let loaded = sending.answer(client.load_images(chunks)).await?;
    for image in &loaded.get_ref().images {
        if image.references.is_empty() {
            context.streams.stdout.line(format_args!("Loaded image ID: {}", image.id))?;
        }
        for reference in &image.references {
            context.streams.stdout.line(format_args!("Loaded image: {reference}"))?;
        }
    }
    Ok(0)
}
