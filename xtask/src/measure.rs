//! Measures whole processes from outside: wall clock, processor time, peak memory.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};

/// The cost of one run of a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Seconds from start to end.
    pub(crate) wall: f64,
    /// Peak resident memory in bytes.
    pub(crate) memory: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The command to measure
    #[arg(trailing_var_arg = true, required = true)]
    command: Vec<String>,
}

/// Measures one child process. The kernel reports memory only as a maximum over all children, so each
/// measurement is a process with a single child.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (program, rest) = arguments.command.split_first().context("no command")?;
    let start = Instant::now();
    let status = Command::new(program)
        .args(rest)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    let wall = start.elapsed().as_secs_f64();
    ensure!(status.success(), "{program} ended with {status}");
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)?;
    println!("{wall} {}", usage.max_rss() * 1024);
    Ok(())
}

/// Runs a command in its environment and measures it. Discards its output, and treats its failure as an
/// error.
pub(crate) fn measure(command: &Command) -> anyhow::Result<Usage> {
    let set = command.get_envs();
    let output = Command::new(std::env::current_exe()?)
        .args(["measure", "--"])
        .arg(command.get_program())
        .args(command.get_args())
        .envs(set.filter_map(|(name, value)| Some((name, value?))))
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "{command:?} failed");
    let text = String::from_utf8(output.stdout)?;
    let (wall, memory) = text.trim().split_once(' ').context("no figures")?;
    Ok(Usage {
        wall: wall.parse()?,
        memory: memory.parse()?,
    })
}

/// Returns the median of some figures.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Returns the figure that the given share of all does not exceed.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "some thousand figures"
)]
pub(crate) fn share(figures: &[f64], share: f64) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    let at = (figures.len() as f64 * share).ceil() as usize;
    figures.get(at.max(1) - 1).copied().unwrap_or(f64::NAN)
}
