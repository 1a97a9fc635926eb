//! The program `conex`: signs and verifies community data repositories.
//!
//! Each command has a file below `command/`. The code they share is beside it.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

mod agent;
mod anchors;
mod attributes;
mod claims;
mod command;
mod difference;
mod error;
mod floors;
mod foresee;
mod forge;
mod git;
mod home;
mod keys;
mod lock;
mod names;
mod output;
mod prompt;
mod records;
mod reports;
mod restate;
mod review;
mod signing;
mod tree;
mod verification;
mod view;

/// Verification allocates many small values on many threads. This allocator makes it a tenth faster than
/// the default one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Trust in community data repositories: sign releases, approve changes, verify everything.
#[derive(Debug, Parser)]
#[command(name = "conex", version, max_term_width = 100)]
struct Arguments {
    /// The repository to work on
    #[arg(
        short = 'C',
        long = "repo",
        global = true,
        default_value = ".",
        value_name = "DIR",
        // After the command's own options.
        display_order = 900
    )]
    repo: PathBuf,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a repository: write root 1, with its janitors and their rules
    Init(command::init::Arguments),
    /// Make, list and show keys
    #[command(subcommand)]
    Key(command::key::Command),
    /// Day zero: vouch for everything there is, in one batch
    Bootstrap(command::bootstrap::Arguments),
    /// Approve what is pending: look at it, answer one prompt, sign one page
    Approve(command::approve::Arguments),
    /// Show what a branch, a patch or pull requests need approved, and by whom
    Review(command::review::Arguments),
    /// Become an author: prove that a key is yours
    Enroll(command::enroll::Arguments),
    /// Say who owns packages: you, a team, or the janitors again
    Claim(command::claim::Arguments),
    /// Publish releases that you added, changed or removed: one prompt, one new file
    Publish(command::publish::Arguments),
    /// Take back approvals of what was never merged
    Retract(command::retract::Arguments),
    /// Change janitors and rules: propose, sign and show roots
    #[command(subcommand)]
    Root(command::root::Command),
    /// Give an author another key
    Rotate(command::rotate::Arguments),
    /// Retire an author, a team or a package, for ever
    Retire(command::retire::Arguments),
    /// Show a team, or change its members
    Team(command::team::Arguments),
    /// Replace many pages with one
    Compact(command::compact::Arguments),
    /// Print a statement, page or batch as it is signed
    Show(command::show::Arguments),
    /// Show the state of things: what is approved, what is missing, what awaits you
    Status(command::status::Arguments),
    /// Write a web page about the repository: what is signed, by whom, and what waits
    Report(command::report::Arguments),
    /// Verify a repository, as its clients do
    Verify(command::verify::Arguments),
    /// Explain the result of the last verification
    Why(command::why::Arguments),
    /// Make opam verify what it fetches, and check whether it does
    OpamHook(command::opam_hook::Arguments),
    /// Write the archive that a server offers, signatures included
    Archive(command::archive::Arguments),
    /// Advance the branch that clients follow to what is approved
    Advance(command::advance::Arguments),
    /// Run as a git hook that refuses pushes which clients would refuse
    PreReceive(command::pre_receive::Arguments),
    /// Demonstrate a small community from its first day on, and six attacks on it
    Demo(command::demo::Arguments),
    /// Print completions for a shell
    Completions(command::completions::Arguments),
    /// Write manual pages, one for each command
    Man(command::man::Arguments),
}

/// Returns the command line. If the program is called `conex-verify` or `conex_verify`, it only verifies:
/// package managers set up for OCaml conex start it without a command.
fn arguments() -> Vec<OsString> {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let name = words.first().and_then(|word| Path::new(word).file_name());
    if name.is_some_and(|name| name == "conex-verify" || name == "conex_verify") {
        words.insert(1, "verify".into());
    }
    words
}

fn main() -> ExitCode {
    let arguments = Arguments::parse_from(arguments());
    if std::env::var_os("CONEX_LOG").is_some() {
        tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_env("CONEX_LOG"))
            .with_writer(std::io::stderr)
            .init();
    }
    let repo = arguments.repo.as_path();
    let result = match &arguments.command {
        Command::Init(arguments) => command::init::run(repo, arguments),
        Command::Key(command) => command::key::run(command),
        Command::Bootstrap(arguments) => command::bootstrap::run(repo, arguments),
        Command::Approve(arguments) => command::approve::run(repo, arguments),
        Command::Enroll(arguments) => command::enroll::run(repo, arguments),
        Command::Claim(arguments) => command::claim::run(repo, arguments),
        Command::Publish(arguments) => command::publish::run(repo, arguments),
        Command::Retract(arguments) => command::retract::run(repo, arguments),
        Command::Root(command) => command::root::run(repo, command),
        Command::Rotate(arguments) => command::rotate::run(repo, arguments),
        Command::Retire(arguments) => command::retire::run(repo, arguments),
        Command::Team(arguments) => command::team::run(repo, arguments),
        Command::Compact(arguments) => command::compact::run(repo, arguments),
        Command::Show(arguments) => command::show::run(repo, arguments),
        Command::Status(arguments) => command::status::run(repo, arguments),
        Command::Review(arguments) => return finish(command::review::run(repo, arguments)),
        Command::Report(arguments) => command::report::run(repo, arguments),
        Command::Verify(arguments) => return finish(command::verify::run(repo, arguments)),
        Command::Why(arguments) => command::why::run(arguments),
        Command::Advance(arguments) => command::advance::run(repo, arguments),
        Command::PreReceive(arguments) => command::pre_receive::run(repo, arguments),
        Command::Demo(arguments) => command::demo::run(arguments),
        Command::Completions(arguments) => {
            command::completions::run(&mut Arguments::command(), arguments)
        }
        Command::Man(arguments) => command::man::run(Arguments::command(), arguments),
        Command::OpamHook(arguments) => return finish(command::opam_hook::run(arguments)),
        Command::Archive(arguments) => command::archive::run(repo, arguments),
    };
    finish(result.map(|()| ExitCode::SUCCESS))
}

fn finish(result: error::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        output::line(&mut output::stderr(), output::escaped(&error.to_string()));
        error.exit_code()
    })
}
