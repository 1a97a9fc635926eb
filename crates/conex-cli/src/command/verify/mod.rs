//! `conex verify`.

mod client;
mod copy;
mod input;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use conex_core::tree::problem::Problem;
use conex_core::verify::Mode;

use crate::error::{CommandError, Result};
use crate::view::View;
use crate::{anchors, output, reports};
use client::Client;
use input::Input;

#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(crate) struct Arguments {
    /// The directory or .tar.gz archive to verify [default: the repository given with -C]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["patch", "incremental"])]
    dir: Option<PathBuf>,

    #[command(flatten)]
    anchors: anchors::AnchorArguments,

    /// How strict to be about what nobody vouched for yet
    #[arg(long, value_enum, default_value = "warn")]
    mode: ModeArgument,

    /// Tolerate approvals that run ahead of the content, as on a main line
    #[arg(long)]
    main: bool,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,

    /// Show every problem, and notes
    #[arg(long)]
    all: bool,

    /// The repository before the update, as it was verified; with --dir or --patch
    #[arg(long, value_name = "DIR")]
    repository: Option<PathBuf>,

    /// The update as a patch, which is verified but not applied
    #[arg(long, value_name = "FILE", requires_all = ["incremental", "repository"])]
    patch: Option<PathBuf>,

    /// Verify an update that is a patch
    #[arg(long, requires_all = ["patch", "repository"])]
    incremental: bool,

    /// The update from one revision to another, of the git repository given with -C
    #[arg(
        long,
        value_name = "A..B",
        conflicts_with_all = ["dir", "repository", "patch", "revision"]
    )]
    range: Option<String>,

    /// A revision of the git repository given with -C
    #[arg(long, value_name = "REV", conflicts_with_all = ["dir", "repository", "patch"])]
    revision: Option<String>,

    /// Read only what the update concerns, and the size and times of all other files; the verdict is the
    /// same
    #[arg(long)]
    fast: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModeArgument {
    /// Report everything, refuse nothing
    Observe,
    /// Refuse what is wrong, count what is unsigned
    Warn,
    /// Refuse what is unsigned, too
    Enforce,
}

impl From<ModeArgument> for Mode {
    fn from(mode: ModeArgument) -> Self {
        match mode {
            ModeArgument::Observe => Self::Observe,
            ModeArgument::Warn => Self::Warn,
            ModeArgument::Enforce => Self::Enforce,
        }
    }
}

/// The reasons why there is no report of a verification.
#[derive(Debug)]
enum Failure {
    /// The input cannot be what it claims to be.
    Refused(Box<Problem>),
    /// The command could not do its work.
    Error(CommandError),
}

impl<E: Into<CommandError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// The most problems to show without `--all`, so that they fit on a screen.
const SHOWN: usize = 20;

pub(crate) fn run(repo: &Path, arguments: &Arguments) -> Result<ExitCode> {
    let mode = Mode::from(arguments.mode);
    let subject = input::subject(repo, arguments);
    let shown = input::shown(repo, arguments);
    let (mut view, error) = match verify(repo, arguments, &subject, &shown) {
        Ok(view) => (view, None),
        Err(Failure::Refused(problem)) => (View::refused(&problem, &shown, mode), None),
        Err(Failure::Error(error)) => (View::failed(&error, &shown, mode), Some(error)),
    };
    view.title = input::title(arguments);
    if let Err(error) = reports::save(&subject, &view) {
        // The verdict is valid without a saved report.
        output::line(
            &mut output::stderr(),
            format_args!("the report could not be kept: {error}"),
        );
    }
    if let Some(error) = error {
        return Err(error);
    }
    let mut out = output::stdout();
    if arguments.json {
        let json = serde_json::to_string_pretty(&view).map_err(CommandError::io)?;
        output::line(&mut out, json);
    } else {
        view.print(&mut out, (!arguments.all).then_some(SHOWN));
    }
    Ok(if view.is_refused() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn verify(
    repo: &Path,
    arguments: &Arguments,
    subject: &Path,
    shown: &str,
) -> core::result::Result<View, Failure> {
    let client = Client {
        trust: &arguments.anchors.trust()?,
        mode: arguments.mode.into(),
        ahead: arguments.main,
        fast: arguments.fast,
    };
    let input = Input::open(repo, arguments)?;
    let is_update = input.is_update();
    let judged = client.judge(&input, subject)?;
    // Check that what was read is still in place before anybody uses it.
    input.unchanged()?;
    judged.record()?;
    let view = View::new(&judged.report, shown, is_update);
    // The program is about to end, and the system frees memory faster than dropping values one by one.
    core::mem::forget((judged, input));
    Ok(view)
}
