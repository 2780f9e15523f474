//! Images made here: of containers and of archives; where they came from, what they take, and giving that back.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rootfs_fixtures::{Compression, Entry, Flavour, archive};
use serde_json::Value;

use crate::harness::{Bed, Case, Daemon, PATIENCE};

pub const CASES: &[Case] = &[
    Case { name: "images/commit", needs: &[], run: commit },
    Case { name: "images/commit-of-a-running-container", needs: &[], run: commit_running },
    Case { name: "images/commit-leaves-mounts-out", needs: &[], run: commit_mounts },
    Case { name: "images/commit-refuses", needs: &[], run: commit_refuses },
    Case { name: "images/commit-survives-a-crash", needs: &[], run: commit_crash },
    Case { name: "images/export-import", needs: &[], run: export_import },
    Case { name: "images/import-refuses", needs: &[], run: import_refuses },
    Case { name: "images/history", needs: &[], run: history },
    Case { name: "images/prune", needs: &[], run: prune },
    Case { name: "images/prune-on-a-full-disk", needs: &[], run: full_disk },
    Case { name: "images/remove-by-id-and-digest", needs: &[], run: remove },
    Case { name: "system/df", needs: &[], run: df },
    Case { name: "system/prune", needs: &[], run: system_prune },
];

fn json(bed: &mut Bed, args: &[&str]) -> Result<Value> {
    let out = bed.ross(args)?.ok()?;
    serde_json::from_str(&out.stdout).with_context(|| format!("{args:?}: {}", out.stdout))
}

/// What `image inspect` says of one image.
fn inspected(bed: &mut Bed, image: &str) -> Result<Value> {
    Ok(json(bed, &["image", "inspect", image])?[0].clone())
}

/// A container that has run `script` to its end.
fn changed(bed: &mut Bed, flags: &[&str], script: &str) -> Result<String> {
    let name = bed.name("changed");
    let args = [&["run", "--name", &name], flags, &["busybox", "sh", "-ec", script]].concat();
    bed.ross(&args)?.ok()?;
    Ok(name)
}

fn commit(bed: &mut Bed) -> Result<()> {
    let script = "echo new > /added; rm /etc/group; rm -r /www; mkdir /www; echo two > /www/two; \
        ln -s /added /link; ln /added /hard; chmod 4711 /added; mkfifo /fifo; echo x >> /etc/passwd";
    let name = changed(bed, &["-e", "FROM=container", "-l", "kept=yes"], script)?;
    let made = bed.ross(&[
        "commit",
        "-a",
        "Somebody <s@example.org>",
        "-m",
        "a message",
        "-c",
        "ENV ADDED=by-change",
        "--change",
        "CMD [\"cat\", \"/added\"]",
        "-c",
        "LABEL more=true\nEXPOSE 80 53/udp",
        &name,
        "team/made:1",
    ])?;
    let id = made.ok()?.text().to_owned();
    ensure!(id.starts_with("sha256:") && id.len() == 71, "no id: {id}");
    bed.ross(&["rm", &name])?.ok()?;
    bed.ross(&["run", "--rm", "team/made:1"])?.ok()?.prints("new")?;
    let look = "test ! -e /etc/group; test ! -e /www/index.html; cat /www/two; readlink /link; stat -c '%a %h' /hard; \
        test -p /fifo; tail -n 1 /etc/passwd; echo $FROM $ADDED";
    bed.ross(&["run", "--rm", "team/made:1", "sh", "-ec", look])?
        .ok()?
        .prints("two\n/added\n4711 2\nx\ncontainer by-change")?;
    let image = inspected(bed, "team/made:1")?;
    ensure!(image["id"] == id.as_str() && image["author"] == "Somebody <s@example.org>", "{image:#}");
    ensure!(image["comment"] == "a message" && image["parent"] == "", "{image:#}");
    ensure!(
        image["config"]["labels"]["kept"] == "yes" && image["config"]["labels"]["more"] == "true",
        "{image:#}"
    );
    ensure!(image["config"]["exposed_ports"] == serde_json::json!(["53/udp", "80/tcp"]), "{image:#}");
    ensure!(image["rootfs"]["layers"].as_array().is_some_and(|layers| layers.len() == 3), "{image:#}");
    // An image of an image that was made here.
    let name = bed.name("again");
    bed.ross(&["run", "--name", &name, "team/made:1", "sh", "-c", "rm /added /hard; echo second > /b"])?
        .ok()?;
    bed.ross(&["container", "commit", &name, "team/made:2"])?.ok()?;
    bed.ross(&["rm", &name])?.ok()?;
    bed.ross(&["run", "--rm", "team/made:2", "sh", "-c", "cat /b; test ! -e /added"])?
        .ok()?
        .prints("second")?;
    // The first may go: they share layers, and nothing else.
    bed.ross(&["rmi", "team/made:1"])?.ok()?.says("Deleted")?;
    bed.ross(&["run", "--rm", "team/made:2", "cat", "/www/two"])?.ok()?.prints("two")?;
    bed.ross(&["rmi", "team/made:2"])?.ok()?;
    Ok(())
}

fn commit_running(bed: &mut Bed) -> Result<()> {
    let name = bed.name("running");
    let script = "echo begin > /count; while true; do echo more >> /count; done";
    bed.ross(&["run", "-d", "--name", &name, "busybox", "sh", "-c", script])?.ok()?;
    bed.ross(&["exec", &name, "sh", "-c", "until test -s /count; do :; done"])?.ok()?;
    let state = |bed: &mut Bed| -> Result<String> {
        Ok(json(bed, &["inspect", &name])?[0]["state"]["status"].as_str().unwrap_or_default().to_owned())
    };
    for flags in [&[][..], &["--pause=false"], &["--no-pause"], &["-p=true"]] {
        let args = [&["commit"], flags, &[&name]].concat();
        let id = bed.ross(&args)?.ok()?.text().to_owned();
        ensure!(state(bed)? == "running", "{flags:?}: the container is {}", state(bed)?);
        bed.ross(&["run", "--rm", &id, "head", "-n", "1", "/count"])?.ok()?.prints("begin")?;
        bed.ross(&["rmi", &id])?.ok()?;
    }
    // One that was frozen before stays so.
    bed.ross(&["pause", &name])?.ok()?;
    let id = bed.ross(&["commit", &name])?.ok()?.text().to_owned();
    ensure!(state(bed)? == "paused", "the container is {}", state(bed)?);
    bed.ross(&["rmi", &id])?.ok()?;
    // A commit that fails lets it go on, too.
    bed.ross(&["unpause", &name])?.ok()?;
    bed.ross(&["exec", &name, "touch", "/.wh.forged"])?.ok()?;
    bed.ross(&["commit", &name])?.complains(&["/.wh.forged"])?;
    ensure!(state(bed)? == "running", "after a failure the container is {}", state(bed)?);
    bed.ross(&["rm", "-f", &name])?.ok()?;
    Ok(())
}

fn commit_mounts(bed: &mut Bed) -> Result<()> {
    let dir = bed.folder("mounted")?;
    fs::write(dir.join("secret"), "of the host")?;
    let (bind, volume) = (format!("{}:/data/bound", dir.display()), bed.name("volume"));
    let flags = ["-v", &bind, "-v", &format!("{volume}:/data/volume"), "--tmpfs", "/scratch"];
    let script = "echo v > /data/volume/file; echo s > /scratch/file; echo kept > /kept";
    let name = changed(bed, &flags, script)?;
    let id = bed.ross(&["commit", &name])?.ok()?.text().to_owned();
    bed.ross(&["rm", "-v", &name])?.ok()?;
    let look = "cat /kept; test ! -e /data; test ! -e /scratch";
    bed.ross(&["run", "--rm", &id, "sh", "-ec", look])?.ok()?.prints("kept")?;
    // Nothing of hosts, hostname, resolv.conf, /proc, /sys and /dev either: a container that changes nothing has
    // nothing to commit.
    let name = changed(bed, &[], "true")?;
    let same = bed.ross(&["commit", &name])?.ok()?.text().to_owned();
    bed.ross(&["rm", &name])?.ok()?;
    let image = inspected(bed, &same)?;
    ensure!(image["rootfs"]["layers"].as_array().is_some_and(|layers| layers.len() == 2), "{image:#}");
    ensure!(
        image["history"]
            .as_array()
            .and_then(|all| all.last())
            .is_some_and(|step| step["empty_layer"] == true),
        "{image:#}"
    );
    bed.ross(&["rmi", &id, &same])?.ok()?;
    Ok(())
}

/// How many images, blobs and layers there are, and what is staged.
fn census(root: &Path) -> Result<Vec<usize>> {
    let count = |folder: &str| -> Result<usize> { Ok(fs::read_dir(root.join(folder))?.count()) };
    ["blobs/sha256", "layers", "layers/.staging", "ingest"].iter().map(|folder| count(folder)).collect()
}

fn commit_refuses(bed: &mut Bed) -> Result<()> {
    let name = changed(bed, &[], "echo x > /x")?;
    let root = bed.daemon()?.root();
    let before = census(&root)?;
    let check = |bed: &mut Bed, args: &[&str], words: &[&str]| -> Result<()> {
        bed.ross(&[&["commit"], args].concat())?.complains(words)?;
        Ok(())
    };
    check(bed, &["no-such-container"], &["No such container: no-such-container"])?;
    check(bed, &["-c", "RUN rm -rf /", &name], &["RUN rm -rf /", "`RUN` is none of"])?;
    check(bed, &["-c", "ENV", &name], &["ENV needs an argument"])?;
    check(bed, &["-c", "EXPOSE 99999", &name], &["99999"])?;
    check(bed, &[&name, "Not/Valid"], &["Not/Valid"])?;
    check(bed, &[&name, &format!("a@sha256:{}", "ab".repeat(32))], &["digest"])?;
    check(bed, &[], &["CONTAINER"])?;
    ensure!(census(&root)? == before, "something is left: {:?} after {before:?}", census(&root)?);
    bed.ross(&["rm", &name])?.ok()?;
    Ok(())
}

fn commit_crash(bed: &mut Bed) -> Result<()> {
    let name = changed(bed, &[], "echo durable > /file")?;
    bed.ross(&["commit", &name, "survivor:1"])?.ok()?;
    bed.daemon()?.crash_and_restart()?;
    bed.ross(&["run", "--rm", "survivor:1", "cat", "/file"])?.ok()?.prints("durable")?;
    bed.ross(&["rm", &name])?.ok()?;
    // Killed while it has a container frozen: the mark beside the container tells the next daemon to thaw it.
    let frozen = bed.name("frozen");
    let id = bed.ross(&["run", "-d", "--name", &frozen, "busybox", "sleep", "1000"])?.ok()?.text().to_owned();
    bed.ross(&["pause", &frozen])?.ok()?;
    let mark = bed.daemon()?.root().join("containers").join(&id).join("committing");
    File::create(&mark)?;
    bed.daemon()?.crash_and_restart()?;
    let deadline = std::time::Instant::now() + PATIENCE;
    while json(bed, &["inspect", &frozen])?[0]["state"]["status"] != "running" || mark.exists() {
        ensure!(std::time::Instant::now() < deadline, "it stays frozen");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    bed.ross(&["rm", "-f", &frozen])?.ok()?;
    bed.ross(&["rmi", "survivor:1"])?.ok()?;
    Ok(())
}

fn export_import(bed: &mut Bed) -> Result<()> {
    let dir = bed.folder("export")?;
    let file = dir.join("root.tar");
    let path = file.to_string_lossy().into_owned();
    let volume = bed.name("volume");
    let flags = ["-v", &format!("{volume}:/www")];
    let script = "echo exported > /file; rm /etc/group; echo hidden > /www/in-volume";
    let name = changed(bed, &flags, script)?;
    bed.ross(&["export", "-o", &path, &name])?.ok()?;
    ensure!(fs::read_dir(&dir)?.count() == 1, "something lies beside the archive");
    let names = bed_tar_names(&file)?;
    for wanted in ["file", "bin/busybox", "etc/passwd", "www/", "www/index.html"] {
        ensure!(names.iter().any(|name| name == wanted), "no {wanted} among {} names", names.len());
    }
    for strange in ["etc/group", "www/in-volume"] {
        ensure!(!names.iter().any(|name| name == strange), "{strange} is in the archive");
    }
    // The same through a pipe, and while it runs.
    bed.ross(&["start", &name])?.ok()?;
    bed.ross(&["wait", &name])?.ok()?;
    let runs = bed.name("runs");
    bed.ross(&["run", "-d", "--name", &runs, "busybox", "sh", "-c", "echo live > /live; exec sleep 1000"])?
        .ok()?;
    bed.ross(&["exec", &runs, "sh", "-c", "until test -s /live; do :; done"])?.ok()?;
    let live = dir.join("live.tar");
    let out = bed.daemon()?.command(&["export", &runs]).stdout(File::create(&live)?).status()?;
    ensure!(out.success(), "export of a running container into a pipe: {out}");
    ensure!(bed_tar_names(&live)?.iter().any(|name| name == "live"), "what it wrote is not exported");
    bed.ross(&["export", "-o", "/dev/null", &runs])?.ok()?;
    bed.ross(&["rm", "-f", "-v", &runs, &name])?.ok()?;

    // Back again: from a file, from a pipe, packed.
    let made =
        bed.ross(&["import", "-c", "CMD [\"cat\", \"/file\"]", "-m", "why not", &path, "imported:1"])?;
    let id = made.ok()?.text().to_owned();
    bed.ross(&["run", "--rm", "imported:1"])?.ok()?.prints("exported")?;
    bed.ross(&[
        "run",
        "--rm",
        "imported:1",
        "sh",
        "-ec",
        "test ! -e /etc/group; stat -c %a /tmp; cat /www/index.html",
    ])?
    .ok()?
    .prints(&format!("1777\n{}", rootfs_fixtures::INDEX_HTML.trim()))?;
    let image = inspected(bed, "imported:1")?;
    ensure!(image["comment"] == "why not" && image["id"] == id.as_str(), "{image:#}");
    ensure!(image["rootfs"]["layers"].as_array().is_some_and(|layers| layers.len() == 1), "{image:#}");
    let tar = fs::read(&file)?;
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let blob = rootfs_fixtures::Layer::of_tar(tar.clone(), compression).blob;
        let id = bed.daemon()?.ross_with_input(&["import", "-", "piped:1"], &blob)?.ok()?.text().to_owned();
        bed.ross(&["run", "--rm", "piped:1", "cat", "/file"])?.ok()?.prints("exported")?;
        ensure!(inspected(bed, &id)?["comment"] == "Imported from -", "the history does not say what it is");
        bed.ross(&["rmi", "piped:1"])?.ok()?;
    }
    bed.ross(&["image", "import", "--platform", "linux/s390x", &path, "foreign:1"])?.ok()?;
    ensure!(inspected(bed, "foreign:1")?["architecture"] == "s390x", "the platform is not kept");
    bed.ross(&["rmi", "imported:1", "foreign:1"])?.ok()?;
    Ok(())
}

/// The names in an archive, as tar lists them.
fn bed_tar_names(path: &Path) -> Result<Vec<String>> {
    let out = std::process::Command::new("tar").arg("-tf").arg(path).output().context("tar")?;
    ensure!(out.status.success(), "tar: {}", String::from_utf8_lossy(&out.stderr));
    Ok(String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).collect())
}

fn import_refuses(bed: &mut Bed) -> Result<()> {
    let dir = bed.folder("import")?;
    let root = bed.daemon()?.root();
    let before = census(&root)?;
    bed.ross(&["import", "http://127.0.0.1/root.tar"])?.complains(&["http://127.0.0.1/root.tar", "URL"])?;
    bed.ross(&["import", "/no/such/file.tar"])?.complains(&["/no/such/file.tar"])?;
    let input = |bed: &mut Bed, args: &[&str], bytes: &[u8], words: &[&str]| -> Result<()> {
        bed.daemon()?.ross_with_input(args, bytes)?.complains(words)?;
        Ok(())
    };
    input(bed, &["import", "-"], b"", &["archive"])?;
    input(bed, &["import", "-"], b"this is no archive at all", &["import the archive"])?;
    let good = archive(&[Entry::file("a", "a")]);
    input(bed, &["import", "-c", "RUN x", "-"], &good, &["`RUN` is none of"])?;
    input(bed, &["import", "--platform", "nonsense/", "-"], &good, &["platform"])?;
    input(bed, &["import", "-", "Not/Valid"], &good, &["Not/Valid"])?;
    let packed =
        rootfs_fixtures::Layer::of_tar(archive(&[Entry::file("a", vec![7; 100_000])]), Compression::Gzip)
            .blob;
    input(bed, &["import", "-"], &packed[..packed.len() / 2], &["archive"])?;
    for case in rootfs_fixtures::hostile() {
        input(bed, &["import", "-"], &case.tar, &[case.says]).with_context(|| case.name.to_owned())?;
    }
    ensure!(census(&root)? == before, "something is left: {:?} after {before:?}", census(&root)?);
    ensure!(fs::read_dir(dir)?.count() == 0, "something is left in the folder");
    Ok(())
}

fn history(bed: &mut Bed) -> Result<()> {
    let name = changed(bed, &[], "dd if=/dev/zero of=/million bs=1000 count=1000 2>/dev/null")?;
    bed.ross(&["commit", "-m", "a million", &name, "history:1"])?.ok()?;
    bed.ross(&["rm", &name])?.ok()?;
    let id = inspected(bed, "history:1")?["id"].as_str().unwrap_or_default().to_owned();
    let shown = bed.ross(&["history", "history:1"])?.ok()?;
    let first = shown.stdout.lines().nth(1).unwrap_or_default().to_owned();
    ensure!(shown.stdout.starts_with("IMAGE"), "{}", shown.stdout);
    for part in [&id["sha256:".len()..][..12], "1MB", "a million"] {
        ensure!(first.contains(part), "no `{part}` in `{first}`");
    }
    let exact = bed.ross(&["image", "history", "--no-trunc", "--human=false", "history:1"])?.ok()?;
    exact.says("1000000")?.says(&id)?;
    let ids = bed.ross(&["history", "-q", "history:1"])?.ok()?;
    ensure!(ids.stdout.starts_with(&id["sha256:".len()..][..12]), "{}", ids.stdout);
    let steps = json(bed, &["history", "--format", "json", "history:1"])?;
    ensure!(steps[0]["size_bytes"] == 1_000_000 && steps[0]["comment"] == "a million", "{steps:#}");
    bed.ross(&["history", "no/such"])?.complains(&["no/such"])?;
    bed.ross(&["rmi", "history:1"])?.ok()?;
    Ok(())
}

/// An image of one file, by this name.
fn import_file(daemon: &Daemon, name: &str, size: usize, flags: &[&str]) -> Result<String> {
    let content: Vec<u8> = rootfs_fixtures::content(name.len() as u64 + size as u64, size);
    let tar = archive(&[Entry::file("content", content)]);
    let args = [&["import"], flags, &["-", name]].concat();
    Ok(daemon.ross_with_input(&args, &tar)?.ok()?.text().to_owned())
}

fn prune(bed: &mut Bed) -> Result<()> {
    let own = bed.own_daemon()?;
    let listed = || -> Result<Vec<String>> {
        let all = own.ross(&["images", "-q", "--no-trunc"])?.ok()?;
        Ok(all.stdout.lines().map(str::to_owned).collect())
    };
    let first = import_file(&own, "same:1", 100_000, &["-c", "LABEL keep=no"])?;
    // Its name moves on, and leaves it without one.
    let second = import_file(&own, "same:1", 200_000, &["-c", "LABEL keep=yes"])?;
    ensure!(listed()?.len() == 2, "two images");
    // What an interrupted pull leaves: it has no label, so that no filter means it.
    let begun = own.root().join(format!("ingest/{}.partial", "ab".repeat(32)));
    fs::write(&begun, vec![7; 100_000])?;
    own.ross_with_input(&["image", "prune"], b"n\n")?.ok()?;
    own.ross(&["image", "prune"])?.ok()?;
    ensure!(listed()?.len() == 2, "nobody said yes");
    own.ross(&["image", "prune", "-f", "--filter", "label=keep=yes"])?
        .ok()?
        .says("Total reclaimed space: 0B")?;
    own.ross(&["image", "prune", "-f", "--filter", "label!=keep=no"])?.ok()?;
    own.ross(&["image", "prune", "-f", "--filter", "until=24h"])?.ok()?;
    own.ross(&["image", "prune", "-f", "--filter", "until=2020-01-01"])?.ok()?;
    ensure!(listed()?.len() == 2, "none of these filters hold");
    ensure!(begun.exists(), "a filter took a begun download along");
    own.ross(&["image", "prune", "-f", "--filter", "colour=red"])?.complains(&["colour"])?;
    own.ross(&["image", "prune", "-f", "--filter", "until=soon"])?.complains(&["soon"])?;
    let pruned = own.ross_with_input(&["image", "prune"], b"y\n")?.ok()?;
    pruned.says(&format!("deleted: {first}"))?;
    ensure!(listed()? == [second.clone()], "only what has no name goes");
    ensure!(!begun.exists(), "a begun download stays");
    // A container keeps its image.
    let user = own.ross(&["create", "--name", "user", "same:1", "/content"])?.ok()?;
    own.ross(&["image", "prune", "-a", "-f"])?.ok()?.says("Total reclaimed space: 0B")?;
    ensure!(!user.text().is_empty() && listed()?.len() == 1, "an image in use went");
    own.ross(&["container", "prune", "-f", "--filter", "label=none"])?.ok()?;
    own.ross(&["container", "prune", "--force"])?.ok()?.says(user.text())?;
    let all = own.ross(&["image", "prune", "-a", "-f"])?.ok()?;
    all.clone().says("untagged: same:1")?.says(&format!("deleted: {second}"))?;
    ensure!(!all.stdout.contains("space: 0B"), "{}", all.stdout);
    ensure!(listed()?.is_empty(), "something stays");
    let left = census(&own.root())?;
    ensure!(left == [0, 1, 0, 0], "blobs, layers, staging, ingest: {left:?}");
    own.stop()
}

/// A file system that goes when the case ends, however it ends.
struct Tmpfs(PathBuf);

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

/// Fills a file system to its last block.
fn fill(root: &Path) -> Result<()> {
    let mut file = File::create(root.join("ballast"))?;
    for size in [1 << 20, 4096, 1] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
    let free = rustix::fs::statvfs(root)?.f_bavail;
    ensure!(free == 0, "{free} blocks are free");
    Ok(())
}

fn full_disk(bed: &mut Bed) -> Result<()> {
    let dir = bed.folder("full")?;
    let root = dir.join("root");
    fs::create_dir(&root)?;
    let options = c"size=48m,mode=711";
    rustix::mount::mount("tmpfs", &root, "tmpfs", rustix::mount::MountFlags::empty(), options)?;
    let _tmpfs = Tmpfs(root.clone());
    let bin = bed.program("rossd").parent().context("no folder")?.to_owned();
    let mut own = Daemon::start(&bin, &dir)?;
    let image = rootfs_fixtures::busybox(Compression::Gzip, Flavour::Docker)?;
    own.ross_with_input(&["load"], &image.docker_archive("busybox:latest"))?.ok()?;
    for name in ["one:1", "two:1", "three:1", "two:1"] {
        import_file(&own, name, 1_000_000 + own.root().as_os_str().len(), &[])?;
    }
    import_file(&own, "two:1", 1_500_000, &[])?;
    own.ross(&["run", "--name", "ended", "busybox", "true"])?.ok()?;
    fill(&root)?;
    let tar = archive(&[Entry::file("content", vec![1; 300_000])]);
    own.ross_with_input(&["import", "-", "more:1"], &tar)?.complains(&["import"])?;
    own.ross(&["rm", "ended"])?.ok()?;
    fill_more(&root)?;
    own.ross(&["image", "prune", "-f"])?.ok()?.says("deleted")?;
    own.ross(&["rmi", "one:1"])?.ok()?.says("Deleted")?;
    own.crash_and_restart()?;
    own.ross(&["rmi", "two:1"])?.ok()?.says("Deleted")?;
    own.ross(&["image", "prune", "-a", "-f"])?.ok()?;
    fs::remove_file(root.join("ballast"))?;
    own.ross_with_input(&["import", "-", "more:1"], &tar)?.ok()?;
    own.ross(&["rmi", "more:1"])?.ok()?;
    own.stop()
}

/// Fills up what a removal gave back.
fn fill_more(root: &Path) -> Result<()> {
    let mut file = File::options().append(true).open(root.join("ballast"))?;
    for size in [1 << 20, 4096, 1] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
    Ok(())
}

fn remove(bed: &mut Bed) -> Result<()> {
    let own = bed.own_daemon()?;
    let id = import_file(&own, "one:1", 1000, &[])?;
    let short = &id["sha256:".len()..][..12];
    own.ross(&["tag", "one:1", "other/name:2"])?.ok()?;
    own.ross(&["rmi", short])?.complains(&["several names", "one:1", "other/name:2", "force"])?;
    own.ross(&["rmi", "other/name:2"])?.ok()?.prints("Untagged: other/name:2")?;
    own.ross(&["tag", "one:1", "one:3"])?.ok()?;
    own.ross(&["rmi", &id])?.complains(&["several names"])?;
    let gone = own.ross(&["rmi", "-f", short])?.ok()?;
    gone.says("Untagged: one:1")?.says("Untagged: one:3")?.says(&format!("Deleted: {id}"))?;
    own.ross(&["rmi", "one:1"])?.complains(&["No such image", "one:1"])?;
    own.ross(&["rmi", "-f", "one:1"])?.ok()?;
    // A stopped container keeps its image by name; by force the names go and the image stays for it.
    let id = import_file(&own, "used:1", 1000, &[])?;
    own.ross(&["create", "--name", "holder", "used:1", "/content"])?.ok()?;
    own.ross(&["rmi", "used:1"])?.complains(&["in use", "holder"])?;
    own.ross(&["rmi", "-f", &id])?.ok()?.prints("Untagged: used:1")?;
    own.ross(&["image", "inspect", &id])?.ok()?;
    own.ross(&["commit", "holder", "rescued:1"])?.ok()?;
    own.ross(&["rm", "holder"])?.ok()?;
    own.ross(&["rmi", &id])?.ok()?.says(&format!("Deleted: {id}"))?;
    own.ross(&["rmi", "rescued:1"])?.ok()?;
    own.stop()
}

fn df(bed: &mut Bed) -> Result<()> {
    let own = bed.own_daemon()?;
    let image = rootfs_fixtures::busybox(Compression::Gzip, Flavour::Docker)?;
    own.ross_with_input(&["load"], &image.docker_archive("busybox:latest"))?.ok()?;
    let usage = |flags: &[&str]| -> Result<Value> {
        let out = own.ross(&[&["system", "df", "--format", "json"], flags].concat())?.ok()?;
        Ok(serde_json::from_str(&out.stdout)?)
    };
    own.ross(&[
        "run",
        "--name",
        "writer",
        "-v",
        "vol-df:/v",
        "busybox",
        "sh",
        "-c",
        "head -c 500000 /dev/zero > /v/a; head -c 300000 /dev/zero > /b",
    ])?
    .ok()?;
    own.ross(&["commit", "writer", "child:1"])?.ok()?;
    let all = usage(&["-v"])?;
    let at = |path: &str| all.pointer(path).cloned().unwrap_or_default();
    let number = |path: &str| at(path).as_u64().unwrap_or_default();
    ensure!(at("/kinds/0/name") == "images" && number("/kinds/0/total") == 2, "{all:#}");
    ensure!(number("/kinds/0/active") == 1 && number("/kinds/1/total") == 1, "{all:#}");
    let images = at("/images");
    let sum = |key: &str| -> u64 {
        images.as_array().into_iter().flatten().filter_map(|one| one[key].as_u64()).sum()
    };
    let (base, child) = (&images[1], &images[0]);
    ensure!(base["shared_bytes"] == child["shared_bytes"] && sum("shared_bytes") > 0, "{images:#}");
    ensure!(child["unique_bytes"].as_u64() >= Some(300_000), "{images:#}");
    // What is shared counts once.
    let whole = sum("unique_bytes") + base["shared_bytes"].as_u64().unwrap_or_default();
    ensure!(number("/kinds/0/size_bytes") == whole, "{} is not {whole}", number("/kinds/0/size_bytes"));
    ensure!(
        number("/kinds/0/reclaimable_bytes") == child["unique_bytes"].as_u64().unwrap_or_default(),
        "{all:#}"
    );
    ensure!(
        number("/containers/0/size_bytes") >= 300_000 && number("/volumes/0/size_bytes") >= 500_000,
        "{all:#}"
    );
    ensure!(number("/volumes/0/links") == 1 && at("/volumes/0/name") == "vol-df", "{all:#}");
    let table = own.ross(&["system", "df"])?.ok()?;
    table.says("TYPE")?.says("Local Volumes")?.says("RECLAIMABLE")?;
    own.ross(&["system", "df", "-v"])?.ok()?.says("SHARED SIZE")?.says("vol-df")?;
    ensure!(usage(&[])?["images"] == images, "a program gets each of them, asked or not");
    own.ross(&["rm", "writer"])?.ok()?;
    own.stop()
}

fn system_prune(bed: &mut Bed) -> Result<()> {
    let own = bed.own_daemon()?;
    let image = rootfs_fixtures::busybox(Compression::Gzip, Flavour::Docker)?;
    own.ross_with_input(&["load"], &image.docker_archive("busybox:latest"))?.ok()?;
    own.ross(&["run", "-d", "--name", "runs", "-v", "/anonymous", "busybox", "sleep", "1000"])?.ok()?;
    own.ross(&["run", "--name", "ended", "-v", "/gone", "-v", "named:/kept", "busybox", "true"])?.ok()?;
    let dangling = own.ross(&["commit", "ended"])?.ok()?.text().to_owned();
    let volumes = || -> Result<usize> { Ok(fs::read_dir(own.root().join("volumes"))?.count()) };
    ensure!(volumes()? == 3, "{} volumes", volumes()?);
    own.ross(&["system", "prune"])?.ok()?;
    own.ross(&["system", "prune", "--volumes", "-f", "--filter", "until=1h"])?
        .complains(&["until", "volumes"])?;
    let pruned = own.ross(&["system", "prune", "-f"])?.ok()?;
    pruned.says("Deleted Containers")?.says(&dangling)?;
    ensure!(volumes()? == 3, "volumes go only when that is asked for");
    own.ross(&["exec", "runs", "true"])?.ok()?;
    own.ross(&["system", "prune", "-f", "--volumes"])?.ok()?.says("Deleted Volumes")?;
    ensure!(volumes()? == 2, "what is named stays, as does what is mounted: {}", volumes()?);
    own.ross(&["run", "--rm", "busybox", "true"])?.ok()?;
    own.ross(&["rm", "-f", "-v", "runs"])?.ok()?;
    own.ross(&["system", "prune", "-a", "-f"])?.ok()?.says("untagged: busybox:latest")?;
    own.stop()
}
