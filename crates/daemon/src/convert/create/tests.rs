//! Requests to the model and back, and what is refused at the door.

use prost_types::Duration;
use ross_api::v1::mount::Type;
use ross_api::v1::{
    Device, DeviceThrottle, Healthcheck, LogOptions, Mount, NetworkOptions, Resources, SecurityOptions,
};

use super::*;

/// A request with every field set, in the form that comes back.
fn full() -> CreateContainerRequest {
    let pairs = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    CreateContainerRequest {
        name: "web1".to_owned(),
        image: "busybox".to_owned(),
        cmd: words("sleep 5"),
        entrypoint: Some(Command { args: words("/init --") }),
        env: words("A=1 B"),
        working_dir: "/w".to_owned(),
        user: "1:2".to_owned(),
        hostname: "box".to_owned(),
        domainname: "example".to_owned(),
        labels: pairs("a", "b"),
        tty: true,
        open_stdin: true,
        stdin_once: true,
        stop_signal: "SIGINT".to_owned(),
        stop_timeout_secs: Some(-1),
        auto_remove: false,
        restart: Some(RestartPolicy { name: "on-failure".to_owned(), max_retries: 3 }),
        init: true,
        network: Some(NetworkOptions { mode: "none".to_owned(), ..NetworkOptions::default() }),
        mounts: vec![
            Mount {
                r#type: Type::Bind.into(),
                source: "/a".to_owned(),
                target: "/b".to_owned(),
                read_only: true,
                propagation: "rslave".to_owned(),
                create_source: true,
                non_recursive: true,
                ..Mount::default()
            },
            Mount {
                r#type: Type::Volume.into(),
                source: "vol".to_owned(),
                target: "/c".to_owned(),
                no_copy: true,
                labels: pairs("x", "y"),
                ..Mount::default()
            },
            Mount {
                r#type: Type::Tmpfs.into(),
                target: "/d".to_owned(),
                tmpfs_size_bytes: 5,
                tmpfs_mode: 0o700,
                tmpfs_options: words("noexec"),
                ..Mount::default()
            },
            Mount {
                r#type: Type::Image.into(),
                source: "busybox".to_owned(),
                target: "/e".to_owned(),
                ..Mount::default()
            },
        ],
        resources: Some(Resources {
            nano_cpus: 1,
            cpu_shares: 2,
            cpu_period_us: 3,
            cpu_quota_us: -1,
            cpuset_cpus: "0".to_owned(),
            cpuset_mems: "0".to_owned(),
            memory_bytes: 4,
            memory_reservation_bytes: 5,
            memory_swap_bytes: -1,
            pids_limit: -1,
            blkio_weight: 100,
            io_limits: vec![DeviceThrottle {
                path: "/dev/sda".to_owned(),
                read_bps: 1,
                write_bps: 2,
                read_iops: 3,
                write_iops: 4,
            }],
            devices: vec![Device {
                host_path: "/dev/fuse".to_owned(),
                container_path: "/dev/fuse".to_owned(),
                permissions: "rw".to_owned(),
            }],
            device_cgroup_rules: vec!["c 1:3 rwm".to_owned()],
            cgroup_parent: "/x".to_owned(),
        }),
        security: Some(SecurityOptions {
            privileged: true,
            read_only_rootfs: true,
            no_new_privileges: true,
            cap_add: words("ALL"),
            cap_drop: words("CHOWN"),
            seccomp_profile: "unconfined".to_owned(),
            apparmor_profile: "p".to_owned(),
            selinux_labels: words("disable"),
            unmask_system_paths: true,
        }),
        log: Some(LogOptions {
            driver: "none".to_owned(),
            max_size_bytes: 1,
            max_files: 2,
            options: pairs("tag", "x"),
        }),
        healthcheck: Some(Healthcheck {
            test: words("CMD true"),
            interval: Some(Duration { seconds: 1, nanos: 5 }),
            timeout: Some(Duration { seconds: 2, nanos: 0 }),
            start_period: Some(Duration { seconds: 3, nanos: 0 }),
            start_interval: Some(Duration { seconds: 4, nanos: 0 }),
            retries: 5,
        }),
        extra_hosts: words("db:10.0.0.1 gw:host-gateway"),
        annotations: pairs("m", "n"),
        sysctls: pairs("net.core.somaxconn", "1"),
        shm_size_bytes: 6,
        ulimits: vec![Ulimit { name: "nofile".to_owned(), soft: 1, hard: -1 }],
        oom_score_adj: Some(-500),
        pid_mode: "host".to_owned(),
        ipc_mode: "container:web".to_owned(),
        uts_mode: "private".to_owned(),
        cgroupns_mode: "host".to_owned(),
        group_add: words("7"),
        userns_mode: "host".to_owned(),
        platform: String::new(),
        volumes_from: words("web:ro"),
    }
}

#[test]
fn every_field_comes_back() {
    let asked = full();
    let model = request(asked.clone()).unwrap();
    assert_eq!(model.name.as_ref().unwrap().as_str(), "web1");
    let mut back = message("web1", &model.image, &model.config);
    // An absent part of the network is filled in with the default mode's word; it was set here.
    back.network.as_mut().unwrap().mode = "none".to_owned();
    assert_eq!(back, asked);
}

#[test]
fn an_image_is_all_it_takes() {
    let asked = CreateContainerRequest { image: "busybox".to_owned(), ..CreateContainerRequest::default() };
    let model = request(asked).unwrap();
    assert!(model.name.is_none() && model.platform.is_none());
    assert_eq!(model.config, ContainerConfig::default());
}

#[test]
fn refusals_name_the_field() {
    let check = |change: fn(&mut CreateContainerRequest), part: &str| {
        let mut asked = full();
        change(&mut asked);
        let status = request(asked).expect_err(part);
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{part}");
        assert!(status.message().contains(part), "{part}: {}", status.message());
    };
    check(|r| r.image.clear(), "image");
    check(|r| r.name = "-x".to_owned(), "-x");
    check(|r| r.platform = "x".to_owned(), "platform");
    check(|r| r.env = vec!["=x".to_owned()], "env");
    check(|r| r.working_dir = "w".to_owned(), "working_dir");
    check(|r| r.oom_score_adj = Some(1001), "oom_score_adj");
    check(|r| r.auto_remove = true, "auto_remove");
    check(|r| r.restart.as_mut().unwrap().name = "maybe".to_owned(), "maybe");
    check(|r| r.restart.as_mut().unwrap().name = "always".to_owned(), "retries");
    check(|r| r.stop_signal = "NOPE".to_owned(), "NOPE");
    check(|r| r.pid_mode = "what".to_owned(), "what");
    check(|r| r.mounts[0].source = "a".to_owned(), "mounts.source");
    check(|r| r.mounts[0].target = "/".to_owned(), "mounts.target");
    check(|r| r.mounts[0].r#type = 0, "mounts.type");
    check(|r| r.mounts[0].propagation = "x".to_owned(), "propagation");
    check(|r| r.resources.as_mut().unwrap().blkio_weight = 5, "blkio_weight");
    check(|r| r.log.as_mut().unwrap().driver = "syslog".to_owned(), "syslog");
    check(|r| r.healthcheck.as_mut().unwrap().test = vec!["true".to_owned()], "healthcheck.test");
    check(
        |r| r.healthcheck.as_mut().unwrap().interval = Some(Duration { seconds: -1, nanos: 0 }),
        "healthcheck.interval",
    );
    check(|r| r.extra_hosts = vec!["x".to_owned()], "extra host");
    check(|r| r.ulimits[0].hard = 0, "ulimits");
}
