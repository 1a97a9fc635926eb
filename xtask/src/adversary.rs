//! `cargo xtask adversary`: plays random communities with an attacker and compares the verdicts with those
//! of a second verifier, for as long as you like.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::ensure;
use conex_tests::adversary::{Coverage, Plan, SMALL, Scheme, Violation, explore, shrink, themes};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The number of histories
    #[arg(long, default_value_t = 1_000)]
    histories: u64,

    /// The seed of the first history; the others follow
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Sign with Ed25519 instead of cheap digests
    #[arg(long)]
    real_keys: bool,

    /// Instead play every sequence of at most this many steps from a few themes, in a small community
    #[arg(long, conflicts_with_all = ["histories", "seed"])]
    every: Option<usize>,

    /// Only themes that contain this word
    #[arg(long, requires = "every")]
    theme: Option<String>,

    /// The number of different violations to shrink and report
    #[arg(long, default_value_t = 3)]
    tell: usize,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    std::panic::set_hook(Box::new(|_| ()));
    let scheme = if arguments.real_keys {
        Scheme::Real
    } else {
        Scheme::Toy
    };
    if let Some(depth) = arguments.every {
        return every(depth, arguments.theme.as_deref(), scheme);
    }
    let (begin, mut coverage) = (Instant::now(), Coverage::default());
    let mut found: BTreeMap<(char, String), (u64, usize, Plan, Violation)> = BTreeMap::new();
    for seed in (arguments.seed..).take(usize::try_from(arguments.histories)?) {
        let plan = Plan::draw(seed, scheme);
        if let Err(violation) = plan.run(&mut coverage) {
            let key = (violation.invariant, violation.kind.clone());
            let first = (seed, 0, plan, *violation);
            found.entry(key).or_insert(first).1 += 1;
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    for ((invariant, kind), (seed, count, ..)) in &found {
        println!("({invariant}) {kind}: {count} times, first with seed {seed}");
    }
    for (seed, _, plan, violation) in found.values().take(arguments.tell) {
        let (plan, violation) = shrink(plan, violation);
        println!("seed {seed}:\n{violation}\n{plan:?}");
    }
    println!("{}", coverage.told());
    println!("{} histories in {seconds:.1} s", arguments.histories);
    ensure!(found.is_empty(), "{} kinds of violations", found.len());
    Ok(())
}

fn every(depth: usize, wanted: Option<&str>, scheme: Scheme) -> anyhow::Result<()> {
    let mut held = true;
    for (theme, moves) in themes() {
        if wanted.is_some_and(|wanted| !theme.contains(wanted)) {
            continue;
        }
        let begin = Instant::now();
        match explore(&SMALL, &moves, depth, scheme) {
            Ok(explored) => println!(
                "{theme}: {} states within {depth} steps; of {} trees that were served, {} were taken; {:.1} s",
                explored.states,
                explored.offers,
                explored.taken,
                begin.elapsed().as_secs_f64()
            ),
            Err(violation) => {
                held = false;
                println!("{theme}:\n{violation}");
            }
        }
    }
    ensure!(held, "something was violated");
    Ok(())
}
