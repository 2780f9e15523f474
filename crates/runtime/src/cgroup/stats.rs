//! What a cgroup uses, from its files.
//!
//! A file that is not there (its controller is not enabled, or the kernel is older) leaves its part out; a value this
//! module does not understand is no error, since kernels add lines and fields.

use rustix::io::Errno;

use super::create::io;
use super::{Cgroup, CgroupError};

/// A moment of a cgroup and all below it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stats {
    /// CPU time.
    pub cpu: CpuStats,
    /// Memory, with the memory controller.
    pub memory: Option<MemoryStats>,
    /// Processes, with the pids controller.
    pub pids: Option<PidsStats>,
    /// Block I/O by device, with the io controller.
    pub io: Option<Vec<DeviceIo>>,
    /// Time lost waiting for CPU.
    pub cpu_pressure: Option<Pressure>,
    /// Time lost waiting for memory.
    pub memory_pressure: Option<Pressure>,
    /// Time lost waiting for I/O.
    pub io_pressure: Option<Pressure>,
}

/// `cpu.stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuStats {
    /// Microseconds of CPU time.
    pub usage_usec: u64,
    /// Of these, in user mode.
    pub user_usec: u64,
    /// Of these, in the kernel.
    pub system_usec: u64,
    /// Enforcement periods that passed.
    pub periods: u64,
    /// Periods in which the quota was used up.
    pub throttled_periods: u64,
    /// Microseconds spent waiting for the next period.
    pub throttled_usec: u64,
}

/// Memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryStats {
    /// In use, page cache included.
    pub current: u64,
    /// The most there ever was (Linux 5.19).
    pub peak: Option<u64>,
    /// The limit; none is unlimited.
    pub limit: Option<u64>,
    /// Swap in use.
    pub swap: u64,
    /// The limit of swap; none is unlimited.
    pub swap_limit: Option<u64>,
    /// Anonymous memory.
    pub anon: u64,
    /// Page cache.
    pub file: u64,
    /// Of the page cache, what is first to go: `docker stats` shows current less this.
    pub inactive_file: u64,
    /// Memory of the kernel.
    pub kernel: u64,
    /// Shared memory and tmpfs.
    pub shmem: u64,
    /// Page faults.
    pub page_faults: u64,
    /// Page faults that needed I/O.
    pub major_page_faults: u64,
}

/// Processes and threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PidsStats {
    /// How many there are.
    pub current: u64,
    /// How many there may be; none is unlimited.
    pub limit: Option<u64>,
}

/// One line of `io.stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceIo {
    /// Major number of the device.
    pub major: u32,
    /// Minor number of the device.
    pub minor: u32,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Bytes discarded.
    pub discarded_bytes: u64,
    /// Discards.
    pub discards: u64,
}

/// Pressure stall information (Documentation/accounting/psi.rst).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pressure {
    /// Some task waited.
    pub some: PressureLine,
    /// All tasks that were not idle waited.
    pub full: PressureLine,
}

/// One line of a pressure file.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PressureLine {
    /// Percent of time over ten seconds.
    pub avg10: f64,
    /// Percent of time over a minute.
    pub avg60: f64,
    /// Percent of time over five minutes.
    pub avg300: f64,
    /// Microseconds in all.
    pub total_usec: u64,
}

impl Cgroup {
    /// Reads what is counted for the cgroup.
    pub fn stats(&self) -> Result<Stats, CgroupError> {
        let text = |file: &str| match self.directory.read(file) {
            // Pressure files answer EOPNOTSUPP where PSI is off.
            Err(Errno::NOENT | Errno::OPNOTSUPP) => Ok(None),
            result => result.map(Some).map_err(io("read the statistics", self.path.as_str())),
        };
        Ok(Stats {
            cpu: text("cpu.stat")?.as_deref().map(CpuStats::of_lines).unwrap_or_default(),
            memory: match text("memory.current")? {
                None => None,
                Some(current) => Some(MemoryStats {
                    current: number(&current).unwrap_or(0),
                    peak: text("memory.peak")?.as_deref().and_then(number),
                    limit: text("memory.max")?.as_deref().and_then(number),
                    swap: text("memory.swap.current")?.as_deref().and_then(number).unwrap_or(0),
                    swap_limit: text("memory.swap.max")?.as_deref().and_then(number),
                    ..MemoryStats::of_lines(&text("memory.stat")?.unwrap_or_default())
                }),
            },
            pids: match text("pids.current")? {
                None => None,
                Some(current) => Some(PidsStats {
                    current: number(&current).unwrap_or(0),
                    limit: text("pids.max")?.as_deref().and_then(number),
                }),
            },
            io: text("io.stat")?.map(|text| text.lines().filter_map(device).collect()),
            cpu_pressure: text("cpu.pressure")?.as_deref().map(pressure),
            memory_pressure: text("memory.pressure")?.as_deref().map(pressure),
            io_pressure: text("io.pressure")?.as_deref().map(pressure),
        })
    }
}

/// A file with one number; `max` is none.
fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Counters that the kernel names.
trait Counters: Default {
    /// The one of this name, if it is wanted.
    fn counter(&mut self, name: &str) -> Option<&mut u64>;

    /// All that are wanted, of pairs of name and value.
    fn of<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut counters = Self::default();
        for (name, value) in pairs {
            if let (Some(counter), Some(value)) = (counters.counter(name), number(value)) {
                *counter = value;
            }
        }
        counters
    }

    /// Those of a flat-keyed file, whose lines are `name value`.
    fn of_lines(text: &str) -> Self {
        Self::of(text.lines().filter_map(|line| line.split_once(' ')))
    }
}

impl Counters for CpuStats {
    fn counter(&mut self, name: &str) -> Option<&mut u64> {
        Some(match name {
            "usage_usec" => &mut self.usage_usec,
            "user_usec" => &mut self.user_usec,
            "system_usec" => &mut self.system_usec,
            "nr_periods" => &mut self.periods,
            "nr_throttled" => &mut self.throttled_periods,
            "throttled_usec" => &mut self.throttled_usec,
            _ => return None,
        })
    }
}

impl Counters for MemoryStats {
    fn counter(&mut self, name: &str) -> Option<&mut u64> {
        Some(match name {
            "anon" => &mut self.anon,
            "file" => &mut self.file,
            "inactive_file" => &mut self.inactive_file,
            "kernel" => &mut self.kernel,
            "shmem" => &mut self.shmem,
            "pgfault" => &mut self.page_faults,
            "pgmajfault" => &mut self.major_page_faults,
            _ => return None,
        })
    }
}

impl Counters for DeviceIo {
    fn counter(&mut self, name: &str) -> Option<&mut u64> {
        Some(match name {
            "rbytes" => &mut self.read_bytes,
            "wbytes" => &mut self.written_bytes,
            "rios" => &mut self.reads,
            "wios" => &mut self.writes,
            "dbytes" => &mut self.discarded_bytes,
            "dios" => &mut self.discards,
            _ => return None,
        })
    }
}

/// A line `major:minor name=value name=value`.
fn device(line: &str) -> Option<DeviceIo> {
    let (device, values) = line.split_once(' ')?;
    let (major, minor) = device.split_once(':')?;
    let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
    let pairs = values.split_ascii_whitespace().filter_map(|pair| pair.split_once('='));
    Some(DeviceIo { major, minor, ..DeviceIo::of(pairs) })
}

fn pressure(text: &str) -> Pressure {
    let mut pressure = Pressure::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let target = match words.next() {
            Some("some") => &mut pressure.some,
            Some("full") => &mut pressure.full,
            _ => continue,
        };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            match key {
                "avg10" => target.avg10 = value.parse().unwrap_or(0.0),
                "avg60" => target.avg60 = value.parse().unwrap_or(0.0),
                "avg300" => target.avg300 = value.parse().unwrap_or(0.0),
                "total" => target.total_usec = number(value).unwrap_or(0),
                _ => {}
            }
        }
    }
    pressure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_understood() {
        let stat = CpuStats::of_lines(
            "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnice_usec 0\nnr_periods 3\nnr_throttled 2\n",
        );
        assert_eq!((stat.usage_usec, stat.user_usec, stat.system_usec), (30, 20, 10));
        assert_eq!((stat.periods, stat.throttled_periods, stat.throttled_usec), (3, 2, 0));

        let stat = MemoryStats::of_lines("anon 4096\nfile 8192\ninactive_file 100\npgfault 7\nnew_key x\n");
        assert_eq!((stat.anon, stat.file, stat.inactive_file, stat.page_faults), (4096, 8192, 100, 7));

        let line = "8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=5 dios=1";
        let io = device(line).unwrap();
        assert_eq!((io.major, io.minor, io.read_bytes, io.written_bytes), (8, 16, 1_459_200, 314_773_504));
        assert_eq!((io.reads, io.writes, io.discarded_bytes, io.discards), (192, 353, 5, 1));
        // The kernel writes a device without values for a moment.
        assert_eq!(device("8:0"), None);

        let psi = pressure(
            "some avg10=1.50 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.25 avg60=0.00 avg300=0.00 total=5\n",
        );
        assert!((psi.some.avg10 - 1.5).abs() < 1e-9 && (psi.full.avg10 - 0.25).abs() < 1e-9);
        assert_eq!((psi.some.total_usec, psi.full.total_usec), (77, 5));

        assert_eq!(number("max\n"), None);
        assert_eq!(number("12\n"), Some(12));
    }
}
