//! `save`: an archive of images.

use ross_api::v1::SaveImagesRequest;
use tokio_stream::StreamExt as _;

use super::{Context, Outcome, output};
use crate::args::SaveArgs;

/// `save`, `image save`
pub async fn save(args: SaveArgs, context: &mut Context) -> Outcome {
    output::check(args.output.as_deref(), context)?;
    let request = SaveImagesRequest { images: args.images };
    let chunks = context.daemon().await?.images().save_images(request).await?.into_inner();
    output::write(chunks.map(|answer| answer.map(|piece| piece.chunk)), args.output.as_deref(), context)
        .await?;
    Ok(0)
}
