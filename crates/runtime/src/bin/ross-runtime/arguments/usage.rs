//! What the commands are and how they are called.

/// Somebody asked for help among the options of a command.
#[derive(Debug)]
pub(super) struct Asked;

impl std::fmt::Display for Asked {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("help")
    }
}

impl std::error::Error for Asked {}

pub(crate) const USAGE: &str = "\
Usage: ross-runtime [--root DIR] [--log FILE] [--log-format text|json] [--debug] [--systemd-cgroup]
                    [--rootless true|false|auto] [--version] COMMAND

  create [-b BUNDLE] [--console-socket SOCKET] [--pidfd-socket SOCKET] [--pid-file FILE] [--no-pivot]
         [--no-new-keyring] [--preserve-fds N] ID
  run    as create, and [-d|--detach] [--keep] [--no-subreaper]
  start ID
  state ID
  kill [-a|--all] ID [SIGNAL]
  delete [-f|--force] ID
  exec [-t] [-d] [-u UID[:GID]] [-g GID]... [-e NAME=VALUE]... [--cwd DIR] [-c CAP]... [-p PROCESS.json]
       [--pid-file FILE] [--console-socket SOCKET] [--pidfd-socket SOCKET] [--process-label LABEL]
       [--apparmor PROFILE] [--no-new-privs] [--preserve-fds N] [--cgroup NAME] [--ignore-paused]
       ID COMMAND [ARGUMENT...]
  list [-q] [-f table|json]
  ps [-f table|json] ID [OPTION OF ps...]
  pause ID
  resume ID
  update -r RESOURCES.json|- ID
  update [--memory BYTES] [--memory-reservation BYTES] [--memory-swap BYTES] [--cpu-share N] [--cpu-quota N]
         [--cpu-period N] [--cpu-burst N] [--cpu-idle 0|1] [--cpuset-cpus LIST] [--cpuset-mems LIST]
         [--pids-limit N] [--blkio-weight N] [--l3-cache-schema LINE] [--mem-bw-schema LINE] ID
  events [--stats] [--interval TIME] ID
  spec [-b BUNDLE] [--rootless]
  features
";

/// The part about one command, or all where there is no such command.
pub(super) fn of(command: &str) -> &'static str {
    let is_first = |line: &str| {
        line.strip_prefix("  ").is_some_and(|line| line.split(' ').next() == Some(command))
            && !command.is_empty()
    };
    let Some(start) = offset(USAGE, 0, is_first) else { return "" };
    let belongs = |line: &str| line.starts_with("   ") || is_first(line);
    let end = offset(USAGE, start, |line| !belongs(line)).unwrap_or(USAGE.len());
    &USAGE[start..end]
}

/// Where the first such line begins, from `start` on.
fn offset(text: &str, start: usize, is: impl Fn(&str) -> bool) -> Option<usize> {
    let mut at = start;
    for line in text[start..].split_inclusive('\n') {
        if is(line.trim_end()) {
            return Some(at);
        }
        at += line.len();
    }
    None
}
