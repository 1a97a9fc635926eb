//! Tests that check the written commits with git.

use conex_core::model::path::Path;
use conex_core::tree::store::Overlay;
use proptest::prelude::*;

use super::{CommitInfo, Committer, Files};
use crate::changes;
use crate::git::tests::Scratch;
use crate::git::{CommitId, GitError};

const BY: Committer<'_> = Committer {
    name: "t",
    email: "t@example.org",
};

fn info(parents: Vec<CommitId>) -> CommitInfo {
    CommitInfo {
        parents,
        message: "a message\n\nMain: x\n".into(),
        time: 1_700_000_000,
    }
}

fn files(files: &[(&str, Option<&str>)]) -> Files {
    let files = files.iter().map(|(path, text)| {
        let bytes = text.map(|text| text.as_bytes().to_vec());
        (Path::parse(path).unwrap(), bytes)
    });
    files.collect()
}

#[test]
fn a_commit_is_the_one_git_would_make() {
    let scratch = Scratch::new();
    for file in ["a/b/c", "a/b/d", "a/e", "a.b", "f/g", "run"] {
        scratch.write(file, file);
    }
    let run = scratch.path().join("run");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(run, executable).unwrap();
    let base = scratch.commit();
    let repository = scratch.open();
    let base = repository.resolve(&base).unwrap();
    let changes = files(&[
        ("a/b/c", None),
        ("a/b/d", None),
        ("a/e", Some("new")),
        ("a/h/i", Some("new")),
        ("f", Some("a file now")),
        ("f/g", None),
        ("a.b", None),
        ("a.b/x", Some("a directory now")),
        ("run", Some("still executable")),
    ]);
    let commit = repository
        .commit(base, &changes, &info(vec![base]), BY)
        .unwrap();
    scratch.git(&["fsck", "--strict", "--no-dangling", &commit.to_string()]);
    let listed = scratch.git(&["ls-tree", "-r", "--name-only", &commit.to_string()]);
    assert_eq!(
        listed.lines().collect::<Vec<_>>(),
        ["a.b/x", "a/e", "a/h/i", "f", "run"]
    );
    let mode = scratch.git(&["ls-tree", &commit.to_string(), "run"]);
    assert!(mode.starts_with("100755"), "{mode}");
    // Git writes the same tree from the same files.
    scratch.git(&["checkout", "-q", &commit.to_string()]);
    scratch.git(&["add", "-A"]);
    assert_eq!(
        scratch.git(&["write-tree"]),
        scratch.git(&["rev-parse", &format!("{commit}^{{tree}}")])
    );
    let said = repository.info(commit).unwrap();
    assert_eq!(said, info(vec![base]));
    // Repeating it gives the same commit.
    let again = repository.commit(base, &changes, &info(vec![base]), BY);
    assert_eq!(again, Ok(commit));
}

#[test]
fn a_branch_moves_only_from_where_it_was_seen() {
    let scratch = Scratch::new();
    scratch.write("a", "1");
    let first = scratch.commit();
    let repository = scratch.open();
    let first = repository.resolve(&first).unwrap();
    assert_eq!(repository.reference("signed"), Ok(None));
    let to = |from, to| repository.move_reference("signed", from, to, ("why", BY));
    to(None, first).unwrap();
    assert_eq!(repository.reference("refs/heads/signed"), Ok(Some(first)));
    let next = |text: &str| {
        let changes = files(&[("a", Some(text))]);
        repository
            .commit(first, &changes, &info(vec![first]), BY)
            .unwrap()
    };
    let (second, third) = (next("2"), next("3"));
    to(Some(first), second).unwrap();
    let moved = Err(GitError::Moved("signed".into()));
    assert_eq!(to(Some(first), third), moved);
    assert_eq!(to(None, third), moved);
    assert_eq!(scratch.git(&["rev-parse", "signed"]), second.to_string());
    assert!(repository.is_checked_out("main") && !repository.is_checked_out("signed"));
    for bad in ["", "a b", "../x", "-", "a..b"] {
        assert!(repository.reference(bad).is_err() || bad == "-", "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// The written tree equals the overlay.
    #[test]
    fn a_written_tree_is_the_overlay(
        base in prop::collection::btree_map("[ab](/[abx]){0,2}", "[xy]{0,3}", 1..6),
        changes in prop::collection::btree_map("[ab](/[abx]){0,2}", prop::option::of("[xy]{0,3}"), 0..6),
    ) {
        let valid = |path: &String| Path::parse(path).is_ok();
        prop_assume!(base.keys().all(valid) && changes.keys().all(valid));
        let is_tree = |paths: Vec<&String>| paths.iter().all(|path| {
            !paths.iter().any(|other| other.starts_with(&format!("{path}/")))
        });
        prop_assume!(is_tree(base.keys().collect()));
        let scratch = Scratch::new();
        for (path, text) in &base {
            scratch.write(path, text);
        }
        let commit = scratch.commit();
        let repository = scratch.open();
        let commit = repository.resolve(&commit).unwrap();
        let given: Vec<_> = changes.iter().map(|(path, text)| (path.as_str(), text.as_deref())).collect();
        let Ok(overlay) = Overlay::new(repository.store(commit).unwrap(), files(&given)) else {
            return Ok(());
        };
        let written = repository.commit(commit, &files(&given), &info(vec![commit]), BY).unwrap();
        let store = repository.store(written).unwrap();
        prop_assert_eq!(changes::changed(&overlay, &store).unwrap().len(), 0);
        scratch.git(&["fsck", "--strict", "--no-dangling", &written.to_string()]);
    }
}
