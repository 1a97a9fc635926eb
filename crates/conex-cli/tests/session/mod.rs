//! What people type and are answered, in a directory with a settled community and everybody's keys.
#![allow(dead_code, reason = "not every test needs all of it")]

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use conex_tests::{Community, secret};

/// A settled community in a directory, everybody's keys, and what is typed and answered.
pub(crate) struct Session {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) transcript: String,
}

impl Session {
    pub(crate) fn new(community: &Community) -> Self {
        let session = Self {
            directory: tempfile::tempdir().unwrap(),
            transcript: String::new(),
        };
        community.write_to(&session.tree()).unwrap();
        for who in [
            "alice", "bob", "carol", "dora", "dave", "erin", "bob#2", "dora#2", "dave#2", "erin#2",
        ] {
            session.key(who);
        }
        session
    }

    /// The settled community of all tests: two approve everything, whoever owns it not.
    pub(crate) fn settled() -> Self {
        let rules = |root: &mut conex_core::model::statement::RootFields| {
            root.unclaimed = root.quorum;
            root.upkeep = root.quorum;
        };
        Self::new(&Community::settled_by("plain", rules))
    }

    /// A repository of opam packages with a history of two years, of which nothing is signed.
    pub(crate) fn unsigned() -> Self {
        let session = Self::new(&Community::settled("plain"));
        fs::remove_dir_all(session.tree()).unwrap();
        session.write("repo", "opam-version: \"2.0\"\n");
        session.git(&["init", "-q", "-b", "main", "."]);
        session.opam("foo", "1", &["Bob <bob@example.org>"], "");
        session.opam("team", "1", &["The team"], "");
        session.opam("team", "2", &["The team"], "");
        session.opam("pair", "1", &["dave@example.org", "erin@example.org"], "");
        session.commit_as("alice", "2024-01-01", "import");
        session.opam("foo", "2", &["Bob <bob@example.org>"], "");
        session.commit_as("Bob", "2024-06-01", "foo 2");
        session.opam("bar", "1", &["Dave <dave@example.org>"], "Dave/bar");
        session.commit_as(
            "alice",
            "2025-01-01",
            "Merge pull request #1 from Dave/bar-1",
        );
        session.opam("qux", "1", &["erin@example.org"], "");
        session.opam("pair", "2", &["dave@example.org", "erin@example.org"], "");
        session.commit_as("eve", "2026-01-01", "qux and pair");
        session
    }

    /// The same, signed by the janitors alice and bob; dave and erin are enrolled, and nobody owns anything.
    pub(crate) fn inherited() -> Self {
        let mut session = Self::unsigned();
        session
            .run("init --origin example --janitor alice --janitor bob --quorum 2 --key alice -y")
            .run("root sign --key bob -y")
            .run("bootstrap --key alice -y")
            .run("approve --all --key bob -y")
            .run("enroll dave --account github.com/dave --key dave -y")
            .run("enroll erin --key erin -y")
            .run("approve --all --key alice -y")
            .run("approve --all --key bob -y");
        session.commit_as("alice", "2026-01-02", "conex");
        session.transcript.clear();
        session
    }

    /// Writes a release of an opam package, with its sources in an account on a forge.
    pub(crate) fn opam(&self, package: &str, release: &str, maintainers: &[&str], home: &str) {
        let home = match home {
            "" => String::new(),
            home => format!("dev-repo: \"git+https://github.com/{home}.git\"\n"),
        };
        let text = format!("opam-version: \"2.0\"\nmaintainer: {maintainers:?}\n{home}");
        let text = text.replace("\", \"", "\" \"");
        self.write(
            &format!("packages/{package}/{package}.{release}/opam"),
            text,
        );
    }

    /// Commits everything as somebody, on a day.
    pub(crate) fn commit_as(&self, who: &str, day: &str, message: &str) {
        self.git(&["add", "-A"]);
        let author = format!("{who} <{who}@example.org>");
        let date = format!("{day}T12:00:00Z");
        let output = Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x@example.org"])
            .args([
                "commit", "-q", "--author", &author, "--date", &date, "-m", message,
            ])
            .env("GIT_COMMITTER_DATE", &date)
            .current_dir(self.tree())
            .output()
            .expect("git is installed");
        assert!(output.status.success(), "{output:?}");
    }

    pub(crate) fn key(&self, who: &str) {
        let name = who.replace('#', "-");
        let keys = self.directory.path().join("home/keys");
        fs::create_dir_all(&keys).unwrap();
        let text = secret(who).write(&name, None).unwrap();
        fs::write(keys.join(&name), text.as_bytes()).unwrap();
        fs::set_permissions(keys.join(&name), fs::Permissions::from_mode(0o600)).unwrap();
        let public = format!("{} {name}\n", secret(who).public_key());
        fs::write(keys.join(format!("{name}.pub")), public).unwrap();
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.directory.path().join("tree")
    }

    pub(crate) fn write(&self, file: &str, bytes: impl AsRef<[u8]>) {
        let path = self.tree().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        files(&self.tree())
    }

    pub(crate) fn pages(&self, who: &str) -> usize {
        let directory = self.tree().join("conex/index").join(who);
        fs::read_dir(directory).map_or(0, Iterator::count)
    }

    pub(crate) fn output(&self, line: &str) -> (String, i32) {
        let arguments: Vec<&str> = line.split(' ').collect();
        let output = Command::new(env!("CARGO_BIN_EXE_conex"))
            .args(arguments)
            .current_dir(self.tree())
            .stdin(Stdio::null())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("CONEX_HOME", self.directory.path().join("home"))
            .env("CONEX_STATE", self.directory.path().join("home"))
            .output()
            .unwrap();
        let place = self.directory.path().display().to_string();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).replace(&place, "/somewhere");
        (said, output.status.code().unwrap())
    }

    /// Runs a command that succeeds, and adds it to the transcript.
    pub(crate) fn run(&mut self, line: &str) -> &mut Self {
        let (said, code) = self.output(line);
        assert_eq!(code, 0, "conex {line}\n{said}");
        write!(self.transcript, "$ conex {line}\n{said}\n").unwrap();
        self
    }

    /// Runs a command that is refused and changes nothing, and adds it to the transcript.
    pub(crate) fn refused(&mut self, line: &str) -> &mut Self {
        let before = self.files();
        let (said, code) = self.output(line);
        assert_ne!(code, 0, "conex {line}\n{said}");
        assert!(said.contains("hint: ") || code == 2, "no hint: {said}");
        assert_eq!(self.files(), before, "conex {line}");
        write!(
            self.transcript,
            "$ conex {line}\n{said}[exit code {code}]\n\n"
        )
        .unwrap();
        self
    }

    /// Shows what a command would do, and sees that it does nothing.
    pub(crate) fn dry(&mut self, line: &str) -> &mut Self {
        let before = self.files();
        self.run(&format!("{line} --dry-run"));
        assert_eq!(self.files(), before, "conex {line}");
        self
    }

    /// The verdict of a client.
    pub(crate) fn verify(&self) -> (String, i32) {
        let (status, _) = self.output("status");
        let line = status.lines().find(|line| line.contains("root:")).unwrap();
        let anchor = line.split_whitespace().last().unwrap();
        self.output(&format!("verify --mode enforce --trust-anchors {anchor}"))
    }

    pub(crate) fn accepted(&mut self) -> &mut Self {
        let (said, code) = self.verify();
        assert_eq!(code, 0, "{}\n{said}", self.transcript);
        self
    }

    pub(crate) fn git(&self, arguments: &[&str]) {
        let output = Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x@example.org"])
            .args(arguments)
            .current_dir(self.tree())
            .output()
            .expect("git is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
    }
}

/// The files of a work tree.
pub(crate) fn files(tree: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn below(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with(".git") {
                continue;
            }
            if path.is_dir() {
                below(&path, files);
            } else {
                files.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    below(tree, &mut files);
    files
}
