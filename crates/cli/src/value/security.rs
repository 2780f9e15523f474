//! `--security-opt`: what may be typed, in docker's words.

use super::Parsed;

/// One option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityOption {
    /// `no-new-privileges[=true|false]`
    NoNewPrivileges(bool),
    /// `seccomp=unconfined`
    SeccompUnconfined,
    /// `seccomp=builtin`: the default profile.
    SeccompDefault,
    /// `seccomp=FILE`: a profile as JSON, still to be read.
    SeccompFile(String),
    /// `apparmor=PROFILE`
    AppArmor(String),
    /// `label=…`
    SelinuxLabel(String),
    /// `systempaths=unconfined`
    UnmaskSystemPaths,
}

/// The option `text` stands for; `:` may stand for `=`.
pub fn parse(text: &str) -> Parsed<SecurityOption> {
    let (key, value) = match text.find(['=', ':']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    match (key, value) {
        ("no-new-privileges", None | Some("true")) => Ok(SecurityOption::NoNewPrivileges(true)),
        ("no-new-privileges", Some("false")) => Ok(SecurityOption::NoNewPrivileges(false)),
        ("seccomp", Some("unconfined")) => Ok(SecurityOption::SeccompUnconfined),
        ("seccomp", Some("builtin")) => Ok(SecurityOption::SeccompDefault),
        ("seccomp", Some(path)) if !path.is_empty() => Ok(SecurityOption::SeccompFile(path.to_owned())),
        ("apparmor", Some(profile)) if !profile.is_empty() => {
            Ok(SecurityOption::AppArmor(profile.to_owned()))
        }
        ("label", Some(label)) if !label.is_empty() => Ok(SecurityOption::SelinuxLabel(label.to_owned())),
        ("systempaths", Some("unconfined")) => Ok(SecurityOption::UnmaskSystemPaths),
        _ => {
            Err("expected no-new-privileges, seccomp=FILE|unconfined|builtin, apparmor=PROFILE, label=…, or \
                  systempaths=unconfined"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        let check = |text: &str, expected: SecurityOption| assert_eq!(parse(text), Ok(expected), "{text:?}");
        check("no-new-privileges", SecurityOption::NoNewPrivileges(true));
        check("no-new-privileges:true", SecurityOption::NoNewPrivileges(true));
        check("no-new-privileges=false", SecurityOption::NoNewPrivileges(false));
        check("seccomp=unconfined", SecurityOption::SeccompUnconfined);
        check("seccomp:unconfined", SecurityOption::SeccompUnconfined);
        check("seccomp=/a/b.json", SecurityOption::SeccompFile("/a/b.json".to_owned()));
        check("apparmor=unconfined", SecurityOption::AppArmor("unconfined".to_owned()));
        check("label=type:svirt_t", SecurityOption::SelinuxLabel("type:svirt_t".to_owned()));
        check("label:disable", SecurityOption::SelinuxLabel("disable".to_owned()));
        check("systempaths=unconfined", SecurityOption::UnmaskSystemPaths);
        for bad in
            ["", "seccomp", "seccomp=", "apparmor", "no-new-privileges=maybe", "systempaths=x", "foo=bar"]
        {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
