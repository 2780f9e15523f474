//! Fields of the API as the command line knows them: what rossd says of `memory_bytes`, its user typed as `--memory`.

/// Fields whose names are not the flag's with underscores.
const FLAGS: &[(&str, &str)] = &[
    ("aliases", "--network-alias"),
    ("auto_remove", "--rm"),
    ("capability", "--cap-add or --cap-drop"),
    ("cmd", "COMMAND"),
    ("cpu_period_us", "--cpu-period"),
    ("cpu_quota_us", "--cpu-quota"),
    ("dns_servers", "--dns"),
    ("dns", "--dns-search or --dns-option"),
    ("domainname", "--domainname"),
    ("extra_hosts", "--add-host"),
    ("hostname", "--hostname"),
    ("io_limits", "--device-read-bps, --device-write-bps, --device-read-iops or --device-write-iops"),
    ("ipv4_address", "--ip"),
    ("ipv6_address", "--ip6"),
    ("mac_address", "--mac-address"),
    ("memory_bytes", "--memory"),
    ("memory_reservation_bytes", "--memory-reservation"),
    ("memory_swap_bytes", "--memory-swap"),
    ("mounts", "--volume, --mount or --tmpfs"),
    ("mounts.source", "--volume or --mount"),
    ("mounts.target", "--volume, --mount or --tmpfs"),
    ("nano_cpus", "--cpus"),
    ("network.dns_servers", "--dns"),
    ("network.ipv4_address", "--ip"),
    ("network.ipv6_address", "--ip6"),
    ("network.mac_address", "--mac-address"),
    ("network.ports.container_port", "--publish"),
    ("network.ports.host_ip", "--publish"),
    ("network.ports.host_port", "--publish"),
    ("new_name", "NAME"),
    ("ports", "--publish"),
    ("resources.blkio_weight", "--blkio-weight"),
    ("seccomp_profile", "--security-opt seccomp"),
    ("sysctls", "--sysctl"),
    ("ulimits", "--ulimit"),
    ("working_dir", "--workdir"),
];

/// Fields whose flag has the field's name.
const SAME: &[&str] = &[
    "blkio_weight",
    "cgroup_parent",
    "cpu_shares",
    "cpuset_cpus",
    "cpuset_mems",
    "env",
    "oom_score_adj",
    "pids_limit",
    "platform",
    "user",
    "volumes_from",
];

/// What was typed for `field`; none for what is no field, or has no flag.
pub fn flag_of(field: &str) -> Option<String> {
    if SAME.contains(&field) {
        return Some(format!("--{}", field.replace('_', "-")));
    }
    FLAGS.iter().find(|(name, _)| *name == field).map(|(_, flag)| (*flag).to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Every flag of the tables is one that `run` or `exec` has.
    #[test]
    fn flags_exist() {
        let root = crate::args::Cli::command();
        let known: Vec<&str> = ["run", "exec"]
            .iter()
            .flat_map(|name| root.find_subcommand(name).unwrap().get_arguments())
            .filter_map(clap::Arg::get_long)
            .collect();
        let fields = FLAGS.iter().map(|(field, _)| *field).chain(SAME.iter().copied());
        for field in fields {
            let flag = flag_of(field).unwrap();
            for word in flag.split([' ', ',']).filter_map(|word| word.strip_prefix("--")) {
                assert!(known.contains(&word), "{field}: --{word}");
            }
        }
        assert_eq!(flag_of("web"), None);
    }
}
