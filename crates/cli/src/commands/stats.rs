//! `stats`: what containers use, once or over and over.

use std::collections::BTreeMap;

use ross_api::v1::container_service_client::ContainerServiceClient;
use ross_api::v1::{ContainerStats, ListContainersRequest, StatsContainerRequest};
use tokio::sync::mpsc;
use tonic::transport::Channel;

use super::{Context, Outcome};
use crate::args::StatsArgs;
use crate::failure::Failure;
use crate::render::{json_stats, stats};

/// Clears the terminal and goes to its first cell.
const CLEAR: &str = "\x1b[H\x1b[2J";

type Client = ContainerServiceClient<Channel>;

/// What one container's stream says.
type News = (usize, Result<Option<ContainerStats>, Failure>);

/// `stats`
pub async fn stats(args: &StatsArgs, context: &mut Context) -> Outcome {
    let client = context.daemon().await?.containers();
    let names =
        if args.containers.is_empty() { running(&client, args.all).await? } else { args.containers.clone() };
    if args.no_stream {
        once(names, args, client, context).await
    } else {
        live(names, args, client, context).await
    }
}

async fn running(client: &Client, all: bool) -> Result<Vec<String>, Failure> {
    let request = ListContainersRequest { all, ..ListContainersRequest::default() };
    let answer = client.clone().list_containers(request).await?.into_inner();
    Ok(answer.containers.into_iter().map(|container| container.id).collect())
}

/// A share of the CPU is known from the second sample on.
async fn once(names: Vec<String>, args: &StatsArgs, client: Client, context: &mut Context) -> Outcome {
    let second = async |container: String| -> Result<Option<ContainerStats>, Failure> {
        let request = StatsContainerRequest { container, stream: true };
        let mut samples = client.clone().stats_container(request).await?.into_inner();
        let first = samples.message().await?;
        Ok(samples.message().await?.or(first))
    };
    let answers = futures_util::future::join_all(names.into_iter().map(second)).await;
    let mut samples = Vec::new();
    let mut failed = false;
    for answer in answers {
        match answer {
            Ok(sample) => samples.extend(sample),
            Err(failure) => {
                context.streams.stderr.say(&failure);
                failed = true;
            }
        }
    }
    if context.json() {
        context.print_json(&samples.iter().map(json_stats::sample).collect())?;
    } else {
        context.streams.stdout.write(stats::list(&samples, args.no_trunc))?;
    }
    if failed { Err(Failure::Reported) } else { Ok(0) }
}

async fn live(names: Vec<String>, args: &StatsArgs, client: Client, context: &mut Context) -> Outcome {
    let (tell, mut news) = mpsc::channel::<News>(names.len().max(1));
    for (place, container) in names.into_iter().enumerate() {
        tokio::spawn(follow(place, container, client.clone(), tell.clone()));
    }
    drop(tell);
    let mut latest: BTreeMap<usize, ContainerStats> = BTreeMap::new();
    let mut failed = false;
    while let Some((place, answer)) = news.recv().await {
        match answer {
            Ok(Some(sample)) if context.json() => {
                context.streams.stdout.line(json_stats::sample(&sample))?;
                continue;
            }
            Ok(Some(sample)) => drop(latest.insert(place, sample)),
            Ok(None) => drop(latest.remove(&place)),
            Err(failure) => {
                context.streams.stderr.say(&failure);
                latest.remove(&place);
                failed = true;
            }
        }
        // Samples of one second come together: draw when the last of them is in.
        if news.is_empty() && !context.json() {
            let clear = if context.streams.terminal.stdout { CLEAR } else { "" };
            let table = stats::list(latest.values(), args.no_trunc);
            context.streams.stdout.write(format!("{clear}{table}"))?;
        }
    }
    if failed { Err(Failure::Reported) } else { Ok(0) }
}

async fn follow(place: usize, container: String, mut client: Client, tell: mpsc::Sender<News>) {
    let request = StatsContainerRequest { container, stream: true };
    let mut samples = match client.stats_container(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => {
            let _ = tell.send((place, Err(status.into()))).await;
            return;
        }
    };
    loop {
        let answer = samples.message().await.map_err(Failure::from);
        let last = !matches!(answer, Ok(Some(_)));
        if tell.send((place, answer)).await.is_err() || last {
            return;
        }
    }
}
