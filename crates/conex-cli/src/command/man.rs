//! `conex man`.

use std::fs;
use std::path::PathBuf;

use clap::Command;

use crate::error::{Result, at};
use crate::output::{self, line};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The directory for the pages, such as ~/.local/share/man/man1; it is created if it does not exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(crate) fn run(program: Command, arguments: &Arguments) -> Result<()> {
    let directory = &arguments.directory;
    fs::create_dir_all(directory).map_err(at(directory.display()))?;
    clap_mangen::generate_to(program, directory).map_err(at(directory.display()))?;
    let shown = directory.display();
    line(
        &mut output::stdout(),
        format_args!("the manual is in {shown}; it begins with: man {shown}/conex.1"),
    );
    Ok(())
}
