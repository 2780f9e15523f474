//! On a directory in place of resctrl. A real one fills a new group with files, and removes it with them.

use super::*;

fn rdt(json: serde_json::Value) -> IntelRdt {
    serde_json::from_value(json).unwrap()
}

/// A root with a class `gold` in it.
fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("gold/mon_groups")).unwrap();
    fs::write(root.path().join("gold/schemata"), "    MB:0= 70;1=100\n    L3:0=00f;1=ff0\n").unwrap();
    fs::create_dir(root.path().join("info")).unwrap();
    root
}

fn empty(group: &Path) {
    for name in ["tasks", "schemata"] {
        fs::remove_file(group.join(name)).unwrap();
    }
}

#[test]
fn groups_are_made_and_go() {
    let root = root();
    let given = rdt(serde_json::json!({
        "l3CacheSchema": "L3:0=f\nMB:0=10", "memBwSchema": "MB:0=20", "schemata": ["L2:0=3"],
    }));
    let group = Group::create_below(root.path().to_owned(), &given, "c1").unwrap();
    let path = root.path().join("c1");
    assert_eq!(fs::read_to_string(path.join("schemata")).unwrap(), "L3:0=f\nMB:0=20\nL2:0=3\n");
    group.enter(42).unwrap();
    assert_eq!(fs::read_to_string(path.join("tasks")).unwrap(), "42");
    group.update(None, Some("MB:0=30")).unwrap();
    assert_eq!(fs::read_to_string(path.join("schemata")).unwrap(), "MB:0=30\n");
    assert!(group.update(None, Some("L3:0=3")).is_err());
    // Somebody is in it.
    group.remove().unwrap();
    assert!(path.exists());
    empty(&path);
    group.remove().unwrap();
    assert!(!path.exists());
    group.remove().unwrap();
    // The name is taken, by somebody; or by nobody, after a create that was killed.
    fs::create_dir(&path).unwrap();
    fs::write(path.join("tasks"), "43\n").unwrap();
    assert!(Group::create_below(root.path().to_owned(), &given, "c1").is_err());
    fs::write(path.join("tasks"), "").unwrap();
    assert!(Group::create_below(root.path().to_owned(), &given, "c1").is_ok());
    assert!(path.exists());
}

#[test]
fn classes_that_are_there() {
    let root = root();
    let gold = root.path().join("gold");
    let create = |json: serde_json::Value| Group::create_below(root.path().to_owned(), &rdt(json), "c1");
    let group = create(serde_json::json!({"closID": "gold", "enableMonitoring": true})).unwrap();
    let monitoring = gold.join("mon_groups/c1");
    group.enter(7).unwrap();
    assert_eq!(fs::read_to_string(monitoring.join("tasks")).unwrap(), "7");
    assert_eq!(fs::read_to_string(gold.join("tasks")).unwrap(), "7");
    fs::remove_file(monitoring.join("tasks")).unwrap();
    fs::remove_file(gold.join("tasks")).unwrap();
    group.remove().unwrap();
    assert!(gold.exists() && !monitoring.exists());

    let same = create(
        serde_json::json!({"closID": "gold", "l3CacheSchema": "L3:1=0ff0;0=F", "memBwSchema": "MB:0=70"}),
    );
    assert!(!same.unwrap().own);
    for (schemata, words) in [
        (serde_json::json!({"closID": "gold", "l3CacheSchema": "L3:0=ff"}), "at L3:0"),
        (serde_json::json!({"closID": "gold", "memBwSchema": "MB:2=70"}), "at MB:2"),
        (serde_json::json!({"closID": "silver"}), "no class `silver`"),
    ] {
        let error = create(schemata).unwrap_err().to_string();
        assert!(error.contains(words) && error.starts_with("linux.intelRdt: "), "{error}");
    }
    // A class that is made stays, for others may be about to enter it; of one that is there, `schemata` are written.
    let maker = create(serde_json::json!({"closID": "silver", "schemata": ["L3:0=1"]})).unwrap();
    let group = create(serde_json::json!({"closID": "silver", "schemata": ["L3:0=3"]})).unwrap();
    assert_eq!(fs::read_to_string(root.path().join("silver/schemata")).unwrap(), "L3:0=3\n");
    maker.remove().unwrap();
    group.remove().unwrap();
    assert!(root.path().join("silver").is_dir());
    // One that could not be made whole does not.
    assert!(
        create(serde_json::json!({"closID": "bronze", "schemata": ["L3:0=1"], "enableMonitoring": true}))
            .is_err()
    );
    let everyone = create(serde_json::json!({"closID": "/"})).unwrap();
    assert_eq!(everyone.path, root.path());
}

#[test]
fn what_the_kernel_says() {
    let root = root();
    fs::write(root.path().join("info/last_cmd_status"), "mask f out of range\n").unwrap();
    let group =
        Group { root: root.path().to_owned(), path: root.path().join("gone"), own: true, monitoring: None };
    let error = group.update(Some("L3:0=f"), None).unwrap_err().to_string();
    assert!(error.ends_with("mask f out of range"), "{error}");
    // A failure in the middle leaves nothing: there are no groups that count in a directory that is new.
    let given = rdt(serde_json::json!({"enableMonitoring": true}));
    assert!(Group::create_below(root.path().to_owned(), &given, "c2").is_err());
    assert!(!root.path().join("c2").exists());
}

#[test]
fn mistakes() {
    let check = |json: serde_json::Value, fine: bool| {
        assert_eq!(super::check(&rdt(json.clone())).is_ok(), fine, "{json}")
    };
    check(serde_json::json!({"closID": "a.b-c"}), true);
    check(serde_json::json!({"closID": "/"}), true);
    for name in ["a/b", "..", ".", "info", "mon_groups", "/a", "a\nb"] {
        check(serde_json::json!({"closID": name}), false);
    }
    check(serde_json::json!({"memBwSchema": "L3:0=f"}), false);
    check(serde_json::json!({"memBwSchema": "MB:0=10\nL3:0=f"}), false);
    check(serde_json::json!({"schemata": ["L3:0=f\nMB:0=1"]}), false);
    check(serde_json::json!({"schemata": [""]}), false);
}

#[test]
fn mounts() {
    let check =
        |line: &str, expected: Option<&str>| assert_eq!(root_in(line), expected.map(PathBuf::from), "{line}");
    let line =
        |point: &str, kind: &str| format!("36 35 0:30 / {point} rw,nosuid shared:9 - {kind} resctrl rw\n");
    check(&(line("/a", "tmpfs") + &line("/sys/fs/resctrl", "resctrl")), Some("/sys/fs/resctrl"));
    check(&line("/x", "fuse.resctrl"), None);
    check(&line("/x\\040y", "resctrl"), None);
    check("36 35 0:30 / /resctrl\nresctrl - resctrl", None);
    check("", None);
}
