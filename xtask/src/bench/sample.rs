//! Contenders in turn (A B A B …), a warm-up first, wall time and the machine's CPU time of each sample.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Something to time: `before` and `after` are not counted.
pub struct Contender<'a> {
    pub name: String,
    pub before: Box<dyn FnMut() -> Result<()> + 'a>,
    pub run: Box<dyn FnMut() -> Result<()> + 'a>,
    pub after: Box<dyn FnMut() -> Result<()> + 'a>,
}

impl std::fmt::Debug for Contender<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Contender").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'a> Contender<'a> {
    /// One that needs neither preparation nor clean-up.
    pub fn plain(name: &str, run: impl FnMut() -> Result<()> + 'a) -> Self {
        Self {
            name: name.to_owned(),
            before: Box::new(|| Ok(())),
            run: Box::new(run),
            after: Box::new(|| Ok(())),
        }
    }
}

/// What one contender needed.
#[derive(Debug)]
pub struct Measured {
    pub name: String,
    /// Sorted.
    pub wall: Vec<Duration>,
    /// Sorted; of the whole machine, so daemons and shims count.
    pub cpu: Vec<Duration>,
    /// Why it could not be measured.
    pub failed: Option<String>,
}

impl Measured {
    pub fn median_wall(&self) -> Option<Duration> {
        self.wall.get(self.wall.len() / 2).copied()
    }

    pub fn median_cpu(&self) -> Option<Duration> {
        self.cpu.get(self.cpu.len() / 2).copied()
    }
}

/// Times all contenders `samples` times each, in turn. One that fails in its warm-up is left out, with its reason.
pub fn compare(mut contenders: Vec<Contender<'_>>, samples: usize) -> Vec<Measured> {
    let mut measured: Vec<Measured> = contenders
        .iter()
        .map(|contender| Measured {
            name: contender.name.clone(),
            wall: Vec::new(),
            cpu: Vec::new(),
            failed: None,
        })
        .collect();
    for round in 0..=samples {
        for (contender, measured) in contenders.iter_mut().zip(&mut measured) {
            if measured.failed.is_some() {
                continue;
            }
            match once(contender) {
                // The first round warms caches.
                Ok((wall, cpu)) if round > 0 => {
                    measured.wall.push(wall);
                    measured.cpu.push(cpu);
                }
                Ok(_) => {}
                Err(error) => {
                    println!("  {}: {error:#}", contender.name);
                    measured.failed = Some(format!("{error:#}"));
                }
            }
        }
    }
    for one in &mut measured {
        one.wall.sort();
        one.cpu.sort();
    }
    measured
}

fn once(contender: &mut Contender<'_>) -> Result<(Duration, Duration)> {
    (contender.before)().context("before")?;
    let busy = busy()?;
    let start = Instant::now();
    let result = (contender.run)();
    let wall = start.elapsed();
    let cpu = self::busy()?.saturating_sub(busy);
    (contender.after)().context("after")?;
    result?;
    Ok((wall, cpu))
}

/// CPU time the machine has spent on anything since boot. Source: proc(5), /proc/stat, units of 10 ms.
fn busy() -> Result<Duration> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().context("/proc/stat is empty")?;
    let ticks: Vec<u64> =
        line.split_ascii_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, ..] = ticks[..] else {
        bail!("/proc/stat: `{line}`")
    };
    Ok(Duration::from_millis(10 * (user + nice + system + irq + softirq)))
}

/// Runs a command to its end, output into `log`; its failure carries the log's tail.
pub fn command(mut command: Command, log: &Path) -> Result<()> {
    let file = File::create(log)?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()
        .with_context(|| format!("start {}", command.get_program().display()))?;
    if !status.success() {
        let text = fs::read_to_string(log).unwrap_or_default();
        let tail: Vec<&str> = text.lines().rev().take(3).collect();
        bail!("{} ended with {status}: {}", command.get_program().display(), tail.join(" | "));
    }
    Ok(())
}
