//! What updates cost: as patches and as revisions, the default way and the fast way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use conex_core::chain::Trust;
use conex_core::digest::Digest;
use conex_tests::generate::{Size, change, generate};

use super::{Pair, Table, edit, floor_of};
use crate::follow;
use crate::measure::{Usage, measure, median};
use crate::scene::{Scene, copy};

/// Packages that an ordinary update touches, at most.
const PACKAGES: usize = 5;

/// A verified tree, and an update of it.
struct Prepared {
    old: PathBuf,
    patch: PathBuf,
    record: PathBuf,
}

impl Prepared {
    /// Makes the patch that a package manager would make of two trees.
    fn new(base: &Path, old: &Path, new: &Path, trust: &Trust) -> Result<Self> {
        let prepared = Self {
            old: old.into(),
            patch: base.join("patch"),
            record: base.join("record"),
        };
        follow::record(old, trust, &prepared.record)?;
        let output = Command::new("diff")
            .args(["-ruaN", "--exclude=.git"])
            .arg(old.file_name().context("a name")?)
            .arg(new.file_name().context("a name")?)
            .current_dir(base)
            .output()?;
        ensure!(output.status.code() == Some(1), "diff finds no difference");
        fs::write(&prepared.patch, output.stdout)?;
        Ok(prepared)
    }

    fn measure(&self, fast: bool) -> Result<Usage> {
        let own = std::env::current_exe()?.display().to_string();
        let (record, patch, old) = (&self.record, &self.patch, &self.old);
        let (record, patch) = (record.display().to_string(), patch.display().to_string());
        let old = old.display().to_string();
        let mut line = vec![&own, "follow", "--record", &record, &old, "--patch", &patch];
        line.extend(fast.then_some("--fast"));
        measure(&line)
    }
}

/// An update of five packages of a real repository that was verified.
pub(super) fn real(scene: &Scene, anchor: &str, runs: usize, table: &mut Table) -> Result<()> {
    let base = scene.tree().parent().context("a parent")?;
    let old = base.join("old");
    for entry in fs::read_dir(scene.tree())? {
        let entry = entry?;
        let target = old.join(entry.file_name());
        if entry.file_name() == ".git" {
        } else if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::create_dir_all(&old)?;
            fs::copy(entry.path(), target)?;
        }
    }
    let before = commit(scene)?;
    edit(scene, PACKAGES)?;
    for janitor in ["alice", "bob"] {
        scene.expect(&["approve", "--all", "--key", janitor, "--yes"])?;
    }
    let after = commit(scene)?;
    let digest = anchor.strip_prefix("root:").context("an anchor")?;
    let trust = Trust::Root(Digest::parse(digest)?);
    let prepared = Prepared::new(base, &old, scene.tree(), &trust)?;

    let (mut default, mut fast, mut git) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        default.push(Pair {
            command: prepared.measure(false)?,
            floor: floor_of(&old)?,
        });
        let verify = scene.line(&["verify", "--mode", "enforce", "--trust-anchors", anchor]);
        let verify: Vec<&str> = verify.iter().map(String::as_str).collect();
        fast.push(Pair {
            command: prepared.measure(true)?,
            floor: measure(&verify)?,
        });
        git.push(over_git(&prepared, scene.tree(), &before, &after)?);
    }
    table.ratio("default way, patch of 5 packages / floor", &default, 1.6);
    table.ratio("fast way, the same / full verification", &fast, 0.05);
    table.ratio("fast way over git / git diff --stat", &git, 2.0);
    Ok(())
}

fn over_git(prepared: &Prepared, tree: &Path, before: &str, after: &str) -> Result<Pair> {
    let own = std::env::current_exe()?.display().to_string();
    let record = prepared.record.display().to_string();
    let tree = tree.display().to_string();
    let range = format!("{before}..{after}");
    let line = [
        &own, "follow", "--record", &record, &tree, "--fast", "--range", &range,
    ];
    Ok(Pair {
        command: measure(&line)?,
        floor: measure(&["git", "-C", &tree, "diff", "--stat", before, after])?,
    })
}

/// Commits everything there is, and says which commit that is.
fn commit(scene: &Scene) -> Result<String> {
    let git = |arguments: &[&str]| -> Result<String> {
        let output = Command::new("git")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .args([
                "-c",
                "user.name=bench",
                "-c",
                "user.email=bench@example.org",
            ])
            .arg("-C")
            .arg(scene.tree())
            .args(arguments)
            .output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "git {}: {error}",
            arguments.join(" ")
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    git(&["add", "--all", "--force"])?;
    git(&["commit", "--quiet", "--message", "bench"])?;
    git(&["rev-parse", "HEAD"])
}

/// The fast way at ten times a repository's size, against that at its size: the ratio of the medians.
pub(super) fn large(sizes: [Size; 2], runs: usize) -> Result<f64> {
    let mut medians = Vec::new();
    for size in sizes {
        let base = tempfile::tempdir()?;
        let (old, new) = (base.path().join("old"), base.path().join("new"));
        let trust = generate(&old, &size)?;
        copy(&old, &new)?;
        change(&new, &size, PACKAGES)?;
        let prepared = Prepared::new(base.path(), &old, &new, &trust)?;
        let walls = (0..runs).map(|_| Ok(prepared.measure(true)?.wall));
        medians.push(median(walls.collect::<Result<Vec<f64>>>()?));
    }
    match medians.as_slice() {
        [one, ten] => {
            eprintln!(
                "the fast way: {:.1} ms, at ten times the size {:.1} ms",
                one * 1e3,
                ten * 1e3
            );
            Ok(ten / one)
        }
        _ => anyhow::bail!("two sizes are measured"),
    }
}
