//! The process of an exec: that of the container with what the options change, or one from a file.

use ross_runtime::spec::{Capabilities, Process};

use crate::arguments::Exec;

/// Makes the process.
pub(crate) fn process(exec: &Exec, container: Option<Process>) -> Result<Process, String> {
    if let Some(path) = &exec.process {
        let bytes = std::fs::read(path).map_err(|error| format!("read {}: {error}", path.display()))?;
        let mut process = Process::parse(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
        process.terminal |= exec.tty;
        return Ok(process);
    }
    let mut process = container.unwrap_or_default();
    process.args.clone_from(&exec.command);
    process.terminal = exec.tty;
    process.console_size = None;
    process.env.extend(exec.env.iter().cloned());
    if let Some(cwd) = &exec.cwd {
        process.cwd.clone_from(cwd);
    }
    if let Some((uid, gid)) = exec.user {
        process.user.uid = uid;
        process.user.gid = gid.unwrap_or(process.user.gid);
    }
    process.user.additional_gids.extend(&exec.additional_gids);
    if let Some(profile) = &exec.apparmor {
        process.apparmor_profile.clone_from(profile);
    }
    if let Some(label) = &exec.process_label {
        process.selinux_label.clone_from(label);
    }
    if let Some(no_new_privs) = exec.no_new_privs {
        process.no_new_privileges = no_new_privs;
    }
    if !exec.capabilities.is_empty() {
        add_capabilities(process.capabilities.get_or_insert_default(), &exec.capabilities);
    }
    Ok(process)
}

/// Inheritable stays as it is: a joining process must not hand capabilities to what it executes (CVE-2022-29162).
fn add_capabilities(sets: &mut Capabilities, names: &[String]) {
    for name in names {
        for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
            if !set.contains(name) {
                set.push(name.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes() {
        let base = Process {
            args: vec!["init".into()],
            cwd: "/srv".into(),
            env: vec!["A=1".into()],
            terminal: true,
            ..Process::default()
        };
        let exec = Exec {
            command: vec!["sh".into()],
            env: vec!["B=2".into()],
            user: Some((7, None)),
            capabilities: vec!["CAP_NET_RAW".into()],
            process_label: Some("label".into()),
            no_new_privs: Some(false),
            ..Exec::default()
        };
        let base = Process { no_new_privileges: true, ..base };
        let made = process(&exec, Some(base)).unwrap();
        assert_eq!((made.selinux_label.as_str(), made.no_new_privileges), ("label", false));
        assert_eq!((made.args, made.cwd.as_str(), made.terminal), (vec!["sh".to_owned()], "/srv", false));
        assert_eq!(made.env, ["A=1", "B=2"]);
        assert_eq!(made.user.uid, 7);
        let sets = made.capabilities.unwrap();
        assert_eq!(sets.permitted, ["CAP_NET_RAW"]);
        assert!(sets.inheritable.is_empty() && sets.ambient.is_empty());
    }
}
