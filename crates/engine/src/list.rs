//! Containers as `list` and `inspect` show them.

use std::sync::Arc;
use std::time::Duration;

use ross_image::{ImageRecord, ImageRecords as _};
use ross_types::{Digest, ImageRef};

use crate::container::View;
use crate::context::Context;
use crate::create::resolve_image;
use crate::error::{EngineError, Result};
use crate::model::{
    ContainerDetails, ContainerFilters, ContainerState, ContainerSummary, ListQuery, MountKind, PortSpec,
    Run, Timestamp,
};

/// What filters name, looked up.
#[derive(Debug, Default)]
struct Named {
    images: Vec<Digest>,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
}

/// Containers that a query asks for, newest first. Blocks.
pub(crate) fn list(context: &Context, query: &ListQuery) -> Result<Vec<ContainerSummary>> {
    let named = look_up(context, &query.filters)?;
    let mut views: Vec<Arc<View>> =
        context.registry.all().iter().map(crate::container::Handle::view).collect();
    views.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
    let all = query.all || query.limit > 0 || query.filters.imply_all();
    let shown = |view: &&Arc<View>| {
        let runs = view.run.state.is_running() || view.run.state == ContainerState::Restarting;
        (all || runs) && matches(view, &query.filters, &named)
    };
    let limit = if query.limit == 0 { usize::MAX } else { query.limit as usize };
    // Containers are listed whatever is wrong with images.
    let records = context.db.images().ok();
    let shown = views.iter().filter(shown).take(limit).map(|view| {
        let image = match &records {
            Some(records) => image_shown(&view.image, &view.image_id, records),
            None => view.image.clone(),
        };
        Ok(ContainerSummary { image, ..summary(context, view, query.size)? })
    });
    shown.collect()
}

/// What a list calls a container's image: as it was named, while that leads to it; else its id, as with docker.
fn image_shown(named: &str, id: &Digest, records: &[ImageRecord]) -> String {
    let is_id = id.hex().starts_with(named.strip_prefix("sha256:").unwrap_or(named));
    let leads_here = |reference: ImageRef| {
        let mut own = records.iter().filter(|record| record.id == *id).flat_map(|record| &record.references);
        // A digest leads nowhere else.
        reference.digest().is_some() || own.any(|own| *own == reference)
    };
    if is_id || named.parse().is_ok_and(leads_here) { named.to_owned() } else { id.short().to_owned() }
}

/// All about one container. Blocks.
pub(crate) fn inspect(context: &Context, name: &str, size: bool) -> Result<ContainerDetails> {
    let view = context.registry.find(name)?.view();
    let (paths, id) = (&context.paths, &view.id);
    Ok(ContainerDetails {
        log_path: paths.log(id),
        rootfs_path: paths.rootfs(id),
        hosts_path: paths.hosts(id),
        hostname_path: paths.hostname(id),
        resolv_conf_path: paths.resolv_conf(id),
        exec_ids: context.execs.ids(id),
        summary: summary(context, &view, size)?,
    })
}

fn look_up(context: &Context, filters: &ContainerFilters) -> Result<Named> {
    let created = |name: &String| context.registry.find(name).map(|handle| handle.view().created);
    let before: Result<Vec<_>> = filters.before.iter().map(created).collect();
    let since: Result<Vec<_>> = filters.since.iter().map(created).collect();
    Ok(Named {
        images: filters
            .ancestors
            .iter()
            .filter_map(|name| resolve_image(context, name).ok())
            .map(|image| image.record.id)
            .collect(),
        before: before?.into_iter().max(),
        since: since?.into_iter().min(),
    })
}

/// Whether one alternative holds; no alternatives say nothing.
fn any<T>(alternatives: &[T], holds: impl FnMut(&T) -> bool) -> bool {
    alternatives.is_empty() || alternatives.iter().any(holds)
}

fn matches(view: &View, filters: &ContainerFilters, named: &Named) -> bool {
    let config = &view.config;
    filters.id_matches(&view.id)
        && any(&filters.names, |pattern| name_matches(view.name.as_str(), pattern))
        && filters.labels.iter().all(|(key, value)| {
            config.labels.get(key).is_some_and(|have| value.as_ref().is_none_or(|value| have == value))
        })
        && any(&filters.states, |state| view.run.state == *state)
        && any(&filters.ancestors, |name| view.image == *name || named.images.contains(&view.image_id))
        && any(&filters.exited, |code| {
            view.run.state == ContainerState::Exited && view.run.exited.code == *code
        })
        && named.before.is_none_or(|before| view.created < before)
        && named.since.is_none_or(|since| view.created > since)
        && any(&filters.networks, |name| config.network.mode.to_string() == *name)
        && any(&filters.volumes, |wanted| {
            config.mounts.iter().any(|mount| {
                let source = match &mount.kind {
                    MountKind::Volume { name, .. } => name == wanted,
                    MountKind::Bind { source, .. } => source == wanted,
                    MountKind::Tmpfs { .. } | MountKind::Image { .. } => false,
                };
                source || mount.target == *wanted
            })
        })
        // Health checks do not run yet: every container has none.
        && any(&filters.health, |health| health == "none")
        && any(&filters.publish, |wanted| {
            let mut ports = config.network.ports.iter().chain(&view.network.ports);
            ports.any(|port| PortSpec { port: port.container_port, protocol: port.protocol } == *wanted)
        })
        && any(&filters.expose, |wanted| config.network.exposed_ports.contains(wanted))
}

/// Whether a pattern is part of a name; `^` and `$` hold it to the begin and the end.
fn name_matches(name: &str, pattern: &str) -> bool {
    let (pattern, begin) = pattern.strip_prefix('^').map_or((pattern, false), |rest| (rest, true));
    let (pattern, end) = pattern.strip_suffix('$').map_or((pattern, false), |rest| (rest, true));
    let pattern = pattern.strip_prefix('/').unwrap_or(pattern);
    match (begin, end) {
        (false, false) => name.contains(pattern),
        (true, false) => name.starts_with(pattern),
        (false, true) => name.ends_with(pattern),
        (true, true) => name == pattern,
    }
}

fn summary(context: &Context, view: &View, size: bool) -> Result<ContainerSummary> {
    let (size_rw, size_root) = if size { sizes(context, view)? } else { (None, None) };
    Ok(ContainerSummary {
        id: view.id.clone(),
        name: view.name.clone(),
        image: view.image.clone(),
        image_id: view.image_id.clone(),
        config: view.config.clone(),
        created: view.created,
        run: view.run.clone(),
        status: status(&view.run, Timestamp::now()),
        network: view.network.clone(),
        size_rw,
        size_root,
    })
}

fn sizes(context: &Context, view: &View) -> Result<(Option<u64>, Option<u64>)> {
    let failed = |error: ross_image::snapshot::SnapshotError| {
        EngineError::new(error.kind(), view.id.as_str(), format!("measure container {}", view.name))
            .caused_by(error)
    };
    let keys: Vec<_> = view.layers.iter().filter_map(|key| key.parse().ok()).collect();
    let snapshot = context.images.snapshots().open(&context.paths.root_of(&view.id), &keys);
    let rw = snapshot.usage().map_err(failed)?.bytes;
    let layers = snapshot.layers_size().map_err(failed)?;
    Ok((Some(rw), Some(rw + layers)))
}

/// Bytes in a container's writable layer. Blocks.
pub(crate) fn size_of_container(context: &Context, view: &View) -> Result<u64> {
    Ok(sizes(context, view)?.0.unwrap_or(0))
}

/// For people, in Docker's words.
fn status(run: &Run, now: Timestamp) -> String {
    let ago = |time: Option<Timestamp>| human(now.since(time.unwrap_or(now)));
    match run.state {
        ContainerState::Created => "Created".to_owned(),
        ContainerState::Running => format!("Up {}", ago(run.started_at)),
        ContainerState::Paused => format!("Up {} (Paused)", ago(run.started_at)),
        ContainerState::Restarting => {
            format!("Restarting ({}) {} ago", run.exited.code, ago(run.finished_at))
        }
        ContainerState::Exited => format!("Exited ({}) {} ago", run.exited.code, ago(run.finished_at)),
        ContainerState::Dead => "Dead".to_owned(),
        ContainerState::Removing => "Removal In Progress".to_owned(),
    }
}

/// A duration in the largest unit that fits, rounded as Docker rounds.
fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match (seconds, minutes, hours) {
        (0, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (2..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, 2..60, _) => format!("{minutes} minutes"),
        (_, _, 1) => "About an hour".to_owned(),
        (_, _, 2..48) => format!("{hours} hours"),
        (_, _, 48..336) => format!("{} days", hours / 24),
        (_, _, 336..1440) => format!("{} weeks", hours / 24 / 7),
        (_, _, 1440..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ContainerConfig, Exited, Filter, Mount, NetworkStatus, PortMapping, Protocol};

    #[test]
    fn durations() {
        let check = |seconds: u64, text: &str| assert_eq!(human(Duration::from_secs(seconds)), text);
        check(0, "Less than a second");
        check(1, "1 second");
        check(59, "59 seconds");
        check(60, "About a minute");
        check(119, "About a minute");
        check(120, "2 minutes");
        check(3599, "59 minutes");
        check(3600, "About an hour");
        check(3 * 3600, "3 hours");
        check(47 * 3600, "47 hours");
        check(48 * 3600, "2 days");
        check(20 * 86400, "2 weeks");
        check(90 * 86400, "3 months");
        check(800 * 86400, "2 years");
    }

    fn view() -> View {
        let mut config = ContainerConfig::default();
        config.labels.insert("tier".into(), "front".into());
        config.network.exposed_ports.push("80/tcp".parse().unwrap());
        config.network.ports.push(PortMapping {
            host_ip: None,
            host_port: Some(8080),
            container_port: 81,
            protocol: Protocol::Tcp,
        });
        config.mounts.push(Mount {
            kind: MountKind::Volume {
                name: "data".into(),
                no_copy: false,
                labels: std::collections::BTreeMap::new(),
                anonymous: false,
            },
            target: "/srv".into(),
            read_only: false,
        });
        let exited = Exited { code: 3, ..Exited::default() };
        View {
            id: format!("abcd{}", "0".repeat(60)).parse().unwrap(),
            name: "web-1".parse().unwrap(),
            image: "busybox".into(),
            image_id: Digest::sha256([7; 32]),
            layers: Vec::new(),
            config: Arc::new(config),
            created: Timestamp::from_unix_nanos(100),
            run: Run { state: ContainerState::Exited, exited, ..Run::default() },
            network: NetworkStatus::default(),
            ended: 0,
            removed: None,
            shim: None,
        }
    }

    #[test]
    fn filters() {
        let named = Named {
            images: vec![Digest::sha256([7; 32])],
            before: Some(Timestamp::from_unix_nanos(101)),
            since: Some(Timestamp::from_unix_nanos(99)),
        };
        let check = |key: &str, values: &[&str], holds: bool| {
            let filter =
                Filter { key: key.into(), values: values.iter().map(|&value| value.to_owned()).collect() };
            let filters = ContainerFilters::parse(&[filter]).unwrap();
            assert_eq!(matches(&view(), &filters, &named), holds, "{key}={values:?}");
        };
        check("id", &["abcd"], true);
        check("id", &["bcd"], false);
        check("name", &["eb"], true);
        check("name", &["^/web-1$"], true);
        check("name", &["^eb"], false);
        check("name", &["nope", "web"], true);
        check("label", &["tier"], true);
        check("label", &["tier=front"], true);
        check("label", &["tier=back"], false);
        check("label", &["tier", "other"], false);
        check("status", &["exited"], true);
        check("status", &["running", "exited"], true);
        check("status", &["running"], false);
        check("exited", &["3"], true);
        check("exited", &["0"], false);
        check("ancestor", &["anything that was looked up"], true);
        check("volume", &["data"], true);
        check("volume", &["/srv"], true);
        check("volume", &["/data"], false);
        check("network", &["bridge"], true);
        check("network", &["host"], false);
        check("publish", &["81"], true);
        check("publish", &["80"], false);
        check("expose", &["80/tcp"], true);
        check("health", &["healthy"], false);
        for (key, value) in [("colour", "red"), ("status", "up"), ("exited", "x"), ("health", "fine")] {
            let filter = Filter { key: key.into(), values: vec![value.into()] };
            assert!(ContainerFilters::parse(&[filter]).is_err(), "{key}={value}");
        }
    }

    #[test]
    fn images_by_name_while_it_leads_there() {
        let id = Digest::sha256([7; 32]);
        let record = |id: u8, name: &str| ImageRecord {
            id: Digest::sha256([id; 32]),
            manifest: Digest::sha256([1; 32]),
            media_type: String::new(),
            platform: ross_types::Platform::host(),
            layers: Vec::new(),
            size: 0,
            created: None,
            pulled_at: 0,
            references: vec![name.parse().unwrap()],
        };
        let records = [record(7, "busybox:1"), record(8, "busybox")];
        let check = |named: &str, shown: &str| assert_eq!(image_shown(named, &id, &records), shown);
        check("busybox:1", "busybox:1");
        check("docker.io/library/busybox:1", "docker.io/library/busybox:1");
        check("busybox", "070707070707");
        check("gone:1", "070707070707");
        check("0707", "0707");
        check("sha256:07070707", "sha256:07070707");
        check("08080808", "070707070707");
        let pinned = format!("busybox@{}", Digest::sha256([9; 32]));
        check(&pinned, &pinned);
    }

    #[test]
    fn statuses() {
        let now = Timestamp::from_unix_nanos(3_600_000_000_000);
        let run = |state| Run {
            state,
            exited: Exited { code: 2, ..Exited::default() },
            started_at: Some(Timestamp::default()),
            finished_at: Some(now),
            ..Run::default()
        };
        assert_eq!(status(&run(ContainerState::Running), now), "Up About an hour");
        assert_eq!(status(&run(ContainerState::Paused), now), "Up About an hour (Paused)");
        assert_eq!(status(&run(ContainerState::Exited), now), "Exited (2) Less than a second ago");
    }
}
