//! What shims cost.

use std::fs;
use std::time::Instant;

use crate::harness::{Bundle, Shim, soon};

fn pss(shim: &Shim) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", shim.pid)).unwrap();
    let line = rollup.lines().find(|line| line.starts_with("Pss:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Printed, and bounded only against a leak: what counts is the release build, which `cargo xtask bench`
/// measures.
#[tokio::test]
#[ignore = "run by `suite`"]
async fn twenty_shims() {
    let mut shims = Vec::new();
    for _ in 0..20 {
        shims.push(Bundle::new(&["/bin/sleep", "1000"]).start().await);
    }
    let mut sizes: Vec<u64> = shims.iter().map(pss).collect();
    sizes.sort_unstable();
    println!("PSS of 20 shims: median {} KiB, from {} to {}", sizes[10], sizes[0], sizes[19]);
    if let Ok(path) = std::env::var("ROSS_TEST_SMAPS") {
        fs::copy(format!("/proc/{}/smaps", shims[3].pid), path).unwrap();
    }
    assert!(sizes[19] < 8 << 10);
    for shim in shims {
        soon(shim.client.signal(None, 9)).await.unwrap();
        shim.wait().await;
        shim.shutdown().await;
    }
}

/// Printed only: a time is no test.
#[tokio::test]
#[ignore = "run by `suite`"]
async fn a_whole_life() {
    let mut lives = Vec::new();
    for _ in 0..20 {
        let mut bundle = Bundle::new(&["/bin/true"]);
        bundle.config.durable = false;
        let begin = Instant::now();
        let shim = bundle.launch().await;
        let launched = begin.elapsed();
        soon(shim.client.start(None)).await.unwrap();
        let started = begin.elapsed();
        soon(shim.client.wait(None)).await.unwrap();
        let ended = begin.elapsed();
        soon(shim.client.shutdown()).await.unwrap();
        lives.push((begin.elapsed(), launched, started - launched, ended - started));
    }
    lives.sort_unstable();
    let (whole, launch, start, end) = lives[10];
    println!("a life of `true`: {whole:?}, of it launch {launch:?}, start {start:?}, end {end:?}");
}
