//! `conex demo`: a small community from its first day on, played by the program itself.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{CommandError, Result, at};
use crate::output::{self, BOLD, RESET, line};

mod sample;
mod stage;
mod story;

use stage::Stage;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Keep the repository and everybody's keys in this directory, to continue with them; it must not exist
    /// yet
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Some(directory) = &arguments.keep else {
        let directory = tempfile::Builder::new()
            .prefix("conex-demo-")
            .tempdir()
            .map_err(at("the directory for temporary files"))?;
        play(directory.path())?;
        start();
        return Ok(());
    };
    fs::create_dir(directory).map_err(|error| {
        CommandError::io(format_args!("{}: {error}", directory.display()))
            .hint("give the name of a directory that is to be made")
    })?;
    let directory = directory.canonicalize().map_err(at(directory.display()))?;
    play(&directory)?;
    go_on(&directory);
    Ok(())
}

fn play(directory: &Path) -> Result<()> {
    let mut stage = Stage::set(directory)?;
    story::people(&mut stage)?;
    story::attacks(&mut stage)
}

/// Suggests what to try next if everything was kept.
fn go_on(directory: &Path) {
    let shown = directory.display();
    let mut out = output::stdout();
    for text in [
        format!("{BOLD}What to try next{RESET}"),
        format!("  cd {shown}/repo"),
        format!("  export CONEX_HOME={shown}/home CONEX_STATE={shown}/state"),
        "  conex status astring              # who stands behind the package".into(),
        "  conex show astring                # what is signed of it".into(),
        "then change a file below packages, and:".into(),
        "  conex status --key bob            # what awaits bob".into(),
        "  conex approve --all --key bob".into(),
    ] {
        line(&mut out, text);
    }
}

/// Suggests what to try next if nothing was kept.
fn start() {
    let mut out = output::stdout();
    for text in [
        &*format!("{BOLD}What to try next{RESET}"),
        "  conex demo --keep DIR     the same, and leaves the repository and the keys to play with",
        "  conex init --help         a repository of your own",
        "  docs/guides/author.md and docs/guides/janitor.md say more, task by task",
    ] {
        line(&mut out, text);
    }
}
