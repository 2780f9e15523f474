//! Making a container, fetching its image first when that is needed; the file with its id.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use ross_api::v1::{CreateContainerRequest, CreateContainerResponse, InspectImageRequest};
use tonic::Code;

use super::{Context, Outcome, pull};
use crate::args::{OptionArgs, PullPolicy};
use crate::connect::Daemon;
use crate::failure::Failure;
use crate::request::{self, Surroundings};

/// `create`: prints the id.
pub async fn command(
    options: &OptionArgs,
    image: &str,
    command: &[String],
    context: &mut Context,
) -> Outcome {
    let request = request::create(options, image, command, &Surroundings::of_process())?;
    let id_file = IdFile::reserve(options.cidfile.as_deref())?;
    let daemon = context.daemon().await?;
    let created = create(&daemon, request, options, context).await?;
    id_file.keep(&created.id)?;
    context.streams.stdout.line(&created.id)?;
    Ok(0)
}

/// A command line without an image.
pub fn no_image() -> Failure {
    Failure::Usage("the name of an image is missing".to_owned())
}

/// Makes the container; its image is pulled before or after the first try, as the policy wants.
pub async fn create(
    daemon: &Daemon,
    request: CreateContainerRequest,
    options: &OptionArgs,
    context: &Context,
) -> Result<CreateContainerResponse, Failure> {
    let fetch = async || {
        let platform = options.platform.as_deref().unwrap_or_default();
        pull::fetch(daemon, &request.image, platform, options.quiet, &context.streams).await
    };
    if options.pull == PullPolicy::Always {
        fetch().await?;
    }
    let mut client = daemon.containers();
    let created = match client.create_container(request.clone()).await {
        Err(status)
            if status.code() == Code::NotFound
                && options.pull == PullPolicy::Missing
                && is_missing(daemon, &request.image).await? =>
        {
            if !options.quiet {
                context.streams.stderr.say(format_args!("no image `{}` here; pulling it", request.image));
            }
            fetch().await?;
            client.create_container(request).await?.into_inner()
        }
        answer => answer?.into_inner(),
    };
    for warning in &created.warnings {
        context.streams.stderr.say(format_args!("warning: {warning}"));
    }
    Ok(created)
}

/// Whether it is the image that was not found, and not a container or network that the request names.
async fn is_missing(daemon: &Daemon, image: &str) -> Result<bool, Failure> {
    match daemon.images().inspect_image(InspectImageRequest { image: image.to_owned() }).await {
        Ok(_) => Ok(false),
        Err(status) if status.code() == Code::NotFound => Ok(true),
        Err(status) => Err(status.into()),
    }
}

/// The file of `--cidfile`, made before the container so that two runs cannot share it; gone again on failure.
#[derive(Debug)]
pub struct IdFile {
    file: Option<(PathBuf, File)>,
}

impl IdFile {
    /// Makes the file, which must not exist.
    pub fn reserve(path: Option<&str>) -> Result<Self, Failure> {
        let Some(path) = path.map(PathBuf::from) else { return Ok(Self { file: None }) };
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => Ok(Self { file: Some((path, file)) }),
            Err(source) => Err(Failure::File { what: "--cidfile", path, source }),
        }
    }

    /// Writes the id, and leaves the file.
    pub fn keep(mut self, id: &str) -> Result<(), Failure> {
        let Some((path, mut file)) = self.file.take() else { return Ok(()) };
        file.write_all(id.as_bytes()).map_err(|source| Failure::File { what: "--cidfile", path, source })
    }
}

impl Drop for IdFile {
    fn drop(&mut self) {
        if let Some((path, _)) = self.file.take() {
            // Left behind empty at worst; the failure that brought us here is what is told.
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        let text = path.to_str().unwrap();
        drop(IdFile::reserve(Some(text)).unwrap());
        assert!(!path.exists());
        IdFile::reserve(Some(text)).unwrap().keep("abc").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "abc");
        assert!(IdFile::reserve(Some(text)).unwrap_err().to_string().contains("--cidfile"));
        assert!(path.exists());
        IdFile::reserve(None).unwrap().keep("abc").unwrap();
    }
}
