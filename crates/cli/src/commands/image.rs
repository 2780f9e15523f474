//! Image commands other than pull and push.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::PathBuf;

use bytes::Bytes;
use jiff::Timestamp;
use ross_api::v1::{
    BuildImageRequest, BuildImageResponse, LoadImagesRequest, RemoveImageRequest, SearchImagesRequest,
    TagImageRequest, build_image_request, build_image_response,
};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::{Context, Outcome, layout};
use crate::args::{BuildArgs, ImageListArgs, ImageRemoveArgs, LoadArgs, SearchArgs, TagArgs};
use crate::failure::Failure;
use crate::render::image::{Columns, id, list as table, results, row_count};
use crate::render::json_image;
use crate::request;
use crate::value::pair;

/// Bytes of an archive in one message, and messages read ahead.
const CHUNK_BYTES: usize = 256 * 1024;
const CHUNKS: usize = 4;

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
    let request = SearchImagesRequest { term: args.term, limit: args.limit, auth: None, filters };
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
    let what = args.input.clone().unwrap_or_else(|| PathBuf::from("standard input"));
    let failed = |source| Failure::File { what: "cannot read the archive", path: what.clone(), source };
    let source = match &args.input {
        Some(path) if path.is_dir() => {
            layout::check(path).map_err(failed)?;
            Source::Layout(path.clone())
        }
        Some(path) => Source::Archive(Box::new(File::open(path).map_err(failed)?)),
        None if context.streams.terminal.stdin => {
            let reason = "standard input is a terminal: name an archive with --input, or redirect one";
            return Err(Failure::Usage(reason.to_owned()));
        }
        None => {
            let stdin = context.streams.stdin.take();
            Source::Archive(stdin.ok_or(Failure::Protocol("standard input is taken"))?)
        }
    };
    let mut client = context.daemon().await?.images();
    let (chunks, queue) = mpsc::channel(CHUNKS);
    let (finish, mut finished) = oneshot::channel();
    std::thread::spawn(move || {
        // Nobody asks when the daemon refused before the end.
        let _ = finish.send(send(source, &chunks));
    });
    let messages = ReceiverStream::new(queue).map(|chunk| LoadImagesRequest { chunk });
    let loaded = client.load_images(messages).await;
    // What could not be read ends the archive too early, of which the daemon complains in turn: the cause is told. The
    // thread tells before it lets go of its end of the queue, so that nothing has to be waited for.
    if let Ok(Err(source)) = finished.try_recv() {
        return Err(failed(source));
    }
    for image in &loaded?.get_ref().images {
        if image.references.is_empty() {
            context.streams.stdout.line(format_args!("Loaded image ID: {}", image.id))?;
        }
        for reference in &image.references {
            context.streams.stdout.line(format_args!("Loaded image: {reference}"))?;
        }
    }
    Ok(0)
}

/// What is loaded.
enum Source {
    Archive(Box<dyn Read + Send>),
    /// A directory that is packed on the way.
    Layout(PathBuf),
}

/// Sends what is written on as messages.
struct Chunks<'a>(&'a mpsc::Sender<Bytes>);

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(bytes));
        sent.map(|()| bytes.len()).map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn send(source: Source, chunks: &mpsc::Sender<Bytes>) -> std::io::Result<()> {
    match source {
        Source::Archive(archive) => send_archive(archive, chunks),
        Source::Layout(dir) => {
            let packed = layout::pack(&dir, BufWriter::with_capacity(CHUNK_BYTES, Chunks(chunks)));
            // The daemon does not take any more, and says why.
            packed.or_else(|error| if chunks.is_closed() { Ok(()) } else { Err(error) })
        }
    }
}

fn send_archive(mut archive: Box<dyn Read + Send>, chunks: &mpsc::Sender<Bytes>) -> std::io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match archive.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                if chunks.blocking_send(Bytes::copy_from_slice(&buffer[..length])).is_err() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
