//! What must fail, and how: a sentence that names the object, nothing changed outside staging, nothing left behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use rootfs_fixtures::{Compression, Flavour};

use crate::harness::{Bed, Case, Daemon, Leftovers, Liar, Lie, Need};

pub const CASES: &[Case] = &[
    Case { name: "bad-input/registry-lies", needs: &[Need::FullSpeed], run: liars },
    Case { name: "bad-input/registry-recovers", needs: &[Need::FullSpeed], run: recovers },
    Case { name: "bad-input/hostile-archives", needs: &[], run: hostile },
    Case { name: "bad-input/wrong-diff-id", needs: &[], run: wrong_diff_id },
    Case { name: "bad-input/unknown-image", needs: &[], run: unknown_image },
    Case { name: "bad-input/name-in-use", needs: &[], run: name_in_use },
    Case { name: "bad-input/failed-start-leaves-nothing", needs: &[], run: failed_start },
    Case { name: "bad-input/two-daemons-on-one-root", needs: &[], run: two_daemons },
    Case { name: "bad-input/flags", needs: &[], run: flags },
];

/// Everything below the daemon's root but its database and staging areas.
fn stored(daemon: &Daemon) -> Result<BTreeSet<String>> {
    let mut seen = BTreeSet::new();
    for folder in ["layers", "blobs", "containers", "volumes"] {
        walk(&daemon.root().join(folder), &mut seen)?;
    }
    Ok(seen)
}

fn walk(dir: &Path, seen: &mut BTreeSet<String>) -> Result<()> {
    let Ok(entries) = fs::read_dir(dir) else { return Ok(()) };
    for entry in entries.flatten() {
        seen.insert(entry.path().display().to_string());
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), seen)?;
        }
    }
    Ok(())
}

fn liars(bed: &mut Bed) -> Result<()> {
    let image = rootfs_fixtures::many_small_files(300, Compression::Gzip);
    let own = bed.own_daemon()?;
    let before = stored(&own)?;
    for (lie, words) in [
        (Lie::WrongDigest, &["digest"][..]),
        (Lie::WrongSize, &["bytes"]),
        (Lie::Truncated, &[]),
        (Lie::RedirectLoop, &["redirect"]),
        (Lie::RedirectToFile, &["redirect"]),
        (Lie::Status(401), &[]),
        (Lie::Status(403), &[]),
        (Lie::Status(404), &["not found"]),
        (Lie::Status(429), &[]),
        (Lie::Status(500), &["500"]),
        (Lie::EndlessManifest, &["manifest"]),
        (Lie::Garbage, &["manifest"]),
    ] {
        let liar = Liar::start(&image, lie)?;
        let reference = liar.reference();
        let answer = own.ross(&["pull", &reference])?;
        ensure!(answer.code == 1, "{lie:?}: exit code {}\n{}", answer.code, answer.stderr);
        println!("     {lie:?}: {}", answer.stderr.trim().lines().last().unwrap_or_default());
        answer.complains(words)?.complains(&["liar/image"])?;
        own.ross(&["images", "-q"])?.ok()?.prints("")?;
        let after = stored(&own)?;
        let new: Vec<_> = after.difference(&before).filter(|path| !path.contains("/blobs/sha256")).collect();
        ensure!(new.is_empty(), "{lie:?} left {new:?}");
    }
    own.stop()
}

fn recovers(bed: &mut Bed) -> Result<()> {
    let image = rootfs_fixtures::busybox(Compression::Gzip, Flavour::Oci)?;
    let own = bed.own_daemon()?;
    for lie in [Lie::Flaky, Lie::Throttled, Lie::CutButResumable] {
        let liar = Liar::start(&image, lie)?;
        let reference = liar.reference();
        own.ross(&["pull", &reference])?.ok()?;
        own.ross(&["run", "--rm", &reference, "echo", "fine"])?.ok()?.prints("fine")?;
        own.ross(&["rmi", &reference])?.ok()?;
    }
    own.stop()
}

fn hostile(bed: &mut Bed) -> Result<()> {
    let own = bed.own_daemon()?;
    let dir = bed.folder("hostile")?;
    let before = stored(&own)?;
    for attack in rootfs_fixtures::hostile() {
        let path = dir.join("image.tar");
        fs::write(&path, attack.image().docker_archive("hostile:1"))?;
        let answer = own.ross(&["load", "-i", &path.to_string_lossy()])?;
        ensure!(answer.code == 1, "{}: loaded, exit code {}", attack.name, answer.code);
        ensure!(!answer.stderr.trim().is_empty(), "{}: no message", attack.name);
        own.ross(&["images", "-q"])?.ok()?.prints("")?;
        let after = stored(&own)?;
        let new: Vec<_> = after.difference(&before).filter(|path| !path.contains("/blobs/sha256")).collect();
        ensure!(new.is_empty(), "{} left {new:?}", attack.name);
    }
    own.stop()
}

fn wrong_diff_id(bed: &mut Bed) -> Result<()> {
    let own = bed.own_daemon()?;
    let path = bed.folder("diff-id")?.join("image.tar");
    fs::write(&path, rootfs_fixtures::wrong_diff_id().docker_archive("wrong:1"))?;
    own.ross(&["load", "-i", &path.to_string_lossy()])?.complains(&["sha256:"])?;
    own.ross(&["images", "-q"])?.ok()?.prints("")?;
    own.stop()
}

fn unknown_image(bed: &mut Bed) -> Result<()> {
    bed.ross(&["create", "--pull", "never", "no-such-image:1"])?.exits(1)?.complains(&["no-such-image:1"])?;
    bed.ross(&["run", "--pull", "never", "no-such-image:1"])?.exits(125)?.complains(&["no-such-image:1"])?;
    bed.ross(&["inspect", "no-such-thing"])?.complains(&["no-such-thing"])?;
    bed.ross(&["rmi", "no-such-image:1"])?.complains(&["no-such-image:1"])?;
    bed.ross(&["run", "Bad/Reference"])?.exits(125)?.complains(&["Bad/Reference"])?;
    Ok(())
}

fn name_in_use(bed: &mut Bed) -> Result<()> {
    let name = bed.name("taken");
    let first = bed.ross(&["create", "--name", &name, "busybox"])?.ok()?;
    let words = [&name[..], "already in use", &first.text()[..12]];
    bed.ross(&["create", "--name", &name, "busybox"])?.exits(1)?.complains(&words)?;
    bed.ross(&["run", "--name", &name, "busybox"])?.exits(125)?.complains(&words)?;
    bed.ross(&["run", "--name", "not/valid", "busybox"])?.exits(125)?.complains(&["not/valid"])?;
    bed.ross(&["rm", &name])?.ok()?;
    Ok(())
}

fn failed_start(bed: &mut Bed) -> Result<()> {
    bed.daemon()?;
    bed.ross(&["run", "--rm", "busybox", "true"])?.ok()?;
    let before = Leftovers::look()?;
    for args in [&["/nope"][..], &["/etc/passwd"]] {
        let name = bed.name("fails");
        let run = [&["run", "-d", "--name", &name, "-p", "18090:80", "busybox"], args].concat();
        let answer = bed.ross(&run)?;
        ensure!(matches!(answer.code, 126 | 127), "exit code {}: {}", answer.code, answer.stderr);
        bed.ross(&["ps", "-a", "--filter", &format!("name={name}")])?.ok()?.says("Created")?;
        let left = before.compare_beside_daemon(&Leftovers::look()?);
        ensure!(left.is_empty(), "a failed start left {left:?}");
        bed.ross(&["rm", &name])?.ok()?;
    }
    Ok(())
}

fn two_daemons(bed: &mut Bed) -> Result<()> {
    let root = bed.daemon()?.root();
    let dir = bed.folder("second")?;
    let output = std::process::Command::new(bed.program("rossd"))
        .arg("--root")
        .arg(&root)
        .arg("--state")
        .arg(dir.join("state"))
        .arg("--listen")
        .arg(format!("unix://{}", dir.join("ross.sock").display()))
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success(), "a second daemon started on the same root");
    ensure!(text.contains(&*root.to_string_lossy()), "the message does not name the root: {text}");
    Ok(())
}

fn flags(bed: &mut Bed) -> Result<()> {
    for (flags, words) in [
        (&["-p", "nonsense"][..], &["nonsense"][..]),
        (&["-p", "80:99999"], &["99999"]),
        (&["-v", "relative:also-relative"], &["also-relative"]),
        (&["--ulimit", "nofile"], &["nofile"]),
        (&["--cpus", "-1"], &["-1"]),
        (&["--network", "container:ghost"], &["ghost"]),
        (&["--gpus", "all"], &["gpus"]),
        (&["--user", "1:2:3"], &["2:3"]),
        (&["-e", "=x"], &["=x"]),
        (&["--memory", "1"], &["memory"]),
        (&["--device", "relative"], &["relative"]),
        (&["--stop-signal", "WHAT"], &["WHAT"]),
        (&["--security-opt", "nonsense"], &["nonsense"]),
    ] {
        let answer = bed.ross(&[&["run", "--rm"], flags, &["busybox", "true"]].concat())?;
        answer.exits(125)?.complains(words)?;
    }
    bed.ross(&["create", "--restart", "sometimes", "busybox"])?.complains(&["sometimes"])?;
    Ok(())
}
