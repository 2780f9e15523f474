//! All suites, in the order they run.

use super::{
    api, bad_input, callers, conformance, images, lifecycle, limits, making, network, registries, run,
    runtime, terminal, transfer, unpack,
};
use crate::harness::{Case, Test};

/// Every case of every suite.
pub fn all() -> Vec<Box<dyn Test>> {
    let functions = [
        runtime::CASES,
        run::CASES,
        lifecycle::CASES,
        limits::CASES,
        network::CASES,
        terminal::CASES,
        images::CASES,
        unpack::CASES,
        transfer::CASES,
        registries::CASES,
        making::CASES,
        api::CASES,
        bad_input::CASES,
        callers::CASES,
    ]
    .concat();
    let boxed = |case: Case| Box::new(case) as Box<dyn Test>;
    functions.into_iter().map(boxed).chain(conformance::tests()).collect()
}
