//! The real opam, with conex as its hook: over directories, archives, git and http.
//!
//! This runs with the opam on the PATH, and with every program `opam-VERSION` in the directory that `CONEX_OPAMS` names.
//! Where there is none it says so and does nothing, unless `CONEX_NEEDS_OPAM` is set.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may stop where it stands, and says what it leaves out"
)]

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use conex_tests::opam::{Over, Programs, User, community};
use conex_tests::opam_file;

/// Every opam there is.
fn programs() -> Vec<Programs> {
    let conex = Path::new(env!("CARGO_BIN_EXE_conex"));
    let mut all: Vec<Programs> = Programs::new(Path::new("opam"), conex)
        .into_iter()
        .collect();
    if let Some(directory) = std::env::var_os("CONEX_OPAMS") {
        let others = Programs::below(Path::new(&directory), conex).unwrap();
        assert!(
            !others.is_empty(),
            "there is no opam where CONEX_OPAMS says"
        );
        for other in others {
            if all.iter().all(|known| known.version != other.version) {
                all.push(other);
            }
        }
    }
    if all.is_empty() {
        assert!(
            std::env::var_os("CONEX_NEEDS_OPAM").is_none(),
            "opam is not installed, and CONEX_NEEDS_OPAM is set"
        );
        println!("not run: opam is not installed");
    }
    all
}

/// Tells a story with each opam.
#[track_caller]
fn with_each(over: Over, story: impl Fn(Over, &Programs) -> Result<()>) {
    for programs in programs() {
        if let Err(error) = story(over, &programs) {
            panic!("opam {}, {}: {error:#}", programs.version, over.name());
        }
    }
}

fn story(over: Over, programs: &Programs) -> Result<()> {
    let first = community();
    let user = User::new(over, programs, &first)?;
    // Another repository than the anchor says is not even added.
    user.adds_no_other()?;
    user.adds(&first).context("adding it")?;

    let mut second = first.clone();
    second.release("foo", "3.0", &opam_file("5.0", "dune"));
    second.release("foo", "2.0", &opam_file("4.14", "dune"));
    second.approve("dave", "foo");
    second.verify().accepted();
    user.takes(&second).context("a release and a bound")?;

    let mut tampered = second.clone();
    let file = tampered.release_file("foo", "3.0");
    tampered.write(&file, opam_file("5.0", "curl"));
    user.refuses(&tampered, "content-differs", &second)?;

    user.refuses(&first, "rollback", &second)?;

    let mut stripped = second.clone();
    stripped.remove("conex/packages/foo.toml");
    for page in stripped.pages("dave") {
        stripped.remove(&page);
    }
    user.refuses(&stripped, "vanished", &second)?;
    let mut bare = second.clone();
    bare.remove("conex");
    user.refuses(&bare, "root-missing", &second)?;

    // Nothing was lost by it: the next honest update is taken.
    let mut third = second.clone();
    third.release("foo", "4.0", &opam_file("5.1", "dune"));
    third.approve("dave", "foo");
    user.takes(&third).context("another release")?;

    let (told, code) = user.conex(&["opam-hook", "--check"])?;
    ensure!(code == 1, "{told}");
    ensure!(told.contains("nothing: no-anchors: "), "{told}");
    ensure!(!told.contains("signed: never-verified"), "{told}");
    user.does("repository remove nothing --all")?;
    Ok(())
}

#[test]
fn over_a_directory() {
    with_each(Over::Directory, story);
}

#[test]
fn over_an_archive() {
    with_each(Over::Packed, story);
}

#[test]
fn over_git() {
    with_each(Over::Git, story);
    with_each(Over::GitWithoutRenames, story);
}

#[test]
fn over_http() {
    with_each(Over::Http, story);
}

#[test]
fn trust_that_is_dropped_by_a_new_address() {
    with_each(Over::Directory, |over, programs| {
        let first = community();
        let user = User::new(over, programs, &first)?;
        user.adds(&first)?;
        let (anchor, address) = (user.anchor(), user.address());
        user.does(&format!("repository set-url signed {address}/."))?;
        let (told, code) = user.conex(&["opam-hook", "--check"])?;
        ensure!(code == 1, "{told}");
        ensure!(told.contains("signed: no-anchors: "), "{told}");
        user.does(&format!("repository set-url signed {address} 1 {anchor}"))?;
        let (told, _) = user.conex(&["opam-hook", "--check"])?;
        ensure!(!told.contains("signed: "), "{told}");
        Ok(())
    });
}
