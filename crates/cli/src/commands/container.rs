//! `ps` and `rename`.

use jiff::Timestamp;
use ross_api::v1::{ListContainersRequest, RenameContainerRequest};

use super::{Context, Outcome};
use crate::args::{ListArgs, RenameArgs};
use crate::render::container::{Columns, id, list as table};
use crate::render::json;
use crate::value::pair;

/// `ps`, `container list`
pub async fn list(args: &ListArgs, context: &mut Context) -> Outcome {
    let limit = if args.latest { 1 } else { args.limit.unwrap_or(0) };
    let request = ListContainersRequest {
        all: args.all || limit > 0,
        limit,
        filters: pair::filters(&args.filters)?,
        size: args.size,
    };
    let answer = context.daemon().await?.containers().list_containers(request).await?.into_inner();
    if context.json() {
        context.print_json(&answer.containers.iter().map(json::summary).collect())?;
    } else if args.quiet {
        let ids = answer.containers.iter().map(|container| format!("{}\n", id(&container.id, args.no_trunc)));
        context.streams.stdout.write(ids.collect::<String>())?;
    } else {
        let columns = Columns { whole: args.no_trunc, size: args.size };
        context.streams.stdout.write(table(&answer.containers, columns, Timestamp::now()))?;
    }
    Ok(0)
}

/// `rename`
pub async fn rename(args: RenameArgs, context: &mut Context) -> Outcome {
    let request = RenameContainerRequest { container: args.container, new_name: args.new_name };
    context.daemon().await?.containers().rename_container(request).await?;
    Ok(0)
}
