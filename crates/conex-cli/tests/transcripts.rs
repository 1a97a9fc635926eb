//! What people see: whole sessions at the command line, as transcripts to be read.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use conex_crypto::SecretKey;

/// A terminal in a directory of its own: what is typed, and what is answered.
struct Session {
    directory: tempfile::TempDir,
    transcript: String,
}

impl Session {
    /// A repository of two packages, and the keys of three people, always the same.
    fn new() -> Self {
        let session = Self {
            directory: tempfile::tempdir().unwrap(),
            transcript: String::new(),
        };
        let fixture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/opam");
        for file in [
            "repo",
            "version",
            "packages/ISO8601/ISO8601.0.2.6/opam",
            "packages/unionFind/unionFind.20250818/opam",
        ] {
            let from = fixture.join(file);
            let from = if from.exists() {
                from
            } else {
                first_release(&fixture, file)
            };
            session.write(file, fs::read(from).unwrap());
        }
        session.write("README.md", "a repository\n");
        for (seed, who) in (1..).zip(["alice", "bob", "carol"]) {
            session.key(who, seed, None);
        }
        session
    }

    fn key(&self, who: &str, seed: u8, passphrase: Option<&[u8]>) {
        let secret = SecretKey::from_seed([seed; 32]);
        let keys = self.home().join("keys");
        fs::create_dir_all(&keys).unwrap();
        let text = secret.write(who, passphrase).unwrap();
        fs::write(keys.join(who), text.as_bytes()).unwrap();
        fs::set_permissions(keys.join(who), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(
            keys.join(format!("{who}.pub")),
            format!("{} {who}\n", secret.public_key()),
        )
        .unwrap();
    }

    fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    fn tree(&self) -> PathBuf {
        self.directory.path().join("tree")
    }

    fn write(&self, file: &str, bytes: impl AsRef<[u8]>) {
        let path = self.tree().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Every file with its bytes.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn below(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    below(&path, files);
                } else {
                    files.insert(path.clone(), fs::read(path).unwrap());
                }
            }
        }
        let mut files = BTreeMap::new();
        below(&self.tree(), &mut files);
        files
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conex"));
        command
            .args(arguments)
            .current_dir(self.tree())
            .stdin(Stdio::null())
            .env_clear()
            .env("CONEX_HOME", self.home())
            .env("CONEX_STATE", self.home());
        command
    }

    /// Runs a command and adds it to the transcript.
    fn run(&mut self, arguments: &[&str]) -> &mut Self {
        self.run_with(arguments, &[])
    }

    fn run_with(&mut self, arguments: &[&str], environment: &[(&str, &str)]) -> &mut Self {
        let output = self
            .command(arguments)
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let place = self.directory.path().display().to_string();
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&place, "/somewhere");
        let variables: Vec<String> = environment
            .iter()
            .map(|(name, value)| format!("{name}={value} "))
            .collect();
        let variables = variables.concat();
        write!(
            self.transcript,
            "$ {variables}conex {}\n{}{}",
            arguments.join(" "),
            said(&output.stdout),
            said(&output.stderr)
        )
        .unwrap();
        match output.status.code() {
            Some(0) => {}
            code => writeln!(self.transcript, "[exit code {}]", code.unwrap()).unwrap(),
        }
        self.transcript.push('\n');
        self
    }

    /// Runs a command without telling of it.
    fn quietly(&mut self, arguments: &[&str]) -> &mut Self {
        let length = self.transcript.len();
        self.run(arguments);
        let said = self.transcript.split_off(length);
        assert!(!said.contains("[exit code"), "{said}");
        self
    }

    fn found(&mut self) -> &mut Self {
        self.quietly(&[
            "init",
            "--origin",
            "example",
            "--janitor",
            "alice",
            "--janitor",
            "bob",
            "--janitor",
            "carol",
            "--quorum",
            "2",
            "--key",
            "alice",
            "-y",
        ])
        .quietly(&["root", "sign", "--key", "bob", "-y"])
    }

    fn signed(&mut self) -> &mut Self {
        self.found()
            .quietly(&["bootstrap", "--key", "alice", "-y"])
            .quietly(&["approve", "--all", "--key", "bob", "-y"])
    }

    fn anchor(&self) -> String {
        let output = self.command(&["status"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find(|line| line.contains("root:")).unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    }
}

fn first_release(fixture: &Path, file: &str) -> PathBuf {
    let package = fixture.join(file.split('/').take(2).collect::<PathBuf>());
    let mut releases: Vec<PathBuf> = fs::read_dir(package)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    releases.sort();
    releases.pop().unwrap().join("opam")
}

#[test]
fn day_zero() {
    let mut session = Session::new();
    session
        .run(&["key", "list"])
        .run(&["key", "show", "alice"])
        .run(&[
            "init",
            "--origin",
            "example",
            "--janitor",
            "alice",
            "--janitor",
            "bob",
            "--janitor",
            "carol",
            "--quorum",
            "2",
            "--key",
            "alice",
            "-y",
        ])
        .run(&["status"])
        .run(&["root", "sign", "--key", "bob", "-y"])
        .run(&["bootstrap", "--key", "alice", "--dry-run"])
        .run(&["bootstrap", "--key", "alice", "-y"])
        .run(&["status", "--key", "bob"])
        .run(&["approve", "--all", "--key", "bob", "-y"])
        .run(&["approve", "--all", "--key", "carol", "-y"])
        .run(&["approve", "--batch", "all", "--key", "carol", "-y"])
        .run(&["status"]);
    let anchor = session.anchor();
    session
        .run(&["verify", "--mode", "enforce", "--trust-anchors", &anchor])
        .run(&["show", "unionFind"])
        .run(&["show", "repository"])
        .run(&["status", "unionFind"]);
    insta::assert_snapshot!(session.transcript);
}

#[test]
fn refusals() {
    let mut session = Session::new();
    session.signed();
    let anchor = session.anchor();
    let honest = fs::read(session.tree().join("repo")).unwrap();
    session.write(
        "repo",
        "opam-version: \"2.0\"\nredirect: \"https://evil.example\"\n",
    );
    session.write(
        "packages/ISO8601/ISO8601.0.2.6/url",
        "src: \"https://evil.example\"\n",
    );
    session
        .run(&["verify", "--trust-anchors", &anchor])
        .run(&["verify", "--trust-anchors", &anchor, "--mode", "observe"])
        .run(&["why"])
        .run(&["verify", "--trust-anchors", &anchor, "--json"])
        .run(&["status", "ISO8601"]);
    session.write("repo", honest);
    let url = session.tree().join("packages/ISO8601/ISO8601.0.2.6/url");
    fs::remove_file(url).unwrap();
    session.run(&["verify", "--trust-anchors", &anchor, "--mode", "enforce"]);
    insta::assert_snapshot!(session.transcript);
}

/// Commands that are refused, or used wrongly: a clear answer, and nothing is written.
#[test]
fn mistakes() {
    let mut session = Session::new();
    session
        .run(&["status"])
        .run(&["verify"])
        .run(&["root", "sign", "--key", "alice", "-y"]);
    session.run(&[
        "init",
        "--origin",
        "example",
        "--janitor",
        "alice",
        "--quorum",
        "2",
        "--key",
        "alice",
        "-y",
    ]);
    session.run(&[
        "init",
        "--origin",
        "exa/mple",
        "--janitor",
        "alice",
        "--quorum",
        "1",
        "--key",
        "alice",
        "-y",
    ]);
    session.run(&[
        "init",
        "--origin",
        "example",
        "--janitor",
        "nobody",
        "--quorum",
        "1",
        "--key",
        "alice",
        "-y",
    ]);
    assert!(!session.tree().join("conex").exists());
    session.found();
    session.key("dora", 9, Some(b"secret"));
    fs::set_permissions(
        session.home().join("keys/carol"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let before = session.files();
    session
        .run(&[
            "init",
            "--origin",
            "example",
            "--janitor",
            "alice",
            "--quorum",
            "1",
            "--key",
            "alice",
            "-y",
        ])
        .run(&["bootstrap"])
        .run(&["bootstrap", "--key", "alice"])
        .run(&["bootstrap", "--key", "dora", "-y"])
        .run(&["bootstrap", "--key", "carol", "-y"])
        .run(&["bootstrap", "--key", "alice.pub", "-y"])
        .run(&["approve", "nothing-of-that-name", "--key", "alice", "-y"])
        .run(&["approve", "--batch", "abc", "--key", "alice", "-y"])
        .run(&["root", "sign", "--key", "alice", "-y"])
        .run(&["root", "set", "quorum=9", "--key", "alice", "-y"])
        .run(&["root", "leave", "nobody", "--key", "alice", "-y"])
        .run(&["show", "nothing-of-that-name"])
        .run(&["show", "alice"])
        .run(&["verify", "--trust-anchors", "sha256=abc"])
        .run(&[
            "verify",
            "--trust-anchors",
            "origin:example",
            "--quorum",
            "0",
        ])
        .run(&["verify", "--incremental", "--patch", "x"])
        .run(&["why"])
        .run(&["key", "new", "alice", "--no-passphrase"]);
    assert_eq!(session.files(), before);
    insta::assert_snapshot!(session.transcript);
}

#[test]
fn encrypted_keys_in_scripts() {
    let mut session = Session::new();
    session.key("alice", 1, Some(b"correct horse"));
    session.found_with_passphrase();
    let before = session.files();
    session
        .run(&["bootstrap", "--key", "alice", "-y"])
        .run_with(
            &["bootstrap", "--key", "alice", "-y"],
            &[("CONEX_PASSPHRASE", "wrong")],
        );
    assert_eq!(session.files(), before);
    session.run_with(
        &["bootstrap", "--key", "alice", "-y"],
        &[("CONEX_PASSPHRASE", "correct horse")],
    );
    insta::assert_snapshot!(session.transcript);
}

impl Session {
    fn found_with_passphrase(&mut self) {
        self.quietly(&[
            "init",
            "--origin",
            "example",
            "--janitor",
            "alice",
            "--janitor",
            "bob",
            "--janitor",
            "carol",
            "--quorum",
            "2",
            "--key",
            "carol",
            "-y",
        ])
        .quietly(&["root", "sign", "--key", "bob", "-y"]);
    }
}

/// What is signed is what OpenSSH's own tool verifies.
#[test]
fn ssh_keygen_verifies_a_page() {
    let mut session = Session::new();
    session.signed();
    let index = session.tree().join("conex/index/bob");
    let page = fs::read_dir(index).unwrap().next().unwrap().unwrap().path();
    let digest = page.file_stem().unwrap().to_str().unwrap().to_owned();
    let text = fs::read_to_string(&page).unwrap();
    let armour = text
        .split("\"\"\"\n")
        .nth(1)
        .unwrap()
        .split("\"\"\"")
        .next()
        .unwrap();
    let signature = session.directory.path().join("page.sig");
    fs::write(&signature, armour).unwrap();
    let public = fs::read_to_string(session.home().join("keys/bob.pub")).unwrap();
    let allowed = session.directory.path().join("allowed");
    fs::write(&allowed, format!("bob {public}")).unwrap();
    for (expected, change) in [(true, false), (false, true)] {
        let mut bytes = session
            .command(&["show", &digest, "--bytes"])
            .output()
            .unwrap()
            .stdout;
        if change {
            *bytes.last_mut().unwrap() ^= 1;
        }
        let message = session.directory.path().join("message");
        fs::write(&message, bytes).unwrap();
        let status = Command::new("ssh-keygen")
            .args(["-Y", "verify", "-I", "bob", "-n", "conex-1-page", "-f"])
            .arg(&allowed)
            .arg("-s")
            .arg(&signature)
            .stdin(fs::File::open(&message).unwrap())
            .output()
            .expect("ssh-keygen is installed")
            .status;
        assert_eq!(status.success(), expected);
    }
}

#[test]
fn help() {
    let mut session = Session::new();
    session.run(&["--help"]);
    for command in [
        "init",
        "key",
        "key new",
        "bootstrap",
        "approve",
        "enroll",
        "claim",
        "publish",
        "retract",
        "demo",
        "completions",
        "man",
        "root",
        "root join",
        "root leave",
        "root rotate",
        "root revoke",
        "root set",
        "root sign",
        "rotate",
        "retire",
        "team",
        "compact",
        "show",
        "status",
        "verify",
        "why",
    ] {
        let mut words: Vec<&str> = command.split(' ').collect();
        words.push("--help");
        session.run(&words);
    }
    insta::assert_snapshot!(session.transcript);
}
