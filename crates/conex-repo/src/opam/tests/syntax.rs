//! Tables of how a file is read, and of files that are refused.

use super::*;

#[test]
fn sections_are_source_whatever_is_in_them() {
    reads(&[
        (
            "url { src: \"x\" homepage: \"y\" }",
            "url { src : \"x\" homepage : \"y\" }\n",
        ),
        ("url {}", "url { }\n"),
        (
            "extra-source \"p\" { src: \"x\" }\nextra-source \"q\" {}",
            "extra-source \"p\" { src : \"x\" }\nextra-source \"q\" { }\n",
        ),
        ("synopsis \"x\" {}", "synopsis \"x\" { }\n"),
        ("a { b { available: c } }", "a { b { available : c } }\n"),
    ]);
}

#[test]
fn layout_is_not_content() {
    let plain = form("build: [\"a\" \"b\"] {x}");
    for other in [
        "build:[\"a\"\n\t\"b\" ]{ x }",
        "build : [ # \"c\"\n \"a\" \"b\" ] { x } # the end",
        "build:\r\n[\"a\" # c\r\n \"b\"]{x}",
        "# first\nbuild: [\"a\" \"b\"] {x}",
    ] {
        assert_eq!(form(other), plain, "{other}");
    }
}

#[test]
fn a_spelling_is_content() {
    let spellings = [
        "x-a: \"b\"",
        "x-a: \"\"\"b\"\"\"",
        "x-a: \"\\098\"",
        "x-a: \"\\x62\"",
        "x-a: b",
        "x-a: [\"b\"]",
        "x-a: \"b\\\n  \"",
        "x-a: \"b\n\"",
        "x-a: \"b\r\n\"",
        "x-a: \"b\\n\"",
    ];
    for (index, one) in spellings.iter().enumerate() {
        for other in &spellings[index + 1..] {
            assert_ne!(form(one), form(other));
        }
    }
}

#[test]
fn a_repeated_field_or_section_is_refused() {
    let reason = "a field or section that was there before";
    refuses(&[
        ("synopsis: \"a\"\nsynopsis: \"a\"", reason),
        ("opam-version: \"2.0\"", reason),
        ("build: []\nbuild: []", reason),
        ("x-a: 1\nx-b: 1\nx-a: 1", reason),
        ("url {}\nurl {}", reason),
        ("url {}\nurl: 1", reason),
        ("other {}\nother {}", reason),
        (
            "extra-source \"a\" {}\nextra-source \"b\" {}\nextra-source \"a\" {}",
            reason,
        ),
    ]);
    assert_eq!(refusal("x-a: 1\nx-b: 1\nx-a: 1").0, 4);
    assert_eq!(
        form("extra-source \"a\" {}\nextra-source \"b\" {}\nx-a: 1\nx-b: 1")
            .lines()
            .count(),
        4
    );
}

#[test]
fn the_format_is_one_that_is_known() {
    for version in ["2.0", "1.2"] {
        let file = format!("opam-version: \"{version}\"\n");
        assert_eq!(
            project(&file),
            Ok(format!("opam-version : \"{version}\"\n"))
        );
    }
    for file in [
        "",
        "build: []\n",
        "opam-version: \"2.1\"\n",
        "opam-version: \"2.0.0\"\n",
        "opam-version: \"2\\0460\"\n",
        "opam-version: \"\"\"2.0\"\"\"\n",
        "opam-version: 2\n",
        "opam-version: [\"2.0\"]\n",
        "opam-version {}\n",
    ] {
        assert!(project(file).is_err(), "{file}");
    }
}

#[test]
fn names_end_where_opam_ends_them() {
    reads(&[
        ("x-a:[b:c _:d a+b+_:e]", "x-a : [ b:c _:d a+b+_:e ]\n"),
        ("x-a: [2b -c d-_9]", "x-a : [ 2b -c d-_9 ]\n"),
        ("x-a: [-1 0 123456789]", "x-a : [ -1 0 123456789 ]\n"),
        ("x-a: truest", "x-a : truest\n"),
        ("x-a: [FOO+=\"b\"]", "x-a : [ FOO += \"b\" ]\n"),
        (
            "x-a: [FOO=+\"b\" B=+=\"c\" C:=\"d\" D=:\"e\"]",
            "x-a : [ FOO =+ \"b\" B =+= \"c\" C := \"d\" D =: \"e\" ]\n",
        ),
    ]);
    refuses(&[
        ("flags:plugin", "a field or section should begin here"),
        ("available:true", "a field or section should begin here"),
        ("x-a:1", "an identifier part without a letter"),
        ("x-a: b+1", "an identifier part without a letter"),
        ("x-a: 1+b", "an identifier part without a letter"),
        ("x-a: b+", "an identifier part without a letter"),
        ("x-a: _", "neither an identifier nor a small integer"),
        ("x-a: 1_000", "neither an identifier nor a small integer"),
        ("x-a: 1-2", "neither an identifier nor a small integer"),
        (
            "x-a: 1234567890",
            "neither an identifier nor a small integer",
        ),
        ("x-a: + \"b\"", "a lone plus"),
        ("true: 1", "a field or section should begin here"),
        ("homepage := \"x\"", "neither a field nor a section"),
    ]);
}

#[test]
fn strings_end_where_opam_ends_them() {
    reads(&[
        ("x-a: \"\"", "x-a : \"\"\n"),
        ("x-a: \"\"\"\"\"\"", "x-a : \"\"\"\"\"\"\n"),
        (
            "x-a: \"\"\"a \"b\" \"\"c\"\" \\\"\"\"\"",
            "x-a : \"\"\"a \"b\" \"\"c\"\" \\\"\"\"\"\n",
        ),
        ("x-a: \"a \\\" # b \\\\\"", "x-a : \"a \\\" # b \\\\\"\n"),
        (
            "x-a: \"\\n\\r\\t\\b\\ \\'\\255\\000\\xfF\"",
            "x-a : \"\\n\\r\\t\\b\\ \\'\\255\\000\\xfF\"\n",
        ),
        (
            "x-a: \"a\\\n   b\\\r\n c\"",
            "x-a : \"a\\\n   b\\\r\n c\"\n",
        ),
        ("x-a: \"(* no comment\"", "x-a : \"(* no comment\"\n"),
    ]);
    refuses(&[
        ("x-a: \"", "a string that does not end"),
        ("x-a: \"\"\"a\"\"", "a string that does not end"),
        ("x-a: \"a\\\"", "a string that does not end"),
        (
            "x-a: [\"a\"\"b\"]",
            "a string that follows a string at once",
        ),
        (
            "x-a: \"\"\"a\"\"\"\"",
            "a string that follows a string at once",
        ),
        ("x-a: \"\\q\"", "an unknown escape"),
        ("x-a: \"\\256\"", "an unknown escape"),
        ("x-a: \"\\25\"", "an unknown escape"),
        ("x-a: \"\\xg0\"", "an unknown escape"),
        ("description: \"\\u1234\"", "an unknown escape"),
    ]);
}

#[test]
fn what_readers_or_people_could_miss_is_refused() {
    refuses(&[
        (
            "x-a: (* 1 *) 2",
            "a comment other than from # to the end of a line",
        ),
        ("x-a: 1 \0", "a control character"),
        ("x-a: \"\u{7f}\"", "a control character"),
        ("# a\u{1b}[2K", "a control character"),
        ("synopsis: \"a\rb\"", "a control character"),
        ("# a\rbuild: []", "a control character"),
        ("x-a: 1\u{c}", "a control character"),
        ("x-a: é", "a character that begins no token"),
        ("\u{feff}x-a: 1", "a character that begins no token"),
        ("x-a: 'b'", "a character that begins no token"),
        ("x-a: 1, 2", "a character that begins no token"),
        ("x-a: b == c", "a value should stand here"),
        ("x-a: b && c", "a value should stand here"),
        ("x-a: [b", "a value should stand here"),
        ("x-a: [b}", "a value should stand here"),
        ("x-a: b]", "a field or section should begin here"),
        ("x-a:", "a value should stand here"),
        ("x-a", "neither a field nor a section"),
        ("x-a b {}", "neither a field nor a section"),
        ("url {", "a field or section should begin here"),
        ("url { 1 }", "a field or section should begin here"),
    ]);
    assert_eq!(form("# é ✓"), "");
    assert!(project("opam-version: \"2.0\" # no end of line").is_err());
    let mut source = Vec::new();
    assert!(
        OpamProjection
            .project(b"opam-version: \"2.0\"\n# \xff\n", &mut source)
            .is_err()
    );
}

#[test]
fn nesting_is_limited() {
    let nested = |depth| format!("x-a: {}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(form(&nested(32)).len() > 128);
    assert_eq!(refusal(&nested(33)).1, "nested too deeply");
    for (open, close) in [
        ("[", "]"),
        ("(", ")"),
        ("a{", "}"),
        ("!(", ")"),
        ("(!", ")"),
        ("!", ""),
    ] {
        let deep = open.repeat(100_000) + &close.repeat(100_000);
        for field in [
            "x-a:",
            "depends: \"a\" {",
            "available:",
            "conflicts:",
            "a {",
        ] {
            refusal(&format!("{field}{deep}"));
        }
    }
}

/// Reading a constraint again repeats no part of it more often than its nesting depth.
#[test]
fn reading_once_more_stays_cheap() {
    let mut formula = ">= \"1\" & ".repeat(20_000) + "a";
    for _ in 0..30 {
        formula = format!("({formula}) | b");
    }
    let source = form(&format!("depends: \"a\" {{{formula}}}"));
    assert_eq!(source.matches(">=").count(), 20_000);
    let fields: Vec<_> = (0..20_000).map(|index| format!("x-{index}: 1")).collect();
    assert_eq!(
        form(&fields.join(
            "
"
        ))
        .lines()
        .count(),
        20_000
    );
}

#[test]
fn a_fault_names_its_line() {
    assert_eq!(
        refusal("x-a: [\n\"b\"\n\"c\\q\"]"),
        (4, "an unknown escape".into())
    );
    assert_eq!(project("").unwrap_err().line, 1);
}

#[test]
fn the_form_is_appended() {
    let mut source = b"before".to_vec();
    OpamProjection
        .project(b"opam-version: \"2.0\"\nsynopsis: \"a\"\n", &mut source)
        .unwrap();
    assert_eq!(source, b"beforeopam-version : \"2.0\"\n");
    assert_eq!(OpamProjection.name(), "opam/1");
}
