//! `commit`, `export`, `import`, `history`.

use std::path::PathBuf;

use jiff::Timestamp;
use ross_api::v1::{
    CommitContainerRequest, ExportContainerRequest, ImportImageRequest, ImportOptions, InspectImageRequest,
    import_image_request::Part,
};
use tokio_stream::StreamExt as _;

use super::{Context, Outcome, archive, output};
use crate::args::{CommitArgs, ExportArgs, HistoryArgs, ImportArgs};
use crate::failure::Failure;
use crate::render::{history, json_image};
use crate::request::image_name;

/// `commit`
pub async fn commit(args: CommitArgs, context: &mut Context) -> Outcome {
    let request = CommitContainerRequest {
        container: args.container,
        reference: image_name(args.reference.as_deref())?,
        author: args.author,
        message: args.message,
        changes: args.changes,
        no_pause: args.no_pause || !args.pause,
    };
    let made = context.daemon().await?.containers().commit_container(request).await?.into_inner();
    context.streams.stdout.line(made.id)?;
    Ok(0)
}

/// `import`
pub async fn import(args: ImportArgs, context: &mut Context) -> Outcome {
    if args.archive.contains("://") {
        let text = format!(
            "`{}` is a URL, which ross does not fetch: download it, and import the file or `-` for standard input",
            args.archive
        );
        return Err(Failure::Usage(text));
    }
    let options = ImportOptions {
        reference: image_name(args.reference.as_deref())?,
        message: args.message,
        changes: args.changes,
        platform: args.platform.unwrap_or_default(),
    };
    let path = (args.archive != "-").then(|| PathBuf::from(&args.archive));
    let mut client = context.daemon().await?.images();
    let (sending, chunks) = archive::open(path.as_deref(), "name an archive, or redirect one", context)?;
    let first = tokio_stream::once(ImportImageRequest { part: Some(Part::Options(options)), last: false });
    let rest =
        chunks.map(|chunk| ImportImageRequest { part: Some(Part::Chunk(chunk.bytes)), last: chunk.last });
    let imported = sending.answer(client.import_image(first.chain(rest))).await?;
    context.streams.stdout.line(imported.into_inner().id)?;
    Ok(0)
}

/// `export`
pub async fn export(args: ExportArgs, context: &mut Context) -> Outcome {
    output::check(args.output.as_deref(), context)?;
    let request = ExportContainerRequest { container: args.container };
    let pieces = context.daemon().await?.containers().export_container(request).await?.into_inner();
    output::write(pieces.map(|answer| answer.map(|piece| piece.chunk)), args.output.as_deref(), context)
        .await?;
    Ok(0)
}

/// `history`
pub async fn history(args: HistoryArgs, context: &mut Context) -> Outcome {
    let request = InspectImageRequest { image: args.image };
    let image = context.daemon().await?.images().inspect_image(request).await?.into_inner();
    if context.json() {
        context.print_json(&json_image::history(&image))?;
    } else if args.quiet {
        context.streams.stdout.write(history::ids(&image, args.no_trunc))?;
    } else {
        let style = history::Style { whole: args.no_trunc, human: args.human };
        context.streams.stdout.write(history::table(&image, style, Timestamp::now()))?;
    }
    Ok(0)
}
