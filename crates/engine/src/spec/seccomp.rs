//! Docker's seccomp profiles: the specification's filter, with rules that hold only for some capabilities,
//! architectures or kernels (moby/profiles/seccomp). The runtime knows nothing of those: they are decided here.

use ross_runtime::defaults::default_seccomp;
use ross_runtime::spec::{Seccomp, SeccompArch, SyscallRule};
use serde::Deserialize;

use crate::error::{EngineError, Result};
use crate::model::{SeccompProfile, SecurityOptions};

/// This machine as profiles call it: Go's word for it, and libseccomp's.
#[cfg(target_arch = "x86_64")]
const NATIVE: (&str, SeccompArch) = ("amd64", SeccompArch::X8664);
#[cfg(target_arch = "aarch64")]
const NATIVE: (&str, SeccompArch) = ("arm64", SeccompArch::Aarch64);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const NATIVE: (&str, SeccompArch) = (std::env::consts::ARCH, SeccompArch::Native);

/// A profile as people write it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    #[serde(default)]
    arch_map: Option<Vec<Family>>,
    #[serde(default)]
    syscalls: Option<Vec<Rule>>,
    #[serde(flatten)]
    filter: Seccomp,
}

/// An architecture and those whose calls its kernels take, too.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Family {
    architecture: SeccompArch,
    #[serde(default)]
    sub_architectures: Option<Vec<SeccompArch>>,
}

/// A rule, and when it holds.
#[derive(Debug, Deserialize)]
struct Rule {
    /// The old way to name one call.
    #[serde(default)]
    name: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    includes: Option<Conditions>,
    #[serde(default)]
    excludes: Option<Conditions>,
    #[serde(flatten)]
    rule: Unnamed,
}

/// What a rule says of its calls.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unnamed {
    action: ross_runtime::spec::SeccompAction,
    #[serde(default)]
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Option<Vec<ross_runtime::spec::SyscallArg>>,
}

/// As an inclusion all of it must hold; as an exclusion none of it may.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Conditions {
    #[serde(default)]
    caps: Option<Vec<String>>,
    #[serde(default)]
    arches: Option<Vec<String>>,
    #[serde(default)]
    min_kernel: Option<KernelVersion>,
}

/// `major.minor`; what follows does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct KernelVersion(u32, u32);

impl TryFrom<String> for KernelVersion {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut numbers =
            text.splitn(3, '.').map(|part| part.split(|c: char| !c.is_ascii_digit()).next().unwrap_or(""));
        let mut next = || numbers.next().and_then(|digits| digits.parse().ok());
        match (next(), next()) {
            (Some(major), Some(minor)) => Ok(Self(major, minor)),
            _ => Err(format!("`{text}` is no version of a kernel")),
        }
    }
}

/// What rules are decided by.
#[derive(Debug)]
struct Surroundings<'a> {
    /// Full names.
    caps: &'a [String],
    arch: &'a str,
    kernel: KernelVersion,
}

impl Surroundings<'_> {
    fn has(&self, cap: &String) -> bool {
        self.caps.contains(cap)
    }

    /// Whether a rule holds here.
    fn hold(&self, rule: &Rule) -> bool {
        let here = |arches: &Vec<String>| arches.iter().any(|arch| arch == self.arch);
        let new_enough = |least: KernelVersion| self.kernel >= least;
        let included = rule.includes.as_ref().is_none_or(|all| {
            all.caps.iter().flatten().all(|cap| self.has(cap))
                && all.arches.as_ref().is_none_or(|arches| arches.is_empty() || here(arches))
                && all.min_kernel.is_none_or(new_enough)
        });
        let excluded = rule.excludes.as_ref().is_some_and(|any| {
            any.caps.iter().flatten().any(|cap| self.has(cap))
                || any.arches.as_ref().is_some_and(here)
                || any.min_kernel.is_some_and(new_enough)
        });
        included && !excluded
    }
}

/// The filter of a container that is given these capabilities.
pub(super) fn filter(security: &SecurityOptions, caps: &[String]) -> Result<Option<Seccomp>> {
    match &security.seccomp {
        SeccompProfile::Unconfined => Ok(None),
        SeccompProfile::Default if security.privileged => Ok(None),
        SeccompProfile::Default => Ok(Some(default_seccomp(caps))),
        SeccompProfile::Json(text) => {
            let release = rustix::system::uname().release().to_string_lossy().into_owned();
            let kernel =
                KernelVersion::try_from(release).map_err(|reason| EngineError::internal("kernel", reason))?;
            resolve(text, &Surroundings { caps, arch: NATIVE.0, kernel }).map(Some)
        }
    }
}

/// Whether a text is a profile; which of its rules hold is seen at each start.
pub(crate) fn check_profile(text: &str) -> Result<()> {
    resolve(text, &Surroundings { caps: &[], arch: NATIVE.0, kernel: KernelVersion(0, 0) }).map(drop)
}

fn resolve(text: &str, here: &Surroundings<'_>) -> Result<Seccomp> {
    let refuse = |reason: &str| EngineError::invalid("seccomp_profile", reason);
    let profile: Profile =
        serde_json::from_str(text).map_err(|error| refuse("it is no profile in JSON").caused_by(error))?;
    let mut filter = profile.filter;
    let families = profile.arch_map.unwrap_or_default();
    if !families.is_empty() {
        if !filter.architectures.is_empty() {
            return Err(refuse("it has both `architectures` and `archMap`: leave one of them out"));
        }
        if let Some(family) = families.into_iter().find(|family| family.architecture == NATIVE.1) {
            filter.architectures.push(family.architecture);
            filter.architectures.extend(family.sub_architectures.unwrap_or_default());
        }
    }
    for rule in profile.syscalls.unwrap_or_default() {
        let holds = here.hold(&rule);
        let mut names = rule.names.unwrap_or_default();
        if !rule.name.is_empty() {
            if !names.is_empty() {
                return Err(refuse("a rule has both `name` and `names`: leave one of them out"));
            }
            names.push(rule.name);
        }
        if holds {
            let Unnamed { action, errno_ret, args } = rule.rule;
            filter.syscalls.push(SyscallRule { names, action, errno_ret, args: args.unwrap_or_default() });
        }
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(rules: &str, caps: &[&str], kernel: (u32, u32)) -> Vec<String> {
        let text = format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{rules}]}}"#);
        let caps: Vec<String> = caps.iter().map(|&cap| cap.to_owned()).collect();
        let here = Surroundings { caps: &caps, arch: "amd64", kernel: KernelVersion(kernel.0, kernel.1) };
        resolve(&text, &here).unwrap().syscalls.into_iter().flat_map(|rule| rule.names).collect()
    }

    #[test]
    fn rules_hold_where_they_say() {
        let check = |conditions: &str, caps: &[&str], kernel, holds: bool| {
            let rule = format!(r#"{{"names": ["bpf"], "action": "SCMP_ACT_ALLOW", {conditions}}}"#);
            assert_eq!(!names(&rule, caps, kernel).is_empty(), holds, "{conditions} {caps:?} {kernel:?}");
        };
        check(r#""includes": {}, "excludes": {}"#, &[], (6, 1), true);
        check(r#""includes": null, "args": null"#, &[], (6, 1), true);
        check(r#""includes": {"caps": ["CAP_BPF"]}"#, &[], (6, 1), false);
        check(r#""includes": {"caps": ["CAP_BPF"]}"#, &["CAP_BPF"], (6, 1), true);
        check(r#""includes": {"caps": ["CAP_BPF", "CAP_SYSLOG"]}"#, &["CAP_BPF"], (6, 1), false);
        check(r#""excludes": {"caps": ["CAP_BPF", "CAP_SYSLOG"]}"#, &["CAP_BPF"], (6, 1), false);
        check(r#""excludes": {"caps": ["CAP_SYSLOG"]}"#, &["CAP_BPF"], (6, 1), true);
        check(r#""includes": {"arches": ["amd64", "x32"]}"#, &[], (6, 1), true);
        check(r#""includes": {"arches": ["s390x"]}"#, &[], (6, 1), false);
        check(r#""includes": {"arches": []}"#, &[], (6, 1), true);
        check(r#""excludes": {"arches": ["amd64"]}"#, &[], (6, 1), false);
        check(r#""excludes": {"arches": ["s390"]}"#, &[], (6, 1), true);
        check(r#""includes": {"minKernel": "4.8"}"#, &[], (6, 1), true);
        check(r#""includes": {"minKernel": "4.8"}"#, &[], (4, 7), false);
        check(r#""includes": {"minKernel": "4.8"}"#, &[], (4, 8), true);
        check(r#""includes": {"minKernel": "4.8"}"#, &[], (4, 10), true);
        check(r#""excludes": {"minKernel": "4.8"}"#, &[], (6, 1), false);
        check(r#""includes": {"caps": ["CAP_BPF"], "minKernel": "4.8"}"#, &["CAP_BPF"], (4, 7), false);
    }

    #[test]
    fn a_rule_keeps_what_it_says() {
        let text = r#"{
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "flags": ["SECCOMP_FILTER_FLAG_LOG"],
            "archMap": [
                {"architecture": "SCMP_ARCH_S390X", "subArchitectures": ["SCMP_ARCH_S390"]},
                {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
                {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": null}
            ],
            "syscalls": [{
                "name": "clone", "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "comment": "no namespaces",
                "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]
            }]
        }"#;
        let here = Surroundings { caps: &[], arch: NATIVE.0, kernel: KernelVersion(6, 1) };
        let filter = resolve(text, &here).unwrap();
        assert_eq!(filter.default_errno_ret, Some(38));
        assert_eq!(filter.flags.map(|flags| flags.len()), Some(1));
        if cfg!(target_arch = "x86_64") {
            use SeccompArch::{X32, X86, X8664};
            assert_eq!(filter.architectures, [X8664, X86, X32]);
        }
        let rule = &filter.syscalls[0];
        assert_eq!((rule.names[0].as_str(), rule.errno_ret, rule.args.len()), ("clone", Some(1), 1));
        assert_eq!(rule.args[0].value, 2_114_060_288);
    }

    #[test]
    fn profiles_that_make_no_sense_are_refused() {
        let check = |text: &str, said: &str| {
            let sentence = check_profile(text).unwrap_err().sentence();
            assert!(sentence.contains(said), "{sentence}");
        };
        check("[]", "no profile");
        check("{}", "defaultAction");
        check(r#"{"defaultAction": "SCMP_ACT_SHRUG"}"#, "SCMP_ACT_SHRUG");
        let with = |more: &str| format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", {more}}}"#);
        let both = r#""architectures": ["SCMP_ARCH_X86"], "archMap": [{"architecture": "SCMP_ARCH_X86"}]"#;
        check(&with(both), "archMap");
        let rule = r#""syscalls": [{"name": "a", "names": ["b"], "action": "SCMP_ACT_ALLOW"}]"#;
        check(&with(rule), "`name` and `names`");
        let kernel =
            r#""syscalls": [{"names": ["b"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "new"}}]"#;
        check(&with(kernel), "`new` is no version");
    }
}
