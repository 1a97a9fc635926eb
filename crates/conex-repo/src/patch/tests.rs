use conex_core::path::PathError;
use conex_core::store::{EntryKind, MemoryStore, Store as _};

use super::*;

const LINES: &str = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";

fn base() -> MemoryStore {
    let mut base = MemoryStore::new();
    base.insert("lines", LINES);
    base.insert("one", "1\n");
    base.insert("open", "1");
    base.insert("empty", "");
    base.insert("dir/file", "1\n");
    base
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

/// Why a patch is refused, or the files that it changes.
fn applied(patch: &str) -> Result<Vec<(String, Option<String>)>, Refused> {
    let result = Patch::parse(patch.as_bytes()).and_then(|patch| patch.apply(base()));
    let files = |overlay: Overlay<MemoryStore>| {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let files = overlay.files();
        files
            .map(|(path, bytes)| (path.as_str().to_owned(), bytes.map(text)))
            .collect()
    };
    result.map(files).map_err(|error| error.reason)
}

fn git(name: &str, body: &str) -> String {
    format!(
        "diff --git a/{name} b/{name}\nindex d00491f..0cfbf08 100644\n--- a/{name}\n+++ b/{name}\n{body}"
    )
}

fn plain(name: &str, body: &str) -> String {
    const DATE: &str = "2026-11-22 07:23:48.000000000 +0000";
    format!(
        "diff -ruaN r/{name} r.new/{name}\n--- r/{name}\t{DATE}\n+++ r.new/{name}\t{DATE}\n{body}"
    )
}

const FIFTH: &str = "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n";

#[test]
fn honest_patches() {
    let expected = vec![("lines".to_owned(), Some(LINES.replace('5', "five")))];
    for patch in [git("lines", FIFTH), plain("lines", FIFTH)] {
        assert_eq!(applied(&patch).unwrap(), expected);
        let headed = patch.replace("+2,7 @@", "+2,7 @@ a heading");
        assert_eq!(applied(&headed).unwrap(), expected);
    }
    let created = "diff --git a/x/y b/x/y\nnew file mode 100644\nindex 0000000..d00491f\n\
                   --- /dev/null\n+++ b/x/y\n@@ -0,0 +1 @@\n+1\n";
    assert_eq!(
        applied(created).unwrap(),
        [("x/y".to_owned(), Some("1\n".to_owned()))]
    );
    let patch = Patch::parse(created.as_bytes()).unwrap();
    let overlay = patch.apply(base()).unwrap();
    assert_eq!(overlay.changed(), [path("x/y")].into());
    assert_eq!(overlay.kind(&path("x")), Ok(Some(EntryKind::Directory)));
    let removed = "diff --git a/dir/file b/dir/file\ndeleted file mode 100644\nindex d00491f..0000000\n\
                   --- a/dir/file\n+++ /dev/null\n@@ -1 +0,0 @@\n-1\n";
    let patch = Patch::parse(removed.as_bytes()).unwrap();
    let overlay = patch.apply(base()).unwrap();
    assert_eq!(overlay.kind(&path("dir")), Ok(None));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn patch_tricks() {
    let one = |body: &str| git("one", body);
    let table = [
        (String::new(), Refused::Empty),
        ("diff --git a/one b/one".into(), Refused::CutOff),
        (git("lines", ""), Refused::CutOff),
        (git("lines", FIFTH) + "trailing\n", Refused::NotUnderstood),
        (
            format!("Subject: x\n{}", git("lines", FIFTH)),
            Refused::NotUnderstood,
        ),
        (
            git("lines", FIFTH) + &plain("one", "@@ -1 +1 @@\n-1\n+2\n"),
            Refused::NotUnderstood,
        ),
        (
            git("lines", FIFTH) + &git("lines", FIFTH),
            Refused::Twice(path("lines")),
        ),
        // Hunks: elsewhere, overlapping, out of order, with other numbers.
        (
            git("lines", &FIFTH.replace("-2,7 +2,7", "-1,7 +1,7")),
            Refused::Context(path("lines"), 1),
        ),
        (
            git("lines", &FIFTH.replace(" 7\n", " x\n")),
            Refused::Context(path("lines"), 7),
        ),
        (
            git("lines", &FIFTH.replace("+2,7", "+3,7")),
            Refused::Numbers,
        ),
        (
            git("lines", &FIFTH.replace("2,7", "2,6")),
            Refused::NotUnderstood,
        ),
        (
            git("lines", &FIFTH.replace("-2,7", "-02,7")),
            Refused::Numbers,
        ),
        (
            git("lines", &FIFTH.replace("-2,7", "-99999999999999999999,7")),
            Refused::Numbers,
        ),
        (git("lines", &format!("{FIFTH}{FIFTH}")), Refused::Numbers),
        (git("lines", &FIFTH.replace(" 2\n", "\n")), Refused::Numbers),
        (
            git("lines", "@@ -4,3 +4,3 @@\n-4\n+four\n 5\n 6\n"),
            Refused::Place,
        ),
        (
            git("lines", "@@ -4,3 +4,3 @@\n 4\n 5\n-6\n+six\n"),
            Refused::Place,
        ),
        (git("lines", "@@ -5 +5 @@\n-5\n+five\n"), Refused::Place),
        (git("lines", "@@ -0,0 +1 @@\n+0\n"), Refused::Place),
        (git("lines", "@@ -9,0 +10 @@\n+10\n"), Refused::Place),
        (one("@@ -1 +1 @@\n 1\n"), Refused::NoChange),
        (one("@@ -0,0 +0,0 @@\n"), Refused::NoChange),
        // Ends of lines.
        (
            one("@@ -1 +1 @@\n-1\n\\ No newline at end of file\n+2\n"),
            Refused::Context(path("one"), 1),
        ),
        (
            git("open", "@@ -1 +1 @@\n-1\n+2\n"),
            Refused::Context(path("open"), 1),
        ),
        (
            git(
                "lines",
                &FIFTH.replace("+five\n", "+five\n\\ No newline at end of file\n"),
            ),
            Refused::LineEnd,
        ),
        (
            git("lines", &format!("{FIFTH}\\ No newline at end of file\n")),
            Refused::Context(path("lines"), 8),
        ),
        (
            one("@@ -1 +1 @@\n-1\n+2\n\\ No newline\n"),
            Refused::NotUnderstood,
        ),
        (one("@@ -1 +1 @@\r\n-1\n+2\n"), Refused::CarriageReturn),
        (
            plain("lines", FIFTH).replace("+0000\n", "+0000\r\n"),
            Refused::CarriageReturn,
        ),
        // Names.
        (
            git("../one", FIFTH),
            Refused::Name(PathError::Component("..".into())),
        ),
        (git("/etc/x", FIFTH), Refused::Name(PathError::Absolute)),
        (
            git("a\\b", FIFTH),
            Refused::Name(PathError::Character('\\')),
        ),
        (git("\"one\"", FIFTH), Refused::NameNotText),
        (
            git("x/.Git/hooks", FIFTH),
            Refused::GitName(path("x/.Git/hooks")),
        ),
        (git("GIT~1/x", FIFTH), Refused::GitName(path("GIT~1/x"))),
        (plain("a b", FIFTH), Refused::NameWithSpaces),
        (git("a b", FIFTH), Refused::NameWithSpaces),
        (
            git("one", FIFTH).replace("+++ b/one", "+++ b/lines"),
            Refused::NamesDiffer,
        ),
        (
            git("lines", FIFTH).replace(" b/lines\nindex", " b/one\nindex"),
            Refused::NamesDiffer,
        ),
        (
            plain("lines", FIFTH).replace("diff -ruaN r/lines", "diff -ruaN r/one"),
            Refused::NamesDiffer,
        ),
        (
            git("lines", FIFTH).replace("--- a/", "--- "),
            Refused::NamesDiffer,
        ),
        (
            git("lines", FIFTH).replace("--- a/", "--- ../"),
            Refused::Name(PathError::Component("..".into())),
        ),
        // What stands there.
        (git("none", FIFTH), Refused::Missing(path("none"))),
        (git("lines/x", FIFTH), Refused::Missing(path("lines/x"))),
        (
            git("dir", FIFTH),
            Refused::Store(
                path("dir"),
                conex_core::store::StoreError::Special("directory"),
            ),
        ),
        (
            git("one", "@@ -1 +1 @@\n-1\n+2\n").replace("d00491f", "e69de29"),
            Refused::Index,
        ),
        (
            git("one", "@@ -1 +1 @@\n-1\n+2\n").replace("d00491f", "0000000"),
            Refused::Index,
        ),
        (
            git("lines", FIFTH).replace("100644", "120000"),
            Refused::Mode,
        ),
        (
            git("lines", FIFTH).replace("index", "Index"),
            Refused::NotUnderstood,
        ),
        (
            git("lines", FIFTH).replace("index d", "old mode 100644\nnew mode 160000\nindex d"),
            Refused::Mode,
        ),
        (git("lines", "GIT binary patch\n"), Refused::NotUnderstood),
        (
            "diff --git a/one b/one\nindex d00491f..0cfbf08 100644\nGIT binary patch\n".into(),
            Refused::Binary,
        ),
        // Dates.
        (
            plain("lines", FIFTH).replace("2026-11-22 07", "1970-01-01 00"),
            Refused::Date,
        ),
        (
            plain("lines", FIFTH).replace("2026-11-22", "2026-1-22"),
            Refused::NotUnderstood,
        ),
        (
            plain("lines", FIFTH).replace("2026-11-22", "2026-13-22"),
            Refused::NotUnderstood,
        ),
        ("1d\n.\n".into(), Refused::NotUnderstood),
        ("*** r/one\n--- r.new/one\n".into(), Refused::NotUnderstood),
    ];
    for (patch, expected) in table {
        assert_eq!(applied(&patch), Err(expected), "{patch}");
    }
}

#[test]
fn what_is_created_was_not_there() {
    let create = |name: &str| {
        format!(
            "diff --git a/{name} b/{name}\nnew file mode 100644\nindex 0000000..d00491f\n\
             --- /dev/null\n+++ b/{name}\n@@ -0,0 +1 @@\n+1\n"
        )
    };
    assert!(applied(&create("new")).is_ok());
    assert_eq!(applied(&create("one")), Err(Refused::Exists(path("one"))));
    assert_eq!(
        applied(&create("empty")),
        Err(Refused::Exists(path("empty")))
    );
    let both = |name: &str| Err(Refused::FileAndDirectory(path(name)));
    assert_eq!(applied(&create("dir")), both("dir"));
    assert_eq!(applied(&create("one/x/y")), both("one"));
    assert_eq!(applied(&(create("x/y") + &create("x"))), both("x"));
    let partly = create("new").replace("@@ -0,0 +1 @@\n", "@@ -1 +1,2 @@\n 1\n");
    assert!(applied(&partly).is_err());
    let dated = plain("one", "@@ -0,0 +1 @@\n+1\n");
    let dated = dated.replacen("2026-11-22 07:23:48", "1970-01-01 00:00:00", 1);
    assert_eq!(applied(&dated), Err(Refused::Exists(path("one"))));
    assert!(applied(&dated.replace("one", "new")).is_ok());
    let zone = dated.replace("one", "new").replacen(
        "00:00:00.000000000 +0000",
        "05:30:00.000000000 +0530",
        1,
    );
    assert!(applied(&zone).is_ok());
}

#[test]
fn what_is_removed_is_all_there_was() {
    let remove = |body: &str| {
        format!(
            "diff --git a/lines b/lines\ndeleted file mode 100644\nindex d00491f..0000000\n\
             --- a/lines\n+++ /dev/null\n{body}"
        )
    };
    let all: Vec<_> = LINES.lines().map(|line| format!("-{line}\n")).collect();
    let all = all.concat();
    assert!(applied(&remove(&format!("@@ -1,9 +0,0 @@\n{all}"))).is_ok());
    assert_eq!(
        applied(&remove("@@ -8,2 +7,0 @@\n-8\n-9\n")),
        Err(Refused::NotWhole)
    );
    let empty = "diff --git a/NAME b/NAME\ndeleted file mode 100644\nindex e69de29..0000000\n";
    assert!(applied(&empty.replace("NAME", "empty")).is_ok());
    assert_eq!(applied(&empty.replace("NAME", "one")), Err(Refused::Index));
}

#[test]
fn files_that_move() {
    let moved = |verb: &str, from: &str, to: &str| {
        format!(
            "diff --git a/{from} b/{to}\nsimilarity index 100%\n{verb} from {from}\n{verb} to {to}\n"
        )
    };
    assert!(applied(&moved("rename", "one", "x/y")).is_ok());
    assert!(applied(&moved("copy", "one", "x/y")).is_ok());
    let twice = moved("copy", "one", "x/y") + &moved("rename", "one", "x/z");
    assert!(applied(&twice).is_ok());
    // The copy would be of what only some programs still see.
    let twice = moved("rename", "one", "x/z") + &moved("copy", "one", "x/y");
    assert_eq!(applied(&twice), Err(Refused::Twice(path("one"))));
    assert_eq!(
        applied(&moved("rename", "one", "empty")),
        Err(Refused::Exists(path("empty")))
    );
    assert_eq!(
        applied(&moved("rename", "one", "one")),
        Err(Refused::Twice(path("one")))
    );
    assert_eq!(
        applied(&moved("rename", "one", "x y")),
        Err(Refused::NameWithSpaces)
    );
    assert_eq!(
        applied(&moved("rename", "one", "x").replace("to x", "to y")),
        Err(Refused::NamesDiffer)
    );
    assert_eq!(
        applied(&moved("rename", "one", "x").replace("100%", "200%")),
        Err(Refused::NotUnderstood)
    );
}

#[test]
fn refusals_name_the_line() {
    let patch = git("one", "@@ -1 +1 @@\n-1\n+2\n") + "trailing\n";
    let error = Patch::parse(patch.as_bytes()).unwrap_err();
    assert_eq!(error.line, 8);
    let patch = git("one", "@@ -1 +1 @@\n-0\n+2\n");
    let patch = Patch::parse(patch.as_bytes()).unwrap();
    let error = patch.apply(base()).unwrap_err();
    assert_eq!(error.line, 5);
    assert_eq!(
        error.to_string(),
        "line 5 of the patch: the hunk does not fit one at line 1"
    );
}

#[test]
fn endless_data() {
    let large = "x".repeat(31 << 20) + "\n";
    let mut base = MemoryStore::new();
    base.insert("large", large.as_bytes());
    let copies: Vec<String> = (0..20)
        .map(|copy| {
            format!(
                "diff --git a/large b/{copy}\nsimilarity index 100%\ncopy from large\ncopy to {copy}\n"
            )
        })
        .collect();
    let copies = copies.concat();
    let patch = Patch::parse(copies.as_bytes()).unwrap();
    assert_eq!(
        patch.apply(base).unwrap_err().reason,
        Refused::OutputTooLarge
    );
}
