//! Source forms of `opam/1` and `repo/1`.

use conex_core::tree::projection::Projection;
use conex_repo::opam::{OpamProjection, RepoProjection};
use conex_tests::opam_file;
use serde_json::json;

use super::{Cases, hex};

pub(super) fn add(cases: &mut Cases) {
    let honest = opam_file("4.08", "dune");
    let mut put_under = |projection: &dyn Projection, name: &str, text: &str| {
        let mut source = Vec::new();
        let result = projection.project(text.as_bytes(), &mut source);
        let case = match result {
            Ok(()) => json!({
                "projection": projection.name(),
                "input": text,
                "source": String::from_utf8_lossy(&source),
                "source_hex": hex(&source),
            }),
            Err(unreadable) => json!({
                "projection": projection.name(),
                "input": text,
                "unreadable": {"line": unreadable.line, "reason": unreadable.reason},
            }),
        };
        let name = format!("projections/{name}");
        assert!(
            cases.insert(name.clone(), case).is_none(),
            "{name} is there twice"
        );
    };
    put_under(&RepoProjection, "repo-honest", REPO);
    for (name, from, to) in REPO_EDITS {
        assert!(REPO.contains(from), "{from} is not in {REPO}");
        let name = format!("repo-{name}");
        put_under(&RepoProjection, &name, &REPO.replacen(from, to, 1));
    }
    let mut put = |name: &str, text: &str| put_under(&OpamProjection, name, text);
    put("honest", &honest);
    for (name, from, to) in EDITS {
        assert!(honest.contains(from), "{from} is not in {honest}");
        put(name, &honest.replacen(from, to, 1));
    }
    for (name, text) in WHOLE {
        put(name, text);
    }
    for (name, depth) in [("depth-32", 32), ("unreadable-depth-33", 33)] {
        let (open, close) = ("(".repeat(depth), ")".repeat(depth));
        put(
            name,
            &format!("opam-version: \"2.0\"\ndepends: [{open}\"a\"{close}]\n"),
        );
    }
}

/// Edits of an honest file. Those that are upkeep keep its source form.
const EDITS: &[(&str, &str, &str)] = &[
    ("upkeep-bound", "4.08", "5.0"),
    (
        "upkeep-bound-added",
        "{>= \"4.08\"}",
        "{>= \"4.08\" & < \"5.0\"}",
    ),
    ("upkeep-bound-removed", "{>= \"4.08\"}", ""),
    (
        "upkeep-bound-choice",
        "{>= \"4.08\"}",
        "{>= \"4.08\" | = \"4.02.3\"}",
    ),
    (
        "upkeep-bound-beside-filter",
        "{build}",
        "{build & >= \"2.0\"}",
    ),
    ("upkeep-synopsis", "A library of a story", "Another"),
    (
        "upkeep-description",
        "build:",
        "description: \"\"\"\nLong.\n\"\"\"\nbuild:",
    ),
    (
        "upkeep-available",
        "build:",
        "available: os != \"win32\"\nbuild:",
    ),
    (
        "upkeep-conflicts",
        "build:",
        "conflicts: [\"other\" {< \"2\"}]\nbuild:",
    ),
    (
        "upkeep-flags",
        "build:",
        "flags: [deprecated avoid-version]\nbuild:",
    ),
    ("upkeep-tags", "build:", "tags: [\"org:mirage\"]\nbuild:"),
    ("upkeep-comment", "build:", "# comment\nbuild:"),
    ("upkeep-white-space", "\n  \"ocaml\"", " \"ocaml\""),
    ("upkeep-carriage-returns", "\n", "\r\n"),
    ("source-build", "\"build\" \"-p\"", "\"evil\" \"-p\""),
    (
        "source-name",
        "\"dune\" {build}",
        "\"dune\" {build}\n  \"evil\"",
    ),
    ("source-filter-removed", " {build}", ""),
    ("source-filter-widened", "{build}", "{build | with-test}"),
    (
        "source-bound-or-filter",
        "{>= \"4.08\"}",
        "{>= \"4.08\" | with-test}",
    ),
    ("source-url", "example.org/foo", "evil.example/foo"),
    ("source-checksum", "sha256=e3", "sha256=f3"),
    ("source-maintainer", "dave@", "mallory@"),
    ("source-flag", "build:", "flags: [plugin]\nbuild:"),
    (
        "source-flag-by-tag",
        "build:",
        "tags: [\"flags:plugin\"]\nbuild:",
    ),
    ("source-extension", "build:", "x-anything: \"x\"\nbuild:"),
    (
        "source-depexts",
        "build:",
        "depexts: [[\"libx\"] {os = \"linux\"}]\nbuild:",
    ),
    (
        "source-messages",
        "build:",
        "messages: [\"run this\"]\nbuild:",
    ),
    (
        "unreadable-nested-comment",
        "build:",
        "(* a (* b *) c *)\nbuild:",
    ),
    (
        "unreadable-empty-group",
        "build:",
        "conflicts: [ () ]\nbuild:",
    ),
    (
        "unreadable-both-conflict",
        "build:",
        "conflicts: [ \"a\" & \"b\" ]\nbuild:",
    ),
    ("unreadable-no-version-compared", "{>= \"4.08\"}", "{>= 4}"),
    (
        "unreadable-no-package",
        "build:",
        "conflicts: [ \"a.1\" ]\nbuild:",
    ),
    (
        "unreadable-defined-bound",
        "{>= \"4.08\"}",
        "{?(>= \"4.08\")}",
    ),
    ("unreadable-twice", "build:", "synopsis: \"again\"\nbuild:"),
    ("unreadable-escape", "A library", "\\q A library"),
    ("unreadable-open-string", "story\"", "story"),
    ("unreadable-open-bracket", "]\nbuild", "\nbuild"),
    ("unreadable-control", "build:", "\u{1}build:"),
    ("unreadable-no-version", "opam-version: \"2.0\"\n", ""),
    ("unreadable-newer", "\"2.0\"", "\"3.0\""),
    (
        "unreadable-later-version",
        "opam-version: \"2.0\"\n",
        "build: []\nopam-version: \"2.0\"\n",
    ),
];

const WHOLE: &[(&str, &str)] = &[
    ("empty", ""),
    ("smallest", "opam-version: \"2.0\"\n"),
    (
        "old-format",
        "opam-version: \"1.2\"\navailable: [os != \"darwin\"]\ndepends: [\"x\" {> \"1\"}]\n",
    ),
    ("only-comment", "# nothing\n"),
    (
        "bounds",
        "opam-version: \"2.0\"\ndepends: [\n  \"a\" {>= \"1\" & with-test & < \"2\"}\n  \
         \"b\" {>= \"1\" | = \"0.9\"}\n  \"c\" {build & (>= \"1\" | = \"0.9\")}\n  \
         \"d\" {(build & >= \"1\") & < \"2\"}\n  \"e\" {build | >= \"1\"}\n  \"f\" {!(>= \"1\")}\n  \
         \"g\" {= other}\n  \"h\" {= version}\n  \"i\" {= \"a%{b}%\"}\n  \"j\" {>= \"1\" < \"2\"}\n  \"k\" {}\n  \
         \"l\" {build | (with-test & >= \"1\")}\n  \"m\" {!build & >= \"1\"}\n]\n",
    ),
    (
        "bounds-of-depopts",
        "opam-version: \"2.0\"\ndepopts: [\"a\" {>= \"1\" & build} | (\"b\" {< \"2\"} & \"c\")]\n",
    ),
    (
        "bounds-without-brackets",
        "opam-version: \"2.0\"\ndepends: \"a\" {>= \"1\"}\n",
    ),
    (
        "escapes",
        "opam-version: \"2.0\"\nbuild: [\"\\\\ \\\" \\' \\n \\r \\t \\b \\  \\\n \\x4f \\255\"]\n",
    ),
    (
        "string-in-three-quotes",
        "opam-version: \"2.0\"\nbuild: [\"\"\"a \"b\" \n c\"\"\"]\n",
    ),
    (
        "words",
        "opam-version: \"2.0\"\nbuild: [a+b:c _:d 12 -3 a-1 true]\nx-a: b+=\"c\"\n",
    ),
    (
        "flags-and-tags",
        "opam-version: \"2.0\"\nflags: plugin\ntags: [\"flags:light-uninstall\" \"a\" \"\\x61\"]\n",
    ),
    (
        "flags-of-upkeep",
        "opam-version: \"2.0\"\nflags: deprecated\ntags: \"a\"\n",
    ),
    (
        "conflicts-choice",
        "opam-version: \"2.0\"\nconflicts: [\"a\" | \"b\" {< \"2\"} \"c\"]\n",
    ),
    (
        "sections",
        "opam-version: \"2.0\"\nextra-source \"a\" { src: \"b\" }\nextra-source \"c\" { src: \"b\" }\nextra-source { src: \"b\" }\n",
    ),
    (
        "unreadable-section-and-field",
        "opam-version: \"2.0\"\nx-a: 1\nx-a { b: 1 }\n",
    ),
    (
        "unreadable-section-and-field-url",
        "opam-version: \"2.0\"\nurl: \"a\"\nurl { src: \"a\" }\n",
    ),
    (
        "unreadable-section-twice",
        "opam-version: \"2.0\"\nextra-source \"a\" { src: \"b\" }\nextra-source \"a\" { src: \"c\" }\n",
    ),
    (
        "unreadable-comment-at-the-end",
        "opam-version: \"2.0\"\n# comment",
    ),
    ("unreadable-carriage-return", "opam-version: \"2.0\"\r"),
    (
        "unreadable-escape-256",
        "opam-version: \"2.0\"\nbuild: [\"\\256\"]\n",
    ),
    (
        "unreadable-integer",
        "opam-version: \"2.0\"\nbuild: [1234567890]\n",
    ),
    ("unreadable-plus", "opam-version: \"2.0\"\nbuild: [a+ b]\n"),
    (
        "unreadable-string-behind-string",
        "opam-version: \"2.0\"\nbuild: [\"a\"\"b\"]\n",
    ),
    (
        "unreadable-list-of-lists",
        "opam-version: \"2.0\"\ntags: [[\"a\"]]\n",
    ),
    (
        "unreadable-1-2-behind-available",
        "available: true\nopam-version: \"1.2\"\n",
    ),
];

/// A file `repo` as people write it.
const REPO: &str = r#"# The repository of a story.
opam-version: "2.0"
browse: "https://packages.example.org"
upstream: "https://forge.example.org/packages"
archive-mirrors: "cache"
announce: [
  "Your opam is old." {opam-version < "2.1" & (os = "linux" | os = "macos")}
  "Be kind."
]
"#;

/// Edits of it: `server-` keeps the form, `signed-` changes it.
const REPO_EDITS: &[(&str, &str, &str)] = &[
    ("server-stamp", "browse:", "stamp: \"2026-11-28\"\nbrowse:"),
    (
        "server-browse",
        "packages.example.org",
        "mirror.example.org",
    ),
    ("server-upstream", "forge.example.org", "mirror.example.org"),
    (
        "server-order",
        "opam-version: \"2.0\"\nbrowse",
        "opam-version: \"2.0\" browse",
    ),
    ("server-brackets", "\"cache\"", "[\"cache\"]"),
    (
        "server-spelling",
        "\"Be kind.\"",
        "\"\"\"\\x42e\\ kind.\"\"\"",
    ),
    (
        "server-parentheses",
        "opam-version < \"2.1\" &",
        "((opam-version < \"2.1\")) &",
    ),
    ("server-true", "\"Be kind.\"", "\"Be kind.\" {true}"),
    ("server-empty-list", "browse:", "redirect: []\nbrowse:"),
    (
        "signed-mirror",
        "\"cache\"",
        "\"https://other.example.org\"",
    ),
    (
        "signed-redirect",
        "browse:",
        "redirect: \"https://other.example.org\"\nbrowse:",
    ),
    ("signed-announce", "Be kind.", "Be unkind."),
    ("signed-filter", "os = \"linux\" |", "os = \"linux\" &"),
    ("signed-version", "\"2.0\"", "\"1.2\""),
    ("signed-no-version", "opam-version: \"2.0\"\n", ""),
    ("signed-unknown-field", "browse:", "x-browse:"),
    (
        "signed-section",
        "browse:",
        "mirror \"a\" { url: \"b\" }\nbrowse:",
    ),
    ("unreadable-twice", "upstream:", "browse:"),
    ("unreadable-version", "\"2.0\"", "\"2.1\""),
    ("unreadable-stamp", "browse:", "stamp: \"a\\027b\"\nbrowse:"),
    ("unreadable-list", "\"cache\"", "[[\"cache\"]]"),
    (
        "unreadable-filter",
        "os = \"macos\")",
        "os = \"macos\" )}{(arch)",
    ),
];
