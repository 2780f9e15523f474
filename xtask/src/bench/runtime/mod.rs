//! `ross-runtime` against crun and runc, and against a bare floor that does the kernel's part alone.

mod bundle;
mod cost;
mod life;
mod many;
mod subject;

use anyhow::Result;

use super::sample::compare;
use super::{Place, report};
pub use bundle::Bundle;
pub use subject::Subject;

/// The name that ratios are to.
const BASE: &str = "ross-runtime";

pub fn measure(place: &Place) -> Result<String> {
    let subjects = subject::all(place);
    let samples = place.samples * 4;
    let bundles = Bundle::all(place)?;
    let mut text = format!("{samples} samples of one container, {} of a hundred.\n\n", many::ROUNDS);
    let mut add = |table: String| {
        text.push_str(&table);
        text.push('\n');
    };
    for bundle in &bundles {
        let mut contenders = life::floors(place, bundle);
        contenders.extend(subjects.iter().map(|subject| life::run(subject, bundle)));
        add(report::table(
            &format!("`run` of `true`, {}", bundle.title),
            &compare(contenders, samples),
            BASE,
        ));
    }
    let [plain, .., full] = &bundles[..] else { return Ok(text) };
    for bundle in [plain, full] {
        let contenders = subjects.iter().map(|subject| life::steps(subject, bundle)).collect();
        let title = format!("`create`, `start`, `delete --force` of `true`, {}", bundle.title);
        add(report::table(&title, &compare(contenders, samples), BASE));
    }
    let contenders = subjects.iter().map(|subject| life::exec(subject, full)).collect();
    add(report::table("`exec` of `true` in that container", &compare(contenders, samples), BASE));
    add(cost::table(place, &subjects, &bundles));
    // Emulation makes a hundred containers a matter of an hour.
    if std::env::var_os("ROSS_VM").is_none() {
        for (title, at_once) in [("one after another", 1), ("8 at a time", 8)] {
            let contenders = subjects.iter().map(|subject| many::contender(subject, full, at_once)).collect();
            let title = format!("{} times `run` of `true`, {title}, {}", many::CONTAINERS, full.title);
            add(report::table(&title, &compare(contenders, many::ROUNDS), BASE));
        }
    }
    Ok(text)
}
