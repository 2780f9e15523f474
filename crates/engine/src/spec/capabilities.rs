//! Which capabilities a container is given.

use ross_runtime::defaults::CAPABILITIES;
use ross_runtime::spec::KNOWN_CAPABILITIES;

use crate::error::{EngineError, Result};
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

/// All of them.
pub(super) fn all() -> Vec<String> {
    KNOWN_CAPABILITIES.iter().map(|&name| name.to_owned()).collect()
}

/// What the container is given, in the order of their numbers.
pub(super) fn granted(security: &SecurityOptions) -> Vec<String> {
    if security.privileged {
        return all();
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
    KNOWN_CAPABILITIES.iter().filter(|name| wanted(name)).map(|&name| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_and_dropping() {
        let check = |add: &str, drop: &str, expected: &str| {
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let security =
                SecurityOptions { cap_add: words(add), cap_drop: words(drop), ..SecurityOptions::default() };
            let expected: Vec<String> = words(expected).into_iter().map(|name| full_name(&name)).collect();
            assert_eq!(granted(&security), expected, "+{add} -{drop}");
        };
        let default =
            "CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE SYS_CHROOT SETFCAP";
        check("", "", default);
        check("chown", "", default);
        check("", "ALL", "");
        check("NET_RAW", "all", "NET_RAW");
        check("CAP_NET_ADMIN", "ALL", "NET_ADMIN");
        check("", "CHOWN SETFCAP", &default.replace("CHOWN ", "").replace(" SETFCAP", ""));
        let most = all().join(" ").replace("CAP_SYS_ADMIN ", "");
        check("ALL", "SYS_ADMIN", &most);
        let privileged = SecurityOptions { privileged: true, ..SecurityOptions::default() };
        assert_eq!(granted(&privileged).len(), 41);
        assert!(check_capability("net_raw").is_ok() && check_capability("ALL").is_ok());
        assert!(check_capability("NOPE").is_err() && check_capability("").is_err());
    }
}
