//! `conex why`.

use std::path::PathBuf;

use crate::error::Result;
use crate::{output, reports, view};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The repository, as it was given to `conex verify` [default: the last one verified]
    directory: Option<PathBuf>,

    /// Explain every code instead
    #[arg(long)]
    codes: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut out = output::stdout();
    if arguments.codes {
        view::codes(&mut out);
        return Ok(());
    }
    let view = reports::load(arguments.directory.as_deref())?;
    output::line(
        &mut out,
        output::plain(view.title.as_ref().unwrap_or(&view.directory)),
    );
    view.print(&mut out, None);
    Ok(())
}
