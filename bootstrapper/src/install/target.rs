//! Programs of the root tree, run in it as on the running node, with nothing of the run left behind.

use std::fmt;
use std::path::Path;
use std::process::Command;

/// Enters the tree in a mount namespace of its own, which goes with the last process in it: devices, processes, an empty
/// /tmp and an empty /run, in which sshd wants a directory. What is to be there later is put over the directories it belongs into.
/// 125 says that it did not come to the program.
const ENTER: &str = r#"
root=$1 staged=$2
shift 2
prepare() {
    mount --bind /dev "$root/dev" && mount -t proc proc "$root/proc" &&
        mount -t tmpfs -o mode=0755 tmpfs "$root/run" && mkdir -m 0755 "$root/run/sshd" &&
        { [ ! -d "$root/tmp" ] || mount -t tmpfs tmpfs "$root/tmp"; } || return
    [ -n "$staged" ] || return 0
    cd "$staged" || return
    for dir in etc/sudoers.d etc/ssh etc/systemd/system; do
        [ -d "$dir" ] && [ -d "$root/$dir" ] || continue
        both="$root/run/emts/$dir"
        mkdir -p "$both" && cp -a "$root/$dir/." "$both/" && cp -a "$dir/." "$both/" &&
            mount --bind "$both" "$root/$dir" || return
    done
    cd /
}
prepare || exit 125
exec chroot "$root" "$@"
"#;

/// Where the programs are that enter the tree, and those that a program in it may call.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program of the tree with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Absolute path in the tree.
    pub(super) path: &'static str,
    pub(super) arguments: Vec<String>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// With success, and with what it said.
    Done(String),
    /// With a failure, and with what it said.
    Failed(String),
    /// It was not run, and why.
    NotRun(String),
}

/// Files that the first boot will write, for checks before it.
#[derive(Debug, Default)]
pub(super) struct Staged(pub(super) Vec<(String, Vec<u8>)>);

impl Program {
    /// Runs it in a namespace of its own; where there can be none, in the bare tree, if that has all it is to see.
    pub(super) fn run(&self, root: &Path, staged: &Staged) -> Outcome {
        let prepared = staged
            .lay_out()
            .and_then(|directory| Ok((directory, root.canonicalize()?)));
        let (directory, root) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return Outcome::NotRun(format!("preparing its root: {error}")),
        };
        let files = directory.as_ref().map_or(Path::new(""), |own| own.path());
        let mut apart = Command::new("unshare");
        apart
            .args(["--mount", "--propagation", "private"])
            .args(["sh", "-c", ENTER, "sh"])
            .args([root.as_path(), files]);
        match self.outcome(apart) {
            Outcome::NotRun(why) if directory.is_none() => {
                let mut bare = Command::new("chroot");
                bare.arg(&root);
                match self.outcome(bare) {
                    Outcome::NotRun(_) => Outcome::NotRun(why),
                    other => other,
                }
            }
            other => other,
        }
    }

    /// How the program ends behind a command that enters the tree.
    fn outcome(&self, mut enter: Command) -> Outcome {
        enter.arg(self.path).args(&self.arguments);
        enter.env_clear().env("LC_ALL", "C").env("PATH", PATH);
        let output = match enter.output() {
            Ok(output) => output,
            Err(error) => {
                let enter = enter.get_program().display();
                return Outcome::NotRun(format!("{enter}: {error}"));
            }
        };
        let said = [output.stderr, output.stdout].concat();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        match output.status.code() {
            Some(0) => Outcome::Done(said),
            // unshare itself, the script above, and a shell or chroot that cannot run the program.
            _ if said.starts_with("unshare: ") => Outcome::NotRun(said),
            Some(125..=127) => Outcome::NotRun(said),
            _ => Outcome::Failed(said),
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path)?;
        self.arguments
            .iter()
            .try_for_each(|arg| write!(f, " {arg}"))
    }
}

impl Staged {
    /// A directory with the files as in the tree; none for no files.
    fn lay_out(&self) -> std::io::Result<Option<tempfile::TempDir>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let directory = tempfile::tempdir()?;
        for (path, content) in &self.0 {
            let path = directory.path().join(path.trim_start_matches('/'));
            if let Some(above) = path.parent() {
                std::fs::create_dir_all(above)?;
            }
            std::fs::write(&path, content)?;
        }
        Ok(Some(directory))
    }
}
