//! `conex archive`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use conex_core::model::path::Path as TreePath;
use conex_core::tree::metadata;
use conex_core::tree::problem::Code;
use conex_repo::archive;

use crate::error::{CommandError, Result};
use crate::output;
use crate::tree::{Tree, write_beside};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The archive to write; for opam, index.tar.gz at the top of what the server serves
    file: PathBuf,

    /// Archive this revision of the git repository instead of the working copy
    #[arg(long, value_name = "REV")]
    revision: Option<String>,
}

pub(crate) fn run(repo: &Path, arguments: &Arguments) -> Result<()> {
    let tree = match &arguments.revision {
        Some(revision) => Tree::at_revision(repo, revision)?,
        None => Tree::open(repo)?,
    };
    let work = tree.examine()?;
    let top = tree.top(work.head.root())?;
    let mut places: BTreeSet<TreePath> = top.repository.into_iter().collect();
    // The packages may all be below one directory, or each at the top.
    let directories = top.packages.iter().flat_map(|unit| &unit.directories);
    places.extend(directories.filter_map(|place| TreePath::parse(place.components().next()?).ok()));
    places.extend(TreePath::parse(metadata::DIRECTORY).ok());
    let places: Vec<TreePath> = places.into_iter().collect();

    let shown = arguments.file.display();
    let mut bytes = Vec::new();
    let files = archive::write(tree.store(), &places, &mut bytes).map_err(|error| {
        CommandError::refused(format_args!("this tree cannot be archived: {error}"))
            .hint("nothing was written; conex verify says what else is wrong")
    })?;
    write_beside(&arguments.file, bytes, "conex archive ../index.tar.gz")?;
    output::line(
        &mut output::stdout(),
        format_args!("{shown}: {files} files"),
    );
    let problems = work.report.problems.len();
    let ahead = work.report.with_code(Code::Ahead).count();
    if problems + ahead > 0 {
        output::line(
            &mut output::stderr(),
            "warning: clients refuse this state as it is; conex verify says why",
        );
    }
    Ok(())
}
