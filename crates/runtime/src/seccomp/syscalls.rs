//! System call numbers by name, for every architecture a filter can be made for.
//!
//! The numbers come from the kernel headers of Linux 6.17 (`arch/*/include/generated/uapi/asm/unistd*.h`, read from
//! the constants of linux-raw-sys 0.12), checked against the headers of Linux 6.1 where those know the call.
//! x32 numbers are without `__X32_SYSCALL_BIT`. Names are libseccomp's, which are the kernel's; the calls
//! private to 32-bit Arm (`__ARM_NR_*`) have no prefix, as there. Only data and its lookup belong here.

use std::ops::Range;

/// An application binary interface: one numbering of system calls, one layout of arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Abi {
    /// x86-64.
    X86_64 = 0,
    /// i386, on x86-64 kernels the compatibility mode.
    I386 = 1,
    /// x86-64 with 32-bit pointers; its audit architecture is that of x86-64, its numbers have a bit set.
    X32 = 2,
    /// 64-bit Arm.
    Aarch64 = 3,
    /// 32-bit Arm (EABI).
    Arm = 4,
}

/// The bit set in every x32 number (asm/unistd.h).
pub const X32_BIT: u32 = 0x4000_0000;

impl Abi {
    /// What `seccomp_data.arch` holds for its calls (linux/audit.h).
    #[must_use]
    pub const fn audit_arch(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::I386 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// The lowest number of a call.
    #[must_use]
    pub const fn first_number(self) -> u32 {
        if matches!(self, Self::X32) { X32_BIT } else { 0 }
    }

    /// Numbers apart from the series that grows with every kernel: what x32 does differently from x86-64, and
    /// the calls private to 32-bit Arm.
    #[must_use]
    pub const fn private_numbers(self) -> Range<u32> {
        match self {
            Self::X32 => X32_BIT + 512..X32_BIT + 548,
            Self::Arm => 0x000f_0000..0x000f_0800,
            _ => 0..0,
        }
    }

    /// Whether arguments are full 64-bit registers. x32 is: its kernel entry is that of x86-64.
    #[must_use]
    pub const fn has_wide_arguments(self) -> bool {
        !matches!(self, Self::I386 | Self::Arm)
    }
}

/// The numbers of one name, a column for each [`Abi`].
#[derive(Debug, Clone, Copy)]
pub struct Numbers(&'static [u16; 6]);

impl Numbers {
    /// The number as `seccomp_data.nr` shows it, if the architecture has the call.
    #[must_use]
    pub fn get(self, abi: Abi) -> Option<u32> {
        match self.0[abi as usize] {
            NO => None,
            private @ ARM.. => Some(0x000f_0000 + u32::from(private - ARM)),
            number if matches!(abi, Abi::X32) => Some(X32_BIT | u32::from(number)),
            number => Some(u32::from(number)),
        }
    }

    /// How else i386 can make the call.
    #[must_use]
    pub fn multiplexed(self) -> Option<Multiplexed> {
        match self.0[5] {
            NO => None,
            number @ IPC.. => Some(Multiplexed::Ipc(number - IPC)),
            number => Some(Multiplexed::Socketcall(number)),
        }
    }
}

/// A call of i386 that stands for many others, whose number is its first argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Multiplexed {
    /// By socketcall(2), with this number (linux/net.h).
    Socketcall(u16),
    /// By ipc(2), with this number in the lower half of the argument (linux/ipc.h).
    Ipc(u16),
}

/// Finds a call by name.
#[must_use]
pub fn lookup(name: &str) -> Option<Numbers> {
    let mut slot = hash(name.as_bytes()) % SLOTS;
    loop {
        let index = INDEX[slot];
        if index == EMPTY {
            return None;
        }
        let (known, numbers) = &CALLS[index as usize];
        if *known == name {
            return Some(Numbers(numbers));
        }
        slot = (slot + 1) % SLOTS;
    }
}

/// Every name, in alphabetical order.
pub fn names() -> impl Iterator<Item = &'static str> {
    CALLS.iter().map(|(name, _)| *name)
}

/// No such call.
const NO: u16 = u16::MAX;
/// The private calls of 32-bit Arm, from 0xf0000 on.
const ARM: u16 = 0xf000;

/// Calls made through ipc(2).
const IPC: u16 = 0x100;

const SLOTS: usize = 1024;
const EMPTY: u16 = u16::MAX;

/// An open-addressed hash table over [`CALLS`], made by the compiler: a binary search would compare nine names.
static INDEX: [u16; SLOTS] = index();

#[expect(clippy::cast_possible_truncation, reason = "the table is checked to have fewer rows than slots")]
const fn index() -> [u16; SLOTS] {
    assert!(CALLS.len() < SLOTS / 2 + 64);
    let mut table = [EMPTY; SLOTS];
    let mut row = 0;
    while row < CALLS.len() {
        let mut slot = hash(CALLS[row].0.as_bytes()) % SLOTS;
        while table[slot] != EMPTY {
            slot = (slot + 1) % SLOTS;
        }
        table[slot] = row as u16;
        row += 1;
    }
    table
}

/// FNV-1a, folded.
const fn hash(name: &[u8]) -> usize {
    let mut hash: u32 = 0x811c_9dc5;
    let mut at = 0;
    while at < name.len() {
        hash = (hash ^ name[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    (hash ^ (hash >> 15)) as usize
}

/// Columns: x86-64, i386, x32, aarch64, arm, and how i386 can make the call through another one.
#[rustfmt::skip]
static CALLS: [(&str, [u16; 6]); 483] = [
    ("_llseek", [NO, 140, NO, NO, 140, NO]), ("_newselect", [NO, 142, NO, NO, 142, NO]),
    ("_sysctl", [156, 149, NO, NO, 149, NO]), ("accept", [43, NO, 43, 202, 285, 5]),
    ("accept4", [288, 364, 288, 242, 366, 18]), ("access", [21, 33, 21, NO, 33, NO]),
    ("acct", [163, 51, 163, 89, 51, NO]), ("add_key", [248, 286, 248, 217, 309, NO]),
    ("adjtimex", [159, 124, 159, 171, 124, NO]), ("afs_syscall", [183, 137, 183, NO, NO, NO]),
    ("alarm", [37, 27, 37, NO, NO, NO]), ("arch_prctl", [158, 384, 158, NO, NO, NO]),
    ("arm_fadvise64_64", [NO, NO, NO, NO, 270, NO]), ("arm_sync_file_range", [NO, NO, NO, NO, 341, NO]),
    ("bdflush", [NO, 134, NO, NO, 134, NO]), ("bind", [49, 361, 49, 200, 282, 2]),
    ("bpf", [321, 357, 321, 280, 386, NO]), ("break", [NO, 17, NO, NO, NO, NO]),
    ("breakpoint", [NO, NO, NO, NO, ARM+1, NO]), ("brk", [12, 45, 12, 214, 45, NO]),
    ("cacheflush", [NO, NO, NO, NO, ARM+2, NO]), ("cachestat", [451, 451, 451, 451, 451, NO]),
    ("capget", [125, 184, 125, 90, 184, NO]), ("capset", [126, 185, 126, 91, 185, NO]),
    ("chdir", [80, 12, 80, 49, 12, NO]), ("chmod", [90, 15, 90, NO, 15, NO]),
    ("chown", [92, 182, 92, NO, 182, NO]), ("chown32", [NO, 212, NO, NO, 212, NO]),
    ("chroot", [161, 61, 161, 51, 61, NO]), ("clock_adjtime", [305, 343, 305, 266, 372, NO]),
    ("clock_adjtime64", [NO, 405, NO, NO, 405, NO]), ("clock_getres", [229, 266, 229, 114, 264, NO]),
    ("clock_getres_time64", [NO, 406, NO, NO, 406, NO]), ("clock_gettime", [228, 265, 228, 113, 263, NO]),
    ("clock_gettime64", [NO, 403, NO, NO, 403, NO]), ("clock_nanosleep", [230, 267, 230, 115, 265, NO]),
    ("clock_nanosleep_time64", [NO, 407, NO, NO, 407, NO]),
    ("clock_settime", [227, 264, 227, 112, 262, NO]), ("clock_settime64", [NO, 404, NO, NO, 404, NO]),
    ("clone", [56, 120, 56, 220, 120, NO]), ("clone3", [435, 435, 435, 435, 435, NO]),
    ("close", [3, 6, 3, 57, 6, NO]), ("close_range", [436, 436, 436, 436, 436, NO]),
    ("connect", [42, 362, 42, 203, 283, 3]), ("copy_file_range", [326, 377, 326, 285, 391, NO]),
    ("creat", [85, 8, 85, NO, 8, NO]), ("create_module", [174, 127, NO, NO, NO, NO]),
    ("delete_module", [176, 129, 176, 106, 129, NO]), ("dup", [32, 41, 32, 23, 41, NO]),
    ("dup2", [33, 63, 33, NO, 63, NO]), ("dup3", [292, 330, 292, 24, 358, NO]),
    ("epoll_create", [213, 254, 213, NO, 250, NO]), ("epoll_create1", [291, 329, 291, 20, 357, NO]),
    ("epoll_ctl", [233, 255, 233, 21, 251, NO]), ("epoll_ctl_old", [214, NO, NO, NO, NO, NO]),
    ("epoll_pwait", [281, 319, 281, 22, 346, NO]), ("epoll_pwait2", [441, 441, 441, 441, 441, NO]),
    ("epoll_wait", [232, 256, 232, NO, 252, NO]), ("epoll_wait_old", [215, NO, NO, NO, NO, NO]),
    ("eventfd", [284, 323, 284, NO, 351, NO]), ("eventfd2", [290, 328, 290, 19, 356, NO]),
    ("execve", [59, 11, 520, 221, 11, NO]), ("execveat", [322, 358, 545, 281, 387, NO]),
    ("exit", [60, 1, 60, 93, 1, NO]), ("exit_group", [231, 252, 231, 94, 248, NO]),
    ("faccessat", [269, 307, 269, 48, 334, NO]), ("faccessat2", [439, 439, 439, 439, 439, NO]),
    ("fadvise64", [221, 250, 221, 223, NO, NO]), ("fadvise64_64", [NO, 272, NO, NO, NO, NO]),
    ("fallocate", [285, 324, 285, 47, 352, NO]), ("fanotify_init", [300, 338, 300, 262, 367, NO]),
    ("fanotify_mark", [301, 339, 301, 263, 368, NO]), ("fchdir", [81, 133, 81, 50, 133, NO]),
    ("fchmod", [91, 94, 91, 52, 94, NO]), ("fchmodat", [268, 306, 268, 53, 333, NO]),
    ("fchmodat2", [452, 452, 452, 452, 452, NO]), ("fchown", [93, 95, 93, 55, 95, NO]),
    ("fchown32", [NO, 207, NO, NO, 207, NO]), ("fchownat", [260, 298, 260, 54, 325, NO]),
    ("fcntl", [72, 55, 72, 25, 55, NO]), ("fcntl64", [NO, 221, NO, NO, 221, NO]),
    ("fdatasync", [75, 148, 75, 83, 148, NO]), ("fgetxattr", [193, 231, 193, 10, 231, NO]),
    ("file_getattr", [468, 468, 468, 468, 468, NO]), ("file_setattr", [469, 469, 469, 469, 469, NO]),
    ("finit_module", [313, 350, 313, 273, 379, NO]), ("flistxattr", [196, 234, 196, 13, 234, NO]),
    ("flock", [73, 143, 73, 32, 143, NO]), ("fork", [57, 2, 57, NO, 2, NO]),
    ("fremovexattr", [199, 237, 199, 16, 237, NO]), ("fsconfig", [431, 431, 431, 431, 431, NO]),
    ("fsetxattr", [190, 228, 190, 7, 228, NO]), ("fsmount", [432, 432, 432, 432, 432, NO]),
    ("fsopen", [430, 430, 430, 430, 430, NO]), ("fspick", [433, 433, 433, 433, 433, NO]),
    ("fstat", [5, 108, 5, 80, 108, NO]), ("fstat64", [NO, 197, NO, NO, 197, NO]),
    ("fstatat64", [NO, 300, NO, NO, 327, NO]), ("fstatfs", [138, 100, 138, 44, 100, NO]),
    ("fstatfs64", [NO, 269, NO, NO, 267, NO]), ("fsync", [74, 118, 74, 82, 118, NO]),
    ("ftime", [NO, 35, NO, NO, NO, NO]), ("ftruncate", [77, 93, 77, 46, 93, NO]),
    ("ftruncate64", [NO, 194, NO, NO, 194, NO]), ("futex", [202, 240, 202, 98, 240, NO]),
    ("futex_requeue", [456, 456, 456, 456, 456, NO]), ("futex_time64", [NO, 422, NO, NO, 422, NO]),
    ("futex_wait", [455, 455, 455, 455, 455, NO]), ("futex_waitv", [449, 449, 449, 449, 449, NO]),
    ("futex_wake", [454, 454, 454, 454, 454, NO]), ("futimesat", [261, 299, 261, NO, 326, NO]),
    ("get_kernel_syms", [177, 130, NO, NO, NO, NO]), ("get_mempolicy", [239, 275, 239, 236, 320, NO]),
    ("get_robust_list", [274, 312, 531, 100, 339, NO]), ("get_thread_area", [211, 244, NO, NO, NO, NO]),
    ("get_tls", [NO, NO, NO, NO, ARM+6, NO]), ("getcpu", [309, 318, 309, 168, 345, NO]),
    ("getcwd", [79, 183, 79, 17, 183, NO]), ("getdents", [78, 141, 78, NO, 141, NO]),
    ("getdents64", [217, 220, 217, 61, 217, NO]), ("getegid", [108, 50, 108, 177, 50, NO]),
    ("getegid32", [NO, 202, NO, NO, 202, NO]), ("geteuid", [107, 49, 107, 175, 49, NO]),
    ("geteuid32", [NO, 201, NO, NO, 201, NO]), ("getgid", [104, 47, 104, 176, 47, NO]),
    ("getgid32", [NO, 200, NO, NO, 200, NO]), ("getgroups", [115, 80, 115, 158, 80, NO]),
    ("getgroups32", [NO, 205, NO, NO, 205, NO]), ("getitimer", [36, 105, 36, 102, 105, NO]),
    ("getpeername", [52, 368, 52, 205, 287, 7]), ("getpgid", [121, 132, 121, 155, 132, NO]),
    ("getpgrp", [111, 65, 111, NO, 65, NO]), ("getpid", [39, 20, 39, 172, 20, NO]),
    ("getpmsg", [181, 188, 181, NO, NO, NO]), ("getppid", [110, 64, 110, 173, 64, NO]),
    ("getpriority", [140, 96, 140, 141, 96, NO]), ("getrandom", [318, 355, 318, 278, 384, NO]),
    ("getresgid", [120, 171, 120, 150, 171, NO]), ("getresgid32", [NO, 211, NO, NO, 211, NO]),
    ("getresuid", [118, 165, 118, 148, 165, NO]), ("getresuid32", [NO, 209, NO, NO, 209, NO]),
    ("getrlimit", [97, 76, 97, 163, NO, NO]), ("getrusage", [98, 77, 98, 165, 77, NO]),
    ("getsid", [124, 147, 124, 156, 147, NO]), ("getsockname", [51, 367, 51, 204, 286, 6]),
    ("getsockopt", [55, 365, 542, 209, 295, 15]), ("gettid", [186, 224, 186, 178, 224, NO]),
    ("gettimeofday", [96, 78, 96, 169, 78, NO]), ("getuid", [102, 24, 102, 174, 24, NO]),
    ("getuid32", [NO, 199, NO, NO, 199, NO]), ("getxattr", [191, 229, 191, 8, 229, NO]),
    ("getxattrat", [464, 464, 464, 464, 464, NO]), ("gtty", [NO, 32, NO, NO, NO, NO]),
    ("idle", [NO, 112, NO, NO, NO, NO]), ("init_module", [175, 128, 175, 105, 128, NO]),
    ("inotify_add_watch", [254, 292, 254, 27, 317, NO]), ("inotify_init", [253, 291, 253, NO, 316, NO]),
    ("inotify_init1", [294, 332, 294, 26, 360, NO]), ("inotify_rm_watch", [255, 293, 255, 28, 318, NO]),
    ("io_cancel", [210, 249, 210, 3, 247, NO]), ("io_destroy", [207, 246, 207, 1, 244, NO]),
    ("io_getevents", [208, 247, 208, 4, 245, NO]), ("io_pgetevents", [333, 385, 333, 292, 399, NO]),
    ("io_pgetevents_time64", [NO, 416, NO, NO, 416, NO]), ("io_setup", [206, 245, 543, 0, 243, NO]),
    ("io_submit", [209, 248, 544, 2, 246, NO]), ("io_uring_enter", [426, 426, 426, 426, 426, NO]),
    ("io_uring_register", [427, 427, 427, 427, 427, NO]), ("io_uring_setup", [425, 425, 425, 425, 425, NO]),
    ("ioctl", [16, 54, 514, 29, 54, NO]), ("ioperm", [173, 101, 173, NO, NO, NO]),
    ("iopl", [172, 110, 172, NO, NO, NO]), ("ioprio_get", [252, 290, 252, 31, 315, NO]),
    ("ioprio_set", [251, 289, 251, 30, 314, NO]), ("ipc", [NO, 117, NO, NO, NO, NO]),
    ("kcmp", [312, 349, 312, 272, 378, NO]), ("kexec_file_load", [320, NO, 320, 294, 401, NO]),
    ("kexec_load", [246, 283, 528, 104, 347, NO]), ("keyctl", [250, 288, 250, 219, 311, NO]),
    ("kill", [62, 37, 62, 129, 37, NO]), ("landlock_add_rule", [445, 445, 445, 445, 445, NO]),
    ("landlock_create_ruleset", [444, 444, 444, 444, 444, NO]),
    ("landlock_restrict_self", [446, 446, 446, 446, 446, NO]), ("lchown", [94, 16, 94, NO, 16, NO]),
    ("lchown32", [NO, 198, NO, NO, 198, NO]), ("lgetxattr", [192, 230, 192, 9, 230, NO]),
    ("link", [86, 9, 86, NO, 9, NO]), ("linkat", [265, 303, 265, 37, 330, NO]),
    ("listen", [50, 363, 50, 201, 284, 4]), ("listmount", [458, 458, 458, 458, 458, NO]),
    ("listxattr", [194, 232, 194, 11, 232, NO]), ("listxattrat", [465, 465, 465, 465, 465, NO]),
    ("llistxattr", [195, 233, 195, 12, 233, NO]), ("lock", [NO, 53, NO, NO, NO, NO]),
    ("lookup_dcookie", [212, 253, 212, 18, 249, NO]), ("lremovexattr", [198, 236, 198, 15, 236, NO]),
    ("lseek", [8, 19, 8, 62, 19, NO]), ("lsetxattr", [189, 227, 189, 6, 227, NO]),
    ("lsm_get_self_attr", [459, 459, 459, 459, 459, NO]),
    ("lsm_list_modules", [461, 461, 461, 461, 461, NO]),
    ("lsm_set_self_attr", [460, 460, 460, 460, 460, NO]), ("lstat", [6, 107, 6, NO, 107, NO]),
    ("lstat64", [NO, 196, NO, NO, 196, NO]), ("madvise", [28, 219, 28, 233, 220, NO]),
    ("map_shadow_stack", [453, 453, 453, 453, 453, NO]), ("mbind", [237, 274, 237, 235, 319, NO]),
    ("membarrier", [324, 375, 324, 283, 389, NO]), ("memfd_create", [319, 356, 319, 279, 385, NO]),
    ("memfd_secret", [447, 447, 447, 447, NO, NO]), ("migrate_pages", [256, 294, 256, 238, 400, NO]),
    ("mincore", [27, 218, 27, 232, 219, NO]), ("mkdir", [83, 39, 83, NO, 39, NO]),
    ("mkdirat", [258, 296, 258, 34, 323, NO]), ("mknod", [133, 14, 133, NO, 14, NO]),
    ("mknodat", [259, 297, 259, 33, 324, NO]), ("mlock", [149, 150, 149, 228, 150, NO]),
    ("mlock2", [325, 376, 325, 284, 390, NO]), ("mlockall", [151, 152, 151, 230, 152, NO]),
    ("mmap", [9, 90, 9, 222, NO, NO]), ("mmap2", [NO, 192, NO, NO, 192, NO]),
    ("modify_ldt", [154, 123, 154, NO, NO, NO]), ("mount", [165, 21, 165, 40, 21, NO]),
    ("mount_setattr", [442, 442, 442, 442, 442, NO]), ("move_mount", [429, 429, 429, 429, 429, NO]),
    ("move_pages", [279, 317, 533, 239, 344, NO]), ("mprotect", [10, 125, 10, 226, 125, NO]),
    ("mpx", [NO, 56, NO, NO, NO, NO]), ("mq_getsetattr", [245, 282, 245, 185, 279, NO]),
    ("mq_notify", [244, 281, 527, 184, 278, NO]), ("mq_open", [240, 277, 240, 180, 274, NO]),
    ("mq_timedreceive", [243, 280, 243, 183, 277, NO]),
    ("mq_timedreceive_time64", [NO, 419, NO, NO, 419, NO]), ("mq_timedsend", [242, 279, 242, 182, 276, NO]),
    ("mq_timedsend_time64", [NO, 418, NO, NO, 418, NO]), ("mq_unlink", [241, 278, 241, 181, 275, NO]),
    ("mremap", [25, 163, 25, 216, 163, NO]), ("mseal", [462, 462, 462, 462, 462, NO]),
    ("msgctl", [71, 402, 71, 187, 304, IPC+14]), ("msgget", [68, 399, 68, 186, 303, IPC+13]),
    ("msgrcv", [70, 401, 70, 188, 302, IPC+12]), ("msgsnd", [69, 400, 69, 189, 301, IPC+11]),
    ("msync", [26, 144, 26, 227, 144, NO]), ("munlock", [150, 151, 150, 229, 151, NO]),
    ("munlockall", [152, 153, 152, 231, 153, NO]), ("munmap", [11, 91, 11, 215, 91, NO]),
    ("name_to_handle_at", [303, 341, 303, 264, 370, NO]), ("nanosleep", [35, 162, 35, 101, 162, NO]),
    ("newfstatat", [262, NO, 262, 79, NO, NO]), ("nfsservctl", [180, 169, NO, 42, 169, NO]),
    ("nice", [NO, 34, NO, NO, 34, NO]), ("oldfstat", [NO, 28, NO, NO, NO, NO]),
    ("oldlstat", [NO, 84, NO, NO, NO, NO]), ("oldolduname", [NO, 59, NO, NO, NO, NO]),
    ("oldstat", [NO, 18, NO, NO, NO, NO]), ("olduname", [NO, 109, NO, NO, NO, NO]),
    ("open", [2, 5, 2, NO, 5, NO]), ("open_by_handle_at", [304, 342, 304, 265, 371, NO]),
    ("open_tree", [428, 428, 428, 428, 428, NO]), ("open_tree_attr", [467, 467, 467, 467, 467, NO]),
    ("openat", [257, 295, 257, 56, 322, NO]), ("openat2", [437, 437, 437, 437, 437, NO]),
    ("pause", [34, 29, 34, NO, 29, NO]), ("pciconfig_iobase", [NO, NO, NO, NO, 271, NO]),
    ("pciconfig_read", [NO, NO, NO, NO, 272, NO]), ("pciconfig_write", [NO, NO, NO, NO, 273, NO]),
    ("perf_event_open", [298, 336, 298, 241, 364, NO]), ("personality", [135, 136, 135, 92, 136, NO]),
    ("pidfd_getfd", [438, 438, 438, 438, 438, NO]), ("pidfd_open", [434, 434, 434, 434, 434, NO]),
    ("pidfd_send_signal", [424, 424, 424, 424, 424, NO]), ("pipe", [22, 42, 22, NO, 42, NO]),
    ("pipe2", [293, 331, 293, 59, 359, NO]), ("pivot_root", [155, 217, 155, 41, 218, NO]),
    ("pkey_alloc", [330, 381, 330, 289, 395, NO]), ("pkey_free", [331, 382, 331, 290, 396, NO]),
    ("pkey_mprotect", [329, 380, 329, 288, 394, NO]), ("poll", [7, 168, 7, NO, 168, NO]),
    ("ppoll", [271, 309, 271, 73, 336, NO]), ("ppoll_time64", [NO, 414, NO, NO, 414, NO]),
    ("prctl", [157, 172, 157, 167, 172, NO]), ("pread64", [17, 180, 17, 67, 180, NO]),
    ("preadv", [295, 333, 534, 69, 361, NO]), ("preadv2", [327, 378, 546, 286, 392, NO]),
    ("prlimit64", [302, 340, 302, 261, 369, NO]), ("process_madvise", [440, 440, 440, 440, 440, NO]),
    ("process_mrelease", [448, 448, 448, 448, 448, NO]),
    ("process_vm_readv", [310, 347, 539, 270, 376, NO]),
    ("process_vm_writev", [311, 348, 540, 271, 377, NO]), ("prof", [NO, 44, NO, NO, NO, NO]),
    ("profil", [NO, 98, NO, NO, NO, NO]), ("pselect6", [270, 308, 270, 72, 335, NO]),
    ("pselect6_time64", [NO, 413, NO, NO, 413, NO]), ("ptrace", [101, 26, 521, 117, 26, NO]),
    ("putpmsg", [182, 189, 182, NO, NO, NO]), ("pwrite64", [18, 181, 18, 68, 181, NO]),
    ("pwritev", [296, 334, 535, 70, 362, NO]), ("pwritev2", [328, 379, 547, 287, 393, NO]),
    ("query_module", [178, 167, NO, NO, NO, NO]), ("quotactl", [179, 131, 179, 60, 131, NO]),
    ("quotactl_fd", [443, 443, 443, 443, 443, NO]), ("read", [0, 3, 0, 63, 3, NO]),
    ("readahead", [187, 225, 187, 213, 225, NO]), ("readdir", [NO, 89, NO, NO, NO, NO]),
    ("readlink", [89, 85, 89, NO, 85, NO]), ("readlinkat", [267, 305, 267, 78, 332, NO]),
    ("readv", [19, 145, 515, 65, 145, NO]), ("reboot", [169, 88, 169, 142, 88, NO]),
    ("recv", [NO, NO, NO, NO, 291, 10]), ("recvfrom", [45, 371, 517, 207, 292, 12]),
    ("recvmmsg", [299, 337, 537, 243, 365, 19]), ("recvmmsg_time64", [NO, 417, NO, NO, 417, NO]),
    ("recvmsg", [47, 372, 519, 212, 297, 17]), ("remap_file_pages", [216, 257, 216, 234, 253, NO]),
    ("removexattr", [197, 235, 197, 14, 235, NO]), ("removexattrat", [466, 466, 466, 466, 466, NO]),
    ("rename", [82, 38, 82, NO, 38, NO]), ("renameat", [264, 302, 264, 38, 329, NO]),
    ("renameat2", [316, 353, 316, 276, 382, NO]), ("request_key", [249, 287, 249, 218, 310, NO]),
    ("restart_syscall", [219, 0, 219, 128, 0, NO]), ("rmdir", [84, 40, 84, NO, 40, NO]),
    ("rseq", [334, 386, 334, 293, 398, NO]), ("rt_sigaction", [13, 174, 512, 134, 174, NO]),
    ("rt_sigpending", [127, 176, 522, 136, 176, NO]), ("rt_sigprocmask", [14, 175, 14, 135, 175, NO]),
    ("rt_sigqueueinfo", [129, 178, 524, 138, 178, NO]), ("rt_sigreturn", [15, 173, 513, 139, 173, NO]),
    ("rt_sigsuspend", [130, 179, 130, 133, 179, NO]), ("rt_sigtimedwait", [128, 177, 523, 137, 177, NO]),
    ("rt_sigtimedwait_time64", [NO, 421, NO, NO, 421, NO]),
    ("rt_tgsigqueueinfo", [297, 335, 536, 240, 363, NO]),
    ("sched_get_priority_max", [146, 159, 146, 125, 159, NO]),
    ("sched_get_priority_min", [147, 160, 147, 126, 160, NO]),
    ("sched_getaffinity", [204, 242, 204, 123, 242, NO]), ("sched_getattr", [315, 352, 315, 275, 381, NO]),
    ("sched_getparam", [143, 155, 143, 121, 155, NO]),
    ("sched_getscheduler", [145, 157, 145, 120, 157, NO]),
    ("sched_rr_get_interval", [148, 161, 148, 127, 161, NO]),
    ("sched_rr_get_interval_time64", [NO, 423, NO, NO, 423, NO]),
    ("sched_setaffinity", [203, 241, 203, 122, 241, NO]), ("sched_setattr", [314, 351, 314, 274, 380, NO]),
    ("sched_setparam", [142, 154, 142, 118, 154, NO]),
    ("sched_setscheduler", [144, 156, 144, 119, 156, NO]), ("sched_yield", [24, 158, 24, 124, 158, NO]),
    ("seccomp", [317, 354, 317, 277, 383, NO]), ("security", [185, NO, 185, NO, NO, NO]),
    ("select", [23, 82, 23, NO, NO, NO]), ("semctl", [66, 394, 66, 191, 300, IPC+3]),
    ("semget", [64, 393, 64, 190, 299, IPC+2]), ("semop", [65, NO, 65, 193, 298, IPC+1]),
    ("semtimedop", [220, NO, 220, 192, 312, IPC+4]), ("semtimedop_time64", [NO, 420, NO, NO, 420, NO]),
    ("send", [NO, NO, NO, NO, 289, 9]), ("sendfile", [40, 187, 40, 71, 187, NO]),
    ("sendfile64", [NO, 239, NO, NO, 239, NO]), ("sendmmsg", [307, 345, 538, 269, 374, 20]),
    ("sendmsg", [46, 370, 518, 211, 296, 16]), ("sendto", [44, 369, 44, 206, 290, 11]),
    ("set_mempolicy", [238, 276, 238, 237, 321, NO]),
    ("set_mempolicy_home_node", [450, 450, 450, 450, 450, NO]),
    ("set_robust_list", [273, 311, 530, 99, 338, NO]), ("set_thread_area", [205, 243, NO, NO, NO, NO]),
    ("set_tid_address", [218, 258, 218, 96, 256, NO]), ("set_tls", [NO, NO, NO, NO, ARM+5, NO]),
    ("setdomainname", [171, 121, 171, 162, 121, NO]), ("setfsgid", [123, 139, 123, 152, 139, NO]),
    ("setfsgid32", [NO, 216, NO, NO, 216, NO]), ("setfsuid", [122, 138, 122, 151, 138, NO]),
    ("setfsuid32", [NO, 215, NO, NO, 215, NO]), ("setgid", [106, 46, 106, 144, 46, NO]),
    ("setgid32", [NO, 214, NO, NO, 214, NO]), ("setgroups", [116, 81, 116, 159, 81, NO]),
    ("setgroups32", [NO, 206, NO, NO, 206, NO]), ("sethostname", [170, 74, 170, 161, 74, NO]),
    ("setitimer", [38, 104, 38, 103, 104, NO]), ("setns", [308, 346, 308, 268, 375, NO]),
    ("setpgid", [109, 57, 109, 154, 57, NO]), ("setpriority", [141, 97, 141, 140, 97, NO]),
    ("setregid", [114, 71, 114, 143, 71, NO]), ("setregid32", [NO, 204, NO, NO, 204, NO]),
    ("setresgid", [119, 170, 119, 149, 170, NO]), ("setresgid32", [NO, 210, NO, NO, 210, NO]),
    ("setresuid", [117, 164, 117, 147, 164, NO]), ("setresuid32", [NO, 208, NO, NO, 208, NO]),
    ("setreuid", [113, 70, 113, 145, 70, NO]), ("setreuid32", [NO, 203, NO, NO, 203, NO]),
    ("setrlimit", [160, 75, 160, 164, 75, NO]), ("setsid", [112, 66, 112, 157, 66, NO]),
    ("setsockopt", [54, 366, 541, 208, 294, 14]), ("settimeofday", [164, 79, 164, 170, 79, NO]),
    ("setuid", [105, 23, 105, 146, 23, NO]), ("setuid32", [NO, 213, NO, NO, 213, NO]),
    ("setxattr", [188, 226, 188, 5, 226, NO]), ("setxattrat", [463, 463, 463, 463, 463, NO]),
    ("sgetmask", [NO, 68, NO, NO, NO, NO]), ("shmat", [30, 397, 30, 196, 305, IPC+21]),
    ("shmctl", [31, 396, 31, 195, 308, IPC+24]), ("shmdt", [67, 398, 67, 197, 306, IPC+22]),
    ("shmget", [29, 395, 29, 194, 307, IPC+23]), ("shutdown", [48, 373, 48, 210, 293, 13]),
    ("sigaction", [NO, 67, NO, NO, 67, NO]), ("sigaltstack", [131, 186, 525, 132, 186, NO]),
    ("signal", [NO, 48, NO, NO, NO, NO]), ("signalfd", [282, 321, 282, NO, 349, NO]),
    ("signalfd4", [289, 327, 289, 74, 355, NO]), ("sigpending", [NO, 73, NO, NO, 73, NO]),
    ("sigprocmask", [NO, 126, NO, NO, 126, NO]), ("sigreturn", [NO, 119, NO, NO, 119, NO]),
    ("sigsuspend", [NO, 72, NO, NO, 72, NO]), ("socket", [41, 359, 41, 198, 281, 1]),
    ("socketcall", [NO, 102, NO, NO, NO, NO]), ("socketpair", [53, 360, 53, 199, 288, 8]),
    ("splice", [275, 313, 275, 76, 340, NO]), ("ssetmask", [NO, 69, NO, NO, NO, NO]),
    ("stat", [4, 106, 4, NO, 106, NO]), ("stat64", [NO, 195, NO, NO, 195, NO]),
    ("statfs", [137, 99, 137, 43, 99, NO]), ("statfs64", [NO, 268, NO, NO, 266, NO]),
    ("statmount", [457, 457, 457, 457, 457, NO]), ("statx", [332, 383, 332, 291, 397, NO]),
    ("stime", [NO, 25, NO, NO, NO, NO]), ("stty", [NO, 31, NO, NO, NO, NO]),
    ("swapoff", [168, 115, 168, 225, 115, NO]), ("swapon", [167, 87, 167, 224, 87, NO]),
    ("symlink", [88, 83, 88, NO, 83, NO]), ("symlinkat", [266, 304, 266, 36, 331, NO]),
    ("sync", [162, 36, 162, 81, 36, NO]), ("sync_file_range", [277, 314, 277, 84, NO, NO]),
    ("sync_file_range2", [NO, NO, NO, NO, 341, NO]), ("syncfs", [306, 344, 306, 267, 373, NO]),
    ("sysfs", [139, 135, 139, NO, 135, NO]), ("sysinfo", [99, 116, 99, 179, 116, NO]),
    ("syslog", [103, 103, 103, 116, 103, NO]), ("tee", [276, 315, 276, 77, 342, NO]),
    ("tgkill", [234, 270, 234, 131, 268, NO]), ("time", [201, 13, 201, NO, NO, NO]),
    ("timer_create", [222, 259, 526, 107, 257, NO]), ("timer_delete", [226, 263, 226, 111, 261, NO]),
    ("timer_getoverrun", [225, 262, 225, 109, 260, NO]), ("timer_gettime", [224, 261, 224, 108, 259, NO]),
    ("timer_gettime64", [NO, 408, NO, NO, 408, NO]), ("timer_settime", [223, 260, 223, 110, 258, NO]),
    ("timer_settime64", [NO, 409, NO, NO, 409, NO]), ("timerfd_create", [283, 322, 283, 85, 350, NO]),
    ("timerfd_gettime", [287, 326, 287, 87, 354, NO]), ("timerfd_gettime64", [NO, 410, NO, NO, 410, NO]),
    ("timerfd_settime", [286, 325, 286, 86, 353, NO]), ("timerfd_settime64", [NO, 411, NO, NO, 411, NO]),
    ("times", [100, 43, 100, 153, 43, NO]), ("tkill", [200, 238, 200, 130, 238, NO]),
    ("truncate", [76, 92, 76, 45, 92, NO]), ("truncate64", [NO, 193, NO, NO, 193, NO]),
    ("tuxcall", [184, NO, 184, NO, NO, NO]), ("ugetrlimit", [NO, 191, NO, NO, 191, NO]),
    ("ulimit", [NO, 58, NO, NO, NO, NO]), ("umask", [95, 60, 95, 166, 60, NO]),
    ("umount", [NO, 22, NO, NO, NO, NO]), ("umount2", [166, 52, 166, 39, 52, NO]),
    ("uname", [63, 122, 63, 160, 122, NO]), ("unlink", [87, 10, 87, NO, 10, NO]),
    ("unlinkat", [263, 301, 263, 35, 328, NO]), ("unshare", [272, 310, 272, 97, 337, NO]),
    ("uretprobe", [335, NO, 335, NO, NO, NO]), ("uselib", [134, 86, NO, NO, 86, NO]),
    ("userfaultfd", [323, 374, 323, 282, 388, NO]), ("usr26", [NO, NO, NO, NO, ARM+3, NO]),
    ("usr32", [NO, NO, NO, NO, ARM+4, NO]), ("ustat", [136, 62, 136, NO, 62, NO]),
    ("utime", [132, 30, 132, NO, NO, NO]), ("utimensat", [280, 320, 280, 88, 348, NO]),
    ("utimensat_time64", [NO, 412, NO, NO, 412, NO]), ("utimes", [235, 271, 235, NO, 269, NO]),
    ("vfork", [58, 190, 58, NO, 190, NO]), ("vhangup", [153, 111, 153, 58, 111, NO]),
    ("vm86", [NO, 166, NO, NO, NO, NO]), ("vm86old", [NO, 113, NO, NO, NO, NO]),
    ("vmsplice", [278, 316, 532, 75, 343, NO]), ("vserver", [236, 273, NO, NO, 313, NO]),
    ("wait4", [61, 114, 61, 260, 114, NO]), ("waitid", [247, 284, 529, 95, 280, NO]),
    ("waitpid", [NO, 7, NO, NO, NO, NO]), ("write", [1, 4, 1, 64, 4, NO]),
    ("writev", [20, 146, 516, 66, 146, NO]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found() {
        for (name, numbers) in &CALLS {
            assert_eq!(lookup(name).unwrap().0, numbers, "{name}");
        }
        assert!(lookup("").is_none());
        assert!(lookup("frobnicate").is_none());
        assert!(CALLS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn numbers_are_those_of_the_kernel() {
        let check = |name: &str, expected: [Option<u32>; 5]| {
            let found = lookup(name).unwrap();
            let abis = [Abi::X86_64, Abi::I386, Abi::X32, Abi::Aarch64, Abi::Arm];
            assert_eq!(abis.map(|abi| found.get(abi)), expected, "{name}");
        };
        check("read", [Some(0), Some(3), Some(X32_BIT), Some(63), Some(3)]);
        check("clone3", [Some(435), Some(435), Some(X32_BIT + 435), Some(435), Some(435)]);
        check("socketcall", [None, Some(102), None, None, None]);
        check("execve", [Some(59), Some(11), Some(X32_BIT + 520), Some(221), Some(11)]);
        check("set_tls", [None, None, None, None, Some(0xf0005)]);
        let multiplexed = |name: &str| lookup(name).unwrap().multiplexed();
        assert_eq!(multiplexed("sendmmsg"), Some(Multiplexed::Socketcall(20)));
        assert_eq!(multiplexed("shmctl"), Some(Multiplexed::Ipc(24)));
        assert_eq!(multiplexed("read"), None);
        check("mseal", [Some(462), Some(462), Some(X32_BIT + 462), Some(462), Some(462)]);
    }

    #[test]
    fn no_two_calls_share_a_number() {
        for abi in [Abi::X86_64, Abi::I386, Abi::X32, Abi::Aarch64, Abi::Arm] {
            // One call of 32-bit Arm has two names.
            let rows = CALLS.iter().filter(|row| row.0 != "arm_sync_file_range");
            let mut numbers: Vec<_> = rows.filter_map(|row| Numbers(&row.1).get(abi)).collect();
            let count = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), count, "{abi:?}");
        }
    }
}
