//! `cargo xtask opam-loads`: checks that opam loads exactly what conex verifies.
//!
//! Many small changes are made at random: releases are added, removed and moved, and things that look like
//! releases but are none appear beside them. conex judges each change, as a whole and as an update. Then
//! real opams load hundreds of them at a time. For a change that conex accepts, opam has to list exactly
//! the verified releases, after an update and from scratch, up to its own equality of versions. Refused
//! changes are tried as well: some of them have to mislead opam.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use conex_core::tree::problem::Code;
use conex_tests::shapes::{Case, Judged, Random, Releases};

mod serve;
mod user;

use user::{Over, Program};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A directory with several versions of opam, each a program `opam-VERSION` [default: the installed
    /// one]
    #[arg(long)]
    opams: Option<PathBuf>,

    /// The number of changes
    #[arg(long, default_value_t = 1_000)]
    cases: usize,

    /// The seed of the changes
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The number of changes in one repository.
const BATCH: usize = 500;

/// The outcomes of the cases.
#[derive(Debug, Default)]
struct Figures {
    accepted: usize,
    refused: usize,
    /// The number of accepted ones with something that looks like a release outside its place.
    with_lookalikes: usize,
    codes: BTreeMap<Code, usize>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let programs = Program::find(arguments.opams.as_deref())?;
    ensure!(!programs.is_empty(), "there is no opam to be asked");
    let mut random = Random::new(arguments.seed);
    let mut figures = Figures::default();
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    for number in 0..arguments.cases {
        let case = Case::new(number, &mut random);
        match case.judge() {
            Judged::Accepted(releases) => {
                figures.accepted += 1;
                figures.with_lookalikes += usize::from(case.has_lookalike());
                accepted.push((case, releases));
            }
            Judged::Refused(codes) => {
                figures.refused += 1;
                for code in codes {
                    *figures.codes.entry(code).or_default() += 1;
                }
                refused.push((case, Releases::new()));
            }
        }
    }
    println!(
        "{} changes: {} accepted, {} of them with lookalikes; {} refused",
        arguments.cases, figures.accepted, figures.with_lookalikes, figures.refused
    );
    for (code, count) in &figures.codes {
        println!("  {code}: {count}");
    }
    ensure!(
        figures.with_lookalikes > 0,
        "nothing that conex accepts is near a release"
    );
    println!("\nopam     over        accepted: as verified   refused: opam is misled");
    let mut failed = 0;
    let mut misled_by_any = 0;
    for program in &programs {
        for over in Over::ALL {
            if !program.knows(over) {
                continue;
            }
            let mut shown: Vec<_> = accepted.iter().collect();
            if program.keeps_archive(over) {
                shown = shown.chunks(BATCH).flat_map(whole_when_packed).collect();
            }
            let wrong = differing(program, over, &shown)?;
            let all: Vec<_> = refused.iter().collect();
            // A refused change may well stop an opam.
            let misled = differing(program, over, &all).map_or(0, |misled| misled.len());
            println!(
                "{:<8} {:<11} {:>8} of {:<8}     {:>8} of {}",
                program.version,
                over.name(),
                shown.len() - wrong.len(),
                shown.len(),
                misled,
                refused.len()
            );
            failed += wrong.len();
            misled_by_any += misled;
            for (case, told) in wrong.iter().take(3) {
                println!("{}{told}", case.told());
            }
        }
    }
    ensure!(
        failed == 0,
        "opam has other releases than those verified, {failed} times"
    );
    ensure!(
        misled_by_any > 0 || arguments.cases < BATCH,
        "no refused change would have misled any opam: the cases are too tame"
    );
    Ok(())
}

/// Returns the cases after which an archive of opam 2.6, with all of them in one repository, still has all
/// files. A patch that removes a file beside others is refused, whatever it leads to (spec section 9.6).
fn whole_when_packed<'c>(cases: &[&'c (Case, Releases)]) -> Vec<&'c (Case, Releases)> {
    let mut shown = cases.to_vec();
    loop {
        let all = |side: fn(&Case) -> &BTreeMap<String, String>| -> BTreeSet<&str> {
            let files = shown.iter().flat_map(|(case, _)| side(case).keys());
            files.map(String::as_str).collect()
        };
        let (before, after) = (all(|case| &case.before), all(|case| &case.after));
        let stays_beside = |removed: &str| {
            removed.rsplit_once('/').is_some_and(|(directory, _)| {
                let directory = format!("{directory}/");
                let mut stay = before.intersection(&after);
                stay.any(|path| path.starts_with(&directory))
            })
        };
        let loses = |case: &Case| {
            let mut removed = case.before.keys();
            removed.any(|path| !after.contains(path.as_str()) && stays_beside(path))
        };
        let kept: Vec<_> = shown
            .iter()
            .copied()
            .filter(|(case, _)| !loses(case))
            .collect();
        if kept.len() == shown.len() {
            return kept;
        }
        shown = kept;
    }
}

/// Returns the cases after which a client has something other than what was verified, with what it has. If
/// nothing was verified, returns those after which an updated client differs from a fresh one.
fn differing<'c>(
    program: &Program,
    over: Over,
    cases: &[&'c (Case, Releases)],
) -> anyhow::Result<Vec<(&'c Case, String)>> {
    let mut differing = Vec::new();
    for batch in cases.chunks(BATCH) {
        let seen = program
            .shows(over, batch.iter().map(|(case, _)| case))
            .with_context(|| format!("opam {} over {}", program.version, over.name()))?;
        for (case, verified) in batch.iter().copied() {
            let (updated, fresh) = (case.own(&seen.updated), case.own(&seen.fresh));
            let expected = if verified.is_empty() {
                &fresh
            } else {
                verified
            };
            if updated != *expected || fresh != *expected {
                let told = format!(
                    "  verified: {expected:?}\n  updated: {updated:?}\n  fresh: {fresh:?}\n"
                );
                differing.push((case, told));
            }
        }
    }
    Ok(differing)
}
