use conex_core::model::path::PathError;
use conex_core::tree::store::{EntryKind, MemoryStore, Store as _};

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

/// Returns the changed files, or why the patch is refused.
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
        // Hunks in other places, overlapping, out of order, or with other numbers.
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
        (
            git("lines", &FIFTH.replace(" 2\n", "\n")),
            Refused::Context(path("lines"), 2),
        ),
        (
            plain("lines", &FIFTH.replace(" 2\n", "\n")),
            Refused::Numbers,
        ),
        (
            git("lines", "@@ -4,3 +4,3 @@\n-4\n+four\n 5\n 6\n"),
            Refused::Place,
        ),
        (
            git("lines", "@@ -4,3 +4,3 @@\n 4\n 5\n-6\n+six\n"),
            Refused::Place,
        ),
        (git("lines", "@@ -5 +5 @@\n-5\n+five\n"), Refused::Numbers),
        (plain("lines", "@@ -5 +5 @@\n-5\n+five\n"), Refused::Place),
        (git("lines", "@@ -0,0 +1 @@\n+0\n"), Refused::Place),
        (git("lines", "@@ -9,0 +10,1 @@\n+10\n"), Refused::Place),
        (
            git("open", "@@ -1 +0,0 @@\n-1\n\\ No newline at end of file\n"),
            Refused::OpenEnd(path("open")),
        ),
        (one("@@ -1 +1 @@\n 1\n"), Refused::NoChange),
        (one("@@ -0,0 +0,0 @@\n"), Refused::NoChange),
        // Line endings.
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
            git("lines", FIFTH) + &git("one", "@@ -1 +1 @@\n-1\n+2\n").replace("a/", "c/"),
            Refused::Prefixes,
        ),
        (
            plain("lines", FIFTH) + &plain("one", "@@ -1 +1 @@\n-1\n+2\n").replace("r.new/", "s/"),
            Refused::Prefixes,
        ),
        (
            git("lines", FIFTH).replace("--- a/", "--- ../"),
            Refused::Name(PathError::Component("..".into())),
        ),
        // The present content.
        (git("none", FIFTH), Refused::Missing(path("none"))),
        (git("lines/x", FIFTH), Refused::Missing(path("lines/x"))),
        (
            git("dir", FIFTH),
            Refused::Store(
                path("dir"),
                conex_core::tree::store::StoreError::Special("directory"),
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
    assert_eq!(
        applied(&moved("copy", "one", "x/y")),
        Err(Refused::Copy(path("x/y")))
    );
    assert_eq!(
        applied(&moved("rename", "one", "x").replace("100%", "99%")),
        Err(Refused::EditedRename(path("one")))
    );
    let twice = moved("rename", "one", "x/z") + &moved("rename", "one", "x/y");
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
    let mut changes = Vec::new();
    for copy in 0..20 {
        let name = format!("large{copy}");
        base.insert(name.clone(), large.as_bytes());
        let modes = "old mode 100644\nnew mode 100755\n";
        changes.push(format!("diff --git a/{name} b/{name}\n{modes}"));
    }
    let changes = changes.concat();
    let patch = Patch::parse(changes.as_bytes()).unwrap();
    assert_eq!(
        patch.apply(base).unwrap_err().reason,
        Refused::OutputTooLarge
    );
}

/// Shows a file as the OCaml library does.
fn library(name: &str, body: &str) -> String {
    format!("--- r/{name}\n+++ r.new/{name}\n{body}")
}

const FROM_FIFTH: &str = "@@ -5,5 +5,5 @@\n-5\n-6\n-7\n-8\n-9\n+five\n+6\n+7\n+8\n+9\n";

#[test]
fn honest_patches_of_the_library() {
    let changed = |patch: &str| applied(patch).unwrap();
    let one = |name: &str, text: &str| vec![(name.to_owned(), Some(text.to_owned()))];
    let gone = |name: &str| vec![(name.to_owned(), None)];
    let table = [
        (
            library("lines", FROM_FIFTH),
            one("lines", &LINES.replace('5', "five")),
        ),
        // Appended lines have a number one greater than in other programs.
        (
            library("lines", "@@ -10,0 +10,1 @@\n+10\n"),
            one("lines", &format!("{LINES}10\n")),
        ),
        (
            library("lines", "@@ -8,2 +8,0 @@\n-8\n-9\n"),
            one("lines", "1\n2\n3\n4\n5\n6\n7\n"),
        ),
        (library("one", "@@ -1,1 +0,0 @@\n-1\n"), one("one", "")),
        (
            library("empty", "@@ -0,0 +1,1 @@\n+1\n"),
            one("empty", "1\n"),
        ),
        (
            library(
                "open",
                "@@ -1,1 +1,1 @@\n-1\n\\ No newline at end of file\n+1\n",
            ),
            one("open", "1\n"),
        ),
        (
            library("x y", "@@ -0,0 +1,1 @@\n+1\n")
                .replace("--- r/x y", "--- /dev/null")
                .replace("r.new/x y", "\"r.new/x y\""),
            one("x y", "1\n"),
        ),
        (
            library("one", "@@ -1,1 +0,0 @@\n-1\n").replace("r.new/one", "/dev/null"),
            gone("one"),
        ),
        (
            "diff --git r/x r.new/x\nnew file mode 100644\n".to_owned(),
            one("x", ""),
        ),
        (
            "diff --git \"r/x y\" \"r.new/x y\"\nnew file mode 100644\n".to_owned(),
            one("x y", ""),
        ),
        (
            "diff --git r/empty r.new/empty\ndeleted file mode 100644\n".to_owned(),
            gone("empty"),
        ),
        // Names as in opam up to 2.5.
        (
            "diff --git r.new/x r.new/x\nnew file mode 100644\n".to_owned(),
            one("x", ""),
        ),
        (
            "diff --git r/empty r/empty\ndeleted file mode 100644\n".to_owned(),
            gone("empty"),
        ),
    ];
    for (patch, expected) in table {
        assert_eq!(changed(&patch), expected, "{patch}");
        let parsed = Patch::parse(patch.as_bytes()).unwrap();
        assert_eq!(parsed.style(), Style::Library, "{patch}");
        // opam 2.6 keeps repositories packed, and shows that in its names.
        let packed = patch
            .replace("r.new/", "r.tar.gz.new/")
            .replace("r/", "r.tar.gz/");
        assert_eq!(changed(&packed), expected, "{packed}");
        // Mixed with other files, in any order, first or last.
        let other = library("dir/file", "@@ -1,1 +1,1 @@\n-1\n+2\n");
        assert_eq!(changed(&(patch.clone() + &other)).len(), 2);
        assert_eq!(changed(&(other + &patch)).len(), 2);
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn patch_tricks_of_the_library() {
    let created = "diff --git r/x r.new/x\nnew file mode 100644\n";
    let table = [
        // As other programs would write it.
        (
            library("lines", "@@ -9,0 +10,1 @@\n+10\n"),
            Refused::Numbers,
        ),
        (library("lines", "@@ -9,0 +9,1 @@\n+10\n"), Refused::Place),
        (library("lines", FIFTH), Refused::NotUnderstood),
        (library("one", "@@ -1 +1,1 @@\n-1\n+2\n"), Refused::Numbers),
        (library("one", "@@ -1,1 +1 @@\n-1\n+2\n"), Refused::Numbers),
        (
            library("one", "@@ -1,1 +1,1 @@ heading\n-1\n+2\n"),
            Refused::Numbers,
        ),
        (
            library("one", "@@ -1,1 +1,1 @@\n+2\n-1\n"),
            Refused::NotUnderstood,
        ),
        // Not up to the end of the file.
        (
            library("lines", "@@ -5,1 +5,1 @@\n-5\n+five\n"),
            Refused::Place,
        ),
        (
            library("lines", &FROM_FIFTH.replace("+9\n", "")),
            Refused::CutOff,
        ),
        (
            library(
                "lines",
                &format!("{FROM_FIFTH}@@ -9,1 +9,1 @@\n-9\n+nine\n"),
            ),
            Refused::NotUnderstood,
        ),
        (
            library(
                "open",
                "@@ -1,1 +0,0 @@\n-1\n\\ No newline at end of file\n",
            ),
            Refused::OpenEnd(path("open")),
        ),
        // Other styles among its files, and its style among theirs.
        (
            library("lines", FROM_FIFTH)
                + &git("one", "@@ -1 +1 @@\n-1\n+2\n")
                    .replace("a/", "r/")
                    .replace("b/", "r.new/"),
            Refused::NotUnderstood,
        ),
        (
            git("one", "@@ -1 +1 @@\n-1\n+2\n") + &library("lines", FROM_FIFTH),
            Refused::NotUnderstood,
        ),
        (
            library("lines", FROM_FIFTH) + &plain("one", "@@ -1 +1 @@\n-1\n+2\n"),
            Refused::NotUnderstood,
        ),
        (
            plain("one", "@@ -1 +1 @@\n-1\n+2\n") + &library("lines", FROM_FIFTH),
            Refused::NotUnderstood,
        ),
        (
            git("one", "@@ -1 +1 @@\n-1\n+2\n")
                + &created.replace("r.new", "b").replace("r/", "a/"),
            Refused::Index,
        ),
        (created.replace("100644", "100755"), Refused::Index),
        (created.replace("100644", "120000"), Refused::Mode),
        // Names.
        (
            library("x y", "@@ -1,1 +1,1 @@\n-1\n+2\n"),
            Refused::NameWithSpaces,
        ),
        (
            library("one", "@@ -1,1 +1,1 @@\n-1\n+2\n").replace("r/one", "\"r/one\""),
            Refused::NotUnderstood,
        ),
        (
            library("one", "@@ -1,1 +1,1 @@\n-1\n+2\n").replace("r.new/one", "r.new/lines"),
            Refused::NamesDiffer,
        ),
        (
            library("one", "@@ -1,1 +1,1 @@\n-1\n+2\n").replace("r.new/one", "/dev/null"),
            Refused::NotWhole,
        ),
        (
            library("lines", FROM_FIFTH)
                + &library("one", "@@ -1,1 +1,1 @@\n-1\n+2\n").replace("r/", "q/"),
            Refused::Prefixes,
        ),
        (
            library("lines", FROM_FIFTH) + &library("lines", FROM_FIFTH),
            Refused::Twice(path("lines")),
        ),
        (
            "diff --git r/one r.new/one\ndeleted file mode 100644\n".to_owned(),
            Refused::Index,
        ),
        (
            "diff --git r/one r.new/one\nnew file mode 100644\n".to_owned(),
            Refused::Exists(path("one")),
        ),
    ];
    for (patch, expected) in table {
        assert_eq!(applied(&patch), Err(expected), "{patch}");
    }
}

#[test]
fn an_empty_line_of_context_may_lack_its_blank() {
    let mut base = MemoryStore::new();
    base.insert("f", "1\n\n2\n3\n");
    let patch = git("f", "@@ -1,4 +1,4 @@\n 1\n\n-2\n+two\n 3\n");
    let parsed = Patch::parse(patch.as_bytes()).unwrap();
    let overlay = parsed.apply(base).unwrap();
    let files: Vec<_> = overlay.files().collect();
    assert_eq!(files, [(&path("f"), Some(&b"1\n\ntwo\n3\n"[..]))]);
}

#[test]
fn what_a_packed_copy_would_lose() {
    let mut base = MemoryStore::new();
    for name in [
        "p/opam",
        "p/files/a",
        "p/files/b",
        "p.1/opam",
        "top",
        "repo",
    ] {
        base.insert(name, "1\n");
    }
    let gone = |name: &str| {
        library(name, "@@ -1,1 +0,0 @@\n-1\n").replace(&format!("r.new/{name}"), "/dev/null")
    };
    let come = |name: &str| {
        library(name, "@@ -0,0 +1,1 @@\n+2\n").replace(&format!("r/{name}"), "/dev/null")
    };
    let refused = |patch: &str| {
        let parsed = Patch::parse(patch.as_bytes()).unwrap();
        let result = parsed.apply(&base).unwrap();
        parsed.check_packed(&result).err().map(|error| error.reason)
    };
    let lost = |removed: &str, lost: &str| Some(Refused::Packed(path(removed), path(lost)));
    assert_eq!(refused(&gone("p/files/a")), lost("p/files/a", "p/files/b"));
    assert_eq!(refused(&(gone("p/files/a") + &gone("p/files/b"))), None);
    assert_eq!(
        refused(&(gone("p/files/a") + &gone("p/files/b") + &come("p/files/c"))),
        None
    );
    assert!(refused(&gone("p/opam")).is_some());
    let all = gone("p/opam") + &gone("p/files/a") + &gone("p/files/b");
    assert_eq!(refused(&all), None);
    // At the top, nothing else is lost.
    assert_eq!(refused(&gone("top")), None);
    assert_eq!(refused(&gone("p.1/opam")), None);
    // An edited file is not a created one.
    let edit = library("p/files/b", "@@ -1,1 +1,1 @@\n-1\n+2\n");
    assert_eq!(
        refused(&(gone("p/files/a") + &edit)),
        lost("p/files/a", "p/files/b")
    );
}
