//! What the store takes, refuses, leaves and removes.

use std::os::unix::fs::symlink;
use std::time::Instant;

use super::*;
use crate::cancel::Ended;

fn key(value: &str) -> Key {
    Key {
        name: "stage".into(),
        inputs: BTreeMap::from([("input".into(), value.into())]),
    }
}

/// A draft of an entry that is not there. Its lock may be held for a moment more than this process holds it: by a child
/// that another test starts, between fork and exec.
fn draft(store: &Store, value: &str) -> Result<Draft> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match store.try_open(&key(value))? {
            Some(Found::Absent(draft)) => return Ok(draft),
            Some(Found::Ready(..)) => bail!("expected no entry yet"),
            None if Instant::now() < deadline => std::thread::sleep(POLL),
            None => bail!("the entry stays locked"),
        }
    }
}

fn build(store: &Store, value: &str) -> Result<PathBuf> {
    let draft = draft(store, value)?;
    fs_err::write(draft.out().join("file"), value)?;
    fs_err::create_dir(draft.out().join("directory"))?;
    symlink("file", draft.out().join("link"))?;
    Ok(store.commit(draft, Duration::from_secs(2), "stage")?.0)
}

fn store() -> Result<(tempfile::TempDir, Store)> {
    let dir = tempfile::tempdir()?;
    let store = Store::at(dir.path().join("store"))?;
    Ok((dir, store))
}

#[test]
fn a_committed_entry_is_found_again_by_the_same_inputs_only() -> Result<()> {
    let (_dir, store) = store()?;
    let out = build(&store, "one")?;
    assert_eq!(fs_err::read_to_string(out.join("file"))?, "one");
    let dir = out.parent().context("the entry")?;
    let stamps: Stamps = serde_json::from_slice(&fs_err::read(dir.join(STAMPS))?)?;
    assert_eq!(stamps, Stamps::of(&out)?, "the output was read again");
    assert!(store.lookup(&key("one")).is_some());
    assert!(store.lookup(&key("two")).is_none());
    assert_eq!(store.median_seconds("stage"), Some(2.0));
    Ok(())
}

#[test]
fn an_uncommitted_draft_leaves_nothing() -> Result<()> {
    let (_dir, store) = store()?;
    let draft = draft(&store, "one")?;
    fs_err::write(draft.out().join("half"), "made")?;
    drop(draft);
    assert!(store.lookup(&key("one")).is_none());
    assert_eq!(fs_err::read_dir(store.root().join("tmp"))?.count(), 0);
    Ok(())
}

#[test]
fn what_another_run_builds_is_waited_for_until_it_is_time_to_end() -> Result<()> {
    let (_dir, store) = store()?;
    let other = draft(&store, "one")?;
    assert!(store.try_open(&key("one"))?.is_none());
    assert!(store.try_open(&key("two"))?.is_some());
    let cancel = Cancel::default();
    cancel.request();
    let error = store.open(&key("one"), &cancel).err().context("it waits")?;
    assert!(Ended::is(&error), "{error:#}");
    drop(other);
    assert!(store.open(&key("one"), &Cancel::default()).is_ok());
    Ok(())
}

/// What is done to an output, and the name that a difference is told by.
type Change = (fn(&Path) -> Result<()>, &'static str);

#[test]
fn an_entry_whose_output_is_another_is_not_used_and_stays() -> Result<()> {
    let changes: [Change; 5] = [
        (
            |out| {
                let file = out.join("file");
                fs_err::set_permissions(&file, PermissionsExt::from_mode(0o644))?;
                Ok(fs_err::write(file, "two")?)
            },
            "file",
        ),
        (|out| Ok(fs_err::write(out.join("added"), "")?), "added"),
        (
            |out| Ok(fs_err::write(out.join("directory/added"), "")?),
            "directory/added",
        ),
        (|out| Ok(fs_err::remove_file(out.join("link"))?), "link"),
        (
            |out| {
                fs_err::remove_file(out.join("link"))?;
                Ok(symlink("elsewhere", out.join("link"))?)
            },
            "link",
        ),
    ];
    for (change, name) in changes {
        let (_dir, store) = store()?;
        let out = build(&store, "one")?;
        change(&out)?;
        assert!(store.lookup(&key("one")).is_none(), "{name}");
        assert!(out.exists(), "{name}");
        let dir = out.parent().context("the entry")?;
        let entry = read_entry(dir).context("it is there")?;
        assert_eq!(first_changed(dir, &entry)?, Some(PathBuf::from(name)));
        // What is built again takes its place.
        build(&store, "one")?;
        assert!(store.lookup(&key("one")).is_some(), "{name}");
    }
    Ok(())
}

#[test]
fn a_copy_is_taken_after_it_was_read_once() -> Result<()> {
    let (dir, store) = store()?;
    let dir = dir.path();
    build(&store, "one")?;
    let copies = [
        "cp -a store by-cp",
        "mkdir by-tar && tar -C store -c . | tar -C by-tar -x",
    ];
    for (copy, name) in copies.into_iter().zip(["by-cp", "by-tar"]) {
        let mut shell = std::process::Command::new("sh");
        let status = shell.args(["-c", copy]).current_dir(dir).status()?;
        assert!(status.success(), "{copy}");
        let copied = Store::at(dir.join(name))?;
        let entry = copied.root().join(key("one").id());
        let stamps = fs_err::read(entry.join(STAMPS))?;
        assert!(copied.lookup(&key("one")).is_some(), "{copy}");
        assert_ne!(fs_err::read(entry.join(STAMPS))?, stamps, "{copy}");
    }
    Ok(())
}

#[test]
fn an_entry_that_is_not_whole_is_none() -> Result<()> {
    for text in ["", "{", "{\"name\": \"stage\"}", "\u{1}"] {
        let (_dir, store) = store()?;
        let out = build(&store, "one")?;
        fs_err::write(out.with_file_name(ENTRY), text)?;
        assert!(store.lookup(&key("one")).is_none(), "{text:?}");
        assert!(store.entries()?.is_empty(), "{text:?}");
        build(&store, "one")?;
    }
    Ok(())
}

#[test]
fn only_what_nobody_builds_is_a_left_over() -> Result<()> {
    let (_dir, store) = store()?;
    let running = draft(&store, "one")?;
    let left = store.root().join("tmp").join(key("two").id());
    fs_err::create_dir(&left)?;
    store.remove_left_overs()?;
    assert!(running.out().exists() && !left.exists());
    Ok(())
}

#[test]
fn a_build_that_makes_nothing_is_an_error() -> Result<()> {
    let (_dir, store) = store()?;
    let draft = draft(&store, "one")?;
    assert!(store.commit(draft, Duration::ZERO, "stage").is_err());
    Ok(())
}
