//! Entry points of the fuzzers: any bytes as a configuration, as the process of an exec, as resources.

use serde::Serialize;

use super::{InvalidSpec, LinuxResources, Process, Spec};

/// Parses `data` as each of the three. It must not panic; what is accepted passes the check again, and so does what it is
/// written as, which is the same document; neither that nor an error is out of proportion to what was read.
pub fn fuzz(data: &[u8]) {
    accepted(data, Spec::parse, |spec| spec.check());
    accepted(data, Process::parse, |process| process.check("process"));
    accepted(data, LinuxResources::parse, |_| Ok(()));
}

fn accepted<T: Serialize + PartialEq + std::fmt::Debug>(
    data: &[u8],
    parse: impl Fn(&[u8]) -> Result<T, InvalidSpec>,
    check: impl Fn(&T) -> Result<(), InvalidSpec>,
) {
    // A byte that is no text takes three to say so.
    let bound = 8 * data.len() + 4096;
    let document = match parse(data) {
        Ok(document) => document,
        Err(error) => {
            assert!(error.to_string().len() <= bound, "an error of {} bytes", error.to_string().len());
            return;
        }
    };
    assert_eq!(check(&document), Ok(()), "checked twice");
    let written = serde_json::to_vec(&document).expect("it has only string keys");
    assert!(written.len() <= 8 * bound, "{} bytes of {}", written.len(), data.len());
    assert_eq!(parse(&written).as_ref(), Ok(&document), "written and read again");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::fuzz;
    use crate::spec::mutate::any_changes;

    /// A document with something in nearly every field.
    pub(crate) fn everything() -> Value {
        let map = json!([{"containerID": 0, "hostID": 1000, "size": 10}]);
        let hook = json!([{"path": "/bin/true", "args": ["true", "x"], "env": ["A=b"], "timeout": 3}]);
        let mut document = serde_json::to_value(crate::defaults::default_spec()).unwrap();
        let process = json!({"terminal": true, "consoleSize": {"height": 1, "width": 2}, "oomScoreAdj": 5,
            "user": {"uid": 1, "gid": 2, "umask": 18, "additionalGids": [3]}, "noNewPrivileges": true,
            "scheduler": {"policy": "SCHED_FIFO", "priority": 1, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
            "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 1}, "apparmorProfile": "a", "selinuxLabel": "b",
            "execCPUAffinity": {"initial": "0-1", "final": "0"}});
        let linux = json!({"uidMappings": map, "gidMappings": map, "cgroupsPath": "/a/b", "rootfsPropagation": "shared",
            "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": 420, "uid": 1, "gid": 2}],
            "sysctl": {"net.ipv4.ip_forward": "1", "kernel.shmmax": "2"}, "netDevices": {"eth0": {"name": "e"}},
            "timeOffsets": {"boottime": {"secs": 1, "nanosecs": 2}}, "personality": {"domain": "LINUX32"},
            "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0"}, "intelRdt": {"closID": "c"},
            "resources": {"memory": {"limit": 1}, "unified": {"a.b": "c"}, "pids": {"limit": 1}}});
        for (place, more) in [("process", process), ("linux", linux)] {
            document[place].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        }
        let namespaces = document["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.extend([json!({"type": "user"}), json!({"type": "time"})]);
        document["mounts"]
            .as_array_mut()
            .unwrap()
            .push(json!({"destination": "/m", "source": "s", "type": "none",
            "options": ["rbind", "rro", "idmap"], "uidMappings": map, "gidMappings": map}));
        for kind in
            ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
        {
            document["hooks"][kind] = hook.clone();
        }
        document["annotations"] = json!({"a": "b"});
        document["hostname"] = json!("h");
        document
    }

    #[test]
    fn the_document_to_change_is_accepted() {
        let bytes = everything().to_string().into_bytes();
        assert_eq!(crate::spec::Spec::parse(&bytes).err(), None);
        fuzz(&bytes);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn changed_documents_are_refused_or_hold_together(changes in any_changes()) {
            let whole = everything();
            fuzz(&changes.of(&whole));
            fuzz(&changes.of(&whole["process"]));
            fuzz(&changes.of(&whole["linux"]["resources"]));
        }

        #[test]
        fn any_bytes_are_refused(data in prop::collection::vec(any::<u8>(), 0..300)) {
            fuzz(&data);
        }
    }
}
