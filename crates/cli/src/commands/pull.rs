//! `pull` and `push`, and the pull that `run` does on its way.

use ross_api::v1::{
    PullImageRequest, PullImageResponse, PulledImage, PushImageRequest, PushImageResponse,
    pull_image_response, push_image_response,
};
use ross_types::ImageRef;

use super::{Context, Outcome};
use crate::args::{PullArgs, PushArgs};
use crate::connect::Daemon;
use crate::credentials::auth_for;
use crate::failure::Failure;
use crate::render::progress::Progress;
use crate::request::pull_reference;
use crate::streams::Streams;

/// `pull`: progress on standard error, what was pulled on standard output.
pub async fn pull(args: &PullArgs, context: &mut Context) -> Outcome {
    let reference = pull_reference(&args.reference, args.tag.as_deref())?;
    let platform = args.platform.as_deref().unwrap_or_default();
    let daemon = context.daemon().await?;
    let streams = &context.streams;
    let pulled = fetch(&daemon, &reference, platform, args.quiet, streams).await?;
    if context.json() {
        context.print_json(&serde_json::json!({
            "id": pulled.id,
            "reference": pulled.reference,
            "manifest_digest": pulled.manifest_digest,
            "updated": pulled.updated,
        }))?;
    } else {
        if !args.quiet {
            let familiar =
                pulled.reference.parse::<ImageRef>().map_or(pulled.reference.clone(), |r| r.familiar());
            let what = if pulled.updated { "Downloaded newer image for" } else { "Image is up to date for" };
            streams.stdout.line(format_args!("Digest: {}", pulled.manifest_digest))?;
            streams.stdout.line(format_args!("Status: {what} {familiar}"))?;
        }
        streams.stdout.line(&pulled.reference)?;
    }
    Ok(0)
}

/// Pulls `reference`, showing progress on standard error unless `quiet`.
pub async fn fetch(
    daemon: &Daemon,
    reference: &str,
    platform: &str,
    quiet: bool,
    streams: &Streams,
) -> Result<PulledImage, Failure> {
    use pull_image_response::Event;
    let auth = auth_for(reference, streams).await;
    let request = PullImageRequest { reference: reference.to_owned(), platform: platform.to_owned(), auth };
    let mut events = daemon.images().pull_image(request).await?.into_inner();
    let mut progress = Progress::new(quiet, streams);
    while let Some(PullImageResponse { event }) = events.message().await? {
        match event {
            Some(Event::Status(status)) => progress.status(&status.text, streams)?,
            Some(Event::Layer(layer)) => progress.layer(&layer, streams)?,
            Some(Event::Pulled(pulled)) => return Ok(pulled),
            None => {}
        }
    }
    Err(Failure::Protocol("a pull ended without its image"))
}

/// `push`: progress on standard error, a line for each tag on standard output.
pub async fn push(args: &PushArgs, context: &mut Context) -> Outcome {
    use push_image_response::Event;
    let reference = pull_reference(&args.reference, args.tag.as_deref())?;
    if args.all_tags && has_tag(&reference) {
        return Err(Failure::Usage(format!(
            "`{reference}` has a tag or digest; --all-tags takes a name alone"
        )));
    }
    let auth = auth_for(&reference, &context.streams).await;
    let request = PushImageRequest { reference, auth, all_tags: args.all_tags };
    let mut events = context.daemon().await?.images().push_image(request).await?.into_inner();
    let mut progress = Progress::new(args.quiet, &context.streams);
    let mut pushed = Vec::new();
    while let Some(PushImageResponse { event }) = events.message().await? {
        match event {
            Some(Event::Status(status)) => progress.status(&status.text, &context.streams)?,
            Some(Event::Layer(layer)) => progress.layer(&layer, &context.streams)?,
            Some(Event::Pushed(image)) => {
                if !context.json() {
                    context.streams.stdout.line(pushed_line(&image, args.quiet))?;
                }
                pushed.push(image);
            }
            None => {}
        }
    }
    if pushed.is_empty() {
        return Err(Failure::Protocol("a push ended without its image"));
    }
    if context.json() {
        context.print_json(&pushed.iter().map(pushed_json).collect())?;
    }
    Ok(0)
}

/// Whether a name ends in a tag or a digest.
fn has_tag(reference: &str) -> bool {
    let last = reference.rfind('/').map_or(0, |slash| slash + 1);
    reference[last..].contains([':', '@'])
}

/// As docker says it: `latest: digest: sha256:… size: 528`.
fn pushed_line(pushed: &PulledImage, quiet: bool) -> String {
    let tag = pushed.reference.parse::<ImageRef>().ok().and_then(|name| name.tag().map(str::to_owned));
    match tag {
        Some(tag) if !quiet => {
            format!("{tag}: digest: {} size: {}", pushed.manifest_digest, pushed.manifest_bytes)
        }
        _ => pushed.reference.clone(),
    }
}

fn pushed_json(pushed: &PulledImage) -> serde_json::Value {
    serde_json::json!({
        "id": pushed.id,
        "reference": pushed.reference,
        "manifest_digest": pushed.manifest_digest,
        "manifest_bytes": pushed.manifest_bytes,
    })
}
