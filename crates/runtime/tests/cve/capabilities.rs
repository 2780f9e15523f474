//! Capabilities and users that are more than was said.

use serde_json::json;

use crate::bundle::Bundle;

/// The lines of /proc/self/status about the sets that a program hands on to what it executes.
const SETS: &str = "grep -E 'Cap(Inh|Amb)' /proc/self/status";
const EMPTY: &str = "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n";

#[test]
fn cve_2022_29162_exec_hands_on_no_capabilities() {
    let bundle = Bundle::new("sleep 100");
    assert_eq!(bundle.detached(&["run", "--detach"]), 0);
    for user in ["0", "1000"] {
        let said = bundle.runtime(&["exec", "--cap", "CAP_NET_RAW", "--user", user, "ID", "sh", "-c", SETS]);
        assert_eq!(said.out, EMPTY, "{user}: {said:?}");
    }
    // Root has what it was given, and no more.
    let said = bundle.runtime(&["exec", "--cap", "CAP_NET_RAW", "ID", "grep", "CapEff", "/proc/self/status"]);
    assert_eq!(said.out, "CapEff:\t00000000800425fb\n");
}

#[test]
fn cve_2022_27650_a_process_of_a_file_has_the_sets_it_says() {
    // crun and youki (CVE-2025-27612) made the inheritable set of the bounding one.
    let bundle = Bundle::new("sleep 100");
    assert_eq!(bundle.detached(&["run", "--detach"]), 0);
    let mut process = bundle.config["process"].clone();
    process["args"] = json!(["sh", "-c", SETS]);
    process["capabilities"] = json!({"bounding": ["CAP_NET_RAW"], "permitted": ["CAP_NET_RAW"]});
    let file = bundle.outside("process.json");
    for user in [0, 1000] {
        process["user"] = json!({"uid": user, "gid": 0});
        std::fs::write(&file, process.to_string()).unwrap();
        let said = bundle.runtime(&["exec", "--process", file.to_str().unwrap(), "ID"]);
        assert_eq!(said.out, EMPTY, "{user}: {said:?}");
    }
}

#[test]
fn cve_2022_24769_the_first_program_inherits_nothing_by_default() {
    let mut bundle = Bundle::new(SETS);
    assert!(bundle.config["process"]["capabilities"]["inheritable"].is_null());
    for user in [0, 1000] {
        bundle.config["process"]["user"] = json!({"uid": user, "gid": 0});
        assert_eq!(bundle.run().out, EMPTY, "{user}");
    }
}

#[test]
fn cve_2026_30892_a_user_is_a_number_and_nothing_else() {
    let bundle = Bundle::new("sleep 100");
    assert_eq!(bundle.detached(&["run", "--detach"]), 0);
    for user in [
        "1000x",
        "1000:",
        ":1000",
        "1000:0x0",
        "0x3e8",
        "-1",
        "+1000",
        " 1000",
        "1000 ",
        "",
        "4294967296",
        "1000:5:0",
        "root",
        "1000:\u{661}",
    ] {
        let said = bundle.runtime(&["exec", "--user", user, "ID", "touch", "/ran"]);
        assert_eq!(said.code, 255, "{user}: {said:?}");
        assert!(said.err.contains(&format!("user `{user}` is not UID[:GID]")), "{user}: {said:?}");
    }
    assert!(!bundle.rootfs().join("ran").exists());
    assert_eq!(bundle.runtime(&["exec", "--user", "1000:5", "ID", "id", "-g"]).out, "5\n");
}

#[test]
fn signals_and_umask_are_not_those_of_the_runtime() {
    let bundle = Bundle::new("grep -E 'Sig(Blk|Ign)' /proc/self/status; umask");
    let said = bundle.shell("trap '' USR1 INT HUP; umask 077; $RUN");
    let lines: Vec<&str> = said.out.lines().collect();
    let [blocked, ignored, mask] = lines.as_slice() else { panic!("{said:?}") };
    assert_eq!((*blocked, *mask), ("SigBlk:\t0000000000000000", "0022"), "{said:?}");
    // Real-time signals, which nobody ignores but by intent, are left as they are.
    let ignored = u64::from_str_radix(ignored.strip_prefix("SigIgn:\t").unwrap(), 16).unwrap();
    assert_eq!(ignored & 0x7fff_ffff, 0, "{said:?}");
}

#[test]
fn session_keyring_is_its_own() {
    let mut bundle = Bundle::new("cat /proc/keys");
    bundle.config["linux"]["maskedPaths"] = json!([]);
    let said = bundle.run();
    let own = format!(" _ses.{}:", bundle.id);
    assert!(said.out.contains(&own), "{said:?}");
}
