//! What an update leaves out, taken from what the cgroup has: limits that depend on each other change together.
//!
//! The specification names memory and swap by their sum, and the quota of a period; the files have swap alone, and
//! quota and period in one. A caller that names one of two means the other to stay.

use std::borrow::Cow;

use crate::spec::LinuxResources;

use super::hierarchy::Directory;

/// Completes resources by what the files of the cgroup say.
pub(super) fn complete<'a>(resources: &'a LinuxResources, directory: &Directory) -> Cow<'a, LinuxResources> {
    let read = |file: &str| directory.read(file).ok();
    complete_from(resources, &read)
}

fn complete_from<'a>(
    resources: &'a LinuxResources,
    read: &dyn Fn(&str) -> Option<String>,
) -> Cow<'a, LinuxResources> {
    let mut completed = Cow::Borrowed(resources);
    if let Some(cpu) = &resources.cpu {
        let (quota, period) = (cpu.quota.unwrap_or(0), cpu.period.unwrap_or(0));
        if (quota == 0) != (period == 0)
            && let Some((now_quota, now_period)) = read("cpu.max").as_deref().and_then(quota_and_period)
        {
            let cpu = completed.to_mut().cpu.get_or_insert_default();
            if quota == 0 {
                cpu.quota = Some(now_quota);
            } else {
                cpu.period = Some(now_period);
            }
        }
    }
    if let Some(memory) = &resources.memory {
        let (limit, swap) = (memory.limit.unwrap_or(0), memory.swap.unwrap_or(0));
        if swap > 0 && limit == 0 {
            if let Some(now) = read("memory.max").as_deref().and_then(number) {
                completed.to_mut().memory.get_or_insert_default().limit = Some(now);
            }
        } else if limit > 0 && swap == 0 {
            let number_of = |file| read(file).as_deref().and_then(number);
            if let (Some(memory), Some(swap)) = (number_of("memory.max"), number_of("memory.swap.max")) {
                completed.to_mut().memory.get_or_insert_default().swap = Some(memory.saturating_add(swap));
            }
        }
    }
    completed
}

fn quota_and_period(text: &str) -> Option<(i64, u64)> {
    let (quota, period) = text.trim().split_once(' ')?;
    Some((number(quota).unwrap_or(-1), period.parse().ok()?))
}

/// None for `max`.
fn number(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_stays() {
        let check = |resources: &str, files: &[(&str, &str)], expected: &str| {
            let read =
                |name: &str| files.iter().find(|(file, _)| *file == name).map(|(_, text)| (*text).to_owned());
            let parse = |json: &str| LinuxResources::parse(json.as_bytes()).unwrap();
            let given = parse(resources);
            assert_eq!(complete_from(&given, &read).into_owned(), parse(expected), "{resources}");
        };
        let cpu = [("cpu.max", "20000 50000\n")];
        check(r#"{"cpu":{"period":1000}}"#, &cpu, r#"{"cpu":{"period":1000,"quota":20000}}"#);
        check(r#"{"cpu":{"quota":1000}}"#, &cpu, r#"{"cpu":{"quota":1000,"period":50000}}"#);
        check(r#"{"cpu":{"quota":1,"period":2}}"#, &cpu, r#"{"cpu":{"quota":1,"period":2}}"#);
        check(r#"{"cpu":{"shares":9}}"#, &cpu, r#"{"cpu":{"shares":9}}"#);
        check(r#"{"cpu":{"period":9}}"#, &[("cpu.max", "max 1000")], r#"{"cpu":{"period":9,"quota":-1}}"#);
        check(r#"{"cpu":{"period":9}}"#, &[], r#"{"cpu":{"period":9}}"#);
        let memory = [("memory.max", "1000\n"), ("memory.swap.max", "500\n")];
        check(r#"{"memory":{"swap":3000}}"#, &memory, r#"{"memory":{"swap":3000,"limit":1000}}"#);
        check(r#"{"memory":{"limit":1200}}"#, &memory, r#"{"memory":{"limit":1200,"swap":1500}}"#);
        check(r#"{"memory":{"limit":-1}}"#, &memory, r#"{"memory":{"limit":-1}}"#);
        check(r#"{"memory":{"swap":-1}}"#, &memory, r#"{"memory":{"swap":-1}}"#);
        let unlimited = [("memory.max", "1000\n"), ("memory.swap.max", "max\n")];
        check(r#"{"memory":{"limit":1200}}"#, &unlimited, r#"{"memory":{"limit":1200}}"#);
    }
}
