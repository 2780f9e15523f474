//! `inspect`: always a JSON array, of those that were found.

use ross_api::v1::{InspectContainerRequest, InspectImageRequest};
use serde_json::Value;

use super::{Context, Outcome};
use crate::args::{InspectArgs, ObjectKind};
use crate::connect::Daemon;
use crate::failure::Failure;
use crate::render::{json, json_image};

/// `container inspect`
pub async fn containers(names: Vec<String>, size: bool, context: &mut Context) -> Outcome {
    inspect(names, context, async |daemon, name| container(daemon, name, size).await).await
}

/// `image inspect`
pub async fn images(names: Vec<String>, context: &mut Context) -> Outcome {
    inspect(names, context, async |daemon, name| image(daemon, name).await).await
}

/// `inspect`: a container, or else an image.
pub async fn any(args: InspectArgs, context: &mut Context) -> Outcome {
    let InspectArgs { names, kind, size } = args;
    inspect(names, context, async |daemon, name| match kind {
        Some(ObjectKind::Container) => container(daemon, name, size).await,
        Some(ObjectKind::Image) => image(daemon, name).await,
        None => match container(daemon, name.clone(), size).await {
            Err(failure) if failure.is_not_found() || failure.is_invalid() => {
                match image(daemon, name.clone()).await {
                    Err(failure) if failure.is_not_found() || failure.is_invalid() => {
                        Err(Failure::Usage(format!("no container and no image `{name}`")))
                    }
                    answer => answer,
                }
            }
            answer => answer,
        },
    })
    .await
}

async fn container(daemon: &Daemon, container: String, size: bool) -> Result<Value, Failure> {
    let answer = daemon.containers().inspect_container(InspectContainerRequest { container, size }).await?;
    Ok(json::inspection(answer.get_ref()))
}

async fn image(daemon: &Daemon, image: String) -> Result<Value, Failure> {
    let answer = daemon.images().inspect_image(InspectImageRequest { image }).await?;
    Ok(json_image::inspection(answer.get_ref()))
}

async fn inspect(
    names: Vec<String>,
    context: &mut Context,
    look: impl AsyncFn(&Daemon, String) -> Result<Value, Failure>,
) -> Outcome {
    let daemon = context.daemon().await?;
    let mut found = Vec::new();
    let mut failed = false;
    for name in names {
        match look(&daemon, name).await {
            Ok(object) => found.push(object),
            Err(failure) => {
                context.streams.stderr.say(&failure);
                failed = true;
            }
        }
    }
    context.print_json(&found.into())?;
    if failed { Err(Failure::Reported) } else { Ok(0) }
}
