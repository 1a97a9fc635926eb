//! One table per rule, each refusal with an honest twin beside it, followed by properties.

mod allowlist;
mod bounds;
mod properties;
mod syntax;

use super::*;

fn project(file: impl AsRef<[u8]>) -> Result<String, Unreadable> {
    let mut source = Vec::new();
    OpamProjection.project(file.as_ref(), &mut source)?;
    Ok(String::from_utf8(source).unwrap())
}

/// Returns the form of `fields` after an opam-version, without the line of that.
fn form(fields: &str) -> String {
    let file = format!("opam-version: \"2.0\"\n{fields}\n");
    let form = project(&file).unwrap_or_else(|error| panic!("{fields}: {error}"));
    form.strip_prefix("opam-version : \"2.0\"\n")
        .unwrap()
        .to_owned()
}

/// Returns the refusal of `fields` after an opam-version: the line and the reason.
fn refusal(fields: &str) -> (usize, String) {
    let file = format!("opam-version: \"2.0\"\n{fields}\n");
    match project(&file) {
        Ok(form) => panic!("{fields} was read as {form}"),
        Err(Unreadable { line, reason }) => (line, reason),
    }
}

#[track_caller]
fn vanishes(fields: &[&str]) {
    for field in fields {
        assert_eq!(form(field), "", "{field}");
    }
}

#[track_caller]
fn reads(table: &[(&str, &str)]) {
    for (fields, expected) in table {
        assert_eq!(form(fields), *expected, "{fields}");
    }
}

#[track_caller]
fn refuses(table: &[(&str, &str)]) {
    for (fields, reason) in table {
        assert_eq!(refusal(fields).1, *reason, "{fields}");
    }
}

/// Checks each bracket of `depends: ["a" <constraint>]`, with and without its bounds.
#[track_caller]
fn constraints(table: &[(&str, &str)]) {
    for field in ["depends", "depopts"] {
        for (constraint, kept) in table {
            let expected = format!("{field} : [ \"a\" {kept}]\n");
            assert_eq!(
                form(&format!("{field}: [\"a\" {constraint}]")),
                expected,
                "{constraint}"
            );
        }
    }
}
