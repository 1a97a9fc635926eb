//! `conex opam-hook`: opam asks a program of the user's choice whether to take an update.

mod check;
mod git;
mod opam;
mod version;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use crate::error::{CommandError, Result};
use crate::{output, prompt};
use check::{Finding, Outlook};
use git::Lacking;
use opam::{Hook, Opam};
use version::{TESTED, Version};

#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(crate) struct Arguments {
    /// Add the hook to opam's configuration, and set what git needs in opam's clones, after one prompt
    #[arg(long, conflicts_with = "check")]
    install: bool,

    /// Find every way in which opam is set up so that something is not verified
    #[arg(long)]
    check: bool,

    /// How strict to be about what nobody vouched for yet [default: warn]
    #[arg(long, value_enum, conflicts_with = "check")]
    mode: Option<ModeArgument>,

    /// Look only at what an update concerns
    #[arg(long, conflicts_with = "check")]
    fast: bool,

    /// The program that opam is to start [default: this one]
    #[arg(long, value_name = "PATH", conflicts_with = "check")]
    program: Option<PathBuf>,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModeArgument {
    /// Refuse what is wrong, count what is unsigned
    Warn,
    /// Refuse what is unsigned, too
    Enforce,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.check {
        return check(&Opam::find()?);
    }
    let hook = Hook::new(
        arguments.program.as_deref(),
        arguments.mode.map(|mode| match mode {
            ModeArgument::Warn => "warn",
            ModeArgument::Enforce => "enforce",
        }),
        arguments.fast,
    )?;
    let mut out = output::stdout();
    output::line(&mut out, hook.setting());
    if !arguments.install {
        output::line(
            &mut output::stderr(),
            "set it with: conex opam-hook --install",
        );
        return Ok(ExitCode::SUCCESS);
    }
    let opam = Opam::find()?;
    if let Some(before) = opam.hook() {
        output::line(
            &mut out,
            format_args!("in place of: {}", output::plain(&before.to_string())),
        );
    }
    let version = Version::find();
    let settings: Vec<Lacking> = opam
        .repositories()
        .iter()
        .flat_map(|repository| Lacking::of(&opam, version.as_ref(), repository))
        .filter(Lacking::can_be_set)
        .collect();
    let refused = foretell(&opam, &settings);
    if !arguments.yes {
        let but = match refused {
            0 => String::new(),
            1 => "One repository will not be updated any more. ".to_owned(),
            many => format!("{many} repositories will not be updated any more. "),
        };
        prompt::confirm(&format!(
            "{but}Have opam start this program for every update? It is set in {}",
            opam.config().display()
        ))?;
    }
    hook.install()?;
    for setting in &settings {
        setting.set()?;
    }
    // opam writes the setting; only what it actually wrote counts.
    let opam = Opam::find()?;
    if !hook.is(&opam) {
        return Err(
            CommandError::refused("opam did not keep the configuration as it was given")
                .hint("conex opam-hook --check says what it has now"),
        );
    }
    check(&opam)
}

/// Prints what will happen to each repository, and what is set besides the hook. Returns the number of
/// repositories that will be refused.
fn foretell(opam: &Opam, settings: &[Lacking]) -> usize {
    let mut out = output::stdout();
    let mut refused = 0;
    for repository in opam.repositories() {
        let what = match check::outlook(repository) {
            Outlook::Verified => continue,
            Outlook::Unasked => "is not verified: it has no anchors".to_owned(),
            Outlook::Refused(why) => {
                refused += 1;
                format!("will not be updated any more: {why}")
            }
        };
        let name = output::plain(&repository.name);
        output::line(&mut out, format_args!("{name} {}", output::plain(&what)));
    }
    for setting in settings {
        output::line(&mut out, output::plain(&setting.advice()));
    }
    refused
}

/// Prints everything that is not verified. A fault in one repository does not hide those of others.
fn check(opam: &Opam) -> Result<ExitCode> {
    let version = Version::find();
    let findings = check::findings(opam, version.as_ref())?;
    let mut out = output::stdout();
    output::line(
        &mut out,
        match &version {
            Some(version) => format!(
                "opam {} {}",
                output::plain(&version.to_string()),
                version.does()
            ),
            None => format!(
                "opam is not on the PATH: it is taken for the newest that conex was tested with, of {TESTED}"
            ),
        },
    );
    for finding in &findings {
        finding.print(&mut out);
    }
    let (signed, all) = (
        opam.repositories()
            .iter()
            .filter(|repository| {
                !findings
                    .iter()
                    .any(|found| found.is_about(&repository.name))
            })
            .count(),
        opam.repositories().len(),
    );
    if findings.iter().any(Finding::is_general) {
        output::line(
            &mut out,
            format_args!("opam verifies none of {all} repositories"),
        );
    } else {
        output::line(
            &mut out,
            format_args!("opam verifies {signed} of {all} repositories"),
        );
    }
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
