//! `ross-shim --id ID --dir DIR --root DIR`: supervises one container. Started by the daemon, not by people.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use lexopt::Arg::Long;
use lexopt::ValueExt;
use ross_shim::supervisor::{Arguments, run};

fn main() -> ExitCode {
    let result = arguments().map_err(Box::<dyn Error>::from).and_then(|arguments| Ok(run(&arguments)?));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Before the shim is ready this reaches whoever launched it; later there is nobody.
            let _ = write!(std::io::stderr(), "{error}");
            let mut source = error.source();
            while let Some(error) = source {
                let _ = write!(std::io::stderr(), ": {error}");
                source = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Arguments, lexopt::Error> {
    let (mut id, mut dir, mut root) = (None, None, None);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("id") => id = Some(parser.value()?.string()?),
            Long("dir") => dir = Some(parser.value()?.into()),
            Long("root") => root = Some(parser.value()?.into()),
            other => return Err(other.unexpected()),
        }
    }
    let missing = |name: &str| lexopt::Error::Custom(format!("option --{name} is missing").into());
    Ok(Arguments {
        id: id.ok_or_else(|| missing("id"))?,
        dir: dir.ok_or_else(|| missing("dir"))?,
        root: root.ok_or_else(|| missing("root"))?,
    })
}
