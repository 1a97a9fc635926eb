//! What conex verifies is what opam loads (spec section 8.4). `cargo xtask opam-loads` asks real opams; here
//! stands what they were seen to do.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::collections::BTreeSet;

use conex_core::tree::layout::Layout as _;
use conex_core::tree::problem::Code;
use conex_repo::layout::OpamLayout;
use conex_tests::cases;
use conex_tests::shapes::{Case, Judged, Random};

/// Which of these names opam 2.5.2 and 2.6.1 list, where a file `opam` is added in a directory
/// `docs/NAME`.
#[test]
fn names_that_opam_takes_for_releases() {
    for (name, is_release) in [
        ("foo.1", true),
        ("-foo.1", true),
        ("0foo.1", true),
        ("FOO.1", true),
        ("f+_-.1", true),
        ("foo..2", true),
        ("foo.1..2", true),
        ("foo.~", true),
        ("foo.+x", true),
        ("foo.t", true),
        ("15.1", false),
        ("foo", false),
        (".foo.1", false),
        ("foo.1=2", false),
        ("foo.1:2", false),
        ("fo o.1", false),
        ("foo.1 2", false),
        ("foo.", false),
    ] {
        let client = OpamLayout.client().unwrap();
        assert_eq!(client.release(name).is_some(), is_release, "{name}");
    }
}

/// Changes of files that are there before (`-`), after (`+`), in both (`=`) or edited (`~`); whether
/// opam 2.5.2 and 2.6.1 then have other releases than one that starts with the state after; and
/// what conex says. opam 2.1.2 and 2.3.0 read everything anew after each update, so there nothing differs.
#[test]
fn what_opam_was_seen_to_do() {
    let (differs, same) = (true, false);
    let shadow = Some(Code::ShadowRelease);
    for (files, seen, refused) in [
        // Additions.
        ("+docs/foo.2/opam", differs, shadow),
        ("+docs/.h/foo.2/opam", differs, shadow),
        ("+docs/-foo.2/opam", differs, shadow),
        ("+docs/foo.2=1/opam", same, None),
        ("+docs/15.1/opam", same, None),
        ("+docs/.foo.2/opam", same, None),
        ("+docs/foo.1/README", same, shadow),
        ("+docs/foo.2/README", same, None),
        ("+foo.2/opam", differs, shadow),
        (
            "+conex/authors/foo.2/opam",
            differs,
            Some(Code::Unaccounted),
        ),
        ("+packages/bar/bar.1/files/foo.2/opam", differs, shadow),
        ("+packages/bar/bar.1/files/1.2/opam", same, None),
        ("+packages/foo/opam", differs, Some(Code::Unaccounted)),
        // Deletions.
        ("-docs/foo.1/README", differs, shadow),
        ("-docs/foo.1/files/x", differs, shadow),
        ("-docs/foo.01/README", differs, shadow),
        ("-docs/foo.1/deep/README", same, shadow),
        ("-docs/FOO.1/README", same, None),
        ("-packages/bar/bar.1/files/foo.1/x", differs, shadow),
        ("-docs/foo.2/README +packages/foo/foo.2/opam", same, None),
        ("-packages/foo/foo.2/opam +docs/foo.2/README", same, None),
        ("=docs/foo.2/README +packages/foo/foo.2/opam", same, shadow),
        // Releases.
        ("-packages/foo.2/opam +packages/foo/foo.2/opam", same, None),
        ("-packages/foo/foo.2/opam +packages/foo.2/opam", same, None),
        (
            "-packages/foo/foo.2/opam +packages/foo/foo.02/opam",
            same,
            None,
        ),
        ("+packages/foo/foo.01/opam", same, None),
        (
            "-packages/foo/foo.01/opam",
            differs,
            Some(Code::LostRelease),
        ),
        (
            "-packages/foo/foo.02/opam ~packages/foo/foo.2/opam",
            same,
            None,
        ),
        (
            "-packages/foo/foo.2/opam =packages/foo/foo.2/files/x",
            same,
            Some(Code::Unaccounted),
        ),
        ("=packages/foo/foo.2=1/opam", same, Some(Code::Unaccounted)),
    ] {
        let mut case = Case::empty();
        let always = "=packages/foo/foo.1/opam =packages/bar/bar.1/opam";
        for file in always.split(' ').chain(files.split(' ')) {
            let (becomes, file) = file.split_at(1);
            let text = format!("opam-version: \"2.0\"\n# {file}\n");
            if becomes != "+" {
                case.before.insert(file.into(), text.clone());
            }
            match becomes {
                "-" => {}
                "~" => drop(case.after.insert(file.into(), text + "# edited\n")),
                _ => drop(case.after.insert(file.into(), text)),
            }
        }
        let verdict = match case.judge() {
            Judged::Accepted(_) => None,
            Judged::Refused(codes) => codes.first().copied(),
        };
        assert_eq!(verdict, refused, "{files}");
        assert!(!seen || refused.is_some(), "{files} misleads opam");
    }
}

/// Each case is judged as a whole and as an update, with and without knowing what changed, and the
/// verdicts have to be the same.
#[test]
fn every_way_judges_generated_changes_alike() {
    let mut random = Random::new(7);
    let (mut accepted, mut refused) = (0, BTreeSet::new());
    for number in 0..cases(200) as usize {
        match Case::new(number, &mut random).judge() {
            Judged::Accepted(releases) => {
                assert!(!releases.is_empty());
                accepted += 1;
            }
            Judged::Refused(codes) => refused.extend(codes),
        }
    }
    assert!(accepted > 20, "{accepted}");
    for code in [Code::ShadowRelease, Code::LostRelease, Code::Unaccounted] {
        assert!(refused.contains(&code), "no case is {code}");
    }
}
