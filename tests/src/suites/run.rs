//! `ross run` in the foreground and detached: output, exit codes, and what the usual flags do inside.

use std::fs;

use anyhow::{Result, ensure};

use crate::harness::{Bed, Case, Output};

pub const CASES: &[Case] = &[
    Case { name: "run/shows-output-on-both-streams", needs: &[], run: output },
    Case { name: "run/passes-stdin", needs: &[], run: stdin },
    Case { name: "run/exit-codes", needs: &[], run: exit_codes },
    Case { name: "run/environment-workdir-user-hostname", needs: &[], run: identity },
    Case { name: "run/entrypoint-and-command", needs: &[], run: entrypoint },
    Case { name: "run/mounts", needs: &[], run: mounts },
    Case { name: "run/named-volume-outlives-container", needs: &[], run: volume },
    Case { name: "run/read-only-and-tmpfs", needs: &[], run: read_only },
    Case { name: "run/namespaces-are-private", needs: &[], run: namespaces },
    Case { name: "run/groups", needs: &[], run: groups },
    Case { name: "run/capabilities", needs: &[], run: capabilities },
    Case { name: "run/seccomp", needs: &[], run: seccomp },
    Case { name: "run/system-paths-are-masked", needs: &[], run: masked },
    Case { name: "run/ulimits-and-sysctls", needs: &[], run: ulimits },
    Case { name: "run/devices", needs: &[], run: devices },
    Case { name: "run/cidfile-labels-and-rm", needs: &[], run: cidfile },
    Case { name: "run/no-host-descriptor-leaks-in", needs: &[], run: descriptors },
];

fn output(bed: &mut Bed) -> Result<()> {
    bed.ross(&["run", "--rm", "busybox", "echo", "hi"])?.ok()?.prints("hi")?;
    let both = bed.ross(&["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2"])?.ok()?;
    ensure!(both.stdout == "out\n" && both.stderr == "err\n", "streams are mixed: {both:?}");
    let long = bed.ross(&["run", "--rm", "busybox", "seq", "1", "50000"])?.ok()?;
    ensure!(long.stdout.lines().count() == 50_000, "{} of 50000 lines arrived", long.stdout.lines().count());
    Ok(())
}

fn stdin(bed: &mut Bed) -> Result<()> {
    let input = "line\n".repeat(20_000);
    let echoed =
        bed.daemon()?.ross_with_input(&["run", "--rm", "-i", "busybox", "cat"], input.as_bytes())?.ok()?;
    ensure!(echoed.stdout == input, "{} of {} bytes came back", echoed.stdout.len(), input.len());
    // Without -i the container's stdin is empty.
    bed.daemon()?.ross_with_input(&["run", "--rm", "busybox", "wc", "-c"], b"abc")?.ok()?.prints("0")?;
    Ok(())
}

fn exit_codes(bed: &mut Bed) -> Result<()> {
    for (args, code) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["/nope"], 127),
        (&["nope"], 127),
        (&["/etc/passwd"], 126),
        (&["/etc"], 126),
    ] {
        bed.ross(&[&["run", "--rm", "busybox"], args].concat())?.exits(code)?;
    }
    bed.ross(&["run", "--rm", "--memory", "nonsense", "busybox", "true"])?
        .exits(125)?
        .complains(&["nonsense"])?;
    bed.ross(&["run", "--rm", "--no-such-flag", "busybox"])?.exits(125)?;
    Ok(())
}

fn identity(bed: &mut Bed) -> Result<()> {
    let print = "echo $FOO $(pwd) $(id -u):$(id -g) $(hostname)";
    let args = ["-e", "FOO=bar", "-w", "/tmp", "-u", "1000:1001", "-h", "box", "busybox", "sh", "-c", print];
    bed.ross(&[&["run", "--rm"], &args[..]].concat())?.ok()?.prints("bar /tmp 1000:1001 box")?;
    // A working directory that is missing is made, as docker does; a user is looked up in the container.
    bed.ross(&["run", "--rm", "-w", "/made/up", "busybox", "pwd"])?.ok()?.prints("/made/up")?;
    bed.ross(&["run", "--rm", "-u", "nobody", "busybox", "id", "-un"])?.ok()?.prints("nobody")?;
    bed.ross(&["run", "--rm", "-u", "ghost", "busybox", "true"])?.exits(125)?.complains(&["ghost"])?;
    bed.ross(&["run", "--rm", "busybox", "sh", "-c", "echo $HOME $PATH"])?
        .ok()?
        .says("/root")?
        .says("/bin")?;
    bed.ross(&["run", "--rm", "--group-add", "1234", "busybox", "id", "-G"])?.ok()?.says("1234")?;
    Ok(())
}

fn entrypoint(bed: &mut Bed) -> Result<()> {
    bed.ross(&["run", "--rm", "--entrypoint", "echo", "busybox", "a", "b"])?.ok()?.prints("a b")?;
    bed.ross(&["run", "--rm", "--entrypoint", "", "busybox", "echo", "c"])?.ok()?.prints("c")?;
    Ok(())
}

fn mounts(bed: &mut Bed) -> Result<()> {
    let dir = bed.folder("bind")?;
    fs::write(dir.join("file"), "from the host")?;
    let at = |target: &str| format!("{}:{target}", dir.display());
    bed.ross(&["run", "--rm", "-v", &at("/data"), "busybox", "cat", "/data/file"])?
        .ok()?
        .prints("from the host")?;
    bed.ross(&["run", "--rm", "-v", &at("/data"), "busybox", "sh", "-c", "echo new > /data/new"])?.ok()?;
    ensure!(fs::read_to_string(dir.join("new"))? == "new\n", "a write through a bind mount is lost");
    let read_only = at("/data:ro");
    bed.ross(&["run", "--rm", "-v", &read_only, "busybox", "touch", "/data/x"])?.complains(&["Read-only"])?;
    let long = format!("type=bind,source={},target=/data,readonly", dir.display());
    bed.ross(&["run", "--rm", "--mount", &long, "busybox", "touch", "/data/x"])?.complains(&["Read-only"])?;
    bed.ross(&["run", "--rm", "--mount", "type=bind,source=/no/such,target=/d", "busybox", "true"])?
        .exits(125)?
        .complains(&["/no/such"])?;
    // A single file can be mounted, too.
    let file = format!("{}:/etc/motd:ro", dir.join("file").display());
    bed.ross(&["run", "--rm", "-v", &file, "busybox", "cat", "/etc/motd"])?.ok()?.prints("from the host")?;
    Ok(())
}

fn volume(bed: &mut Bed) -> Result<()> {
    let name = bed.name("volume");
    let at = format!("{name}:/etc");
    // First use copies what the image has there, with its owner.
    bed.ross(&[
        "run",
        "--rm",
        "-v",
        &at,
        "busybox",
        "sh",
        "-c",
        "cat /etc/passwd | wc -l; echo kept > /etc/kept",
    ])?
    .ok()?;
    let again = format!("{name}:/data");
    bed.ross(&["run", "--rm", "-v", &again, "busybox", "cat", "/data/kept"])?.ok()?.prints("kept")?;
    bed.ross(&["run", "--rm", "-v", &again, "busybox", "cat", "/data/passwd"])?.ok()?.says("root")?;
    // One without a name goes with its container, unless another mounts it, too; then with that one.
    let (first, second) = (bed.name("first"), bed.name("second"));
    bed.ross(&["run", "-d", "--name", &first, "-v", "/shared", "busybox", "sleep", "1000"])?.ok()?;
    bed.ross(&["run", "-d", "--name", &second, "--volumes-from", &first, "busybox", "sleep", "1000"])?
        .ok()?;
    bed.ross(&["exec", &first, "touch", "/shared/precious"])?.ok()?;
    bed.ross(&["rm", "-f", "-v", &first])?.ok()?;
    bed.ross(&["exec", &second, "ls", "/shared"])?.ok()?.prints("precious")?;
    bed.ross(&["rm", "-f", "-v", &second])?.ok()?;
    let nameless = |volume: &fs::DirEntry| volume.file_name().len() == 64;
    let left = fs::read_dir(bed.daemon()?.root().join("volumes"))?.flatten().filter(nameless).count();
    ensure!(left == 0, "{left} volumes without a name stay");
    Ok(())
}

fn read_only(bed: &mut Bed) -> Result<()> {
    bed.ross(&["run", "--rm", "--read-only", "busybox", "touch", "/x"])?.complains(&["Read-only"])?;
    let args = ["run", "--rm", "--read-only", "--tmpfs", "/scratch:size=1m", "busybox", "sh", "-c"];
    bed.ross(&[&args[..], &["touch /scratch/x && df -k /scratch | tail -1"]].concat())?.ok()?.says("1024")?;
    Ok(())
}

fn namespaces(bed: &mut Bed) -> Result<()> {
    for kind in ["mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        let own = fs::read_link(format!("/proc/self/ns/{kind}"))?.to_string_lossy().into_owned();
        let path = format!("/proc/self/ns/{kind}");
        let inside = bed.ross(&["run", "--rm", "busybox", "readlink", &path])?.ok()?;
        ensure!(inside.text() != own, "the container shares the host's {kind} namespace");
    }
    bed.ross(&["run", "--rm", "busybox", "sh", "-c", "echo $$"])?.ok()?.prints("1")?;
    let host = fs::read_link("/proc/self/ns/uts")?.to_string_lossy().into_owned();
    bed.ross(&["run", "--rm", "--uts", "host", "busybox", "readlink", "/proc/self/ns/uts"])?
        .ok()?
        .prints(&host)?;
    Ok(())
}

fn groups(bed: &mut Bed) -> Result<()> {
    let name = bed.name("groups");
    let show = ["grep", "Groups:", "/proc/self/status"];
    let groups = |out: &Output, expected: &str| -> Result<()> {
        let have: Vec<&str> = out.stdout.split_whitespace().skip(1).collect();
        ensure!(have.join(" ") == expected, "groups are {have:?} instead of {expected}");
        Ok(())
    };
    // Were the primary group missing, a set-group-id program could shed it: CVE-2022-36109.
    let main = ["run", "--rm", "-u", "7:8", "--group-add", "9", "busybox"];
    groups(&bed.ross(&[&main[..], &show].concat())?.ok()?, "8 9")?;
    bed.ross(&["run", "-d", "--name", &name, "-u", "7:8", "busybox", "sleep", "1000"])?.ok()?;
    groups(&bed.ross(&[&["exec", &name], &show[..]].concat())?.ok()?, "8")?;
    groups(&bed.ross(&[&["exec", "-u", "7:11", &name], &show[..]].concat())?.ok()?, "11")?;
    bed.ross(&["rm", "-f", &name])?.ok()?;
    Ok(())
}

fn capabilities(bed: &mut Bed) -> Result<()> {
    let show = ["busybox", "grep", "-E", "^Cap(Inh|Eff|Bnd)", "/proc/self/status"];
    // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, SYS_CHROOT, SETFCAP.
    let default = bed.ross(&[&["run", "--rm"], &show[..]].concat())?.ok()?;
    for line in ["CapInh:\t0000000000000000", "CapEff:\t00000000800405fb", "CapBnd:\t00000000800405fb"] {
        default.clone().says(line)?;
    }
    let none = bed.ross(&[&["run", "--rm", "--cap-drop", "ALL"], &show[..]].concat())?.ok()?;
    none.says("CapBnd:\t0000000000000000")?;
    let one = ["run", "--rm", "--cap-drop", "ALL", "--cap-add", "NET_RAW"];
    bed.ross(&[&one[..], &show[..]].concat())?.ok()?.says("CapEff:\t0000000000002000")?;
    bed.ross(&["run", "--rm", "--cap-add", "NONSENSE", "busybox", "true"])?
        .exits(125)?
        .complains(&["NONSENSE"])?;
    // All of them are those that the daemon has: here, those of the one that runs it.
    let status = fs::read_to_string("/proc/self/status")?;
    let all = status.lines().find(|line| line.starts_with("CapBnd:")).unwrap_or("no CapBnd");
    for extra in ["--cap-add=ALL", "--privileged"] {
        bed.ross(&[&["run", "--rm", extra], &show[..]].concat())?.ok()?.says(all)?;
    }
    let nnp = [
        "run",
        "--rm",
        "--security-opt",
        "no-new-privileges",
        "busybox",
        "grep",
        "NoNewPrivs",
        "/proc/self/status",
    ];
    bed.ross(&nnp)?.ok()?.says("1")?;
    Ok(())
}

fn seccomp(bed: &mut Bed) -> Result<()> {
    let show = ["busybox", "grep", "Seccomp:", "/proc/self/status"];
    bed.ross(&[&["run", "--rm"], &show[..]].concat())?.ok()?.says("2")?;
    let off = ["run", "--rm", "--security-opt", "seccomp=unconfined"];
    bed.ross(&[&off[..], &show[..]].concat())?.ok()?.says("0")?;
    // The default profile refuses new user namespaces and mounts to one without CAP_SYS_ADMIN.
    bed.ross(&["run", "--rm", "busybox", "unshare", "-U", "true"])?.complains(&["not permitted"])?;
    let profile = bed.folder("seccomp")?.join("profile.json");
    fs::write(
        &profile,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
            {"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":95}]}"#,
    )?;
    let option = format!("seccomp={}", profile.display());
    bed.ross(&["run", "--rm", "--security-opt", &option, "busybox", "mkdir", "/x"])?
        .complains(&["not supported"])?;
    Ok(())
}

fn masked(bed: &mut Bed) -> Result<()> {
    bed.ross(&["run", "--rm", "busybox", "sh", "-c", "cat /proc/kcore | wc -c"])?.ok()?.prints("0")?;
    bed.ross(&["run", "--rm", "busybox", "sh", "-c", "ls /sys/firmware | wc -l"])?.ok()?.prints("0")?;
    let write = "echo 1 > /proc/sys/kernel/randomize_va_space";
    bed.ross(&["run", "--rm", "busybox", "sh", "-c", write])?.complains(&["Read-only"])?;
    bed.ross(&["run", "--rm", "busybox", "mkdir", "/sys/fs/cgroup/x"])?.complains(&["Read-only"])?;
    Ok(())
}

fn ulimits(bed: &mut Bed) -> Result<()> {
    let args = ["run", "--rm", "--ulimit", "nofile=100:200", "busybox", "sh", "-c", "ulimit -n; ulimit -Hn"];
    bed.ross(&args)?.ok()?.prints("100\n200")?;
    let sysctl =
        ["--sysctl", "net.ipv4.ip_default_ttl=33", "busybox", "cat", "/proc/sys/net/ipv4/ip_default_ttl"];
    bed.ross(&[&["run", "--rm"], &sysctl[..]].concat())?.ok()?.prints("33")?;
    bed.ross(&["run", "--rm", "--sysctl", "kernel.panic=1", "busybox", "true"])?
        .exits(125)?
        .complains(&["kernel.panic"])?;
    bed.ross(&["run", "--rm", "--shm-size", "1m", "busybox", "sh", "-c", "df -k /dev/shm | tail -1"])?
        .ok()?
        .says("1024")?;
    Ok(())
}

fn devices(bed: &mut Bed) -> Result<()> {
    bed.ross(&["run", "--rm", "busybox", "sh", "-c", "echo x > /dev/null; head -c 4 /dev/zero | wc -c"])?
        .ok()?
        .prints("4")?;
    let list = "cd /dev; for d in null zero full random urandom tty; do test -c $d || echo no $d; done; readlink fd; readlink ptmx";
    bed.ross(&["run", "--rm", "busybox", "sh", "-c", list])?.ok()?.prints("/proc/self/fd\npts/ptmx")?;
    // The eBPF list: a node may be made (MKNOD is added) and not opened.
    let forbidden = ["--cap-add", "MKNOD", "busybox", "sh", "-c", "mknod /kmsg c 1 11 && head -c 1 /kmsg"];
    bed.ross(&[&["run", "--rm"], &forbidden[..]].concat())?.complains(&["not permitted"])?;
    let lent = ["--device", "/dev/kmsg:/dev/lent:r", "busybox", "test", "-c", "/dev/lent"];
    bed.ross(&[&["run", "--rm"], &lent[..]].concat())?.ok()?;
    bed.ross(&["run", "--rm", "--device", "/dev/nope", "busybox", "true"])?
        .exits(125)?
        .complains(&["/dev/nope"])?;
    Ok(())
}

fn cidfile(bed: &mut Bed) -> Result<()> {
    let file = bed.folder("cid")?.join("cid");
    let name = bed.name("cid");
    let path = file.to_string_lossy().into_owned();
    let id = bed
        .ross(&["run", "-d", "--cidfile", &path, "--name", &name, "--label", "a=b", "busybox", "true"])?
        .ok()?;
    ensure!(fs::read_to_string(&file)? == id.text(), "the cidfile has another id");
    bed.ross(&["wait", &name])?.ok()?.prints("0")?;
    bed.ross(&["ps", "-a", "-q", "--no-trunc", "--filter", "label=a=b"])?.ok()?.prints(id.text())?;
    bed.ross(&["run", "--cidfile", &path, "busybox", "true"])?.exits(125)?.complains(&["cid"])?;
    bed.ross(&["rm", &name])?.ok()?;
    bed.ross(&["run", "--rm", "--name", &name, "busybox", "true"])?.ok()?;
    bed.ross(&["inspect", &name])?.complains(&[&name])?;
    for folder in [bed.daemon()?.root(), bed.daemon()?.state()] {
        let left = fs::read_dir(folder.join("containers"))?.count();
        ensure!(left == 0, "{left} directories of containers stay in {}", folder.display());
    }
    Ok(())
}

fn descriptors(bed: &mut Bed) -> Result<()> {
    bed.ross(&["run", "--rm", "busybox", "ls", "/proc/self/fd"])?.ok()?.prints("0\n1\n2\n3")?;
    let name = bed.name("fds");
    bed.ross(&["run", "-d", "--name", &name, "busybox", "sleep", "1000"])?.ok()?;
    bed.ross(&["exec", &name, "ls", "/proc/self/fd"])?.ok()?.prints("0\n1\n2\n3")?;
    bed.ross(&["exec", &name, "ls", "/proc/1/fd"])?.ok()?.prints("0\n1\n2")?;
    bed.ross(&["rm", "-f", &name])?.ok()?;
    Ok(())
}
