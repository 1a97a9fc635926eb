//! `conex completions`.

use clap::Command;
use clap_complete::Shell;

use crate::error::{CommandError, Result};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The shell whose completions are printed
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(program: &mut Command, arguments: &Arguments) -> Result<()> {
    // Generate the script in memory first: clap_complete does not report write errors.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, program, "conex", &mut script);
    let mut out = std::io::stdout().lock();
    match std::io::Write::write_all(&mut out, &script) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CommandError::io(format_args!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}
