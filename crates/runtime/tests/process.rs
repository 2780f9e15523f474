//! Fields of `process`, and of `linux` about processes, as the program finds them.

#![expect(clippy::unwrap_used, reason = "a test")]

mod bundle;

use bundle::Bundle;
use serde_json::{Value, json};

/// The number behind a name in /proc/PID/sched, or of a field of /proc/PID/stat: proc(5) counts from 1.
fn stat(bundle: &Bundle, field: usize) -> i64 {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", bundle.pid())).unwrap();
    let rest = text.rsplit_once(')').unwrap().1;
    rest.split_whitespace().nth(field - 3).unwrap().parse().unwrap()
}

const NICE: usize = 19;
const RT_PRIORITY: usize = 40;
const POLICY: usize = 41;

fn scheduled(scheduler: Value, change: fn(&mut Bundle)) -> (i64, i64, i64) {
    let mut bundle = Bundle::new("sleep 100");
    change(&mut bundle);
    bundle.config["process"]["scheduler"] = scheduler;
    assert_eq!(bundle.detached(&["run", "--detach"]), 0, "{}", bundle.config["process"]["scheduler"]);
    (stat(&bundle, POLICY), stat(&bundle, NICE), stat(&bundle, RT_PRIORITY))
}

#[test]
fn scheduler() {
    let batch = json!({"policy": "SCHED_BATCH", "nice": -3});
    assert_eq!(scheduled(batch.clone(), |_| {}), (3, -3, 0));
    let idle = json!({"policy": "SCHED_IDLE", "flags": ["SCHED_FLAG_RESET_ON_FORK"]});
    assert_eq!(scheduled(idle, |_| {}).0, 5);
    let fifo = json!({"policy": "SCHED_FIFO", "priority": 7});
    assert_eq!(scheduled(fifo, |_| {}), (1, 0, 7));
    // Root of a user namespace has no right to it: the runtime does it.
    assert_eq!(scheduled(batch, Bundle::user_namespace), (3, -3, 0));

    let mut bundle = Bundle::new("true");
    bundle.config["process"]["scheduler"] = json!({"policy": "SCHED_DEADLINE", "runtime": 1});
    let said = bundle.run();
    assert!(said.err.contains("set process.scheduler: invalid argument"), "{said:?}");
}

#[test]
fn deadline_comes_after_the_hooks() {
    let mut bundle = Bundle::new("sleep 100");
    let deadline = json!({"policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 500_000_000});
    bundle.config["process"]["scheduler"] = deadline;
    // The shell is not replaced: what has a deadline starts nothing.
    bundle.config["process"]["args"] = json!(["sleep", "100"]);
    bundle.config["hooks"] = json!({"createContainer": [{"path": "/bin/true"}]});
    assert_eq!(bundle.detached(&["run", "--detach"]), 0);
    assert_eq!(stat(&bundle, POLICY), 6);
}

#[test]
fn scheduler_of_an_exec() {
    for userns in [false, true] {
        let mut bundle = Bundle::new("sleep 100");
        if userns {
            bundle.user_namespace();
        }
        assert_eq!(bundle.detached(&["run", "--detach"]), 0);
        let mut process = bundle.config["process"].clone();
        process["scheduler"] = json!({"policy": "SCHED_RR", "priority": 2});
        process["ioPriority"] = json!({"class": "IOPRIO_CLASS_RT", "priority": 1});
        process["args"] = json!(["sh", "-c", "cat /proc/self/stat"]);
        let file = bundle.outside("process.json");
        std::fs::write(&file, process.to_string()).unwrap();
        let said = bundle.runtime(&["exec", "--process", file.to_str().unwrap(), "ID"]);
        let fields: Vec<&str> = said.out.rsplit_once(')').unwrap().1.split_whitespace().collect();
        assert_eq!((fields[RT_PRIORITY - 3], fields[POLICY - 3]), ("2", "2"), "{said:?}");
    }
}

#[test]
fn io_priority() {
    // ionice(1) of util-linux reads it from outside.
    for (userns, class, expected) in [
        (false, json!({"class": "IOPRIO_CLASS_BE", "priority": 6}), "best-effort: prio 6"),
        (false, json!({"class": "IOPRIO_CLASS_IDLE"}), "idle"),
        (true, json!({"class": "IOPRIO_CLASS_RT", "priority": 3}), "realtime: prio 3"),
    ] {
        let mut bundle = Bundle::new("sleep 100");
        if userns {
            bundle.user_namespace();
        }
        bundle.config["process"]["ioPriority"] = class;
        assert_eq!(bundle.detached(&["run", "--detach"]), 0);
        let pid = bundle.pid().to_string();
        let said = std::process::Command::new("ionice").args(["-p", &pid]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), expected);
    }
    let mut bundle = Bundle::new("true");
    bundle.config["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 8});
    assert!(bundle.run().err.contains("process.ioPriority.priority: is not within 0 and 7"));
}

#[test]
fn labels_need_selinux() {
    assert!(
        !std::path::Path::new("/sys/fs/selinux/enforce").exists(),
        "for hosts with SELinux there is no test"
    );
    for (part, field) in [("process", "selinuxLabel"), ("linux", "mountLabel")] {
        let mut bundle = Bundle::new("true");
        bundle.config[part][field] = json!("system_u:system_r:container_t:s0");
        let said = bundle.run();
        let expected =
            format!("{part}.{field}: `system_u:system_r:container_t:s0` is a label, and SELinux is not");
        assert!(said.code == 1 && said.err.contains(&expected), "{said:?}");
    }
    let bundle = Bundle::new("sleep 100");
    assert_eq!(bundle.detached(&["run", "--detach"]), 0);
    let mut process = bundle.config["process"].clone();
    process["selinuxLabel"] = json!("a:b:c:s0");
    let file = bundle.outside("process.json");
    std::fs::write(&file, process.to_string()).unwrap();
    let said = bundle.runtime(&["exec", "--process", file.to_str().unwrap(), "ID"]);
    assert!(said.err.contains("process.selinuxLabel"), "{said:?}");
}

#[test]
fn memory_policy() {
    let maps = Bundle::new("cat /proc/self/numa_maps").run();
    assert!(maps.out.contains(" default "), "this kernel knows no memory policies: {maps:?}");
    for (policy, expected) in [
        (json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}), " bind=static:0 "),
        (json!({"mode": "MPOL_INTERLEAVE", "nodes": "0"}), " interleave:0 "),
        (json!({"mode": "MPOL_PREFERRED_MANY", "nodes": "0"}), " prefer (many):0 "),
        (json!({"mode": "MPOL_LOCAL"}), " local "),
        (json!({"mode": "MPOL_DEFAULT"}), " default "),
    ] {
        let mut bundle = Bundle::new("cat /proc/self/numa_maps");
        bundle.config["linux"]["memoryPolicy"] = policy;
        let said = bundle.run();
        assert!(said.out.contains(expected), "{expected}: {said:?}");
        assert_eq!(bundle.detached(&["create"]), 0);
        let said = bundle.runtime(&["exec", "ID", "cat", "/proc/self/numa_maps"]);
        assert!(said.out.contains(expected), "{expected}: {said:?}");
    }
    let mut bundle = Bundle::new("true");
    bundle.config["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "9999"});
    assert!(bundle.run().err.contains("set linux.memoryPolicy: invalid argument"));
}
