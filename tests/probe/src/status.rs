//! Fields of /proc/self/status and /proc/self/stat. Source: proc_pid_status(5), proc_pid_stat(5).

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

/// Names of the capabilities by number. Source: linux/capability.h.
const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// /proc/self/status by field; empty where there is no procfs.
#[derive(Debug)]
pub struct Status(BTreeMap<String, String>);

impl Status {
    pub fn read() -> Self {
        let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field =
            |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Self(text.lines().filter_map(field).collect())
    }

    pub fn text(&self, name: &str) -> Value {
        self.0.get(name).map_or(Value::Null, |text| text.as_str().into())
    }

    /// The numbers of a field, in this base.
    pub fn numbers(&self, name: &str, base: u32) -> Vec<u64> {
        let text = self.0.get(name).map(String::as_str).unwrap_or_default();
        text.split_ascii_whitespace().filter_map(|word| u64::from_str_radix(word, base).ok()).collect()
    }

    pub fn number(&self, name: &str, base: u32) -> Value {
        self.numbers(name, base).first().copied().map_or(Value::Null, Value::from)
    }

    /// The names of a set of capabilities.
    pub fn capabilities(&self, name: &str) -> Value {
        let bits = self.numbers(name, 16).first().copied().unwrap_or(0);
        let names = CAPABILITIES.iter().enumerate().filter(|(number, _)| bits >> number & 1 == 1);
        names.map(|(_, name)| *name).collect()
    }
}

/// Field `number` of /proc/self/stat, counted from 1 as in the manual, at least 3.
pub fn stat(number: usize) -> Value {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    let field = fields.split_ascii_whitespace().nth(number - 3).and_then(|text| text.parse::<i64>().ok());
    field.map_or(Value::Null, Value::from)
}
