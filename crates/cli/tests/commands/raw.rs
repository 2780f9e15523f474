//! A raw terminal, where keys raise no signals: one that comes all the same means this process, and the terminal is
//! put back before it goes.

use std::fs::File;
use std::io::Read as _;

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use super::fake::Script;
use super::{DEADLINE, Stage, ended, signal_to};

#[tokio::test]
async fn signals_put_the_terminal_back() {
    let check = async |signal: Signal, code: i32| {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let terminal = openpt(flags).unwrap();
        unlockpt(&terminal).unwrap();
        let side = || ioctl_tiocgptpeer(&terminal, flags).unwrap();
        let stage =
            Stage::set(Script { output: vec![(false, "shown")], ends_on: "KILL", ..Script::default() });
        let child = stage.ross("run -it busybox").stdin(side()).stdout(side()).spawn().unwrap();
        // Output is copied only once the terminal is raw.
        let shown = tokio::task::spawn_blocking({
            let screen = File::from(terminal.try_clone().unwrap());
            move || read_until(screen, "shown")
        });
        tokio::time::timeout(DEADLINE, shown).await.expect("output").unwrap();
        let is_raw = || !tcgetattr(&terminal).unwrap().local_modes.contains(LocalModes::ICANON);
        assert!(is_raw(), "{signal:?}");
        signal_to(&child, signal);
        let played = ended(&stage, child, "run -it").await;
        assert_eq!(played.code, Some(code), "{signal:?} {played:?}");
        assert!(!is_raw(), "{signal:?}");
        assert_eq!(played.calls.last().unwrap(), "start", "{signal:?}");
    };
    check(Signal::HUP, 129).await;
    check(Signal::INT, 130).await;
    check(Signal::QUIT, 131).await;
    check(Signal::USR1, 138).await;
    check(Signal::USR2, 140).await;
    check(Signal::TERM, 143).await;
}

fn read_until(mut screen: File, text: &str) {
    let mut seen = String::new();
    while !seen.contains(text) {
        let mut piece = [0; 256];
        let length = screen.read(&mut piece).unwrap();
        seen.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
}
