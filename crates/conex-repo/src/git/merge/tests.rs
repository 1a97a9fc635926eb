//! Tests that compare merges with git itself.

use core::fmt::Write as _;

use conex_core::tree::store::{EntryKind as Stored, Store as _};

use super::*;
use crate::git::tests::Scratch;

/// The files of a commit: path, whether it is executable, content.
type Files<'a> = &'a [(&'a str, bool, &'a str)];

/// Creates a commit without a work tree.
fn commit(scratch: &Scratch, parent: Option<&str>, files: Files<'_>) -> String {
    let mut stream =
        "commit refs/heads/scratch\ncommitter t <t> 1700000000 +0000\ndata 0\n".to_owned();
    if let Some(parent) = parent {
        writeln!(stream, "from {parent}").unwrap();
    }
    stream.push_str("deleteall\n");
    for (path, executable, text) in files {
        let mode = if *executable { "100755" } else { "100644" };
        let length = text.len();
        writeln!(stream, "M {mode} inline {path}\ndata {length}\n{text}").unwrap();
    }
    scratch.git_with(&["fast-import", "--quiet", "--force"], stream.as_bytes());
    scratch.git(&["rev-parse", "scratch"])
}

/// Returns the tree that git merges, or `None` on a conflict.
fn by_git(scratch: &Scratch, renames: bool, ours: &str, theirs: &str) -> Option<String> {
    // Not every version can turn it off. With the threshold at identical content, nothing here counts as
    // renamed.
    let option = if renames {
        "find-renames"
    } else {
        "find-renames=100%"
    };
    let arguments = ["merge-tree", "--write-tree", "-X", option, ours, theirs];
    let output = scratch
        .command(&arguments)
        .stdout(std::process::Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let code = output.status.code().unwrap();
    assert!(code < 2, "{said}");
    (code == 0).then(|| said.trim_end().to_owned())
}

fn by_conex(scratch: &Scratch, ours: &str, theirs: &str) -> Merge {
    let repository = scratch.open();
    let [ours, theirs] = [ours, theirs].map(|name| repository.resolve(name).unwrap());
    repository.merge(ours, theirs).unwrap()
}

fn tree(merge: &Merge) -> Option<String> {
    match merge {
        Merge::Clean(merged) => Some(merged.store.top().to_string()),
        Merge::Conflicts(conflicts) => {
            assert!(!conflicts.is_empty());
            None
        }
    }
}

/// Merges two sets of files with a common ancestor, and checks that git without renames gives the same
/// result.
fn merged(base: Files<'_>, ours: Files<'_>, theirs: Files<'_>) -> Result<Vec<String>, Vec<String>> {
    let scratch = Scratch::new();
    let base = commit(&scratch, None, base);
    let ours = commit(&scratch, Some(&base), ours);
    let theirs = commit(&scratch, Some(&base), theirs);
    let found = by_conex(&scratch, &ours, &theirs);
    assert_eq!(tree(&found), by_git(&scratch, false, &ours, &theirs));
    match found {
        Merge::Clean(merged) => {
            assert!(ours == theirs || merged.fork.to_string() == base);
            Ok(merged.changed.iter().map(ToString::to_string).collect())
        }
        Merge::Conflicts(found) => Err(found.iter().map(ToString::to_string).collect()),
    }
}

const LINES: &str = "1\n2\n3\n4\n5\n6\n";

#[test]
fn edits_of_different_lines_go_together() {
    let base: Files<'_> = &[("a", false, LINES), ("same", false, "x")];
    let ours: Files<'_> = &[("a", false, "one\n2\n3\n4\n5\n6\n"), ("same", false, "x")];
    let theirs: Files<'_> = &[("a", false, "1\n2\n3\n4\n5\nsix\n"), ("same", false, "x")];
    assert_eq!(merged(base, ours, theirs), Ok(vec!["a".into()]));
    // The same change on both sides is no conflict and changes nothing.
    assert_eq!(merged(base, theirs, theirs), Ok(Vec::new()));
    let touching: Files<'_> = &[("a", false, "1\ntwo\n3\n4\n5\n6\n"), ("same", false, "x")];
    assert_eq!(
        merged(base, ours, touching),
        Err(vec!["a: both sides changed it".into()])
    );
}

#[test]
fn what_one_side_adds_removes_or_moves() {
    let base: Files<'_> = &[("d/a", false, LINES), ("d/b", false, "b\n")];
    let ours: Files<'_> = &[("d/a", false, LINES), ("d/c", false, "c\n")];
    let theirs: Files<'_> = &[
        ("d/a", true, LINES),
        ("d/b", false, "b\n"),
        ("e/f/g", false, "g\n"),
    ];
    // A different mode of a file is not a change for its readers.
    assert_eq!(merged(base, ours, theirs), Ok(vec!["e/f/g".into()]));
    let changed: Files<'_> = &[("d/a", false, LINES), ("d/b", false, "changed\n")];
    assert_eq!(
        merged(base, ours, changed),
        Err(vec![
            "d/b: one side changed it, and the other removed or moved it".into()
        ])
    );
    let added: Files<'_> = &[
        ("d/a", false, LINES),
        ("d/b", false, "b\n"),
        ("d/c", false, "other\n"),
    ];
    assert_eq!(
        merged(base, ours, added),
        Err(vec![
            "d/c: both sides added it, with different content".into()
        ])
    );
    // Removing the last file of a directory removes the directory.
    assert_eq!(merged(base, &[], base), Ok(Vec::new()));
    assert_eq!(
        merged(base, base, &[]),
        Ok(vec!["d/a".into(), "d/b".into()])
    );
}

#[test]
fn a_file_in_place_of_a_directory() {
    let base: Files<'_> = &[
        ("d/a", false, "a\n"),
        ("d/b", false, "b\n"),
        ("x", false, "x\n"),
    ];
    let file: Files<'_> = &[("d", false, "file\n"), ("x", false, "x\n")];
    assert_eq!(
        merged(base, base, file),
        Ok(vec!["d".into(), "d/a".into(), "d/b".into()])
    );
    let one_less: Files<'_> = &[("d/a", false, "a\n"), ("x", false, "x\n")];
    assert_eq!(
        merged(base, one_less, file),
        Ok(vec!["d".into(), "d/a".into()])
    );
    let added: Files<'_> = &[
        ("d/a", false, "a\n"),
        ("d/b", false, "b\n"),
        ("d/c", false, "c\n"),
        ("x", false, "x\n"),
    ];
    assert_eq!(
        merged(base, added, file),
        Err(vec![
            "d: it is a file on one side and a directory on the other".into()
        ])
    );
}

#[test]
fn links_and_binary_files_are_not_merged() {
    let base: Files<'_> = &[("a", false, "1\n\0\n2\n3\n")];
    let ours: Files<'_> = &[("a", false, "one\n\0\n2\n3\n")];
    let theirs: Files<'_> = &[("a", false, "1\n\0\n2\nthree\n")];
    assert_eq!(
        merged(base, ours, theirs),
        Err(vec!["a: both sides changed it".into()])
    );
    let scratch = Scratch::new();
    scratch.write("a", "text\n");
    let base = scratch.commit();
    scratch.write("a", "longer text\n");
    let ours = scratch.commit();
    scratch.git(&["checkout", "-q", "-b", "linked", &base]);
    std::fs::remove_file(scratch.path().join("a")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", scratch.path().join("a")).unwrap();
    let theirs = scratch.commit();
    let found = by_conex(&scratch, &ours, &theirs);
    assert_eq!(tree(&found), None);
    assert_eq!(by_git(&scratch, false, &ours, &theirs), None);
    // On its own it merges without a conflict.
    let Merge::Clean(merged) = by_conex(&scratch, &base, &theirs) else {
        panic!("one side did nothing");
    };
    assert_eq!(
        merged.store.kind(&Path::parse("a").unwrap()),
        Ok(Some(Stored::Special("symbolic link")))
    );
}

/// Git follows the rename and reports a conflict, so approval has to wait for the merge.
#[test]
fn renames_are_not_followed() {
    let scratch = Scratch::new();
    let base = commit(&scratch, None, &[("old", false, LINES)]);
    let ours = commit(&scratch, Some(&base), &[("new", false, LINES)]);
    let theirs = commit(
        &scratch,
        Some(&base),
        &[("old", false, "one\n2\n3\n4\n5\n6\n")],
    );
    assert!(by_git(&scratch, true, &ours, &theirs).is_some());
    assert_eq!(tree(&by_conex(&scratch, &ours, &theirs)), None);
    // A rename that only one side touched is one file less and one file more.
    let found = by_conex(&scratch, &base, &ours);
    assert_eq!(tree(&found), by_git(&scratch, true, &base, &ours));
}

#[test]
fn nothing_is_written() {
    let scratch = Scratch::new();
    let base = commit(&scratch, None, &[("a", false, LINES)]);
    let ours = commit(
        &scratch,
        Some(&base),
        &[("a", false, "one\n2\n3\n4\n5\n6\n")],
    );
    let theirs = commit(
        &scratch,
        Some(&base),
        &[("a", false, "1\n2\n3\n4\n5\nsix\n")],
    );
    let before = scratch.git(&["count-objects", "-v"]);
    let Merge::Clean(merged) = by_conex(&scratch, &ours, &theirs) else {
        panic!("the changes are far apart");
    };
    let mut text = Vec::new();
    merged
        .store
        .read(&Path::parse("a").unwrap(), 100, &mut text)
        .unwrap();
    assert_eq!(text, b"one\n2\n3\n4\n5\nsix\n");
    assert_eq!(scratch.git(&["count-objects", "-v"]), before);
}

#[test]
fn histories_without_a_common_ancestor() {
    let scratch = Scratch::new();
    let one = commit(&scratch, None, &[("a", false, "1")]);
    let other = commit(&scratch, None, &[("b", false, "2")]);
    let repository = scratch.open();
    let [a, b] = [&one, &other].map(|name| repository.resolve(name).unwrap());
    assert_eq!(
        repository.merge(a, b).unwrap_err(),
        GitError::Unrelated(one, other)
    );
}

/// A pseudo-random generator that gives the same numbers every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Uses few paths and few contents, so that all combinations occur.
#[test]
fn merges_are_those_of_git() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let places = ["a", "d", "d/x", "d/y", "d/z/w", "e", "e/x"];
    let scratch = Scratch::new();
    let lines = |dice: &mut Dice, text: &str| -> String {
        let mut change = |line: &str| -> Vec<String> {
            match dice.roll(9) {
                0 => Vec::new(),
                1 => vec![format!("{line}!")],
                2 => vec![line.into(), format!("more {}", dice.roll(1_000))],
                _ => vec![line.into()],
            }
        };
        let mut text = text
            .lines()
            .flat_map(&mut change)
            .collect::<Vec<_>>()
            .join("\n");
        text.push('\n');
        text
    };
    let tree = |dice: &mut Dice, from: &BTreeMap<&'static str, (bool, String)>| {
        let mut files = from.clone();
        for place in places {
            match (dice.roll(9), files.get_mut(place)) {
                (0, _) => {
                    files.remove(place);
                }
                (1, Some((executable, _))) => *executable = dice.roll(2) == 0,
                (2 | 3, Some((_, text))) => *text = lines(dice, text),
                (1 | 2, None) => {
                    files.insert(place, (false, lines(dice, LINES)));
                }
                _ => {}
            }
        }
        let names: Vec<&str> = files.keys().copied().collect();
        let taken = |place: &str| names.iter().any(|it| it.starts_with(&format!("{place}/")));
        if dice.roll(2) == 0 {
            files.retain(|place, _| !taken(place));
        } else {
            files.retain(|place, _| !names.iter().any(|it| place.starts_with(&format!("{it}/"))));
        }
        files
    };
    let store = |files: &BTreeMap<&'static str, (bool, String)>, parent: Option<&str>| {
        let files: Vec<_> = files
            .iter()
            .map(|(place, (executable, text))| (*place, *executable, format!("{place}\n{text}")))
            .collect();
        let files: Vec<_> = files
            .iter()
            .map(|(place, executable, text)| (*place, *executable, text.as_str()))
            .collect();
        commit(&scratch, parent, &files)
    };
    let (mut clean, mut conflicts) = (0, 0);
    for _ in 0..60 {
        let mut base = BTreeMap::new();
        for _ in 0..6 {
            base = tree(&mut dice, &base);
        }
        let (ours, theirs) = (tree(&mut dice, &base), tree(&mut dice, &base));
        let parent = store(&base, None);
        let [one, other] = [&ours, &theirs].map(|files| store(files, Some(&parent)));
        let found = self::tree(&by_conex(&scratch, &one, &other));
        let expected = by_git(&scratch, false, &one, &other);
        assert_eq!(found, expected, "{base:?}\n{ours:?}\n{theirs:?}");
        if found.is_some() {
            clean += 1;
        } else {
            conflicts += 1;
        }
    }
    assert!(clean > 10 && conflicts > 10, "{clean} {conflicts}");
}
