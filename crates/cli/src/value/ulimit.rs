//! Resource limits of processes: `NAME=SOFT[:HARD]`.

use ross_api::v1::Ulimit;

use super::Parsed;

const NAMES: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// A limit; -1 and `unlimited` are no bound, and the hard limit is the soft one unless given.
pub fn parse(text: &str) -> Parsed<Ulimit> {
    let (name, limits) = text.split_once('=').ok_or("expected NAME=SOFT[:HARD]")?;
    if !NAMES.contains(&name) {
        return Err(format!("`{name}` is none of {}", NAMES.join(", ")));
    }
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let (soft, hard) = (limit(soft)?, limit(hard)?);
    if hard != -1 && (soft == -1 || soft > hard) {
        return Err("the soft limit is above the hard one".to_owned());
    }
    Ok(Ulimit { name: name.to_owned(), soft, hard })
}

fn limit(text: &str) -> Parsed<i64> {
    match text {
        "-1" | "unlimited" => Ok(-1),
        number => match number.parse::<i64>() {
            Ok(number) if number >= 0 => Ok(number),
            _ => Err(format!("`{text}` is neither a number nor unlimited")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let check = |text: &str, expected: Option<(i64, i64)>| {
            assert_eq!(parse(text).ok().map(|limit| (limit.soft, limit.hard)), expected, "{text:?}");
        };
        check("nofile=1024", Some((1024, 1024)));
        check("nofile=1024:2048", Some((1024, 2048)));
        check("core=-1", Some((-1, -1)));
        check("core=0:unlimited", Some((0, -1)));
        for bad in [
            "nofile",
            "nofile=",
            "files=1",
            "nofile=2:1",
            "nofile=-2",
            "nofile=-1:5",
            "NOFILE=1",
            "core=1:2:3",
        ] {
            check(bad, None);
        }
    }
}
