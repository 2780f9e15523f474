//! Service `ContainerService`. A change runs to its end whether or not the caller stays for the answer: the engine sees
//! to that.

use ross_api::v1::container_service_server::ContainerService;
use ross_api::v1::{attach_input, exec_input, *};
use ross_engine::model::{RemoveOptions, Signal, StopOptions};
use ross_engine::{AttachInput as EngineInput, Engine, EngineError};
use tonic::{Request, Response, Status, Streaming};

use super::streams::{self, InputTask};
use crate::convert;
use crate::peer::log_change;
use crate::status::{invalid, of_engine};
use crate::stop::{Answers, Stop};

/// Containers.
#[derive(Debug)]
pub struct Containers {
    engine: Engine,
    stop: Stop,
}

impl Containers {
    /// The service over `engine`.
    pub fn new(engine: Engine, stop: Stop) -> Self {
        Self { engine, stop }
    }
}

/// The answer to a call, or the status of its failure.
fn answer<T>(result: Result<T, EngineError>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|error| of_engine(&error))
}

/// A container, as the request names it.
fn named(container: &str) -> Result<String, Status> {
    if container.is_empty() {
        return Err(invalid("container", "name a container"));
    }
    Ok(container.strip_prefix('/').unwrap_or(container).to_owned())
}

fn signal(text: &str) -> Result<Option<Signal>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error: EngineError| of_engine(&error))
}

/// What a client sends to a process, of either kind of stream.
enum Input {
    Stdin(bytes::Bytes),
    Closed,
    Resize(TerminalSize),
    Other,
}

impl From<AttachInput> for Input {
    fn from(input: AttachInput) -> Self {
        use attach_input::Message;
        match input.message {
            Some(Message::Stdin(bytes)) => Self::Stdin(bytes),
            Some(Message::StdinClosed(_)) => Self::Closed,
            Some(Message::Resize(size)) => Self::Resize(size),
            Some(Message::Start(_)) | None => Self::Other,
        }
    }
}

impl From<ExecInput> for Input {
    fn from(input: ExecInput) -> Self {
        use exec_input::Message;
        match input.message {
            Some(Message::Stdin(bytes)) => Self::Stdin(bytes),
            Some(Message::StdinClosed(_)) => Self::Closed,
            Some(Message::Resize(size)) => Self::Resize(size),
            Some(Message::Start(_)) | None => Self::Other,
        }
    }
}

/// Carries input until the client or the process has had enough. A client that goes without `stdin_closed` has
/// detached, so the process's input stays open.
async fn carry<M: Into<Input>>(mut messages: Streaming<M>, mut input: EngineInput) {
    while let Ok(Some(message)) = messages.message().await {
        let carried = match message.into() {
            Input::Stdin(bytes) => input.stdin(&bytes).await,
            Input::Closed => input.close_stdin().await,
            Input::Resize(size) => match convert::exec::size(&size) {
                Ok(size) => input.resize(size).await,
                // A size that cannot be is passed over: the stream is worth more.
                Err(_) => Ok(()),
            },
            Input::Other => Ok(()),
        };
        if let Err(error) = carried {
            tracing::debug!(error = error.sentence(), "input ended");
            break;
        }
    }
    // The output may go on: the input half stays until the call ends.
    std::future::pending::<()>().await;
}

#[tonic::async_trait]
impl ContainerService for Containers {
    type WaitContainerStream = Answers<WaitContainerResponse>;
    type GetLogsStream = Answers<LogEntry>;
    type StartExecStream = Answers<AttachOutput>;
    type AttachContainerStream = Answers<AttachOutput>;
    type StatsContainerStream = Answers<ContainerStats>;
    type ExportContainerStream = Answers<ExportContainerResponse>;

    async fn create_container(
        &self,
        request: Request<CreateContainerRequest>,
    ) -> Result<Response<CreateContainerResponse>, Status> {
        log_change(&request, "CreateContainer", &request.get_ref().name);
        let request = convert::create::request(request.into_inner())?;
        let created = self.engine.create_container(request).await;
        answer(created.map(|created| CreateContainerResponse {
            id: created.id.to_string(),
            name: created.name.to_string(),
            warnings: created.warnings,
        }))
    }

    async fn start_container(
        &self,
        request: Request<StartContainerRequest>,
    ) -> Result<Response<StartContainerResponse>, Status> {
        let container = named(&request.get_ref().container)?;
        log_change(&request, "StartContainer", &container);
        answer(self.engine.start(&container).await.map(|started| StartContainerResponse { started }))
    }

    async fn stop_container(
        &self,
        request: Request<StopContainerRequest>,
    ) -> Result<Response<StopContainerResponse>, Status> {
        let stop = request.get_ref();
        let container = named(&stop.container)?;
        log_change(&request, "StopContainer", &container);
        let options = StopOptions { timeout: stop.timeout_secs, signal: signal(&stop.signal)? };
        let stopped = self.engine.stop(&container, options).await;
        answer(stopped.map(|stopped| StopContainerResponse { stopped }))
    }

    async fn restart_container(
        &self,
        request: Request<RestartContainerRequest>,
    ) -> Result<Response<RestartContainerResponse>, Status> {
        let container = named(&request.get_ref().container)?;
        log_change(&request, "RestartContainer", &container);
        let options = StopOptions { timeout: request.get_ref().timeout_secs, signal: None };
        answer(self.engine.restart(&container, options).await.map(|()| RestartContainerResponse {}))
    }

    async fn kill_container(
        &self,
        request: Request<KillContainerRequest>,
    ) -> Result<Response<KillContainerResponse>, Status> {
        let container = named(&request.get_ref().container)?;
        log_change(&request, "KillContainer", &container);
        let signal = signal(&request.get_ref().signal)?.unwrap_or(Signal::KILL);
        answer(self.engine.kill(&container, signal).await.map(|()| KillContainerResponse {}))
    }

    async fn pause_container(
        &self,
        request: Request<PauseContainerRequest>,
    ) -> Result<Response<PauseContainerResponse>, Status> {
        let container = named(&request.get_ref().container)?;
        log_change(&request, "PauseContainer", &container);
        answer(self.engine.pause(&container).await.map(|()| PauseContainerResponse {}))
    }

    async fn unpause_container(
        &self,
        request: Request<UnpauseContainerRequest>,
    ) -> Result<Response<UnpauseContainerResponse>, Status> {
        let container = named(&request.get_ref().container)?;
        log_change(&request, "UnpauseContainer", &container);
        answer(self.engine.unpause(&container).await.map(|()| UnpauseContainerResponse {}))
    }

    async fn rename_container(
        &self,
        request: Request<RenameContainerRequest>,
    ) -> Result<Response<RenameContainerResponse>, Status> {
        let container = named(&request.get_ref().container)?;
        log_change(&request, "RenameContainer", &container);
        let name = request.get_ref().new_name.clone();
        answer(self.engine.rename(&container, &name).await.map(|()| RenameContainerResponse {}))
    }

    async fn remove_container(
        &self,
        request: Request<RemoveContainerRequest>,
    ) -> Result<Response<RemoveContainerResponse>, Status> {
        let remove = request.get_ref();
        let container = named(&remove.container)?;
        log_change(&request, "RemoveContainer", &container);
        let options = RemoveOptions { force: remove.force, volumes: remove.volumes };
        answer(self.engine.remove(&container, options).await.map(|()| RemoveContainerResponse {}))
    }

    async fn list_containers(
        &self,
        request: Request<ListContainersRequest>,
    ) -> Result<Response<ListContainersResponse>, Status> {
        let query = convert::container::list_query(request.into_inner())?;
        let containers = self.engine.list(query).await.map_err(|error| of_engine(&error))?;
        let containers = containers.iter().map(convert::container::summary).collect();
        Ok(Response::new(ListContainersResponse { containers }))
    }

    async fn inspect_container(
        &self,
        request: Request<InspectContainerRequest>,
    ) -> Result<Response<InspectContainerResponse>, Status> {
        let request = request.into_inner();
        let details = self.engine.inspect(&named(&request.container)?, request.size).await;
        answer(details.map(|details| convert::container::inspection(&details)))
    }

    async fn wait_container(
        &self,
        request: Request<WaitContainerRequest>,
    ) -> Result<Response<Self::WaitContainerStream>, Status> {
        let request = request.into_inner();
        let condition = convert::container::wait_condition(&request)?;
        let wait = self.engine.wait(&named(&request.container)?, condition).await;
        answer(wait.map(|wait| self.stop.cut(streams::wait(wait))))
    }

    async fn get_logs(
        &self,
        request: Request<GetLogsRequest>,
    ) -> Result<Response<Self::GetLogsStream>, Status> {
        let request = request.into_inner();
        let query = convert::logs::query(&request)?;
        let logs = self.engine.logs(&named(&request.container)?, query).await;
        answer(logs.map(|logs| self.stop.cut(streams::logs(logs))))
    }

    async fn create_exec(
        &self,
        request: Request<CreateExecRequest>,
    ) -> Result<Response<CreateExecResponse>, Status> {
        let container = named(&request.get_ref().container)?;
        log_change(&request, "CreateExec", &container);
        let config = convert::exec::config(request.into_inner())?;
        let id = self.engine.create_exec(&container, config).await;
        answer(id.map(|id| CreateExecResponse { id: id.to_string() }))
    }

    async fn start_exec(
        &self,
        request: Request<Streaming<ExecInput>>,
    ) -> Result<Response<Self::StartExecStream>, Status> {
        let (metadata, extensions, mut messages) = request.into_parts();
        let Some(ExecInput { message: Some(exec_input::Message::Start(start)) }) = messages.message().await?
        else {
            return Err(invalid("message", "the first one must be `start`"));
        };
        let request = Request::from_parts(metadata, extensions, start);
        log_change(&request, "StartExec", &request.get_ref().id);
        let start = request.into_inner();
        let session = self.engine.start_exec(&start.id, convert::exec::start(&start)?).await;
        answer(session.map(|session| match session {
            Some(session) => {
                let input = InputTask(tokio::spawn(carry(messages, session.input)));
                self.stop.cut(streams::output(session.output, input))
            }
            None => self.stop.cut(futures_util::stream::empty()),
        }))
    }

    async fn inspect_exec(
        &self,
        request: Request<InspectExecRequest>,
    ) -> Result<Response<InspectExecResponse>, Status> {
        let exec = self.engine.inspect_exec(&request.get_ref().id).await;
        answer(exec.map(convert::exec::inspection))
    }

    async fn attach_container(
        &self,
        request: Request<Streaming<AttachInput>>,
    ) -> Result<Response<Self::AttachContainerStream>, Status> {
        let mut messages = request.into_inner();
        let first = messages.message().await?;
        let Some(AttachInput { message: Some(attach_input::Message::Start(start)) }) = first else {
            return Err(invalid("message", "the first one must be `start`"));
        };
        let options = convert::exec::attach(&start)?;
        let session = self.engine.attach(&named(&start.container)?, options).await;
        answer(session.map(|session| {
            let input = InputTask(tokio::spawn(carry(messages, session.input)));
            self.stop.cut(streams::output(session.output, input))
        }))
    }

    async fn resize_container(
        &self,
        request: Request<ResizeContainerRequest>,
    ) -> Result<Response<ResizeContainerResponse>, Status> {
        let request = request.into_inner();
        let size = convert::exec::size(&request.size.ok_or_else(|| invalid("size", "it is missing"))?)?;
        answer(
            self.engine.resize(&named(&request.container)?, size).await.map(|()| ResizeContainerResponse {}),
        )
    }

    async fn stats_container(
        &self,
        request: Request<StatsContainerRequest>,
    ) -> Result<Response<Self::StatsContainerStream>, Status> {
        let request = request.into_inner();
        let stats = self.engine.stats(&named(&request.container)?, request.stream).await;
        answer(stats.map(|stats| self.stop.cut(streams::stats(stats))))
    }

    async fn commit_container(
        &self,
        request: Request<CommitContainerRequest>,
    ) -> Result<Response<CommitContainerResponse>, Status> {
        log_change(&request, "CommitContainer", &request.get_ref().container);
        let request = request.into_inner();
        let container = named(&request.container)?;
        let id = self.engine.commit(&container, convert::image::commit(request)?).await;
        answer(id.map(|id| CommitContainerResponse { id: id.to_string() }))
    }

    async fn export_container(
        &self,
        request: Request<ExportContainerRequest>,
    ) -> Result<Response<Self::ExportContainerStream>, Status> {
        let container = named(&request.into_inner().container)?;
        let (writer, pieces) = convert::export::channel();
        let engine = self.engine.clone();
        let writing = tokio::spawn(async move { engine.export(&container, writer).await });
        Ok(Response::new(self.stop.cut(convert::export::answers(pieces, writing))))
    }
}
