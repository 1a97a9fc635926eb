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

/// A shell in the clone of the job, with nothing in its environment but what the job is documented to need.
fn shell(line: &Line) -> Command {
    let mut shell = Command::new("sh");
    shell
        .current_dir(line.client.at("job"))
        .stdin(Stdio::null())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", line.client.at("home"))
        .env("CONEX", env!("CARGO_BIN_EXE_conex"));
    shell
}

fn job(line: &Line, arguments: &[&str]) -> (String, i32) {
    let mut shell = shell(line);
    shell.arg(script()).args(arguments);
    shell.env("CONEX_TRUST_ANCHORS", &line.client.anchor);
    client::said(&shell.output().unwrap())
}

/// The job reviews, in this form and without any anchor, and changes nothing.
fn reviews(line: &Line, format: &str, base: &str, head: &str) -> (String, i32) {
    let references = || line.git_in("job", &["for-each-ref"]);
    let before = (references(), client::files(&line.client.at("job")));
    let mut shell = shell(line);
    shell.arg(script()).args(["review", base, head]);
    shell.env("CONEX_FORMAT", format);
    let told = client::said(&shell.output().unwrap());
    let after = (references(), client::files(&line.client.at("job")));
    assert!(
        before == after,
        "a review has changed something: {}",
        told.0
    );
    told
}

/// Pushes a change as a forge has it, and gives its commit.
fn pull(line: &Line, number: u32, change: &Community) -> String {
    line.force("change", "main", change);
    let reference = format!("change:refs/pull/{number}/head");
    line.git(&["push", "-q", "-f", "../other", &reference]);
    line.git_in(
        "job",
        &["fetch", "-q", "origin", "+refs/pull/*:refs/pull/*"],
    );
    line.at("change").unwrap()
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
fn a_branch_that_may_not_be_pushed_is_said_and_begun_anew() {
    let (line, _) = served();
    let hook = line.client.at("other/hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    let rights = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&hook, rights).unwrap();
    let before = line.git_in("other", &["for-each-ref"]);
    let (told, code) = job(&line, &["advance"]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("attempt 3 to push signed failed"), "{told}");
    assert_eq!(line.git_in("other", &["for-each-ref"]), before);
    // What was made here and did not arrive is not gone on with.
    std::fs::remove_file(hook).unwrap();
    let told = advances(&line);
    assert!(told.contains("signed begins"), "{told}");
}

#[test]
fn a_review_says_what_a_change_asks_for_and_fails_where_it_can_never_be_right() {
    let (line, community) = served();
    let base = line.at("main").unwrap();
    // Approval is for others to give: no failure.
    let mut change = community.clone();
    change.release("foo", "3.0", &opam_file("5.0", "dune"));
    change.release("bor", "0.1", &opam_file("5.0", "dune"));
    let pending = pull(&line, 1, &change);
    let (told, code) = reviews(&line, "text", &base, &pending);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("pending") && told.contains("dave"), "{told}");
    let (told, code) = reviews(&line, "markdown", &base, &pending);
    assert_eq!(code, 0, "{told}");
    assert!(told.starts_with("<!-- conex review -->"), "{told}");
    let (annotations, code) = reviews(&line, "github", &base, &pending);
    assert_eq!(code, 0, "{annotations}");
    // The twin: approved in the very pull request.
    for (who, what) in [("dave", "foo"), ("alice", "bor")] {
        change.approve(who, what);
    }
    let approved = pull(&line, 2, &change);
    let (told, code) = reviews(&line, "text", &base, &approved);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("approved"), "{told}");
    // No approval makes these right.
    let mut hostile = community.clone();
    let page = community.pages("alice").remove(0);
    hostile.write(&page, community.read(&page).replace("0.1", "0.2"));
    hostile.write("packages/foo/foo.1.0/a,b:c", "x");
    let wrong = pull(&line, 3, &hostile);
    let (told, code) = reviews(&line, "text", &base, &wrong);
    assert_eq!(code, 1, "{told}");
    let (errors, code) = reviews(&line, "github", &base, &wrong);
    assert_eq!(code, 1, "{errors}");
    // One command of a runner in a line, with a place in it that it can show, and nothing else.
    for told in annotations.lines().chain(errors.lines()) {
        let (command, text) = told.strip_prefix("::").unwrap().split_once("::").unwrap();
        let (kind, properties) = command.split_once(" file=").unwrap();
        assert!(["notice", "warning", "error"].contains(&kind), "{told}");
        let (_, title) = properties.split_once(",title=").unwrap();
        assert!(title.starts_with("conex%3A ") && !text.is_empty(), "{told}");
    }
    insta::assert_snapshot!(format!("{annotations}{errors}"));
}

#[test]
fn a_review_of_what_is_not_there_says_what_to_fetch() {
    let (line, mut community) = served();
    let base = line.at("main").unwrap();
    let mut change = community.clone();
    change.release("foo", "3.0", &opam_file("5.0", "dune"));
    let head = pull(&line, 1, &change);
    let nowhere = "ab".repeat(20);
    for (base, head) in [
        (base.as_str(), nowhere.as_str()),
        (&nowhere, &head),
        (&base, "nowhere"),
        (&base, ""),
        ("", &head),
        ("--pr=1", &head),
        (&base, "a b"),
    ] {
        let (told, code) = reviews(&line, "text", base, head);
        assert_eq!(code, 2, "{base}..{head}: {told}");
        assert!(told.contains("hint: "), "{base}..{head}: {told}");
    }
    // A clone that is too shallow to merge in.
    community.release("bar", "0.2", &opam_file("5.0", "dune"));
    line.commit(&community);
    line.git(&["push", "-q", "../other", "main"]);
    let base = line.at("main").unwrap();
    std::fs::remove_dir_all(line.client.at("job")).unwrap();
    let other = format!("file://{}", line.client.at("other").display());
    line.git(&["clone", "-q", "--depth", "1", &other, "../job"]);
    let fetch = ["fetch", "-q", "--depth", "1", "origin", "refs/pull/1/head"];
    line.git_in("job", &fetch);
    let (told, code) = reviews(&line, "text", &base, &head);
    assert!(code == 3 && told.contains("--unshallow"), "{told}");
    line.git_in("job", &["fetch", "-q", "--unshallow", "origin"]);
    let (told, code) = reviews(&line, "text", &base, &head);
    assert!(code == 0 && told.contains("pending"), "{told}");
}

/// What the action has the runner type.
fn action(line: &Line, event: &str, base: &str, head: &str) -> (String, i32) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let action = std::fs::read_to_string(root.join("action.yml")).unwrap();
    let (_, run) = action.split_once("      run: |\n").unwrap();
    let mut shell = shell(line);
    shell.args(["-e", "-c", run]);
    shell
        .env("CONEX_TRUST_ANCHORS", &line.client.anchor)
        .env("CONEX_FORMAT", "github")
        .envs([("EVENT", event), ("BASE", base), ("HEAD", head)])
        .env("ACTION", root);
    // Inputs that nobody gave are there, and empty or as they are by default.
    shell.envs([("CONEX_QUORUM", ""), ("CONEX_MODE", "warn")]);
    shell.envs([("CONEX_MAIN", "main"), ("CONEX_SIGNED", "signed")]);
    client::said(&shell.output().unwrap())
}

#[test]
fn the_action_reviews_pull_requests_and_advances_otherwise() {
    let (line, mut community) = served();
    let base = line.at("main").unwrap();
    community.release("foo", "3.0", &opam_file("5.0", "dune"));
    let head = pull(&line, 1, &community);
    let (told, code) = action(&line, "pull_request", &base, &head);
    assert_eq!(code, 0, "{told}");
    assert!(told.starts_with("::notice file=packages/foo"), "{told}");
    for event in ["push", "schedule"] {
        let (told, code) = action(&line, event, "", "");
        assert_eq!(code, 0, "{told}");
        assert!(told.starts_with("signed "), "{told}");
    }
    line.git_in("other", &["rev-parse", "--verify", "signed"]);
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
