//! `KEY=VALUE`, names with addresses, filters.

use std::collections::HashMap;
use std::net::IpAddr;

use ross_api::v1::Filter;

use super::{BadValue, Parsed};

/// `KEY=VALUE`; the value may be empty, the key not.
pub fn required(text: &str) -> Parsed<(String, String)> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// `KEY[=VALUE]`: a key alone has an empty value.
pub fn label(text: &str) -> Parsed<(String, String)> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() {
        return Err("expected KEY or KEY=VALUE".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// The pairs of a flag as a map; a later one replaces an earlier one.
pub fn map(
    flag: &str,
    values: &[String],
    parse: impl Fn(&str) -> Parsed<(String, String)>,
) -> Result<HashMap<String, String>, BadValue> {
    Ok(super::each(flag, values, parse)?.into_iter().collect())
}

/// `NAME:ADDRESS` or `NAME=ADDRESS`, brought to the first form.
pub fn host(text: &str) -> Parsed<String> {
    let at = text.find([':', '=']).ok_or("expected NAME:ADDRESS")?;
    let (name, address) = (&text[..at], &text[at + 1..]);
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err("expected NAME:ADDRESS".to_owned());
    }
    if address == "host-gateway" {
        return Ok(format!("{name}:{address}"));
    }
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    match bare.parse::<IpAddr>() {
        Ok(address) => Ok(format!("{name}:{address}")),
        Err(_) => Err(format!("`{address}` is neither an IP address nor host-gateway")),
    }
}

/// An IP address.
pub fn address(text: &str) -> Parsed<String> {
    text.parse::<IpAddr>().map(|ip| ip.to_string()).map_err(|_| "it is no IP address".to_owned())
}

/// `--filter KEY=VALUE`, several values of a key brought together in the order typed.
pub fn filters(values: &[String]) -> Result<Vec<Filter>, BadValue> {
    let mut filters: Vec<Filter> = Vec::new();
    for (key, value) in super::each("--filter", values, required)? {
        match filters.iter_mut().find(|filter| filter.key == key) {
            Some(filter) => filter.values.push(value),
            None => filters.push(Filter { key, values: vec![value] }),
        }
    }
    Ok(filters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        assert_eq!(required("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(required("a="), Ok(("a".to_owned(), String::new())));
        assert!(required("a").is_err());
        assert!(required("=b").is_err());
        assert_eq!(label("a"), Ok(("a".to_owned(), String::new())));
        assert!(label("=x").is_err());
    }

    #[test]
    fn hosts() {
        let check =
            |text: &str, expected: Option<&str>| assert_eq!(host(text).ok().as_deref(), expected, "{text:?}");
        check("db:10.0.0.1", Some("db:10.0.0.1"));
        check("db=10.0.0.1", Some("db:10.0.0.1"));
        check("db:::1", Some("db:::1"));
        check("db:[::1]", Some("db:::1"));
        check("db:host-gateway", Some("db:host-gateway"));
        for bad in ["db", "db:", ":10.0.0.1", "db:10.0.0", "d b:10.0.0.1", "db:example.org"] {
            check(bad, None);
        }
    }

    #[test]
    fn filters_of_one_key_are_alternatives() {
        let typed = ["status=running", "label=a=b", "status=paused"].map(str::to_owned);
        let filters = filters(&typed).unwrap();
        assert_eq!(filters.len(), 2);
        assert_eq!(filters[0].values, ["running", "paused"]);
        assert_eq!((filters[1].key.as_str(), filters[1].values[0].as_str()), ("label", "a=b"));
        assert!(super::filters(&["running".to_owned()]).is_err());
    }
}
