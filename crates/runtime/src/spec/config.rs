//! The top of the file: config.md of the specification.

use std::collections::BTreeMap;

use super::{IdMapping, Linux, Process};

config! {
    /// One container: everything `config.json` says.
    pub struct Spec {
        /// Version of the specification the file follows, such as `1.2.0`; any 1.x is accepted.
        pub oci_version: String,
        /// The program; needed by start, not by create.
        pub process: Option<Process>,
        /// The root file system.
        pub root: Option<Root>,
        /// Host name, set in a UTS namespace of its own.
        pub hostname: String,
        /// NIS domain name, set in a UTS namespace of its own.
        pub domainname: String,
        /// Mounts besides the root, in order.
        pub mounts: Vec<Mount>,
        /// Programs run at points of the life of the container.
        pub hooks: Option<Hooks>,
        /// Arbitrary metadata.
        pub annotations: BTreeMap<String, String>,
        /// What is particular to Linux.
        pub linux: Option<Linux>,
    }

    /// The root file system.
    pub struct Root {
        /// Its directory, absolute or relative to the bundle.
        pub path: String,
        /// Whether it becomes read-only inside.
        pub readonly: bool,
    }

    /// One mount.
    pub struct Mount {
        /// Where, in the container; a relative one is taken from `/`.
        pub destination: String,
        /// File system type; ignored for bind mounts, which the options `bind` and `rbind` make.
        #[serde(rename = "type")]
        pub kind: Option<String>,
        /// Device name, or the file of a bind mount, relative to the bundle.
        pub source: Option<String>,
        /// Options of mount(8), see `plan` for those understood; the rest go to the file system.
        pub options: Vec<String>,
        /// User id mappings of an idmapped mount.
        pub uid_mappings: Vec<IdMapping>,
        /// Group id mappings of an idmapped mount.
        pub gid_mappings: Vec<IdMapping>,
    }

    /// Programs run at points of the life of the container, each list in order.
    pub struct Hooks {
        /// After create made the namespaces, before pivot_root, in the runtime namespaces (deprecated).
        pub prestart: Vec<Hook>,
        /// As `prestart`, after it.
        pub create_runtime: Vec<Hook>,
        /// Before pivot_root, in the container namespaces.
        pub create_container: Vec<Hook>,
        /// Just before the program is started, in the container.
        pub start_container: Vec<Hook>,
        /// After the program was started, in the runtime namespaces.
        pub poststart: Vec<Hook>,
        /// After the container was deleted, in the runtime namespaces.
        pub poststop: Vec<Hook>,
    }

    /// One hook: a program that gets the container state as JSON on its standard input.
    pub struct Hook {
        /// Absolute path of the program.
        pub path: String,
        /// Its arguments, `argv[0]` included; the path alone when empty.
        pub args: Vec<String>,
        /// Its whole environment.
        pub env: Vec<String>,
        /// Seconds after which it is killed and has failed; more than zero.
        pub timeout: Option<i64>,
    }
}
