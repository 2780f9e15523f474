//! One line of comma-separated fields, of which some may be in double quotes, as `--mount` has it.

use super::Parsed;

/// The fields of `line`; `""` within quotes is a quote.
pub fn fields(line: &str) -> Parsed<Vec<String>> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    if quoted {
        return Err("a double quote is not closed".to_owned());
    }
    fields.push(field);
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits() {
        let check = |line: &str, expected: &[&str]| assert_eq!(fields(line).unwrap(), expected, "{line:?}");
        check("a=b,c", &["a=b", "c"]);
        check(r#"a,"b,c",d"#, &["a", "b,c", "d"]);
        check(r#""say ""hi""""#, &[r#"say "hi""#]);
        check("a,,b", &["a", "", "b"]);
        check(r#"a"b"#, &[r#"a"b"#]);
        assert!(fields(r#""a,b"#).is_err());
    }
}
