//! Git settings that affect the patches opam gets from its clones of repositories.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::opam::{Opam, Repository};
use super::version::Version;
use crate::error::{CommandError, Result};
use crate::output;

/// A git setting that conex needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    /// The name of the finding if the setting differs.
    pub(super) finding: &'static str,
    key: &'static str,
    /// The required value.
    value: &'static str,
    /// Whether git's present value is good enough; `None` is git's default.
    does: fn(Option<&str>) -> bool,
    /// The consequence if the setting differs.
    pub(super) otherwise: &'static str,
}

const SETTINGS: [Setting; 3] = [
    Setting {
        finding: "git-renames",
        key: "diff.renames",
        value: "false",
        does: |value| matches!(value, Some("false" | "no" | "off" | "0")),
        otherwise: "git takes some files for renamed, which not every opam reads as git does: conex refuses such updates",
    },
    Setting {
        finding: "git-context",
        key: "diff.context",
        value: "3",
        does: |value| value.is_none_or(|lines| lines.parse() != Ok(0)),
        otherwise: "git makes patches without context: such updates are refused",
    },
    Setting {
        finding: "git-color",
        key: "color.diff",
        value: "false",
        does: |value| value != Some("always"),
        otherwise: "git colours its patches: conex refuses such updates",
    },
];

/// A setting that a repository lacks, and where to set it.
#[derive(Debug)]
pub(super) struct Lacking {
    pub(super) setting: Setting,
    /// The clone, or `None` if opam packs it and unpacks it elsewhere for each update.
    clone: Option<PathBuf>,
}

impl Lacking {
    /// Returns all missing settings of a repository that opam fetches by git. An unknown version is treated
    /// as the newest.
    pub(super) fn of(opam: &Opam, version: Option<&Version>, repository: &Repository) -> Vec<Self> {
        if !repository.is_git() {
            return Vec::new();
        }
        let place = opam.place(repository);
        let clone = place.join(".git").exists().then(|| place.clone());
        let packed = || opam.packed(repository).is_file();
        if clone.is_none() && !packed() {
            // Nothing has been fetched yet, so check again after the first update.
            return Vec::new();
        }
        let hides_settings = version.is_none_or(Version::hides_git_settings);
        SETTINGS
            .iter()
            .filter(|setting| {
                let at = clone.as_deref().unwrap_or_else(|| opam.root());
                !(setting.does)(effective(at, setting.key, hides_settings).as_deref())
            })
            .map(|setting| Self {
                setting: *setting,
                clone: clone.clone(),
            })
            .collect()
    }

    /// Returns how to set it.
    pub(super) fn advice(&self) -> String {
        let Setting { key, value, .. } = self.setting;
        match &self.clone {
            Some(clone) => format!("set it: git -C {} config {key} {value}", clone.display()),
            None => format!(
                "opam packs this clone. Set it for everything that git does: git config --global {key} {value}; \
                 or unset OPAMREPOSITORYTARRING, if it is set, and fetch all of it again"
            ),
        }
    }

    /// Whether it can be set for this repository alone.
    pub(super) fn can_be_set(&self) -> bool {
        self.clone.is_some()
    }

    /// Sets it in this clone only.
    pub(super) fn set(&self) -> Result<()> {
        let Some(clone) = &self.clone else {
            return Ok(());
        };
        let Setting { key, value, .. } = self.setting;
        output::line(
            &mut output::stdout(),
            format_args!("$ git -C {} config {key} {value}", clone.display()),
        );
        let ended = Command::new("git")
            .arg("-C")
            .arg(clone)
            .args(["config", key, value])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| CommandError::io(format_args!("git: {error}")))?;
        if ended.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&ended.stderr);
        Err(CommandError::io(format_args!(
            "git: {}",
            output::escaped(said.trim())
        )))
    }
}

/// Returns the effective value of a git setting at a location, with git run as opam runs it.
fn effective(place: &Path, key: &str, hides_settings: bool) -> Option<String> {
    let mut git = Command::new("git");
    git.arg("-C").arg(place).args(["config", "--get", key]);
    if hides_settings {
        git.env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null");
    }
    let said = git.stdin(Stdio::null()).output().ok()?;
    let said = said.status.success().then_some(said.stdout)?;
    Some(String::from_utf8_lossy(&said).trim().to_lowercase())
}
