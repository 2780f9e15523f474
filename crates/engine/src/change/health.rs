//! HEALTHCHECK: `NONE`, or options and a command.

use std::time::Duration;

use ross_image::Healthcheck;

use super::words::{self, Reason};

/// The shortest time that an option may name; 0 takes the default.
const SHORTEST: Duration = Duration::from_millis(1);

/// Reads what follows the instruction.
pub(super) fn parse(text: &str) -> Result<Healthcheck, Reason> {
    let mut health = Healthcheck::default();
    let mut rest = text.trim_start();
    while let Some(option) = rest.strip_prefix("--") {
        let (option, after) = option.split_once(char::is_whitespace).unwrap_or((option, ""));
        rest = after.trim_start();
        let (name, value) = option.split_once('=').ok_or_else(|| format!("`--{option}` needs a value"))?;
        match name {
            "interval" => health.interval = span(name, value)?,
            "timeout" => health.timeout = span(name, value)?,
            "start-period" => health.start_period = span(name, value)?,
            "start-interval" => health.start_interval = span(name, value)?,
            "retries" => {
                let number: u32 =
                    value.parse().map_err(|_| format!("`--retries={value}` is no number from 0"))?;
                health.retries = number.into();
            }
            _ => return Err(format!("unknown option `--{name}`")),
        }
    }
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    match kind.to_ascii_uppercase().as_str() {
        "NONE" if command.trim().is_empty() && health == Healthcheck::default() => {
            health.test = vec!["NONE".to_owned()];
        }
        "NONE" => return Err("NONE takes neither options nor arguments".to_owned()),
        "CMD" => {
            health.test = match words::json(command) {
                Some(words) if !words.is_empty() => ["CMD".to_owned()].into_iter().chain(words).collect(),
                None if !command.trim().is_empty() => vec!["CMD-SHELL".to_owned(), command.trim().to_owned()],
                _ => return Err("CMD needs a command".to_owned()),
            };
        }
        _ => return Err(format!("`{kind}` is neither NONE nor CMD")),
    }
    Ok(health)
}

fn span(name: &str, text: &str) -> Result<i64, Reason> {
    let wrong = || format!("`--{name}={text}` is no span of time such as 30s or 1m30s");
    let span: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    let span = Duration::try_from(span).map_err(|_| wrong())?;
    if !span.is_zero() && span < SHORTEST {
        return Err(format!("`--{name}={text}` is shorter than 1ms"));
    }
    i64::try_from(span.as_nanos()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads() {
        let check = |text: &str, test: &[&str], interval: i64, retries: i64| {
            let health = parse(text).unwrap();
            assert_eq!(health.test, test, "{text}");
            assert_eq!((health.interval, health.retries), (interval, retries), "{text}");
        };
        check("NONE", &["NONE"], 0, 0);
        check("CMD curl -f http://x || exit 1", &["CMD-SHELL", "curl -f http://x || exit 1"], 0, 0);
        check(r#"CMD ["true", "x"]"#, &["CMD", "true", "x"], 0, 0);
        check("--interval=1m30s --retries=3 cmd true", &["CMD-SHELL", "true"], 90_000_000_000, 3);
        for bad in [
            "",
            "CMD",
            "CMD []",
            "RUN x",
            "--interval CMD x",
            "--interval=x CMD x",
            "--odd=1 CMD x",
            "--interval=1us CMD x",
            "--retries=-1 CMD x",
            "NONE x",
            "--retries=1 NONE",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
