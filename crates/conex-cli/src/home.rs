//! The directories of this program outside of repositories.

use std::env;
use std::path::PathBuf;

use crate::error::{CommandError, Result};

fn directory(ours: &str, xdg: &str, fallback: &str) -> Result<PathBuf> {
    let of = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    of(ours)
        .or_else(|| of(xdg).map(|base| base.join("conex")))
        .or_else(|| of("HOME").map(|home| home.join(fallback).join("conex")))
        .ok_or_else(|| {
            CommandError::usage("there is no home directory to keep things in")
                .hint(format_args!("set {ours} to a directory"))
        })
}

/// Returns the directory for keys: `$CONEX_HOME/keys`, else below the usual directory for configuration.
pub(crate) fn keys() -> Result<PathBuf> {
    Ok(directory("CONEX_HOME", "XDG_CONFIG_HOME", ".config")?.join("keys"))
}

/// Returns the directory for reports of verifications: `$CONEX_STATE/reports`, else below the usual
/// directory for state.
pub(crate) fn reports() -> Result<PathBuf> {
    Ok(directory("CONEX_STATE", "XDG_STATE_HOME", ".local/state")?.join("reports"))
}

/// Returns the directory for records of verified states: `$CONEX_STATE/records`, likewise.
pub(crate) fn records() -> Result<PathBuf> {
    Ok(directory("CONEX_STATE", "XDG_STATE_HOME", ".local/state")?.join("records"))
}
