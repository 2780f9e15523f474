//! Restart policies.

use ross_api::v1::RestartPolicy;

use super::Parsed;

/// `no`, `always`, `unless-stopped`, `on-failure[:MAX]`.
pub fn parse(text: &str) -> Parsed<Option<RestartPolicy>> {
    let (name, count) = text.split_once(':').map_or((text, None), |(name, count)| (name, Some(count)));
    if !matches!(name, "no" | "always" | "unless-stopped" | "on-failure") {
        return Err("expected no, always, unless-stopped or on-failure[:MAX]".to_owned());
    }
    let max_retries = match count {
        None => 0,
        Some(count) if name == "on-failure" => {
            count.parse().map_err(|_| format!("`{count}` is no number of tries"))?
        }
        Some(_) => return Err("only on-failure takes a number of tries".to_owned()),
    };
    Ok(Some(RestartPolicy { name: name.to_owned(), max_retries }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        let check = |text: &str, expected: Option<(&str, u32)>| {
            let policy = parse(text).ok().flatten();
            assert_eq!(policy.as_ref().map(|p| (p.name.as_str(), p.max_retries)), expected, "{text:?}");
        };
        check("no", Some(("no", 0)));
        check("always", Some(("always", 0)));
        check("unless-stopped", Some(("unless-stopped", 0)));
        check("on-failure", Some(("on-failure", 0)));
        check("on-failure:3", Some(("on-failure", 3)));
        for bad in ["", "never", "always:3", "on-failure:", "on-failure:-1", "on-failure:x"] {
            check(bad, None);
        }
    }
}
