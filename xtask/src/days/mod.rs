//! `cargo xtask days`: the days of a community, at the pace of a real history.
//!
//! Every merge is handled as the community would handle it. People whom opam files name as maintainers, and
//! who send pull requests, own their packages and publish with a page of theirs. The janitors, who are the
//! people with the most merges, approve everything else: half of the pull requests ahead of their merge, if
//! they were open before the day, and the rest of a day at once in the evening. Merges are git's. After
//! each day clients follow, and everything has to be approved.
//!
//! All of this is played twice: once with one janitor deciding about upkeep and unclaimed packages, and
//! once with a quorum for that, too.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};

mod edits;
mod figures;
mod people;
mod replay;
#[cfg(test)]
mod tests;

use crate::merges::community::Rules;
use crate::merges::git::Repository;
use crate::merges::history::{self, Pull};
use edits::Edits;
use figures::Figures;
use replay::Replay;

/// The people with the most merges, and more than ten of them.
const JANITORS: usize = 7;

/// One janitor decides about upkeep and unclaimed packages.
const ONE: Rules = Rules {
    upkeep: 1,
    unclaimed: 1,
    signers: 3,
};

/// The original design.
const QUORUM: Rules = Rules {
    upkeep: 2,
    unclaimed: 2,
    signers: 3,
};

/// The number of days between progress reports.
const PROGRESS: usize = 50;

/// A small history, to be read with `git fast-import`, and its tables.
const SAMPLE: [(&str, &str); 3] = [
    ("history", include_str!("sample/history")),
    ("merges.tsv", include_str!("sample/merges.tsv")),
    ("packages.tsv", include_str!("sample/packages.tsv")),
];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The directory with the history: opam-repository.bundle, merges.tsv, packages.tsv.
    #[arg(long, env = "CONEX_DATA")]
    data: PathBuf,

    /// Replays only this many merges.
    #[arg(long)]
    limit: Option<usize>,

    /// Replays a small history that is part of the sources.
    #[arg(long, conflicts_with = "data")]
    sample: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    let directory = tempfile::tempdir()?;
    let outcome = if arguments.sample {
        sample(directory.path(), arguments.limit)?
    } else {
        let bundle = arguments.data.join("opam-repository.bundle");
        let repository = Repository::clone_bundle(&bundle, directory.path())?;
        replay(&repository, &arguments.data, arguments.limit)?
    };
    let whole = !arguments.sample && arguments.limit.is_none();
    let printed = outcome.print(whole);
    println!("{:<52} {:>9.1}", "seconds", started.elapsed().as_secs_f64());
    printed
}

/// The outcome of a replay under both sets of rules.
struct Outcome {
    edits: Edits,
    sides: [Side; 2],
}

struct Side {
    figures: Figures,
    /// An error if a day could not be handled or followed, which ends the replay.
    followed: Result<()>,
}

impl Outcome {
    fn print(self, whole: bool) -> Result<()> {
        let [one, quorum] = self.sides;
        let printed = figures::print(&self.edits, [&one.figures, &quorum.figures], whole);
        one.followed.context("upkeep 1")?;
        quorum.followed.context("upkeep = quorum")?;
        printed
    }
}

/// Replays the small history in an empty directory.
fn sample(directory: &Path, limit: Option<usize>) -> Result<Outcome> {
    let data = directory.join("sample");
    fs::create_dir(&data)?;
    for (name, content) in SAMPLE {
        fs::write(data.join(name), content)?;
    }
    let repository = Repository::import(&data.join("history"), directory)?;
    replay(&repository, &data, limit)
}

/// Replays a history under both sets of rules.
fn replay(repository: &Repository, data: &Path, limit: Option<usize>) -> Result<Outcome> {
    let mut pulls = history::read(&data.join("merges.tsv"))?;
    let janitors = history::mergers(&pulls, JANITORS);
    let owners = people::owners(&data.join("packages.tsv"), &pulls, &janitors)?;
    if let Some(limit) = limit {
        pulls.truncate(limit.saturating_add(1));
    }
    let edits = Edits::count(repository, &pulls)?;
    let side = |rules| {
        let mut replay = Replay::start(repository, &pulls, janitors.clone(), &owners, rules)?;
        let followed = days(&mut replay, &pulls);
        if let Err(error) = &followed {
            eprintln!("{error:#}");
        }
        let figures = replay.figures;
        Ok::<_, anyhow::Error>(Side { figures, followed })
    };
    let sides = [side(ONE)?, side(QUORUM)?];
    Ok(Outcome { edits, sides })
}

fn days(replay: &mut Replay<'_>, pulls: &[Pull]) -> Result<()> {
    let started = Instant::now();
    let mut first = 1;
    let merges = pulls.get(1..).unwrap_or_default();
    for (at, day) in merges.chunk_by(|a, b| a.day() == b.day()).enumerate() {
        let last = first + day.len() - 1;
        let date = || {
            day.first()
                .map_or_else(String::new, |pull| pull.day().into())
        };
        replay.day(first, last).with_context(date)?;
        if (at + 1).is_multiple_of(PROGRESS) {
            let seconds = started.elapsed().as_secs_f64();
            eprintln!("{last} of {} merges: {seconds:.1} s", merges.len());
        }
        first = last + 1;
    }
    Ok(())
}
