//! What an image unpacks to, entry by entry the same as by umoci and by containers/storage.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use rootfs_fixtures::{Compression, Entry, Flavour, Image, Layer};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::Value;

use crate::harness::{Bed, Case, Daemon, Need, Tree, call};

const UMOCI: Need = Need::Program("umoci", "umoci");
const PODMAN: Need = Need::Program("podman", "podman");
/// An OCI layout with the tag [`TAG`], several layers of a real system; `cargo xtask test` makes it.
const DEBIAN: Need = Need::Fixture("debian");

pub const CASES: &[Case] = &[
    Case { name: "unpack/a-real-debian", needs: &[DEBIAN, UMOCI, PODMAN], run: debian },
    Case { name: "unpack/the-many-layers-fixture", needs: &[UMOCI, PODMAN], run: many_layers },
];

/// What the image is called in its layout.
const TAG: &str = "image";

/// More differences than these are not shown.
const SHOWN: usize = 20;

fn debian(bed: &mut Bed) -> Result<()> {
    let layout = Need::fixture("debian").context("the fixture went away")?;
    let entries = compare(bed, &layout)?;
    ensure!(entries > 5_000, "a Debian has more than {entries} files");
    Ok(())
}

/// The layers without what the peers refuse or get wrong. umoci knows no sparse files, drops attributes without a
/// value, and lets a directory that is nowhere described have the set-group-id bit of the one it is in;
/// containers/storage refuses a name that comes twice, and loses links to links and times before 1970.
fn many_layers(bed: &mut Bed) -> Result<()> {
    let layers = rootfs_fixtures::many_layers_entries(5);
    let all: Vec<Entry> = layers.iter().flatten().cloned().collect();
    let readable = |entry: &&Entry| {
        let without_value = entry.xattrs.iter().any(|(_, value)| value.is_empty());
        let avoided: [&[u8]; 4] =
            [b"var/mail/new", b"swap/last", b"home/user/before", b"usr/share/dangling-too"];
        entry.sparse.is_none() && !without_value && !avoided.iter().any(|name| entry.name.starts_with(name))
    };
    let layers = layers
        .iter()
        .map(|entries| {
            let entries = entries.iter().filter(readable).map(|entry| with_header_of_target(&all, entry));
            Layer::new(&entries.collect::<Vec<_>>(), Compression::Gzip)
        })
        .collect();
    let image = Image::new(layers, &serde_json::json!({"Cmd": ["/bin/true"]}), Flavour::Oci);
    let layout = bed.folder("layout")?;
    image.write_oci_layout(&layout, TAG)?;
    let entries = compare(bed, &layout)?;
    ensure!(entries > 60, "{entries} files are not all");
    Ok(())
}

/// A hard link whose header says of the file what its first header says, as archivers write them: containers/storage
/// takes the last one's word.
fn with_header_of_target(all: &[Entry], entry: &Entry) -> Entry {
    let mut same = entry.clone();
    let mut file = entry;
    while file.kind == b'1' {
        let name = file.link.strip_prefix(b"/").unwrap_or(&file.link);
        let target = all.iter().find(|entry| entry.name.ends_with(name));
        file = target.expect("the fixture has what it links to");
    }
    (same.mode, same.uid, same.gid, same.mtime) = (file.mode, file.uid, file.gid, file.mtime);
    same
}

/// Unpacks the layout's image three times and compares; how many entries there were.
fn compare(bed: &mut Bed, layout: &Path) -> Result<usize> {
    let since = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let own = bed.own_daemon()?;
    let ours = Mounted::new(&own, bed.folder("merged")?, layout)?;
    let tree = Tree::read(&ours.0)?;
    let image = format!("{}:{TAG}", layout.display());

    let bundle = bed.folder("umoci")?.join("bundle");
    run(Command::new("umoci").args(["unpack", "--image", &image]).arg(&bundle))?;
    same(&tree, &bundle.join("rootfs"), "umoci", since)?;
    fs::remove_dir_all(&bundle)?;

    let storage = Storage::new(bed.folder("storage")?)?;
    storage.pull(layout)?;
    let id = storage.run(&["images", "--quiet", "--no-trunc"])?;
    let root = storage.run(&["image", "mount", id.trim()])?;
    same(&tree, Path::new(root.trim()), "containers/storage", since)?;
    storage.run(&["image", "unmount", id.trim()])?;
    storage.run(&["rmi", "--force", id.trim()])?;

    drop(ours);
    own.ross(&["rmi", "--force", &newest(&own)?])?.ok()?;
    Ok(tree.len())
}

fn same(tree: &Tree, root: &Path, peer: &str, since: i64) -> Result<()> {
    let differences = tree.differences(&Tree::read(root)?, peer, since);
    let shown = differences.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("\n");
    ensure!(differences.is_empty(), "{} differences from {peer}:\n{shown}", differences.len());
    Ok(())
}

fn run(command: &mut Command) -> Result<String> {
    let command = std::mem::replace(command, Command::new("true"));
    let shown = format!("{command:?}");
    Ok(call(command, shown, None)?.ok()?.stdout)
}

/// podman with a store of its own, each image a plain folder.
struct Storage(PathBuf);

impl Storage {
    fn new(dir: PathBuf) -> Result<Self> {
        fs::write(dir.join("policy.json"), r#"{"default":[{"type":"insecureAcceptAnything"}]}"#)?;
        Ok(Self(dir))
    }

    /// It takes the path for the image's name, which has no capitals: here the path is the folder's name alone.
    fn pull(&self, layout: &Path) -> Result<()> {
        let (parent, name) = (layout.parent().context("no parent")?, layout.file_name().context("no name")?);
        let mut podman = self.podman();
        podman.current_dir(parent).arg("pull").arg("--signature-policy").arg(self.0.join("policy.json"));
        run(podman.arg(format!("oci:{}:{TAG}", name.display()))).map(|_| ())
    }

    fn run(&self, args: &[&str]) -> Result<String> {
        run(self.podman().args(args))
    }

    fn podman(&self) -> Command {
        let mut podman = Command::new("podman");
        podman.arg("--root").arg(self.0.join("root")).arg("--runroot").arg(self.0.join("run"));
        podman.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "none"]);
        podman
    }
}

/// An image of a daemon's store, its layers put on top of each other as docs/layers.md says.
struct Mounted(PathBuf);

impl Mounted {
    fn new(own: &Daemon, at: PathBuf, layout: &Path) -> Result<Self> {
        let archive = at.with_extension("tar");
        run(Command::new("tar").arg("-C").arg(layout).arg("-cf").arg(&archive).arg("."))?;
        own.ross(&["load", "-i", &archive.to_string_lossy()])?.ok()?;
        fs::remove_file(&archive)?;
        let mut layers = layers(own)?;
        layers.reverse();
        let lower = layers.iter().map(|layer| layer.display().to_string()).collect::<Vec<_>>().join(":");
        let options = std::ffi::CString::new(format!("lowerdir={lower}"))?;
        mount("overlay", &at, "overlay", MountFlags::RDONLY, options.as_c_str())
            .context("mount the layers")?;
        Ok(Self(at))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

fn newest(own: &Daemon) -> Result<String> {
    Ok(own.ross(&["images", "--quiet", "--no-trunc"])?.ok()?.text().to_owned())
}

/// The trees of the daemon's only image, the lowest first.
fn layers(own: &Daemon) -> Result<Vec<PathBuf>> {
    let inspected = own.ross(&["image", "inspect", "--format", "json", &newest(own)?])?.ok()?;
    let inspected: Value = serde_json::from_str(inspected.text())?;
    let wanted = inspected[0]["layers"].as_array().context("no layers in the inspection")?;
    let mut kept = Vec::new();
    for entry in fs::read_dir(own.root().join("layers"))? {
        let dir = entry?.path();
        let Ok(record) = fs::read(dir.join("layer.json")) else { continue };
        kept.push((serde_json::from_slice::<Value>(&record)?, dir.join("tree")));
    }
    let tree = |layer: &Value| {
        let found = kept.iter().find(|(record, _)| record["diff_id"] == layer["diff_id"]);
        found.map(|(_, tree)| tree.clone()).with_context(|| format!("no layer {}", layer["diff_id"]))
    };
    wanted.iter().map(tree).collect()
}
