//! Which capabilities a container is given.
//!
//! Never one that is not in the daemon's own bounding set: where that is not full, "all" is what there is, and only
//! what is asked for by its name and missing is an error.

use ross_runtime::defaults::CAPABILITIES;
use ross_runtime::spec::KNOWN_CAPABILITIES;

use crate::error::{EngineError, Result};
use crate::host::Host;
use crate::model::SecurityOptions;

/// `ALL`, or a capability by its full name.
fn full_name(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    if upper == "ALL" || upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") }
}

/// Whether this names a capability, or all of them.
pub(crate) fn check_capability(name: &str) -> Result<()> {
    let full = full_name(name);
    if full == "ALL" || KNOWN_CAPABILITIES.contains(&full.as_str()) {
        return Ok(());
    }
    Err(EngineError::invalid("capability", format!("`{name}` is no capability of Linux")))
}

/// Whether the capabilities that are added by name are there to be given.
pub(crate) fn check_added(names: &[String], host: &Host) -> Result<()> {
    let names: Vec<String> = names.iter().map(|name| full_name(name)).collect();
    let missing = KNOWN_CAPABILITIES
        .iter()
        .enumerate()
        .find(|(number, known)| !host.has_capability(*number) && names.iter().any(|name| name == *known));
    match missing {
        Some((_, name)) => {
            let reason = format!("{name} is not available here: the daemon itself does not have it");
            Err(EngineError::invalid("capability", reason))
        }
        None => Ok(()),
    }
}

/// All that there are.
pub(super) fn all(host: &Host) -> Vec<String> {
    available(host).map(str::to_owned).collect()
}

fn available(host: &Host) -> impl Iterator<Item = &'static str> {
    KNOWN_CAPABILITIES
        .into_iter()
        .enumerate()
        .filter(|(number, _)| host.has_capability(*number))
        .map(|(_, name)| name)
}

/// What the container is given, in the order of their numbers.
pub(super) fn granted(security: &SecurityOptions, host: &Host) -> Result<Vec<String>> {
    check_added(&security.cap_add, host)?;
    // As with Docker, a privileged one has all, whatever is to be dropped.
    if security.privileged {
        return Ok(all(host));
    }
    let full = |names: &[String]| names.iter().map(|name| full_name(name)).collect::<Vec<_>>();
    let (add, drop) = (full(&security.cap_add), full(&security.cap_drop));
    let named = |names: &[String], name: &str| names.iter().any(|have| have == name);
    let (add_all, drop_all) = (named(&add, "ALL"), named(&drop, "ALL"));
    let wanted = |name: &str| match (add_all, drop_all) {
        (true, _) => !named(&drop, name),
        (false, true) => named(&add, name),
        (false, false) => named(&add, name) || CAPABILITIES.contains(&name) && !named(&drop, name),
    };
    Ok(available(host).filter(|name| wanted(name)).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn adding_and_dropping() {
        let full = Host::fake(&[]);
        let check = |add: &str, drop: &str, expected: &str| {
            let security =
                SecurityOptions { cap_add: words(add), cap_drop: words(drop), ..SecurityOptions::default() };
            let expected: Vec<String> = words(expected).into_iter().map(|name| full_name(&name)).collect();
            assert_eq!(granted(&security, &full).unwrap(), expected, "+{add} -{drop}");
        };
        let default =
            "CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE SYS_CHROOT SETFCAP";
        check("", "", default);
        check("chown", "", default);
        check("", "ALL", "");
        check("NET_RAW", "all", "NET_RAW");
        check("CAP_NET_ADMIN", "ALL", "NET_ADMIN");
        check("", "CHOWN SETFCAP", &default.replace("CHOWN ", "").replace(" SETFCAP", ""));
        let most = all(&full).join(" ").replace("CAP_SYS_ADMIN ", "");
        check("ALL", "SYS_ADMIN", &most);
        let privileged = SecurityOptions { privileged: true, ..SecurityOptions::default() };
        assert_eq!(granted(&privileged, &full).unwrap().len(), 41);
        assert!(check_capability("net_raw").is_ok() && check_capability("ALL").is_ok());
        assert!(check_capability("NOPE").is_err() && check_capability("").is_err());
    }

    #[test]
    fn what_the_daemon_has_not() {
        // CAP_SYS_RESOURCE is 24, CAP_CHOWN is 0.
        let check = |missing: u32, privileged, add: &str, expected: Result<usize, &str>| {
            let security = SecurityOptions { privileged, cap_add: words(add), ..SecurityOptions::default() };
            match (granted(&security, &Host::without_capability(missing)), expected) {
                (Ok(names), Ok(count)) => assert_eq!(names.len(), count, "{missing} +{add}"),
                (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
                (got, _) => panic!("{missing} +{add}: {got:?}"),
            }
        };
        check(24, true, "", Ok(40));
        check(24, false, "ALL", Ok(40));
        check(24, false, "", Ok(11));
        check(0, false, "", Ok(10));
        check(24, false, "NET_RAW", Ok(12));
        let refusal = Err("CAP_SYS_RESOURCE is not available here");
        check(24, false, "sys_resource", refusal);
        check(24, false, "ALL SYS_RESOURCE", refusal);
        check(24, true, "CAP_SYS_RESOURCE", refusal);
    }
}
