//! `cargo xtask bench`: the cost of signing and verifying, as ratios to a floor measured in the same run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::measure::{Usage, measure, median};
use crate::scene::{self, Scene};

pub(crate) mod packed;
mod review;
mod sizes;
mod updates;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A git bundle of opam-repository
    #[arg(long, env = "CONEX_BUNDLE")]
    bundle: PathBuf,

    /// Runs of each command; the median counts
    #[arg(long, default_value_t = 9)]
    runs: usize,

    /// Another build of the program, such as one from before a change, for comparison where that is useful
    #[arg(long)]
    before: Option<PathBuf>,

    /// Leave out the repository of ten times the size
    #[arg(long)]
    no_large: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let base = tempfile::tempdir()?;
    let scene = Scene::new(
        scene::build()?,
        base.path().join("home"),
        base.path().join("tree"),
    );
    scene::clone(&arguments.bundle, scene.tree())?;
    let anchor = scene.found()?;
    let mut table = Table::default();

    let mut bootstrap = Vec::new();
    let mut approve = Vec::new();
    for _ in 0..arguments.runs {
        scene.forget_pages()?;
        bootstrap.push(pair(&scene, &["bootstrap", "--key", "alice", "--yes"])?);
        approve.push(pair(
            &scene,
            &["approve", "--all", "--key", "bob", "--yes"],
        )?);
    }
    let verify: Vec<Pair> = (0..arguments.runs)
        .map(|_| {
            pair(
                &scene,
                &["verify", "--mode", "enforce", "--trust-anchors", &anchor],
            )
        })
        .collect::<anyhow::Result<_>>()?;

    let start = starts(&scene, arguments.runs)?;
    let change: Vec<f64> = (0..arguments.runs)
        .map(|_| change_of_many(&scene, &anchor))
        .collect::<anyhow::Result<_>>()?;

    table.ratio("full verification / floor", &verify, 1.5);
    table.ratio("bootstrap / floor", &bootstrap, 2.5);
    table.ratio("approval of the batch / floor", &approve, 1.5);
    table.row(
        "approval of 300 changed packages / verification",
        median(change),
        2.0,
    );
    table.row("--version above an empty process, ms", start.0, 10.0);
    table.row("a usage error above an empty process, ms", start.1, 10.0);
    let memory = verify
        .iter()
        .map(|pair| pair.command.memory)
        .max()
        .context("no run")?;
    table.row(
        "peak memory of verification, MB",
        as_f64(memory) / 1e6,
        150.0,
    );
    let (bytes, files) = scene.metadata()?;
    table.row("metadata of day zero, MB", as_f64(bytes) / 1e6, 5.0);
    table.row("metadata of day zero, files", as_f64(files as u64), 100.0);
    updates::real(&scene, &anchor, arguments.runs, &mut table)?;
    let trees = (base.path().join("old"), base.path().join("patch"));
    let earlier = arguments.before.as_ref().map(|before| {
        let base = base.path().join("before");
        packed::Earlier::new(before, &base, &arguments.bundle)
    });
    packed::real(
        &packed::Packed::new(&scene, &anchor, &trees.0, &trees.1)?,
        earlier.transpose()?.as_ref(),
        arguments.runs,
        &mut table,
    )?;
    review::real(&scene, &anchor, arguments.runs, &mut table)?;
    if !arguments.no_large {
        sizes::generated(&scene::build()?, arguments.runs, &mut table)?;
    }
    table.print();
    ensure!(table.missed == 0, "{} targets were missed", table.missed);
    Ok(())
}

/// Returns how many milliseconds `--version` and a usage error take beyond a process that does nothing.
fn starts(scene: &Scene, runs: usize) -> anyhow::Result<(f64, f64)> {
    let once = |arguments: &[&str]| -> anyhow::Result<f64> {
        let start = std::time::Instant::now();
        scene.command(arguments).output()?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    let empty = || -> anyhow::Result<f64> {
        let start = std::time::Instant::now();
        Command::new("true").output()?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    let (mut version, mut usage) = (Vec::new(), Vec::new());
    for _ in 0..runs * 5 {
        let floor = empty()?;
        version.push(once(&["--version"])? - floor);
        usage.push(once(&["no-such-command"])? - floor);
    }
    Ok((median(version), median(usage)))
}

/// Changes a file in each of 300 packages. Measures a janitor's approval of all changes against a full
/// verification of the result.
fn change_of_many(scene: &Scene, anchor: &str) -> anyhow::Result<f64> {
    let edited = edit(scene.tree(), 300)?;
    let pages = scene.tree().join("conex/index/bob");
    let before: std::collections::BTreeSet<_> = std::fs::read_dir(&pages)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    let approve = scene.measure(&["approve", "--all", "--key", "bob", "--yes"])?;
    for (file, before) in edited {
        std::fs::write(file, before)?;
    }
    for entry in std::fs::read_dir(&pages)? {
        let page = entry?.path();
        if !before.contains(&page) {
            std::fs::remove_file(page)?;
        }
    }
    let verify = scene.measure(&["verify", "--mode", "enforce", "--trust-anchors", anchor])?;
    Ok(approve.wall / verify.wall)
}

/// Changes the build instructions in a file of each of some packages. Returns the old files.
fn edit(tree: &Path, packages: usize) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut names: Vec<_> = std::fs::read_dir(tree.join("packages"))?.collect::<Result<_, _>>()?;
    names.sort_by_key(std::fs::DirEntry::file_name);
    let mut edited = Vec::new();
    for package in names.iter().step_by(names.len() / packages).take(packages) {
        let mut releases: Vec<_> = std::fs::read_dir(package.path())?.collect::<Result<_, _>>()?;
        releases.sort_by_key(std::fs::DirEntry::file_name);
        let file = releases.first().context("a release")?.path().join("opam");
        let before = std::fs::read(&file)?;
        std::fs::write(
            &file,
            [before.as_slice(), b"\nx-changed: \"yes\"\n"].concat(),
        )?;
        edited.push((file, before));
    }
    Ok(edited)
}

/// A command and its floor, measured one after the other.
struct Pair {
    command: Usage,
    floor: Usage,
}

fn pair(scene: &Scene, arguments: &[&str]) -> anyhow::Result<Pair> {
    let floor = floor_of(scene.tree())?;
    Ok(Pair {
        command: scene.measure(arguments)?,
        floor,
    })
}

fn floor_of(tree: &Path) -> anyhow::Result<Usage> {
    floor(tree, &[])
}

/// Measures asking for the metadata of every file, and nothing else.
fn metadata_of(tree: &Path) -> anyhow::Result<Usage> {
    floor(tree, &["--metadata"])
}

fn floor(tree: &Path, options: &[&str]) -> anyhow::Result<Usage> {
    measure(
        Command::new(std::env::current_exe()?)
            .arg("floor")
            .args(options)
            .arg(tree),
    )
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures of a table, far below 2^52"
)]
fn as_f64(value: u64) -> f64 {
    value as f64
}

/// Figures beside their targets.
#[derive(Default)]
struct Table {
    rows: Vec<String>,
    missed: usize,
}

impl Table {
    fn ratio(&mut self, what: &str, pairs: &[Pair], most: f64) {
        let ratio = median(pairs.iter().map(|pair| pair.command.wall / pair.floor.wall));
        self.row(what, ratio, most);
        let command = median(pairs.iter().map(|pair| pair.command.wall));
        let floor = median(pairs.iter().map(|pair| pair.floor.wall));
        self.rows.push(format!(
            "    {:.1} ms, beside {:.1} ms",
            command * 1e3,
            floor * 1e3
        ));
    }

    fn row(&mut self, what: &str, figure: f64, most: f64) {
        let verdict = if figure <= most {
            String::new()
        } else {
            self.missed += 1;
            format!("  MISSED by {:.0} %", (figure / most - 1.0) * 100.0)
        };
        self.rows.push(format!(
            "{what:<47} {figure:>8.3}  at most {most:>7.2}{verdict}"
        ));
    }

    fn note(&mut self, note: impl core::fmt::Display) {
        self.rows.push(format!("    {note}"));
    }

    fn print(&self) {
        for row in &self.rows {
            println!("{row}");
        }
    }
}
