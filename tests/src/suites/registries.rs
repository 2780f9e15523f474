//! Registries that want to know who asks, and those that others stand in for.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rootfs_fixtures::{Compression, Flavour, Registry, USER};

use crate::harness::{Bed, Case, Need, call};

const REGISTRY: Need = Need::Program("docker-registry", "docker-registry");

pub const CASES: &[Case] = &[
    Case { name: "registries/login-pull-logout", needs: &[REGISTRY, Need::FullSpeed], run: login },
    Case {
        name: "registries/wrong-passwords-are-told-and-not-kept",
        needs: &[REGISTRY, Need::FullSpeed],
        run: wrong,
    },
    Case { name: "registries/mirrors-and-what-they-lack", needs: &[REGISTRY, Need::FullSpeed], run: mirrors },
    Case {
        name: "registries/a-wrong-table-keeps-the-daemon-from-starting",
        needs: &[Need::FullSpeed],
        run: tables,
    },
];

/// A registry that has `team/box:v1` and lets in [`USER`] alone.
fn guarded(bed: &mut Bed) -> Result<Registry> {
    let dir = bed.folder("registry")?;
    let image = rootfs_fixtures::busybox(Compression::Gzip, Flavour::Oci)?;
    {
        let open = Registry::start(&dir)?;
        rootfs_fixtures::push(&image, &open.address(), "team/box", "v1")?;
    }
    Registry::start_with_login(&dir)
}

fn login(bed: &mut Bed) -> Result<()> {
    let registry = guarded(bed)?;
    let address = registry.address();
    let reference = format!("{address}/team/box:v1");
    let own = bed.own_daemon()?;
    own.ross(&["pull", &reference])?.complains(&[&reference, "wants a login"])?;
    let words = ["login", "--username", USER.name, "--password-stdin", &address];
    own.ross_with_input(&words, USER.password.as_bytes())?.ok()?.prints("Login Succeeded")?;
    let kept = fs::read_to_string(own.credentials())?;
    ensure!(kept.contains(&address) && !kept.contains(USER.password), "{kept}");
    own.ross(&["pull", &reference])?.ok()?.says(&reference)?;
    own.ross(&["rmi", &reference])?.ok()?;
    // So do pulls on the way of another command.
    own.ross(&["run", "--rm", &reference, "echo", "pulled"])?.ok()?.prints("pulled")?;
    own.ross(&["login", &address])?.ok()?.says("existing credentials")?.says("Login Succeeded")?;
    own.ross(&["logout", &address])?.ok()?.says(&address)?;
    let kept = fs::read_to_string(own.credentials())?;
    ensure!(!kept.contains(&address), "{kept}");
    own.ross(&["rmi", &reference])?.ok()?;
    own.ross(&["pull", &reference])?.complains(&[&reference, "wants a login"])?;
    own.ross(&["logout", &address])?.ok()?.says("Not logged in")?;
    own.stop()
}

fn wrong(bed: &mut Bed) -> Result<()> {
    let registry = guarded(bed)?;
    let address = registry.address();
    let own = bed.own_daemon()?;
    let words = ["login", "-u", USER.name, "--password-stdin", &address];
    own.ross_with_input(&words, b"wrong")?
        .exits(1)?
        .complains(&[&format!("login at {address}"), "refuses these credentials"])?;
    ensure!(!own.credentials().exists(), "refused credentials are kept");
    drop(registry);
    own.ross_with_input(&words, USER.password.as_bytes())?.complains(&[&address, "cannot connect"])?;
    own.ross_with_input(&["login", "-u", "a", "--password-stdin", "a b"], b"x")?
        .complains(&["`a b` names no registry"])?;
    // Credentials that have become wrong are told at the pull.
    let registry = guarded(bed)?;
    let address = registry.address();
    let packed = "YWRhOm9sZA==";
    fs::create_dir_all(own.credentials().parent().context("the file is in a directory")?)?;
    fs::write(own.credentials(), format!(r#"{{"auths":{{"{address}":{{"auth":"{packed}"}}}}}}"#))?;
    let reference = format!("{address}/team/box:v1");
    own.ross(&["pull", &reference])?.complains(&[&reference, "refuses these credentials"])?;
    own.stop()
}

fn mirrors(bed: &mut Bed) -> Result<()> {
    let (registry_dir, mirror_dir) = (bed.folder("registry")?, bed.folder("mirror")?);
    let (registry, mirror) = (Registry::start(&registry_dir)?, Registry::start(&mirror_dir)?);
    let image = rootfs_fixtures::busybox(Compression::Gzip, Flavour::Oci)?;
    rootfs_fixtures::push(&image, &mirror.address(), "cache/only/mirrored", "1")?;
    rootfs_fixtures::push(&image, &registry.address(), "only/here", "1")?;
    let config = format!(
        "[registries.'{}']\nmirrors = ['127.0.0.1:1', 'http://{}/cache']\n",
        registry.address(),
        mirror.address()
    );
    let own = bed.own_daemon_with(&config)?;
    for name in ["only/mirrored:1", "only/here:1"] {
        let reference = format!("{}/{name}", registry.address());
        own.ross(&["run", "--rm", &reference, "echo", name])?.ok()?.prints(name)?;
        own.ross(&["rmi", &reference])?.ok()?;
    }
    let neither = format!("{}/neither:1", registry.address());
    own.ross(&["pull", &neither])?.complains(&[&neither, "not found at the registry"])?;
    own.stop()
}

fn tables(bed: &mut Bed) -> Result<()> {
    let dir = bed.folder("tables")?;
    let config = dir.join("config.toml");
    for (table, says) in [
        ("[registries.'x:1']\nca = '/nonexistent.pem'\n", "registry \"x:1\": ca /nonexistent.pem"),
        ("[registries.'http://x']\ninsecure = true\n", "registry \"http://x\": expected HOST"),
        ("[registries.'x:1']\nmirrors = ['ftp://y']\n", "mirror `ftp://y`"),
        ("root = '/x'\n[registries.'x:1']\nmirror = ['y']\n", "line 3: unknown field `mirror`"),
    ] {
        fs::write(&config, table)?;
        let mut command = Command::new(bed.program("rossd"));
        command.arg("--config").arg(&config).arg("--root").arg(dir.join("root"));
        command.arg("--state").arg(dir.join("state"));
        call(command, "rossd".to_owned(), None)?.exits(1)?.complains(&[says])?;
        ensure!(!dir.join("root").exists(), "the daemon has begun to work");
    }
    Ok(())
}
