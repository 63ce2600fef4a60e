//! cluster-bootstrapper on the command line: arguments in, files and exit codes out.
//! Exit 0 is success, 1 a wrong config-file, 2 wrong usage, 3 a file that cannot be read or written.

mod explain;
mod manual;
mod validate;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use cluster_bootstrapper::ConfigFile;
use cluster_bootstrapper::diagnostic::Severity;
use cluster_bootstrapper::export::{self, Target};
use cluster_bootstrapper::install::{self, InstallError, Machine, Owners, Root};
use cluster_bootstrapper::model::InstallDisk;
use cluster_bootstrapper::values::HostName;
use cluster_bootstrapper::{ParseOptions, Parsed, document, migrate, parse_bytes, redact, schema};
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Converts the config-file of a standalone edge node.
///
/// Without a command: converts the Kubernetes section to a cloud-init configuration, as in
/// `cluster-bootstrapper -config-file config-file -out k8s.cfg`.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    convert: Option<Convert>,
}

#[derive(Debug, Args)]
struct Convert {
    /// The config-file; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    config_file: PathBuf,
    /// The K3s version in the OS image; a `version` in the config-file that differs is an error.
    #[arg(long, value_name = "VERSION")]
    k3s_version: Option<String>,
    /// Treat warnings as errors.
    #[arg(long)]
    deny_warnings: bool,
    /// Where the cloud-init configuration is written, mode 0600; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct Input {
    /// The config-file; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    config_file: PathBuf,
    /// The K3s version in the OS image; a `version` in the config-file that differs is an error.
    #[arg(long, value_name = "VERSION")]
    k3s_version: Option<String>,
    /// Treat warnings as errors.
    #[arg(long)]
    deny_warnings: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a root tree the system of one machine.
    ///
    /// Writes users, SSH keys, proxy, host name, network, files and the first boot's k8s.cfg, gives the machine an
    /// identity of its own (machine-id, SSH host key), and asks visudo, sshd and systemd-analyze in the tree whether they
    /// take the files that are theirs.
    Install {
        #[command(flatten)]
        input: Input,
        /// The folder that is the target's `/`.
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
        /// The host name when the config-file has none [default: `node-` and eight digits of the machine-id].
        #[arg(long, value_name = "NAME", value_parser = host_name)]
        default_hostname: Option<HostName>,
    },
    /// Check config-files and report all that is wrong with them.
    Validate(validate::Arguments),
    /// Explain a code of the reports: what is wrong, why, and what to do.
    Explain(explain::Arguments),
    /// Print a part of the config-file as one line of JSON, for scripts.
    Show {
        /// The part.
        #[arg(value_enum)]
        part: Part,
        #[command(flatten)]
        input: Input,
    },
    /// Turn a file of the old raw-text format, or a template of Cluster API or EMF, into a config-file.
    ///
    /// Each key goes to its new place, of the old format with its comments. What was left out or means something else now is
    /// said on standard error and, if left out, at the end of the new file. A template is YAML or JSON, with the Secrets that
    /// its files take their content from as further documents.
    Migrate {
        /// The old file or the template; `-` is standard input.
        #[arg(long, visible_alias = "config-file", value_name = "OLD")]
        input: PathBuf,
        /// Where the config-file is written, mode 0600; standard output when left out.
        #[arg(long, value_name = "NEW")]
        out: Option<PathBuf>,
    },
    /// Print the K3s section as the template that Cluster API or EMF takes, for a node that is managed centrally.
    Export {
        #[command(flatten)]
        input: Input,
        /// The form: the manifest in YAML, or EMF's cluster template in JSON.
        #[arg(long, value_enum, default_value_t = Format::Manifest)]
        format: Format,
        /// Name of the template.
        #[arg(long, default_value = "standalone-node")]
        name: String,
        /// Where it is written, mode 0600; standard output when left out.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Print the JSON Schema of the config-file.
    Schema {
        /// Compare this file with it instead; exit 1 when they differ.
        #[arg(long, value_name = "FILE")]
        check: Option<PathBuf>,
    },
    /// Print the description of the config-file in Markdown.
    Docs {
        /// Compare this file with it instead; exit 1 when they differ.
        #[arg(long, value_name = "FILE")]
        check: Option<PathBuf>,
    },
    /// Print the completions of a shell.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the manual page: `cluster-bootstrapper man | man -l -`.
    Man,
}

/// A part of the config-file that `show` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// operatingSystem.installDisk, null when it was left out; so are its keys. Sizes are bytes.
    InstallDisk,
    /// The whole config-file without its secrets, contents of files and commands, for logs that are passed on.
    Redacted,
}

/// A form that `export` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Manifest,
    EmfJson,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Human,
    Json,
    Sarif,
}

/// How a run can end that is not success.
const WRONG_CONFIG: u8 = 1;
const WRONG_IO: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse_from(std::env::args_os().map(go_style));
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(WRONG_IO)
        }
    }
}

/// Go programs take `-out`; the proposal calls this one so.
fn go_style(arg: OsString) -> OsString {
    match arg.to_str() {
        Some(text)
            if text.len() > 2
                && text.starts_with('-')
                && text[1..].starts_with(|c: char| c.is_ascii_lowercase()) =>
        {
            format!("-{text}").into()
        }
        _ => arg,
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    match (cli.command, cli.convert) {
        (
            Some(Command::Install {
                input,
                root,
                default_hostname,
            }),
            _,
        ) => run_install(&input, &root, default_hostname),
        (Some(Command::Validate(arguments)), _) => validate::run(&arguments),
        (Some(Command::Explain(arguments)), _) => explain::run(arguments),
        (Some(Command::Completions { shell }), _) => {
            print(&manual::completions(shell)).map(|()| ExitCode::SUCCESS)
        }
        (Some(Command::Man), _) => print(&manual::page()?).map(|()| ExitCode::SUCCESS),
        (Some(Command::Show { part, input }), _) => show(part, &input),
        (Some(Command::Migrate { input, out }), _) => run_migrate(&input, out.as_deref()),
        (
            Some(Command::Export {
                input,
                format,
                name,
                out,
            }),
            _,
        ) => {
            let version = input.k3s_version.clone();
            run_export(&input, format, &Target { name, version }, out.as_deref())
        }
        (Some(Command::Schema { check }), _) => generated("schema", &schema::schema_text(), check),
        (Some(Command::Docs { check }), _) => generated("docs", &document::document(), check),
        (None, Some(convert)) => run_convert(convert),
        (None, None) => {
            use clap::CommandFactory as _;
            Cli::command()
                .error(
                    clap::error::ErrorKind::MissingRequiredArgument,
                    "give -config-file FILE and -out FILE, or a command",
                )
                .exit()
        }
    }
}

/// Prints a generated text, or compares a file with it.
fn generated(command: &str, text: &str, check: Option<PathBuf>) -> Result<ExitCode> {
    let Some(path) = check else {
        print(text)?;
        return Ok(ExitCode::SUCCESS);
    };
    let shown = path.display();
    let found = std::fs::read_to_string(&path).with_context(|| format!("reading {shown}"))?;
    if found == text {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{shown} is not up to date; run: cluster-bootstrapper {command} > {shown}");
    Ok(ExitCode::from(WRONG_CONFIG))
}

fn run_convert(convert: Convert) -> Result<ExitCode> {
    let input = Input {
        config_file: convert.config_file,
        k3s_version: convert.k3s_version,
        deny_warnings: convert.deny_warnings,
    };
    let Some(config) = accepted(&input)? else {
        return Ok(ExitCode::from(WRONG_CONFIG));
    };
    let boot = config
        .first_boot()
        .context("converting the Kubernetes section")?;
    if convert.out == Path::new("-") {
        print(&boot.cloud_config())?;
    } else {
        write_whole(&convert.out, &boot)
            .with_context(|| format!("writing {}", convert.out.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn host_name(text: &str) -> Result<HostName, String> {
    text.parse::<HostName>()
        .map_err(|complaint| complaint.message)
}

fn run_install(input: &Input, root: &Path, default: Option<HostName>) -> Result<ExitCode> {
    let Some(config) = accepted(input)? else {
        return Ok(ExitCode::from(WRONG_CONFIG));
    };
    match install_into(&config, root, default) {
        Err(error) if matches!(error.downcast_ref(), Some(InstallError::Refused { .. })) => {
            eprintln!("error: {error:#}");
            Ok(ExitCode::from(WRONG_CONFIG))
        }
        other => other
            .map(|()| ExitCode::SUCCESS)
            .with_context(|| format!("configuring the operating system in {}", root.display())),
    }
}

fn install_into(config: &ConfigFile, root: &Path, default: Option<HostName>) -> Result<()> {
    let tree = Root::open(root, Owners::Set)?;
    let plan = install::plan(config, &Machine::new(default)?, &tree)?;
    let warnings = plan.carry_out(&tree)?;
    for warning in warnings.into_iter().chain(plan.verify(&tree)?) {
        eprintln!("warning: {warning}");
    }
    Ok(())
}

fn run_migrate(input: &Path, out: Option<&Path>) -> Result<ExitCode> {
    let shown = input.display();
    let bytes = read_bytes(input).with_context(|| format!("reading {shown}"))?;
    let Ok(old) = String::from_utf8(bytes) else {
        eprintln!("error: {shown} is not UTF-8 text; convert it with iconv");
        return Ok(ExitCode::from(WRONG_CONFIG));
    };
    let migrated = match migrate::migrate(&old) {
        Ok(migrated) => migrated,
        Err(error) => {
            eprintln!("error: {shown}: {error}");
            return Ok(ExitCode::from(WRONG_CONFIG));
        }
    };
    for remark in &migrated.remarks {
        eprintln!("{shown}: {remark}");
    }
    written(out, &migrated.text)
}

fn run_export(
    input: &Input,
    format: Format,
    target: &Target,
    out: Option<&Path>,
) -> Result<ExitCode> {
    let parsed = read(input)?;
    report(&input.config_file, &parsed);
    let Some(config) = parsed.config.as_ref().filter(|_| !refused(input, &parsed)) else {
        return Ok(ExitCode::from(WRONG_CONFIG));
    };
    let done = match format {
        Format::Manifest => export::manifest(&parsed, target),
        Format::EmfJson => export::cluster_template(&parsed, target),
    };
    let shown = input.config_file.display();
    let text = match done {
        Ok(text) => text,
        Err(error) => {
            eprintln!("error: {shown}: {error}");
            return Ok(ExitCode::from(WRONG_CONFIG));
        }
    };
    for line in export::left_out(config) {
        eprintln!("{shown}: {line}");
    }
    written(out, &text)
}

/// Writes a text into a file, or prints it.
fn written(out: Option<&Path>, text: &str) -> Result<ExitCode> {
    match out {
        Some(path) => {
            write_whole(path, &text).with_context(|| format!("writing {}", path.display()))?;
        }
        None => print(text)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(part: Part, input: &Input) -> Result<ExitCode> {
    let parsed = read(input)?;
    report(&input.config_file, &parsed);
    let Some(config) = parsed.config.as_ref().filter(|_| !refused(input, &parsed)) else {
        return Ok(ExitCode::from(WRONG_CONFIG));
    };
    let disk = config.operating_system.install_disk.as_ref();
    let value = match part {
        Part::InstallDisk => disk.map(InstallDisk::to_json),
        Part::Redacted => redact::redacted(&parsed),
    };
    let value = value.unwrap_or_default();
    print(&format!("{value}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Reads a config-file and reports on it; `None` when it must not be used.
fn accepted(input: &Input) -> Result<Option<ConfigFile>> {
    let parsed = read(input)?;
    report(&input.config_file, &parsed);
    let refused = refused(input, &parsed);
    Ok(parsed.config.filter(|_| !refused))
}

fn refused(input: &Input, parsed: &Parsed) -> bool {
    let warned = parsed
        .diagnostics
        .iter()
        .any(|d| d.severity == Severity::Warning);
    parsed.has_errors() || (input.deny_warnings && warned)
}

fn read(input: &Input) -> Result<Parsed> {
    let path = &input.config_file;
    let bytes =
        read_bytes(path).with_context(|| format!("reading the config-file {}", path.display()))?;
    let options = ParseOptions {
        k3s_version: input.k3s_version.clone(),
    };
    Ok(parse_bytes(bytes, &options))
}

/// The bytes of a file, or of standard input for `-`; of too large a one only enough to see that it is.
fn read_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let limit = cluster_bootstrapper::yaml::MAX_BYTES as u64 + 1;
    let mut bytes = vec![];
    if path == Path::new("-") {
        std::io::stdin().take(limit).read_to_end(&mut bytes)?;
    } else {
        let file = std::fs::File::open(path)?;
        let size = file.metadata()?.len().min(limit);
        bytes.reserve_exact(usize::try_from(size).unwrap_or_default());
        file.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn report(path: &Path, parsed: &Parsed) {
    let stderr = std::io::stderr();
    let colour = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    for diagnostic in &parsed.diagnostics {
        let shown = diagnostic.render(&path.display().to_string(), parsed.source(), colour);
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(&stderr, "{shown}");
    }
}

fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .context("writing to standard output")
}

/// Writes beside and renames: the file is there whole, mode 0600, or not at all, also after a power cut. That it is there
/// after one is for the caller to see to, who syncs the disk once when all is written. Links are followed; a device or
/// pipe, as /dev/stdout may be, is written into.
fn write_whole(path: &Path, content: &dyn Display) -> std::io::Result<()> {
    let path = &match std::fs::metadata(path) {
        Ok(found) if !found.is_file() && !found.is_dir() => {
            let mut out = std::fs::OpenOptions::new().write(true).open(path)?;
            return out.write_all(content.to_string().as_bytes());
        }
        Ok(_) => path.canonicalize()?,
        Err(_) => path.to_owned(),
    };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".k8s-")
        .tempfile_in(folder)?;
    let mut out = std::io::BufWriter::with_capacity(64 << 10, file.as_file_mut());
    write!(out, "{content}")?;
    out.flush()?;
    drop(out);
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
