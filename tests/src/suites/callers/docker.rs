//! dockerd, over containerd and its shim for runc, on its default bridge, which it moves into with a prestart hook.

use anyhow::{Context, Result};

use crate::harness::Bed;

use super::caller::Caller;

pub fn life(bed: &mut Bed) -> Result<()> {
    let mut caller = Caller::new(bed, "docker")?;
    caller.containerd()?;
    let socket = caller.path("docker.sock");
    let host = format!("unix://{socket}");
    let runtime = format!("ross={}", caller.runtime);
    let (root, state, pid) = (caller.path("root"), caller.path("exec"), caller.path("docker.pid"));
    let (containerd, parent) = (caller.path("containerd.sock"), caller.corner.containers());
    let folders =
        ["--data-root", &root, "--exec-root", &state, "--pidfile", &pid, "--containerd", &containerd];
    let runtimes = ["--add-runtime", &runtime, "--default-runtime", "ross", "--cgroup-parent", &parent];
    let rest = ["--exec-opt", "native.cgroupdriver=cgroupfs", "--storage-driver", "overlay2", "-H", &host];
    caller.daemon("dockerd", &[&folders[..], &runtimes, &rest].concat(), &socket)?;
    caller.options(&["-H", &host]);
    let archive = caller.archive()?;
    caller.call(&["load", "--input", &archive])?.ok()?;
    super::life::life(&caller, &[]).with_context(|| caller.log_tail())
}
