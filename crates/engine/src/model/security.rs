//! What a container may do.

use serde::{Deserialize, Serialize};

/// Which system calls it may make.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeccompProfile {
    /// The built-in profile for its capabilities.
    #[default]
    Default,
    /// All of them.
    Unconfined,
    /// A profile in the runtime specification's JSON form.
    Json(String),
}

impl From<&str> for SeccompProfile {
    fn from(text: &str) -> Self {
        match text {
            "" | "default" | "builtin" => Self::Default,
            "unconfined" => Self::Unconfined,
            json => Self::Json(json.to_owned()),
        }
    }
}

impl SeccompProfile {
    /// As it is typed: empty, `unconfined`, or the JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Default => "",
            Self::Unconfined => "unconfined",
            Self::Json(text) => text,
        }
    }
}

/// What a container may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecurityOptions {
    /// Everything.
    pub privileged: bool,
    /// Its root cannot be written.
    pub read_only_rootfs: bool,
    /// Set-user-ID and file capabilities have no effect.
    pub no_new_privileges: bool,
    /// With or without `CAP_`, or `ALL`.
    pub cap_add: Vec<String>,
    /// With or without `CAP_`, or `ALL`.
    pub cap_drop: Vec<String>,
    /// Which system calls.
    pub seccomp: SeccompProfile,
    /// Name of a loaded profile.
    pub apparmor_profile: String,
    /// `user:…`, `role:…`, `type:…`, `level:…`, `disable`.
    pub selinux_labels: Vec<String>,
    /// Mask nothing below /proc and /sys.
    pub unmask_system_paths: bool,
}
