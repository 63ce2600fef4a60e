//! `cargo xtask clean`: prunes the stage store and the parts of HookOS's initrd.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::progress;
use crate::store::{Store, cache_dir};

/// What `clean` takes.
#[derive(Args)]
pub struct Arguments {
    /// Remove outputs that no run has used for this long: `30d`, `12h`, `0s` for all
    #[arg(long, value_parser = humantime::parse_duration)]
    older_than: Duration,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

/// Removes store entries and parts by the time since their last use.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let store = Store::of_user()?;
    let (mut count, mut freed) = (0, 0);
    for (dir, entry, age) in store.entries()? {
        if age < arguments.older_than {
            continue;
        }
        if !arguments.dry_run && !store.remove(&dir)? {
            println!("kept, a build holds it: {}", dir.display());
            continue;
        }
        println!("{} ({})", dir.display(), progress::bytes(entry.size));
        count += 1;
        freed += entry.size;
    }
    for part in ::hookos::old_parts(&cache_dir()?.join("hookos"), arguments.older_than)? {
        if !arguments.dry_run {
            fs_err::remove_dir_all(&part.path)?;
        }
        println!("{} ({})", part.path.display(), progress::bytes(part.size));
        count += 1;
        freed += part.size;
    }
    let verb = if arguments.dry_run {
        "would be removed"
    } else {
        "removed"
    };
    println!("{count} outputs {verb}, {}", progress::bytes(freed));
    Ok(ExitCode::SUCCESS)
}
