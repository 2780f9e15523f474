//! From the command line to the request, through the real grammar.

use clap::Parser;

use super::*;
use crate::args::{Cli, Command as Typed, ContainerCommand};
use crate::request::surroundings::testing::surroundings;

fn request(line: &str) -> Result<CreateContainerRequest, String> {
    let words = shell_words(line);
    let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
    let (options, image, command) = match &cli.command {
        Typed::Run(run) => (&run.options, &run.words[0], &run.words[1..]),
        Typed::Create(create) => (&create.options, &create.words[0], &create.words[1..]),
        Typed::Container(container) => match &container.command {
            ContainerCommand::Create(create) => (&create.options, &create.image, &create.command[..]),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    create(options, image, command, &surroundings()).map_err(|error| error.to_string())
}

/// Words parted by spaces; single quotes keep spaces.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    words
}

fn good(line: &str) -> CreateContainerRequest {
    request(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[test]
fn command_and_image() {
    let check = |line: &str, image: &str, cmd: &[&str]| {
        let request = good(line);
        assert_eq!(
            (request.image.as_str(), request.cmd),
            (image, cmd.iter().map(|w| (*w).to_owned()).collect())
        );
    };
    check("ross run busybox", "busybox", &[]);
    check("ross run busybox ls -la --rm", "busybox", &["ls", "-la", "--rm"]);
    check("ross run --rm busybox --version", "busybox", &["--version"]);
    check("ross run -- busybox -x", "busybox", &["-x"]);
    check("ross run busybox -- x", "busybox", &["--", "x"]);
    check("ross run -it busybox sh -c 'echo a b'", "busybox", &["sh", "-c", "echo a b"]);
    check("ross create --name ab busybox --name cd", "busybox", &["--name", "cd"]);
    check("ross container create busybox --name ab sleep 5", "busybox", &["sleep", "5"]);
    check("ross container create --name ab busybox sleep --name 5", "busybox", &["sleep", "--name", "5"]);
    assert_eq!(good("ross container create busybox --name ab sleep 5").name, "ab");
    assert!(request("ross run").is_err());
    assert!(request("ross run --bogus busybox").is_err());
    assert!(request("ross run --rm").is_err());
}

#[test]
fn process_flags() {
    let run = good(
        "ross run -it --rm --name web1 -w /w -u 1:2 -h box --domainname d.example --init --group-add 7 \
         --stop-signal INT --stop-timeout -1 --entrypoint sh -l a=b --label c --label-file labels busybox",
    );
    assert!(run.tty && run.open_stdin && run.stdin_once && run.auto_remove && run.init);
    assert_eq!((run.name.as_str(), run.working_dir.as_str(), run.user.as_str()), ("web1", "/w", "1:2"));
    assert_eq!((run.hostname.as_str(), run.domainname.as_str()), ("box", "d.example"));
    assert_eq!((run.stop_signal.as_str(), run.stop_timeout_secs), ("INT", Some(-1)));
    assert_eq!(run.entrypoint, Some(Command { args: vec!["sh".to_owned()] }));
    assert_eq!(run.group_add, ["7"]);
    assert_eq!(
        (run.labels["a"].as_str(), run.labels["c"].as_str(), run.labels["team"].as_str()),
        ("b", "", "blue")
    );
    assert_eq!(good("ross run --entrypoint '' busybox").entrypoint, Some(Command { args: vec![] }));
    assert_eq!(good("ross run busybox").entrypoint, None);
}

#[test]
fn environment_of_files_flags_and_here() {
    let run = good("ross run --env-file vars -e B=flag -e HOME -e NOWHERE -e A_B=-c busybox");
    assert_eq!(run.env, ["A=file", "B=flag", "HOME=/root", "NOWHERE", "A_B=-c"]);
    assert!(request("ross run --env-file missing busybox").unwrap_err().contains("missing"));
    let error = request("ross run --env-file bad-vars busybox").unwrap_err();
    assert!(error.contains("--env-file") && error.contains("line 1"), "{error}");
}

#[test]
fn network_flags() {
    let run = good(
        "ross run --net none --network-alias db -p 8080:80 -p 9000-9001:90-91/udp -P --expose 70 --ip 10.0.0.2 \
         --ip6 fd00::2 --mac-address 02:00:00:00:00:01 --dns 9.9.9.9 --dns-search example.org \
         --dns-opt ndots:1 --add-host gw:host-gateway busybox",
    );
    let network = run.network.unwrap();
    assert_eq!((network.mode.as_str(), network.aliases.as_slice()), ("none", &["db".to_owned()][..]));
    assert_eq!((network.ports.len(), network.publish_all), (3, true));
    assert_eq!(network.exposed_ports, ["70/tcp"]);
    assert_eq!((network.ipv4_address.as_str(), network.ipv6_address.as_str()), ("10.0.0.2", "fd00::2"));
    assert_eq!((network.dns_servers[0].as_str(), network.dns_options[0].as_str()), ("9.9.9.9", "ndots:1"));
    assert_eq!(run.extra_hosts, ["gw:host-gateway"]);
}

#[test]
fn files_flags() {
    let run = good(
        "ross run -v data:/data:ro -v ./src:/src --mount type=bind,src=/a,dst=/b --tmpfs /t:size=1m \
         --volumes-from web1:ro --shm-size 1g --read-only busybox",
    );
    let targets: Vec<&str> = run.mounts.iter().map(|mount| mount.target.as_str()).collect();
    assert_eq!(targets, ["/data", "/src", "/b", "/t"]);
    assert_eq!(run.mounts[1].source, "/here/src");
    assert_eq!((run.shm_size_bytes, run.volumes_from), (1 << 30, vec!["web1:ro".to_owned()]));
    assert!(run.security.unwrap().read_only_rootfs);
    assert!(request("ross run -v a1:/x --tmpfs /x busybox").unwrap_err().contains("/x"));
}

#[test]
fn limit_flags() {
    let run = good(
        "ross run -m 512m --memory-reservation 256m --memory-swap -1 --cpus 1.5 --cpuset-cpus 0-1 --cpuset-mems 0 \
         -c 512 --pids-limit -1 --blkio-weight 100 --device-read-bps /dev/sda:1m --device-write-iops /dev/sda:9 \
         --ulimit nofile=10:20 --oom-score-adj -500 --cgroup-parent /x busybox",
    );
    let limits = run.resources.unwrap();
    assert_eq!((limits.memory_bytes, limits.memory_reservation_bytes), (512 << 20, 256 << 20));
    assert_eq!((limits.memory_swap_bytes, limits.nano_cpus, limits.cpu_shares), (-1, 1_500_000_000, 512));
    assert_eq!((limits.pids_limit, limits.blkio_weight, limits.io_limits.len()), (-1, 100, 1));
    assert_eq!((limits.io_limits[0].read_bps, limits.io_limits[0].write_iops), (1 << 20, 9));
    assert_eq!((run.ulimits[0].soft, run.ulimits[0].hard, run.oom_score_adj), (10, 20, Some(-500)));
    let quota = good("ross run --cpu-period 1000 --cpu-quota -1 busybox").resources.unwrap();
    assert_eq!((quota.cpu_period_us, quota.cpu_quota_us), (1000, -1));
}

#[test]
fn rights_flags() {
    let run = good(
        "ross run --privileged --cap-add NET_ADMIN --cap-drop ALL --security-opt no-new-privileges \
         --security-opt seccomp=profile.json --security-opt apparmor=unconfined --security-opt label=disable \
         --security-opt systempaths=unconfined --device /dev/fuse --device-cgroup-rule 'c 1:3 rwm' \
         --sysctl net.core.somaxconn=1 --userns host --pid host --ipc private --uts host --cgroupns host \
         --annotation a=b busybox",
    );
    let security = run.security.unwrap();
    assert!(security.privileged && security.no_new_privileges && security.unmask_system_paths);
    assert_eq!((security.cap_add, security.cap_drop), (vec!["NET_ADMIN".to_owned()], vec!["ALL".to_owned()]));
    assert!(security.seccomp_profile.contains("SCMP_ACT_ALLOW"));
    assert_eq!((security.apparmor_profile.as_str(), security.selinux_labels.len()), ("unconfined", 1));
    let resources = run.resources.unwrap();
    assert_eq!((resources.devices.len(), resources.device_cgroup_rules.len()), (1, 1));
    assert_eq!(
        (run.userns_mode.as_str(), run.pid_mode.as_str(), run.ipc_mode.as_str()),
        ("host", "host", "private")
    );
    assert_eq!((run.uts_mode.as_str(), run.cgroupns_mode.as_str()), ("host", "host"));
    assert_eq!((run.sysctls["net.core.somaxconn"].as_str(), run.annotations["a"].as_str()), ("1", "b"));
}

#[test]
fn log_and_health_flags() {
    let run = good(
        "ross run --log-driver json-file --log-opt max-size=1m --log-opt max-file=5 --log-opt tag=x \
         --health-cmd 'true || false' --health-interval 5s --health-timeout 1m --health-retries 2 \
         --health-start-period 10s --health-start-interval 500ms busybox",
    );
    let log = run.log.unwrap();
    assert_eq!((log.driver.as_str(), log.max_size_bytes, log.max_files), ("json-file", 1 << 20, 5));
    assert_eq!(log.options["tag"], "x");
    let health = run.healthcheck.unwrap();
    assert_eq!(health.test, ["CMD-SHELL", "true || false"]);
    assert_eq!((health.interval.unwrap().seconds, health.retries), (5, 2));
    assert_eq!(health.start_interval.unwrap().nanos, 500_000_000);
    assert_eq!(good("ross run --no-healthcheck busybox").healthcheck.unwrap().test, ["NONE"]);
    assert_eq!(good("ross run busybox").healthcheck, None);
}

#[test]
fn restart_and_pull_flags() {
    let policy = good("ross run --restart on-failure:3 busybox").restart.unwrap();
    assert_eq!((policy.name.as_str(), policy.max_retries), ("on-failure", 3));
    assert_eq!(good("ross run busybox").restart, None);
    assert_eq!(good("ross run --platform linux/arm64 --pull always busybox").platform, "linux/arm64");
    assert!(request("ross run --pull sometimes busybox").is_err());
}

#[test]
fn refusals_name_the_flag_and_the_value() {
    let check = |flags: &str, parts: &[&str]| {
        let error = request(&format!("ross run {flags} busybox")).expect_err(flags);
        for part in parts {
            assert!(error.contains(part), "{flags}: {error}");
        }
    };
    check("-p 80:x", &["--publish", "80:x"]);
    check("-v relative", &["--volume", "relative"]);
    check("--mount type=x,target=/a", &["--mount", "type=x"]);
    check("--tmpfs t", &["--tmpfs", "`t`"]);
    check("-m lots", &["--memory", "lots"]);
    check("--memory-swap -3", &["--memory-swap", "-3"]);
    check("--cpus many", &["--cpus", "many"]);
    check("--cpus 1 --cpu-quota 5", &["--cpus", "--cpu-quota"]);
    check("--ulimit x=1", &["--ulimit", "x=1"]);
    check("--device fuse", &["--device", "fuse"]);
    check("--add-host a", &["--add-host", "`a`"]);
    check("--dns example.org", &["--dns", "example.org"]);
    check("--ip 300.0.0.1", &["--ip", "300.0.0.1"]);
    check("--restart maybe", &["--restart", "maybe"]);
    check("--rm --restart always", &["--rm", "--restart"]);
    check("--label =x", &["--label", "=x"]);
    check("--sysctl a", &["--sysctl", "`a`"]);
    check("--annotation a", &["--annotation", "`a`"]);
    check("--health-interval 5", &["--health-interval", "`5`"]);
    check("--no-healthcheck --health-cmd x", &["--no-healthcheck"]);
    check("--log-opt max-size=-1", &["--log-opt", "max-size=-1"]);
    check("--log-opt max-file=0", &["--log-opt", "max-file=0"]);
    check("--security-opt what", &["--security-opt", "what"]);
    check("--security-opt seccomp=missing.json", &["missing.json"]);
    check("--security-opt seccomp=broken.json", &["--security-opt", "JSON"]);
    check("--gpus all", &["--gpus", "all", "GPU"]);
    check("--oom-score-adj 2000", &["--oom-score-adj", "2000"]);
    check("--blkio-weight 5", &["--blkio-weight", "5"]);
    check("--shm-size x", &["--shm-size", "`x`"]);
    check("--expose 0", &["--expose", "`0`"]);
    check("-e =x", &["--env", "=x"]);
}
