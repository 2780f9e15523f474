//! Connecting to a container's main process: `attach`, `start --attach`, and the parts `run` shares with them.

use ross_api::v1::container_service_client::ContainerServiceClient;
use ross_api::v1::wait_container_request::Condition;
use ross_api::v1::wait_container_response::Event;
use ross_api::v1::{
    AttachInput, AttachOutput, AttachStart, ContainerState, Exited, InspectContainerRequest,
    StartContainerRequest, TerminalSize, WaitContainerRequest, WaitContainerResponse, attach_input,
    attach_output,
};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use super::{Context, Outcome, lifecycle};
use crate::args::{AttachArgs, StartArgs};
use crate::failure::Failure;
use crate::session::{DetachKeys, Ended, Input, Session, Signals, is_raw, terminal_size};
use crate::streams::Streams;
use crate::value::BadValue;

/// Input on its way to the daemon.
const INPUT_PIECES: usize = 8;

/// Streams of a container's main process that are open.
#[derive(Debug)]
pub struct Attached {
    /// From the daemon.
    pub output: Streaming<AttachOutput>,
    /// To the daemon.
    pub input: mpsc::Sender<Input>,
}

/// Opens the streams; nothing is missed from here on.
pub async fn open(client: &ContainerServiceClient<Channel>, start: AttachStart) -> Result<Attached, Failure> {
    let (input, queue) = mpsc::channel(INPUT_PIECES);
    let first = AttachInput { message: Some(attach_input::Message::Start(start)) };
    let messages = tokio_stream::once(first).chain(ReceiverStream::new(queue).map(AttachInput::from));
    let mut output = client.clone().attach_container(messages).await?.into_inner();
    expect_attached(&mut output).await?;
    Ok(Attached { output, input })
}

/// Reads the first answer, which tells that the streams are connected.
pub async fn expect_attached(output: &mut Streaming<AttachOutput>) -> Result<(), Failure> {
    match output.message().await? {
        Some(AttachOutput { message: Some(attach_output::Message::Attached(_)) }) => Ok(()),
        _ => Err(Failure::Protocol("a stream began without `attached`")),
    }
}

/// A wait that has begun.
#[derive(Debug)]
pub struct Waiting(Streaming<WaitContainerResponse>);

impl Waiting {
    /// Begins to wait; no exit is missed from here on.
    pub async fn begin(
        client: &ContainerServiceClient<Channel>,
        container: &str,
        condition: Condition,
    ) -> Result<Self, Failure> {
        let request = WaitContainerRequest { container: container.to_owned(), condition: condition.into() };
        let mut events = client.clone().wait_container(request).await?.into_inner();
        match events.message().await? {
            Some(WaitContainerResponse { event: Some(Event::Registered(_)) }) => Ok(Self(events)),
            _ => Err(Failure::Protocol("a wait began without `registered`")),
        }
    }

    /// The exit.
    pub async fn exited(mut self) -> Result<Exited, Failure> {
        while let Some(WaitContainerResponse { event }) = self.0.message().await? {
            if let Some(Event::Exited(exited)) = event {
                return Ok(exited);
            }
        }
        Err(Failure::Protocol("a wait ended without an exit"))
    }
}

/// The keys that detach, as typed or by default.
pub fn detach_keys(typed: Option<&str>) -> Result<DetachKeys, Failure> {
    let keys =
        typed.map(|keys| DetachKeys::parse(keys).map_err(|why| BadValue::new("--detach-keys", keys, why)));
    Ok(keys.transpose()?.unwrap_or_default())
}

/// The signals that fit a session: those to pass on, or on a raw terminal, where keys raise none, to leave on.
pub fn signals(tty: bool, stdin: bool, proxy: bool, streams: &Streams) -> Result<Signals, Failure> {
    if proxy || is_raw(tty, stdin, streams) { Signals::catch() } else { Ok(Signals::none()) }
}

/// The size of the terminal, for a process that has one.
pub fn size_for(tty: bool, streams: &Streams) -> Option<TerminalSize> {
    if tty && streams.terminal.stdout { terminal_size() } else { None }
}

/// The exit code of a session with a container's main process, once the wait has told how it ended.
pub async fn exit_code(ended: Ended, waiting: Waiting, streams: &Streams) -> Outcome {
    match ended {
        Ended::Exited(_) | Ended::Closed => {
            let exited = waiting.exited().await?;
            if !exited.error.is_empty() {
                streams.stderr.say(&exited.error);
            }
            Ok(code(&exited))
        }
        Ended::Detached => {
            streams.stderr.write("read escape sequence\r\n")?;
            Ok(0)
        }
        Ended::Signalled(code) => Ok(code),
    }
}

/// The exit code as a process can leave it.
pub fn code(exited: &Exited) -> u8 {
    u8::try_from(exited.exit_code & 0xff).unwrap_or(u8::MAX)
}

/// `attach`
pub async fn attach(args: &AttachArgs, context: &mut Context) -> Outcome {
    let detach = detach_keys(args.session.detach_keys.as_deref())?;
    let client = context.daemon().await?.containers();
    let request = InspectContainerRequest { container: args.container.clone(), size: false };
    let container = client.clone().inspect_container(request).await?.into_inner();
    let state = container.status.as_ref().map_or(ContainerState::Unspecified, |status| status.state());
    match state {
        ContainerState::Running | ContainerState::Restarting => {}
        ContainerState::Paused => {
            return Err(Failure::Usage(format!(
                "container `{}` is paused: unpause it first",
                args.container
            )));
        }
        _ => {
            return Err(Failure::Usage(format!(
                "container `{}` does not run: start it first",
                args.container
            )));
        }
    }
    let config = container.config.unwrap_or_default();
    let id = container.summary.map(|summary| summary.id).unwrap_or_default();
    let stdin = config.open_stdin && !args.no_stdin;
    let streams = &mut context.streams;
    let waiting = Waiting::begin(&client, &id, Condition::NotRunning).await?;
    let size = size_for(config.tty, streams);
    // A terminal draws itself anew when its size changes: make it change.
    let other_size = size.map(|size| TerminalSize { rows: size.rows + 1, columns: size.columns + 1 });
    let start = AttachStart {
        container: id.clone(),
        stdin,
        stdout: true,
        stderr: true,
        logs: false,
        size: other_size,
    };
    let signals = signals(config.tty, stdin, args.session.sig_proxy, streams)?;
    let Attached { output, input } = open(&client, start).await?;
    let proxy = args.session.sig_proxy.then(|| (client.clone(), id));
    let session = Session { output, input, stdin, tty: config.tty, detach, signals, proxy };
    let ended = session.run(streams).await?;
    exit_code(ended, waiting, streams).await
}

/// `start`, of several containers or of one on this terminal.
pub async fn start(args: StartArgs, context: &mut Context) -> Outcome {
    if !args.attach && !args.interactive {
        return lifecycle::start(args.containers, context).await;
    }
    let [container] = &args.containers[..] else {
        return Err(Failure::Usage(
            "only one container can be started with --attach or --interactive".to_owned(),
        ));
    };
    let detach = detach_keys(args.session.detach_keys.as_deref())?;
    let client = context.daemon().await?.containers();
    let request = InspectContainerRequest { container: container.clone(), size: false };
    let inspected = client.clone().inspect_container(request).await?.into_inner();
    let config = inspected.config.unwrap_or_default();
    let id = inspected.summary.map(|summary| summary.id).unwrap_or_default();
    let stdin = args.interactive && config.open_stdin;
    let streams = &mut context.streams;
    let size = size_for(config.tty, streams);
    let start = AttachStart { container: id.clone(), stdin, stdout: true, stderr: true, logs: false, size };
    let signals = signals(config.tty, stdin, args.session.sig_proxy, streams)?;
    let Attached { output, input } = open(&client, start).await?;
    let condition = if config.auto_remove { Condition::Removed } else { Condition::NextExit };
    let waiting = Waiting::begin(&client, &id, condition).await?;
    client.clone().start_container(StartContainerRequest { container: id.clone() }).await?;
    let proxy = args.session.sig_proxy.then(|| (client.clone(), id));
    let session = Session { output, input, stdin, tty: config.tty, detach, signals, proxy };
    let ended = session.run(streams).await?;
    exit_code(ended, waiting, streams).await
}
