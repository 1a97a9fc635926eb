//! `conex review`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::error::{CommandError, Result};
use crate::output;
use crate::review::input::{Base, PullRequests};
use crate::review::view::{BaseView, ReviewView, Verdict};
use crate::review::{Reviewer, annotations, markdown, text};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A branch or commit, or BASE..HEAD for two [default: what is checked out]
    #[arg(value_name = "RANGE", conflicts_with_all = ["numbers", "patch", "dir"])]
    range: Option<String>,

    #[command(flatten)]
    pulls: PullRequests,

    /// A patch to apply to the base
    #[arg(long, value_name = "FILE", conflicts_with_all = ["numbers", "dir"])]
    patch: Option<PathBuf>,

    /// A directory, compared with the base
    #[arg(long, value_name = "DIR", conflicts_with = "numbers")]
    dir: Option<PathBuf>,

    /// The format of the output: for a terminal, a program, a comment on a pull request, or as annotations
    /// of a workflow run
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// Also refuse what is not approved yet: exit with 1
    #[arg(long)]
    require_approved: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
    Markdown,
    Github,
}

pub(crate) fn run(repo: &Path, arguments: &Arguments) -> Result<ExitCode> {
    let (base, changes, absent) = changes(repo, arguments)?;
    let reviewer = Reviewer::new(&base)?;
    let mut views = Vec::with_capacity(changes.len());
    for change in changes {
        views.push(reviewer.review(change)?.view);
    }
    let verdicts = views.iter().map(|change| change.verdict);
    let review = ReviewView {
        base: BaseView::of(&base),
        verdict: verdicts.max().unwrap_or(Verdict::Approved),
        changes: views,
        absent,
    };
    let mut out = output::stdout();
    match arguments.format {
        Format::Text => text::print(&mut out, &review),
        Format::Markdown => markdown::print(&mut out, &review),
        Format::Github => annotations::print(&mut out, &review),
        Format::Json => {
            let json = serde_json::to_string_pretty(&review).map_err(CommandError::io)?;
            output::line(&mut out, json);
        }
    }
    Ok(match review.verdict {
        Verdict::Refused => ExitCode::from(1),
        Verdict::Pending if arguments.require_approved => ExitCode::from(1),
        Verdict::Pending | Verdict::Approved => ExitCode::SUCCESS,
    })
}

type Changes = (Base, Vec<crate::review::input::Change>, Vec<u64>);

/// Returns the changes to review, and their base.
fn changes(repo: &Path, arguments: &Arguments) -> Result<Changes> {
    let named = arguments.pulls.base.as_deref();
    if !arguments.pulls.numbers.is_empty() {
        let base = Base::revision(repo, named)?;
        let (changes, absent) = base.pull_requests(&arguments.pulls)?;
        return Ok((base, changes, absent));
    }
    if arguments.patch.is_some() || arguments.dir.is_some() {
        // Without git there is only one state to compare with: the files in the directory.
        let base = match (named, conex_repo::GitRepository::open(repo)) {
            (None, Err(_)) => Base::directory(repo)?,
            (named, _) => Base::revision(repo, named)?,
        };
        let change = match (&arguments.patch, &arguments.dir) {
            (Some(patch), _) => base.patch(patch)?,
            (None, dir) => base.with_directory(dir.as_deref().unwrap_or(repo))?,
        };
        return Ok((base, vec![change], Vec::new()));
    }
    let range = arguments.range.as_deref().unwrap_or("HEAD");
    if range.contains("...") {
        return Err(CommandError::usage("a range has two dots: BASE..HEAD")
            .hint("HEAD is merged into BASE in any case, so that only what HEAD changed counts"));
    }
    let (from, head) = match range.split_once("..") {
        None => (None, range),
        Some((from, head)) if !from.is_empty() && !head.is_empty() => (Some(from), head),
        Some(_) => {
            return Err(CommandError::usage("a range is written BASE..HEAD")
                .hint("for example: conex review origin/main..my-branch"));
        }
    };
    if from.is_some() && named.is_some() {
        return Err(
            CommandError::usage("the base is given twice").hint("write BASE..HEAD, or give --base")
        );
    }
    let base = Base::revision(repo, from.or(named))?;
    let change = base.branch(head)?;
    Ok((base, vec![change], Vec::new()))
}
