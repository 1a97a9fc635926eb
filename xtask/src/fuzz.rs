//! `cargo xtask fuzz`: runs the parsers under a coverage-guided fuzzer, for as long as you like.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use conex_tests::parsers::{PARSERS, Parser};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The parsers; all of them if none is named
    parsers: Vec<String>,

    /// Seconds for each parser
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let is_wanted = |parser: &&Parser| {
        arguments.parsers.is_empty() || arguments.parsers.iter().any(|name| name == parser.name)
    };
    let wanted: Vec<&Parser> = PARSERS.iter().filter(is_wanted).collect();
    let names: Vec<&str> = PARSERS.iter().map(|parser| parser.name).collect();
    if let Some(other) = arguments
        .parsers
        .iter()
        .find(|name| !names.contains(&name.as_str()))
    {
        bail!(
            "there is no parser {other:?}; the parsers are: {}",
            names.join(", ")
        );
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    for parser in &wanted {
        let corpus = here.join("corpus").join(parser.name);
        fs::create_dir_all(&corpus)?;
        for (at, seed) in (parser.seeds)().iter().enumerate() {
            fs::write(corpus.join(format!("honest-{at}")), seed)?;
        }
        let status = Command::new("cargo")
            .args(["+nightly", "fuzz", "run", parser.name, "--"])
            .arg(format!("-max_total_time={}", arguments.seconds))
            .args(["-max_len=65536", "-print_final_stats=1"])
            .current_dir(&here)
            .status()
            .context("cargo cannot be started")?;
        ensure!(
            status.success(),
            "{} was not held, or there is no fuzzer: rustup toolchain install nightly && cargo install cargo-fuzz",
            parser.name
        );
    }
    println!(
        "{} parsers, {} s each, and no answer that is not allowed",
        wanted.len(),
        arguments.seconds
    );
    Ok(())
}
