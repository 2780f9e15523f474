//! A daemon made up for tests: it writes down what it is asked, and plays one container by a script.

use std::path::Path;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt as _;
use ross_api::v1::container_service_server::{ContainerService, ContainerServiceServer};
use ross_api::v1::image_service_server::{ImageService, ImageServiceServer};
use ross_api::v1::ross_server::{Ross, RossServer};
use ross_api::v1::*;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status, Streaming};

/// What the container does.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// The image has to be pulled first.
    pub image_missing: bool,
    /// Why it cannot start.
    pub start_fails: Option<(Code, &'static str)>,
    /// What it writes: to stderr when true.
    pub output: Vec<(bool, &'static str)>,
    /// It writes back what it reads, until the end of its input.
    pub echo: bool,
    /// Its exit code.
    pub exit_code: i32,
    /// The signal that ends it; it ends by itself when empty.
    pub ends_on: &'static str,
    /// How many lines its log has.
    pub log_lines: usize,
    /// The password that the registry takes.
    pub password: &'static str,
    /// The identity token that it gives for it, which it then takes as well.
    pub identity_token: &'static str,
}

/// The daemon.
#[derive(Debug, Clone)]
pub struct Fake {
    script: Script,
    calls: Arc<Mutex<Vec<String>>>,
    pulled: Arc<Mutex<bool>>,
    started: watch::Sender<bool>,
    killed: watch::Sender<bool>,
    ended: watch::Sender<bool>,
}

type Answers<T> = std::pin::Pin<Box<dyn futures_util::Stream<Item = Result<T, Status>> + Send>>;

impl Fake {
    /// Serves at `socket`.
    pub fn serve(script: Script, socket: &Path) -> Self {
        let fake = Self {
            script,
            calls: Arc::default(),
            pulled: Arc::default(),
            started: watch::Sender::new(false),
            killed: watch::Sender::new(false),
            ended: watch::Sender::new(false),
        };
        let listener = UnixListener::bind(socket).unwrap();
        let server = Server::builder()
            .add_service(ContainerServiceServer::new(fake.clone()))
            .add_service(ImageServiceServer::new(fake.clone()))
            .add_service(RossServer::new(fake.clone()));
        tokio::spawn(server.serve_with_incoming(UnixListenerStream::new(listener)));
        fake
    }

    /// What was asked, in order.
    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    /// Tells that a start was answered.
    pub fn started(&self) -> watch::Receiver<bool> {
        self.started.subscribe()
    }

    fn called(&self, call: impl Into<String>) {
        self.calls.lock().unwrap().push(call.into());
    }

    /// That `object` is unknown, as is everything called `missing`.
    fn find(object: &str) -> Result<(), Status> {
        if object != "missing" {
            return Ok(());
        }
        let mut status = Status::not_found("No such object: missing");
        status.metadata_mut().insert("ross-reason", "not-found".parse().unwrap());
        Err(status)
    }

    /// Plays the process once it is started.
    fn play(&self, input: mpsc::Receiver<bytes::Bytes>) -> Answers<AttachOutput> {
        use attach_output::{Attached, Data, Message};
        let (fake, mut input) = (self.clone(), input);
        let (answers, queue) = mpsc::channel(64);
        tokio::spawn(async move {
            // The client may have left.
            let send = async |message| drop(answers.send(Ok(AttachOutput { message: Some(message) })).await);
            send(Message::Attached(Attached {})).await;
            fake.started.subscribe().wait_for(|started| *started).await.unwrap();
            for (to_stderr, text) in &fake.script.output {
                let stream = if *to_stderr { OutputStream::Stderr } else { OutputStream::Stdout };
                let bytes = bytes::Bytes::from_static(text.as_bytes());
                send(Message::Data(Data { stream: stream.into(), bytes })).await;
            }
            while let Some(bytes) = if fake.script.echo { input.recv().await } else { None } {
                send(Message::Data(Data { stream: OutputStream::Stdout.into(), bytes })).await;
            }
            if !fake.script.ends_on.is_empty() {
                fake.killed.subscribe().wait_for(|killed| *killed).await.unwrap();
            }
            fake.ended.send_replace(true);
            send(Message::Exited(fake.exited())).await;
        });
        Box::pin(ReceiverStream::new(queue))
    }

    fn exited(&self) -> Exited {
        Exited { exit_code: self.script.exit_code, ..Exited::default() }
    }
}

/// Credentials as a test sees them; nothing when there are none.
fn shown(auth: Option<&RegistryAuth>) -> String {
    let Some(auth) = auth else { return String::new() };
    match auth.identity_token.as_str() {
        "" => format!(" as {}:{}", auth.username, auth.password),
        token => format!(" as {}, token {token}", auth.username),
    }
}

/// Takes input until it is closed.
fn collect<M: Send + 'static>(
    mut messages: Streaming<M>,
    bytes: impl Fn(M) -> Option<bytes::Bytes> + Send + 'static,
) -> mpsc::Receiver<bytes::Bytes> {
    let (input, queue) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Ok(Some(message)) = messages.message().await {
            let Some(piece) = bytes(message) else { return };
            if input.send(piece).await.is_err() {
                return;
            }
        }
    });
    queue
}

/// An implementation of a service of which most calls are not expected.
macro_rules! service {
    ($service:ident { $($body:tt)* } unexpected { $($name:ident: $request:ty => $answer:ty,)* }) => {
        #[tonic::async_trait]
        impl $service for Fake {
            $($body)*
            $(async fn $name(&self, _: Request<$request>) -> Result<Response<$answer>, Status> {
                Err(Status::unimplemented(stringify!($name)))
            })*
        }
    };
}

service! {
    ContainerService {
        type WaitContainerStream = Answers<WaitContainerResponse>;
        type GetLogsStream = Answers<LogEntry>;
        type StartExecStream = Answers<AttachOutput>;
        type AttachContainerStream = Answers<AttachOutput>;
        type StatsContainerStream = Answers<ContainerStats>;
        type ExportContainerStream = Answers<ExportContainerResponse>;

        /// A container called `broken` breaks off after the first piece.
        async fn export_container(
            &self,
            request: Request<ExportContainerRequest>,
        ) -> Result<Response<Self::ExportContainerStream>, Status> {
            self.called("export");
            Self::find(&request.get_ref().container)?;
            let piece = |text| Ok(ExportContainerResponse { chunk: bytes::Bytes::from_static(text) });
            let second = match request.get_ref().container.as_str() {
                "broken" => Err(Status::internal("it broke off")),
                _ => piece(b"second"),
            };
            Ok(Response::new(Box::pin(futures_util::stream::iter([piece(b"first "), second]))))
        }

        async fn create_container(
            &self,
            _: Request<CreateContainerRequest>,
        ) -> Result<Response<CreateContainerResponse>, Status> {
            self.called("create");
            if self.script.image_missing && !*self.pulled.lock().unwrap() {
                return Err(Status::not_found("No such image: busybox"));
            }
            let warnings = vec!["no swap here".to_owned()];
            Ok(Response::new(CreateContainerResponse { id: "cafe".to_owned(), name: "x".to_owned(), warnings }))
        }

        async fn start_container(
            &self,
            _: Request<StartContainerRequest>,
        ) -> Result<Response<StartContainerResponse>, Status> {
            self.called("start");
            if let Some((code, reason)) = self.script.start_fails {
                let mut status = Status::new(code, "exec /nope: no such file or directory");
                status.metadata_mut().insert("ross-reason", reason.parse().unwrap());
                return Err(status);
            }
            self.started.send_replace(true);
            Ok(Response::new(StartContainerResponse { started: true }))
        }

        async fn kill_container(
            &self,
            request: Request<KillContainerRequest>,
        ) -> Result<Response<KillContainerResponse>, Status> {
            let signal = request.into_inner().signal;
            self.called(format!("kill {signal}"));
            if signal == self.script.ends_on {
                self.killed.send_replace(true);
            }
            Ok(Response::new(KillContainerResponse {}))
        }

        async fn remove_container(
            &self,
            request: Request<RemoveContainerRequest>,
        ) -> Result<Response<RemoveContainerResponse>, Status> {
            self.called("remove");
            Self::find(&request.get_ref().container)?;
            Ok(Response::new(RemoveContainerResponse {}))
        }

        async fn wait_container(
            &self,
            request: Request<WaitContainerRequest>,
        ) -> Result<Response<Self::WaitContainerStream>, Status> {
            use wait_container_response::{Event, Registered};
            self.called(format!("wait {:?}", request.get_ref().condition()));
            let fake = self.clone();
            let answer = |event| Ok(WaitContainerResponse { event: Some(event) });
            let registered = futures_util::stream::iter([answer(Event::Registered(Registered {}))]);
            let exited = futures_util::stream::once(async move {
                fake.ended.subscribe().wait_for(|ended| *ended).await.unwrap();
                answer(Event::Exited(fake.exited()))
            });
            Ok(Response::new(Box::pin(registered.chain(exited))))
        }

        async fn create_exec(
            &self,
            request: Request<CreateExecRequest>,
        ) -> Result<Response<CreateExecResponse>, Status> {
            self.called(format!("create-exec {}", request.get_ref().cmd.join(" ")));
            Ok(Response::new(CreateExecResponse { id: "e".to_owned() }))
        }

        async fn start_exec(
            &self,
            request: Request<Streaming<ExecInput>>,
        ) -> Result<Response<Self::StartExecStream>, Status> {
            let mut messages = request.into_inner();
            let first = messages.message().await?.and_then(|input| input.message);
            let Some(exec_input::Message::Start(start)) = first else { panic!("{first:?}") };
            self.called(format!("start-exec {}", if start.detach { "detached" } else { "attached" }));
            self.started.send_replace(true);
            if start.detach {
                return Ok(Response::new(Box::pin(futures_util::stream::empty())));
            }
            let input = collect(messages, |input| match input.message {
                Some(exec_input::Message::Stdin(bytes)) => Some(bytes),
                _ => None,
            });
            Ok(Response::new(self.play(input)))
        }

        async fn attach_container(
            &self,
            request: Request<Streaming<AttachInput>>,
        ) -> Result<Response<Self::AttachContainerStream>, Status> {
            let mut messages = request.into_inner();
            let first = messages.message().await?.and_then(|input| input.message);
            let Some(attach_input::Message::Start(start)) = first else { panic!("{first:?}") };
            let output = if start.stdout && start.stderr { "" } else { " or output" };
            self.called(format!("attach {} stdin{output}", if start.stdin { "with" } else { "without" }));
            let input = collect(messages, |input| match input.message {
                Some(attach_input::Message::Stdin(bytes)) => Some(bytes),
                _ => None,
            });
            Ok(Response::new(self.play(input)))
        }

        async fn list_containers(
            &self,
            request: Request<ListContainersRequest>,
        ) -> Result<Response<ListContainersResponse>, Status> {
            let ListContainersRequest { all, limit, filters, .. } = request.into_inner();
            let filters: Vec<String> =
                filters.iter().map(|filter| format!(" {}={}", filter.key, filter.values.join("|"))).collect();
            self.called(format!("list all={all} limit={limit}{}", filters.concat()));
            let container = ContainerSummary { id: "cafe".repeat(16), ..ContainerSummary::default() };
            Ok(Response::new(ListContainersResponse { containers: vec![container] }))
        }

        async fn inspect_container(
            &self,
            _: Request<InspectContainerRequest>,
        ) -> Result<Response<InspectContainerResponse>, Status> {
            self.called("inspect");
            let summary = ContainerSummary { id: "cafe".to_owned(), ..ContainerSummary::default() };
            let config = CreateContainerRequest { open_stdin: true, ..CreateContainerRequest::default() };
            Ok(Response::new(InspectContainerResponse {
                summary: Some(summary),
                config: Some(config),
                ..InspectContainerResponse::default()
            }))
        }

        async fn get_logs(
            &self,
            request: Request<GetLogsRequest>,
        ) -> Result<Response<Self::GetLogsStream>, Status> {
            let GetLogsRequest { follow, tail, .. } = request.into_inner();
            self.called(format!("logs follow={follow} tail={tail:?}"));
            let entries = (0..self.script.log_lines).map(|line| {
                let stream = if line % 2 == 0 { OutputStream::Stdout } else { OutputStream::Stderr };
                let line = bytes::Bytes::from(format!("line {line}\n"));
                Ok(LogEntry { stream: stream.into(), line, ..LogEntry::default() })
            });
            Ok(Response::new(Box::pin(futures_util::stream::iter(entries))))
        }
    }
    unexpected {
        stop_container: StopContainerRequest => StopContainerResponse,
        restart_container: RestartContainerRequest => RestartContainerResponse,
        pause_container: PauseContainerRequest => PauseContainerResponse,
        unpause_container: UnpauseContainerRequest => UnpauseContainerResponse,
        rename_container: RenameContainerRequest => RenameContainerResponse,
        inspect_exec: InspectExecRequest => InspectExecResponse,
        resize_container: ResizeContainerRequest => ResizeContainerResponse,
        stats_container: StatsContainerRequest => Self::StatsContainerStream,
        commit_container: CommitContainerRequest => CommitContainerResponse,
    }
}

service! {
    ImageService {
        type PullImageStream = Answers<PullImageResponse>;
        type PushImageStream = Answers<PushImageResponse>;
        type BuildImageStream = Answers<BuildImageResponse>;
        type SaveImagesStream = Answers<SaveImagesResponse>;
        type VerifyImagesStream = Answers<VerifyImagesResponse>;

        async fn inspect_image(
            &self,
            _: Request<InspectImageRequest>,
        ) -> Result<Response<InspectImageResponse>, Status> {
            self.called("inspect-image");
            Err(Status::not_found("No such image: busybox"))
        }

        async fn pull_image(
            &self,
            request: Request<PullImageRequest>,
        ) -> Result<Response<Self::PullImageStream>, Status> {
            use pull_image_response::Event;
            let PullImageRequest { reference, auth, .. } = request.into_inner();
            self.called(format!("pull {reference}{}", shown(auth.as_ref())));
            *self.pulled.lock().unwrap() = true;
            let events = [
                Event::Status(PullStatus { text: "Pulling busybox".to_owned() }),
                Event::Pulled(PulledImage::default()),
            ];
            let events = events.map(|event| Ok(PullImageResponse { event: Some(event) }));
            Ok(Response::new(Box::pin(futures_util::stream::iter(events))))
        }

        async fn login(&self, request: Request<LoginRequest>) -> Result<Response<LoginResponse>, Status> {
            let LoginRequest { registry, auth } = request.into_inner();
            self.called(format!("login {registry}{}", shown(auth.as_ref())));
            let auth = auth.unwrap_or_default();
            if auth.password == self.script.password && auth.identity_token.is_empty() {
                let identity_token = self.script.identity_token.to_owned();
                return Ok(Response::new(LoginResponse { identity_token }));
            }
            if !auth.identity_token.is_empty() && auth.identity_token == self.script.identity_token {
                return Ok(Response::new(LoginResponse::default()));
            }
            let mut status = Status::unauthenticated(format!("login at {registry}: refused"));
            status.metadata_mut().insert("ross-reason", "unauthenticated".parse().unwrap());
            Err(status)
        }

        async fn load_images(
            &self,
            request: Request<Streaming<LoadImagesRequest>>,
        ) -> Result<Response<LoadImagesResponse>, Status> {
            self.called("load");
            let mut chunks = request.into_inner();
            let mut length = 0;
            let mut whole = false;
            while let Some(LoadImagesRequest { chunk, last }) = chunks.message().await? {
                length += chunk.len();
                whole |= last;
            }
            self.called(if whole { "a whole archive" } else { "a broken one" });
            if length == 0 {
                return Err(Status::invalid_argument("the archive is empty"));
            }
            let images = vec![load_images_response::Loaded { id: format!("{length} bytes"), references: vec![] }];
            Ok(Response::new(LoadImagesResponse { images }))
        }

        async fn push_image(
            &self,
            request: Request<PushImageRequest>,
        ) -> Result<Response<Self::PushImageStream>, Status> {
            use push_image_response::Event;
            let PushImageRequest { reference, all_tags, .. } = request.into_inner();
            self.called(format!("push {reference} all={all_tags}"));
            let pushed = |tag: &str| {
                Event::Pushed(PulledImage {
                    reference: format!("docker.io/team/app:{tag}"),
                    manifest_digest: "sha256:cafe".to_owned(),
                    manifest_bytes: 528,
                    ..PulledImage::default()
                })
            };
            let mut events = vec![Event::Status(PullStatus { text: "The push refers".to_owned() }), pushed("1")];
            events.extend(all_tags.then(|| pushed("2")));
            let events = events.into_iter().map(|event| Ok(PushImageResponse { event: Some(event) }));
            Ok(Response::new(Box::pin(futures_util::stream::iter(events))))
        }

        async fn save_images(
            &self,
            request: Request<SaveImagesRequest>,
        ) -> Result<Response<Self::SaveImagesStream>, Status> {
            let names = request.into_inner().images;
            self.called(format!("save {}", names.join(" ")));
            Self::find(&names[0])?;
            let chunk = |text: &'static str| Ok(SaveImagesResponse { chunk: bytes::Bytes::from_static(text.as_bytes()) });
            if names[0] == "slow" {
                let first = futures_util::stream::iter([chunk("ab")]);
                return Ok(Response::new(Box::pin(first.chain(futures_util::stream::pending()))));
            }
            let broken = names[0] == "broken";
            let rest = if broken { Err(Status::data_loss("a blob is wrong")) } else { chunk("cd") };
            Ok(Response::new(Box::pin(futures_util::stream::iter([chunk("ab"), rest]))))
        }

        async fn remove_image(
            &self,
            request: Request<RemoveImageRequest>,
        ) -> Result<Response<RemoveImageResponse>, Status> {
            self.called("remove-image");
            Self::find(&request.get_ref().image)?;
            Ok(Response::new(RemoveImageResponse::default()))
        }
    }
    unexpected {
        list_images: ListImagesRequest => ListImagesResponse,
        build_image: Streaming<BuildImageRequest> => Self::BuildImageStream,
        tag_image: TagImageRequest => TagImageResponse,
        search_images: SearchImagesRequest => SearchImagesResponse,
        verify_images: VerifyImagesRequest => Self::VerifyImagesStream,
        import_image: Streaming<ImportImageRequest> => ImportImageResponse,
    }
}

service! {
    Ross {
        type EventsStream = Answers<Event>;

        /// Of two volumes one cannot go.
        async fn prune(&self, request: Request<PruneRequest>) -> Result<Response<PruneResponse>, Status> {
            self.called("prune");
            let mut answer = PruneResponse { removed_containers: vec!["cafe".to_owned()], ..PruneResponse::default() };
            if request.get_ref().volumes {
                answer.removed_volumes.push("one".to_owned());
                answer.failures.push("remove /volumes/two: it is stuck".to_owned());
            }
            Ok(Response::new(answer))
        }
    }
    unexpected {
        health: HealthRequest => HealthResponse,
        version: VersionRequest => VersionResponse,
        info: InfoRequest => InfoResponse,
        events: EventsRequest => Self::EventsStream,
        disk_usage: DiskUsageRequest => DiskUsageResponse,
    }
}
