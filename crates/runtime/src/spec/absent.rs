//! The rule of all structs of the configuration: absent, `null` and default mean the same, and what means
//! nothing is not written.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// Whether a value says nothing, so that it is left out of the file.
pub(super) trait Absent {
    fn is_absent(&self) -> bool;
}

impl<T> Absent for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T> Absent for Vec<T> {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl<K, V> Absent for BTreeMap<K, V> {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl Absent for String {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl Absent for bool {
    fn is_absent(&self) -> bool {
        !self
    }
}

/// Plain numbers and nested structs are always written: zero is a user id like any other.
macro_rules! always_written {
    ($($type:ty),* $(,)?) => {
        $(impl $crate::spec::absent::Absent for $type {
            fn is_absent(&self) -> bool {
                false
            }
        })*
    };
}

always_written!(u16, u32, u64, i32, i64);

/// Go programs write `null` for a nil slice or map: it reads as the default.
pub(super) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Defines structs of the configuration by the rule of this module.
macro_rules! config {
    ($(
        $(#[$struct_meta:meta])*
        pub struct $name:ident {
            $($(#[$meta:meta])* pub $field:ident: $type:ty,)*
        }
    )*) => {
        $(
            $(#[$struct_meta])*
            #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
            #[serde(default, rename_all = "camelCase")]
            pub struct $name {
                $(
                    $(#[$meta])*
                    #[serde(
                        skip_serializing_if = "super::absent::Absent::is_absent",
                        deserialize_with = "super::absent::nullable"
                    )]
                    pub $field: $type,
                )*
            }
            always_written!($name);
        )*
    };
}
