//! What child and parent tell each other, in packets of a SOCK_SEQPACKET pair that closes on exec.
//!
//! Child to parent: a tag and three numbers, little endian: `tag u8, stage u8, index u16, value i32`. Parent to
//! child: the process id. End of file without a packet is success: the program was executed.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, Result};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};

/// A step of the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    Sync,
    Join,
    Affinity,
    Scheduler,
    IoPriority,
    CgroupNamespace,
    MapIds,
    OomScore,
    Propagation,
    RootPlace,
    RootAttach,
    MountTarget,
    MountOverProc,
    MountNew,
    MountParameter,
    MountCopyUp,
    MountAttach,
    MountChange,
    DeviceDirectory,
    Device,
    DeviceLink,
    Terminal,
    CreateContainerHook,
    Stdio,
    Null,
    Hostname,
    Domainname,
    Sysctl,
    MaskedPath,
    ReadonlyPath,
    Pivot,
    AppArmor,
    Selinux,
    WorkingDirectory,
    RootReadonly,
    RootPropagation,
    Keyring,
    Personality,
    MemoryPolicy,
    Rlimit,
    PreserveFds,
    Groups,
    User,
    Capabilities,
    NoNewPrivileges,
    Seccomp,
    StartContainerHook,
    Exec,
}

/// Stages by their number on the wire.
const STAGES: [Stage; Stage::Exec as usize + 1] = [
    Stage::Sync,
    Stage::Join,
    Stage::Affinity,
    Stage::Scheduler,
    Stage::IoPriority,
    Stage::CgroupNamespace,
    Stage::MapIds,
    Stage::OomScore,
    Stage::Propagation,
    Stage::RootPlace,
    Stage::RootAttach,
    Stage::MountTarget,
    Stage::MountOverProc,
    Stage::MountNew,
    Stage::MountParameter,
    Stage::MountCopyUp,
    Stage::MountAttach,
    Stage::MountChange,
    Stage::DeviceDirectory,
    Stage::Device,
    Stage::DeviceLink,
    Stage::Terminal,
    Stage::CreateContainerHook,
    Stage::Stdio,
    Stage::Null,
    Stage::Hostname,
    Stage::Domainname,
    Stage::Sysctl,
    Stage::MaskedPath,
    Stage::ReadonlyPath,
    Stage::Pivot,
    Stage::AppArmor,
    Stage::Selinux,
    Stage::WorkingDirectory,
    Stage::RootReadonly,
    Stage::RootPropagation,
    Stage::Keyring,
    Stage::Personality,
    Stage::MemoryPolicy,
    Stage::Rlimit,
    Stage::PreserveFds,
    Stage::Groups,
    Stage::User,
    Stage::Capabilities,
    Stage::NoNewPrivileges,
    Stage::Seccomp,
    Stage::StartContainerHook,
    Stage::Exec,
];

/// What went wrong in the child: a step, which item of its list, and an errno (or the wait status of a hook).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    pub stage: Stage,
    pub index: u16,
    pub errno: i32,
}

impl Failure {
    pub(crate) fn of(stage: Stage, errno: Errno) -> Self {
        Self { stage, index: 0, errno: errno.raw_os_error() }
    }

    pub(crate) fn of_item(stage: Stage, index: usize, errno: Errno) -> Self {
        Self { index: u16::try_from(index).unwrap_or(u16::MAX), ..Self::of(stage, errno) }
    }
}

/// The result of a step.
pub(super) type Step<T> = std::result::Result<T, Failure>;

/// Says which step an errno belongs to.
pub(super) trait At<T> {
    fn at(self, stage: Stage) -> Step<T>;
    fn at_index(self, stage: Stage, index: usize) -> Step<T>;
}

impl<T> At<T> for Result<T> {
    fn at(self, stage: Stage) -> Step<T> {
        self.map_err(|errno| Failure::of(stage, errno))
    }

    fn at_index(self, stage: Stage, index: usize) -> Step<T> {
        self.map_err(|errno| Failure::of_item(stage, index, errno))
    }
}

/// A packet from the child.
#[derive(Debug)]
pub(crate) enum Message {
    /// It failed.
    Failed(Failure),
    /// It is in its user namespace and needs its id maps.
    MapIds,
    /// Its mounts are there, the hooks of the runtime may run.
    RuntimeHooks,
    /// This is the master of its terminal.
    Console(OwnedFd),
    /// It is another process than the one cloned: this is its pidfd.
    Moved(OwnedFd),
    /// The container is created and waits to be started.
    Ready,
    /// Its filter is loaded; this is the number of the listener among its descriptors.
    Listener(i32),
    /// It is to be put into its group of resctrl, and left alone in its scope.
    Group,
}

const PACKET: usize = 8;

fn packet(message: &Message) -> [u8; PACKET] {
    let (tag, stage, index, value) = match message {
        Message::Failed(failure) => (0, failure.stage as u8, failure.index, failure.errno),
        Message::MapIds => (1, 0, 0, 0),
        Message::RuntimeHooks => (2, 0, 0, 0),
        Message::Console(_) => (3, 0, 0, 0),
        Message::Moved(_) => (4, 0, 0, 0),
        Message::Ready => (5, 0, 0, 0),
        Message::Listener(number) => (6, 0, 0, *number),
        Message::Group => (7, 0, 0, 0),
    };
    let index = index.to_le_bytes();
    let value = value.to_le_bytes();
    [tag, stage, index[0], index[1], value[0], value[1], value[2], value[3]]
}

pub(crate) fn parse_failure(bytes: [u8; PACKET]) -> Option<Failure> {
    Some(Failure {
        stage: *STAGES.get(usize::from(bytes[1]))?,
        index: u16::from_le_bytes([bytes[2], bytes[3]]),
        errno: i32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
    })
}

/// Sends a packet without a descriptor.
pub(super) fn send(channel: impl AsFd, message: Message) -> Result<()> {
    rustix::io::write(channel, &packet(&message)).map(drop)
}

/// Sends a failure, over whatever the parent or starter reads from; who is not there any more is not told.
pub(super) fn send_failure(channel: BorrowedFd<'_>, failure: Failure) {
    let _ = rustix::io::write(channel, &packet(&Message::Failed(failure)));
}

fn send_with_fd(channel: BorrowedFd<'_>, packet: [u8; PACKET], fd: BorrowedFd<'_>) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    rustix::net::sendmsg(channel, &[IoSlice::new(&packet)], &mut control, SendFlags::NOSIGNAL).map(drop)
}

pub(super) fn send_console(channel: BorrowedFd<'_>, master: BorrowedFd<'_>) -> Result<()> {
    send_with_fd(channel, [3, 0, 0, 0, 0, 0, 0, 0], master)
}

pub(super) fn send_moved(channel: BorrowedFd<'_>, pidfd: BorrowedFd<'_>) -> Result<()> {
    send_with_fd(channel, [4, 0, 0, 0, 0, 0, 0, 0], pidfd)
}

/// Waits for the next packet; `None` at the end of file.
pub(crate) fn receive(channel: BorrowedFd<'_>) -> Result<Option<Message>> {
    let mut bytes = [0_u8; PACKET];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        match rustix::net::recvmsg(channel, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            result => break result?.bytes,
        }
    };
    if received == 0 {
        return Ok(None);
    }
    let mut fd = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    let message = match (bytes[0], fd.take()) {
        (0, _) => parse_failure(bytes).map(Message::Failed),
        (1, _) => Some(Message::MapIds),
        (2, _) => Some(Message::RuntimeHooks),
        (3, Some(fd)) => Some(Message::Console(fd)),
        (4, Some(fd)) => Some(Message::Moved(fd)),
        (5, _) => Some(Message::Ready),
        (6, _) => Some(Message::Listener(i32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]))),
        (7, _) => Some(Message::Group),
        _ => None,
    };
    message.filter(|_| received == PACKET).ok_or(Errno::PROTO).map(Some)
}

/// Lets the child go on, and tells it its process id as the parent sees it.
pub(crate) fn send_go(channel: BorrowedFd<'_>, pid: i32) -> Result<()> {
    rustix::io::write(channel, &pid.to_le_bytes()).map(drop)
}

/// Waits until the parent lets the child go on.
pub(super) fn wait_go(channel: BorrowedFd<'_>) -> Step<i32> {
    let mut bytes = [0_u8; 4];
    loop {
        match rustix::io::read(channel, &mut bytes) {
            Ok(4) => return Ok(i32::from_le_bytes(bytes)),
            // The parent is gone.
            Ok(_) => return Err(Failure::of(Stage::Sync, Errno::PIPE)),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Failure::of(Stage::Sync, errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_keep_their_numbers() {
        for (number, stage) in STAGES.iter().enumerate() {
            assert_eq!(*stage as usize, number);
        }
    }

    #[test]
    fn failures_travel() {
        let failure = Failure::of_item(Stage::MountAttach, 7, Errno::PERM);
        assert_eq!(parse_failure(packet(&Message::Failed(failure))), Some(failure));
        assert_eq!(parse_failure([0, 255, 0, 0, 0, 0, 0, 0]), None);
    }
}
