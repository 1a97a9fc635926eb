//! The stage of the demo: a directory in which the program runs as people would run it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::demo::sample::File;
use crate::error::{CommandError, Result, at};
use crate::output::{self, BOLD, DIM, GREEN, RED, RESET, line};

/// The repository that people work on.
pub(super) const REPO: &str = "repo";
/// The copy that a client receives, from somebody who may have changed it.
pub(super) const MIRROR: &str = "mirror";

/// A directory with the repository, everybody's keys, and a mirror of the repository.
pub(super) struct Stage {
    program: PathBuf,
    directory: PathBuf,
    anchor: String,
    step: usize,
}

impl Stage {
    /// Creates an empty stage in a directory.
    pub(super) fn set(directory: &Path) -> Result<Self> {
        Ok(Self {
            program: std::env::current_exe().map_err(at("this program"))?,
            directory: directory.to_owned(),
            anchor: String::new(),
            step: 0,
        })
    }

    /// Begins a step and describes it.
    pub(super) fn step(&mut self, title: &str, about: &[&str]) {
        self.step += 1;
        let mut out = output::stdout();
        line(
            &mut out,
            format_args!("\n{BOLD}{}. {title}{RESET}", self.step),
        );
        for text in about {
            line(&mut out, text);
        }
        line(&mut out, "");
    }

    /// Runs a command as somebody. It has to succeed. Returns its output.
    pub(super) fn run(&self, who: &str, typed: &str) -> Result<String> {
        self.run_in(REPO, who, typed)
    }

    /// Like [`Stage::run`], in the repository or in the mirror.
    pub(super) fn run_in(&self, tree: &str, who: &str, typed: &str) -> Result<String> {
        let (said, code) = self.type_in(tree, who, typed)?;
        if code == Some(0) {
            show("", &said);
            return Ok(said);
        }
        Err(otherwise(typed, "succeed", &said))
    }

    /// Sets the trust anchor of clients from the output of a command.
    pub(super) fn anchor(&mut self, said: &str) -> Result<()> {
        let anchor = said
            .split_whitespace()
            .find(|word| word.starts_with("root:"))
            .ok_or_else(|| otherwise("init", "name a trust anchor", said))?;
        anchor.clone_into(&mut self.anchor);
        Ok(())
    }

    /// Verifies the repository as a client, which has to accept it.
    pub(super) fn accepted(&self, directory: &str) -> Result<()> {
        let typed = format!("verify --dir {directory} --mode enforce");
        let (said, code) = self.type_in("", "client", &typed)?;
        if code == Some(0) && said.starts_with("accepted") {
            show(GREEN, &said);
            return Ok(());
        }
        Err(otherwise(&typed, "accept", &said))
    }

    /// Verifies the repository as a client, which has to refuse it for this reason.
    pub(super) fn refused(&self, directory: &str, reason: &str) -> Result<()> {
        let typed = format!("verify --dir {directory} --mode enforce");
        let (said, code) = self.type_in("", "client", &typed)?;
        if code == Some(1) && said.contains(reason) {
            show(RED, &said);
            return Ok(());
        }
        Err(otherwise(&typed, &format!("refuse with {reason}"), &said))
    }

    /// Runs the program. Returns its output and its exit code.
    fn type_in(&self, place: &str, who: &str, typed: &str) -> Result<(String, Option<i32>)> {
        let mut out = output::stdout();
        line(&mut out, format_args!("{BOLD}{who}$ conex {typed}{RESET}"));
        let mut command = Command::new(&self.program);
        command.args(typed.split(' '));
        // These commands ask nothing and take no answer.
        if !["verify", "key", "status"].contains(&typed.split(' ').next().unwrap_or_default()) {
            command.arg("--yes");
        }
        // Isolate the run from the user who watches: no keys, no agent, no settings.
        let output = command
            .current_dir(self.directory.join(place))
            .stdin(Stdio::null())
            .env_clear()
            .env("CONEX_HOME", self.directory.join("home"))
            .env("CONEX_STATE", self.directory.join("state"))
            .env("CONEX_KEY", who)
            .env("CONEX_TRUST_ANCHORS", &self.anchor)
            .output()
            .map_err(at(self.program.display()))?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let place = format!("{}/", self.directory.display());
        Ok((said.replace(&place, "../"), output.status.code()))
    }

    /// Writes a file into the repository or the mirror.
    pub(super) fn put(&self, tree: &str, (path, text): File) -> Result<()> {
        let full = self.directory.join(tree).join(path);
        if let Some(parent) = full.parent() {
            fs::create_dir_all(parent).map_err(at(parent.display()))?;
        }
        fs::write(&full, text).map_err(at(full.display()))
    }

    /// Like [`Stage::put`], and prints the path.
    pub(super) fn add(&self, tree: &str, file: File) -> Result<()> {
        note(format_args!("new file {}", file.0));
        self.put(tree, file)
    }

    /// Replaces a text in a file, and shows the change.
    pub(super) fn edit(&self, tree: &str, path: &str, from: &str, to: &str) -> Result<()> {
        note(format_args!("in {path}"));
        note(format_args!("  - {from}"));
        note(format_args!("  + {to}"));
        let full = self.directory.join(tree).join(path);
        let before = fs::read_to_string(&full).map_err(at(full.display()))?;
        let after = before.replacen(from, to, 1);
        if after == before {
            return Err(otherwise(
                "demo",
                &format!("find {from} in {path}"),
                &before,
            ));
        }
        fs::write(&full, after).map_err(at(full.display()))
    }

    /// Copies the repository into the mirror, unchanged.
    pub(super) fn mirror(&self) -> Result<()> {
        let mirror = self.directory.join(MIRROR);
        if mirror.exists() {
            fs::remove_dir_all(&mirror).map_err(at(mirror.display()))?;
        }
        copy(&self.directory.join(REPO), &mirror)
    }

    /// Removes everything that somebody signed from the mirror.
    pub(super) fn strip(&self, who: &str) -> Result<()> {
        let pages = format!("conex/index/{who}");
        note(format_args!("{pages} is left out"));
        let full = self.directory.join(MIRROR).join(pages);
        fs::remove_dir_all(&full).map_err(at(full.display()))
    }

    /// Removes the mirror.
    pub(super) fn clear(&self) -> Result<()> {
        let mirror = self.directory.join(MIRROR);
        fs::remove_dir_all(&mirror).map_err(at(mirror.display()))
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to).map_err(at(to.display()))?;
    for entry in fs::read_dir(from).map_err(at(from.display()))? {
        let entry = entry.map_err(at(from.display()))?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to)?;
        } else {
            fs::copy(&from, &to).map_err(at(from.display()))?;
        }
    }
    Ok(())
}

/// Reports a command that did not do what the demo promised, which is a bug of the program.
fn otherwise(typed: &str, promised: &str, said: &str) -> CommandError {
    CommandError::refused(format_args!(
        "conex {typed} has to {promised}, and did not:\n{}",
        said.trim_end()
    ))
    .hint("this is a fault of conex; please report it with the text above")
}

/// Prints a remark between two commands.
pub(super) fn say(text: &str) {
    line(&mut output::stdout(), text);
}

fn note(text: impl core::fmt::Display) {
    line(&mut output::stdout(), format_args!("{DIM}# {text}{RESET}"));
}

/// The most lines to show of a command's output. Longer output is cut to its first lines and the last one.
const SHOWN: usize = 9;

/// Shows the shortened output of a command, with the verdict in colour.
fn show(colour: &str, said: &str) {
    let lines: Vec<&str> = said
        .lines()
        .filter(|text| !text.trim().is_empty())
        .collect();
    let mut out = output::stdout();
    let left_out = lines.len().saturating_sub(SHOWN);
    for (at, text) in lines.iter().enumerate() {
        let verdict = text.starts_with("accepted") || text.starts_with("refused");
        if left_out > 0 && at == SHOWN - 2 {
            line(&mut out, format_args!("  {DIM}... more{RESET}"));
        }
        let is_middle = at >= SHOWN - 2 && at + 1 < lines.len();
        if left_out > 0 && is_middle && !verdict {
            continue;
        }
        let colour = if verdict { colour } else { "" };
        line(
            &mut out,
            format_args!("  {colour}{}{RESET}", shortened(text)),
        );
    }
    line(&mut out, "");
}

/// Shortens digests and keys in a text for display.
fn shortened(text: &str) -> String {
    const KEPT: usize = 8;
    const LONG: usize = 40;
    let mut short = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let is_part = |found: char| found.is_ascii_alphanumeric() || found == '+';
        // Keys and fingerprints are base64, which contains slashes. Digests are not, and occur in paths.
        let base64 = short.ends_with("SHA256:") || rest.starts_with("AAAA");
        let end = rest
            .find(|found| !(is_part(found) || (base64 && found == '/')))
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.len() >= LONG {
            short.extend(word.chars().take(KEPT));
            short.push_str("...");
        } else {
            short.push_str(word);
        }
        let mut between = after.chars();
        short.extend(between.next());
        rest = between.as_str();
    }
    short
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop where it stands")]
mod tests {
    use super::{REPO, Stage, shortened};

    #[test]
    fn a_step_that_ends_otherwise_ends_the_demo() {
        let directory = tempfile::tempdir().unwrap();
        let mut stage = Stage::set(directory.path()).unwrap();
        stage.put(REPO, ("repo", "text\n")).unwrap();
        stage.program = "/bin/true".into();
        assert!(stage.run("alice", "bootstrap").is_ok());
        // Without any output, it neither accepts nor refuses.
        assert!(stage.accepted(REPO).is_err());
        assert!(stage.refused(REPO, "").is_err());
        stage.program = "/bin/false".into();
        assert!(stage.run("alice", "bootstrap").is_err());
        assert!(stage.accepted(REPO).is_err());
        assert!(stage.refused(REPO, "").is_ok());
        assert!(stage.refused(REPO, "behind").is_err());
        assert!(stage.edit(REPO, "repo", "other", "text").is_err());
    }

    #[test]
    fn digests_and_keys_are_shortened_and_nothing_else_is() {
        let digest = "ab".repeat(32);
        let key = format!("{}/{}", "AAAA", "x".repeat(60));
        for (text, expected) in [
            (
                "packages/hex/hex.1.5.0/opam: é".to_owned(),
                "packages/hex/hex.1.5.0/opam: é",
            ),
            (
                format!("conex/index/bob/{digest}.toml"),
                "conex/index/bob/abababab....toml",
            ),
            (format!("root:{digest}"), "root:abababab..."),
            (format!("SHA256:a/{}", "b".repeat(41)), "SHA256:a/bbbbbb..."),
            (
                format!("key = \"ssh-ed25519 {key}\""),
                "key = \"ssh-ed25519 AAAA/xxx...\"",
            ),
        ] {
            assert_eq!(shortened(&text), expected);
        }
    }
}
