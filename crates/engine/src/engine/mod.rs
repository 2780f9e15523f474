//! The door of the crate.

use std::path::PathBuf;

use ross_image::{Image, ImageStore, RegistryConfig, Removed};
use ross_network::Ipv4Net;
use ross_types::ContainerId;
use tokio::sync::broadcast;

use crate::error::{EngineError, Result};
use crate::model::*;

/// Where the engine keeps its things and what it starts.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// What lives through a reboot: database, images, containers, volumes.
    pub root: PathBuf,
    /// What does not: sockets, mounts, namespaces; on a tmpfs.
    pub state: PathBuf,
    /// The ross-shim binary.
    pub shim: PathBuf,
    /// How registries are reached.
    pub registries: RegistryConfig,
    /// Subnet of the default bridge; chosen when absent.
    pub default_subnet: Option<Ipv4Net>,
}

/// The engine of one root directory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {}

#[derive(Debug)]
/// The end of a container, to be awaited. It has been registered: no end after its making is missed.
pub struct ExitWait {}
#[derive(Debug)]
/// Entries of a log. Dropping it ends the reading.
pub struct LogStream {}
#[derive(Debug)]
/// Samples. Dropping it ends the sampling.
pub struct StatsStream {}
#[derive(Debug)]
/// The streams of a process. Dropping both halves detaches; the process goes on.
pub struct AttachSession {
    /// Towards the process.
    pub input: AttachInput,
    /// From the process.
    pub output: AttachOutput,
}
#[derive(Debug)]
/// Towards a process.
pub struct AttachInput {}
#[derive(Debug)]
/// From a process.
pub struct AttachOutput {}

impl ExitWait {
    /// How it ended; with `Removed`, once it is gone.
    pub async fn exited(self) -> Result<Exited> {
        Err(EngineError::unimplemented("wait"))
    }
}
impl LogStream {
    /// The next entry; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<LogEntry>> {
        None
    }
}
impl StatsStream {
    /// The next sample; `None` when the container has ended.
    pub async fn next(&mut self) -> Option<Result<ContainerStats>> {
        None
    }
}
impl AttachInput {
    /// Sends input; waits while the process does not read.
    pub async fn stdin(&mut self, _bytes: &[u8]) -> Result<()> {
        Err(EngineError::unimplemented("attach"))
    }
    /// There is no more input.
    pub async fn close_stdin(&mut self) -> Result<()> {
        Err(EngineError::unimplemented("attach"))
    }
    /// The client's terminal has changed.
    pub async fn resize(&mut self, _size: TerminalSize) -> Result<()> {
        Err(EngineError::unimplemented("attach"))
    }
}
impl AttachOutput {
    /// What comes next; `Exited` is the last event, then `None`.
    pub async fn next(&mut self) -> Option<Result<OutputEvent>> {
        None
    }
}

impl Engine {
    /// Opens the engine, and brings what the database says and what runs together.
    pub async fn open(_config: EngineConfig) -> Result<Self> {
        Err(EngineError::unimplemented("open"))
    }
    /// Lets go of everything; containers run on.
    pub async fn shutdown(&self) {}
    /// Where things are.
    pub fn config(&self) -> &EngineConfig {
        unimplemented!()
    }
    /// A random id made when the database was, 64 hexadecimal digits.
    pub fn id(&self) -> &str {
        ""
    }
    /// The images. Removal goes through [`Self::remove_image`].
    pub fn images(&self) -> &ImageStore {
        unimplemented!()
    }
    /// Removes a name of an image, and the image with its last name.
    pub async fn remove_image(&self, _image: &str, _force: bool) -> Result<Vec<Removed>> {
        Err(EngineError::unimplemented("image removal"))
    }
    /// The image by name, id or unambiguous id prefix ("No such image: x").
    pub async fn image(&self, _image: &str) -> Result<Image> {
        Err(EngineError::unimplemented("image"))
    }
    /// What happens from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        unimplemented!()
    }
    /// Whether the database answers; the error says what to do.
    pub async fn check_database(&self) -> Result<()> {
        Ok(())
    }
    /// Makes a container.
    pub async fn create_container(&self, _request: CreateRequest) -> Result<Created> {
        Err(EngineError::unimplemented("create"))
    }
    /// Starts it; false when it ran already.
    pub async fn start(&self, _container: &str) -> Result<bool> {
        Err(EngineError::unimplemented("start"))
    }
    /// Stops it; false when it did not run.
    pub async fn stop(&self, _container: &str, _options: StopOptions) -> Result<bool> {
        Err(EngineError::unimplemented("stop"))
    }
    /// Stops it if it runs, and starts it.
    pub async fn restart(&self, _container: &str, _options: StopOptions) -> Result<()> {
        Err(EngineError::unimplemented("restart"))
    }
    /// Sends a signal.
    pub async fn kill(&self, _container: &str, _signal: Signal) -> Result<()> {
        Err(EngineError::unimplemented("kill"))
    }
    /// Freezes it.
    pub async fn pause(&self, _container: &str) -> Result<()> {
        Err(EngineError::unimplemented("pause"))
    }
    /// Thaws it.
    pub async fn unpause(&self, _container: &str) -> Result<()> {
        Err(EngineError::unimplemented("unpause"))
    }
    /// Gives it another name.
    pub async fn rename(&self, _container: &str, _name: &str) -> Result<()> {
        Err(EngineError::unimplemented("rename"))
    }
    /// Removes it.
    pub async fn remove(&self, _container: &str, _options: RemoveOptions) -> Result<()> {
        Err(EngineError::unimplemented("remove"))
    }
    /// Containers, newest first.
    pub async fn list(&self, _query: ListQuery) -> Result<Vec<ContainerSummary>> {
        Err(EngineError::unimplemented("list"))
    }
    /// One container.
    pub async fn inspect(&self, _container: &str, _size: bool) -> Result<ContainerDetails> {
        Err(EngineError::unimplemented("inspect"))
    }
    /// Registers for its end.
    pub async fn wait(&self, _container: &str, _condition: WaitCondition) -> Result<ExitWait> {
        Err(EngineError::unimplemented("wait"))
    }
    /// Its log.
    pub async fn logs(&self, _container: &str, _query: LogQuery) -> Result<LogStream> {
        Err(EngineError::unimplemented("logs"))
    }
    /// Samples, one a second, or one only.
    pub async fn stats(&self, _container: &str, _stream: bool) -> Result<StatsStream> {
        Err(EngineError::unimplemented("stats"))
    }
    /// Connects to its main process; before its start is allowed, and misses nothing.
    pub async fn attach(&self, _container: &str, _options: AttachOptions) -> Result<AttachSession> {
        Err(EngineError::unimplemented("attach"))
    }
    /// Resizes its terminal.
    pub async fn resize(&self, _container: &str, _size: TerminalSize) -> Result<()> {
        Err(EngineError::unimplemented("resize"))
    }
    /// Prepares a process in a container that runs.
    pub async fn create_exec(&self, _container: &str, _config: ExecConfig) -> Result<ContainerId> {
        Err(EngineError::unimplemented("exec"))
    }
    /// Starts it; nothing to attach to when detached.
    pub async fn start_exec(&self, _exec: &str, _start: ExecStart) -> Result<Option<AttachSession>> {
        Err(EngineError::unimplemented("exec"))
    }
    /// What is known of it.
    pub async fn inspect_exec(&self, _exec: &str) -> Result<ExecDetails> {
        Err(EngineError::unimplemented("exec"))
    }
    /// Resizes its terminal.
    pub async fn resize_exec(&self, _exec: &str, _size: TerminalSize) -> Result<()> {
        Err(EngineError::unimplemented("exec"))
    }
}
