//! Owners for what there is: what a janitor sees, agrees to, and signs.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

use std::fs;

mod session;

use session::Session;

const WHO: &str = "--is bob=bob@example.org --is dave=dave@example.org --is erin=erin@example.org";

#[test]
fn owners_are_proposed_and_the_clear_ones_claimed_at_once() {
    let mut session = Session::inherited();
    session
        .run("bootstrap --infer --full --key alice --few 1 --for dave --for erin --dry-run")
        .dry(&format!("bootstrap --infer {WHO} --key alice"))
        .run(&format!("bootstrap --infer {WHO} --key alice -y"))
        .run("approve --all --key bob -y")
        .run("status bar")
        .accepted()
        // What is claimed is not proposed again.
        .refused(&format!("bootstrap --infer {WHO} --key alice -y"));
    insta::assert_snapshot!(session.transcript);
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let mut session = Session::inherited();
    session
        .refused("bootstrap --infer --is frank=frank@example.org --key alice -y")
        .refused("bootstrap --infer --is dave=x@example.org --is erin=x@example.org --key alice -y")
        .refused("bootstrap --infer --is dave --key alice -y")
        .refused("bootstrap --infer --for frank --key alice -y")
        .refused("bootstrap --infer --history nowhere --key alice -y")
        .refused("bootstrap --for dave --key alice -y")
        // Nothing but what is doubtful would be erin's.
        .refused("bootstrap --infer --is erin=erin@example.org --for erin --key alice -y");
    insta::assert_snapshot!(session.transcript);
}

#[test]
fn who_only_looks_needs_no_key_and_no_history() {
    let mut session = Session::inherited();
    let (json, code) = session.output("bootstrap --infer --json");
    assert_eq!(code, 0, "{json}");
    insta::assert_snapshot!(json);
    fs::remove_dir_all(session.tree().join(".git")).unwrap();
    let (without, code) = session.output("bootstrap --infer");
    assert_eq!(code, 0, "{without}");
    assert!(
        without.contains("there is no git history here"),
        "{without}"
    );
    session.accepted();
}

#[test]
fn an_enrolment_that_waits_is_no_evidence() {
    let session = Session::inherited();
    let erin = session.tree().join("conex/authors/erin.toml");
    let text = fs::read_to_string(&erin).unwrap();
    fs::write(
        &erin,
        text.replace("accounts = []", "accounts = [\n  \"github.com/eve\",\n]"),
    )
    .unwrap();
    let (json, code) = session.output("bootstrap --infer --json");
    assert_eq!(code, 0, "{json}");
    assert!(!json.contains("\"id\": \"erin\""), "{json}");
}
