//! [`Launch`]: the command line that starts an engine on a folder, and where its HTTP port will be known from.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::error::io_error;
use super::folder::DataFolder;
use super::{EmbeddedError, Engine, ServerOptions};

/// How to start an engine.
pub(super) struct Launch {
    /// The program and its arguments.
    pub(super) command: Command,
    /// The port, where it is known beforehand; else the engine writes it into the folder.
    pub(super) http_port: Option<u16>,
}

impl Launch {
    /// # Errors
    /// Where a path is not UTF-8, or a configuration cannot be written.
    pub(super) fn new(
        engine: &Engine,
        options: &ServerOptions,
        folder: &DataFolder,
    ) -> Result<Self, EmbeddedError> {
        match engine {
            Engine::Library(library) => {
                let mut command = Command::new(absolute(&options.launcher)?);
                command.arg("clickhouse-engine").arg(library).args(local_arguments(options, folder)?);
                Ok(Self { command, http_port: None })
            }
            Engine::LocalBinary(binary) => {
                let mut command = Command::new(binary);
                command.arg("local").args(local_arguments(options, folder)?);
                Ok(Self { command, http_port: None })
            }
            Engine::ServerBinary(binary) => {
                let http_port = free_port(options.http_port)?;
                let config = write_server_config(options, folder, http_port)?;
                let mut command = Command::new(absolute(&options.launcher)?);
                command.arg("clickhouse-engine").arg(binary).arg("server");
                command.arg(format!("--config-file={}", utf8(&config)?));
                Ok(Self { command, http_port: Some(http_port) })
            }
        }
    }
}

/// What `clickhouse local` is told: to listen, to write its port down, and to read its standard input to the end.
fn local_arguments(options: &ServerOptions, folder: &DataFolder) -> Result<Vec<String>, EmbeddedError> {
    let mut arguments = vec![
        format!("--path={}", utf8(&folder.store())?),
        "--listen_host=127.0.0.1".to_owned(),
        format!("--http_port={}", options.http_port),
    ];
    if let Some(port) = options.tcp_port {
        arguments.push(format!("--tcp_port={port}"));
    }
    if let Some(config) = &options.config {
        arguments.push(format!("--config-file={}", utf8(&absolute(config)?)?));
    }
    arguments.push(format!("--query={}", script(utf8(&folder.port_file())?, options.tcp_port.is_some())));
    Ok(arguments)
}

/// What a `SELECT` prints stays in the result buffer until the last query ends, so the port goes into a file.
fn script(port_file: &str, tcp: bool) -> String {
    let port_file = port_file.replace('\\', "\\\\").replace('\'', "\\'");
    let tcp = if tcp { "SYSTEM START LISTEN TCP; " } else { "" };
    format!(
        "SYSTEM START LISTEN HTTP; {tcp}\
         SELECT getServerPort('http_port') INTO OUTFILE '{port_file}' FORMAT TSV; \
         SELECT * FROM file('/dev/stdin', 'TSV', 'x String') FORMAT Null"
    )
}

/// A configuration for `clickhouse server`: loopback only, everything below the folder, the user `default` without a
/// password. The user's own file is laid over it, as ClickHouse does with the files of `<name>.d`.
fn write_server_config(
    options: &ServerOptions,
    folder: &DataFolder,
    http_port: u16,
) -> Result<PathBuf, EmbeddedError> {
    let config = folder.root().join("backfill-server.xml");
    let overlays = folder.root().join("backfill-server.d");
    match fs::remove_dir_all(&overlays) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("cannot remove", &overlays)(error));
        }
        _ => {}
    }
    if let Some(file) = &options.config {
        let extension = file.extension().and_then(|it| it.to_str()).unwrap_or("xml");
        let overlay = overlays.join(format!("config.{extension}"));
        fs::create_dir_all(&overlays).map_err(io_error("cannot make the folder", &overlays))?;
        fs::copy(file, overlay).map_err(io_error("cannot read", file))?;
    }
    let text = server_config(utf8(&folder.store())?, http_port, options.tcp_port);
    fs::write(&config, text).map_err(io_error("cannot write", &config))?;
    Ok(config)
}

fn server_config(store: &str, http_port: u16, tcp_port: Option<u16>) -> String {
    let store = store.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut text = String::from("<clickhouse>\n");
    let mut line = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    <{name}>{value}</{name}>");
    };
    line("logger", "<level>warning</level><console>1</console>");
    line("listen_host", "127.0.0.1");
    line("http_port", &http_port.to_string());
    if let Some(port) = tcp_port {
        line("tcp_port", &port.to_string());
    }
    line("path", &format!("{store}/"));
    line("tmp_path", &format!("{store}/tmp/"));
    line("user_files_path", &format!("{store}/user_files/"));
    line("format_schema_path", &format!("{store}/format_schemas/"));
    line(
        "users",
        "<default><password/><networks><ip>127.0.0.1</ip></networks><profile>default</profile>\
         <quota>default</quota></default>",
    );
    line("profiles", "<default/>");
    line("quotas", "<default/>");
    text.push_str("</clickhouse>\n");
    text
}

/// Refuses a port on which something listens, before anything is started or fetched.
pub(super) fn check_port(port: u16) -> Result<(), EmbeddedError> {
    free_port(port).map(|_| ())
}

/// The port, or, for 0, one that is free now.
fn free_port(port: u16) -> Result<u16, EmbeddedError> {
    let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| listener.local_addr());
    match listening {
        Ok(address) => Ok(address.port()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(EmbeddedError::PortTaken { port }),
        Err(source) => Err(EmbeddedError::Port { port, source }),
    }
}

/// The engine runs in its folder, where a relative path would lead elsewhere.
fn absolute(path: &Path) -> Result<PathBuf, EmbeddedError> {
    std::path::absolute(path).map_err(io_error("cannot find", path))
}

fn utf8(path: &Path) -> Result<&str, EmbeddedError> {
    path.to_str().ok_or_else(|| EmbeddedError::NotUtf8 { path: path.to_owned() })
}
