//! `cargo xtask bench`: what signing and verifying cost, as ratios to a floor measured in the same run.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};

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
