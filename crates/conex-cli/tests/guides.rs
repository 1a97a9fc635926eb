//! The guides are tried as they are written: `alice$ conex ...` in their examples is typed by alice,
//! and after each block a client accepts what is there.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use conex_tests::Community;

mod session;

use session::Session;

fn guide(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides");
    fs::read_to_string(path.join(name)).unwrap()
}

/// Public keys that people sent each other, beside the repository.
fn send_keys(session: &Session, names: &[&str]) {
    for name in names {
        let name = format!("{name}.pub");
        let from = session.directory.path().join("home/keys").join(&name);
        fs::copy(from, session.directory.path().join(name)).unwrap();
    }
}

fn commit(session: &Session) {
    session.git(&["add", "-A"]);
    session.git(&[
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "a block of the guide",
    ]);
}

/// Who types what, in all examples of a text, block by block.
fn blocks(text: &str) -> impl Iterator<Item = Vec<(&str, &str)>> {
    let blocks = text.split("```console\n").skip(1);
    blocks.map(|block| {
        let (block, _) = block.split_once("```").unwrap();
        let lines = block.lines();
        lines.map(|line| line.split_once("$ ").unwrap()).collect()
    })
}

/// Tries all examples of a text in one directory; gives how many commands there were.
fn try_out(session: &mut Session, text: &str) -> usize {
    let mut tried = 0;
    let home = session.directory.path().join("home").display().to_string();
    for block in blocks(text) {
        for (who, typed) in block {
            let variables = [
                ("CONEX_HOME", home.as_str()),
                ("CONEX_STATE", &home),
                ("CONEX_KEY", who),
            ];
            type_in(&session.tree(), &variables, who, typed);
            tried += 1;
        }
        session.accepted();
        commit(session);
    }
    assert_eq!(tried, text.matches("$ ").count());
    tried
}

/// Commands that change nothing, and commands that ask nothing.
const READ: [&str; 6] = ["status", "show", "key show", "key list", "verify", "why"];
const ASK_NOTHING: [&str; 6] = [
    "review",
    "root show",
    "report",
    "advance",
    "pre-receive",
    "key new",
];

/// Has somebody type a line into a shell. They answer yes, and have to be refused where the line says so.
fn type_in(directory: &Path, variables: &[(&str, &str)], who: &str, line: &str) {
    let (typed, refused) = match line.split_once("  # refused") {
        Some((typed, _)) => (typed, true),
        None => (line, false),
    };
    let is_one_of = |commands: &[&str]| {
        let command = typed.strip_prefix("conex ");
        command.is_some_and(|typed| commands.iter().any(|it| typed.starts_with(it)))
    };
    let answer = if !typed.starts_with("conex ") || is_one_of(&READ) {
        ""
    } else if is_one_of(&["key new"]) {
        " --no-passphrase"
    } else if is_one_of(&ASK_NOTHING) {
        ""
    } else {
        " --yes"
    };
    let before = session::files(directory);
    let (program, path) = (
        Path::new(env!("CARGO_BIN_EXE_conex")).parent().unwrap(),
        std::env::var("PATH").unwrap(),
    );
    let output = Command::new("sh")
        .args(["-c", &format!("{typed}{answer}")])
        .current_dir(directory)
        .stdin(Stdio::null())
        .env_clear()
        .env("PATH", format!("{}:{path}", program.display()))
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(output.status.success(), !refused, "{who}$ {typed}\n{said}");
    if refused || typed.ends_with("--dry-run") || is_one_of(&READ) {
        let after = session::files(directory);
        assert!(
            before == after,
            "{who}$ {typed} has changed something\n{said}"
        );
    }
}

/// Twenty pull requests on a forge: 16 packages, two changes of one release, one that conflicts, one that
/// takes away what others rest on.
fn open_pull_requests(session: &Session) {
    let forge = session.directory.path().join("forge").display().to_string();
    session.git(&["init", "-q", "--bare", &forge]);
    session.git(&["remote", "add", "origin", &forge]);
    for (key, value) in [("user.name", "x"), ("user.email", "x@example.org")] {
        session.git(&["config", key, value]);
    }
    session.git(&["branch", "start"]);
    let names = "amber birch cedar dune ember fjord grove heron iris juniper kestrel larch moss nettle otter plover";
    let mut files: Vec<(String, &str)> = names
        .split(' ')
        .map(|name| (format!("{name}/1.0/data"), name))
        .collect();
    files.push(("bar/0.1/one".into(), "one"));
    files.push(("bar/0.2/data".into(), "not what is there already"));
    files.push((String::new(), ""));
    files.push(("bar/0.1/two".into(), "two"));
    for (number, (file, text)) in (101..).zip(&files) {
        session.git(&["checkout", "-q", "--detach", "start"]);
        if file.is_empty() {
            fs::remove_dir_all(session.tree().join("conex/index/dave")).unwrap();
        } else {
            session.write(file, text);
        }
        commit(session);
        session.git(&[
            "push",
            "-q",
            "origin",
            &format!("HEAD:refs/pull/{number}/head"),
        ]);
        session.git(&["checkout", "-q", "-"]);
    }
    session.git(&["branch", "-D", "-q", "start"]);
}

#[test]
fn the_guide_for_janitors_is_true() {
    let guide = guide("janitor.md");
    let (start, rest) = guide.split_once("## Every day").unwrap();

    let community = Community::settled("plain");
    let mut session = Session::new(&community);
    fs::remove_dir_all(session.tree().join("conex")).unwrap();
    session.git(&["init", "-q", "."]);
    send_keys(&session, &["bob", "carol"]);
    assert!(try_out(&mut session, start) > 4);

    let mut session = Session::settled();
    session.git(&["init", "-q", "."]);
    commit(&session);
    open_pull_requests(&session);
    send_keys(&session, &["dora", "bob-2", "dora-2"]);
    assert!(try_out(&mut session, rest) > 30);
}

#[test]
fn the_guide_for_authors_is_true() {
    let mut session = Session::settled();
    for who in ["frank", "frank#2", "frank#3"] {
        session.key(who);
    }
    send_keys(&session, &["frank"]);
    session.git(&["init", "-q", "."]);
    commit(&session);
    assert!(try_out(&mut session, &guide("author.md")) > 40);
}

/// A pilot: a repository elsewhere, a server, and everybody with a clone, keys and a shell of their own.
struct Pilot {
    session: Session,
    /// What was exported in whose shell.
    exported: Vec<(String, String, String)>,
    anchor: String,
}

impl Pilot {
    /// There is nothing but the repository elsewhere, and the program's own.
    fn new() -> Self {
        let session = Session::unsigned();
        let at = |name: &str| session.directory.path().join(name);
        fs::rename(session.tree(), at("upstream")).unwrap();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        std::os::unix::fs::symlink(sources, at("conex")).unwrap();
        Self {
            session,
            exported: Vec::new(),
            anchor: String::new(),
        }
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.session.directory.path().join(name)
    }

    /// The anchor of the first root, as alice sees it.
    fn anchor(&mut self) -> String {
        if self.anchor.is_empty() {
            let output = Command::new(env!("CARGO_BIN_EXE_conex"))
                .arg("status")
                .current_dir(self.at("alice"))
                .output()
                .unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            let anchor = said.split_whitespace().find(|it| it.starts_with("root:"));
            anchor.unwrap().clone_into(&mut self.anchor);
        }
        self.anchor.clone()
    }

    fn try_out(&mut self, text: &str) -> usize {
        let mut tried = 0;
        for block in blocks(text) {
            for (who, typed) in block {
                self.type_in(who, typed);
                tried += 1;
            }
            if self.at("server/refs/heads/signed").exists() {
                self.follows();
            }
        }
        tried
    }

    fn type_in(&mut self, who: &str, typed: &str) {
        let typed = if typed.contains("root:DIGEST") {
            typed.replace("root:DIGEST", &self.anchor())
        } else {
            typed.to_owned()
        };
        if let Some((name, value)) = typed
            .strip_prefix("export ")
            .and_then(|it| it.split_once('='))
        {
            self.exported.push((who.into(), name.into(), value.into()));
            return;
        }
        let directory = self.at(who);
        fs::create_dir_all(&directory).unwrap();
        let home = self.at("homes").join(who).display().to_string();
        let mail = format!("{who}@example.org");
        let mut variables = vec![
            ("CONEX_HOME", home.as_str()),
            ("CONEX_STATE", &home),
            ("GIT_AUTHOR_NAME", who),
            ("GIT_AUTHOR_EMAIL", &mail),
            ("GIT_COMMITTER_NAME", who),
            ("GIT_COMMITTER_EMAIL", &mail),
        ];
        let exported = self.exported.iter().filter(|(whose, ..)| whose == who);
        variables.extend(exported.map(|(_, name, value)| (name.as_str(), value.as_str())));
        type_in(&directory, &variables, who, &typed);
    }

    /// What clients follow is accepted.
    fn follows(&self) {
        let output = Command::new(env!("CARGO_BIN_EXE_conex"))
            .args(["verify", "--revision", "signed", "--trust-anchors"])
            .arg(&self.anchor)
            .env("CONEX_STATE", self.at("homes/anybody"))
            .current_dir(self.at("server"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn the_guide_for_operators_is_true() {
    let guide = guide("operator.md");
    let (start, rest) = guide.split_once("## A normal day").unwrap();
    let mut pilot = Pilot::new();
    let mut tried = pilot.try_out(start);
    // Elsewhere, life goes on.
    let upstream = pilot.at("upstream");
    let release = upstream.join("packages/qux/qux.2");
    fs::create_dir_all(&release).unwrap();
    fs::copy(
        upstream.join("packages/qux/qux.1/opam"),
        release.join("opam"),
    )
    .unwrap();
    fs::rename(&upstream, pilot.session.tree()).unwrap();
    pilot.session.commit_as("eve", "2026-02-01", "qux 2");
    fs::rename(pilot.session.tree(), &upstream).unwrap();
    tried += pilot.try_out(rest);
    assert!(tried > 80, "{tried}");
    // Nothing is left of it.
    let left = Command::new("git")
        .args(["ls-tree", "--name-only", "main"])
        .current_dir(pilot.at("server"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "packages\nrepo\n");
}

#[test]
fn the_workflow_in_the_guide_gives_the_action_what_it_takes() {
    let action = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../action.yml");
    let action = fs::read_to_string(action).unwrap();
    let guide = guide("operator.md");
    let (workflow, _) = guide
        .split_once("```yaml\n")
        .and_then(|(_, rest)| rest.split_once("```"))
        .unwrap();
    let uses: Vec<&str> = workflow.split("- uses: OWNER/conex@").skip(1).collect();
    assert_eq!(uses.len(), 2);
    for step in uses {
        let mut given = step
            .lines()
            .skip_while(|line| line.trim() != "with:")
            .skip(1);
        let given: Vec<&str> = given
            .by_ref()
            .take_while(|line| line.starts_with("          "))
            .filter_map(|line| line.trim().split_once(": ").map(|(name, _)| name))
            .collect();
        assert!(given.contains(&"trust-anchors"), "{given:?}");
        for name in given {
            assert!(action.contains(&format!("\n  {name}:\n")), "{name}");
        }
    }
}
