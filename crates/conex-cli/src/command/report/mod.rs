//! `conex report`: the status of a repository, as one page for people.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use conex_repo::git::GitError;
use conex_repo::git::history::{Date, Landings};
use conex_repo::{GitRepository, infer};

use crate::error::{CommandError, Result};
use crate::output::{self, line};
use crate::tree::{Tree, write_beside};

mod figures;
mod growth;
mod page;
mod plot;

use figures::Figures;
use page::Source;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The page to write, outside of the repository: one HTML file that needs nothing else
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// A revision of the git repository instead of the working copy; of a bare repository, HEAD is
    /// reported
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,

    /// Plot the growth over this many states of the main line; 0 for no plot
    #[arg(long, value_name = "N", default_value_t = 24)]
    history: usize,

    /// The day to write on the page, as 2026-01-31 [default: today]
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    date: Option<Date>,
}

fn parse_day(text: &str) -> core::result::Result<Date, &'static str> {
    Date::of_day(text).ok_or("days are written 2026-01-31")
}

pub(crate) fn run(repo: &Path, arguments: &Arguments) -> Result<()> {
    let repository = match GitRepository::open(repo) {
        Ok(repository) => Some(repository),
        Err(GitError::NoRepository(_)) => None,
        Err(error) => {
            return Err(CommandError::io(error).hint("git fsck says what is wrong with it"));
        }
    };
    let revision = match (&arguments.revision, &repository) {
        (None, Some(bare)) if bare.is_bare() => Some("HEAD"),
        (given, _) => given.as_deref(),
    };
    let tree = match revision {
        Some(revision) => Tree::at_revision(repo, revision)?,
        None => Tree::open(repo)?,
    };
    let work = tree.examine()?;
    let main_line = match &repository {
        Some(repository) => main_line(repository, revision)?,
        None => Vec::new(),
    };
    let date = arguments.date.unwrap_or_else(today);
    let (figures, mut states) = tree.with_layout(&work.head, |layout, units| {
        let packages = infer::packages(tree.store(), layout, units, &Landings::new());
        let states = match &repository {
            Some(repository) if arguments.history > 0 && !main_line.is_empty() => {
                growth::states(repository, &main_line, arguments.history, layout)?
            }
            _ => Vec::new(),
        };
        Ok::<_, CommandError>((Figures::of(work, &packages), states))
    })??;
    let committed = states.len();
    if revision.is_none() {
        growth::go_on(&mut states, date, &work.report);
    }
    let source = Source {
        date: date.day(),
        revision: revision.and(main_line.last()).map(|it| it.id.to_string()),
        committed,
    };
    let page = page::render(work, &figures, &states, source)?;
    write_beside(
        &arguments.output,
        page.into_bytes(),
        "conex report --output ../report.html",
    )?;
    line(
        &mut output::stdout(),
        format_args!("{}", arguments.output.display()),
    );
    Ok(())
}

/// Returns the main line up to the reported state; empty if there is no commit yet.
fn main_line(
    repository: &GitRepository,
    revision: Option<&str>,
) -> Result<Vec<conex_repo::git::history::Commit>> {
    let tip = match (repository.resolve(revision.unwrap_or("HEAD")), revision) {
        (Ok(tip), _) => tip,
        (Err(GitError::NoRevision(_)), None) => return Ok(Vec::new()),
        (Err(error), _) => {
            return Err(CommandError::usage(error).hint("give a revision of this repository"));
        }
    };
    repository
        .main_line(tip)
        .map_err(|error| CommandError::io(error).hint("a fresh clone has the whole history"))
}

fn today() -> Date {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seconds = now.map_or(0, |now| now.as_secs());
    Date(i64::try_from(seconds).unwrap_or(0))
}
