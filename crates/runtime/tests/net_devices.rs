//! `linux.netDevices`: interfaces of a host, which is a network namespace of the test, in a container.

#![expect(clippy::unwrap_used, reason = "a test")]

mod bundle;

use bundle::Bundle;
use serde_json::json;

const SHOW: &str = "for d in eth7 d1; do busybox ip addr show $d; done";

const MAKE: &str = "ip='/bin/busybox ip'; for d in d0 d1; do $ip link add $d type veth peer name p$d; done; \
                    $ip addr add 10.9.8.7/24 dev d0; $ip addr add 10.9.8.9/32 dev d0; $ip link set d0 up; \
                    $ip addr add fd00::7/64 dev d0; ";

fn bundle(script: &str) -> Bundle {
    let mut bundle = Bundle::new(script);
    bundle.config["linux"]["netDevices"] = json!({"d0": {"name": "eth7"}, "d1": {}});
    bundle
}

#[test]
fn interfaces_keep_their_addresses() {
    for userns in [false, true] {
        let mut bundle = bundle(SHOW);
        if userns {
            bundle.user_namespace();
        }
        // Parameters of the interface can be set: it is there before them.
        bundle.config["linux"]["sysctl"] = json!({"net.ipv4.conf.eth7.forwarding": "1"});
        let said = bundle.shell(&format!("{MAKE} $RUN; grep -c ' d0:' /proc/net/dev || true"));
        for expected in
            ["inet 10.9.8.7/24 ", "inet 10.9.8.9/32 ", "inet6 fd00::7/64 scope global", "eth7@", " d1@", "UP"]
        {
            assert!(said.out.contains(expected), "{expected} in {said:?}");
        }
        assert!(said.out.ends_with("\n0\n"), "it is not on the host any more: {said:?}");
    }
}

#[test]
fn interfaces_go_into_a_joined_namespace() {
    let mut bundle = bundle(SHOW);
    let namespace = bundle.outside("net");
    bundle.namespace(json!({"type": "network", "path": namespace}));
    let said = bundle.shell(&format!("{MAKE} touch $D/net; unshare --net=$D/net true; $RUN"));
    assert!(said.out.contains("inet 10.9.8.7/24 ") && said.out.contains("eth7@"), "{said:?}");
}

#[test]
fn interfaces_that_cannot_be_moved() {
    let bundle = bundle("true");
    let said = bundle.shell("$RUN");
    assert!(
        said.code == 1 && said.err.contains("(linux.netDevices.d0: find the interface): no such device"),
        "{said:?}"
    );
    bundle.assert_gone();
    let mut bundle = self::bundle("true");
    bundle.config["linux"]["netDevices"] = json!({"d0": {"name": "lo"}});
    let said = bundle.shell(&format!("{MAKE} $RUN || grep -c ' d0:' /proc/net/dev"));
    assert!(said.err.contains("(linux.netDevices.d0: move it): file exists"), "{said:?}");
    assert_eq!(said.out, "1\n", "it is still where it was");
    bundle.assert_gone();
}
