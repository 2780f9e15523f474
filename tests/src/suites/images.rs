//! Images from a real registry and from files: what is pulled, how it unpacks, how it is named and removed.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rootfs_fixtures::{Compression, Flavour, Registry};

use crate::harness::{Bed, Case, Daemon, Need};

const REGISTRY: Need = Need::Program("docker-registry", "docker-registry");

pub const CASES: &[Case] = &[
    Case { name: "images/pull-and-run-from-a-registry", needs: &[REGISTRY], run: pull },
    Case { name: "images/every-flavour-and-compression", needs: &[REGISTRY], run: flavours },
    Case { name: "images/index-by-platform", needs: &[REGISTRY], run: index },
    Case { name: "images/pull-by-digest", needs: &[REGISTRY], run: digest },
    Case { name: "images/many-layers-unpack-right", needs: &[REGISTRY], run: many_layers },
    Case { name: "images/layers-are-shared", needs: &[REGISTRY], run: shared },
    Case { name: "images/load-archives", needs: &[], run: load },
    Case { name: "images/tag-list-inspect-remove", needs: &[], run: names },
    Case { name: "images/remove-while-in-use", needs: &[], run: in_use },
    Case { name: "images/progress-in-a-pipe-is-plain-lines", needs: &[REGISTRY], run: progress },
    Case { name: "images/survive-a-crash-of-the-daemon", needs: &[], run: crash },
    Case { name: "images/remove-on-a-full-disk", needs: &[], run: full_disk },
    Case { name: "images/verify-and-repair", needs: &[REGISTRY], run: verify },
];

fn registry(bed: &mut Bed) -> Result<Registry> {
    let dir = bed.folder("registry")?;
    Registry::start(&dir)
}

fn pull(bed: &mut Bed) -> Result<()> {
    let registry = registry(bed)?;
    let digest = rootfs_fixtures::push(
        &rootfs_fixtures::busybox(Compression::Gzip, Flavour::Oci)?,
        &registry.address(),
        "team/box",
        "v1",
    )?;
    let reference = format!("{}/team/box:v1", registry.address());
    let first = bed.ross(&["pull", &reference])?.ok()?;
    first.clone().says(&digest)?.says(&reference)?;
    bed.ross(&["pull", &reference])?.ok()?.says("up to date")?;
    bed.ross(&["run", "--rm", &reference, "echo", "pulled"])?.ok()?.prints("pulled")?;
    bed.ross(&["rmi", &reference])?.ok()?;
    // `run` pulls what is missing, and says so on stderr only.
    bed.ross(&["run", "--rm", &reference, "echo", "again"])?.ok()?.prints("again")?;
    bed.ross(&["rmi", &reference])?.ok()?;
    bed.ross(&["run", "--rm", "--pull", "never", &reference, "true"])?
        .exits(125)?
        .complains(&[&reference])?;
    Ok(())
}

fn flavours(bed: &mut Bed) -> Result<()> {
    let registry = registry(bed)?;
    for (number, (flavour, compression)) in [
        (Flavour::Oci, Compression::Gzip),
        (Flavour::Oci, Compression::Zstd),
        (Flavour::Oci, Compression::None),
        (Flavour::Docker, Compression::Gzip),
        (Flavour::Docker, Compression::None),
    ]
    .into_iter()
    .enumerate()
    {
        let tag = format!("v{number}");
        let config = serde_json::json!({"Env": [format!("FLAVOUR={number}"), "PATH=/bin"]});
        let image = rootfs_fixtures::busybox_with(&config, compression, flavour)?;
        rootfs_fixtures::push(&image, &registry.address(), "flavours", &tag)?;
        let reference = format!("{}/flavours:{tag}", registry.address());
        bed.ross(&["run", "--rm", &reference, "sh", "-c", "echo $FLAVOUR"])?
            .ok()?
            .prints(&number.to_string())?;
        bed.ross(&["rmi", &reference])?.ok()?;
    }
    Ok(())
}

fn index(bed: &mut Bed) -> Result<()> {
    let registry = registry(bed)?;
    let own = rootfs_fixtures::busybox(Compression::Gzip, Flavour::Oci)?;
    let config = serde_json::json!({"Cmd": ["sh"], "Labels": {"for": "another"}});
    let layers = rootfs_fixtures::busybox(Compression::Zstd, Flavour::Oci)?.layers;
    let other = rootfs_fixtures::Image::for_architecture(layers, &config, Flavour::Oci, "s390x");
    rootfs_fixtures::push_index(&[other, own], Flavour::Oci, &registry.address(), "multi", "1")?;
    let reference = format!("{}/multi:1", registry.address());
    bed.ross(&["run", "--rm", &reference, "echo", "native"])?.ok()?.prints("native")?;
    bed.ross(&["pull", "--platform", "linux/s390x", &reference])?.ok()?;
    bed.ross(&["inspect", "--type", "image", &reference])?.ok()?.says("s390x")?;
    bed.ross(&["pull", "--platform", "linux/mips", &reference])?.complains(&["linux/mips", "s390x"])?;
    bed.ross(&["rmi", "-f", &reference])?.ok()?;
    Ok(())
}

fn digest(bed: &mut Bed) -> Result<()> {
    let registry = registry(bed)?;
    let image = rootfs_fixtures::busybox(Compression::Gzip, Flavour::Oci)?;
    let digest = rootfs_fixtures::push(&image, &registry.address(), "pinned", "1")?;
    let reference = format!("{}/pinned@{digest}", registry.address());
    bed.ross(&["pull", &reference])?.ok()?.says(&digest)?;
    bed.ross(&["run", "--rm", &reference, "true"])?.ok()?;
    bed.ross(&["images", "--digests"])?.ok()?.says(&digest)?;
    bed.ross(&["rmi", &reference])?.ok()?;
    Ok(())
}

fn many_layers(bed: &mut Bed) -> Result<()> {
    let registry = registry(bed)?;
    let image = rootfs_fixtures::many_layers(52, Flavour::Oci);
    rootfs_fixtures::push(&image, &registry.address(), "layers", "1")?;
    let reference = format!("{}/layers:1", registry.address());
    let own = bed.own_daemon()?;
    own.ross(&["pull", &reference])?.ok()?;
    let created = own.ross(&["create", "--name", "tree", &reference, "/bin/true"])?.ok()?;
    ensure!(created.text().len() == 64, "no id: {created:?}");
    own.ross(&["rm", "tree"])?.ok()?;
    own.ross(&["rmi", &reference])?.ok()?;
    // Nothing of it stays on the disk.
    for folder in ["layers", "blobs/sha256"] {
        let left = fs::read_dir(own.root().join(folder))?
            .flatten()
            .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
            .count();
        ensure!(left == 0, "{left} entries stay in {folder} after the only image is removed");
    }
    own.stop()
}

fn shared(bed: &mut Bed) -> Result<()> {
    let registry = registry(bed)?;
    let base = rootfs_fixtures::busybox(Compression::Gzip, Flavour::Oci)?;
    let mut layers = base.layers.clone();
    layers.push(rootfs_fixtures::Layer::new(
        &[rootfs_fixtures::Entry::file("on-top", "more")],
        Compression::Gzip,
    ));
    let top =
        rootfs_fixtures::Image::new(layers, &serde_json::json!({"Cmd": ["cat", "/on-top"]}), Flavour::Oci);
    rootfs_fixtures::push(&base, &registry.address(), "base", "1")?;
    rootfs_fixtures::push(&top, &registry.address(), "top", "1")?;
    let own = bed.own_daemon()?;
    let (base, top) = (format!("{}/base:1", registry.address()), format!("{}/top:1", registry.address()));
    own.ross(&["pull", &base])?.ok()?;
    let pulled = own.ross(&["pull", &top])?.ok()?;
    ensure!(pulled.stderr.contains("Already exists"), "shared layers are pulled again: {}", pulled.stderr);
    own.ross(&["rmi", &base])?.ok()?;
    own.ross(&["run", "--rm", &top])?.ok()?.prints("more")?;
    own.ross(&["rmi", &top])?.ok()?;
    own.stop()
}

fn load(bed: &mut Bed) -> Result<()> {
    let dir = bed.folder("load")?;
    let image = rootfs_fixtures::busybox_with(
        &serde_json::json!({"Cmd": ["echo", "loaded"], "Env": ["PATH=/bin"]}),
        Compression::Gzip,
        Flavour::Docker,
    )?;
    for (name, archive) in
        [("oci", image.oci_archive("loaded:oci")), ("docker", image.docker_archive("loaded:docker"))]
    {
        let path = dir.join(name);
        fs::write(&path, &archive)?;
        let reference = format!("loaded:{name}");
        bed.ross(&["load", "-i", &path.to_string_lossy()])?.ok()?.says(&reference)?;
        bed.ross(&["run", "--rm", &reference])?.ok()?.prints("loaded")?;
        bed.ross(&["rmi", &reference])?.ok()?;
        // The same through a pipe.
        bed.daemon()?.ross_with_input(&["load"], &archive)?.ok()?.says(&reference)?;
        bed.ross(&["rmi", &reference])?.ok()?;
    }
    bed.daemon()?.ross_with_input(&["load"], b"this is no archive")?.complains(&["archive"])?;
    Ok(())
}

fn names(bed: &mut Bed) -> Result<()> {
    bed.ross(&["tag", "busybox", "team/copy:2"])?.ok()?;
    let listed = bed.ross(&["images"])?.ok()?;
    listed.says("REPOSITORY")?.says("team/copy")?;
    let out = bed.ross(&["images", "--format", "json"])?.ok()?;
    let list: serde_json::Value = serde_json::from_str(&out.stdout)?;
    let image =
        list.as_array().and_then(|all| all.iter().find(|one| one.to_string().contains("team/copy:2")));
    let id = image.context("team/copy:2 is not listed")?["id"].as_str().unwrap_or_default().to_owned();
    bed.ross(&["run", "--rm", &id["sha256:".len()..][..10], "echo", "by id"])?.ok()?.prints("by id")?;
    bed.ross(&["image", "inspect", "team/copy:2"])?.ok()?.says(&id)?;
    bed.ross(&["rmi", "team/copy:2"])?.ok()?.says("Untagged: team/copy:2")?;
    bed.ross(&["run", "--rm", "busybox", "true"])?.ok()?;
    bed.ross(&["rmi", "team/copy:2"])?.complains(&["team/copy:2"])?;
    bed.ross(&["tag", "no/such", "x:y"])?.complains(&["no/such"])?;
    bed.ross(&["tag", "busybox", "Not/Valid"])?.complains(&["Not/Valid"])?;
    bed.ross(&["image", "list"])?.ok()?.says("busybox")?;
    Ok(())
}

fn in_use(bed: &mut Bed) -> Result<()> {
    let name = bed.name("user");
    bed.ross(&["tag", "busybox", "used:1"])?.ok()?;
    bed.ross(&["tag", "busybox", "other:2"])?.ok()?;
    bed.ross(&["run", "-d", "--name", &name, "used:1", "sleep", "1000"])?.ok()?;
    // An image that is asked for by one of its names is listed by that name only.
    let listed = bed.ross(&["images", "used:1"])?.ok()?;
    ensure!(listed.stdout.lines().count() == 2, "more than a header and one name: {}", listed.stdout);
    ensure!(!listed.stdout.contains("other") && !listed.stdout.contains("busybox"), "{}", listed.stdout);
    let id = bed.ross(&["images", "-q", "--no-trunc", "used:1"])?.ok()?;
    ensure!(id.text().lines().count() == 1, "one id for one name: {}", id.stdout);
    // By id nothing of it goes while a container runs, not even by force.
    bed.ross(&["rmi", id.text()])?.complains(&["in use", &name])?;
    bed.ross(&["rmi", "-f", id.text()])?.complains(&["in use", &name])?;
    // A name that is not the last is only a name; the last one stays.
    bed.ross(&["rmi", "other:2"])?.ok()?.prints("Untagged: other:2")?;
    bed.ross(&["exec", &name, "true"])?.ok()?;
    bed.ross(&["rm", "-f", &name])?.ok()?;
    bed.ross(&["rmi", "used:1"])?.ok()?.prints("Untagged: used:1")?;
    bed.ross(&["run", "-d", "--name", &name, "busybox", "sleep", "1000"])?.ok()?;
    bed.ross(&["rmi", "busybox"])?.complains(&["busybox", "in use", &name])?;
    bed.ross(&["exec", &name, "true"])?.ok()?;
    bed.ross(&["rm", "-f", &name])?.ok()?;
    bed.ross(&["run", "--rm", "busybox", "true"])?.ok()?;
    Ok(())
}

fn progress(bed: &mut Bed) -> Result<()> {
    let registry = registry(bed)?;
    let image = rootfs_fixtures::many_small_files(200, Compression::Gzip);
    rootfs_fixtures::push(&image, &registry.address(), "files", "1")?;
    let reference = format!("{}/files:1", registry.address());
    let out = bed.ross(&["pull", &reference])?.ok()?;
    let all = format!("{}{}", out.stdout, out.stderr);
    ensure!(!all.contains('\x1b') && !all.contains('\r'), "control characters in a pipe: {all:?}");
    ensure!(all.contains("Pull complete"), "no line for a finished layer: {all:?}");
    bed.ross(&["rmi", &reference])?.ok()?;
    Ok(())
}

fn crash(bed: &mut Bed) -> Result<()> {
    bed.daemon()?.crash_and_restart()?;
    bed.ross(&["images"])?.ok()?.says("busybox")?;
    bed.ross(&["run", "--rm", "busybox", "echo", "whole"])?.ok()?.prints("whole")?;
    Ok(())
}

/// The file with this end of its path, in one of the daemon's layers.
fn in_layers(layers: &Path, end: &str) -> Result<PathBuf> {
    let trees = fs::read_dir(layers)?.flatten().map(|entry| entry.path().join("tree").join(end));
    trees.into_iter().find(|path| path.is_file()).with_context(|| format!("no layer has {end}"))
}

fn verify(bed: &mut Bed) -> Result<()> {
    let registry = registry(bed)?;
    let image = rootfs_fixtures::busybox(Compression::Gzip, Flavour::Oci)?;
    rootfs_fixtures::push(&image, &registry.address(), "whole", "1")?;
    let reference = format!("{}/whole:1", registry.address());
    let own = bed.own_daemon()?;
    own.ross(&["pull", &reference])?.ok()?;
    own.ross(&["image", "verify"])?.ok()?.says("1 image, ")?.says("all as they should be")?;

    let page = in_layers(&own.root().join("layers"), "www/index.html")?;
    fs::write(&page, "changed")?;
    let found = own.ross(&["image", "verify", &reference])?.exits(1)?;
    found.says(&reference)?.says("www/index.html: has 7 bytes instead of")?.says("1 wrong")?;
    let json = own.ross(&["image", "verify", "--format", "json"])?.exits(1)?;
    let json: serde_json::Value = serde_json::from_str(json.text())?;
    ensure!(json["wrong"] == 1 && json["findings"][0]["path"] == "www/index.html", "{json}");

    // A layer that a running container sees is left alone.
    own.ross(&["run", "-d", "--name", "user", &reference, "sleep", "1000"])?.ok()?;
    own.ross(&["image", "verify", "--repair"])?
        .exits(1)?
        .says("container user runs on it; stop the container")?;
    ensure!(fs::read(&page)? == b"changed", "a layer in use was changed");
    own.ross(&["rm", "-f", "user"])?.ok()?;
    own.ross(&["image", "verify", "--repair"])?.ok()?.says("(repaired)")?.says("1 repaired")?;
    own.ross(&["run", "--rm", &reference, "cat", "/www/index.html"])?.ok()?.says("served by ross")?;

    // A blob is fetched again.
    for entry in fs::read_dir(own.root().join("blobs/sha256"))?.flatten() {
        if entry.metadata()?.len() > 10_000 {
            fs::write(entry.path(), "damaged")?;
        }
    }
    own.ross(&["image", "verify"])?.exits(1)?.says("blob sha256:")?;
    own.ross(&["image", "verify", "--repair"])?.ok()?.says("repaired")?;
    own.ross(&["image", "verify"])?.ok()?;
    own.ross(&["image", "verify", "nothing:1"])?.exits(1)?.complains(&["nothing:1"])?;
    own.ross(&["rmi", &reference])?.ok()?;
    own.stop()
}

/// A file system of its own for as long as it exists.
struct Small(PathBuf);

impl Small {
    fn mount(path: &Path) -> Result<Self> {
        let (flags, options) = (rustix::mount::MountFlags::empty(), c"size=48m,mode=755");
        rustix::mount::mount("tmpfs", path, "tmpfs", flags, options).context("mount a tmpfs")?;
        Ok(Self(path.to_owned()))
    }

    /// Takes what is free, to the last page.
    fn fill(&self) -> Result<()> {
        let mut filler = fs::File::create(self.0.join("filler"))?;
        let pages = [0; 1 << 16];
        for length in [1 << 16, 1 << 12] {
            while filler.write(&pages[..length]).is_ok_and(|written| written > 0) {}
        }
        Ok(())
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

/// Removing is what gives space back: it works when there is none, and says so of all else.
fn full_disk(bed: &mut Bed) -> Result<()> {
    let dir = bed.folder("full")?;
    let archive = bed.folder("archive")?.join("busybox.tar");
    let image = rootfs_fixtures::busybox(Compression::Gzip, Flavour::Docker)?;
    fs::write(&archive, image.docker_archive("busybox:latest"))?;
    fs::create_dir(dir.join("root"))?;
    let small = Small::mount(&dir.join("root"))?;
    let own = Daemon::start(&bed.program("."), &dir)?;
    own.ross(&["load", "-i", &archive.to_string_lossy()])?.ok()?;
    small.fill()?;
    let loaded = own.ross(&["load", "-i", &archive.to_string_lossy()])?.exits(1)?;
    loaded.complains(&["No space left on device"])?;
    // The database grows by the pages of each change, until it cannot.
    let mut tagged = own.ross(&["tag", "busybox", "other:0"])?;
    for number in 1..200 {
        if tagged.code != 0 {
            break;
        }
        tagged = own.ross(&["tag", "busybox", &format!("other:{number}")])?;
    }
    tagged.exits(1)?.complains(&["full"])?;
    own.ross(&["image", "rm", "-f", "busybox"])?.ok()?.says("Untagged")?;
    let id = own.ross(&["images", "-q"])?.ok()?.text().lines().next().map(str::to_owned);
    if let Some(id) = id {
        own.ross(&["rmi", "-f", &id])?.ok()?.says("Deleted")?;
    }
    own.ross(&["images", "-q"])?.ok()?.prints("")?;
    let left =
        fs::read_dir(own.root().join("layers"))?.flatten().filter(|entry| entry.file_name() != ".staging");
    ensure!(left.count() == 0, "layers stay");
    own.stop()?;
    drop(small);
    Ok(())
}
