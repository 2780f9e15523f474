//! `run`: create, attach, wait, start, in that order, so that neither output nor exit is ever missed.

use ross_api::v1::wait_container_request::Condition;
use ross_api::v1::{AttachStart, RemoveContainerRequest, StartContainerRequest};

use super::attach::{Attached, Waiting, detach_keys, exit_code, open, signals, size_for};
use super::create::{IdFile, create, no_image};
use super::{Context, Outcome};
use crate::args::RunArgs;
use crate::connect::Daemon;
use crate::failure::Failure;
use crate::request::{self, Surroundings};
use crate::session::Session;
use crate::streams::Streams;
use crate::value::BadValue;

/// Which streams of the container come to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

/// `run`
pub async fn run(args: &RunArgs, context: &mut Context) -> Outcome {
    let (image, command) = args.words.split_first().ok_or_else(no_image)?;
    let detach = detach_keys(args.session.detach_keys.as_deref())?;
    let wanted = wanted(args)?;
    let mut request = request::create(&args.options, image, command, &Surroundings::of_process())?;
    // Standard input goes with whoever is attached; in the background there is nobody.
    request.stdin_once = wanted.stdin;
    let tty = request.tty;
    check_terminal(tty, wanted.stdin, &context.streams)?;
    let id_file = IdFile::reserve(args.options.cidfile.as_deref())?;
    let daemon = context.daemon().await?;
    let id = create(&daemon, request, &args.options, context).await?.id;
    id_file.keep(&id)?;
    let client = daemon.containers();
    let streams = &mut context.streams;
    if args.detach {
        start(&daemon, &id, args.options.rm).await?;
        streams.stdout.line(&id)?;
        return Ok(0);
    }
    let signals = signals(tty, wanted.stdin, args.session.sig_proxy, streams)?;
    let connected = async {
        let size = size_for(tty, streams);
        let Wanted { stdin, stdout, stderr } = wanted;
        let attached =
            open(&client, AttachStart { container: id.clone(), stdin, stdout, stderr, logs: false, size })
                .await?;
        let condition = if args.options.rm { Condition::Removed } else { Condition::NextExit };
        Ok::<_, Failure>((attached, Waiting::begin(&client, &id, condition).await?))
    };
    let (Attached { output, input }, waiting) = match connected.await {
        Ok(connected) => connected,
        Err(failure) => return Err(abandon(&daemon, &id, args.options.rm, failure).await),
    };
    start(&daemon, &id, args.options.rm).await?;
    let proxy = args.session.sig_proxy.then(|| (client.clone(), id.clone()));
    let session = Session { output, input, stdin: wanted.stdin, tty, detach, signals, proxy };
    let ended = session.run(streams).await?;
    exit_code(ended, waiting, streams).await
}

/// Starts the container; one that was to be removed on its exit goes when it cannot start.
async fn start(daemon: &Daemon, id: &str, remove: bool) -> Result<(), Failure> {
    match daemon.containers().start_container(StartContainerRequest { container: id.to_owned() }).await {
        Ok(_) => Ok(()),
        Err(status) => Err(abandon(daemon, id, remove, status.into()).await),
    }
}

/// Removes a container that never ran, if it was to be removed, and hands the failure on.
async fn abandon(daemon: &Daemon, id: &str, remove: bool, failure: Failure) -> Failure {
    if remove {
        let request = RemoveContainerRequest { container: id.to_owned(), force: true, volumes: true };
        // The daemon may have removed it already; what is told is why it did not start.
        let _ = daemon.containers().remove_container(request).await;
    }
    failure
}

/// The streams of `--attach`, or those that fit the other flags.
fn wanted(args: &RunArgs) -> Result<Wanted, Failure> {
    let interactive = args.options.process.interactive;
    if args.detach {
        return Ok(Wanted { stdin: false, stdout: false, stderr: false });
    }
    if args.attach.is_empty() {
        return Ok(Wanted { stdin: interactive, stdout: true, stderr: true });
    }
    let mut wanted = Wanted { stdin: false, stdout: false, stderr: false };
    for name in &args.attach {
        match name.to_ascii_lowercase().as_str() {
            "stdin" => wanted.stdin = true,
            "stdout" => wanted.stdout = true,
            "stderr" => wanted.stderr = true,
            _ => return Err(BadValue::new("--attach", name, "expected stdin, stdout or stderr").into()),
        }
    }
    wanted.stdin &= interactive;
    Ok(wanted)
}

/// A terminal in the container needs one here, when what is typed is to reach it.
pub fn check_terminal(tty: bool, stdin: bool, streams: &Streams) -> Result<(), Failure> {
    if tty && stdin && !streams.terminal.stdin {
        let reason = "standard input is not a terminal: leave out --tty, or --interactive";
        return Err(Failure::Usage(reason.to_owned()));
    }
    Ok(())
}
