//! What every source file keeps: a `//!` that says its purpose, a size a reader does not fear, no unsafe outside
//! ross-sys, no leftovers.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace;

/// Lines of code, comments and tests aside, at which a file must be split.
const MAX_CODE_LINES: usize = 600;
const UNSAFE_ROOM: &str = "crates/sys/";
const BANNED_NAMES: [&str; 4] = ["util", "common", "helpers", "misc"];
const ROOTS: [&str; 4] = ["crates", "rootfs-fixtures", "tests", "xtask"];

pub fn check() -> Result<Vec<String>> {
    let mut files = Vec::new();
    for root in ROOTS {
        collect(&workspace().join(root), &mut files)?;
    }
    files.sort();
    let mut complaints = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let name = path.strip_prefix(workspace()).unwrap_or(&path).to_string_lossy().into_owned();
        // This file names what it bans.
        if name != "xtask/src/tidy/sources.rs" {
            complaints.extend(file(&name, &text).into_iter().map(|what| format!("{name}: {what}")));
        }
    }
    Ok(complaints)
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// What is wrong with one file.
fn file(name: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut complain = |what: String| complaints.push(what);
    let path = Path::new(name);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    if !text.starts_with("//!") {
        complain("starts without `//!`: say what the module is for and what it must not do".into());
    }
    if BANNED_NAMES.contains(&stem.as_ref()) {
        complain(format!("`{stem}` names nothing; call the module after what it does"));
    }
    let code = code_lines(text);
    if code > MAX_CODE_LINES {
        complain(format!("{code} lines of code; split it below {MAX_CODE_LINES}"));
    }
    let is_root = path.ends_with("src/lib.rs") || path.ends_with("src/main.rs");
    if !name.starts_with(UNSAFE_ROOM) {
        if is_root && !text.contains("#![forbid(unsafe_code)]") {
            complain("a crate root outside ross-sys says `#![forbid(unsafe_code)]`".into());
        }
        if text
            .lines()
            .map(str::trim_start)
            .any(|line| line.starts_with("unsafe ") || line.contains("= unsafe {"))
        {
            complain("unsafe outside ross-sys".into());
        }
    }
    let is_door = name.starts_with("crates/") && (path.ends_with("src/lib.rs") || stem == "mod");
    if let Some(line) = text.lines().find(|line| is_door && defines(line)) {
        complain(format!("lib.rs and mod.rs only re-export; move `{line}` into a module of its own"));
    }
    for banned in ["todo!(", "unimplemented!(", "TODO", "FIXME", "XXX:", "#[allow("] {
        if text.contains(banned) {
            complain(format!("`{banned}` is not left in the house"));
        }
    }
    complaints
}

/// Whether a line begins the definition of something at the top of a module.
fn defines(line: &str) -> bool {
    let visible =
        line.strip_prefix("pub").map_or(line, |rest| rest.split_once(' ').map_or("", |(_, rest)| rest));
    let words: Vec<&str> =
        visible.split([' ', '<']).filter(|word| !["async", "const"].contains(word)).collect();
    let kinds = ["fn", "struct", "enum", "trait", "impl", "static"];
    !line.starts_with(' ') && words.first().is_some_and(|word| kinds.contains(word))
}

/// Lines before the unit tests that are neither blank nor comment.
fn code_lines(text: &str) -> usize {
    let counts = |line: &&str| !line.is_empty() && !line.starts_with("//");
    text.lines().take_while(|line| *line != "#[cfg(test)]").map(str::trim).filter(counts).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints() {
        let check = |name: &str, text: &str, expected: usize| {
            let found = file(name, text);
            assert_eq!(found.len(), expected, "{name}: {found:?}");
        };
        check("crates/x/src/a.rs", "//! A.\nfn a() {}\n", 0);
        check("crates/x/src/a.rs", "fn a() {}\n", 1);
        check("crates/x/src/util.rs", "//! A.\n", 1);
        check("crates/x/src/lib.rs", "//! A.\nmod a;\n", 1);
        check("crates/x/src/lib.rs", "//! A.\n#![forbid(unsafe_code)]\npub fn a() {}\n", 1);
        for line in ["pub(crate) async fn a() {}", "impl<T> A for T {}", "pub struct A;", "enum A {}"] {
            check("crates/x/src/a/mod.rs", &format!("//! A.\n{line}\n"), 1);
        }
        check("crates/x/src/a/mod.rs", "//! A.\nmod b;\npub(crate) use b::c;\n", 0);
        check("crates/sys/src/lib.rs", "//! A.\n", 0);
        check("crates/x/src/a.rs", "//! A.\nfn a() {\n    unsafe { b() }\n}\n", 1);
        check("crates/sys/src/a.rs", "//! A.\nfn a() {\n    unsafe { b() }\n}\n", 0);
        check("crates/x/src/a.rs", "//! A.\nfn a() { todo!() }\n", 1);
        check("crates/x/src/a.rs", &format!("//! A.\n{}", "a();\n".repeat(601)), 1);
        check("crates/x/src/a.rs", &format!("//! A.\n#[cfg(test)]\n{}", "a();\n".repeat(601)), 0);
    }
}
