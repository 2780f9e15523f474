//! What a program sees inside: namespaces, mounts, devices, users. That it cannot get out is shown in `cve`.

#![expect(clippy::unwrap_used, reason = "a test")]

mod bundle;

use bundle::Bundle;
use serde_json::json;

#[test]
fn default_container() {
    let script = "id; hostname; cat /proc/self/cgroup; cat /proc/self/status; ls /dev; ls /proc/self/fd; \
                  cat /proc/net/dev; pwd; cat /proc/timer_list; ls /proc/acpi /sys/firmware; touch /proc/sys/x /sys/x";
    let mut bundle = Bundle::new(script);
    bundle.config["hostname"] = json!("inside");
    let said = bundle.run();
    for expected in [
        "uid=0 gid=0\ninside\n",
        "0::/\n",
        "CapEff:\t00000000800405fb\n",
        "CapBnd:\t00000000800405fb\n",
        "CapInh:\t0000000000000000\n",
        "Seccomp:\t2\n",
        "\n0\n1\n2\n3\n",
    ] {
        assert!(said.out.contains(expected), "{expected:?} in {said:?}");
    }
    assert!(!said.out.contains("eth0"));
    assert_eq!(
        said.err.matches("Read-only file system").count() + said.err.matches("No such file").count(),
        2
    );
    // Docker's list of /dev; the mask of a file shows nothing, that of a directory neither.
    let dev =
        "core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n";
    assert!(said.out.contains(dev), "{said:?}");
}

#[test]
fn another_user() {
    let script = "id; umask; echo $HOME; cat /proc/self/status; ulimit -n; cat /proc/self/oom_score_adj; \
                  echo again > /dev/stdout; touch /x";
    let mut bundle = Bundle::new(script);
    std::fs::write(
        bundle.rootfs().join("etc/passwd"),
        "root:x:0:0::/root:/bin/sh\nu:x:1000:1000::/home/u:\n",
    )
    .unwrap();
    bundle.config["process"]["user"] =
        json!({"uid": 1000, "gid": 1001, "umask": 63, "additionalGids": [5, 6]});
    bundle.config["process"]["noNewPrivileges"] = json!(true);
    bundle.config["process"]["oomScoreAdj"] = json!(100);
    bundle.config["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 99, "hard": 100}]);
    bundle.config["root"]["readonly"] = json!(true);
    let said = bundle.run();
    for expected in [
        "uid=1000(u) gid=1001 groups=5,6\n0077\n/home/u\n",
        "CapEff:\t0000000000000000\n",
        "NoNewPrivs:\t1\n",
        "Seccomp:\t2\n",
        "\n99\n100\nagain\n",
    ] {
        assert!(said.out.contains(expected), "{expected:?} in {said:?}");
    }
    assert!(said.err.contains("Read-only file system"), "{said:?}");
}

#[test]
fn ambient_capabilities_reach_another_user() {
    let mut bundle = Bundle::new("cat /proc/self/status");
    let sets = ["bounding", "effective", "inheritable", "permitted", "ambient"];
    bundle.config["process"]["capabilities"] =
        sets.iter().map(|set| (*set, json!(["CAP_NET_RAW"]))).collect();
    bundle.config["process"]["user"] = json!({"uid": 5, "gid": 5});
    let said = bundle.run();
    for set in ["Inh", "Prm", "Eff", "Bnd", "Amb"] {
        assert!(said.out.contains(&format!("Cap{set}:\t0000000000002000\n")), "{said:?}");
    }
}

#[test]
fn mounts() {
    let script =
        "cat /proc/self/mountinfo; cat /etc/own; touch /data/x; touch /ro/x; touch /rec/x; ls -ldn /mapped";
    let mut bundle = Bundle::new(script);
    let data = bundle.outside("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(bundle.outside("own"), "own file\n").unwrap();
    let data = data.to_str().unwrap();
    // Relative sources are of the bundle, targets are made, files over files.
    bundle.mount(json!({"destination": "/etc/own", "source": "own", "options": ["bind", "ro"]}));
    bundle.mount(json!({"destination": "data", "source": data, "options": ["rbind", "nosuid", "noatime"]}));
    bundle.mount(json!({"destination": "/ro", "source": data, "options": ["bind", "ro"]}));
    bundle.mount(json!({"destination": "/rec", "source": data, "options": ["rbind", "rro", "rnoexec"]}));
    let map = json!([{"containerID": 0, "hostID": 77, "size": 9}]);
    bundle.mount(json!({"destination": "/mapped", "source": data, "options": ["bind", "idmap"],
        "uidMappings": map, "gidMappings": map}));
    bundle.mount(
        json!({"destination": "/shared", "type": "tmpfs", "source": "t", "options": ["shared", "size=64k"]}),
    );
    let said = bundle.run();
    assert!(said.out.contains("own file"), "{said:?}");
    assert_eq!(said.err.matches("Read-only file system").count(), 2, "{said:?}");
    let line = |target: &str| said.out.lines().find(|line| line.contains(target)).unwrap_or_default();
    assert!(line(" /data ").contains("rw,nosuid") && line(" /data ").contains("noatime"), "{said:?}");
    assert!(line(" /rec ").contains("ro,noexec") || line(" /rec ").contains("noexec"), "{said:?}");
    assert!(line(" /shared ").contains(" shared:") && line(" /shared ").contains("size=64k"), "{said:?}");
    if said.code == 0 {
        assert!(said.out.lines().any(|line| line.contains(" 77 ") && line.ends_with("/mapped")), "{said:?}");
    }
    assert!(bundle.outside("data/x").exists());
}

#[test]
fn user_namespace() {
    let script = "id; cat /proc/self/uid_map; echo x > /dev/null && echo wrote; ls -ln /tmp/made; ulimit -n; \
                  cat /proc/self/status; mount -t tmpfs t /tmp; hostname x";
    let mut bundle = Bundle::new(&format!("touch /tmp/made; {script}"));
    bundle.user_namespace();
    let said = bundle.run();
    assert!(said.out.starts_with("uid=0 gid=0\n         0     100000      65536\nwrote\n"), "{said:?}");
    assert!(said.out.contains("CapEff:\t00000000800405fb\n"), "{said:?}");
    let made = std::fs::metadata(bundle.rootfs().join("tmp/made")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), 100_000);
}

#[test]
fn joins_namespaces_by_path() {
    let mut first = Bundle::new("sleep 100");
    first.user_namespace();
    assert_eq!(first.detached(&["run", "-d"]), 0);
    let path = |name: &str| format!("/proc/{}/ns/{name}", first.pid());
    let link = |name: &str| std::fs::read_link(path(name)).unwrap().into_os_string().into_string().unwrap();
    let kinds = [
        ("user", "user"),
        ("network", "net"),
        ("ipc", "ipc"),
        ("uts", "uts"),
        ("pid", "pid"),
        ("cgroup", "cgroup"),
    ];
    let script = "for n in user net ipc uts pid cgroup; do readlink /proc/self/ns/$n; done";
    let owned = |bundle: &Bundle| {
        let status =
            std::process::Command::new("chown").args(["-R", "100000:100000"]).arg(bundle.rootfs()).status();
        assert!(status.unwrap().success());
    };
    // All of them: the second program is in the first container, with a root of its own.
    let mut all = Bundle::new(script);
    owned(&all);
    for (kind, name) in kinds {
        all.namespace(json!({"type": kind, "path": path(name)}));
    }
    // proc and mqueue show joined namespaces, a new sysfs and cgroup2 need rights over them that root there has.
    let said = all.run();
    let expected: String = kinds.iter().map(|(_, name)| link(name) + "\n").collect();
    assert_eq!(said.out, expected, "{said:?}");
    // Only the user namespace: the others are new and belong to it.
    let mut user = Bundle::new(script);
    owned(&user);
    user.namespace(json!({"type": "user", "path": path("user")}));
    let said = user.run();
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines.first().copied(), Some(link("user").as_str()), "{said:?}");
    for (line, (_, name)) in lines[1..].iter().zip(&kinds[1..]) {
        assert_ne!(*line, link(name), "{said:?}");
    }
    assert_eq!(user.detached(&["create"]), 0);
    assert_eq!(user.runtime(&["start", "ID"]).code, 0);
    // Only the network, which the first keeps.
    let mut net = Bundle::new("readlink /proc/self/ns/net");
    net.namespace(json!({"type": "network", "path": path("net")}));
    net.config["mounts"]
        .as_array_mut()
        .unwrap()
        .retain(|mount| mount["type"] != "sysfs" && mount["type"] != "cgroup");
    assert_eq!(net.run().out.trim(), link("net"));
    // And the wrong kind.
    let mut wrong = Bundle::new("true");
    wrong.namespace(json!({"type": "network", "path": path("uts")}));
    assert!(wrong.run().err.contains("not of type network"));
}

#[test]
fn time_namespace() {
    let mut bundle = Bundle::new("cat /proc/uptime; readlink /proc/self/ns/time");
    bundle.namespace(json!({"type": "time"}));
    bundle.config["linux"]["timeOffsets"] = json!({"boottime": {"secs": 1_000_000_000}});
    let said = bundle.run();
    assert!(said.out.starts_with("1000"), "{said:?}");
}

#[test]
fn terminal() {
    let script = "tty; stty size; ls -l /dev/console; readlink /proc/self/fd/0; exit 3";
    let mut bundle = Bundle::new(script);
    bundle.config["process"]["terminal"] = json!(true);
    bundle.config["process"]["consoleSize"] = json!({"height": 11, "width": 22});
    let said = bundle.run();
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.out.contains("/dev/pts/0\r\n11 22\r\n"), "{said:?}");
    assert!(said.out.contains("136,   0") && said.out.contains("/dev/console"), "{said:?}");
    // Without a console to give it to, a terminal is refused.
    assert_eq!(bundle.detached(&["create"]), 1);
    bundle.assert_gone();
}

#[test]
fn devices() {
    let script = "ls -l /dev/own /dev/sub/pipe /else/where; cat /dev/mem";
    let mut bundle = Bundle::new(script);
    bundle.config["linux"]["devices"] = json!([
        {"path": "/dev/own", "type": "c", "major": 1, "minor": 5, "fileMode": 416, "uid": 3, "gid": 4},
        {"path": "/dev/sub/pipe", "type": "p"},
        {"path": "/else/where", "type": "c", "major": 1, "minor": 3},
    ]);
    let said = bundle.run();
    assert!(said.out.contains("crw-r-----    1 3        4           1,   5"), "{said:?}");
    assert!(said.out.contains("prw-rw-rw-") && said.out.contains("/else/where"), "{said:?}");
}
