//! The main process, and processes beside it.

use ross_runtime::spec::{Capabilities, Process, User};

use super::capabilities;
use super::limits::rlimits;
use super::user::{self, Identity};
use crate::create::merge_env;
use crate::error::Result;
use crate::host::Host;
use crate::model::{ContainerConfig, ExecConfig};
use crate::rootfs::RootFd;

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The main process of a container.
pub(super) fn main_process(
    config: &ContainerConfig,
    host: &Host,
    root: &RootFd,
    hostname: &str,
    caps: &[String],
) -> Result<Process> {
    let identity = user::resolve(root, &config.user, &config.group_add)?;
    let mut defaults = vec![PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if config.tty {
        defaults.push("TERM=xterm".to_owned());
    }
    let env = with_home(merge_env(&defaults, &config.env), &identity);
    Ok(Process {
        terminal: config.tty,
        console_size: None,
        user: spec_user(&identity),
        args: config.command(),
        env,
        cwd: config.working_dir.clone(),
        capabilities: Some(granted(caps)),
        rlimits: rlimits(&config.ulimits, host)?,
        no_new_privileges: config.security.no_new_privileges,
        apparmor_profile: match config.security.apparmor_profile.as_str() {
            "unconfined" => String::new(),
            profile => profile.to_owned(),
        },
        oom_score_adj: config.oom_score_adj,
        ..Process::default()
    })
}

/// A process in a running container, which was given `main`.
pub(crate) fn exec_process(
    main: Process,
    exec: &ExecConfig,
    host: &Host,
    root: &RootFd,
    group_add: &[String],
) -> Result<Process> {
    let mut process = Process { args: exec.cmd.clone(), terminal: exec.tty, console_size: None, ..main };
    if !exec.user.is_empty() {
        let identity = user::resolve(root, &exec.user, group_add)?;
        process.user = spec_user(&identity);
        process.env.retain(|entry| !entry.starts_with("HOME="));
        process.env = with_home(process.env, &identity);
    }
    if exec.tty && !process.env.iter().any(|entry| entry.starts_with("TERM=")) {
        process.env.push("TERM=xterm".to_owned());
    }
    process.env = merge_env(&process.env, &exec.env);
    if !exec.working_dir.is_empty() {
        process.cwd.clone_from(&exec.working_dir);
    }
    if exec.privileged {
        process.capabilities = Some(granted(&capabilities::all(host)));
    }
    Ok(process)
}

fn spec_user(identity: &Identity) -> User {
    User { uid: identity.uid, gid: identity.gid, umask: None, additional_gids: identity.groups.clone() }
}

fn granted(caps: &[String]) -> Capabilities {
    // Nothing inheritable and nothing ambient: CVE-2022-24769.
    Capabilities {
        bounding: caps.to_vec(),
        effective: caps.to_vec(),
        permitted: caps.to_vec(),
        ..Capabilities::default()
    }
}

fn with_home(mut env: Vec<String>, identity: &Identity) -> Vec<String> {
    if !env.iter().any(|entry| entry.starts_with("HOME=")) {
        env.push(format!("HOME={}", identity.home));
    }
    env
}
