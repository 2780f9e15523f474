//! Words of an instruction: quotes, escapes, variables, JSON lists.

use std::fmt::Write as _;

/// Why words cannot be read.
pub(super) type Reason = String;

/// The variables that may be named in a word.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A list in JSON form, `["a", "b"]`; none when the text is no such list.
pub(super) fn json(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    if text.starts_with('[') { serde_json::from_str(text).ok() } else { None }
}

/// Splits at blanks outside of quotes; quotes, escapes and variables stay as they are.
pub(super) fn split(text: &str) -> Result<Vec<String>, Reason> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match (char, quote) {
            ('\\', Some('"') | None) => {
                word.push(char);
                word.extend(chars.next());
            }
            ('\'' | '"', None) => {
                quote = Some(char);
                word.push(char);
            }
            (char, Some(open)) if char == open => {
                quote = None;
                word.push(char);
            }
            (char, None) if char.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (char, _) => word.push(char),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

/// A word without its quotes and escapes, with its variables filled in.
pub(super) fn expand(word: &str, lookup: Lookup<'_>) -> Result<String, Reason> {
    let mut text = String::new();
    let mut chars = word.chars().peekable();
    let mut double = false;
    while let Some(char) = chars.next() {
        match char {
            '\'' if !double => loop {
                match chars.next() {
                    Some('\'') => break,
                    Some(char) => text.push(char),
                    None => return Err("a quote is not closed".to_owned()),
                }
            },
            '"' => double = !double,
            '\\' => match chars.next() {
                // In double quotes a backslash speaks for these only.
                Some(char) if double && !matches!(char, '"' | '\\' | '$') => {
                    text.push('\\');
                    text.push(char);
                }
                Some(char) => text.push(char),
                None => text.push('\\'),
            },
            '$' => variable(&mut chars, lookup, &mut text)?,
            char => text.push(char),
        }
    }
    if double { Err("a quote is not closed".to_owned()) } else { Ok(text) }
}

fn is_name(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_'
}

/// `NAME`, `{NAME}`, `{NAME:-word}`, `{NAME:+word}`, after the dollar sign.
fn variable(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    lookup: Lookup<'_>,
    text: &mut String,
) -> Result<(), Reason> {
    if chars.next_if_eq(&'{').is_none() {
        let mut name = String::new();
        while let Some(char) = chars.next_if(|char| is_name(*char)) {
            name.push(char);
        }
        if name.is_empty() {
            text.push('$');
        } else {
            text.push_str(&lookup(&name).unwrap_or_default());
        }
        return Ok(());
    }
    let mut body = String::new();
    let mut depth = 1;
    loop {
        match chars.next() {
            None => return Err("`${` is not closed".to_owned()),
            Some('}') if depth == 1 => break,
            Some(char) => {
                depth += i32::from(char == '{') - i32::from(char == '}');
                body.push(char);
            }
        }
    }
    let end = body.find(|char| !is_name(char)).unwrap_or(body.len());
    let (name, rest) = body.split_at(end);
    let value = lookup(name).filter(|value| !value.is_empty());
    if name.is_empty() {
        return Err(format!("`${{{body}}}` names no variable"));
    }
    let filled = match (rest.get(..2), rest.get(2..)) {
        (None, _) if rest.is_empty() => value.unwrap_or_default(),
        (Some(":-"), Some(word)) => match value {
            Some(value) => value,
            None => expand(word, lookup)?,
        },
        (Some(":+"), Some(word)) => match value {
            Some(_) => expand(word, lookup)?,
            None => String::new(),
        },
        _ => return Err(format!("`${{{body}}}`: expected `:-` or `:+` after the name")),
    };
    let _ = write!(text, "{filled}");
    Ok(())
}

/// Pairs of ENV and LABEL: `key=value …`, or the old `key value`.
pub(super) fn pairs(text: &str, lookup: Lookup<'_>) -> Result<Vec<(String, String)>, Reason> {
    let words = split(text)?;
    let first = words.first().ok_or("it needs at least one pair, KEY=VALUE")?;
    if !first.contains('=') {
        let (key, value) = text.trim().split_once(char::is_whitespace).ok_or("expected KEY=VALUE")?;
        return Ok(vec![(expand(key, lookup)?, expand(value.trim(), lookup)?)]);
    }
    words
        .iter()
        .map(|word| {
            let (key, value) = word.split_once('=').ok_or_else(|| format!("`{word}` is not KEY=VALUE"))?;
            let key = expand(key, lookup)?;
            if key.is_empty() {
                return Err("a name is empty".to_owned());
            }
            Ok((key, expand(value, lookup)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "HOME" => Some("/root".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn expands() {
        let check = |word: &str, expected: Result<&str, &str>| match (expand(word, &lookup), expected) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected, "{word}"),
            (Err(reason), Err(part)) => assert!(reason.contains(part), "{word}: {reason}"),
            (found, _) => panic!("{word}: {found:?}"),
        };
        check("plain", Ok("plain"));
        check("$HOME/x", Ok("/root/x"));
        check("${HOME}x", Ok("/rootx"));
        check("'$HOME'", Ok("$HOME"));
        check("\"$HOME b\"", Ok("/root b"));
        check(r"\$HOME", Ok("$HOME"));
        check(r#""a\"b\n""#, Ok(r#"a"b\n"#));
        check(r"a\ b", Ok("a b"));
        check("$NONE|$", Ok("|$"));
        check("${NONE:-d$HOME}", Ok("d/root"));
        check("${EMPTY:-d}", Ok("d"));
        check("${HOME:+set}", Ok("set"));
        check("${NONE:+set}", Ok(""));
        check("${NONE:-{}}", Ok("{}"));
        check("'open", Err("not closed"));
        check("\"open", Err("not closed"));
        check("${HOME", Err("not closed"));
        check("${HOME?x}", Err("expected `:-`"));
        check("${}", Err("names no variable"));
    }

    #[test]
    fn reads_pairs() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let found = pairs(text, &lookup).unwrap();
            let found: Vec<(&str, &str)> = found.iter().map(|(key, value)| (&**key, &**value)).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("A=1", &[("A", "1")]);
        check(
            "A=1 B=\"two words\" C='$HOME' D=$HOME",
            &[("A", "1"), ("B", "two words"), ("C", "$HOME"), ("D", "/root")],
        );
        check("A one two", &[("A", "one two")]);
        check("A=", &[("A", "")]);
        check("\"my key\"=v", &[("my key", "v")]);
        for bad in ["", "A", "A=1 B", "=1", "A='x"] {
            assert!(pairs(bad, &lookup).is_err(), "{bad}");
        }
    }

    #[test]
    fn lists() {
        assert_eq!(json(r#" ["a", "b c"] "#).unwrap(), ["a", "b c"]);
        assert_eq!(json("a b"), None);
        assert_eq!(json("[a"), None);
        assert_eq!(split("a  'b c' \"d e\"f").unwrap(), ["a", "'b c'", "\"d e\"f"]);
    }
}
