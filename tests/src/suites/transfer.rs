//! Images on their way out and back: pushed to a real registry, saved, loaded, read by others, searched for.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rootfs_fixtures::{Compression, Flavour, Registry};

use crate::harness::{Bed, Case, Daemon, Need};

const REGISTRY: Need = Need::Program("docker-registry", "docker-registry");
const SKOPEO: Need = Need::Program("skopeo", "skopeo");
const PODMAN: Need = Need::Program("podman", "podman");

pub const CASES: &[Case] = &[
    Case { name: "transfer/push-what-was-pulled", needs: &[REGISTRY, Need::FullSpeed], run: push },
    Case { name: "transfer/push-of-all-tags", needs: &[REGISTRY, Need::FullSpeed], run: all_tags },
    Case {
        name: "transfer/push-of-what-was-loaded",
        needs: &[REGISTRY, SKOPEO, Need::FullSpeed],
        run: push_loaded,
    },
    Case { name: "transfer/push-that-cannot-be", needs: &[REGISTRY, Need::FullSpeed], run: bad_pushes },
    Case { name: "transfer/save-and-load", needs: &[REGISTRY, Need::FullSpeed], run: save_and_load },
    Case {
        name: "transfer/skopeo-reads-both-forms",
        needs: &[REGISTRY, SKOPEO, Need::FullSpeed],
        run: skopeo,
    },
    Case { name: "transfer/podman-loads", needs: &[PODMAN, Need::FullSpeed], run: podman },
    Case { name: "transfer/a-save-that-cannot-be", needs: &[Need::FullSpeed], run: bad_saves },
    Case { name: "transfer/search-in-a-catalog", needs: &[REGISTRY, Need::FullSpeed], run: search },
];

fn registry(bed: &mut Bed) -> Result<Registry> {
    let dir = bed.folder("registry")?;
    Registry::start(&dir)
}

/// Runs another program; its standard output.
fn run(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program).args(args).output().with_context(|| format!("start {program}"))?;
    ensure!(
        output.status.success(),
        "{program} {args:?}: {}{}",
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The id and the manifest's digest of an image of `daemon`.
fn identity(daemon: &Daemon, name: &str) -> Result<(String, String)> {
    let out = daemon.ross(&["image", "inspect", name])?.ok()?;
    let shown: serde_json::Value = serde_json::from_str(&out.stdout)?;
    let text =
        |key: &str| shown[0][key].as_str().map(str::to_owned).with_context(|| format!("no {key}: {shown}"));
    Ok((text("id")?, text("manifest_digest")?))
}

fn push(bed: &mut Bed) -> Result<()> {
    let registry = registry(bed)?;
    let own = bed.own_daemon()?;
    for (number, flavour) in [Flavour::Oci, Flavour::Docker].into_iter().enumerate() {
        let image = rootfs_fixtures::busybox_with(
            &serde_json::json!({"Cmd": ["echo", "pushed"], "Labels": {"number": number.to_string()}, "Env": ["PATH=/bin"]}),
            Compression::Gzip,
            flavour,
        )?;
        let source = format!("team/source{number}");
        let digest = rootfs_fixtures::push(&image, &registry.address(), &source, "v1")?;
        let reference = format!("{}/{source}:v1", registry.address());
        own.ross(&["pull", &reference])?.ok()?;
        let target = format!("{}/other/copy{number}:v2", registry.address());
        own.ross(&["tag", &reference, &target])?.ok()?;
        let pushed = own.ross(&["push", &target])?.ok()?;
        let told = format!("v2: digest: {digest} size: ");
        ensure!(pushed.stdout.starts_with(&told), "not `{told}`: {}", pushed.stdout);
        ensure!(pushed.stderr.contains("Mounted from team/source"), "not mounted: {}", pushed.stderr);
        let again = own.ross(&["push", &target])?.ok()?;
        ensure!(again.stderr.contains("Layer already exists"), "sent again: {}", again.stderr);
        own.ross(&["push", "-q", &target])?.ok()?.prints(&target)?;
        // Another registry has nothing to mount from.
        let dir = bed.folder("second")?;
        let second = Registry::start(&dir)?;
        let far = format!("{}/far:1", second.address());
        own.ross(&["tag", &reference, &far])?.ok()?;
        let pushed = own.ross(&["push", &far])?.ok()?;
        ensure!(pushed.stderr.contains("Pushed") && pushed.stdout.contains(&digest), "{pushed:?}");
        let (id, _) = identity(&own, &reference)?;
        own.ross(&["rmi", "-f", &id])?.ok()?;
        own.ross(&["pull", &far])?.ok()?.says(&digest)?;
        own.ross(&["run", "--rm", &far])?.ok()?.prints("pushed")?;
        ensure!(identity(&own, &far)? == (id, digest.clone()), "another image came back");
        own.ross(&["pull", &target])?.ok()?.says(&digest)?;
    }
    own.stop()
}

fn all_tags(bed: &mut Bed) -> Result<()> {
    let registry = registry(bed)?;
    let name = format!("{}/many", registry.address());
    for tag in ["2", "1"] {
        bed.ross(&["tag", "busybox", &format!("{name}:{tag}")])?.ok()?;
    }
    let pushed = bed.ross(&["push", "--all-tags", &name])?.ok()?;
    let lines: Vec<&str> = pushed.stdout.lines().collect();
    ensure!(
        lines.len() == 2 && lines[0].starts_with("1: digest: ") && lines[1].starts_with("2: digest: "),
        "{pushed:?}"
    );
    for tag in ["1", "2"] {
        bed.ross(&["rmi", &format!("{name}:{tag}")])?.ok()?;
        bed.ross(&["pull", &format!("{name}:{tag}")])?.ok()?;
        bed.ross(&["rmi", &format!("{name}:{tag}")])?.ok()?;
    }
    Ok(())
}

/// What was loaded from a docker archive has a manifest of ross's making, which others have to understand.
fn push_loaded(bed: &mut Bed) -> Result<()> {
    let registry = registry(bed)?;
    let name = format!("{}/loaded:1", registry.address());
    bed.ross(&["tag", "busybox", &name])?.ok()?;
    bed.ross(&["push", &name])?.ok()?;
    let (id, _) = identity(bed.daemon()?, "busybox")?;
    let source = format!("docker://{name}");
    let raw = run("skopeo", &["inspect", "--tls-verify=false", "--raw", &source])?;
    let manifest: serde_json::Value = serde_json::from_str(&raw)?;
    ensure!(manifest["config"]["digest"] == id.as_str(), "{raw}");
    let dir = bed.folder("copy")?;
    let target = format!("oci:{}:x", dir.join("oci").display());
    run("skopeo", &["--insecure-policy", "copy", "--src-tls-verify=false", &source, &target])?;
    bed.ross(&["rmi", &name])?.ok()?;
    Ok(())
}

fn bad_pushes(bed: &mut Bed) -> Result<()> {
    let registry = registry(bed)?;
    let none = format!("{}/none:1", registry.address());
    bed.ross(&["push", &none])?.complains(&[&format!("no such image: {none}")])?;
    bed.ross(&["push", "--all-tags", &none])?.complains(&[&none, "--all-tags"])?;
    bed.ross(&["push", "--all-tags", &format!("{}/none", registry.address())])?
        .complains(&["no such image"])?;
    let digest = format!("{}/x@sha256:{}", registry.address(), "ab".repeat(32));
    bed.ross(&["push", &digest])?.complains(&[&digest, "give a name with a tag"])?;
    bed.ross(&["push", "Not/Valid"])?.complains(&["Not/Valid"])?;
    // Nobody listens.
    let closed = format!("127.0.0.1:{}/x:1", rootfs_fixtures::free_port()?);
    bed.ross(&["tag", "busybox", &closed])?.ok()?;
    bed.ross(&["push", &closed])?.complains(&[&closed, "cannot connect to the registry"])?;
    bed.ross(&["rmi", &closed])?.ok()?;
    Ok(())
}

fn save_and_load(bed: &mut Bed) -> Result<()> {
    let registry = registry(bed)?;
    let dir = bed.folder("save")?;
    let (first, second) = (bed.own_daemon()?, bed.own_daemon()?);
    let image = rootfs_fixtures::many_layers(12, Flavour::Docker);
    rootfs_fixtures::push(&image, &registry.address(), "layers", "1")?;
    let runs = rootfs_fixtures::busybox_with(
        &serde_json::json!({"Cmd": ["echo", "saved"], "Env": ["PATH=/bin"]}),
        Compression::Zstd,
        Flavour::Oci,
    )?;
    rootfs_fixtures::push(&runs, &registry.address(), "runs", "1")?;
    for name in ["layers", "runs"] {
        let reference = format!("{}/{name}:1", registry.address());
        first.ross(&["pull", &reference])?.ok()?;
        first.ross(&["tag", &reference, &format!("{name}:a")])?.ok()?;
        first.ross(&["tag", &reference, &format!("{name}:b")])?.ok()?;
    }
    let path = |name: &str| dir.join(name).display().to_string();
    first.ross(&["save", "-o", &path("one.tar"), "layers:a", "runs"])?.ok()?.prints("")?;
    first.ross(&["image", "save", "-o", &path("two.tar"), "layers:a", "runs"])?.ok()?;
    ensure!(fs::read(dir.join("one.tar"))? == fs::read(dir.join("two.tar"))?, "two saves differ");
    let loaded = second.ross(&["load", "-i", &path("one.tar")])?.ok()?;
    loaded.prints("Loaded image: layers:a\nLoaded image: runs:a\nLoaded image: runs:b")?;
    for name in ["layers:a", "runs:b"] {
        ensure!(identity(&first, name)? == identity(&second, name)?, "{name} has changed");
    }
    second.ross(&["run", "--rm", "runs:a"])?.ok()?.prints("saved")?;
    second.ross(&["rmi", "-f", "layers:a", "runs:a", "runs:b"])?.ok()?;
    // Through pipes, and from the directory of a layout.
    let script = format!(
        "{0} save runs:a | {0} --host {1} load && mkdir {2} && tar -xf {3} -C {2} && {0} --host {1} rmi runs:a && {0} --host {1} load -i {2}",
        bed.program("ross").display(),
        second.host(),
        path("layout"),
        path("one.tar")
    );
    let out = Command::new("sh").args(["-c", &script]).env("ROSS_HOST", first.host()).output()?;
    ensure!(out.status.success(), "{script}: {}", String::from_utf8_lossy(&out.stderr));
    let told = String::from_utf8_lossy(&out.stdout).into_owned();
    ensure!(told.starts_with("Loaded image: runs:a\n") && told.ends_with("Loaded image: runs:b\n"), "{told}");
    second.ross(&["run", "--rm", "runs:b"])?.ok()?.prints("saved")?;
    second.ross(&["rmi", "-f", "layers:a", "runs:a", "runs:b"])?.ok()?;
    first.stop()?;
    second.stop()
}

fn skopeo(bed: &mut Bed) -> Result<()> {
    let registry = registry(bed)?;
    let own = bed.own_daemon()?;
    for (number, (flavour, compression)) in [
        (Flavour::Oci, Compression::Gzip),
        (Flavour::Docker, Compression::Gzip),
        (Flavour::Oci, Compression::None),
    ]
    .into_iter()
    .enumerate()
    {
        let config = serde_json::json!({"Labels": {"number": number.to_string()}});
        let image = rootfs_fixtures::busybox_with(&config, compression, flavour)?;
        rootfs_fixtures::push(&image, &registry.address(), "app", &format!("v{number}"))?;
        let reference = format!("{}/app:v{number}", registry.address());
        own.ross(&["pull", &reference])?.ok()?;
        own.ross(&["tag", &reference, &format!("saved:v{number}")])?.ok()?;
    }
    let dir = bed.folder("skopeo")?;
    let file = dir.join("saved.tar").display().to_string();
    own.ross(&["save", "-o", &file, "saved"])?.ok()?;
    for number in 0..3 {
        let (id, digest) = identity(&own, &format!("saved:v{number}"))?;
        // In a layout skopeo 1.9 finds OCI manifests alone, and the second image has docker's.
        let layout = (number != 1).then(|| format!("oci-archive:{file}:v{number}"));
        for source in [format!("docker-archive:{file}:saved:v{number}")].into_iter().chain(layout) {
            let shown = run("skopeo", &["inspect", &source])?;
            ensure!(shown.contains(&format!("\"number\": \"{number}\"")), "{source}: {shown}");
            let copy = dir.join(source.replace(['/', ':'], "_"));
            let target = format!("dir:{}", copy.display());
            run("skopeo", &["--insecure-policy", "copy", &source, &target])?;
            ensure!(config_of(&copy)? == id, "{source} is another image");
            if source.starts_with("oci") {
                ensure!(shown.contains(&digest), "{source}: {shown}");
            }
        }
    }
    // And the other way round: what skopeo writes is loaded.
    for (form, name) in [("docker-archive", ":back:docker"), ("oci-archive", ":back:oci")] {
        let path = dir.join(form).display().to_string();
        let source = format!("docker-archive:{file}:saved:v1");
        run("skopeo", &["--insecure-policy", "copy", &source, &format!("{form}:{path}{name}")])?;
        let loaded = own.ross(&["load", "-i", &path])?.ok()?;
        loaded.says(&format!("back:{}", name.rsplit(':').next().unwrap_or_default()))?;
    }
    own.stop()
}

/// The configuration's digest of an image that skopeo copied to a directory.
fn config_of(dir: &Path) -> Result<String> {
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(dir.join("manifest.json"))?)?;
    Ok(manifest["config"]["digest"].as_str().unwrap_or_default().to_owned())
}

fn podman(bed: &mut Bed) -> Result<()> {
    let dir = bed.folder("podman")?;
    let path = |name: &str| dir.join(name).display().to_string();
    bed.ross(&["save", "-o", &path("saved.tar"), "busybox"])?.ok()?;
    let (id, _) = identity(bed.daemon()?, "busybox")?;
    let (root, runroot) = (path("root"), path("run"));
    let store = ["--root", &root, "--runroot", &runroot, "--storage-driver", "vfs"];
    let podman = |args: &[&str]| run("podman", &[&store[..], args].concat());
    podman(&["load", "-i", &path("saved.tar")])?
        .contains("busybox")
        .then_some(())
        .context("no busybox loaded")?;
    let shown = podman(&["images", "--no-trunc", "--format", "{{.ID}}"])?;
    ensure!(shown.trim() == id, "{shown} is not {id}");
    // What podman saves is loaded, in both of its forms.
    for form in ["docker-archive", "oci-archive"] {
        podman(&["tag", "busybox", &format!("localhost/from-podman:{form}")])?;
        podman(&["save", "--format", form, "-o", &path(form), &format!("localhost/from-podman:{form}")])?;
        let loaded = bed.ross(&["load", "-i", &path(form)])?.ok()?;
        loaded.says(&format!("localhost/from-podman:{form}"))?;
        bed.ross(&["run", "--rm", &format!("localhost/from-podman:{form}"), "echo", "fine"])?
            .ok()?
            .prints("fine")?;
        bed.ross(&["rmi", &format!("localhost/from-podman:{form}")])?.ok()?;
    }
    Ok(())
}

fn bad_saves(bed: &mut Bed) -> Result<()> {
    let dir = bed.folder("bad")?;
    let file = dir.join("x.tar").display().to_string();
    bed.ross(&["save", "-o", &file, "busybox", "nope"])?.complains(&["no such image: nope:latest"])?;
    bed.ross(&["save", "-o", &file, "Not/Valid"])?.complains(&["Not/Valid"])?;
    bed.ross(&["save", "-o", &dir.display().to_string(), "busybox"])?.complains(&["is a directory"])?;
    ensure!(fs::read_dir(&dir)?.next().is_none(), "something is left in {}", dir.display());
    // Whoever leaves in the middle is no trouble.
    let script = format!("{} save busybox | head -c 1000 | wc -c", bed.program("ross").display());
    let host = bed.daemon()?.host();
    let out = Command::new("sh").args(["-c", &script]).env("ROSS_HOST", host).output()?;
    ensure!(String::from_utf8_lossy(&out.stdout).trim() == "1000", "{out:?}");
    bed.ross(&["run", "--rm", "busybox", "true"])?.ok()?;
    bed.ross(&["load", "-i", &dir.display().to_string()])?.complains(&["no index.json"])?;
    Ok(())
}

fn search(bed: &mut Bed) -> Result<()> {
    let registry = registry(bed)?;
    let image = rootfs_fixtures::busybox(Compression::Gzip, Flavour::Oci)?;
    for name in ["team/web", "team/worker", "other/web-server"] {
        rootfs_fixtures::push(&image, &registry.address(), name, "1")?;
    }
    let address = registry.address();
    let found = bed.ross(&["search", &format!("{address}/web")])?.ok()?;
    found
        .clone()
        .says("NAME")?
        .says(&format!("{address}/team/web"))?
        .says(&format!("{address}/other/web-server"))?;
    ensure!(found.stdout.lines().count() == 3, "{}", found.stdout);
    let one = bed.ross(&["search", "--limit", "1", &format!("{address}/")])?.ok()?;
    ensure!(one.stdout.lines().count() == 2, "{}", one.stdout);
    let none = bed.ross(&["search", "-f", "is-official=true", &format!("{address}/web")])?.ok()?;
    ensure!(none.stdout.lines().count() == 1, "{}", none.stdout);
    bed.ross(&["search", "--limit", "0", "x"])?.exits(125)?.complains(&["--limit"])?;
    bed.ross(&["search", "-f", "color=red", &format!("{address}/web")])?
        .complains(&["color", "is-official"])?;
    let closed = format!("127.0.0.1:{}", rootfs_fixtures::free_port()?);
    bed.ross(&["search", &format!("{closed}/web")])?.complains(&[&closed, "cannot connect"])?;
    Ok(())
}
