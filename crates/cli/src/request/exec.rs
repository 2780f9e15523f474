//! `exec`: the request that describes a further process.

use ross_api::v1::CreateExecRequest;

use super::Surroundings;
use crate::args::{ExecArgs, ProcessArgs};
use crate::failure::Failure;
use crate::value::{BadValue, each, env};

/// The request for the process that `args` describe.
pub fn exec(args: &ExecArgs, here: &Surroundings) -> Result<CreateExecRequest, Failure> {
    let [container, cmd @ ..] = &args.words[..] else {
        return Err(Failure::Usage("exec needs a container and a command".to_owned()));
    };
    let process = &args.process;
    Ok(CreateExecRequest {
        container: container.clone(),
        cmd: cmd.to_vec(),
        env: environment(process, here)?,
        working_dir: process.workdir.clone().unwrap_or_default(),
        user: process.user.clone().unwrap_or_default(),
        tty: process.tty,
        attach_stdin: process.interactive && !args.detach,
        attach_stdout: !args.detach,
        attach_stderr: !args.detach,
        privileged: args.privileged,
    })
}

/// The variables of the files, then those of the flags; of one name the last counts.
pub(super) fn environment(process: &ProcessArgs, here: &Surroundings) -> Result<Vec<String>, Failure> {
    let lookup = |key: &str| (here.variable)(key);
    let mut variables = Vec::new();
    for path in &process.env_files {
        let content = here.file("--env-file", path)?;
        let file =
            env::file(&content, &lookup).map_err(|reason| BadValue::new("--env-file", path, reason))?;
        variables.extend(file);
    }
    variables.extend(each("--env", &process.env, |text| env::flag(text, &lookup))?);
    Ok(env::merge(variables))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};
    use crate::request::surroundings::testing::surroundings;

    fn request(line: &str) -> CreateExecRequest {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
        let Command::Exec(args) = &cli.command else { panic!("{line}") };
        exec(args, &surroundings()).unwrap()
    }

    #[test]
    fn flags_stop_at_the_container() {
        let exec = request("ross exec -it -e A=1 -w /w -u me --privileged web ls -l --tty");
        assert_eq!((exec.container.as_str(), exec.cmd.join(" ").as_str()), ("web", "ls -l --tty"));
        assert!(exec.tty && exec.attach_stdin && exec.attach_stdout && exec.attach_stderr && exec.privileged);
        assert_eq!(
            (exec.env[0].as_str(), exec.working_dir.as_str(), exec.user.as_str()),
            ("A=1", "/w", "me")
        );
    }

    #[test]
    fn detached_has_no_streams() {
        let exec = request("ross exec -d -i web true");
        assert!(!exec.attach_stdin && !exec.attach_stdout && !exec.attach_stderr);
    }

    #[test]
    fn needs_a_command() {
        assert!(Cli::try_parse_from(["ross", "exec", "web"]).is_err());
        assert!(Cli::try_parse_from(["ross", "exec"]).is_err());
    }
}
