//! `cargo xtask bench`: what signing and verifying cost, as ratios to a floor measured in the same run.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};

use conex_core::chain::Trust;
use conex_tests::generate::{Size, generate};

use crate::measure::{Usage, measure, median};
use crate::scene::{self, Scene};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A git bundle of opam-repository
    #[arg(long, default_value = "../shared/data/opam-repository.bundle")]
    bundle: PathBuf,

    /// Runs of each command; the median counts
    #[arg(long, default_value_t = 9)]
    runs: usize,

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

    table.ratio("full verification / floor", &verify, 1.5);
    table.ratio("bootstrap / floor", &bootstrap, 2.5);
    table.ratio("approval of the batch / floor", &approve, 1.5);
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
    if !arguments.no_large {
        table.row(
            "ten times the repository, times the time",
            large(arguments.runs)?,
            11.0,
        );
    }
    table.print();
    ensure!(table.missed == 0, "{} targets were missed", table.missed);
    Ok(())
}

/// A command and the floor, measured one after the other.
struct Pair {
    command: Usage,
    floor: Usage,
}

fn pair(scene: &Scene, arguments: &[&str]) -> anyhow::Result<Pair> {
    let floor = floor(scene)?;
    let line = scene.line(arguments);
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    Ok(Pair {
        command: measure(&line)?,
        floor,
    })
}

fn floor(scene: &Scene) -> anyhow::Result<Usage> {
    let own = std::env::current_exe()?.display().to_string();
    measure(&[&own, "floor", &scene.tree().display().to_string()])
}

/// Verification of a generated repository of ten times opam-repository's size, against one of its
/// size: the ratio of the medians.
fn large(runs: usize) -> anyhow::Result<f64> {
    let conex = scene::build()?;
    let mut medians = Vec::new();
    for size in [
        Size {
            packages: 4_600,
            releases: 18_800,
            seed: 1,
        },
        Size::TENFOLD,
    ] {
        let base = tempfile::tempdir()?;
        let tree = base.path().join("tree");
        let Trust::Root(digest) = generate(&tree, &size)? else {
            anyhow::bail!("generated repositories are anchored in their root");
        };
        let scene = Scene::new(conex.clone(), base.path().join("home"), tree);
        let anchor = format!("root:{digest}");
        let walls: Vec<f64> = (0..runs.min(5))
            .map(|_| {
                let line = scene.line(&["verify", "--mode", "enforce", "--trust-anchors", &anchor]);
                let line: Vec<&str> = line.iter().map(String::as_str).collect();
                Ok(measure(&line)?.wall)
            })
            .collect::<anyhow::Result<_>>()?;
        medians.push(median(walls));
    }
    match medians.as_slice() {
        [one, ten] => Ok(ten / one),
        _ => anyhow::bail!("two sizes are measured"),
    }
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
            "    {:.0} ms, floor {:.0} ms",
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
            "{what:<44} {figure:>8.2}  at most {most:>6.1}{verdict}"
        ));
    }

    fn print(&self) {
        for row in &self.rows {
            println!("{row}");
        }
    }
}
