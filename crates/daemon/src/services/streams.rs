//! Answers that come in pieces: engine streams turned into gRPC ones. Each is pulled by its reader, so a slow reader
//! slows the engine's side and nothing piles up; dropping one ends the engine's side.

use futures_util::{Stream, stream};
use ross_api::v1::attach_output::{Attached, Data, Message};
use ross_api::v1::wait_container_response::{Event, Registered};
use ross_api::v1::{AttachOutput, ContainerStats, LogEntry, WaitContainerResponse};
use ross_engine::model::OutputEvent;
use ross_engine::{AttachOutput as EngineOutput, ExitWait, LogStream, StatsStream};
use tokio::task::JoinHandle;
use tonic::Status;

use crate::convert;
use crate::status::of_engine;

/// `registered`, then the exit.
pub fn wait(wait: ExitWait) -> impl Stream<Item = Result<WaitContainerResponse, Status>> + Send {
    enum Next {
        Registered(ExitWait),
        Exited(ExitWait),
        End,
    }
    let answer = |event| WaitContainerResponse { event: Some(event) };
    stream::unfold(Next::Registered(wait), move |next| async move {
        match next {
            Next::Registered(wait) => {
                Some((Ok(answer(Event::Registered(Registered {}))), Next::Exited(wait)))
            }
            Next::Exited(wait) => {
                let exited = wait.exited().await.map_err(|error| of_engine(&error));
                let exited = exited.map(|exited| answer(Event::Exited(convert::exec::exited(exited))));
                Some((exited, Next::End))
            }
            Next::End => None,
        }
    })
}

/// Entries of a log.
pub fn logs(logs: LogStream) -> impl Stream<Item = Result<LogEntry, Status>> + Send {
    stream::unfold(logs, |mut logs| async move {
        let entry = logs.next().await?;
        Some((entry.map(convert::logs::entry).map_err(|error| of_engine(&error)), logs))
    })
}

/// Samples.
pub fn stats(stats: StatsStream) -> impl Stream<Item = Result<ContainerStats, Status>> + Send {
    stream::unfold(stats, |mut stats| async move {
        let sample = stats.next().await?;
        Some((sample.map(convert::stats::sample).map_err(|error| of_engine(&error)), stats))
    })
}

/// The task that carries input; it ends with the output.
#[derive(Debug)]
pub struct InputTask(pub JoinHandle<()>);

impl Drop for InputTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// `attached`, then output, then the exit.
pub fn output(
    output: EngineOutput,
    input: InputTask,
) -> impl Stream<Item = Result<AttachOutput, Status>> + Send {
    let answer = |message| AttachOutput { message: Some(message) };
    let open = Some((output, input, true));
    stream::unfold(open, move |open| async move {
        let (mut output, input, first) = open?;
        if first {
            return Some((Ok(answer(Message::Attached(Attached {}))), Some((output, input, false))));
        }
        match output.next().await? {
            Ok(OutputEvent::Data { stream, bytes }) => {
                let data = Data { stream: convert::logs::stream(stream).into(), bytes };
                Some((Ok(answer(Message::Data(data))), Some((output, input, false))))
            }
            Ok(OutputEvent::Exited(exited)) => {
                Some((Ok(answer(Message::Exited(convert::exec::exited(exited)))), None))
            }
            Err(error) => Some((Err(of_engine(&error)), None)),
        }
    })
}
