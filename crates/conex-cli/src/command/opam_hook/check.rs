//! Every way in which opam can be set up so that something is not verified, each with a name.

use std::env;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::opam::{Hook, Opam, Repository};
use crate::anchors;
use crate::error::Result;
use crate::output::{self, RED, RESET, plain};
use crate::records::Kept;

/// Something that is not verified, or that keeps opam from updating at all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    name: &'static str,
    /// The repository it is about; none if it is about all.
    repository: Option<String>,
    detail: String,
    advice: &'static str,
}

impl Finding {
    fn general(name: &'static str, detail: impl Into<String>, advice: &'static str) -> Self {
        Self {
            name,
            repository: None,
            detail: detail.into(),
            advice,
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
        output::line(out, format_args!("  {}", self.advice));
    }
}

const INSTALL: &str = "set it: conex opam-hook --install";
const ANCHORS: &str = "give opam the anchors that the janitors publish: opam repository set-url NAME ADDRESS QUORUM ANCHORS";

/// Finds all of it.
pub(super) fn findings(opam: &Opam) -> Result<Vec<Finding>> {
    let mut findings = environment();
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
        findings.extend(of_repository(opam, repository)?);
    }
    Ok(findings)
}

/// Variables that make opam ask another program, or none.
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

/// The program that a name stands for, as the system looks it up.
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

fn of_repository(opam: &Opam, repository: &Repository) -> Result<Option<Finding>> {
    let finding = |name, detail: String, advice| {
        Ok(Some(Finding {
            name,
            repository: Some(repository.name.clone()),
            detail,
            advice,
        }))
    };
    if repository.anchors.is_empty() {
        let detail = "it has no trust anchors, so opam asks nobody".to_owned();
        return finding("no-anchors", detail, ANCHORS);
    }
    let quorum = match repository.quorum.as_deref().map(str::parse::<u16>) {
        None => None,
        Some(Ok(0)) => {
            return finding("quorum-zero", "its quorum is 0".into(), ANCHORS);
        }
        Some(Ok(quorum)) => Some(quorum),
        Some(Err(_)) => {
            return finding(
                "anchors-unusable",
                "its quorum is no number".into(),
                ANCHORS,
            );
        }
    };
    let trust = match anchors::parse(&repository.anchors.join(","), quorum) {
        Ok(trust) => trust,
        Err(error) => {
            let error = error.to_string();
            let first = error.lines().next().unwrap_or_default();
            let detail = format!("nothing can be verified from its anchors: {first}");
            let is_quorum = error.contains("greater than the number");
            let name = if is_quorum {
                "quorum-above-anchors"
            } else {
                "anchors-unusable"
            };
            return finding(name, detail, ANCHORS);
        }
    };
    let kept = Kept::look(&opam.place(repository), None)?;
    if kept.record(&trust).is_none() {
        let detail = "what opam has of it was never verified from these anchors".to_owned();
        let advice = "fetch all of it again: opam repository set-url NAME ADDRESS QUORUM ANCHORS, with the same";
        return finding("never-verified", detail, advice);
    }
    Ok(None)
}
