//! The cost of a repository of ten times the size, compared with one of opam-repository's size.

use std::path::Path;

use anyhow::Result;
use conex_core::state::chain::Trust;
use conex_tests::generate::{Size, change, generate};
use tempfile::TempDir;

use super::updates::{Client, PACKAGES};
use super::{Pair, Table, metadata_of};
use crate::measure::Usage;
use crate::scene::{Scene, copy};

/// About the size of opam-repository.
const ONE: Size = Size {
    packages: 4_600,
    releases: 18_800,
    seed: 1,
};

/// Measures a full verification, and that of an update of five packages.
pub(super) fn generated(conex: &Path, runs: usize, table: &mut Table) -> Result<()> {
    let (one, ten) = (
        Generated::new(conex, ONE)?,
        Generated::new(conex, Size::TENFOLD)?,
    );
    let (one, ten) = (one.client()?, ten.client()?);
    let pairs = |runs: usize, cost: &dyn Fn(&Client<'_>) -> Result<Usage>| -> Result<Vec<Pair>> {
        let pair = |_| {
            Ok(Pair {
                command: cost(&ten)?,
                floor: cost(&one)?,
            })
        };
        (0..runs).map(pair).collect()
    };
    let full = pairs(runs.min(5), &|client| client.full())?;
    let fast: Vec<Pair> = (0..runs)
        .map(|_| {
            Ok(Pair {
                command: ten.update(&["--fast"])?,
                floor: metadata_of(ten.old())?,
            })
        })
        .collect::<Result<_>>()?;
    table.ratio("ten times the repository, times the time", &full, 11.0);
    table.ratio(
        "the same, 5 packages, fast / metadata of all files",
        &fast,
        1.3,
    );
    Ok(())
}

/// A generated repository, before and after an update of five packages.
struct Generated {
    base: TempDir,
    scene: Scene,
    anchor: String,
}

impl Generated {
    fn new(conex: &Path, size: Size) -> Result<Self> {
        let base = tempfile::tempdir()?;
        let old = base.path().join("old");
        let Trust::Root(digest) = generate(&old, &size)? else {
            anyhow::bail!("generated repositories are anchored in their root");
        };
        let new = base.path().join("new");
        copy(&old, &new)?;
        change(&new, &size, PACKAGES)?;
        let scene = Scene::new(conex.to_owned(), base.path().join("home"), new);
        Ok(Self {
            base,
            scene,
            anchor: format!("root:{digest}"),
        })
    }

    fn client(&self) -> Result<Client<'_>> {
        Client::new(&self.scene, &self.anchor, &self.base.path().join("old"))
    }
}
