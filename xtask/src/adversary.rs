//! `cargo xtask adversary`: random communities with an attacker, held against a second verifier, for as long as
//! one likes.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::ensure;
use conex_tests::adversary::{Coverage, Plan, Scheme, Violation, shrink};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many histories
    #[arg(long, default_value_t = 1_000)]
    histories: u64,

    /// The seed of the first; the others follow
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Sign with Ed25519 instead of cheap digests
    #[arg(long)]
    real_keys: bool,

    /// How many violations of different kinds are shrunk and told
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
