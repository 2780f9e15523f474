//! `exec`: a further process in a running container.

use ross_api::v1::{ExecInput, ExecStart, exec_input};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::attach::{code, detach_keys, expect_attached, signals, size_for};
use super::{Context, Outcome, run};
use crate::args::ExecArgs;
use crate::failure::Failure;
use crate::request::{self, Surroundings};
use crate::session::{Ended, Input, Session};

const INPUT_PIECES: usize = 8;

/// `exec`
pub async fn exec(args: &ExecArgs, context: &mut Context) -> Outcome {
    let detach = detach_keys(args.detach_keys.as_deref())?;
    let request = request::exec(args, &Surroundings::of_process())?;
    let (tty, stdin) = (request.tty, request.attach_stdin);
    run::check_terminal(tty, stdin, &context.streams)?;
    let mut client = context.daemon().await?.containers();
    let id = client.create_exec(request).await?.into_inner().id;
    let streams = &mut context.streams;
    // Unlike run, exec passes no signals on: a ctrl-c ends this process alone, as with docker.
    let signals = signals(tty, stdin, false, streams)?;
    let (input, queue) = mpsc::channel::<Input>(INPUT_PIECES);
    let start = ExecStart { id, detach: args.detach, size: size_for(tty, streams) };
    let first = ExecInput { message: Some(exec_input::Message::Start(start)) };
    let messages = tokio_stream::once(first).chain(ReceiverStream::new(queue).map(ExecInput::from));
    let mut output = client.start_exec(messages).await?.into_inner();
    if args.detach {
        while output.message().await?.is_some() {}
        return Ok(0);
    }
    expect_attached(&mut output).await?;
    let session = Session { output, input, stdin, tty, detach, signals, proxy: None };
    match session.run(streams).await? {
        Ended::Exited(exited) => Ok(code(&exited)),
        Ended::Closed => Err(Failure::Protocol("the stream of the process ended without its exit code")),
        Ended::Detached => {
            streams.stderr.write("read escape sequence\r\n")?;
            Ok(0)
        }
        Ended::Signalled(code) => Ok(code),
    }
}
