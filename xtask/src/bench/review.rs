//! What it costs to look at a large change before it is merged.

use std::process::Command;

use anyhow::{Context as _, Result};

use super::updates::commit;
use super::{Pair, Table, edit};
use crate::measure::{Usage, measure};
use crate::scene::Scene;

/// Packages that the change touches.
const PACKAGES: usize = 300;

/// A branch that changes 300 packages of a real repository, reviewed beside a full verification of the
/// repository that it would be merged into.
pub(super) fn real(scene: &Scene, anchor: &str, runs: usize, table: &mut Table) -> Result<()> {
    let before = commit(scene)?;
    edit(scene, PACKAGES)?;
    let after = commit(scene)?;
    let back = Command::new("git")
        .arg("-C")
        .arg(scene.tree())
        .args(["checkout", "--quiet", "--detach", &before])
        .status()?;
    anyhow::ensure!(back.success(), "git checkout {before}");
    let range = format!("{before}..{after}");
    let once = |arguments: &[&str]| -> Result<Usage> {
        let line = scene.line(arguments);
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        measure(&line)
    };
    let pairs: Vec<Pair> = (0..runs)
        .map(|_| {
            Ok(Pair {
                command: once(&["review", &range])?,
                floor: once(&["verify", "--mode", "enforce", "--trust-anchors", anchor])?,
            })
        })
        .collect::<Result<_>>()
        .context("reviewing a change")?;
    table.ratio("review of 300 packages / full verification", &pairs, 0.25);
    Ok(())
}
