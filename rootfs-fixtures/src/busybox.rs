//! A small real system: Debian's static busybox, with what programs expect to find around it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::image::Flavour;
use crate::{Compression, Entry, Image, Layer};

const BUSYBOX: &str = "/bin/busybox";
/// What `busybox httpd -f -h /www` answers with for `/`.
pub const INDEX_HTML: &str = "<html><body>served by ross</body></html>\n";

/// The busybox image: `sh` by default, `/bin` full of applets, `/www/index.html` to serve.
pub fn busybox(compression: Compression, flavour: Flavour) -> Result<Image> {
    busybox_with(&json!({}), compression, flavour)
}

/// The same with keys of the `config` object set: `{"Cmd": ["httpd", "-f"], "User": "app"}`.
pub fn busybox_with(config: &serde_json::Value, compression: Compression, flavour: Flavour) -> Result<Image> {
    let mut whole = json!({
        "Cmd": ["sh"],
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    });
    for (key, value) in config.as_object().into_iter().flatten() {
        whole[key] = value.clone();
    }
    let layers = vec![Layer::new(&system()?, compression), Layer::new(&site(), compression)];
    Ok(Image::new(layers, &whole, flavour))
}

fn system() -> Result<Vec<Entry>> {
    let program = std::fs::read(BUSYBOX)
        .with_context(|| format!("{BUSYBOX} is missing: install Debian's busybox-static"))?;
    let dirs = ["./", "bin/", "dev/", "etc/", "home/", "proc/", "sys/", "usr/", "usr/bin/", "var/", "run/"];
    let mut entries: Vec<Entry> = dirs.iter().map(Entry::dir).collect();
    entries.push(Entry::dir("root/").mode(0o700));
    entries.push(Entry::dir("tmp/").mode(0o1777));
    entries.push(Entry::dir("home/app/").owner(1000, 1000));
    entries.push(Entry::file("bin/busybox", program).mode(0o755));
    entries.extend(applets()?.iter().map(|name| Entry::symlink(format!("bin/{name}"), "busybox")));
    entries.push(Entry::symlink("usr/bin/env", "../../bin/busybox"));
    entries.push(Entry::file("etc/passwd", PASSWD));
    entries.push(Entry::file("etc/group", GROUP));
    entries.push(Entry::file("etc/shadow", "root:*:::::::\napp:*:::::::\n").mode(0o640).owner(0, 42));
    entries.push(Entry::file("etc/os-release", "ID=ross-fixture\nPRETTY_NAME=\"ross fixture\"\n"));
    Ok(entries)
}

fn site() -> Vec<Entry> {
    vec![Entry::dir("www/"), Entry::file("www/index.html", INDEX_HTML)]
}

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n\
    app:x:1000:1000:app:/home/app:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\nshadow:x:42:\nextra:x:900:app\napp:x:1000:\nnogroup:x:65534:\n";

fn applets() -> Result<Vec<String>> {
    ensure!(Path::new(BUSYBOX).exists(), "{BUSYBOX} is missing: install Debian's busybox-static");
    let listed = Command::new(BUSYBOX).arg("--list").output().context("list busybox's applets")?;
    let names = String::from_utf8(listed.stdout)?;
    Ok(names.lines().filter(|name| *name != "busybox").map(str::to_owned).collect())
}
