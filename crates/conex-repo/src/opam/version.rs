//! The order of versions in opam, which is Debian's.
//!
//! No statement depends on it. Verdicts depend only on which versions are equal, not on their order.

use core::cmp::Ordering;

/// Compares two versions as opam orders them.
///
/// Digits compare as numbers. `~` sorts before everything, even before the end. Letters sort before all
/// other characters. The part after the last `-` is a revision: it counts if everything before it is equal.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (upstream, revision) = split(a);
    let (other_upstream, other_revision) = split(b);
    parts(upstream.as_bytes(), other_upstream.as_bytes())
        .then_with(|| parts(revision.as_bytes(), other_revision.as_bytes()))
}

/// Returns a canonical spelling: two versions have the same one exactly if [`compare`] finds them equal.
pub fn key(version: &str) -> String {
    let (upstream, revision) = split(version);
    let mut key = String::with_capacity(version.len() + 1);
    spell(upstream, &mut key);
    key.push('/');
    spell(revision, &mut key);
    key
}

/// Appends numbers without leading zeros, and omits a zero at the end.
fn spell(part: &str, key: &mut String) {
    let mut rest = part.as_bytes();
    while !rest.is_empty() {
        key.extend(take(&mut rest, false).iter().copied().map(char::from));
        let digits = take(&mut rest, true);
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        let (_, significant) = digits.split_at(zeros);
        if significant.is_empty() && !digits.is_empty() && !rest.is_empty() {
            key.push('0');
        }
        key.extend(significant.iter().copied().map(char::from));
    }
}

/// Splits a version into the part before its revision, and the revision.
fn split(version: &str) -> (&str, &str) {
    version.rsplit_once('-').unwrap_or((version, ""))
}

/// Compares non-digits, then a number, and so on.
fn parts(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !(a.is_empty() && b.is_empty()) {
        let order = text(take(&mut a, false), take(&mut b, false))
            .then_with(|| number(take(&mut a, true), take(&mut b, true)));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// Takes the leading digits, or the leading non-digits.
fn take<'a>(rest: &mut &'a [u8], digits: bool) -> &'a [u8] {
    let length = rest
        .iter()
        .take_while(|byte| byte.is_ascii_digit() == digits)
        .count();
    let (front, back) = rest.split_at(length);
    *rest = back;
    front
}

fn text(a: &[u8], b: &[u8]) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => (0, 0),
        None => (1, 0),
        Some(letter) if letter.is_ascii_alphabetic() => (2, *letter),
        Some(other) => (3, *other),
    };
    (0..=a.len().max(b.len()))
        .map(|at| weight(a.get(at)).cmp(&weight(b.get(at))))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Compares numbers of any length.
fn number(a: &[u8], b: &[u8]) -> Ordering {
    let significant = |digits: &[u8]| {
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.iter().skip(zeros).copied().collect::<Vec<u8>>()
    };
    let (a, b) = (significant(a), significant(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(&b))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    use super::*;

    /// The order in which opam 2.1 lists them.
    const SORTED: [&str; 27] = [
        "1", "1a", "1.0~~", "1.0~", "1.0~a", "1.0-~", "1.0", "1.0-1", "1.0-2", "1.0-a", "1.0+1",
        "1.0--", "1.0-1-1", "1.0.-1", "1.0.1", "1.0.2", "1.0.10", "1.0.a", "1.a", "1.b", "1_0",
        "2", "9", "10", "a-b", "a-b-c", "v1",
    ];

    #[test]
    fn versions_are_ordered_as_opam_lists_them() {
        for (at, a) in SORTED.iter().enumerate() {
            for (other, b) in SORTED.iter().enumerate() {
                assert_eq!(compare(a, b), at.cmp(&other), "{a} and {b}");
            }
        }
    }

    #[test]
    fn spellings_of_one_version_are_equal() {
        for (a, b) in [
            ("1.0", "1.00"),
            ("09", "9"),
            ("1.0", "1."),
            ("1.0", "1.0-0"),
            ("1.0-", "1.0"),
            ("1_", "1_0"),
            ("", "0"),
            ("99999999999999999999", "099999999999999999999"),
        ] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} and {b}");
            assert_eq!(key(a), key(b), "{a} and {b}");
        }
    }

    proptest! {
        #[test]
        fn versions_are_equal_exactly_if_they_have_one_key(
            a in "[0-1a~.+-]{0,5}",
            b in "[0-1a~.+-]{0,5}",
        ) {
            prop_assert_eq!(compare(&a, &b).is_eq(), key(&a) == key(&b));
        }

        #[test]
        fn the_order_is_total(mut versions in prop::collection::vec("[0-9a-c.~+_-]{0,6}", 3)) {
            versions.sort_by(|a, b| compare(a, b));
            for (at, a) in versions.iter().enumerate() {
                for b in versions.iter().skip(at) {
                    prop_assert!(compare(a, b).is_le());
                    prop_assert_eq!(compare(a, b), compare(b, a).reverse());
                }
            }
        }
    }

    /// Compares with the real opam, if it is installed. It lists the releases of a package in its order,
    /// and only one of those that are equal.
    #[test]
    fn opam_orders_generated_versions_alike() {
        if Command::new("opam").arg("--version").output().is_err() {
            assert!(
                std::env::var_os("CONEX_NEEDS_OPAM").is_none(),
                "opam is not installed, and CONEX_NEEDS_OPAM is set"
            );
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("repo"), "opam-version: \"2.0\"\n").unwrap();
        let strategy = prop::collection::vec("[0-3a-bA.~+_-]{1,6}", 300);
        let generated = strategy.new_tree(&mut TestRunner::deterministic()).unwrap();
        let mut versions = generated.current();
        versions.extend(SORTED.map(String::from));
        for version in &versions {
            let release = directory.path().join(format!("packages/foo/foo.{version}"));
            fs::create_dir_all(&release).unwrap();
            fs::write(release.join("opam"), "opam-version: \"2.0\"\n").unwrap();
        }
        let output = Command::new("opam")
            .args(["admin", "list", "-V", "-s", "--columns=version"])
            .env("OPAMROOTISOK", "1")
            .current_dir(directory.path())
            .output()
            .unwrap();
        let listed = String::from_utf8(output.stdout).unwrap();
        let listed: Vec<&str> = listed.lines().collect();
        for pair in listed.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
        }
        let known = |version: &String| listed.iter().any(|it| compare(it, version).is_eq());
        let unknown: Vec<_> = versions.iter().filter(|version| !known(version)).collect();
        assert!(unknown.is_empty(), "opam does not list {unknown:?}");
    }
}
