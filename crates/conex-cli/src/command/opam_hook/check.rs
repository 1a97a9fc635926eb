//! Detects every configuration of opam in which something is not verified. Each has a name.

use std::borrow::Cow;
use std::env;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use conex_core::state::chain::Trust;

use super::git::Lacking;
use super::opam::{Hook, Opam, Repository};
use super::version::{TESTED, Version};
use crate::anchors;
use crate::error::Result;
use crate::output::{self, RED, RESET, plain};
use crate::records::Kept;

/// Something that is not verified, or that prevents opam from updating at all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    name: &'static str,
    /// The repository concerned, or `None` for all repositories.
    repository: Option<String>,
    detail: String,
    advice: Cow<'static, str>,
}

impl Finding {
    fn general(name: &'static str, detail: impl Into<String>, advice: &'static str) -> Self {
        Self {
            name,
            repository: None,
            detail: detail.into(),
            advice: advice.into(),
        }
    }

    fn of(repository: &Repository, name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            name,
            repository: Some(repository.name.clone()),
            detail: detail.into(),
            advice: ANCHORS.into(),
        }
    }

    fn with(self, advice: impl Into<Cow<'static, str>>) -> Self {
        Self {
            advice: advice.into(),
            ..self
        }
    }

    pub(super) fn is_general(&self) -> bool {
        self.repository.is_none()
    }

    pub(super) fn is_about(&self, repository: &str) -> bool {
        self.repository.as_deref() == Some(repository)
    }

    pub(super) fn print(&self, out: &mut impl Write) {
        let repository = self.repository.as_deref().unwrap_or("opam");
        output::line(
            out,
            format_args!(
                "{}: {RED}{}{RESET}: {}",
                plain(repository),
                self.name,
                plain(&self.detail)
            ),
        );
        output::line(out, format_args!("  {}", plain(&self.advice)));
    }
}

const INSTALL: &str = "set it: conex opam-hook --install";
const ANCHORS: &str = "give opam the anchors that the janitors publish: opam repository set-url NAME ADDRESS QUORUM ANCHORS";

/// Returns all findings.
pub(super) fn findings(opam: &Opam, version: Option<&Version>) -> Result<Vec<Finding>> {
    let mut findings = environment();
    if let Some(version) = version.filter(|version| !version.is_known()) {
        findings.push(Finding::general(
            "opam-untested",
            format!(
                "this is opam {version}; conex was tested with opam {TESTED}"
            ),
            "look for a newer conex. This one may refuse what is right, and may verify what this opam reads otherwise",
        ));
    }
    match opam.hook() {
        None => findings.push(Finding::general(
            "hook-missing",
            "no program is asked before an update is taken",
            INSTALL,
        )),
        Some(hook) => findings.extend(of_hook(hook)),
    }
    if opam.repositories().is_empty() {
        findings.push(Finding::general(
            "no-repository",
            "opam follows no repository, so nothing was verified",
            "add one, with its anchors: opam repository add NAME ADDRESS QUORUM ANCHORS",
        ));
    }
    for repository in opam.repositories() {
        findings.extend(match trusted(repository) {
            Err(finding) => Some(finding),
            Ok(trust) => never_verified(opam, repository, &trust)?,
        });
        let lacking = Lacking::of(opam, version, repository);
        findings.extend(lacking.iter().map(|lacking| {
            let setting = lacking.setting;
            Finding::of(repository, setting.finding, setting.otherwise).with(lacking.advice())
        }));
    }
    Ok(findings)
}

/// Checks the environment variables that make opam ask another program, or none.
fn environment() -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(hook) = env::var_os("OPAMVALIDATIONHOOK") {
        let hook = hook.to_string_lossy();
        findings.push(if hook.trim().is_empty() {
            Finding::general(
                "environment-no-hook",
                "OPAMVALIDATIONHOOK is set and empty: no program is asked",
                "unset OPAMVALIDATIONHOOK, wherever it is set",
            )
        } else {
            Finding::general(
                "environment-other-hook",
                format!("OPAMVALIDATIONHOOK has opam ask {hook} instead"),
                "unset OPAMVALIDATIONHOOK, wherever it is set",
            )
        });
    }
    let is_set = |name: &str| {
        let value = env::var_os(name).map(|value| value.to_string_lossy().to_lowercase());
        value.is_some_and(|value| !matches!(value.as_str(), "" | "0" | "n" | "no" | "f" | "false"))
    };
    if is_set("OPAMNOCHECKSUMS") {
        findings.push(Finding::general(
            "environment-no-checksums",
            "OPAMNOCHECKSUMS is set: no program is asked, and no archive is checked",
            "unset OPAMNOCHECKSUMS, wherever it is set",
        ));
    }
    findings
}

fn of_hook(hook: &Hook) -> Vec<Finding> {
    let mut findings = Vec::new();
    let program = hook.program();
    if program.is_empty() {
        findings.push(Finding::general(
            "hook-missing",
            "the command that opam asks is empty",
            INSTALL,
        ));
        return findings;
    }
    if !hook.is_conex() {
        findings.push(Finding::general(
            "hook-other",
            format!("opam asks another program: {hook}"),
            INSTALL,
        ));
        return findings;
    }
    match found(program) {
        None => findings.push(Finding::general(
            "hook-not-found",
            format!("there is no {program}: opam refuses every update"),
            INSTALL,
        )),
        Some(path) => {
            let mode = fs::metadata(&path).map_or(0, |found| found.permissions().mode());
            if mode & 0o111 == 0 {
                findings.push(Finding::general(
                    "hook-not-executable",
                    format!(
                        "{} is not executable: opam refuses every update",
                        path.display()
                    ),
                    "make it executable, or set another one: conex opam-hook --install",
                ));
            }
            if mode & 0o002 != 0 {
                findings.push(Finding::general(
                    "hook-writable",
                    format!("everybody can change {}", path.display()),
                    "take that right away: chmod o-w",
                ));
            }
        }
    }
    let lacking = hook.lacking();
    if !lacking.is_empty() {
        findings.push(Finding::general(
            "hook-incomplete",
            format!("opam does not pass it {}", lacking.join(" ")),
            INSTALL,
        ));
    }
    if hook.observes() {
        findings.push(Finding::general(
            "hook-observes",
            "it reports what is wrong, and refuses nothing",
            "set it without --mode observe: conex opam-hook --install",
        ));
    }
    findings
}

/// Resolves a program name as the system would.
fn found(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        let path = Path::new(program);
        return path.is_file().then(|| path.to_owned());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// Returns the anchors from which opam has a repository verified.
fn trusted(repository: &Repository) -> core::result::Result<Trust, Finding> {
    let finding = |name, detail: String| Err(Finding::of(repository, name, detail));
    if repository.anchors.is_empty() {
        let detail = "it has no trust anchors, so opam asks nobody";
        return finding("no-anchors", detail.to_owned());
    }
    let quorum = match repository.quorum.as_deref().map(str::parse::<u16>) {
        None => None,
        Some(Ok(0)) => return finding("quorum-zero", "its quorum is 0".into()),
        Some(Ok(quorum)) => Some(quorum),
        Some(Err(_)) => return finding("anchors-unusable", "its quorum is no number".into()),
    };
    anchors::parse(&repository.anchors.join(","), quorum).or_else(|error| {
        let error = error.to_string();
        let first = error.lines().next().unwrap_or_default();
        let is_quorum = error.contains("greater than the number");
        let name = if is_quorum {
            "quorum-above-anchors"
        } else {
            "anchors-unusable"
        };
        finding(
            name,
            format!("nothing can be verified from its anchors: {first}"),
        )
    })
}

fn never_verified(opam: &Opam, repository: &Repository, trust: &Trust) -> Result<Option<Finding>> {
    let kept = Kept::look(&opam.place(repository), None)?;
    if kept.record(trust).is_some() {
        return Ok(None);
    }
    let detail = "what opam has of it was never verified from these anchors";
    let finding = Finding::of(repository, "never-verified", detail);
    Ok(Some(finding.with(
        "fetch all of it again: opam repository set-url NAME ADDRESS QUORUM ANCHORS, with the same",
    )))
}

/// Predicts what happens to a repository once opam asks conex.
pub(super) fn outlook(repository: &Repository) -> Outlook {
    match trusted(repository) {
        Ok(_) => Outlook::Verified,
        // opam asks nobody about this repository.
        Err(finding) if finding.name == "no-anchors" => Outlook::Unasked,
        Err(finding) => Outlook::Refused(finding.detail),
    }
}

/// The result of [`outlook`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outlook {
    Verified,
    Unasked,
    /// Every update is refused, for this reason.
    Refused(String),
}
