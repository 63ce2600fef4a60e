//! `cargo xtask clean`: prunes the stage store and the parts of HookOS's initrd.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use pipeline::cache;
use pipeline::cancel::Cancel;
use pipeline::progress;
use pipeline::store::Store;

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
pub fn run(arguments: &Arguments, cancel: &Cancel) -> Result<ExitCode> {
    let store = Store::of_user()?;
    if !arguments.dry_run {
        store.remove_left_overs()?;
    }
    let (mut count, mut freed) = (0, 0);
    let entries = store.entries()?.into_iter();
    let entries = entries.map(|(dir, entry, age)| (dir, age, Some(entry.size)));
    let unreadable = store.unreadable()?.into_iter();
    let unreadable = unreadable.map(|(dir, age)| (dir, age, None));
    for (dir, age, size) in entries.chain(unreadable) {
        if age < arguments.older_than {
            continue;
        }
        cancel.check("cleaning up")?;
        if !arguments.dry_run && !store.remove(&dir)? {
            println!("kept, a build holds it: {}", dir.display());
            continue;
        }
        let shown = size.map_or("not readable".to_owned(), progress::bytes);
        println!("{} ({shown})", dir.display());
        count += 1;
        freed += size.unwrap_or_default();
    }
    for part in ::hookos::old_parts(&cache::directory()?.join("hookos"), arguments.older_than)? {
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
    let outputs = if count == 1 { "output" } else { "outputs" };
    println!("{count} {outputs} {verb}, {}", progress::bytes(freed));
    Ok(ExitCode::SUCCESS)
}
