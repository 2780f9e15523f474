//! `system df`, and the commands that prune: each says what will go, and asks.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ross_api::v1::{DiskUsageRequest, Filter, PruneRequest, PruneResponse};

use super::{Context, Outcome};
use crate::args::{DfArgs, ImagePruneArgs, PruneArgs, SystemPruneArgs};
use crate::failure::Failure;
use crate::render::json_image;
use crate::render::units::decimal_size;
use crate::render::usage;
use crate::value::{BadValue, pair, time};

/// Bytes of an answer; a longer one is no yes.
const ANSWER_MAX: usize = 16;

/// `system df`
pub async fn df(args: DfArgs, context: &mut Context) -> Outcome {
    // Programs get each object: an empty list would say that there is none.
    let request = DiskUsageRequest { verbose: args.verbose || context.json() };
    let answer = context.daemon().await?.ross().disk_usage(request).await?.into_inner();
    if context.json() {
        context.print_json(&json_image::disk_usage(&answer))?;
    } else if args.verbose {
        context.streams.stdout.write(usage::objects(&answer, Timestamp::now()))?;
    } else {
        context.streams.stdout.write(usage::sums(&answer))?;
    }
    Ok(0)
}

/// `system prune`
pub async fn system(args: SystemPruneArgs, context: &mut Context) -> Outcome {
    let SystemPruneArgs { all, volumes, prune } = args;
    let mut goes = vec!["all stopped containers"];
    if volumes {
        goes.push("all volumes without a name that no container uses");
    }
    goes.push(if all { "all images that no container uses" } else { "all dangling images" });
    if prune.filters.is_empty() {
        goes.push("all downloads that were begun and are not gone on with");
    }
    let request =
        PruneRequest { containers: true, images: true, volumes, all_images: all, ..PruneRequest::default() };
    let warning =
        format!("This will remove:\n{}", goes.iter().map(|what| format!("  - {what}\n")).collect::<String>());
    ask_and_prune(&warning, prune, request, context).await
}

/// `image prune`
pub async fn images(args: ImagePruneArgs, context: &mut Context) -> Outcome {
    let ImagePruneArgs { all, prune } = args;
    // The filter means the same, and goes before the flag.
    let named = |value: &str| prune.filters.iter().any(|filter| filter == &format!("dangling={value}"));
    let all = (all || named("false")) && !named("true");
    let what = if all { "all images that no container uses" } else { "all dangling images" };
    let begun = if prune.filters.is_empty() { ", and begun downloads" } else { "" };
    let request = PruneRequest { images: true, all_images: all, ..PruneRequest::default() };
    ask_and_prune(&format!("This will remove {what}{begun}.\n"), prune, request, context).await
}

/// `container prune`
pub async fn containers(args: PruneArgs, context: &mut Context) -> Outcome {
    let request = PruneRequest { containers: true, ..PruneRequest::default() };
    ask_and_prune("This will remove all stopped containers.\n", args, request, context).await
}

async fn ask_and_prune(
    warning: &str,
    args: PruneArgs,
    request: PruneRequest,
    context: &mut Context,
) -> Outcome {
    let filters = filters(&args.filters)?;
    if !args.force && !confirmed(warning, context)? {
        return Ok(0);
    }
    let request = PruneRequest { filters, ..request };
    let pruned = context.daemon().await?.ross().prune(request).await?.into_inner();
    if context.json() {
        context.print_json(&json_image::pruned(&pruned))?;
    } else {
        context.streams.stdout.write(describe(&pruned))?;
    }
    for failure in &pruned.failures {
        context.streams.stderr.say(failure);
    }
    Ok(u8::from(!pruned.failures.is_empty()))
}

/// Filters with their times made exact: `until` is meant where it is typed.
fn filters(typed: &[String]) -> Result<Vec<Filter>, Failure> {
    let mut filters = pair::filters(typed)?;
    for filter in filters.iter_mut().filter(|filter| filter.key == "until") {
        for value in &mut filter.values {
            let moment = time::parse(value, Timestamp::now(), &TimeZone::system());
            *value = moment
                .map_err(|reason| BadValue::new("--filter", &format!("until={value}"), reason))?
                .to_string();
        }
    }
    Ok(filters)
}

/// Says what goes, and asks. Where nobody can be asked, as in a script, the answer is what standard input says.
fn confirmed(warning: &str, context: &mut Context) -> Result<bool, Failure> {
    context.streams.stderr.write(format!("WARNING! {warning}Are you sure you want to continue? [y/N] "))?;
    let mut input = context.streams.stdin.take().ok_or(Failure::Protocol("standard input is taken"))?;
    let mut answer = Vec::new();
    // Byte by byte: what follows the line belongs to whoever reads after this.
    let mut byte = [0];
    while answer.len() < ANSWER_MAX {
        match input.read(&mut byte) {
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) => answer.push(byte[0]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => return Err(Failure::Stream { what: "cannot read the answer", source }),
        }
    }
    if !context.streams.terminal.stdin {
        context.streams.stderr.write("\n")?;
    }
    Ok(matches!(String::from_utf8_lossy(&answer).trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn describe(pruned: &PruneResponse) -> String {
    let mut text = String::new();
    let mut list = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            text.push_str(&format!("{title}:\n{}\n\n", lines.join("\n")));
        }
    };
    list("Deleted Containers", pruned.removed_containers.clone());
    list("Deleted Volumes", pruned.removed_volumes.clone());
    let untagged = pruned.untagged_images.iter().map(|name| format!("untagged: {name}"));
    let deleted = pruned.removed_images.iter().map(|id| format!("deleted: {id}"));
    list("Deleted Images", untagged.chain(deleted).collect());
    format!("{text}Total reclaimed space: {}\n", decimal_size(pruned.reclaimed_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_made_exact() {
        let typed = ["until=2026-01-02T03:04:05Z".to_owned(), "label!=a=b".to_owned(), "label=c".to_owned()];
        let found = filters(&typed).unwrap();
        let found: Vec<(&str, &str)> = found.iter().map(|f| (f.key.as_str(), f.values[0].as_str())).collect();
        assert_eq!(found, [("until", "2026-01-02T03:04:05Z"), ("label!", "a=b"), ("label", "c")]);
        assert!(filters(&["until=tomorrow".to_owned()]).unwrap_err().to_string().contains("tomorrow"));
    }

    #[test]
    fn only_yes_is_yes() {
        let check = |typed: &'static str, expected: bool| {
            let (mut streams, _, stderr) = crate::streams::testing::captured();
            streams.stdin = Some(Box::new(typed.as_bytes()));
            let host = crate::connect::Host::parse("unix:///nowhere").unwrap();
            let mut context = Context { host, format: None, streams };
            assert_eq!(confirmed("This goes.\n", &mut context).unwrap(), expected, "{typed:?}");
            assert!(crate::streams::testing::text(&stderr).starts_with("WARNING! This goes.\nAre you sure"));
        };
        check("y\n", true);
        check("YES\n", true);
        check("n\n", false);
        check("\n", false);
        check("", false);
        check("yeah, why not\n", false);
    }
}
