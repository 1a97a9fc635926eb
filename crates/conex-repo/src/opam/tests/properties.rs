//! Properties: upkeep never appears in the form, everything else always does, and nothing panics.

use core::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::opam::edit::{self, Edit, kinds};
use crate::opam::lexer::{Kind, Lexer};

/// Files as people write them.
const SAMPLES: [&str; 3] = [
    r#"opam-version: "2.0"
synopsis: "Promises and event-driven I/O"
description: """A promise is a value that may become determined in the future.

"Quoted", and \"\"\" \\ backslash."""
maintainer: ["Alice <alice@example.org>" "Bob <bob@example.org>"]
authors: ["Alice"]
license: "MIT"
tags: ["org:example" "flags:light-uninstall" "async"]
homepage: "https://example.org/lwt"
doc: "https://example.org/lwt/doc"
bug-reports: "https://example.org/lwt/issues"
depends: [
  "dune" {>= "2.7" & build}
  "ocaml" {>= "4.08" & < "5.3~"}
  "cppo" {build & >= "1.1.0" | dev}
  ("luv" {with-test & (>= "0.5" | = "0.4.1")} | "uv")
  "ocplib-endian" {= version}
  "odoc" {with-doc}
]
depopts: ["base-threads" "conf-libev" {!(= "4")}]
conflicts: ["ocaml-variants" {= "4.02.1+BER"}]
available: os != "win32" & arch = "x86_64"
flags: [ plugin avoid-version ]
build: [
  ["dune" "subst"] {dev}
  ["dune" "build" "-p" name "-j" jobs "@runtest" {with-test & os != "macos"}]
]
dev-repo: "git+https://example.org/lwt.git"
x-commit-hash: "0123456789abcdef"
url {
  src: "https://example.org/lwt-5.tar.gz"
  checksum: [
    "md5=64b49dbc3205477bd7517642c0b9cbb6"
    "sha256=02fb5b4fb575af79e092492cbec6dc0d15a1d74a07f827f657a72d4e60665326"
  ]
}
extra-source "fix.patch" {
  src: "https://example.org/fix.patch"
}
"#,
    r#"# An old one, from before opam 2.
opam-version: "1.2"
maintainer: "carol@example.org"
ocaml-version: [>= "3.12"]
os: ["linux" | "darwin"]
available: [ocaml-version >= "4.01.0" & compiler != "4.02.0+x"]
build: [
  [make "PREFIX=%{prefix}%"]
  ["./configure" "--%{lwt+ssl:enable}%-ssl"] {"%{os}%" != "win32"}
]
remove: [["ocamlfind" "remove" "x"]]
depends: ["ocamlfind" {build} "camlp4"]
depexts: [[["debian" "ubuntu"] ["libx-dev"]]]
install: ["cp" "-R" "." _:doc]
"#,
    r#"opam-version: "2.0"
setenv: [[PATH += "%{lib}%/x"] [FOO =: "a:b"]]
build-env: [CFLAGS = "-O2\
   -g"]
patches: ["a.patch" {os = "win32"} "b.patch"]
messages: ["read me" {ocaml:native & ?foo+bar:enable}]
features: x {"a" {>= "1"} & "b"} {"has x"}
depexts: [["libx-dev"] {os-family = "debian"} ["x"] {os = "freebsd"}]
post-messages: "done" {success & !failure}
"#,
];

/// One opam file spelled twice, with different upkeep and layout.
#[derive(Debug, Clone, Default)]
struct Twins([String; 2]);

impl Twins {
    fn both(text: &str) -> Self {
        Twins([text.into(), text.into()])
    }

    fn join(parts: &[Twins], separator: &str) -> Self {
        Twins([0, 1].map(|side| {
            let texts: Vec<_> = parts.iter().map(|part| part.0[side].as_str()).collect();
            texts.join(separator)
        }))
    }

    fn around(self, before: &str, after: &str) -> Self {
        Twins(self.0.map(|text| format!("{before}{text}{after}")))
    }
}

fn layout() -> impl Strategy<Value = String> {
    let space = select(vec![
        " ",
        "\n",
        "\t",
        "\r\n",
        " # (* \"comment\n",
        "#\n  ",
        "  ",
    ]);
    prop::collection::vec(space, 1..3).prop_map(|spaces| spaces.concat())
}

fn bound() -> impl Strategy<Value = String> {
    let operator = select(vec!["=", "!=", "<", "<=", ">", ">="]);
    let version = prop_oneof![
        "[0-9a-zA-Z.~+_-]{1,6}".prop_map(|version| format!("\"{version}\"")),
        Just("version".to_owned())
    ];
    (operator, layout(), version)
        .prop_map(|(operator, space, version)| operator.to_owned() + &space + &version)
}

/// Generates a formula of bounds only.
fn bounds() -> impl Strategy<Value = String> {
    bound().prop_recursive(3, 8, 3, |inner| {
        let operator = select(vec![" & ", "|"]);
        prop_oneof![
            inner.clone().prop_map(|formula| format!("({formula})")),
            (inner.clone(), operator, inner)
                .prop_map(|(left, operator, right)| left + operator + &right),
        ]
    })
}

/// Generates an operand of a conjunction of bounds.
fn bounds_item() -> impl Strategy<Value = String> {
    prop_oneof![bound(), bounds().prop_map(|formula| format!("({formula})"))]
}

/// Generates a constraint that is not about the version, or not a conjunction.
fn filter() -> impl Strategy<Value = String> {
    select(vec![
        "build",
        "with-test",
        "!dev",
        "os = \"linux\"",
        "!(>= \"1\")",
        "(build | >= \"1\")",
        "foo+bar:enable",
        ">= \"%{x}%\"",
        "(dev & (build | post))",
        "?_:x",
    ])
    .prop_map(str::to_owned)
}

/// Generates the items of a conjunction: filters in both twins, bounds anywhere.
fn conjunction() -> impl Strategy<Value = Twins> {
    let mixed = |filters: Vec<String>, extra: Vec<(Index, String)>| {
        let mut items = filters;
        for (at, bound) in extra {
            items.insert(at.index(items.len() + 1), bound);
        }
        items.join(" & ")
    };
    let extra = || prop::collection::vec((any::<Index>(), bounds_item()), 0..3);
    (prop::collection::vec(filter(), 0..3), extra(), extra()).prop_map(
        move |(filters, one, other)| Twins([mixed(filters.clone(), one), mixed(filters, other)]),
    )
}

fn constraint() -> impl Strategy<Value = Twins> {
    let nested =
        (conjunction(), conjunction()).prop_filter_map("both say something", |(one, inner)| {
            let empty = |twins: &Twins| twins.0.iter().any(String::is_empty);
            (!empty(&one) && !empty(&inner))
                .then(|| Twins::join(&[one, inner.around("(", ")")], " & "))
        });
    let whole = (bounds(), bounds()).prop_map(|(one, other)| Twins([one, other]));
    prop_oneof![
        4 => conjunction(),
        2 => whole,
        1 => nested,
        1 => Just(Twins::both("build | >= \"1\"")),
    ]
    .prop_map(|twins| {
        Twins(twins.0.map(|formula| match formula.as_str() {
            "" => formula,
            _ => format!(" {{{formula}}}"),
        }))
    })
}

fn dependencies() -> impl Strategy<Value = Twins> {
    let package = ("[a-z]{1,5}", constraint())
        .prop_map(|(name, constraint)| constraint.around(&format!("\"{name}\""), ""));
    package.prop_recursive(2, 8, 3, |inner| {
        let operator = select(vec![" & ", " | ", " "]);
        (prop::collection::vec(inner, 1..3), operator)
            .prop_map(|(packages, operator)| Twins::join(&packages, operator).around("(", ")"))
    })
}

/// Generates a list of required elements, and in each twin some of the optional ones.
fn list(kept: Vec<&'static str>, upkeep: Vec<&'static str>) -> impl Strategy<Value = Twins> {
    let extra = move || prop::collection::vec((any::<Index>(), select(upkeep.clone())), 0..3);
    (prop::collection::vec(select(kept), 0..3), extra(), extra()).prop_map(|(kept, one, other)| {
        Twins([one, other].map(|extra| {
            let mut items = kept.clone();
            for (at, item) in extra {
                items.insert(at.index(items.len() + 1), item);
            }
            match items.as_slice() {
                [] => String::new(),
                [single] => (*single).to_owned(),
                items => format!("[{}]", items.join(" ")),
            }
        }))
    })
}

/// Generates allowlisted fields, each at most once.
fn upkeep() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(
        vec![
            "conflicts: [\"a\" {< \"1\" & build} | \"b\"]",
            "conflict-class: \"c\"",
            "available: [os = \"linux\" & !(arch != \"x\")]",
            "synopsis: \"a # b\"",
            "description: \"\"\"a \"b\"\nurl { src: \"x\" } \\\"\"\"\"",
            "homepage: [\"h\" \"i\"]",
            "doc: \"d\"",
            "bug-reports: \"b\"",
            "license: []",
            "authors: [\"a\" \"\"\"b\"\"\"]",
            "x-maintenance-intent: [\"(any)\"]",
            "x-maintained: true",
            "x-ci-accept-failures: [\"a\" \"b\"]",
            "x-reason-for-archiving: [[1] (a) \"b\" {c}]",
        ],
        0..14,
    )
}

fn twins() -> impl Strategy<Value = Twins> {
    let fields = (
        prop::collection::vec(dependencies(), 0..4),
        dependencies(),
        list(
            vec!["plugin", "conf", "verbose"],
            vec!["deprecated", "avoid-version"],
        ),
        list(
            vec!["\"flags:plugin\"", "\"\"\"flags:conf\"\"\"", "\"a\\n\""],
            vec!["\"a\"", "\"\"\"org:b\"\"\"", "\"Flags:x\"", "\"\""],
        ),
    );
    let decoration = || {
        (
            upkeep(),
            prop::collection::vec((any::<Index>(), layout()), 48),
        )
    };
    (fields, decoration(), decoration()).prop_map(
        |((depends, depopts, flags, tags), one, other)| {
            let depends = Twins::join(&depends, "\n  ").around("depends: [", "]");
            let depopts = depopts.around("depopts: ", "");
            let source = Twins::both(
                "build: [[\"make\" \"-j%{jobs}%\"] {os != \"x\"}]\nurl { src: \"u\" }\nx-a: 1",
            );
            let mut sides = [one, other].into_iter().enumerate();
            Twins([(); 2].map(|()| {
                let (side, (upkeep, layouts)) = sides.next().unwrap();
                let mut items = vec!["opam-version: \"2.0\"".to_owned()];
                items.extend([&depends, &depopts, &source].map(|part| part.0[side].clone()));
                for (name, list) in [("flags", &flags), ("tags", &tags)] {
                    if !list.0[side].is_empty() {
                        items.push(format!("{name}: {}", list.0[side]));
                    }
                }
                let mut layouts = layouts.iter();
                for field in upkeep {
                    let (at, _) = layouts.next().unwrap();
                    items.insert(at.index(items.len() + 1), field.to_owned());
                }
                let mut file = String::new();
                for (item, (_, space)) in items.iter().zip(layouts) {
                    write!(file, "{item}{space}").unwrap();
                }
                file + "\n"
            }))
        },
    )
}

/// Splits a source form into tokens.
fn tokens(form: &str) -> Vec<&str> {
    let mut lexer = Lexer::new(form.as_bytes()).unwrap();
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next().unwrap();
        if token.kind == Kind::End {
            return tokens;
        }
        tokens.push(core::str::from_utf8(token.text).unwrap());
    }
}

/// Generates tokens of which no allowlisted place consists.
fn foreign() -> impl Strategy<Value = &'static str> {
    select(vec![
        "\"flags:verbose\"",
        "plugin",
        "x:y",
        "7",
        "true",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "&",
        "|",
        "!",
        "?",
        ":",
        "=",
        ">=",
        "+=",
        "depends",
        "synopsis",
        "url",
    ])
}

/// Generates pieces that change how the rest is read.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        foreign().prop_map(str::to_owned),
        layout(),
        select(vec![
            "\"",
            "\"\"\"",
            "\\",
            "(*",
            "*)",
            "#",
            "\r",
            "\0",
            "\n",
            "~",
            "synopsis: \"x\"",
            "{>= \"1\"}",
            "_:"
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ]
}

fn cut(text: &str, at: Index) -> usize {
    text.char_indices()
        .map(|(at, _)| at)
        .nth(at.index(text.chars().count()))
        .unwrap()
}

proptest! {
    #[test]
    fn upkeep_and_layout_never_show(twins in twins()) {
        let [one, other] = twins.0.map(|file| (project(&file), file));
        prop_assert!(one.0.is_ok(), "{:?}\n{}", one.0, one.1);
        prop_assert_eq!(&one.0, &other.0, "\n{}\n-- and --\n{}", one.1, other.1);
    }

    #[test]
    fn the_form_of_a_form_is_that_form(twins in twins(), sample in select(SAMPLES.to_vec())) {
        for file in [twins.0[0].as_str(), sample] {
            let form = project(file).unwrap();
            prop_assert_eq!(project(&form).unwrap(), form);
        }
    }

    #[test]
    fn every_edit_of_a_source_token_shows(
        twins in twins(),
        sample in select(SAMPLES.to_vec()),
        generated: bool,
        edit in 0..4,
        at: Index,
        other: Index,
        token in foreign(),
    ) {
        let file = if generated { twins.0[0].as_str() } else { sample };
        let form = project(file).unwrap();
        let before = tokens(&form);
        let mut after = before.clone();
        let at = at.index(before.len());
        match edit {
            0 => { after.remove(at); }
            1 => after[at] = token,
            2 => after.insert(at, token),
            _ => after.swap(at, other.index(before.len())),
        }
        prop_assume!(before != after);
        let edited = after.join(" ") + "\n";
        prop_assert_ne!(project(&edited).ok(), Some(form), "\n{}", edited);
    }

    #[test]
    fn an_edit_is_upkeep_exactly_where_the_source_stays(
        twins in twins(),
        others in twins(),
        sample in select(SAMPLES.to_vec()),
        at: Index,
        other: Index,
        token in foreign(),
    ) {
        let mut mutated = tokens(sample);
        let at = at.index(mutated.len());
        mutated[at] = token;
        let mutated = mutated.join(" ");
        let mut moved = tokens(sample);
        let other = other.index(moved.len());
        moved.swap(at, other);
        let moved = moved.join(" ");
        let Twins([one, two]) = twins;
        let pairs = [
            (one.as_str(), two.as_str()),
            (&one, &others.0[0]),
            (&one, &one),
            (sample, &mutated),
            (sample, &moved),
            (&mutated, &mutated),
            (&mutated, &moved),
        ];
        for (old, new) in pairs {
            let kinds = kinds(Some(old.as_bytes()), Some(new.as_bytes()));
            let same = match (project(old), project(new)) {
                (Ok(old), Ok(new)) => old == new,
                (Err(_), Err(_)) => old == new,
                _ => false,
            };
            prop_assert_eq!(kinds.is_empty(), old == new);
            prop_assert_eq!(kinds.contains(edit::Kind::Source), !same, "{} {}", old, new);
            prop_assert_eq!(kinds.is_upkeep(), same && old != new, "{:?}", kinds);
            if let Some(edit) = Edit::read(old.as_bytes(), new.as_bytes()) {
                prop_assert!(old == new || edit.kinds() == kinds);
                edit.forces_old("1");
            }
        }
    }

    #[test]
    fn mutated_files_never_panic(
        sample in select(SAMPLES.to_vec()),
        edits in prop::collection::vec((any::<Index>(), piece(), 0..20_usize), 1..4),
    ) {
        let mut file = sample.to_owned();
        for (at, piece, length) in edits {
            let start = cut(&file, at);
            let end = file[start..].char_indices().nth(length).map_or(file.len(), |(length, _)| start + length);
            file.replace_range(start..end, &(piece + " "));
        }
        if let Ok(form) = project(&file) {
            prop_assert_eq!(project(&form).unwrap(), form);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, text in "\\PC{0,80}", pieces in prop::collection::vec(piece(), 0..40)) {
        let _ = project(&bytes);
        let _ = project(text);
        let _ = project(pieces.concat());
        let _ = project(format!("opam-version: \"2.0\"\ndepends: \"a\" {{{}}}\n", pieces.concat()));
    }
}
