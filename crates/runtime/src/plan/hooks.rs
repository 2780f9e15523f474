//! Hooks, ready to be executed by a process that must not allocate.

use std::ffi::CString;

use ross_sys::exec::CStringArray;
use rustix::time::Timespec;

use crate::spec::Hook;

use super::c_string;

/// The state of a container as JSON, in two parts with the process id between them.
#[derive(Debug, Clone)]
pub(crate) struct HookState {
    pub before_pid: String,
    pub after_pid: String,
}

impl HookState {
    /// The state with its process id.
    pub(crate) fn with_pid(&self, pid: i32) -> String {
        format!("{}{pid}{}", self.before_pid, self.after_pid)
    }
}

/// One hook.
#[derive(Debug)]
pub(crate) struct HookPlan {
    pub path: CString,
    pub args: CStringArray,
    pub env: CStringArray,
    pub timeout: Option<Timespec>,
}

impl HookPlan {
    pub(crate) fn new(hook: &Hook) -> Self {
        let args = if hook.args.is_empty() { std::slice::from_ref(&hook.path) } else { &hook.args };
        let array = |texts: &[String]| CStringArray::new(super::c_strings(texts));
        Self {
            path: c_string(hook.path.as_str()),
            args: array(args),
            env: array(&hook.env),
            timeout: hook.timeout.map(|tv_sec| Timespec { tv_sec, tv_nsec: 0 }),
        }
    }

    pub(crate) fn list(hooks: &[Hook]) -> Vec<Self> {
        hooks.iter().map(Self::new).collect()
    }
}
