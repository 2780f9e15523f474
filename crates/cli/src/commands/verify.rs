//! `image verify`.

use std::collections::HashMap;

use ross_api::v1::{
    ListImagesRequest, RegistryAuth, VerifyImagesRequest, VerifyImagesResponse, verify_images_response,
};
use ross_types::ImageRef;

use super::{Context, Outcome};
use crate::args::VerifyArgs;
use crate::credentials::registry_auth;
use crate::failure::Failure;
use crate::render::verify::{Checking, as_json, line, outcome};

/// What is wrong on standard output as it is found, and what it comes to. Exit code 1 when something stays wrong.
pub async fn verify(args: VerifyArgs, context: &mut Context) -> Outcome {
    use verify_images_response::Event;
    let auths = if args.repair { auths(context).await? } else { HashMap::new() };
    let request = VerifyImagesRequest { images: args.images, repair: args.repair, auths };
    let mut events = context.daemon().await?.images().verify_images(request).await?.into_inner();
    let (streams, json) = (&context.streams, context.json());
    let mut checking = Checking::new(args.quiet, streams);
    let mut findings = Vec::new();
    while let Some(VerifyImagesResponse { event }) = events.message().await? {
        match event {
            Some(Event::Checking(progress)) => checking.show(&progress),
            Some(Event::Finding(finding)) if json => findings.push(finding),
            Some(Event::Finding(finding)) => checking.aside(|| streams.stdout.line(line(&finding)))?,
            Some(Event::Summary(summary)) => {
                checking.end();
                if json {
                    context.print_json(&as_json(&findings, &summary))?;
                } else if !args.quiet {
                    streams.stdout.line(outcome(&summary))?;
                }
                return Ok(u8::from(summary.wrong > summary.repaired));
            }
            None => {}
        }
    }
    Err(Failure::Protocol("a verification ended without its summary"))
}

/// The credentials for all registries that names of images here lead to.
async fn auths(context: &mut Context) -> Result<HashMap<String, RegistryAuth>, Failure> {
    let images = context.daemon().await?.images().list_images(ListImagesRequest::default()).await?;
    let names =
        images.into_inner().images.into_iter().flat_map(|image| [image.repo_tags, image.repo_digests]);
    let mut auths = HashMap::new();
    for name in names.flatten().filter_map(|name| name.parse::<ImageRef>().ok()) {
        let registry = name.registry();
        if !auths.contains_key(registry) {
            auths.insert(registry.to_owned(), registry_auth(registry, &context.streams).await);
        }
    }
    Ok(auths.into_iter().filter_map(|(registry, auth)| Some((registry, auth?))).collect())
}
