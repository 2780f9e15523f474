//! What shims cost.

use std::fs;

use crate::harness::{Bundle, Shim, in_own_world, soon};

fn pss(shim: &Shim) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", shim.pid)).unwrap();
    let line = rollup.lines().find(|line| line.starts_with("Pss:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Printed, and bounded only against a leak: what counts is the release build, which `cargo xtask bench`
/// measures.
#[test]
fn twenty_shims() {
    in_own_world(async || {
        let mut shims = Vec::new();
        for _ in 0..20 {
            shims.push(Bundle::new(&["/bin/sleep", "1000"]).start().await);
        }
        let mut sizes: Vec<u64> = shims.iter().map(pss).collect();
        sizes.sort_unstable();
        println!("PSS of 20 shims: median {} KiB, from {} to {}", sizes[10], sizes[0], sizes[19]);
        assert!(sizes[19] < 8 << 10);
        for shim in shims {
            soon(shim.client.signal(None, 9)).await.unwrap();
            shim.wait().await;
            shim.shutdown().await;
        }
    });
}
