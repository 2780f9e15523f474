//! `image verify`.

use ross_api::v1::{VerifyImagesRequest, VerifyImagesResponse, verify_images_response};

use super::{Context, Outcome};
use crate::args::VerifyArgs;
use crate::failure::Failure;
use crate::render::verify::{Checking, as_json, line, outcome};

/// What is wrong on standard output as it is found, and what it comes to. Exit code 1 when something stays wrong.
pub async fn verify(args: VerifyArgs, context: &mut Context) -> Outcome {
    use verify_images_response::Event;
    let request = VerifyImagesRequest { images: args.images, repair: args.repair, ..Default::default() };
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
