//! Further processes, and the streams of processes.

use ross_api::v1::{AttachStart, CreateExecRequest, ExecStart, Exited, InspectExecResponse, TerminalSize};
use ross_engine::model;
use tonic::Status;

use crate::status::invalid;

/// A process to prepare.
pub fn config(request: CreateExecRequest) -> Result<model::ExecConfig, Status> {
    if request.cmd.is_empty() {
        return Err(invalid("cmd", "name a program"));
    }
    if let Some(variable) = request.env.iter().find(|variable| !is_variable(variable)) {
        return Err(invalid("env", format!("`{variable}` is not KEY=value")));
    }
    if !request.working_dir.is_empty() && !request.working_dir.starts_with('/') {
        return Err(invalid("working_dir", format!("`{}` is no absolute path", request.working_dir)));
    }
    Ok(model::ExecConfig {
        cmd: request.cmd,
        env: request.env,
        working_dir: request.working_dir,
        user: request.user,
        tty: request.tty,
        attach_stdin: request.attach_stdin,
        attach_stdout: request.attach_stdout,
        attach_stderr: request.attach_stderr,
        privileged: request.privileged,
    })
}

/// `KEY` or `KEY=value`, without NUL.
pub fn is_variable(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('=') && !text.contains('\0')
}

/// How to start it.
pub fn start(start: &ExecStart) -> Result<model::ExecStart, Status> {
    Ok(model::ExecStart { detach: start.detach, size: start.size.as_ref().map(size).transpose()? })
}

/// How to attach.
pub fn attach(start: &AttachStart) -> Result<model::AttachOptions, Status> {
    Ok(model::AttachOptions {
        stdin: start.stdin,
        stdout: start.stdout,
        stderr: start.stderr,
        logs: start.logs,
        size: start.size.as_ref().map(size).transpose()?,
    })
}

/// A terminal's size.
pub fn size(size: &TerminalSize) -> Result<model::TerminalSize, Status> {
    match (u16::try_from(size.rows), u16::try_from(size.columns)) {
        (Ok(rows), Ok(columns)) if rows > 0 && columns > 0 => Ok(model::TerminalSize { rows, columns }),
        _ => Err(invalid("size", format!("{} rows of {} columns are no terminal", size.rows, size.columns))),
    }
}

/// How a process ended.
pub fn exited(exited: model::Exited) -> Exited {
    Exited { exit_code: exited.code, oom_killed: exited.oom_killed, error: exited.error.unwrap_or_default() }
}

/// What is known of a process.
pub fn inspection(exec: model::ExecDetails) -> InspectExecResponse {
    InspectExecResponse {
        id: exec.id.to_string(),
        container_id: exec.container.to_string(),
        running: exec.running,
        exit_code: exec.exit_code.unwrap_or(0),
        pid: exec.pid,
        cmd: exec.config.cmd,
        tty: exec.config.tty,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let check = |rows: u32, columns: u32, good: bool| {
            assert_eq!(size(&TerminalSize { rows, columns }).is_ok(), good, "{rows}x{columns}");
        };
        check(24, 80, true);
        check(65535, 1, true);
        check(0, 80, false);
        check(24, 65536, false);
    }

    #[test]
    fn processes_are_checked() {
        let request = |cmd: &[&str], env: &str, dir: &str| CreateExecRequest {
            cmd: cmd.iter().map(|word| (*word).to_owned()).collect(),
            env: vec![env.to_owned()],
            working_dir: dir.to_owned(),
            ..CreateExecRequest::default()
        };
        assert!(config(request(&["ls"], "A=1", "/w")).is_ok());
        assert!(config(request(&["ls"], "A", "")).is_ok());
        assert!(config(request(&[], "A=1", "")).unwrap_err().message().contains("cmd"));
        assert!(config(request(&["ls"], "=1", "")).unwrap_err().message().contains("env"));
        assert!(config(request(&["ls"], "A=1", "w")).unwrap_err().message().contains("working_dir"));
    }
}
