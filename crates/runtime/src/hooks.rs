//! The hooks of the runtime namespaces: prestart, createRuntime, poststart, poststop.

use crate::child::run_hook;
use crate::error::Error;
use crate::failure::hook_error;
use crate::plan::{HookPlan, HookState};
use crate::spec::Hook;

/// Runs hooks in order until one fails.
pub(crate) fn run(kind: &'static str, hooks: &[Hook], state: &HookState, pid: i32) -> Result<(), Error> {
    for hook in hooks {
        run_hook(&HookPlan::new(hook), state, pid)
            .map_err(|failure| hook_error(kind, Some(hook), failure))?;
    }
    Ok(())
}

/// Runs all hooks; returns what failed. For poststop, which goes on (runtime.md, step 13).
pub(crate) fn run_all(kind: &'static str, hooks: &[Hook], state: &HookState, pid: i32) -> Vec<Error> {
    hooks.iter().filter_map(|hook| run(kind, std::slice::from_ref(hook), state, pid).err()).collect()
}
