//! A git repository whose main line is a community, and what git says of it.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use conex_tests::Community;

use crate::client::{Client, said};

/// A repository with its work tree in `tree`, and whoever advances it.
pub(crate) struct Line {
    pub(crate) client: Client,
}

impl Line {
    /// The main line has one commit.
    pub(crate) fn of(community: &Community) -> Self {
        let line = Self {
            client: Client::of(community),
        };
        fs::create_dir(line.client.at("tree")).unwrap();
        line.git(&["init", "-q", "-b", "main"]);
        line.commit(community);
        line
    }

    pub(crate) fn command(&self, directory: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .args(["-c", "user.name=x", "-c", "user.email=x@example.org"])
            .args(arguments)
            .current_dir(self.client.at(directory))
            .env("CONEX_STATE", self.client.at("state"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_DATE", "1700000000 +0000")
            .env("GIT_COMMITTER_DATE", "1700000000 +0000");
        command
    }

    pub(crate) fn try_git(&self, directory: &str, arguments: &[&str]) -> Output {
        self.command(directory, arguments).output().unwrap()
    }

    #[track_caller]
    pub(crate) fn git_in(&self, directory: &str, arguments: &[&str]) -> String {
        let output = self.try_git(directory, arguments);
        let (told, code) = said(&output);
        assert_eq!(code, 0, "git {arguments:?}: {told}");
        String::from_utf8(output.stdout).unwrap().trim().into()
    }

    #[track_caller]
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.git_in("tree", arguments)
    }

    /// Makes a community's state the next commit of what is checked out.
    #[track_caller]
    pub(crate) fn commit(&self, community: &Community) {
        let tree = self.client.at("tree");
        for entry in fs::read_dir(&tree).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with(".git") {
                continue;
            }
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }
        community.write_to(&tree).unwrap();
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "a step"]);
    }

    /// Makes a community's state a commit on another one, and a branch point to it.
    #[track_caller]
    pub(crate) fn force(&self, branch: &str, parent: &str, community: &Community) {
        self.force_saying(branch, parent, community, "a step");
    }

    /// The same, with a message.
    #[track_caller]
    pub(crate) fn force_saying(
        &self,
        branch: &str,
        parent: &str,
        community: &Community,
        message: &str,
    ) {
        self.git(&["checkout", "-q", "--detach", parent]);
        self.commit(community);
        self.git(&["commit", "-q", "--allow-empty", "--amend", "-m", message]);
        self.git(&["branch", "-q", "-f", branch, "HEAD"]);
        self.git(&["checkout", "-q", "main"]);
    }

    /// A bare clone in `other`.
    pub(crate) fn clone_bare(&self) -> PathBuf {
        self.git(&["clone", "-q", "--bare", ".", "../other"]);
        self.client.at("other")
    }

    /// The commit of a branch.
    pub(crate) fn at(&self, branch: &str) -> Option<String> {
        let name = format!("refs/heads/{branch}");
        let output = self.try_git("tree", &["rev-parse", "-q", "--verify", &name]);
        let id = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        output.status.success().then_some(id)
    }

    /// The first commit of the branch that clients follow.
    pub(crate) fn first(&self) -> Option<String> {
        let listed = self.git(&["rev-list", "--reverse", "signed", "^main"]);
        listed.lines().next().map(ToOwned::to_owned)
    }

    /// The branch that clients follow is just this.
    #[track_caller]
    pub(crate) fn follows(&self, community: &Community) {
        let listed = self.git(&["ls-tree", "-r", "--name-only", "signed"]);
        let there: BTreeMap<&str, Vec<u8>> = listed
            .lines()
            .map(|file| {
                let name = format!("signed:{file}");
                (
                    file,
                    self.try_git("tree", &["cat-file", "blob", &name]).stdout,
                )
            })
            .collect();
        let files: BTreeMap<&str, Vec<u8>> = community
            .tree
            .files()
            .map(|(file, bytes)| (file, bytes.to_vec()))
            .collect();
        assert_eq!(
            there.keys().collect::<Vec<_>>(),
            files.keys().collect::<Vec<_>>()
        );
        assert!(there == files, "some file has other bytes");
    }

    #[track_caller]
    pub(crate) fn accepts(&self, line: &str) -> String {
        let (told, code) = self.client.run(line);
        assert_eq!(code, 0, "conex {line}\n{told}");
        told
    }

    /// Refuses, moves nothing, and says what to do.
    #[track_caller]
    pub(crate) fn refuses(&self, line: &str, code: i32) -> String {
        let references = || self.git(&["for-each-ref"]);
        let before = references();
        let (told, found) = self.client.run(line);
        assert_eq!(found, code, "conex {line}\n{told}");
        assert!(told.contains("hint: "), "no hint: {told}");
        assert_eq!(references(), before, "conex {line} moved something");
        told
    }
}
