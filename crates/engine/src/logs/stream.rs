//! A log as a stream.
//!
//! Files are read on blocking threads; a follower sleeps on inotify and on the container's state, and polls nothing.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::inotify;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, watch};

use super::files::{Batch, LogFiles};
use crate::container::View;
use crate::error::{EngineError, Result};
use crate::model::{ContainerState, LogEntry, LogQuery, Timestamp};

/// Batches that wait for a slow client.
const QUEUE: usize = 4;

/// Entries of a log, oldest first. Dropping it ends the reading.
#[derive(Debug)]
pub struct LogStream {
    batches: mpsc::Receiver<Result<Vec<LogEntry>>>,
    entries: VecDeque<LogEntry>,
}

impl LogStream {
    /// Reads the log at `path` of the container that `views` tells of.
    pub(crate) fn open(path: PathBuf, query: LogQuery, views: watch::Receiver<Arc<View>>) -> Self {
        let (sender, batches) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            let failed = |error: io::Error| EngineError::io("read log", &path, error);
            if let Err(error) = drive(&path, query, views, &sender).await {
                // A client that has gone wants no error.
                let _ = sender.send(Err(failed(error))).await;
            }
        });
        Self { batches, entries: VecDeque::new() }
    }

    /// The next entry; `None` at the end: everything was read, and a container that was followed has ended.
    pub async fn next(&mut self) -> Option<Result<LogEntry>> {
        loop {
            if let Some(entry) = self.entries.pop_front() {
                return Some(Ok(entry));
            }
            match self.batches.recv().await? {
                Ok(batch) => self.entries = batch.into(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Whether nothing more will be written.
fn has_ended(view: &View) -> bool {
    view.removed.is_some()
        || matches!(view.run.state, ContainerState::Exited | ContainerState::Dead | ContainerState::Removing)
}

async fn drive(
    path: &Path,
    query: LogQuery,
    mut views: watch::Receiver<Arc<View>>,
    sender: &mpsc::Sender<Result<Vec<LogEntry>>>,
) -> io::Result<()> {
    let watcher = if query.follow { path.parent().map(Watcher::new).transpose()? } else { None };
    let mut files = {
        let (path, query) = (path.to_owned(), query.clone());
        blocking(move || LogFiles::open(&path, query)).await?
    };
    loop {
        // Looked at before reading: what is read then is all there was at that end.
        let last = watcher.is_none() || has_ended(&views.borrow_and_update());
        let (back, batch) = blocking(move || {
            let batch = files.read();
            batch.map(|batch| (files, batch))
        })
        .await?;
        files = back;
        let Batch { entries, at_end, done } = batch;
        if sender.is_closed() || !entries.is_empty() && sender.send(Ok(entries)).await.is_err() {
            return Ok(());
        }
        let over = query.until.is_some_and(|until| Timestamp::now() > until);
        if done || at_end && (last || over) {
            return Ok(());
        }
        if let Some(watcher) = watcher.as_ref().filter(|_| at_end) {
            let until = query.until.map(|until| until.since(Timestamp::now()));
            tokio::select! {
                written = watcher.written() => written?,
                changed = views.changed() => if changed.is_err() { return Ok(()) },
                () = sleep_or_never(until) => {}
                () = sender.closed() => return Ok(()),
            }
        }
    }
}

async fn sleep_or_never(delay: Option<std::time::Duration>) {
    match delay {
        Some(delay) => tokio::time::sleep(delay).await,
        None => std::future::pending().await,
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Wakes when something in a directory is written, made or renamed.
struct Watcher(AsyncFd<OwnedFd>);

impl Watcher {
    fn new(dir: &Path) -> io::Result<Self> {
        use inotify::{CreateFlags, WatchFlags};
        std::fs::create_dir_all(dir)?;
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        inotify::add_watch(
            &fd,
            dir,
            WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR,
        )?;
        #[expect(
            deprecated,
            reason = "its safety is that of the fd, and an OwnedFd keeps its fd open until it is dropped"
        )]
        let fd = AsyncFd::new(fd)?;
        Ok(Self(fd))
    }

    async fn written(&self) -> io::Result<()> {
        let mut guard = self.0.readable().await?;
        let mut events = [0; 4096];
        // All of them say the same.
        while rustix::io::read(&self.0, &mut events).is_ok_and(|count| count > 0) {}
        guard.clear_ready();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{ContainerConfig, NetworkStatus, Run};

    fn view(state: ContainerState) -> Arc<View> {
        Arc::new(View {
            id: ross_types::ContainerId::from_random([1; 32]),
            name: "web".parse().unwrap(),
            image: String::new(),
            image_id: ross_types::Digest::sha256([0; 32]),
            layers: Vec::new(),
            config: Arc::new(ContainerConfig::default()),
            created: Timestamp::default(),
            run: Run { state, ..Run::default() },
            network: NetworkStatus::default(),
            ended: 0,
            removed: None,
            shim: None,
        })
    }

    fn line(text: &str) -> String {
        format!("{{\"log\":\"{text}\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-21T09:00:00Z\"}}\n")
    }

    async fn next(stream: &mut LogStream) -> Option<String> {
        let entry = tokio::time::timeout(Duration::from_secs(20), stream.next()).await.unwrap();
        entry.map(|entry| String::from_utf8(entry.unwrap().line).unwrap().trim().to_owned())
    }

    #[tokio::test]
    async fn a_follower_sees_all_and_ends_with_the_container() {
        use std::io::Write as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log/container.log");
        let (sender, views) = watch::channel(view(ContainerState::Created));
        let query = LogQuery { follow: true, ..LogQuery::default() };
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        let mut stream = LogStream::open(path.clone(), query, views);
        std::fs::write(&path, line("one")).unwrap();
        assert_eq!(next(&mut stream).await.as_deref(), Some("one"));
        sender.send_replace(view(ContainerState::Running));
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(line("two").as_bytes()).unwrap();
        assert_eq!(next(&mut stream).await.as_deref(), Some("two"));
        file.write_all(line("three").as_bytes()).unwrap();
        sender.send_replace(view(ContainerState::Exited));
        assert_eq!(next(&mut stream).await.as_deref(), Some("three"));
        assert_eq!(next(&mut stream).await, None);
    }

    #[tokio::test]
    async fn without_follow_it_ends_where_the_log_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("container.log");
        let views = watch::channel(view(ContainerState::Running)).1;
        assert_eq!(next(&mut LogStream::open(path.clone(), LogQuery::default(), views.clone())).await, None);
        std::fs::write(&path, line("one")).unwrap();
        let mut stream = LogStream::open(path, LogQuery::default(), views);
        assert_eq!(next(&mut stream).await.as_deref(), Some("one"));
        assert_eq!(next(&mut stream).await, None);
    }
}
