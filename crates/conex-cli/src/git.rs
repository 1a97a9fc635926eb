//! What the git program says of a working copy, for the few commands that ask. A repository need
//! not be one.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use conex_core::digest::Digest;
use conex_core::name::Id;

use crate::error::{CommandError, Result};
use crate::output::plain;

fn run(repo: &Path, arguments: &[&str]) -> std::io::Result<Output> {
    Command::new("git")
        .arg("-C")
        .arg(repo)
        // The repository's own configuration starts no programs of its choice.
        .args(["-c", "core.fsmonitor=false", "--no-optional-locks"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
}

/// What stands in the way of a change of its own: changes below `conex/` that are not committed. `None` where nothing does, or where this is no working copy of git.
pub(crate) fn in_the_way(repo: &Path) -> Result<Option<String>> {
    let Ok(inside) = run(repo, &["rev-parse", "--is-inside-work-tree"]) else {
        return Ok(None);
    };
    if !inside.status.success() {
        return Ok(None);
    }
    let status = run(repo, &["status", "--porcelain", "-uall", "--", "conex"])
        .map_err(|error| CommandError::io(format_args!("git: {error}")))?;
    if !status.status.success() {
        return Err(CommandError::io(format_args!(
            "git status: {}",
            plain(String::from_utf8_lossy(&status.stderr).trim())
        )));
    }
    let changed = String::from_utf8_lossy(&status.stdout).lines().count();
    Ok(
        (changed > 0)
            .then(|| format!("{changed} files below conex/ are changed and not committed")),
    )
}

/// The pages of a person that a revision has.
pub(crate) fn pages_at(repo: &Path, revision: &str, id: &Id) -> Result<BTreeSet<Digest>> {
    let failed = |said: &str| {
        CommandError::usage(format_args!(
            "git cannot list {}: {}",
            plain(revision),
            plain(said.trim())
        ))
        .hint("give a revision of this repository, or the pages themselves with --accept")
    };
    if revision.starts_with('-') {
        return Err(failed("that is no revision"));
    }
    let directory = format!("conex/index/{id}/");
    let listed = run(
        repo,
        &["ls-tree", "--name-only", revision, "--", &directory],
    )
    .map_err(|error| failed(&error.to_string()))?;
    if !listed.status.success() {
        return Err(failed(&String::from_utf8_lossy(&listed.stderr)));
    }
    let names = String::from_utf8_lossy(&listed.stdout);
    let digests = names.lines().filter_map(|name| {
        let name = name.rsplit('/').next()?.strip_suffix(".toml")?;
        Digest::parse(name).ok()
    });
    Ok(digests.collect())
}
