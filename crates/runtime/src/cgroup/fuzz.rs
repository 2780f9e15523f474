//! Entry point of the fuzzers: any bytes as the resources of a container.

use super::devices::Policy;
use super::limits::Limits;
use crate::spec::LinuxResources;

/// Parses `data` and works out what would be written where. It must not panic, and no file may be outside the cgroup.
pub fn fuzz(data: &[u8]) {
    let Ok(resources) = serde_json::from_slice::<LinuxResources>(data) else { return };
    if let Ok(limits) = Limits::new(&resources) {
        for write in &limits.writes {
            assert!(
                !write.file.contains('/') && write.file != "..",
                "{} leads out of the cgroup",
                write.file
            );
            assert!(!write.value.contains('\n'), "{:?} is more than one value", write.value);
        }
    }
    let _ = Policy::new(&resources.devices);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fuzz;

    const EVERYTHING: &str = r#"{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":1,"minor":3}],
        "memory":{"limit":10,"reservation":5,"swap":20,"checkBeforeUpdate":true},
        "cpu":{"shares":1024,"quota":5,"period":10,"burst":1,"idle":0,"cpus":"0","mems":"0"},"pids":{"limit":3},
        "blockIO":{"weight":100,"weightDevice":[{"major":8,"minor":0,"weight":10}],
        "throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1}]},"hugepageLimits":[{"pageSize":"2MB","limit":1}],
        "rdma":{"mlx":{"hcaHandles":1}},"unified":{"memory.high":"1","io.max":"8:0 rbps=1"}}"#;

    proptest! {
        #[test]
        fn anything_is_refused_or_stays_inside(
            at in any::<prop::sample::Index>(),
            bytes in prop::collection::vec(any::<u8>(), 0..6),
        ) {
            let mut json = EVERYTHING.as_bytes().to_vec();
            fuzz(&json);
            let at = at.index(json.len());
            let end = (at + bytes.len()).min(json.len());
            json.splice(at..end, bytes);
            fuzz(&json);
        }

        #[test]
        fn any_text_is_refused_or_stays_inside(key in "[./a-z\\n\"]{0,8}", value in any::<String>(), number in any::<i64>()) {
            let json = serde_json::json!({
                "unified": { key.clone(): value.clone() },
                "hugepageLimits": [{"pageSize": key, "limit": 1}],
                "rdma": { value.clone(): {} },
                "cpu": {"cpus": value, "idle": number},
                "memory": {"limit": number, "swap": number},
                "pids": {"limit": number},
            });
            for (part, content) in json.as_object().unwrap() {
                fuzz(serde_json::json!({ part: content }).to_string().as_bytes());
            }
        }
    }
}
