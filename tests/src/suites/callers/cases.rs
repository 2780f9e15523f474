//! The cases and what each needs: limits are set, so the controllers must be there.

use crate::harness::{Case, Need};

use super::{containerd, docker, podman};

pub const CASES: &[Case] = &[
    Case {
        name: "callers/podman",
        needs: &[
            Need::Program("podman", "podman"),
            Need::Program("conmon", "conmon"),
            Need::Controller("cpu"),
            Need::Controller("memory"),
            Need::Controller("pids"),
        ],
        run: podman::life,
    },
    Case {
        name: "callers/containerd",
        needs: &[
            Need::Program("containerd", "containerd"),
            Need::Program("ctr", "containerd"),
            Need::Controller("cpu"),
            Need::Controller("memory"),
        ],
        run: containerd::life,
    },
    Case {
        name: "callers/docker",
        needs: &[
            Need::Program("dockerd", "docker.io"),
            Need::Program("docker", "docker.io"),
            Need::Program("containerd", "containerd"),
            Need::Program("iptables", "iptables"),
            Need::Program("apparmor_parser", "apparmor"),
            Need::Controller("cpu"),
            Need::Controller("memory"),
            Need::Controller("pids"),
        ],
        run: docker::life,
    },
];
