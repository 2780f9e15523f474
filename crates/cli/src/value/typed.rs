//! A value as it was typed: what it means, or what is wrong with it.

/// What is wrong with a value, as the end of a sentence.
pub type Parsed<T> = Result<T, String>;

/// A flag whose value makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid value `{value}` for {flag}: {reason}")]
pub struct BadValue {
    flag: String,
    value: String,
    reason: String,
}

impl BadValue {
    /// A complaint about `value` of `flag`.
    pub fn new(flag: &str, value: &str, reason: impl Into<String>) -> Self {
        Self { flag: flag.to_owned(), value: value.to_owned(), reason: reason.into() }
    }
}

/// The meaning of `value`, typed after `flag`.
pub fn flag<T>(flag: &str, value: &str, parse: impl Fn(&str) -> Parsed<T>) -> Result<T, BadValue> {
    parse(value).map_err(|reason| BadValue::new(flag, value, reason))
}

/// The meaning of an optional flag; the type's default when it was not typed.
pub fn optional<T: Default>(
    name: &str,
    value: Option<&str>,
    parse: impl Fn(&str) -> Parsed<T>,
) -> Result<T, BadValue> {
    value.map_or_else(|| Ok(T::default()), |value| flag(name, value, parse))
}

/// The meanings of a flag that may be typed several times.
pub fn each<T>(name: &str, values: &[String], parse: impl Fn(&str) -> Parsed<T>) -> Result<Vec<T>, BadValue> {
    values.iter().map(|value| flag(name, value, &parse)).collect()
}
