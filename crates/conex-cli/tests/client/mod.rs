//! A client at the command line: what it has, what it is offered, and what it keeps.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use conex_core::state::chain::Trust;
use conex_tests::Community;

/// A directory with states in it, and the client's own one beside them.
pub(crate) struct Client {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) anchor: String,
}

impl Client {
    pub(crate) fn of(community: &Community) -> Self {
        let Trust::Root(digest) = community.anchor() else {
            panic!("communities are anchored in their first root")
        };
        Self {
            directory: tempfile::tempdir().unwrap(),
            anchor: format!("root:{digest}"),
        }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Puts a state into a directory, in place of whatever is there.
    pub(crate) fn put(&self, name: &str, community: &Community) {
        let place = self.at(name);
        let _ = fs::remove_dir_all(&place);
        fs::create_dir(&place).unwrap();
        community.write_to(&place).unwrap();
    }

    /// What opam makes of two directories: the patch that leads from one to the other.
    pub(crate) fn patch(&self, old: &str, new: &str, patch: &str) {
        let output = Command::new("diff")
            .args(["-ruaN", old, new])
            .current_dir(self.directory.path())
            .output()
            .expect("diff is installed");
        assert_ne!(output.status.code(), Some(2));
        fs::write(self.at(patch), output.stdout).unwrap();
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conex"));
        command
            .args(line.split_whitespace())
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("CONEX_STATE", self.at("state"))
            .env("CONEX_TRUST_ANCHORS", &self.anchor);
        command
    }

    pub(crate) fn run(&self, line: &str) -> (String, i32) {
        said(&self.command(line).output().unwrap())
    }

    #[track_caller]
    pub(crate) fn accepts(&self, line: &str) -> String {
        let (said, code) = self.run(line);
        assert_eq!(code, 0, "conex {line}\n{said}");
        said
    }

    /// Refuses with this code, and keeps nothing but the report, which says so.
    #[track_caller]
    pub(crate) fn refuses(&self, line: &str, because: &str) -> String {
        let reports = self.at("state/reports");
        let kept = || {
            let mut files = files(self.directory.path());
            files.retain(|path, _| !path.starts_with(&reports));
            files
        };
        let before = kept();
        let (said, code) = self.run(line);
        assert_eq!(code, 1, "conex {line}\n{said}");
        assert!(
            said.contains(&format!(": {because}: ")),
            "{because}: {said}"
        );
        assert!(said.contains("What to do"), "{said}");
        assert_eq!(before, kept(), "a refused update leaves something behind");
        let (why, _) = self.run("why");
        assert!(why.contains(&format!(": {because}: ")), "{why}");
        said
    }

    /// The records that are kept.
    pub(crate) fn records(&self) -> Vec<String> {
        let files = files(&self.at("state/records"));
        files
            .into_iter()
            .filter(|(path, _)| path.extension().is_some_and(|kind| kind == "toml"))
            .map(|(_, bytes)| String::from_utf8(bytes).unwrap())
            .collect()
    }
}

/// Every file below a directory.
pub(crate) fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut next = vec![directory.to_owned()];
    while let Some(directory) = next.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                next.push(path);
            } else {
                files.insert(path.clone(), fs::read(&path).unwrap_or_default());
            }
        }
    }
    files
}

pub(crate) fn said(output: &Output) -> (String, i32) {
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (said, output.status.code().unwrap_or(-1))
}
