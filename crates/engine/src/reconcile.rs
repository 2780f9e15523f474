//! At open: the database says what is wanted, the shims what runs. Afterwards the two agree, and what belongs to
//! neither is gone.
//!
//! Every step can be repeated: an engine that is killed here does the same when it is opened the next time.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ross_shim::client::{ClientError, ShimClient};
use ross_shim::config::SOCKET_FILE;
use ross_shim::exit_record::ExitRecord;
use ross_shim::protocol::{ContainerState as ShimState, Status};
use ross_types::ContainerId;

use crate::container::{Command, Found, Handle, force_delete, lost, remove_dirs, spawn, unmount};
use crate::context::Context;
use crate::db::{ContainerRow, Durability};
use crate::engine::end_commit;
use crate::error::{EngineError, Result};
use crate::model::{ContainerState, RemoveOptions, Signal, Timestamp};
use crate::task::blocking;

/// A shim that does not answer within this time is treated as gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// One that could not be asked is asked again.
const RETRY: Duration = Duration::from_millis(100);

/// Brings everything together and makes the tasks of all containers.
pub(crate) async fn reconcile(context: &Arc<Context>) -> Result<()> {
    let rows = context.db.call(crate::db::Db::containers).await?;
    let known: HashSet<ContainerId> = rows.iter().map(|row| row.id.clone()).collect();
    for id in strangers(context, known).await? {
        clear_stranger(context, &id).await;
    }
    for row in &rows {
        context.registry.reserve_name(&row.name, &row.id)?;
    }
    // All at once: a shim that does not answer keeps nobody waiting for another.
    let finds: Vec<_> = rows
        .into_iter()
        .map(|row| {
            let context = context.clone();
            tokio::spawn(async move { find(&context, row).await })
        })
        .collect();
    let mut containers = Vec::with_capacity(finds.len());
    for found in finds {
        containers.push(found.await.map_err(|error| {
            EngineError::internal("containers", "look for the containers").caused_by(error)
        })?);
    }
    let runs = |found: &Found| matches!(found, Found::Running(_));
    let alive: Vec<ContainerId> =
        containers.iter().filter(|(_, found, _)| runs(found)).map(|(row, _, _)| row.id.clone()).collect();
    if let Err(error) = context.networks.reconcile(&alive).await {
        // Containers that run keep what they have; new ones may fail, and say so.
        tracing::error!(error = &error as &dyn std::error::Error, "the network cannot be repaired");
    }
    for (row, found, next) in containers {
        let handle = spawn(context.clone(), row, found);
        end_commit(context, handle.clone());
        follow_up(handle, next);
    }
    Ok(())
}

/// What is to be done with a container that does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Nothing,
    Start,
    Remove,
}

fn follow_up(handle: Handle, next: Next) {
    if next == Next::Nothing {
        return;
    }
    tokio::spawn(async move {
        let done = match next {
            Next::Start => handle.call(Command::Start).await.map(drop),
            Next::Remove => {
                let options = RemoveOptions { force: true, volumes: true };
                handle.call(|reply| Command::Remove { options, reply }).await
            }
            Next::Nothing => Ok(()),
        };
        if let Err(error) = done {
            tracing::error!(container = %handle.id, error = error.sentence(), ?next, "a container is not as it should be");
        }
    });
}

/// Ids that have directories and no row.
async fn strangers(context: &Arc<Context>, known: HashSet<ContainerId>) -> Result<BTreeSet<ContainerId>> {
    let paths = [context.paths.containers(), context.paths.container_states(), context.paths.runtime()];
    blocking(move || {
        let mut ids = BTreeSet::new();
        for path in &paths {
            ids.extend(ids_in(path)?.into_iter().filter(|id| !known.contains(id)));
        }
        Ok(ids)
    })
    .await
}

fn ids_in(path: &Path) -> Result<Vec<ContainerId>> {
    let failed = |error| EngineError::io("read directory", path, error);
    let mut ids = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        // Whatever else is there was not put there by ross.
        ids.extend(name.to_str().and_then(|name| name.parse().ok()));
    }
    Ok(ids)
}

async fn patient<T>(call: impl Future<Output = Result<T, ClientError>>) -> Option<T> {
    tokio::time::timeout(PATIENCE, call).await.ok()?.ok()
}

async fn connect(context: &Context, id: &ContainerId) -> Option<(ShimClient, ShimState)> {
    let socket = context.paths.state_of(id).join(SOCKET_FILE);
    let reach = async {
        loop {
            match ShimClient::connect(&socket).await {
                Ok(shim) => return Some(shim),
                Err(error) if error.is_gone() => return None,
                // A want of descriptors, say: no reason to end what runs.
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    };
    let shim = tokio::time::timeout(PATIENCE, reach).await.ok()??;
    let state = patient(shim.state()).await?;
    Some((shim, state))
}

/// Ends and removes what has no row.
async fn clear_stranger(context: &Arc<Context>, id: &ContainerId) {
    tracing::warn!(container = %id, "directories without a container are removed");
    if let Some((shim, state)) = connect(context, id).await {
        if matches!(state.status, Status::Running | Status::Paused) {
            patient(shim.signal_all(Signal::KILL.number())).await;
            patient(shim.wait(None)).await;
        }
        patient(shim.shutdown()).await;
    }
    if let Err(error) = context.networks.release(id).await {
        tracing::warn!(container = %id, error = &error as &dyn std::error::Error, "its network is left behind");
    }
    let (context, id) = (context.clone(), id.clone());
    let cleared = tokio::task::spawn_blocking(move || {
        force_delete(&context, &id, None);
        if let Err(error) = remove_dirs(&context, &id, &[]) {
            tracing::warn!(container = %id, error = error.sentence(), "its directories are left behind");
        }
    });
    if cleared.await.is_err() {
        tracing::error!("clearing up was interrupted");
    }
}

/// Finds how things stand with a container of the database.
async fn find(context: &Arc<Context>, mut row: ContainerRow) -> (ContainerRow, Found, Next) {
    if let Some((shim, state)) = connect(context, &row.id).await {
        match (state.status, state.exit) {
            (Status::Running | Status::Paused, _) => {
                adopt(context, &mut row, state.status, state.pid, state.started_at).await;
                return (row, Found::Running(shim), Next::Nothing);
            }
            (Status::Stopped, Some(exit)) => {
                catch_up(&mut row, ContainerState::Running);
                return (row, Found::Ended(exit, Some(shim)), Next::Nothing);
            }
            // Launched, and never told to start anything.
            (Status::Created | Status::Stopped, _) => drop(patient(shim.shutdown()).await),
        }
    }
    let task = tokio::task::spawn_blocking({
        let (context, row) = (context.clone(), row.clone());
        move || leftovers(&context, &row)
    });
    let record = task.await.ok().flatten().filter(|record| is_news(record, &row));
    match record {
        Some(record) => {
            catch_up(&mut row, ContainerState::Running);
            (row, Found::Ended(record.into(), None), Next::Nothing)
        }
        None if row.run.state.is_running() => {
            let exit = lost(row.run.pid, row.run.started_at);
            (row, Found::Ended(exit, None), Next::Nothing)
        }
        None => {
            let next = settle(&mut row);
            (row, Found::Nothing, next)
        }
    }
}

/// Its state is that of a run nobody saw.
fn catch_up(row: &mut ContainerRow, state: ContainerState) {
    if let Err(error) = row.run.catch_up(state) {
        tracing::error!(container = %row.id, %error, "a container ran that could not");
        row.run.state = state;
    }
}

/// It runs: the database is told what it may not know.
async fn adopt(context: &Context, row: &mut ContainerRow, status: Status, pid: i32, started_at: i64) {
    let state = if status == Status::Paused { ContainerState::Paused } else { ContainerState::Running };
    if row.run.state == state && row.run.pid == pid {
        return;
    }
    catch_up(row, state);
    row.run.pid = pid;
    row.run.started_at = Some(Timestamp::from_unix_nanos(started_at));
    let (id, run, network) = (row.id.clone(), row.run.clone(), row.network.clone());
    let told = context.db.call(move |db| db.update_run(&id, &run, &network, Durability::Relaxed)).await;
    if let Err(error) = told {
        tracing::error!(container = %row.id, error = EngineError::from(error).sentence(), "its state is not in the database");
    }
}

/// Clears what a container without a shim has left; the record of its end, if there is one. Blocks.
fn leftovers(context: &Context, row: &ContainerRow) -> Option<ExitRecord> {
    if context.paths.state_of(&row.id).exists() || row.run.state.is_running() {
        force_delete(context, &row.id, Some(&row.config));
        if let Err(error) = unmount(context, &row.id, &row.layers) {
            tracing::warn!(container = %row.id, error = error.sentence(), "its root is left behind");
        }
    }
    match ExitRecord::read(&context.paths.exit_record(&row.id)) {
        Ok(record) => record,
        Err(error) => {
            tracing::warn!(container = %row.id, %error, "its exit record cannot be read");
            None
        }
    }
}

/// Whether a record is of a run whose end the row does not know.
fn is_news(record: &ExitRecord, row: &ContainerRow) -> bool {
    let finished = row.run.finished_at.map_or(0, Timestamp::unix_nanos);
    // Nothing but this run can have left it: a start removes the record of the run before.
    row.run.state.is_running() || record.started_at > finished
}

/// The state of a container that does not run, and what follows from it.
fn settle(row: &mut ContainerRow) -> Next {
    let restart_was_due = row.run.state == ContainerState::Restarting;
    match row.run.state {
        ContainerState::Removing | ContainerState::Dead => return Next::Remove,
        ContainerState::Restarting => {
            row.run.step(ContainerState::Exited).expect("the table has it: a restart can be called off");
        }
        _ => {}
    }
    let started_before = row.run.started_at.is_some();
    if row.config.auto_remove && started_before {
        return Next::Remove;
    }
    let starts =
        row.config.restart.starts_with_daemon(restart_was_due, row.run.exited.code, row.run.stopped_by_hand);
    if started_before && starts { Next::Start } else { Next::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ContainerConfig, Exited, NetworkStatus, RestartPolicy, Run};

    fn row(state: ContainerState) -> ContainerRow {
        ContainerRow {
            id: ContainerId::from_random([1; 32]),
            name: "web".parse().unwrap(),
            image: "busybox".into(),
            image_id: ross_types::Digest::sha256([9; 32]),
            layers: Vec::new(),
            config: ContainerConfig::default(),
            created: Timestamp::default(),
            run: Run { state, started_at: Some(Timestamp::from_unix_nanos(10)), ..Run::default() },
            network: NetworkStatus::default(),
        }
    }

    #[test]
    fn containers_that_do_not_run_settle() {
        let check = |state, change: &dyn Fn(&mut ContainerRow), then: ContainerState, next| {
            let mut row = row(state);
            change(&mut row);
            assert_eq!(settle(&mut row), next, "{state}");
            assert_eq!(row.run.state, then);
        };
        use ContainerState::{Created, Dead, Exited as Ended, Removing, Restarting};
        let always = |row: &mut ContainerRow| row.config.restart = RestartPolicy::Always;
        let never_started = |row: &mut ContainerRow| {
            row.config.restart = RestartPolicy::Always;
            row.run.started_at = None;
        };
        let stopped = |row: &mut ContainerRow| {
            row.config.restart = RestartPolicy::UnlessStopped;
            row.run.stopped_by_hand = true;
        };
        check(Created, &|_| {}, Created, Next::Nothing);
        check(Ended, &|_| {}, Ended, Next::Nothing);
        check(Ended, &always, Ended, Next::Start);
        check(Ended, &stopped, Ended, Next::Nothing);
        check(Created, &never_started, Created, Next::Nothing);
        check(Restarting, &always, Ended, Next::Start);
        let on_failure = |row: &mut ContainerRow| {
            row.config.restart = RestartPolicy::OnFailure { max_retries: 5 };
            row.run.exited.code = 1;
        };
        check(Restarting, &on_failure, Ended, Next::Start);
        check(Ended, &on_failure, Ended, Next::Nothing);
        check(Removing, &|_| {}, Removing, Next::Remove);
        check(Dead, &|_| {}, Dead, Next::Remove);
        check(Ended, &|row| row.config.auto_remove = true, Ended, Next::Remove);
    }

    #[test]
    fn records_of_runs_that_are_known_are_no_news() {
        let record = |started_at| ExitRecord {
            version: 1,
            pid: 1,
            code: 0,
            signal: None,
            oom_killed: false,
            started_at,
            finished_at: started_at + 1,
            error: None,
        };
        let mut known = row(ContainerState::Exited);
        known.run.finished_at = Some(Timestamp::from_unix_nanos(20));
        known.run.exited = Exited::default();
        assert!(!is_news(&record(10), &known));
        assert!(is_news(&record(30), &known));
        assert!(is_news(&record(10), &row(ContainerState::Running)));
        assert!(is_news(&record(10), &row(ContainerState::Created)));
    }
}
