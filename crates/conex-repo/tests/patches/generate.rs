//! Random trees, their changes as real programs print them, and what can be done to that.

use proptest::prelude::*;

use super::*;

/// Names that mean something to somebody, some below others.
const NAMES: [&str; 10] = [
    "repo",
    "packages/foo/foo.1.0/opam",
    "packages/foo/foo.1.0/files/a b",
    "packages/foo/foo.1.0/files/x.orig",
    "packages/foo/foo.1~1:2=3/opam",
    "packages/foo",
    "packages/-dash",
    "dev/null",
    "conex/root/1.toml",
    "conex/root/1.toml/below",
];

/// Lines that look like each other, and like parts of a patch.
const LINES: [&[u8]; 12] = [
    b"a\n",
    b"a\n",
    b"b\n",
    b"\n",
    b"a\r\n",
    b"\0\xff\n",
    b"-- repo\n",
    b"++ repo\n",
    b"@@ -1 +1 @@\n",
    b"diff --git a/repo b/repo\n",
    b"\\ No newline at end of file\n",
    b" a\n",
];

fn content() -> impl Strategy<Value = Vec<u8>> {
    let lines = prop::collection::vec(prop::sample::select(&LINES[..]), 0..14);
    (lines, prop::bool::weighted(0.8)).prop_map(|(lines, has_newline)| {
        let mut bytes = lines.concat();
        if !has_newline {
            bytes.pop();
        }
        bytes
    })
}

/// No file is a directory too.
fn without_conflicts(mut tree: Tree) -> Tree {
    let paths: Vec<_> = tree.keys().cloned().collect();
    tree.retain(|path, _| {
        let below = format!("{path}/");
        !paths.iter().any(|other| other.starts_with(&below))
    });
    tree
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let name = prop::sample::select(&NAMES[..]).prop_map(ToOwned::to_owned);
    prop::collection::btree_map(name, content(), 0..7).prop_map(without_conflicts)
}

/// A change of a file: lines from `at` replaced, or all of it.
type Edit = (usize, usize, usize, Vec<u8>);

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let few = prop::collection::vec(prop::sample::select(&LINES[..]), 0..4);
    let few = few.prop_map(|lines| lines.concat());
    prop::collection::vec((0..9_usize, 0..16_usize, 0..4_usize, few), 1..6)
}

/// The tree after some edits, removals and renames.
fn edited(tree: &Tree, edits: &[Edit]) -> Tree {
    let mut tree = tree.clone();
    for (file, at, count, lines) in edits {
        let Some(path) = tree.keys().nth(*file % tree.len().max(1)).cloned() else {
            let target = NAMES[*at % NAMES.len()];
            tree.insert(target.into(), lines.clone());
            continue;
        };
        match (at, count) {
            (0, 0) => {
                tree.remove(&path);
            }
            (1 | 2, 0) => {
                let bytes = tree.remove(&path).unwrap();
                tree.insert(NAMES[lines.len() % NAMES.len()].into(), bytes);
            }
            (3 | 4, 0) => {
                let bytes = tree[&path].clone();
                tree.insert(NAMES[lines.len() % NAMES.len()].into(), bytes);
            }
            (5, 0) => {
                tree.insert(NAMES[lines.len() % NAMES.len()].into(), lines.clone());
            }
            _ => {
                let bytes = &tree[&path];
                let old: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
                let at = at % (old.len() + 1);
                let end = (at + count).min(old.len());
                let new = [&old[..at].concat(), lines, &old[end..].concat()];
                let new = new.map(Vec::as_slice).concat();
                tree.insert(path, new);
            }
        }
    }
    without_conflicts(tree)
}

/// How a patch is made.
#[derive(Debug, Clone, Copy)]
enum Maker {
    Plain(&'static str),
    Git(&'static [&'static str]),
}

fn maker() -> impl Strategy<Value = Maker> {
    prop::sample::select(vec![
        Maker::Plain("UTC"),
        Maker::Plain("XYZ+11:30"),
        Maker::Plain("XYZ-13"),
        Maker::Git(&[]),
        Maker::Git(&[]),
        Maker::Git(&["--no-renames"]),
        Maker::Git(&["-C", "--find-copies-harder"]),
        Maker::Git(&["-C10%", "-M10%", "--src-prefix=new/", "--dst-prefix=old/"]),
        Maker::Git(&["-U1"]),
        Maker::Git(&["-U0"]),
    ])
}

/// What a real program prints of the change, as opam calls it.
fn made(maker: Maker, old: &Tree, new: &Tree) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    match maker {
        Maker::Plain(zone) => {
            write(old, &root.join("r"));
            write(new, &root.join("r.new"));
            let mut command = program("diff", &["-ruaN", "r", "r.new"], root);
            command.env("TZ", zone).output().unwrap().stdout
        }
        Maker::Git(options) => {
            let git = |arguments: &[&str]| {
                let output = run("git", arguments, root);
                assert!(output.status.success(), "{arguments:?} {output:?}");
                output.stdout
            };
            git(&["init", "-q", "."]);
            write(new, root);
            git(&["add", "-A", "-f"]);
            let wanted = git(&["write-tree"]);
            let wanted = core::str::from_utf8(&wanted).unwrap().trim();
            for path in new.keys() {
                std::fs::remove_file(root.join(path)).unwrap();
            }
            for entry in std::fs::read_dir(root).unwrap() {
                let path = entry.unwrap().path();
                if !path.ends_with(".git") && path.is_dir() {
                    std::fs::remove_dir_all(path).unwrap();
                }
            }
            write(old, root);
            git(&["add", "-A", "-f"]);
            let fixed = ["-c", "diff.noprefix=false", "diff", "--text"];
            let mut arguments = fixed.to_vec();
            arguments.extend(["--no-ext-diff", "-R", "-p"]);
            arguments.extend(options);
            arguments.extend([wanted, "--"]);
            git(&arguments)
        }
    }
}

/// Lines that somebody could put into a patch.
const HOSTILE: [&str; 22] = [
    "diff --git b/repo a/repo",
    "diff --git b/repo a/packages/-dash",
    "diff -ruaN r/repo r.new/repo",
    "--- r/repo\t1970-01-01 00:00:00.000000000 +0000",
    "+++ r.new/repo\t1970-01-01 01:00:00.000000000 +0100",
    "--- r/repo\t2020-01-01 00:00:00.000000000 +0000",
    "--- /dev/null",
    "+++ /dev/null",
    "+++ a/repo",
    "index 0000000..e69de29",
    "index e69de29..d00491f 100644",
    "old mode 100644",
    "new mode 100755",
    "new file mode 100644",
    "deleted file mode 100644",
    "rename from repo",
    "rename to packages/-dash",
    "similarity index 100%",
    "@@ -1 +1 @@",
    "@@ -0,0 +1 @@",
    "\\ No newline at end of file",
    "Index: repo",
];

type Mutation = (u8, usize, usize);

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    prop::collection::vec((0..10_u8, any::<usize>(), any::<usize>()), 1..4)
}

fn mutated(patch: &[u8], mutations: &[Mutation]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = patch
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    for (kind, a, b) in mutations {
        if lines.is_empty() {
            break;
        }
        let (a, b) = (a % lines.len(), *b);
        match kind {
            0 => drop(lines.remove(a)),
            1 => lines.insert(b % lines.len(), lines[a].clone()),
            2 => {
                let other = b % lines.len();
                lines.swap(a, other);
            }
            3 => {
                let line = format!("{}\n", HOSTILE[b % HOSTILE.len()]);
                lines.insert(a, line.into());
            }
            4 => {
                let line = format!("{}\n", HOSTILE[b % HOSTILE.len()]);
                lines[a] = line.into();
            }
            5 => {
                let at = b % lines[a].len();
                lines[a][at] = *b"0123456789 +-@\r\n/"
                    .iter()
                    .cycle()
                    .nth(b / 7 % 17)
                    .unwrap();
            }
            6 => {
                // A number in a header, a little off.
                let headers: Vec<usize> = (0..lines.len())
                    .filter(|at| lines[*at].starts_with(b"@@"))
                    .collect();
                if let Some(line) = headers.get(a % headers.len().max(1)) {
                    let line = &mut lines[*line];
                    let digits: Vec<usize> = (0..line.len())
                        .filter(|at| line[*at].is_ascii_digit())
                        .collect();
                    let at = digits[b % digits.len()];
                    line[at] = b'0' + (line[at] - b'0' + 1 + u8::from(b % 2 == 0) * 8) % 10;
                }
            }
            7 => {
                // A context line becomes a change, or the reverse.
                if let Some(first) = lines[a].first_mut() {
                    *first = *b" +-".iter().cycle().nth(b % 3).unwrap();
                }
            }
            8 => {
                let end = lines[a].len() - 1;
                lines[a].insert(end, b'\r');
            }
            _ => lines.truncate(a.max(1)),
        }
    }
    lines.concat()
}

/// How often: each case runs a handful of programs.
fn cases(default: u32) -> ProptestConfig {
    let factor = std::env::var("CONEX_CASES").ok();
    let factor: u32 = factor.and_then(|text| text.parse().ok()).unwrap_or(1);
    ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 400,
        ..ProptestConfig::with_cases(default * factor)
    }
}

proptest! {
    #![proptest_config(cases(100))]

    /// What real programs print of a change is accepted with the right result, or refused; and whatever
    /// becomes of it by tampering is refused, or means the same to all.
    #[test]
    fn patch_tricks(
        old in any_tree(),
        edits in edits(),
        maker in maker(),
        tampering in prop::collection::vec(mutations(), 40),
    ) {
        let new = edited(&old, &edits);
        let patch = made(maker, &old, &new);
        if let Ok(result) = law(&old, &patch) {
            let empty = |tree: &Tree| -> Vec<String> {
                let is_empty = |entry: &(&String, &Vec<u8>)| entry.1.is_empty();
                tree.iter().filter(is_empty).map(|entry| entry.0.clone()).collect()
            };
            // `diff -N` says nothing of an empty file that comes or goes.
            if matches!(maker, Maker::Git(_)) || (empty(&old).is_empty() && empty(&new).is_empty()) {
                prop_assert_eq!(result, new);
            }
        }
        for tampering in tampering {
            let _ = law(&old, &mutated(&patch, &tampering));
        }
    }

    /// Nothing that can be in a file makes the parser do anything but answer.
    #[test]
    fn no_bytes_are_too_odd(
        pieces in prop::collection::vec(
            prop_oneof![
                prop::sample::select(&HOSTILE[..]).prop_map(|line| format!("{line}\n").into_bytes()),
                prop::sample::select(&LINES[..]).prop_map(<[u8]>::to_vec),
                prop::collection::vec(any::<u8>(), 0..20),
                "@@ -[0-9]{1,20}(,[0-9]{1,20})? \\+[0-9]{1,20}(,[0-9]{1,20})? @@\n"
                    .prop_map(String::into_bytes),
            ],
            0..30,
        ),
    ) {
        let base = Tree::from([("repo".into(), b"a\na\nb\n".to_vec())]);
        let _ = law(&base, &pieces.concat());
    }
}

/// Most honest patches are accepted, and some that were tampered with, or the law would say little.
#[test]
fn the_law_is_not_empty() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut honest, mut tampered) = (0, 0);
    for _ in 0..100 {
        let strategy = (any_tree(), edits(), prop::collection::vec(mutations(), 20));
        let (old, edits, tampering) = strategy.new_tree(&mut runner).unwrap().current();
        let new = edited(&old, &edits);
        for maker in [Maker::Plain("UTC"), Maker::Git(&["--no-renames"])] {
            let patch = made(maker, &old, &new);
            honest += usize::from(law(&old, &patch).is_ok());
            for tampering in &tampering {
                let other = mutated(&patch, tampering);
                tampered += usize::from(other != patch && law(&old, &other).is_ok());
            }
        }
    }
    println!("accepted: {honest} honest, {tampered} tampered with");
    assert!(honest > 120, "{honest} of 200");
    assert!(tampered > 50, "{tampered} of 4000");
}
