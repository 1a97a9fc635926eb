//! Replays the changes of a real history as patches made by opam.

use std::path::Path as SystemPath;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use conex_repo::patch::Style;
use conex_tests::patches::{Files, Order, library_patch};

use super::applied;
use crate::merges::git::{BARE, Oid, Repository};

/// Reads each change of a history from its patch in two styles. Reports how many are not read.
pub(super) fn replay(
    bundle: &SystemPath,
    limit: Option<usize>,
    directory: &SystemPath,
) -> Result<usize> {
    let repository = Repository::clone_bundle(bundle, directory)?;
    let place = &directory.join(BARE);
    let listed = git(place, &["rev-list", "--reverse", "--first-parent", "HEAD"])?;
    let commits: Vec<String> = String::from_utf8(listed)?
        .lines()
        .map(str::to_owned)
        .collect();
    let (mut read, mut refused) = ([0, 0], Vec::new());
    let steps = commits.iter().zip(commits.iter().skip(1));
    for (old, new) in steps.take(limit.unwrap_or(usize::MAX)) {
        let (before, after) = changed_files(&repository, old, new)?;
        if before == after {
            continue;
        }
        let shown = git(
            place,
            &[
                "-c",
                "diff.noprefix=false",
                "-c",
                "diff.renames=false",
                "diff",
                "--text",
                "--no-ext-diff",
                "-R",
                "-p",
                new,
                old,
                "--",
            ],
        )?;
        let library = library_patch(("r", "r.new"), &before, &after, Order::RemovedFirst);
        let patches = [(Style::Git, Some(shown)), (Style::Library, library)];
        for ((style, patch), read) in patches.into_iter().zip(&mut read) {
            let patch = patch.context("something changed")?;
            if applied(&patch, &before, style).as_ref() == Some(&after) {
                *read += 1;
            } else {
                refused.push(format!("{style:?} {new}"));
            }
        }
    }
    let [git, library] = read;
    println!("history: {git} changes read as git shows them, {library} as the library does");
    for refused in &refused {
        println!("  not read: {refused}");
    }
    Ok(refused.len())
}

/// Returns the files that a step changes, before and after.
fn changed_files(repository: &Repository, old: &str, new: &str) -> Result<(Files, Files)> {
    let old = repository.tree_of(Oid::parse(old)?)?;
    let new = repository.tree_of(Oid::parse(new)?)?;
    let (mut before, mut after) = (Files::new(), Files::new());
    for (path, blob) in repository.changes(Some(new), Some(old))? {
        if let Some(blob) = blob {
            before.insert(path, repository.object(blob)?);
        }
    }
    for (path, blob) in repository.changes(Some(old), Some(new))? {
        if let Some(blob) = blob {
            after.insert(path, repository.object(blob)?);
        }
    }
    Ok((before, after))
}

fn git(place: &SystemPath, arguments: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(place)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()?;
    ensure!(output.status.success(), "git {arguments:?}: {output:?}");
    Ok(output.stdout)
}
