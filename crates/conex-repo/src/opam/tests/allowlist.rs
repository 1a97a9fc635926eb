//! Tables of what is left out, field by field.

use super::*;

#[test]
fn allowlisted_fields_are_left_out() {
    vanishes(&[
        "conflicts: [\"a\" {< \"1\"} | \"b\"]",
        "conflicts: \"a\"",
        "conflicts: []",
        "conflict-class: \"core\"",
        "conflict-class: [\"core\" \"other\"]",
        "available: os != \"win32\" & (arch = \"x86_64\" | !opam-version < \"2.1\")",
        "available: [ os-family = \"debian\" ]",
        "available: []",
        "available: false",
        "synopsis: \"what it does\"",
        "description: \"\"\"\nA \"quoted\" \\\"word\\\", # and no comment\n\"\"\"",
        "homepage: \"https://example.org\"",
        "homepage: [\"https://example.org\" \"https://example.net\"]",
        "doc: \"https://example.org/doc\"",
        "bug-reports: [\"https://example.org/issues\"]",
        "license: [\"MIT\" \"ISC\"]",
        "authors: [\"Alice <alice@example.org>\"]",
        "x-maintenance-intent: [\"(latest)\"]",
        "x-maintained: false",
        "x-ci-accept-failures: [\"debian-11\"]",
        "x-reason-for-archiving: [\"ocaml-version\"]",
        "# only a comment",
    ]);
}

#[test]
fn every_other_field_is_source() {
    reads(&[
        ("maintainer: \"a@b.c\"", "maintainer : \"a@b.c\"\n"),
        ("author: \"a@b.c\"", "author : \"a@b.c\"\n"),
        (
            "messages: [\"m\" {os = \"x\"}]",
            "messages : [ \"m\" { os = \"x\" } ]\n",
        ),
        (
            "depexts: [[\"libx\"] {os-family = \"debian\"}]",
            "depexts : [ [ \"libx\" ] { os-family = \"debian\" } ]\n",
        ),
        (
            "dev-repo: \"git+https://x\"",
            "dev-repo : \"git+https://x\"\n",
        ),
        (
            "pin-depends: [\"a.1\" \"https://x\"]",
            "pin-depends : [ \"a.1\" \"https://x\" ]\n",
        ),
        (
            "x-env-path-rewrite: [[PATH \":\" \"target\"]]",
            "x-env-path-rewrite : [ [ PATH \":\" \"target\" ] ]\n",
        ),
        ("x-maintained-by: \"us\"", "x-maintained-by : \"us\"\n"),
        ("setenv: [PATH += \"x\"]", "setenv : [ PATH += \"x\" ]\n"),
        (
            "build: [make \"-j%{jobs}%\"] {_:build & ?x}",
            "build : [ make \"-j%{jobs}%\" ] { _:build & ? x }\n",
        ),
        (
            "ocaml-version: [>= \"4.01\"]",
            "ocaml-version : [ >= \"4.01\" ]\n",
        ),
        ("os: [!\"win32\"]", "os : [ ! \"win32\" ]\n"),
        (
            "features: x {\"a\" {>= \"1\"}} {\"y\"}",
            "features : x { \"a\" { >= \"1\" } } { \"y\" }\n",
        ),
    ]);
}

#[test]
fn upkeep_flags_are_left_out() {
    vanishes(&[
        "flags: deprecated",
        "flags: avoid-version",
        "flags: [avoid-version deprecated]",
        "flags: []",
    ]);
    reads(&[
        ("flags: plugin", "flags : [ plugin ]\n"),
        ("flags: [plugin]", "flags : [ plugin ]\n"),
        (
            "flags: [deprecated compiler avoid-version conf]",
            "flags : [ compiler conf ]\n",
        ),
        ("flags: unheard-of", "flags : [ unheard-of ]\n"),
    ]);
    let reason = "not what a list of flags or tags is made of";
    refuses(&[
        ("flags: \"deprecated\"", reason),
        ("flags: [[deprecated]]", reason),
        ("flags: (deprecated)", reason),
        ("flags: [deprecated:x]", reason),
        (
            "flags: deprecated {x}",
            "a field or section should begin here",
        ),
        (
            "flags: deprecated & plugin",
            "a field or section should begin here",
        ),
        ("flags: [deprecated & plugin]", reason),
        ("flags: true", reason),
    ]);
}

#[test]
fn tags_that_set_no_flag_are_left_out() {
    vanishes(&[
        "tags: \"org:x\"",
        "tags: [\"a\" \"\"\"b\"\"\" \"no flags:x\"]",
        "tags: []",
    ]);
    reads(&[
        ("tags: \"flags:plugin\"", "tags : [ \"flags:plugin\" ]\n"),
        (
            "tags: [\"a\" \"flags:light-uninstall\" \"b\"]",
            "tags : [ \"flags:light-uninstall\" ]\n",
        ),
        (
            "tags: [\"\"\"flags:plugin\"\"\"]",
            "tags : [ \"\"\"flags:plugin\"\"\" ]\n",
        ),
        (
            "tags: [\"\\102lags:plugin\" \"fl\\\nags:x\" \"a\"]",
            "tags : [ \"\\102lags:plugin\" \"fl\\\nags:x\" ]\n",
        ),
    ]);
    let reason = "not what a list of flags or tags is made of";
    refuses(&[
        ("tags: a", reason),
        ("tags: [\"a\" {x}]", reason),
        ("tags: [[\"a\"]]", reason),
    ]);
}

#[test]
fn an_allowlisted_field_of_another_shape_is_refused() {
    refuses(&[
        ("synopsis: [\"a\"]", "a string should stand here"),
        ("synopsis: a", "a string should stand here"),
        ("description: true", "a string should stand here"),
        (
            "synopsis: \"a\" {x}",
            "a field or section should begin here",
        ),
        (
            "synopsis: \"a\" \"b\"",
            "a field or section should begin here",
        ),
        ("homepage: [\"a\" {x}]", "a string should stand here"),
        ("license: [[\"a\"]]", "a string should stand here"),
        ("authors: [\"a\" & \"b\"]", "a string should stand here"),
        ("conflict-class: [a]", "a package name should stand here"),
        ("conflicts: [a]", "a package name should stand here"),
        ("available: [a b]", "a bracket should be closed here"),
        ("available: [\"a\" {b}]", "a bracket should be closed here"),
        ("available: [a] & b", "a field or section should begin here"),
        (
            "available: a += \"b\"",
            "a field or section should begin here",
        ),
        ("x-maintained: [a", "a value should stand here"),
    ]);
}

/// opam 2 reads a compiler constraint in it as a dependency.
#[test]
fn available_is_source_in_format_1_2() {
    let available = "available: [ocaml-version >= \"4.01\"]\n";
    let old = project(format!("opam-version: \"1.2\"\n{available}"));
    assert_eq!(
        old.unwrap(),
        "opam-version : \"1.2\"\navailable : [ ocaml-version >= \"4.01\" ]\n"
    );
    assert!(project(format!("{available}opam-version: \"1.2\"\n")).is_err());
    assert_eq!(
        project(format!("{available}opam-version: \"2.0\"\n")).unwrap(),
        "opam-version : \"2.0\"\n"
    );
}
