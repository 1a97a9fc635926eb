//! The job that a forge runs, on a server and its clones.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

mod client;
mod git;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use conex_tests::{Community, opam_file};
use git::Line;

/// A server in `other`, and the clone of a job in `job`.
fn served() -> (Line, Community) {
    let community = Community::settled("opam");
    let line = Line::of(&community);
    line.clone_bare();
    line.git(&["clone", "-q", "../other", "../job"]);
    (line, community)
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ci/conex-ci.sh")
}

/// Runs the job, with nothing in its environment but what it is documented to need.
fn job(line: &Line, arguments: &[&str]) -> (String, i32) {
    let output = Command::new("sh")
        .arg(script())
        .args(arguments)
        .current_dir(line.client.at("job"))
        .stdin(Stdio::null())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", line.client.at("home"))
        .env("CONEX", env!("CARGO_BIN_EXE_conex"))
        .env("CONEX_TRUST_ANCHORS", &line.client.anchor)
        .output()
        .unwrap();
    client::said(&output)
}

#[track_caller]
fn advances(line: &Line) -> String {
    let (told, code) = job(line, &["advance"]);
    assert_eq!(code, 0, "{told}");
    told
}

#[test]
fn the_job_begins_a_branch_and_leads_it_on() {
    let (line, mut community) = served();
    advances(&line);
    let first = line.git_in("other", &["rev-parse", "signed"]);
    community.release("bar", "0.2", &opam_file("5.0", "dune"));
    community.approve("alice", "bar");
    community.release("foo", "3.0", &opam_file("5.0", "dune"));
    line.commit(&community);
    line.git(&["push", "-q", "../other", "main"]);
    let told = advances(&line);
    assert!(
        told.contains("package: bar") && told.contains("package foo"),
        "{told}"
    );
    let second = line.git_in("other", &["rev-parse", "signed"]);
    assert_eq!(line.git_in("other", &["rev-parse", "signed~1"]), first);
    // Nothing new, and a job that starts from nothing: the branch stays.
    advances(&line);
    std::fs::remove_dir_all(line.client.at("job")).unwrap();
    line.git(&[
        "clone",
        "-q",
        "--depth",
        "1",
        &format!("file://{}", line.client.at("other").display()),
        "../job",
    ]);
    advances(&line);
    assert_eq!(line.git_in("other", &["rev-parse", "signed"]), second);
}

#[test]
fn a_branch_that_somebody_else_moved_is_not_pushed_over() {
    let (line, mut community) = served();
    advances(&line);
    let mut forged = community.clone();
    forged.release("bar", "0.1", &opam_file("5.0", "evil"));
    line.git(&["fetch", "-q", "../other", "signed:signed"]);
    line.force("signed", "signed", &forged);
    line.git(&["push", "-q", "../other", "signed"]);
    community.release("bar", "0.2", &opam_file("5.0", "dune"));
    community.approve("alice", "bar");
    line.commit(&community);
    line.git(&["push", "-q", "../other", "main"]);
    let before = line.git_in("other", &["for-each-ref"]);
    let (told, code) = job(&line, &["advance"]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("content-differs"), "{told}");
    assert_eq!(line.git_in("other", &["for-each-ref"]), before);
}

#[test]
fn whatever_is_missing_is_said() {
    let (line, _) = served();
    for arguments in [
        &[][..],
        &["review"],
        &["review", "a"],
        &["advance", "x"],
        &["?"],
    ] {
        let (told, code) = job(&line, arguments);
        assert_eq!(code, 2, "{told}");
        assert!(told.contains("usage: "), "{told}");
    }
    std::fs::remove_dir_all(line.client.at("other")).unwrap();
    let (told, code) = job(&line, &["advance"]);
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("does not answer"), "{told}");
}
