//! `stats`: what containers use, once or over and over.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

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

/// Samples on their way to the table.
const SAMPLES: usize = 64;

type Client = ContainerServiceClient<Channel>;

/// What one container's stream says.
type News = (usize, Result<Option<ContainerStats>, Failure>);

/// Between two looks for containers that have started.
const LOOK: Duration = Duration::from_secs(1);

/// `stats`
pub async fn stats(args: &StatsArgs, context: &mut Context) -> Outcome {
    let client = context.daemon().await?.containers();
    let named = !args.containers.is_empty();
    if args.no_stream {
        let names = if named { args.containers.clone() } else { running(&client, args.all).await? };
        return once(names, args, client, context).await;
    }
    let (tell, news) = mpsc::channel::<News>(args.containers.len().max(SAMPLES));
    if named {
        for (place, container) in args.containers.iter().enumerate() {
            tokio::spawn(follow(place, container.clone(), client.clone(), tell.clone()));
        }
    } else {
        tokio::spawn(discover(args.all, client, tell.clone()));
    }
    drop(tell);
    live(news, named, args, context).await
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
        due = true;
        let Some((place, answer)) = news.recv().await else { break };
        match answer {
            Ok(Some(sample)) if context.json() => {
                context.streams.stdout.line(json_stats::sample(&sample))?;
            }
            Ok(Some(sample)) => drop(latest.insert(place, sample)),
            Ok(None) => drop(latest.remove(&place)),
            // It went between the look and the question.
            Err(failure) if !named && failure.is_not_found() => drop(latest.remove(&place)),
            Err(failure) => {
                context.streams.stderr.say(&failure);
                latest.remove(&place);
                failed = true;
            }
        }
    }
    if failed { Err(Failure::Reported) } else { Ok(0) }
}

/// Follows all containers that run, and those that come to run; ends with the daemon.
async fn discover(all: bool, client: Client, tell: mpsc::Sender<News>) {
    let mut followed: HashMap<String, tokio::task::JoinHandle<()>> = HashMap::new();
    let mut places = 0..;
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        followed.retain(|_, task| !task.is_finished());
        let ids = match running(&client, all).await {
            Ok(ids) => ids,
            Err(failure) => {
                let _ = tell.send((usize::MAX, Err(failure))).await;
                return;
            }
        };
        for id in ids {
            if let Entry::Vacant(free) = followed.entry(id)
                && let Some(place) = places.next()
            {
                let task = follow(place, free.key().clone(), client.clone(), tell.clone());
                free.insert(tokio::spawn(task));
            }
        }
    }
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
