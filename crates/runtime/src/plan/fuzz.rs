//! Entry point of the fuzzers: any bytes as a configuration of which words become what the kernel is told.

use ross_sys::mount::attr;

use crate::spec::Spec;

use super::mount_options::{Attributes, MountOptions};
use super::{id_map, mounts, sysctl};

/// Plans the options of mounts, the targets, the maps of ids and the parameters of `data`. It must not panic, and nothing
/// that comes out may say more to the kernel than was checked.
fn fuzz(data: &[u8]) {
    let Ok(spec) = Spec::parse(data) else { return };
    for mount in &spec.mounts {
        let options = MountOptions::parse(&mount.options);
        assert!(options.parameters.len() + options.propagation.len() <= mount.options.len());
        hold_together(options.own);
        hold_together(options.recursive);
        let twice = MountOptions::parse(&[mount.options.as_slice(), &mount.options].concat());
        assert_eq!(
            (twice.own, twice.recursive),
            (options.own, options.recursive),
            "said twice: {:?}",
            mount.options
        );
        let target = mounts::clean(&mount.destination);
        assert!(target.starts_with('/') && target.len() <= mount.destination.len() + 1);
        assert!(!target.split('/').any(|part| matches!(part, "." | "..")) && !target.contains("//"));
        assert_eq!(mounts::clean(&target), target);
    }
    let linux = spec.linux();
    for mappings in [&linux.uid_mappings, &linux.gid_mappings] {
        let text = id_map::text(mappings);
        assert_eq!(text.lines().count(), mappings.len());
        for (line, mapping) in text.lines().zip(mappings) {
            let numbers: Vec<u32> = line.split(' ').map(|word| word.parse().expect("a number")).collect();
            assert_eq!(numbers, [mapping.container_id, mapping.host_id, mapping.size]);
        }
    }
    for plan in sysctl::plan(linux) {
        let path = plan.path.to_str().expect("it was text");
        assert!(path.starts_with("sys/"), "{path}");
        assert!(!path.split('/').any(|part| matches!(part, "" | "." | "..")), "{path}");
    }
}

/// mount_setattr(2) wants a bit either set or cleared, and the access time as a whole.
fn hold_together(Attributes { set, clear }: Attributes) {
    assert_eq!(set & clear & !attr::ATIME, 0, "{set:#x} {clear:#x}");
    assert!(set & attr::ATIME == 0 || clear & attr::ATIME == attr::ATIME, "{set:#x} {clear:#x}");
    assert!([0, attr::NOATIME, attr::STRICTATIME].contains(&(set & attr::ATIME)), "{set:#x}");
}

mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::fuzz;
    use crate::spec::mutate::any_changes;

    const WORDS: [&str; 30] = [
        "ro",
        "rw",
        "nosuid",
        "suid",
        "nodev",
        "dev",
        "noexec",
        "exec",
        "noatime",
        "atime",
        "relatime",
        "norelatime",
        "strictatime",
        "nostrictatime",
        "nodiratime",
        "diratime",
        "nosymfollow",
        "symfollow",
        "rro",
        "rrw",
        "rnoatime",
        "rstrictatime",
        "rbind",
        "shared",
        "rslave",
        "tmpcopyup",
        "idmap",
        "size=1",
        "=",
        "",
    ];

    fn document(options: &[String], destination: &str, sysctl: &str) -> serde_json::Value {
        let map = json!([{"containerID": 0, "hostID": 1000, "size": 10}, {"containerID": 10, "hostID": 0, "size": 5}]);
        json!({"ociVersion": "1.2.0", "root": {"path": "r"},
            "mounts": [{"destination": destination, "type": "tmpfs", "options": options}],
            "linux": {"namespaces": [{"type": "mount"}, {"type": "user"}, {"type": "network"}, {"type": "ipc"}],
                "uidMappings": map, "gidMappings": map, "sysctl": {sysctl: "1"}}})
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn words_hold_together(
            options in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..8),
            destination in "[./a-c]{1,12}",
            sysctl in "net[./a-c]{1,10}",
            changes in any_changes(),
        ) {
            let options: Vec<String> = options.into_iter().map(str::to_owned).collect();
            fuzz(document(&options, &destination, &sysctl).to_string().as_bytes());
            let tame = document(&options, &destination, "net.x");
            fuzz(tame.to_string().as_bytes());
            fuzz(&changes.of(&tame));
        }

        #[test]
        fn any_words_hold_together(options in prop::collection::vec("[ -~]{0,10}", 0..4), destination in any::<String>()) {
            fuzz(document(&options, &format!("/{destination}"), "net.x").to_string().as_bytes());
        }
    }
}
