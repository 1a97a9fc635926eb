//! Tables of what is left out of dependencies.

use super::*;

#[test]
fn bounds_in_a_conjunction_are_left_out() {
    constraints(&[
        ("", ""),
        ("{}", ""),
        ("{>= \"1\"}", ""),
        ("{= version}", ""),
        ("{>= \"1\" & < \"2.0~beta+x_1\" & != \"v1-1\"}", ""),
        ("{with-test}", "{ with-test } "),
        ("{with-test & >= \"1\"}", "{ with-test } "),
        (
            "{>= \"1\" & with-test & < \"2\" & build}",
            "{ with-test & build } ",
        ),
        ("{(>= \"1\" & build) & < \"2\"}", "{ ( build ) } "),
        ("{build & (>= \"1\" | = \"0.9\")}", "{ build } "),
        ("{build & ((>= \"1\"))}", "{ build } "),
        (
            "{(build) & (post & (>= \"1\" & dev))}",
            "{ ( build ) & ( post & ( dev ) ) } ",
        ),
        ("{!build & <= \"1\"}", "{ ! build } "),
        ("{os = \"linux\" & > \"1\"}", "{ os = \"linux\" } "),
    ]);
}

#[test]
fn formulas_of_bounds_only_are_left_out() {
    constraints(&[
        ("{>= \"1\" | = \"0.9\"}", ""),
        ("{>= \"1\" & < \"2\" | = \"0.9\"}", ""),
        ("{(>= \"1\" | = \"0.9\" & < \"3\") & (< \"4\")}", ""),
        ("{>= \"1\" < \"2\"}", ""),
        ("{(>= \"1\" < \"2\") | = \"dev\"}", ""),
    ]);
}

#[test]
fn bounds_beside_a_filter_in_a_disjunction_stay() {
    constraints(&[
        ("{build | >= \"1\"}", "{ build | >= \"1\" } "),
        ("{>= \"1\" & build | post}", "{ >= \"1\" & build | post } "),
        (
            "{build & >= \"1\" | < \"0\"}",
            "{ build & >= \"1\" | < \"0\" } ",
        ),
        (
            "{post & (build | >= \"1\") & < \"2\"}",
            "{ post & ( build | >= \"1\" ) } ",
        ),
        (
            "{(build & >= \"1\") | post}",
            "{ ( build & >= \"1\" ) | post } ",
        ),
        (
            "{(>= \"1\") & build | (< \"2\")}",
            "{ ( >= \"1\" ) & build | ( < \"2\" ) } ",
        ),
    ]);
    // The same tokens, except for one operator.
    assert_ne!(
        form("depends: \"a\" {build & >= \"1\"}"),
        form("depends: \"a\" {build | >= \"1\"}")
    );
}

#[test]
fn negated_and_odd_bounds_stay() {
    constraints(&[
        ("{!(>= \"1\")}", "{ ! ( >= \"1\" ) } "),
        ("{!(!(>= \"1\"))}", "{ ! ( ! ( >= \"1\" ) ) } "),
        ("{?build & < \"2\"}", "{ ? build } "),
        ("{!?(!a & b = c) & < \"2\"}", "{ ! ? ( ! a & b = c ) } "),
        ("{!>= \"1\" & < \"2\"}", "{ ! >= \"1\" } "),
        (
            "{!(build & >= \"1\") & < \"2\"}",
            "{ ! ( build & >= \"1\" ) } ",
        ),
        ("{>= \"%{x}%\"}", "{ >= \"%{x}%\" } "),
        ("{>= \"\\049\"}", "{ >= \"\\049\" } "),
        ("{>= \"\"\"1\"\"\"}", "{ >= \"\"\"1\"\"\" } "),
        ("{= _:version}", "{ = _:version } "),
        ("{= other}", "{ = other } "),
        ("{= \"%{a}%.%{b:c}%\"}", "{ = \"%{a}%.%{b:c}%\" } "),
        ("{build >= \"1\"}", "{ build >= \"1\" } "),
    ]);
}

/// opam ignores all dependencies if one version is invalid, or if `?` is applied to anything but variables.
#[test]
fn what_opam_ignores_the_field_for_is_not_read() {
    for field in ["depends", "depopts", "conflicts"] {
        for (constraint, reason) in [
            (">= \"\"", "a version should stand here"),
            (">= \"1 0\"", "a version should stand here"),
            (">= \"1/0\"", "a version should stand here"),
            (">= \"é\"", "a version should stand here"),
            (">= \"\\032\"", "a version should stand here"),
            (">= \"%{a\"", "a version should stand here"),
            (">= \"%{}%\"", "a version should stand here"),
            (">= \"%{a+b:c}%\"", "a version should stand here"),
            (">= \"%{1:c}%\"", "a version should stand here"),
            (">= \"%%\"", "a version should stand here"),
            (">= 1", "a version should stand here"),
            (">= true", "a version should stand here"),
            ("?(>= \"1\")", "a value should stand here"),
            ("?>= \"1\"", "a value should stand here"),
            ("?!>= \"1\"", "a value should stand here"),
            ("?(a b)", "a bracket should be closed here"),
            ("!?(a & >= \"1\")", "a value should stand here"),
        ] {
            let fields = format!("{field}: [ \"a\" {{{constraint}}} ]");
            assert_eq!(refusal(&fields).1, reason, "{fields}");
        }
        for name in ["", "1", "a.1", "a b", "_", "é", "a:b"] {
            let fields = format!("{field}: [ \"{name}\" ]");
            assert_eq!(refusal(&fields).1, "this is no package name", "{fields}");
        }
        for name in ["a", "-a", "+a", "_a", "1a", "A-"] {
            form(&format!("{field}: [ \"{name}\" \"\"\"{name}\"\"\" ]"));
        }
    }
    for value in ["\"1\"", "[ \"a\" \"b c\" ]"] {
        let fields = format!("conflict-class: {value}");
        assert_eq!(refusal(&fields).1, "this is no package name", "{fields}");
    }
    vanishes(&["conflict-class: \"a\"", "conflict-class: [ \"a\" \"b+c\" ]"]);
}

/// opam reads a group without a package, but stops with an internal error when it prints it.
#[test]
fn what_opam_cannot_print_is_not_read() {
    for field in ["depends", "depopts", "conflicts"] {
        for value in [
            "()",
            "[ () ]",
            "[ \"a\" () ]",
            "[ (\"a\" ()) ]",
            "\"a\" | ()",
        ] {
            let fields = format!("{field}: {value}");
            let reason = "opam cannot print a group without a package";
            assert_eq!(refusal(&fields).1, reason, "{fields}");
        }
        form(&format!("{field}: [ (\"a\") ((\"b\" | \"c\")) ]"));
    }
}

#[test]
fn both_of_a_conflict_are_either_to_opam() {
    let reason = "opam reads this & as a |";
    refuses(&[
        ("conflicts: [ \"a\" & \"b\" ]", reason),
        ("conflicts: \"a\" & \"b\"", reason),
        ("conflicts: [ (\"a\" {< \"1\"} & \"b\") ]", reason),
    ]);
    vanishes(&[
        "conflicts: [ \"a\" | \"b\" ]",
        "conflicts: [ (\"a\" \"b\") \"c\" {>= \"1\" & < \"2\"} ]",
        "conflicts: []",
    ]);
}

/// Without the bound between them, `a` and `< "%{b}%"` would form one comparison.
#[test]
fn bounds_without_an_operator_stay_beside_others() {
    constraints(&[
        (
            "{a (> \"1\") < \"%{b}%\"}",
            "{ a ( > \"1\" ) < \"%{b}%\" } ",
        ),
        ("{a < \"%{b}%\"}", "{ a < \"%{b}%\" } "),
        (
            "{with-test & >= \"1\" < \"2\"}",
            "{ with-test & >= \"1\" < \"2\" } ",
        ),
    ]);
}

#[test]
fn names_and_structure_of_dependencies_are_source() {
    reads(&[
        ("depends: \"a\" {>= \"1\"}", "depends : \"a\"\n"),
        ("depends: [\"a\" {>= \"1\"}]", "depends : [ \"a\" ]\n"),
        ("depends: []", "depends : [ ]\n"),
        (
            "depends: [\"a\" {>= \"1\"} (\"b\" | \"c\" {build & < \"2\"} & \"d\")]",
            "depends : [ \"a\" ( \"b\" | \"c\" { build } & \"d\" ) ]\n",
        ),
        ("depopts: [\"a\" | \"b\"]", "depopts : [ \"a\" | \"b\" ]\n"),
    ]);
    refuses(&[
        ("depends: [a]", "a package name should stand here"),
        ("depends: [[\"a\"]]", "a package name should stand here"),
        ("depends: [\"a\" &]", "a package name should stand here"),
        ("depends: [!\"a\"]", "a package name should stand here"),
        // opam ignores the field if braces occur in this place, and must not read it once they are gone.
        (
            "depends: [\"a\" {>= \"1\"} {build}]",
            "a package name should stand here",
        ),
        (
            "depends: [(\"a\" | \"b\") {>= \"1\"}]",
            "a package name should stand here",
        ),
        (
            "depends: [\"a\"] {>= \"1\"}",
            "a field or section should begin here",
        ),
        ("depends: [\"a\" {>= \"1\" &}]", "a value should stand here"),
        ("depends: [\"a\" {()}]", "a value should stand here"),
        ("depends: [\"a\" {[>= \"1\"]}]", "a value should stand here"),
        ("depends: [\"a\" {x += \"1\"}]", "a value should stand here"),
        (
            "depends: [\"a\" {(>= \"1\"}]",
            "a bracket should be closed here",
        ),
        (
            "depends: [\"a\" {>= \"1\")]",
            "a bracket should be closed here",
        ),
        (
            "depends: [\"a\" {>= ~ \"1\"}]",
            "a character that begins no token",
        ),
    ]);
}
