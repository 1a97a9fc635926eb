//! `conex verify`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use conex_core::verify::Mode;

use crate::error::{CommandError, Result};
use crate::tree::Tree;
use crate::view::View;
use crate::{anchors, output, reports};

#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(crate) struct Arguments {
    /// The directory to verify [default: the repository given with -C]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Where trust starts: either root:DIGEST, or origin:NAME and key fingerprints, with commas
    #[arg(
        long,
        value_name = "ANCHORS",
        env = "CONEX_TRUST_ANCHORS",
        hide_env_values = true
    )]
    trust_anchors: Option<String>,

    /// How many of the anchored keys have to have signed a root
    #[arg(long, value_name = "N")]
    quorum: Option<u16>,

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

    /// The verified repository that an update is for, as package managers give it
    #[arg(long, value_name = "DIR")]
    repository: Option<PathBuf>,

    /// A patch to verify, as package managers give it
    #[arg(long, value_name = "FILE", requires = "incremental")]
    patch: Option<PathBuf>,

    /// Verify an update
    #[arg(long)]
    incremental: bool,
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

/// Problems shown without `--all`: a screen of them.
const SHOWN: usize = 20;

pub(crate) fn run(repo: &Path, arguments: &Arguments) -> Result<ExitCode> {
    if arguments.incremental {
        return Err(
            CommandError::refused("this version verifies whole states only, not updates")
                .hint("verify the updated directory: conex verify --dir DIR"),
        );
    }
    let mode = match arguments.mode {
        ModeArgument::Observe => Mode::Observe,
        ModeArgument::Warn => Mode::Warn,
        ModeArgument::Enforce => Mode::Enforce,
    };
    let anchors = arguments.trust_anchors.as_deref().ok_or_else(|| {
        CommandError::usage("there is nothing to start trust from")
            .hint(format_args!("give --trust-anchors: {}", anchors::SPELLING))
            .hint(
                "janitors publish them elsewhere than in the repository; conex status prints them",
            )
    })?;
    let trust = anchors::parse(anchors, arguments.quorum)?;
    let directory = arguments.dir.as_deref().unwrap_or(repo);
    let report = Tree::open(directory)?.verify(&trust, mode, arguments.main);
    let view = View::new(&report, &directory.display().to_string());
    // The program ends soon, and the system takes memory back faster than piece by piece.
    core::mem::forget(report);

    let subject = arguments.repository.as_deref().unwrap_or(directory);
    if let Err(error) = reports::save(subject, &view) {
        // The verdict stands without it.
        output::line(
            &mut output::stderr(),
            format_args!("the report could not be kept: {error}"),
        );
    }
    let mut out = output::stdout();
    if arguments.json {
        let json = serde_json::to_string_pretty(&view).map_err(CommandError::io)?;
        output::line(&mut out, json);
    } else {
        view.print(&mut out, (!arguments.all).then_some(SHOWN));
    }
    Ok(if view.verdict == "refused" {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
