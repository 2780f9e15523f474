//! `health`, `version`, `info`.

use std::fmt::Write as _;

use ross_api::v1::{HealthRequest, InfoRequest, InfoResponse, VersionRequest, health_response::Status};

use super::{Context, Outcome};
use crate::render::json_image;
use crate::render::units::binary_size;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `health`: a daemon that answers is well enough for an exit code of 0; what it lacks is told.
pub async fn health(context: &mut Context) -> Outcome {
    let health = context.daemon().await?.ross().health(HealthRequest {}).await?.into_inner();
    if context.json() {
        context.print_json(&json_image::health(&health))?;
        return Ok(0);
    }
    let status = if health.status() == Status::Serving { "healthy" } else { "degraded" };
    context.streams.stdout.line(status)?;
    for check in &health.checks {
        let state = if check.ok { "ok" } else { &check.message };
        context.streams.stdout.line(format_args!("  {}: {state}", check.name))?;
    }
    Ok(0)
}

/// `version`: this side is told even when the other cannot be.
pub async fn version(context: &mut Context) -> Outcome {
    if !context.json() {
        context.streams.stdout.line(format_args!("Client: ross {VERSION}"))?;
    }
    let server = context.daemon().await?.ross().version(VersionRequest {}).await?.into_inner();
    if context.json() {
        context.print_json(&json_image::version(VERSION, &server))?;
        return Ok(0);
    }
    let mut text = format!("Server: rossd {}\n", server.version);
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {name}: {value}");
        }
    };
    line("API", &server.api_version);
    line("Commit", &server.commit);
    line("Platform", &format!("{}/{}", server.os, server.architecture));
    line("Kernel", &server.kernel_version);
    line("OCI runtime specification", &server.runtime_spec_version);
    context.streams.stdout.write(text)?;
    Ok(0)
}

/// `info`
pub async fn info(context: &mut Context) -> Outcome {
    let info = context.daemon().await?.ross().info(InfoRequest {}).await?.into_inner();
    if context.json() {
        context.print_json(&json_image::info(&info))?;
    } else {
        context.streams.stdout.write(describe(&info))?;
        for warning in &info.warnings {
            context.streams.stderr.say(format_args!("warning: {warning}"));
        }
    }
    Ok(0)
}

fn describe(info: &InfoResponse) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, "{name}: {value}");
    };
    line("Server version", &info.server_version);
    line("Containers", &info.containers);
    line("  Running", &info.containers_running);
    line("  Paused", &info.containers_paused);
    line("  Stopped", &info.containers_stopped);
    line("Images", &info.images);
    line("Cgroup version", &info.cgroup_version);
    line("Cgroup driver", &info.cgroup_driver);
    line("Cgroup controllers", &info.cgroup_controllers.join(" "));
    line("Security options", &info.security_options.join(" "));
    line("Kernel", &info.kernel_version);
    line("Operating system", &info.operating_system);
    line("Architecture", &info.architecture);
    line("CPUs", &info.cpus);
    line("Memory", &binary_size(info.memory_bytes));
    line("Host name", &info.host_name);
    line("ID", &info.id);
    line("Root directory", &info.root_dir);
    line("State directory", &info.state_dir);
    text
}
