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

/// Tries all examples of a text; gives how many commands there were.
fn try_out(session: &mut Session, text: &str) -> usize {
    let mut tried = 0;
    for block in text.split("```console\n").skip(1) {
        let (block, _) = block.split_once("```").unwrap();
        for line in block.lines() {
            let (who, typed) = line.split_once("$ ").unwrap();
            type_in(session, who, typed);
            tried += 1;
        }
        session.accepted();
        commit(session);
    }
    assert_eq!(tried, text.matches("$ ").count());
    tried
}

/// Has somebody type a line into a shell. They answer yes, and have to be refused where the line says so.
fn type_in(session: &Session, who: &str, line: &str) {
    let (typed, refused) = match line.split_once("  # refused") {
        Some((typed, _)) => (typed, true),
        None => (line, false),
    };
    let before = session.files();
    let mut words = typed.split(' ');
    let reads = ["status", "show", "key", "verify", "why", "review"];
    let asks = words.next() == Some("conex")
        && words
            .next()
            .is_some_and(|command| !reads.contains(&command))
        && !typed.starts_with("conex root show");
    let (program, path) = (
        Path::new(env!("CARGO_BIN_EXE_conex")).parent().unwrap(),
        std::env::var("PATH").unwrap(),
    );
    let output = Command::new("sh")
        .args([
            "-c",
            &format!("{typed}{}", if asks { " --yes" } else { "" }),
        ])
        .current_dir(session.tree())
        .stdin(Stdio::null())
        .env_clear()
        .env("PATH", format!("{}:{path}", program.display()))
        .env("CONEX_HOME", session.directory.path().join("home"))
        .env("CONEX_STATE", session.directory.path().join("home"))
        .env("CONEX_KEY", who)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(output.status.success(), !refused, "{who}$ {typed}\n{said}");
    if refused || typed.ends_with("--dry-run") || (!asks && typed.starts_with("conex")) {
        let after = session.files();
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
