//! Signals: passed on to the container, or taken as a wish to leave the terminal; and the size of the terminal.

use ross_api::v1::KillContainerRequest;
use ross_api::v1::container_service_client::ContainerServiceClient;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tonic::transport::Channel;

use super::{Input, raw};
use crate::failure::Failure;

/// A kind of signal, and its name.
type Named = (fn() -> SignalKind, &'static str);

/// Those that ask a process to do something or to end, and what they are called.
const CAUGHT: [Named; 6] = [
    (SignalKind::hangup, "HUP"),
    (SignalKind::interrupt, "INT"),
    (SignalKind::quit, "QUIT"),
    (SignalKind::terminate, "TERM"),
    (SignalKind::user_defined1, "USR1"),
    (SignalKind::user_defined2, "USR2"),
];

/// Signals caught from its making on, and kept until they are asked for.
#[derive(Debug, Default)]
pub struct Signals {
    caught: Vec<(Signal, SignalKind, &'static str)>,
}

impl Signals {
    /// Catches nothing: signals do what they do by default.
    pub fn none() -> Self {
        Self::default()
    }

    /// Catches all that would end this process, be it to pass them on or to put the terminal back before it leaves.
    pub fn catch() -> Result<Self, Failure> {
        let catch = |(kind, name): Named| {
            let kind = kind();
            let signal =
                signal(kind).map_err(|source| Failure::Stream { what: "cannot catch signals", source })?;
            Ok((signal, kind, name))
        };
        Ok(Self { caught: CAUGHT.into_iter().map(catch).collect::<Result<_, Failure>>()? })
    }

    /// The next one caught; never, when none is.
    async fn next(&mut self) -> (SignalKind, &'static str) {
        std::future::poll_fn(|context| {
            for (signal, kind, name) in &mut self.caught {
                if let std::task::Poll::Ready(Some(())) = signal.poll_recv(context) {
                    return std::task::Poll::Ready((*kind, *name));
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

/// Passes signals on to the container of `proxy`; without one, or on a raw terminal, answers the exit code to leave
/// with.
pub async fn forward(
    signals: &mut Signals,
    raw: bool,
    proxy: Option<(ContainerServiceClient<Channel>, String)>,
) -> u8 {
    loop {
        let (kind, name) = signals.next().await;
        match &proxy {
            Some((client, container)) if !raw => {
                let request = KillContainerRequest { container: container.clone(), signal: name.to_owned() };
                // A container that has just ended cannot be signalled, which is what the sender wanted.
                let _ = client.clone().kill_container(request).await;
            }
            _ => return u8::try_from(128 + kind.as_raw_value()).unwrap_or(u8::MAX),
        }
    }
}

/// Sends each new size of the terminal, for as long as the session takes input.
pub fn follow_size(input: mpsc::Sender<Input>) -> Result<(), Failure> {
    let mut changes = signal(SignalKind::window_change())
        .map_err(|source| Failure::Stream { what: "cannot catch signals", source })?;
    tokio::spawn(async move {
        loop {
            if let Some(size) = raw::size()
                && input.send(Input::Resize(size)).await.is_err()
            {
                return;
            }
            if changes.recv().await.is_none() {
                return;
            }
        }
    });
    Ok(())
}
