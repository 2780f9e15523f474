//! Environment variables from flags and files.

use super::Parsed;

/// Looks a variable of this process up.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// One `--env`: `KEY=VALUE` as it stands; `KEY` with the value it has here, or alone, which unsets the image's.
pub fn flag(text: &str, lookup: Lookup<'_>) -> Parsed<String> {
    let key = text.split_once('=').map_or(text, |(key, _)| key);
    if key.is_empty() {
        return Err("the name of the variable is missing".to_owned());
    }
    if text.contains('\0') {
        return Err("it contains a NUL byte".to_owned());
    }
    if text.contains('=') {
        return Ok(text.to_owned());
    }
    Ok(lookup(key).map_or_else(|| key.to_owned(), |value| format!("{key}={value}")))
}

/// The variables of an environment file: a line each; `#` starts a comment; `KEY` alone takes its value from
/// here, or is left out.
pub fn file(content: &str, lookup: Lookup<'_>) -> Parsed<Vec<String>> {
    let mut variables = Vec::new();
    let content = content.strip_prefix('\u{feff}').unwrap_or(content);
    for (index, line) in content.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').map_or((line, None), |(key, value)| (key, Some(value)));
        if key.is_empty() {
            return Err(format!("line {} has no name before its equals sign", index + 1));
        }
        if key.contains(char::is_whitespace) {
            return Err(format!("line {} has white space in the name `{key}`", index + 1));
        }
        match value {
            Some(value) => variables.push(format!("{key}={value}")),
            None => variables.extend(lookup(key).map(|value| format!("{key}={value}"))),
        }
    }
    Ok(variables)
}

/// One value per name, the last one, at the place of the first.
pub fn merge(variables: Vec<String>) -> Vec<String> {
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    let mut merged: Vec<String> = Vec::with_capacity(variables.len());
    for variable in variables {
        let key = name(&variable);
        match merged.iter_mut().find(|known| name(known) == key) {
            Some(known) => *known = variable,
            None => merged.push(variable),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(key: &str) -> Option<String> {
        (key == "HOME").then(|| "/root".to_owned())
    }

    #[test]
    fn flags() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(flag(text, &here).ok().as_deref(), expected, "{text:?}")
        };
        check("A=b", Some("A=b"));
        check("A=b=c", Some("A=b=c"));
        check("A=", Some("A="));
        check("HOME", Some("HOME=/root"));
        check("NOWHERE", Some("NOWHERE"));
        check("A= spaced ", Some("A= spaced "));
        check("=b", None);
        check("", None);
        check("A=\0", None);
    }

    #[test]
    fn files() {
        let text = "\u{feff}# comment\nA=1\n\n  B=two words # kept\nHOME\nNOWHERE\nC=\nD=\"quoted\"\r\n";
        let expected = ["A=1", "B=two words # kept", "HOME=/root", "C=", "D=\"quoted\""];
        assert_eq!(file(text, &here).unwrap(), expected);
        assert!(file("A B=1", &here).unwrap_err().contains("line 1"));
        assert!(file("A=1\n=x", &here).unwrap_err().contains("line 2"));
        assert_eq!(file("", &here).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn later_values_win() {
        let typed = ["A=1", "B=2", "A=3", "C", "C=4"].map(str::to_owned).to_vec();
        assert_eq!(merge(typed), ["A=3", "B=2", "C=4"]);
    }
}
