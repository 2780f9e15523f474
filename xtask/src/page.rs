//! Pages of docs/ with parts that a command makes: what lies between `<!-- NAME -->` and `<!-- end NAME -->`.

use std::fs;

use anyhow::{Context, Result};

use crate::workspace;

/// Puts `text` between the two markers of `docs/PAGE`.
pub fn write(page: &str, begin: &str, end: &str, text: &str) -> Result<()> {
    let path = workspace().join("docs").join(page);
    let whole = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let (begin, end) = (format!("<!-- {begin} -->\n"), format!("<!-- {end} -->"));
    let start =
        whole.find(&begin).with_context(|| format!("docs/{page} has no `{}`", begin.trim()))? + begin.len();
    let stop = whole.find(&end).with_context(|| format!("docs/{page} has no `{end}`"))?;
    fs::write(&path, format!("{}\n{text}\n{}", &whole[..start], &whole[stop..]))
        .with_context(|| format!("write {}", path.display()))
}
