//! `stats` without a name: all containers that run, and those that come to run while it watches.

use std::collections::BTreeMap;
use std::time::Duration;

use ross_api::v1::ContainerSummary;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Client, News, bare, follow, list, runs};

/// Between two looks at the list.
const LOOK: Duration = Duration::from_secs(1);

/// A container of the list.
struct Known {
    /// Its row.
    place: usize,
    now: Now,
}

/// What is done about it.
enum Now {
    /// Nothing; it has no row.
    Nothing,
    /// It does not run, and has a row that says no more than its name.
    Bare,
    /// It is followed; the task says whether that failed.
    Followed(JoinHandle<bool>),
    /// It cannot be followed, and that was said.
    Failed,
}

/// Follows all containers that run; with `all`, the others have a row, too. Ends with the daemon.
pub(super) async fn discover(all: bool, client: Client, tell: mpsc::Sender<News>) {
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    let mut next = 0;
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        let containers = match list(&client, all).await {
            Ok(containers) => containers,
            Err(failure) => {
                let _ = tell.send((usize::MAX, Err(failure))).await;
                return;
            }
        };
        let gone = known.extract_if(.., |id, _| containers.iter().all(|container| container.id != *id));
        for (_, one) in gone {
            // One that is followed has the end of its own stream.
            if matches!(one.now, Now::Bare) {
                let _ = tell.send((one.place, Ok(None))).await;
            }
        }
        for container in containers {
            let one = known.entry(container.id.clone()).or_insert_with(|| {
                next += 1;
                Known { place: next, now: Now::Nothing }
            });
            one.look(container, &client, &tell).await;
        }
    }
}

impl Known {
    /// Brings what is done together with how things stand.
    async fn look(&mut self, container: ContainerSummary, client: &Client, tell: &mpsc::Sender<News>) {
        if let Now::Followed(task) = &mut self.now
            && task.is_finished()
        {
            self.now = if task.await.unwrap_or(true) { Now::Failed } else { Now::Nothing };
        }
        match (&self.now, runs(&container)) {
            (Now::Nothing | Now::Bare, true) => {
                let task = follow(self.place, container.id, client.clone(), tell.clone());
                self.now = Now::Followed(tokio::spawn(task));
            }
            (Now::Nothing, false) => {
                self.now = Now::Bare;
                let _ = tell.send((self.place, Ok(Some(bare(container))))).await;
            }
            _ => {}
        }
    }
}
