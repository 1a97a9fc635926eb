//! Tables of the kinds of edits, and of edits that force an older release.

use super::*;

/// Returns the kinds of an edit from one list of fields to another, as people see them.
fn told(old: &str, new: &str) -> String {
    let [old, new] = [old, new].map(|fields| format!("opam-version: \"2.0\"\n{fields}\n"));
    kinds(Some(old.as_bytes()), Some(new.as_bytes())).to_string()
}

#[test]
fn an_edit_is_of_the_kinds_of_what_it_touches() {
    for (old, new, expected) in [
        ("", "", ""),
        ("depends: [\"a\"]", "depends: [\"a\" {>= \"1\"}]", "bounds"),
        (
            "depopts: [\"a\" {< \"1\"}]",
            "depopts: [\"a\" {< \"2\"}]",
            "bounds",
        ),
        (
            "depends: [\"a\" {build & < \"1\"}]",
            "depends: [\"a\" {build}]",
            "bounds",
        ),
        ("depends: [\"a\" {build}]", "depends: [\"a\"]", "source"),
        ("depends: [\"a\" \"b\"]", "depends: [\"b\" \"a\"]", "source"),
        ("depends: [\"a\" \"b\"]", "depends: [\"a\"]", "source"),
        (
            "depends: [\"a\"]",
            "depends: [\"a\" \"b\"]",
            "source, new dependency",
        ),
        ("", "depends: [\"a\"]", "source, new dependency"),
        (
            "depopts: [\"a\"]",
            "depends: [\"a\"]",
            "source, new dependency",
        ),
        (
            "depends: [\"a\" {< \"1\"}]",
            "depends: [\"a\" {< \"2\"} \"b\" {< \"1\"}]",
            "source, new dependency, bounds",
        ),
        (
            "depends: [\"a\" \"b\" {< \"1\"}]",
            "depends: [\"b\" {< \"1\"}]",
            "source",
        ),
        // Under `|` beside a filter, a bound decides whether there is a dependency.
        (
            "depends: [\"a\" {dev | < \"1\"}]",
            "depends: [\"a\" {dev | < \"2\"}]",
            "source, bounds",
        ),
        ("", "conflicts: [\"a\"]", "conflicts"),
        ("conflict-class: \"a\"", "", "conflicts"),
        ("", "available: os != \"win32\"", "availability"),
        ("", "flags: avoid-version", "flags"),
        ("flags: [plugin]", "flags: [plugin deprecated]", "flags"),
        ("", "flags: plugin", "source"),
        ("synopsis: \"a\"", "synopsis: \"b\"", "descriptive"),
        ("tags: \"a\"", "tags: [\"a\" \"b\"]", "descriptive"),
        ("tags: \"a\"", "tags: [\"a\" \"flags:conf\"]", "source"),
        ("", "x-maintenance-intent: [\"(latest)\"]", "maintenance"),
        ("", "x-other: 1", "source"),
        ("maintainer: \"a\"", "maintainer: \"b\"", "source"),
        ("url { src: \"a\" }", "url { src: \"b\" }", "source"),
        (
            "extra-source \"a\" { src: \"a\" }",
            "extra-source \"b\" { src: \"a\" }",
            "source",
        ),
        ("synopsis: \"a\"", "synopsis:   \"a\" # so", "layout"),
        (
            "synopsis: \"a\" doc: \"b\"",
            "doc: \"b\" synopsis: \"a\"",
            "layout",
        ),
        (
            "build: \"a\" install: \"b\"",
            "install: \"b\" build: \"a\"",
            "source",
        ),
        (
            "synopsis: \"a\" depends: \"a\"",
            "synopsis: \"b\" depends: \"a\" {= \"1\"} available: false",
            "bounds, availability, descriptive",
        ),
        // It cannot be read, so all of it is source.
        (
            "synopsis: \"a\"",
            "synopsis: \"a\" synopsis: \"b\"",
            "source",
        ),
        ("synopsis: (* a *) \"a\"", "synopsis: \"a\"", "source"),
    ] {
        assert_eq!(told(old, new), expected, "{old}   ->   {new}");
    }
}

#[test]
fn in_the_old_format_availability_is_source() {
    let old = b"opam-version: \"1.2\"\n".as_slice();
    let new = b"opam-version: \"1.2\"\navailable: false\n".as_slice();
    assert_eq!(kinds(Some(old), Some(new)).to_string(), "source");
}

#[test]
fn releases_come_and_go() {
    let file = b"opam-version: \"2.0\"\n".as_slice();
    assert_eq!(kinds(None, Some(file)), Kind::NewRelease.into());
    assert_eq!(kinds(Some(file), None), Kind::Removal.into());
    assert!(kinds(None, None).is_empty());
    assert!(!kinds(None, Some(file)).is_upkeep() && !kinds(None, None).is_upkeep());
}

#[test]
fn kinds_are_told_in_their_order_once() {
    let mut kinds = Kinds::from(Kind::Descriptive);
    kinds.extend([Kind::Bounds, Kind::Descriptive]);
    assert_eq!(kinds.to_string(), "bounds, descriptive");
    assert!(kinds.is_upkeep());
    kinds.insert(Kind::Source);
    assert!(!kinds.is_upkeep());
    for kind in Kind::ALL {
        assert_eq!(Kinds::from(kind).iter().collect::<Vec<_>>(), [kind]);
    }
}

#[test]
fn what_is_fetched_is_told_from_the_rest() {
    let file = |fields: &str| format!("opam-version: \"2.0\"\n{fields}\n");
    let old = file("url { src: \"a\" checksum: \"md5=1\" }\nextra-source \"x\" { src: \"b\" }");
    for (new, otherwise) in [
        (
            "url { src: \"a\"\n checksum: \"md5=1\" }\nextra-source \"x\" { src: \"b\" }\nbuild: \"make\"",
            false,
        ),
        (
            "url { src: \"a\" checksum: \"md5=2\" }\nextra-source \"x\" { src: \"b\" }",
            true,
        ),
        (
            "url { src: \"a\" checksum: \"md5=1\" }\nextra-source \"y\" { src: \"b\" }",
            true,
        ),
        ("url { src: \"a\" checksum: \"md5=1\" }", true),
    ] {
        let new = file(new);
        let edit = Edit::read(old.as_bytes(), new.as_bytes()).expect("both are opam files");
        assert_eq!(edit.fetches_otherwise(), otherwise, "{new}");
    }
}

fn forces_old(release: &str, old: &str, new: &str) -> Vec<Forced> {
    let edit = Edit::read(old.as_bytes(), new.as_bytes()).expect("both are opam files");
    edit.forces_old(release)
}

/// Returns what an edit of `depends` in release 7 forces.
fn forced(old: &str, new: &str) -> Vec<String> {
    let file = |fields: &str| format!("opam-version: \"2.0\"\n{fields}\n");
    let found = forces_old("7", &file(old), &file(new));
    let told = |forced: &Forced| {
        let before = forced
            .before
            .as_ref()
            .map(|limit| format!(" (was {limit})"));
        format!(
            "{} {}{}",
            forced.package,
            forced.limit,
            before.unwrap_or_default()
        )
    };
    found.iter().map(told).collect()
}

#[test]
fn a_bound_that_was_added_or_lowered_forces_an_older_release() {
    for (old, new, expected) in [
        ("\"a\"", "\"a\" {< \"2\"}", "a < 2"),
        ("\"a\"", "\"a\" {= \"2\"}", "a <= 2"),
        ("\"a\"", "\"a\" {= version}", "a <= 7"),
        ("\"a\"", "\"a\" {>= \"1\" & <= \"2\"}", "a <= 2"),
        ("\"a\"", "\"a\" {>= \"1\" <= \"2\"}", "a <= 2"),
        ("\"a\" {<= \"2\"}", "\"a\" {< \"2\"}", "a < 2 (was <= 2)"),
        ("\"a\" {< \"10\"}", "\"a\" {< \"9\"}", "a < 9 (was < 10)"),
        ("\"a\" {build}", "\"a\" {build & < \"9\"}", "a < 9"),
        ("\"a\"", "\"a\" {< \"1\" | = \"3\"}", "a <= 3"),
        (
            "\"a\"",
            "\"a\" {(< \"5\" | = \"3\") & != \"1\" & < \"8\"}",
            "a < 5",
        ),
        ("\"a\"", "\"a\" {!(>= \"5\" | > \"4\")}", "a <= 4"),
        ("\"a\"", "\"a\" {! >= \"5\"}", "a < 5"),
        // The first of the two is unchanged, the second is lowered.
        (
            "(\"a\" {< \"2\"} | \"a\" {>= \"3\"})",
            "(\"a\" {< \"2\"} | \"a\" {>= \"3\" & < \"4\"})",
            "a < 4",
        ),
    ] {
        let [old, new] = [old, new].map(|formula| format!("depends: [{formula}]"));
        assert_eq!(forced(&old, &new), [expected], "{old}   ->   {new}");
    }
}

#[test]
fn other_edits_force_nothing() {
    for (old, new) in [
        ("\"a\" {< \"2\"}", "\"a\" {< \"2\"}"),
        ("\"a\" {< \"2\"}", "\"a\" {<= \"2\"}"),
        ("\"a\" {< \"2\"}", "\"a\" {>= \"1\" & < \"2\"}"),
        ("\"a\" {< \"2\"}", "\"a\""),
        ("\"a\"", "\"a\" {>= \"1\"}"),
        ("\"a\"", "\"a\" {!= \"1\"}"),
        ("\"a\"", "\"a\" {>= \"3\" | < \"2\"}"),
        ("\"a\"", "\"a\" {!(< \"3\")}"),
        ("\"a\" {= version}", "\"a\" {= \"7\"}"),
        ("\"a\"", "\"a\" {os = \"linux\"}"),
        ("\"a\"", "\"a\" \"b\" {< \"1\"}"),
    ] {
        let [old, new] = [old, new].map(|formula| format!("depends: [{formula}]"));
        assert_eq!(forced(&old, &new), [""; 0], "{old}   ->   {new}");
    }
}

#[test]
fn a_conflict_with_what_is_newer_forces_what_is_older() {
    for (old, new, expected) in [
        ("", "\"a\" {>= \"2\"}", &["a < 2"][..]),
        ("", "\"a\" {> \"2\"}", &["a <= 2"]),
        ("\"a\" {>= \"3\"}", "\"a\" {>= \"2\"}", &["a < 2 (was < 3)"]),
        ("", "\"a\" {>= \"2\" | = \"1\"}", &["a < 2"]),
        ("", "\"a\" {>= \"2\" & < \"3\"}", &[]),
        ("", "\"a\" {< \"2\"}", &[]),
        ("", "\"a\"", &[]),
        ("\"a\" {>= \"2\"}", "\"a\" {>= \"3\"}", &[]),
    ] {
        let [old, new] = [old, new].map(|formula| format!("conflicts: [{formula}]"));
        assert_eq!(forced(&old, &new), expected, "{old}   ->   {new}");
    }
}

#[test]
fn what_was_let_in_and_is_not_any_more_is_shut_out() {
    let file = |bound: &str| format!("opam-version: \"2.0\"\ndepends: \"a\" {{{bound}}}\n");
    let (old, new) = (file("<= \"3\""), file("< \"2\""));
    let found = forces_old("1", &old, &new);
    let [forced] = found.as_slice() else {
        panic!("{found:?}")
    };
    for (version, excluded) in [("1.9", false), ("2", true), ("3", true), ("3.1", false)] {
        assert_eq!(forced.excludes(version), excluded, "{version}");
    }
    assert!(Edit::read(b"x", new.as_bytes()).is_none());
}
