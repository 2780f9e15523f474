//! What surrounds the process: mounts, names, the terminal, open descriptors, clocks.

use std::fs;

use rustix::system::uname;
use rustix::termios::{isatty, tcgetwinsize, ttyname};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

pub fn report() -> Map<String, Value> {
    let names = uname();
    let text = |name: &std::ffi::CStr| name.to_string_lossy().into_owned();
    let facts = json!({
        "mounts": mounts(),
        "hostname": text(names.nodename()),
        "domainname": text(names.domainname()),
        "machine": text(names.machine()),
        "terminal": terminal(),
        "clocks": {
            "monotonic": clock_gettime(ClockId::Monotonic).tv_sec,
            "boottime": clock_gettime(ClockId::Boottime).tv_sec,
        },
    });
    facts.as_object().cloned().unwrap_or_default()
}

/// Number to target of every open descriptor, without the one that looks.
pub fn descriptors() -> Value {
    let own = format!("/proc/{}/fd", std::process::id());
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let pair = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
        (target != own).then(|| (entry.file_name().to_string_lossy().into_owned(), target.into()))
    };
    Value::Object(entries.filter_map(pair).collect())
}

/// Mounts by their mount point, of several at one place the last. Source: proc_pid_mountinfo(5).
fn mounts() -> Map<String, Value> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    text.lines().filter_map(mount).collect()
}

fn mount(line: &str) -> Option<(String, Value)> {
    let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    let (left, right) = line.split_once(" - ")?;
    let left: Vec<&str> = left.split(' ').collect();
    let right: Vec<&str> = right.split(' ').collect();
    let [_, _, device, root, point, options, optional @ ..] = &left[..] else { return None };
    let [kind, source, more] = right[..] else { return None };
    let tags: Vec<&str> = optional.iter().map(|tag| tag.split(':').next().unwrap_or(tag)).collect();
    let facts = json!({
        "device": device,
        "root": root,
        "options": list(options),
        "propagation": tags,
        "type": kind,
        "source": source,
        "super": list(more),
    });
    Some((point.replace("\\040", " "), facts))
}

/// The terminal on stdin, if it is one, and whether it is the controlling one.
fn terminal() -> Value {
    let stdin = rustix::stdio::stdin();
    if !isatty(stdin) {
        return Value::Null;
    }
    let size = tcgetwinsize(stdin).ok();
    json!({
        "name": ttyname(stdin, Vec::new()).ok().map(|name| name.to_string_lossy().into_owned()),
        "rows": size.map(|size| size.ws_row),
        "columns": size.map(|size| size.ws_col),
        "controls": fs::File::open("/dev/tty").is_ok(),
        "stdout": isatty(rustix::stdio::stdout()),
        "stderr": isatty(rustix::stdio::stderr()),
    })
}
