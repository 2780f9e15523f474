//! The cases and what each needs: limits are set, so the controllers must be there.
//!
//! `cargo xtask test vm callers` runs them; with all the others they would double the time in an emulated machine.

use crate::harness::{Case, Need};

use super::{containerd, docker, podman};

/// Seen: podman 11 minutes, containerd 4, docker more than 12.
const SLOW: Need = Need::Asking("takes up to a quarter of an hour in an emulated machine");

pub const CASES: &[Case] = &[
    Case {
        name: "callers/podman",
        needs: &[
            Need::Program("podman", "podman"),
            Need::Program("conmon", "conmon"),
            Need::Controller("cpu"),
            Need::Controller("memory"),
            Need::Controller("pids"),
            SLOW,
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
            SLOW,
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
            SLOW,
        ],
        run: docker::life,
    },
];
