//! The cost of updates: as patches and as revisions, the default way and the fast way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Pair, Table, edit, floor_of, metadata_of};
use crate::measure::{Usage, measure, median};
use crate::scene::{Scene, copy};

/// The most packages that an ordinary update touches.
pub(super) const PACKAGES: usize = 5;

/// A client that verified a tree, and an update of the tree.
pub(super) struct Client<'a> {
    scene: &'a Scene,
    anchor: &'a str,
    old: String,
    patch: String,
}

impl<'a> Client<'a> {
    /// Verifies the old tree.
    pub(super) fn new(scene: &'a Scene, anchor: &'a str, old: &Path) -> Result<Self> {
        let file = patch(scene, old)?;
        let client = Self {
            scene,
            anchor,
            old: old.display().to_string(),
            patch: file.display().to_string(),
        };
        // This leaves a record of the old state.
        client.full()?;
        Ok(client)
    }

    fn verify(&self, arguments: &[&str]) -> Result<Usage> {
        let enforce = ["verify", "--mode", "enforce", "--trust-anchors"];
        self.scene
            .measure(&[&enforce, [self.anchor].as_slice(), arguments].concat())
    }

    /// Returns the old tree.
    pub(super) fn old(&self) -> &Path {
        Path::new(&self.old)
    }

    pub(super) fn full(&self) -> Result<Usage> {
        self.verify(&["--dir", &self.old])
    }

    pub(super) fn update(&self, fast: &[&str]) -> Result<Usage> {
        let patch = ["--incremental", "--repository", &self.old, "--patch"];
        self.verify(&[&patch, [self.patch.as_str()].as_slice(), fast].concat())
    }
}

/// Makes the patch that a package manager would make of two trees side by side.
fn patch(scene: &Scene, old: &Path) -> Result<PathBuf> {
    let base = old.parent().context("a parent")?;
    let file = base.join("patch");
    // A patch contains the options that made it, so only the trees may be compared.
    let (git, aside) = (scene.tree().join(".git"), base.join("git"));
    let is_git = git.exists();
    if is_git {
        fs::rename(&git, &aside)?;
    }
    let output = Command::new("diff")
        .arg("-ruaN")
        .arg(old.file_name().context("a name")?)
        .arg(scene.tree().file_name().context("a name")?)
        .current_dir(base)
        .output()?;
    if is_git {
        fs::rename(&aside, &git)?;
    }
    ensure!(output.status.code() == Some(1), "diff finds no difference");
    fs::write(&file, output.stdout)?;
    Ok(file)
}

/// Measures an update of five packages of a verified real repository.
pub(super) fn real(scene: &Scene, anchor: &str, runs: usize, table: &mut Table) -> Result<()> {
    let old = keep(scene)?;
    let before = commit(scene)?;
    changes(scene)?;
    let after = commit(scene)?;
    let client = Client::new(scene, anchor, &old)?;
    let (mut default, mut fast, mut fast_in_git) = (Vec::new(), Vec::new(), Vec::new());
    let mut whole = Vec::new();
    let range = format!("{before}..{after}");
    for _ in 0..runs {
        default.push(Pair {
            command: client.update(&[])?,
            floor: floor_of(&old)?,
        });
        fast.push(Pair {
            command: client.update(&["--fast"])?,
            floor: metadata_of(&old)?,
        });
        whole.push(client.full()?.wall);
        // An existing record is not written again.
        scene.forget_records()?;
        client.full()?;
        client.verify(&["--revision", &before])?;
        fast_in_git.push(Pair {
            command: client.verify(&["--range", &range, "--fast"])?,
            floor: measure(
                Command::new("git")
                    .arg("-C")
                    .arg(scene.tree())
                    .args(["diff", "--stat", &before, &after]),
            )?,
        });
    }
    table.ratio("patch of 5 packages / floor", &default, 1.6);
    table.ratio("the same, fast / metadata of all files", &fast, 1.3);
    table.note(format_args!(
        "{:.1} ms to verify everything",
        median(whole) * 1e3
    ));
    table.ratio("the same in git, fast / git diff --stat", &fast_in_git, 2.0);
    Ok(())
}

/// Copies the tree to a place beside it, without git's own files. Returns the place.
fn keep(scene: &Scene) -> Result<PathBuf> {
    let old = scene.tree().with_file_name("old");
    fs::create_dir_all(&old)?;
    for entry in fs::read_dir(scene.tree())? {
        let entry = entry?;
        let target = old.join(entry.file_name());
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), target)?;
        } else if entry.file_name() != ".git" {
            copy(&entry.path(), &target)?;
        }
    }
    Ok(old)
}

/// Changes five packages, approved by a quorum.
fn changes(scene: &Scene) -> Result<()> {
    edit(scene.tree(), PACKAGES)?;
    for janitor in ["alice", "bob"] {
        scene.expect(&["approve", "--all", "--key", janitor, "--yes"])?;
    }
    Ok(())
}

/// Returns the old tree and a patch for an update of five packages. The scene has the new tree.
pub(super) fn patched(scene: &Scene) -> Result<(PathBuf, PathBuf)> {
    let old = keep(scene)?;
    changes(scene)?;
    let patch = patch(scene, &old)?;
    Ok((old, patch))
}

/// Commits everything, and returns the commit.
pub(super) fn commit(scene: &Scene) -> Result<String> {
    let tree = scene.tree().display().to_string();
    git(&["-C", &tree, "add", "--all", "--force"])?;
    git(&[
        "-C",
        &tree,
        "commit",
        "--quiet",
        "--allow-empty",
        "--message",
        "bench",
    ])?;
    git(&["-C", &tree, "rev-parse", "HEAD"])
}

/// Runs git without anybody's settings. Returns its output.
pub(super) fn git(arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .args(["-c", "user.name=bench"])
        .args(["-c", "user.email=bench@example.org"])
        .args(arguments)
        .output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "git {}: {error}",
        arguments.join(" ")
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
