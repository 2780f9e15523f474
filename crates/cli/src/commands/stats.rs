//! `stats`: what containers use, once or over and over.

mod discover;

use std::collections::BTreeMap;

use ross_api::v1::container_service_client::ContainerServiceClient;
use ross_api::v1::{
    ContainerState, ContainerStats, ContainerSummary, ListContainersRequest, StatsContainerRequest,
};
use tokio::sync::mpsc;
use tonic::transport::Channel;

use super::{Context, Outcome};
use crate::args::StatsArgs;
use crate::failure::Failure;
use crate::render::{json_stats, stats};

/// Clears the terminal and goes to its first cell.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Samples on their way to the table.
const SAMPLES: usize = 64;

type Client = ContainerServiceClient<Channel>;

/// What one container's stream says.
type News = (usize, Result<Option<ContainerStats>, Failure>);

/// `stats`
pub async fn stats(args: &StatsArgs, context: &mut Context) -> Outcome {
    let client = context.daemon().await?.containers();
    let named = !args.containers.is_empty();
    if args.no_stream {
        return once(args, client, context).await;
    }
    let (tell, news) = mpsc::channel::<News>(args.containers.len().max(SAMPLES));
    if named {
        for (place, container) in args.containers.iter().enumerate() {
            tokio::spawn(follow(place, container.clone(), client.clone(), tell.clone()));
        }
    } else {
        tokio::spawn(discover::discover(args.all, client, tell.clone()));
    }
    drop(tell);
    live(news, named, args, context).await
}

async fn list(client: &Client, all: bool) -> Result<Vec<ContainerSummary>, Failure> {
    let request = ListContainersRequest { all, ..ListContainersRequest::default() };
    Ok(client.clone().list_containers(request).await?.into_inner().containers)
}

fn runs(container: &ContainerSummary) -> bool {
    matches!(container.state(), ContainerState::Running | ContainerState::Paused)
}

/// The row of a container that does not run.
fn bare(container: ContainerSummary) -> ContainerStats {
    ContainerStats { container_id: container.id, name: container.name, ..ContainerStats::default() }
}

/// A share of the CPU is known from the second sample on.
async fn once(args: &StatsArgs, client: Client, context: &mut Context) -> Outcome {
    let mut names = args.containers.clone();
    let mut samples = Vec::new();
    if names.is_empty() {
        for container in list(&client, args.all).await? {
            if runs(&container) {
                names.push(container.id);
            } else {
                samples.push(bare(container));
            }
        }
    }
    let second = async |container: String| -> Result<Option<ContainerStats>, Failure> {
        let request = StatsContainerRequest { container, stream: true };
        let mut samples = client.clone().stats_container(request).await?.into_inner();
        let first = samples.message().await?;
        Ok(samples.message().await?.or(first))
    };
    let answers = futures_util::future::join_all(names.into_iter().map(second)).await;
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

async fn live(
    mut news: mpsc::Receiver<News>,
    named: bool,
    args: &StatsArgs,
    context: &mut Context,
) -> Outcome {
    let mut latest: BTreeMap<usize, ContainerStats> = BTreeMap::new();
    let mut failed = false;
    // Without a name nothing may run yet: the table is there from the beginning.
    let mut due = !named;
    loop {
        // Samples of one second come together: draw when the last of them is in.
        if due && news.is_empty() && !context.json() {
            let clear = if context.streams.terminal.stdout { CLEAR } else { "" };
            let table = stats::list(latest.values(), args.no_trunc);
            context.streams.stdout.write(format!("{clear}{table}"))?;
        }
        let Some((place, answer)) = news.recv().await else { break };
        due = true;
        match answer {
            Ok(Some(sample)) if context.json() => {
                context.streams.stdout.line(json_stats::sample(&sample))?;
            }
            Ok(Some(sample)) => drop(latest.insert(place, sample)),
            Ok(None) => due = latest.remove(&place).is_some(),
            // It went between the look and the question.
            Err(failure) if !named && failure.is_not_found() => due = latest.remove(&place).is_some(),
            Err(failure) => {
                // All connections end with the daemon; once is enough. A table drawn now would wipe it away.
                if !(failure.is_lost() && failed) {
                    context.streams.stderr.say(&failure);
                }
                latest.remove(&place);
                (due, failed) = (false, true);
            }
        }
    }
    if failed { Err(Failure::Reported) } else { Ok(0) }
}

/// Passes on the samples of a container, to the end of its run; says whether that was a failure.
async fn follow(place: usize, container: String, mut client: Client, tell: mpsc::Sender<News>) -> bool {
    let request = StatsContainerRequest { container, stream: true };
    let mut samples = match client.stats_container(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => {
            let _ = tell.send((place, Err(status.into()))).await;
            return true;
        }
    };
    loop {
        let answer = samples.message().await.map_err(Failure::from);
        let (last, failed) = (!matches!(answer, Ok(Some(_))), answer.is_err());
        if tell.send((place, answer)).await.is_err() || last {
            return failed;
        }
    }
}
