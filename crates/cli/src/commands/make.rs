//! `commit`, `export`, `import`, `history`.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use ross_api::v1::{
    CommitContainerRequest, ExportContainerRequest, ImportImageRequest, ImportOptions, InspectImageRequest,
    import_image_request::Part,
};
use tokio_stream::StreamExt as _;

use super::{Context, Outcome, archive};
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
    let first = tokio_stream::once(ImportImageRequest { part: Some(Part::Options(options)) });
    let rest = chunks.map(|chunk| ImportImageRequest { part: Some(Part::Chunk(chunk)) });
    let imported = client.import_image(first.chain(rest)).await;
    sending.checked()?;
    context.streams.stdout.line(imported?.into_inner().id)?;
    Ok(0)
}

/// `export`
pub async fn export(args: ExportArgs, context: &mut Context) -> Outcome {
    if args.output.is_none() && context.streams.terminal.stdout {
        let text = "standard output is a terminal: name a file with --output, or redirect it";
        return Err(Failure::Usage(text.to_owned()));
    }
    let request = ExportContainerRequest { container: args.container };
    let mut pieces = context.daemon().await?.containers().export_container(request).await?.into_inner();
    let Some(path) = args.output else {
        while let Some(piece) = pieces.message().await? {
            context.streams.stdout.write(&piece.chunk)?;
        }
        return Ok(0);
    };
    // The first piece tells whether there is anything to export: until then no file is made.
    let mut piece = pieces.message().await?;
    let mut output = Output::create(&path)?;
    while let Some(bytes) = piece {
        output.write(&bytes.chunk)?;
        piece = pieces.message().await?;
    }
    output.finish()?;
    Ok(0)
}

/// A file that gets its name when it is whole. What is no regular file, such as /dev/null, is written to as it is.
struct Output {
    file: File,
    path: PathBuf,
    temporary: Option<PathBuf>,
}

impl Output {
    fn create(path: &Path) -> Result<Self, Failure> {
        let failed = |source| Failure::File { what: "cannot write", path: path.to_owned(), source };
        let special = std::fs::metadata(path).is_ok_and(|meta| !meta.is_file());
        if special {
            let file = File::options().write(true).open(path).map_err(failed)?;
            return Ok(Self { file, path: path.to_owned(), temporary: None });
        }
        let mut name =
            path.file_name().ok_or_else(|| failed(std::io::ErrorKind::IsADirectory.into()))?.to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let temporary = path.with_file_name(name);
        let file = File::create(&temporary).map_err(failed)?;
        Ok(Self { file, path: path.to_owned(), temporary: Some(temporary) })
    }

    fn failed(&self, source: std::io::Error) -> Failure {
        Failure::File { what: "cannot write", path: self.path.clone(), source }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|source| self.failed(source))
    }

    fn finish(mut self) -> Result<(), Failure> {
        if let Some(temporary) = &self.temporary {
            std::fs::rename(temporary, &self.path).map_err(|source| self.failed(source))?;
            self.temporary = None;
        }
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // Why there is no file was told; half of one is of no use.
            let _ = std::fs::remove_file(temporary);
        }
    }
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
