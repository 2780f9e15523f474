//! What a service manager has for the program, handed on by the runtime: listening sockets (sd_listen_fds(3)).

use crate::error::Error;
use crate::options::Activation;
use crate::spec::Process;

/// Tells the program of the sockets it gets.
pub(crate) fn pass_sockets(process: &mut Process, sockets: &Activation) -> Result<(), Error> {
    if sockets.names.as_ref().is_some_and(|names| names.contains('\0')) {
        return Err(Error::Options("the names of sockets have a NUL among them".to_owned()));
    }
    set(&mut process.env, "LISTEN_FDS", Some(&sockets.count.to_string()));
    // It is the first process of its pid namespace.
    set(&mut process.env, "LISTEN_PID", Some("1"));
    set(&mut process.env, "LISTEN_FDNAMES", sockets.names.as_deref());
    Ok(())
}

/// Gives a variable this value in place of any it has, or takes it away.
fn set(env: &mut Vec<String>, name: &str, value: Option<&str>) {
    env.retain(|variable| variable.split_once('=').is_none_or(|(found, _)| found != name));
    env.extend(value.map(|value| format!("{name}={value}")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_in_the_environment() {
        let check = |names: Option<&str>, expected: &[&str]| {
            let env = ["LISTEN_FDS=9", "A=LISTEN_PID=5", "LISTEN_FDNAMES=old", "LISTEN_PID"];
            let mut process = Process { env: env.map(str::to_owned).to_vec(), ..Process::default() };
            let sockets = Activation { count: 2, names: names.map(str::to_owned) };
            pass_sockets(&mut process, &sockets).unwrap();
            assert_eq!(process.env, expected);
        };
        check(None, &["A=LISTEN_PID=5", "LISTEN_PID", "LISTEN_FDS=2", "LISTEN_PID=1"]);
        check(
            Some("web:"),
            &["A=LISTEN_PID=5", "LISTEN_PID", "LISTEN_FDS=2", "LISTEN_PID=1", "LISTEN_FDNAMES=web:"],
        );
        let names = Some("a\0b".to_owned());
        assert!(pass_sockets(&mut Process::default(), &Activation { count: 1, names }).is_err());
    }
}
