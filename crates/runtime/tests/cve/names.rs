//! Names that lead elsewhere, and lengths that wrap around.

use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn ids_stay_below_the_root_of_the_runtime() {
    let bundle = Bundle::new("true");
    bundle.write_config();
    let victim = bundle.outside("victim");
    std::fs::create_dir(&victim).unwrap();
    std::fs::write(victim.join("state.json"), "{}").unwrap();
    let dir = bundle.outside("");
    let dir = dir.to_str().unwrap();
    for id in
        ["../victim", "..", ".", ".hidden", "a/b", "/victim", "a\nb", "a b", "", "\u{e9}", &"x".repeat(256)]
    {
        let commands: [&[&str]; 9] = [
            &["create", "--bundle", dir, id],
            &["run", "--bundle", dir, id],
            &["start", id],
            &["state", id],
            &["kill", id, "KILL"],
            &["delete", "--force", id],
            &["exec", id, "true"],
            &["pause", id],
            &["update", id, "--pids-limit", "5"],
        ];
        for command in commands {
            let said = bundle.runtime(command);
            assert!(said.code != 0, "{command:?}: {said:?}");
            assert!(said.err.contains("invalid container ID format"), "{command:?}: {said:?}");
        }
    }
    assert_eq!(std::fs::read_to_string(victim.join("state.json")).unwrap(), "{}");
    assert!(!bundle.outside("state").exists() || bundle.outside("state").read_dir().unwrap().count() == 0);
}

#[test]
fn cve_2021_43784_lengths_do_not_wrap_around() {
    // Beyond 65,535 bytes runc's netlink message to its own child wrapped, and its end was read as other fields.
    let smuggled = format!("/{}", "\u{1}\u{0}ns:/proc/1/ns/mnt".repeat(4000));
    let mut bundle = Bundle::new("echo $LONG | busybox wc -c; readlink /proc/self/ns/mnt");
    bundle.namespace(json!({"type": "network", "path": smuggled}));
    let said = bundle.run();
    assert!(
        said.code == 1 && said.err.contains("linux.namespaces[") && said.err.contains("contains a NUL"),
        "{said:?}"
    );
    bundle.namespace(json!({"type": "network", "path": format!("/{}", "ns/".repeat(30_000))}));
    let said = bundle.run();
    assert!(said.code == 1 && said.err.contains("file name too long"), "{said:?}");
    bundle.namespace(json!({"type": "network"}));
    // What may be long is so to its end.
    bundle.config["process"]["env"] =
        json!(["PATH=/bin", format!("LONG={}", "x".repeat(100_000)), format!("MORE={}", "y".repeat(70_000))]);
    bundle.config["annotations"] = json!({"long": "z".repeat(200_000)});
    let said = bundle.run();
    assert!(said.out.starts_with("100001\n"), "{said:?}");
    let host = std::fs::read_link("/proc/self/ns/mnt").unwrap();
    assert!(!said.out.contains(host.to_str().unwrap()), "{said:?}");
}

#[test]
fn cve_2021_43784_more_maps_than_the_kernel_takes() {
    let mut bundle = Bundle::new("true");
    bundle.user_namespace();
    let maps: Vec<_> =
        (0..9000).map(|id| json!({"containerID": id, "hostID": 100_000 + id, "size": 1})).collect();
    bundle.config["linux"]["uidMappings"] = json!(maps);
    let said = bundle.run();
    assert!(
        said.code == 1 && said.err.contains("/uid_map") && said.err.contains("invalid argument"),
        "{said:?}"
    );
    bundle.assert_gone();
}
