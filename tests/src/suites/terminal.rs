//! What a person at a terminal does: a shell, ctrl-c, a resized window, the detach keys.

use anyhow::{Result, ensure};

use crate::harness::{Bed, Case, Need, Terminal};

pub const CASES: &[Case] = &[
    Case { name: "terminal/shell-and-exit-code", needs: &[], run: shell },
    Case { name: "terminal/resize", needs: &[], run: resize },
    Case { name: "terminal/ctrl-c-reaches-the-program", needs: &[], run: ctrl_c },
    Case { name: "terminal/ctrl-c-without-tty-is-forwarded", needs: &[], run: forwarded },
    Case { name: "terminal/detach-and-attach", needs: &[], run: detach },
    Case { name: "terminal/exec", needs: &[], run: exec },
    Case {
        name: "terminal/pull-shows-bars",
        needs: &[Need::Program("docker-registry", "docker-registry")],
        run: bars,
    },
];

fn terminal(bed: &mut Bed, args: &[&str]) -> Result<Terminal> {
    Terminal::run(&bed.daemon()?.command(args), 31, 97)
}

fn shell(bed: &mut Bed) -> Result<()> {
    let mut terminal = terminal(bed, &["run", "--rm", "-it", "busybox", "sh"])?;
    terminal.type_in("test -t 0 && echo on a $((1+1)) tty; echo TERM=$TERM; stty size\r")?;
    terminal.expect("on a 2 tty")?;
    terminal.expect("31 97")?;
    terminal.type_in("exit 5\r")?;
    ensure!(terminal.wait()? == 5, "the shell's exit code is lost");
    Ok(())
}

fn resize(bed: &mut Bed) -> Result<()> {
    let script = "trap 'stty size; exit 0' WINCH; echo ready; while true; do sleep 0.05; done";
    let mut terminal = terminal(bed, &["run", "--rm", "-it", "busybox", "sh", "-c", script])?;
    terminal.expect("ready")?;
    terminal.resize(40, 120)?;
    terminal.expect("40 120")?;
    ensure!(terminal.wait()? == 0);
    Ok(())
}

fn ctrl_c(bed: &mut Bed) -> Result<()> {
    let script = "trap 'echo interrupted; exit 9' INT; echo ready; while true; do sleep 0.05; done";
    let mut terminal = terminal(bed, &["run", "--rm", "-it", "busybox", "sh", "-c", script])?;
    terminal.expect("ready")?;
    terminal.type_in("\u{3}")?;
    terminal.expect("interrupted")?;
    ensure!(terminal.wait()? == 9);
    Ok(())
}

fn forwarded(bed: &mut Bed) -> Result<()> {
    let script = "trap 'echo got it; exit 8' INT; echo ready; while true; do sleep 0.05; done";
    let mut terminal = terminal(bed, &["run", "--rm", "busybox", "sh", "-c", script])?;
    terminal.expect("ready")?;
    terminal.type_in("\u{3}")?;
    terminal.expect("got it")?;
    ensure!(terminal.wait()? == 8);
    Ok(())
}

fn detach(bed: &mut Bed) -> Result<()> {
    let name = bed.name("detach");
    let mut first = terminal(bed, &["run", "-it", "--name", &name, "busybox", "sh"])?;
    first.type_in("echo $((20+2))\r")?;
    first.expect("22")?;
    first.type_in("\u{10}\u{11}")?;
    ensure!(first.wait()? == 0, "detaching is no failure");
    bed.ross(&["ps", "--filter", &format!("name={name}")])?.ok()?.says("Up ")?;
    let mut second = terminal(bed, &["attach", &name])?;
    second.type_in("echo $((30+3))\r")?;
    second.expect("33")?;
    second.type_in("exit 3\r")?;
    ensure!(second.wait()? == 3, "attach does not answer the exit code");
    // Other keys by option.
    bed.ross(&["start", &name])?.ok()?;
    let mut third = terminal(bed, &["attach", "--detach-keys", "ctrl-x,x", &name])?;
    third.type_in("echo $((40+4))\r")?;
    third.expect("44")?;
    third.type_in("\u{18}x")?;
    ensure!(third.wait()? == 0);
    bed.ross(&["rm", "-f", &name])?.ok()?;
    Ok(())
}

fn exec(bed: &mut Bed) -> Result<()> {
    let name = bed.name("exec-tty");
    bed.ross(&["run", "-d", "--name", &name, "busybox", "sleep", "1000"])?.ok()?;
    let mut terminal = terminal(bed, &["exec", "-it", &name, "sh"])?;
    terminal.type_in("stty size; tty\r")?;
    terminal.expect("31 97")?;
    terminal.expect("/dev/pts/")?;
    terminal.type_in("exit 4\r")?;
    ensure!(terminal.wait()? == 4);
    bed.ross(&["rm", "-f", &name])?.ok()?;
    Ok(())
}

fn bars(bed: &mut Bed) -> Result<()> {
    let dir = bed.folder("bars")?;
    let registry = rootfs_fixtures::Registry::start(&dir)?;
    let image = rootfs_fixtures::many_small_files(3000, rootfs_fixtures::Compression::Gzip);
    rootfs_fixtures::push(&image, &registry.address(), "bars", "1")?;
    let reference = format!("{}/bars:1", registry.address());
    let mut terminal = terminal(bed, &["pull", &reference])?;
    // Bars redraw in place, which takes control sequences.
    terminal.expect("\u{1b}[")?;
    ensure!(terminal.wait()? == 0);
    bed.ross(&["rmi", &reference])?.ok()?;
    Ok(())
}
