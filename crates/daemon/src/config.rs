//! What rossd was told: flags over the configuration file over defaults.

mod registries;

use std::path::{Path, PathBuf};

use clap::Parser;
use ross_image::Hosts;
use ross_network::Ipv4Net;
use serde::Deserialize;

use registries::Tables;

const DEFAULT_FILE: &str = "/etc/ross/config.toml";
const DEFAULT_ROOT: &str = "/var/lib/ross";
const DEFAULT_STATE: &str = "/run/ross";

/// The daemon of ross.
#[derive(Debug, Default, Parser)]
#[command(name = "rossd", version)]
pub struct Arguments {
    /// Directory of what lives through a reboot [default: /var/lib/ross]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Directory of what does not, on a tmpfs [default: /run/ross]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Socket to listen on: unix:///PATH [default: ross.sock in the state directory]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Configuration file [default: /etc/ross/config.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Registry to talk to over plain HTTP; loopback addresses always are
    #[arg(long = "insecure-registry", value_name = "HOST[:PORT]")]
    pub insecure_registries: Vec<String>,
    /// The ross-shim binary [default: beside this one]
    #[arg(long, value_name = "PATH")]
    pub shim: Option<PathBuf>,
    /// Subnet of the default bridge, such as 10.88.0.0/16; a free one is chosen by default
    #[arg(long, value_name = "SUBNET")]
    pub default_subnet: Option<String>,
    /// What is logged: error, warn, info, debug, trace, or a filter of tracing [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// The configuration file: the flags by their names, with underscores, and a table for each registry.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    root: Option<PathBuf>,
    state: Option<PathBuf>,
    listen: Option<String>,
    insecure_registries: Vec<String>,
    registries: Tables,
    shim: Option<PathBuf>,
    default_subnet: Option<String>,
    log_level: Option<String>,
}

/// Everything decided.
#[derive(Debug, Clone)]
pub struct Config {
    /// Absolute.
    pub root: PathBuf,
    /// Absolute.
    pub state: PathBuf,
    /// Path of the socket, absolute.
    pub socket: PathBuf,
    /// Registries spoken to over plain HTTP.
    pub insecure_registries: Vec<String>,
    /// Registries with a configuration of their own.
    pub registries: Hosts,
    /// The ross-shim binary.
    pub shim: PathBuf,
    /// Subnet of the default bridge.
    pub default_subnet: Option<Ipv4Net>,
    /// A filter of tracing.
    pub log_level: String,
}

/// A configuration that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// The file makes no sense.
    #[error("configuration file {}, line {line}: {}", path.display(), source.message())]
    Parse { path: PathBuf, line: usize, source: toml::de::Error },
    /// A value makes no sense.
    #[error("{0}")]
    Value(String),
}

impl Config {
    /// Decides, reading the file that is named or, if it is there, the one at the usual place.
    pub fn read(arguments: Arguments) -> Result<Self, ConfigError> {
        let (path, named) = match &arguments.config {
            Some(path) => (path.as_path(), true),
            None => (Path::new(DEFAULT_FILE), false),
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => String::new(),
            Err(source) => return Err(ConfigError::Read { path: path.to_owned(), source }),
        };
        let file = toml::from_str(&text).map_err(|source| {
            let before = source.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            ConfigError::Parse { path: path.to_owned(), line, source }
        })?;
        Self::decide(arguments, file)
    }

    fn decide(arguments: Arguments, file: File) -> Result<Self, ConfigError> {
        let root = absolute("root", arguments.root.or(file.root), DEFAULT_ROOT)?;
        let state = absolute("state", arguments.state.or(file.state), DEFAULT_STATE)?;
        let socket = match arguments.listen.or(file.listen) {
            Some(address) => socket_path(&address)?,
            None => state.join("ross.sock"),
        };
        let subnet = arguments.default_subnet.or(file.default_subnet);
        let default_subnet = subnet
            .map(|text| {
                text.parse()
                    .map_err(|_| ConfigError::Value(format!("default subnet `{text}` is no IPv4 subnet")))
            })
            .transpose()?;
        let mut insecure_registries = file.insecure_registries;
        insecure_registries.extend(arguments.insecure_registries);
        for registry in &insecure_registries {
            if registry.is_empty() || registry.contains('/') {
                let reason =
                    format!("insecure registry `{registry}`: expected HOST or HOST:PORT, without a scheme");
                return Err(ConfigError::Value(reason));
            }
        }
        let registries = file.registries.check().map_err(|error| ConfigError::Value(error.to_string()))?;
        let shim = match arguments.shim.or(file.shim) {
            Some(path) => path,
            None => beside_this()?,
        };
        if !shim.is_file() {
            let reason = format!("{} is no file: name the ross-shim binary with --shim", shim.display());
            return Err(ConfigError::Value(reason));
        }
        let log_level = arguments.log_level.or(file.log_level).unwrap_or_else(|| "info".to_owned());
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&log_level) {
            return Err(ConfigError::Value(format!("log level `{log_level}`: {error}")));
        }
        Ok(Self { root, state, socket, insecure_registries, registries, shim, default_subnet, log_level })
    }
}

/// The shim that was installed with this daemon.
fn beside_this() -> Result<PathBuf, ConfigError> {
    let this = std::env::current_exe()
        .map_err(|error| ConfigError::Value(format!("cannot find the path of this program: {error}")))?;
    Ok(this.with_file_name("ross-shim"))
}

fn absolute(what: &str, path: Option<PathBuf>, default: &str) -> Result<PathBuf, ConfigError> {
    let path = path.unwrap_or_else(|| default.into());
    if path.is_absolute() {
        return Ok(path);
    }
    Err(ConfigError::Value(format!("{what} `{}`: the path must be absolute", path.display())))
}

fn socket_path(address: &str) -> Result<PathBuf, ConfigError> {
    if address.starts_with("tcp://") {
        return Err(ConfigError::Value(format!(
            "listen `{address}`: TCP is refused, because whoever reaches the daemon is root on this host; it comes \
             with mutual TLS"
        )));
    }
    match address.strip_prefix("unix://").map(PathBuf::from).filter(|path| path.is_absolute()) {
        Some(path) => Ok(path),
        None => Err(ConfigError::Value(format!("listen `{address}`: expected unix:///PATH"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(flags: &[&str], file: &str) -> Result<Config, String> {
        let shim = tempfile::NamedTempFile::new().unwrap();
        let shim_flag = format!("--shim={}", shim.path().display());
        let words = ["rossd", shim_flag.as_str()].into_iter().chain(flags.iter().copied());
        let arguments = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
        let file = toml::from_str(file).map_err(|error: toml::de::Error| error.message().to_owned())?;
        Config::decide(arguments, file).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_over_file_over_defaults() {
        let config = decide(&[], "").unwrap();
        assert_eq!(
            (config.root.as_path(), config.state.as_path()),
            (Path::new(DEFAULT_ROOT), Path::new(DEFAULT_STATE))
        );
        assert_eq!(config.socket, Path::new("/run/ross/ross.sock"));
        assert_eq!((config.log_level.as_str(), config.default_subnet), ("info", None));
        let file = "root = '/a'\nstate = '/b'\nlog_level = 'debug'\ninsecure_registries = ['x:1']\n\
                    default_subnet = '10.1.0.0/16'";
        let config = decide(&["--root", "/c", "--insecure-registry", "y:2"], file).unwrap();
        assert_eq!((config.root.as_path(), config.state.as_path()), (Path::new("/c"), Path::new("/b")));
        assert_eq!(config.socket, Path::new("/b/ross.sock"));
        assert_eq!(config.insecure_registries, ["x:1", "y:2"]);
        assert_eq!((config.log_level.as_str(), config.default_subnet.unwrap().prefix_len()), ("debug", 16));
        let config = decide(&["--listen", "unix:///x/y.sock"], "listen = 'unix:///z'").unwrap();
        assert_eq!(config.socket, Path::new("/x/y.sock"));
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let check = |flags: &[&str], file: &str, part: &str| {
            let error = decide(flags, file).expect_err(part);
            assert!(error.contains(part), "{error}");
        };
        check(&[], "rot = '/a'", "rot");
        check(&[], "root = 5", "invalid type");
        check(&["--root", "relative"], "", "absolute");
        check(&["--listen", "tcp://0.0.0.0:1"], "", "mutual TLS");
        check(&["--listen", "/x"], "", "unix:///PATH");
        check(&["--insecure-registry", "http://x"], "", "without a scheme");
        check(&["--default-subnet", "10.0.0.0"], "", "subnet");
        check(&["--log-level", "a=b=c"], "", "log level");
        check(&["--bogus"], "", "--bogus");
        check(&[], "registries = 5", "invalid type");
        check(&[], "[registries.'a/b']\nmirrors = ['x']", "registry \"a/b\": expected HOST");
        check(&[], "[registries.'x:1']\nmirror = 'y'", "unknown field `mirror`");
    }

    #[test]
    fn mistakes_in_the_file_are_told_with_their_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "root = '/a'\n\n[registries.'x:1']\nmirrors = 'y'\n").unwrap();
        let arguments = Arguments { config: Some(file.path().to_owned()), ..Arguments::default() };
        let error = Config::read(arguments).unwrap_err().to_string();
        assert!(error.contains(&format!("{}, line 4: invalid type", file.path().display())), "{error}");
    }

    #[test]
    fn the_named_file_must_exist() {
        let arguments = Arguments { config: Some("/nonexistent/ross.toml".into()), ..Arguments::default() };
        assert!(Config::read(arguments).unwrap_err().to_string().contains("/nonexistent/ross.toml"));
    }
}
