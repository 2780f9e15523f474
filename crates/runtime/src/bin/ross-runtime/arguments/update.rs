//! The options of update.

use std::path::PathBuf;

use lexopt::prelude::*;
use ross_runtime::spec::LinuxResources;

use super::Parsed;
use super::options::{Given, bytes, id, path, positionals};

/// What to change.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Update {
    /// A file with resources, or `-`. It takes the place of everything else.
    pub file: Option<PathBuf>,
    /// What the options say.
    pub resources: LinuxResources,
    /// Options that mean nothing any more.
    pub ignored: Vec<&'static str>,
    /// Shares of caches: a line for `schemata` of resctrl.
    pub l3_cache_schema: Option<String>,
    /// The same of memory bandwidth.
    pub mem_bw_schema: Option<String>,
}

pub(super) fn parse(parser: &mut lexopt::Parser) -> Parsed<(String, Update)> {
    let mut update = Update::default();
    let ids = positionals(parser, 1, &mut |option, parser| {
        match option {
            Given::Short('r') | Given::Long("resources") => update.file = path(parser)?,
            Given::Long(name) => {
                let name = name.to_owned();
                return take(&mut update, &name, parser);
            }
            Given::Short(_) => return Ok(false),
        }
        Ok(true)
    })?;
    Ok((id(ids)?, update))
}

fn take(update: &mut Update, name: &str, parser: &mut lexopt::Parser) -> Parsed<bool> {
    let resources = &mut update.resources;
    match name {
        "blkio-weight" => {
            let weight = value(name, parser)?;
            if weight != Some(0) {
                resources.block_io.get_or_insert_default().weight = weight;
            }
        }
        "cpu-period" => resources.cpu.get_or_insert_default().period = value(name, parser)?,
        "cpu-quota" => resources.cpu.get_or_insert_default().quota = value(name, parser)?,
        "cpu-burst" => resources.cpu.get_or_insert_default().burst = value(name, parser)?,
        "cpu-share" => resources.cpu.get_or_insert_default().shares = value(name, parser)?,
        "cpu-rt-period" => resources.cpu.get_or_insert_default().realtime_period = value(name, parser)?,
        "cpu-rt-runtime" => resources.cpu.get_or_insert_default().realtime_runtime = value(name, parser)?,
        "cpu-idle" => resources.cpu.get_or_insert_default().idle = value(name, parser)?,
        "cpuset-cpus" => resources.cpu.get_or_insert_default().cpus = parser.value()?.string()?,
        "cpuset-mems" => resources.cpu.get_or_insert_default().mems = parser.value()?.string()?,
        "memory" => resources.memory.get_or_insert_default().limit = size(name, parser)?,
        "memory-reservation" => resources.memory.get_or_insert_default().reservation = size(name, parser)?,
        "memory-swap" => resources.memory.get_or_insert_default().swap = size(name, parser)?,
        "pids-limit" => {
            let limit = value(name, parser)?;
            if limit != Some(0) {
                resources.pids.get_or_insert_default().limit = limit;
            }
        }
        "kernel-memory" | "kernel-memory-tcp" => {
            parser.value()?;
            update.ignored.push(if name == "kernel-memory" {
                "--kernel-memory"
            } else {
                "--kernel-memory-tcp"
            });
        }
        "l3-cache-schema" => update.l3_cache_schema = word(parser)?,
        "mem-bw-schema" => update.mem_bw_schema = word(parser)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// A word; an empty one is as none.
fn word(parser: &mut lexopt::Parser) -> Parsed<Option<String>> {
    Ok(Some(parser.value()?.string()?).filter(|text| !text.is_empty()))
}

/// A number; an empty word is as none, as callers in Go write it.
fn value<T: std::str::FromStr>(name: &str, parser: &mut lexopt::Parser) -> Parsed<Option<T>> {
    let text = parser.value()?.string()?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| format!("invalid value for {name}: `{text}`").into())
}

fn size(name: &str, parser: &mut lexopt::Parser) -> Parsed<Option<i64>> {
    let text = parser.value()?.string()?;
    if text.is_empty() {
        return Ok(None);
    }
    bytes(&text).map(Some).map_err(|error| format!("invalid value for {name}: {error}").into())
}
