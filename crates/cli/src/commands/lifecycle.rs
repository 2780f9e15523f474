//! Commands that do one thing to each of several containers, and print each name when it is done.

use std::future::Future;

use futures_util::{StreamExt as _, stream};
use ross_api::v1::container_service_client::ContainerServiceClient;
use ross_api::v1::wait_container_request::Condition;
use ross_api::v1::{
    KillContainerRequest, PauseContainerRequest, RemoveContainerRequest, RestartContainerRequest,
    StartContainerRequest, StopContainerRequest, UnpauseContainerRequest,
};
use tonic::transport::Channel;

use super::attach::Waiting;
use super::{Context, Outcome};
use crate::args::{ContainersArg, KillArgs, RemoveArgs, RestartArgs, StopArgs};
use crate::failure::Failure;

/// How many are under way at once.
const AT_ONCE: usize = 32;

type Client = ContainerServiceClient<Channel>;

/// `start`
pub async fn start(containers: Vec<String>, context: &mut Context) -> Outcome {
    each(containers, context, async |mut client, container| {
        let request = StartContainerRequest { container: container.clone() };
        client.start_container(request).await?;
        Ok(container)
    })
    .await
}

/// `stop`
pub async fn stop(args: StopArgs, context: &mut Context) -> Outcome {
    let StopArgs { containers, timeout, signal } = args;
    let signal = &signal.unwrap_or_default();
    each(containers, context, async |mut client, container| {
        let request = StopContainerRequest {
            container: container.clone(),
            timeout_secs: timeout,
            signal: signal.clone(),
        };
        client.stop_container(request).await?;
        Ok(container)
    })
    .await
}

/// `restart`
pub async fn restart(args: RestartArgs, context: &mut Context) -> Outcome {
    let timeout_secs = args.timeout;
    each(args.containers, context, async |mut client, container| {
        let request = RestartContainerRequest { container: container.clone(), timeout_secs };
        client.restart_container(request).await?;
        Ok(container)
    })
    .await
}

/// `kill`
pub async fn kill(args: KillArgs, context: &mut Context) -> Outcome {
    let signal = &args.signal;
    each(args.containers, context, async |mut client, container| {
        let request = KillContainerRequest { container: container.clone(), signal: signal.clone() };
        client.kill_container(request).await?;
        Ok(container)
    })
    .await
}

/// `pause`
pub async fn pause(args: ContainersArg, context: &mut Context) -> Outcome {
    each(args.containers, context, async |mut client, container| {
        client.pause_container(PauseContainerRequest { container: container.clone() }).await?;
        Ok(container)
    })
    .await
}

/// `unpause`
pub async fn unpause(args: ContainersArg, context: &mut Context) -> Outcome {
    each(args.containers, context, async |mut client, container| {
        client.unpause_container(UnpauseContainerRequest { container: container.clone() }).await?;
        Ok(container)
    })
    .await
}

/// `rm`
pub async fn remove(args: RemoveArgs, context: &mut Context) -> Outcome {
    let RemoveArgs { containers, force, volumes } = args;
    let act = async |mut client: Client, container: String| {
        let request = RemoveContainerRequest { container: container.clone(), force, volumes };
        client.remove_container(request).await?;
        Ok(container)
    };
    // By force, what is gone already is no failure, as with docker.
    each_forgiving(containers, context, act, |failure| force && failure.is_not_found()).await
}

/// `wait`: prints exit codes instead of names.
pub async fn wait(args: ContainersArg, context: &mut Context) -> Outcome {
    each(args.containers, context, async |client, container| {
        let waiting = Waiting::begin(&client, &container, Condition::NotRunning).await?;
        Ok(waiting.exited().await?.exit_code.to_string())
    })
    .await
}

/// Does `act` to all, and prints what it answers in the order typed; failures are told and the others go on.
async fn each<A, F>(containers: Vec<String>, context: &mut Context, act: A) -> Outcome
where
    A: Fn(Client, String) -> F,
    F: Future<Output = Result<String, Failure>>,
{
    each_forgiving(containers, context, act, |_| false).await
}

/// As [`each`]; failures that are `forgiven` are told, but do not count.
async fn each_forgiving<A, F>(
    containers: Vec<String>,
    context: &mut Context,
    act: A,
    forgiven: impl Fn(&Failure) -> bool,
) -> Outcome
where
    A: Fn(Client, String) -> F,
    F: Future<Output = Result<String, Failure>>,
{
    let client = context.daemon().await?.containers();
    let mut answers =
        stream::iter(containers).map(|container| act(client.clone(), container)).buffered(AT_ONCE);
    let mut failed = false;
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(line) => context.streams.stdout.line(line)?,
            Err(failure) => {
                context.streams.stderr.say(&failure);
                failed |= !forgiven(&failure);
            }
        }
    }
    if failed { Err(Failure::Reported) } else { Ok(0) }
}
