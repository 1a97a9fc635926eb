//! The cost of reviewing a large change before it is merged.

use anyhow::{Context as _, Result};

use super::updates::{commit, git};
use super::{Pair, Table, edit};
use crate::scene::Scene;

/// The number of packages that the change touches.
const PACKAGES: usize = 300;

/// Measures the review of a pull request that changes 300 packages of a real repository, fetched from where
/// its author pushed it, against a full verification of the repository it would be merged into.
pub(super) fn real(scene: &Scene, anchor: &str, runs: usize, table: &mut Table) -> Result<()> {
    let before = commit(scene)?;
    let fork = scene.tree().with_file_name("fork");
    let there = fork.display().to_string();
    let here = scene.tree().display().to_string();
    git(&["clone", "--quiet", "--no-local", &here, &there])?;
    edit(&fork, PACKAGES)?;
    git(&[
        "-C",
        &there,
        "commit",
        "--quiet",
        "--all",
        "--message",
        "a change",
    ])?;
    // Git keeps the received pack if it has this many objects.
    git(&[
        "-C",
        &here,
        "fetch",
        "--quiet",
        &there,
        "HEAD:refs/pull/1/head",
    ])?;
    let pairs: Vec<Pair> = (0..runs)
        .map(|_| {
            Ok(Pair {
                command: scene.measure(&["review", "--pr", "1", "--base", &before])?,
                floor: scene.measure(&[
                    "verify",
                    "--mode",
                    "enforce",
                    "--trust-anchors",
                    anchor,
                ])?,
            })
        })
        .collect::<Result<_>>()
        .context("reviewing a change")?;
    table.ratio("review of 300 packages / full verification", &pairs, 0.25);
    Ok(())
}
