//! Commands for people who work on conex. Each prints its figures last, and exits non-zero if they miss
//! what they should show.
#![expect(
    clippy::print_stdout,
    reason = "printing is what these commands are for"
)]

use clap::{Parser, Subcommand};

mod adversary;
mod bench;
mod days;
mod floor;
mod fuzz;
mod infer;
mod measure;
mod merges;
mod mutants;
mod opam;
mod opam_clients;
mod opam_loads;
mod opam_patches;
mod scene;
mod updates;
mod vectors;

/// The allocator of the program, so that measurements here match it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    about = "Vectors, benches, and replays of real history"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes the test vectors for implementers in other languages.
    Vectors(vectors::Arguments),
    /// Signs and verifies the real opam-repository, and attacks it.
    Opam(opam::Arguments),
    /// Has every real opam follow a repository, in every way and through every kind of update.
    OpamClients(opam_clients::Arguments),
    /// Shows real opams what conex accepts, and compares the releases that they load with those verified.
    OpamLoads(opam_loads::Arguments),
    /// Measures signing and verifying against a floor.
    Bench(bench::Arguments),
    /// Proposes owners for the packages of a real repository, and compares the evidence with a table.
    Infer(infer::Arguments),
    /// Reads and digests every file of a tree, and nothing else, as a baseline for benches.
    Floor(floor::Arguments),
    /// Unpacks an archive, and nothing else, as a baseline for benches.
    Inflate(bench::packed::Arguments),
    /// Fuzzes the parsers, guided by coverage. Needs a nightly toolchain and cargo-fuzz.
    Fuzz(fuzz::Arguments),
    /// Measures a command as a whole process.
    Measure(measure::Arguments),
    /// Replays the pull requests of a real history with the pages each would bring.
    Merges(merges::Arguments),
    /// Plays random histories with an attacker, and compares the verdicts with those of a second verifier.
    Adversary(adversary::Arguments),
    /// Plants small faults in the rules, and reports which of them the tests notice.
    Mutants(mutants::Arguments),
    /// Replays the days of a community at the pace of a real history.
    Days(days::Arguments),
    /// Compares conex's reading of patches with the programs that apply them.
    OpamPatches(opam_patches::Arguments),
    /// Replays a real history, signed by those entitled, as the updates of a client.
    Updates(updates::Arguments),
}

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Vectors(arguments) => vectors::run(&arguments),
        Command::Opam(arguments) => opam::run(&arguments),
        Command::OpamClients(arguments) => opam_clients::run(&arguments),
        Command::OpamLoads(arguments) => opam_loads::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Infer(arguments) => infer::run(&arguments),
        Command::Floor(arguments) => floor::run(&arguments),
        Command::Inflate(arguments) => bench::packed::inflate(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Measure(arguments) => measure::run(&arguments),
        Command::Merges(arguments) => merges::run(&arguments),
        Command::Adversary(arguments) => adversary::run(&arguments),
        Command::Mutants(arguments) => mutants::run(&arguments),
        Command::Days(arguments) => days::run(&arguments),
        Command::OpamPatches(arguments) => opam_patches::run(&arguments),
        Command::Updates(arguments) => updates::run(&arguments),
    }
}
