//! What holds for any history, any order and any noise.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::sync::LazyLock;

use conex_core::model::digest::Digest;
use conex_core::model::vouch::Vouch;
use conex_core::tree::problem::Code;
use conex_core::verify::Mode;
use conex_tests::{Community, History, PACKAGES, Step, cases, opam_file, subject, version};
use proptest::prelude::*;
use proptest::sample::Index;

static SETTLED: LazyLock<Community> = LazyLock::new(|| Community::settled("opam"));

/// Something that whoever serves a repository can do to it without any key.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(Index, Index, u8),
    Cut(Index, Index, u8),
    Insert(Index, Index, Vec<u8>),
    Remove(Index),
    Swap(Index, Index),
    Copy(Index, Index, String),
    Line(Index, Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    let name = "[a-zA-Z0-9.:\\\\ é-]{1,12}";
    prop_oneof![
        (index(), index(), 1_u8..).prop_map(|(file, at, bits)| Mutation::Flip(file, at, bits)),
        (index(), index(), 1_u8..).prop_map(|(file, at, count)| Mutation::Cut(file, at, count)),
        (index(), index(), prop::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(file, at, bytes)| Mutation::Insert(file, at, bytes)),
        index().prop_map(Mutation::Remove),
        (index(), index()).prop_map(|(a, b)| Mutation::Swap(a, b)),
        (index(), index(), name).prop_map(|(file, to, name)| Mutation::Copy(file, to, name)),
        (index(), index(), index()).prop_map(|(file, from, to)| Mutation::Line(file, from, to)),
    ]
}

impl Mutation {
    fn apply(&self, community: &mut Community) {
        let files: Vec<(String, Vec<u8>)> = community
            .tree
            .files()
            .map(|(file, bytes)| (file.to_owned(), bytes.to_vec()))
            .collect();
        if files.is_empty() {
            return;
        }
        let edit = |community: &mut Community, file: &Index, edit: &dyn Fn(&mut Vec<u8>)| {
            let (file, mut bytes) = file.get(&files).clone();
            edit(&mut bytes);
            community.write(&file, bytes);
        };
        match self {
            Self::Flip(file, at, bits) => edit(community, file, &|bytes| {
                let at = at.index(bytes.len().max(1));
                bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= bits);
            }),
            Self::Cut(file, at, count) => edit(community, file, &|bytes| {
                let at = at.index(bytes.len() + 1);
                bytes.drain(at..(at + usize::from(*count)).min(bytes.len()));
            }),
            Self::Insert(file, at, more) => edit(community, file, &|bytes| {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, more.iter().copied());
            }),
            Self::Remove(file) => community.remove(&file.get(&files).0),
            Self::Swap(a, b) => {
                let (a, b) = (a.get(&files), b.get(&files));
                community.write(&a.0, b.1.as_slice());
                community.write(&b.0, a.1.as_slice());
            }
            Self::Copy(file, beside, name) => {
                let directory = beside.get(&files).0.rsplit_once('/').unwrap_or_default().0;
                community.write(
                    &format!("{directory}/{name}"),
                    file.get(&files).1.as_slice(),
                );
            }
            Self::Line(file, from, to) => edit(community, file, &|bytes| {
                let text = String::from_utf8_lossy(bytes).into_owned();
                let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
                if !lines.is_empty() {
                    let line = lines.remove(from.index(lines.len()));
                    lines.insert(to.index(lines.len() + 1), line);
                }
                *bytes = lines.concat().into_bytes();
            }),
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let package = || 0..PACKAGES.len();
    prop_oneof![
        4 => (package(), any::<u8>()).prop_map(|(package, number)| Step::Publish(package, number)),
        4 => package().prop_map(Step::Repair),
        1 => package().prop_map(Step::Withdraw),
        1 => package().prop_map(Step::Claim),
        1 => (0..4_u8).prop_map(Step::Enrol),
        1 => package().prop_map(Step::Remove),
        1 => package().prop_map(Step::Raise),
        1 => Just(Step::Rotate),
        1 => Just(Step::Revoke),
        1 => Just(Step::Team),
        1 => Just(Step::Compact),
        1 => any::<bool>().prop_map(Step::Rules),
    ]
}

/// Merges what each changed of what both began with, as git does where nothing conflicts.
fn merged(a: &Community, b: &Community) -> Community {
    let mut merged = a.clone();
    for (file, bytes) in b.tree.files() {
        if SETTLED.tree.get(file) != Some(bytes) {
            merged.write(file, bytes);
        }
    }
    for (file, _) in SETTLED.tree.files() {
        if b.tree.get(file).is_none() {
            merged.tree.remove(file);
        }
    }
    merged
}

fn config(usual: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases(usual))
    }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn without_a_key_nothing_else_is_ever_verified(
        mutations in prop::collection::vec(mutation(), 1..5)
    ) {
        let mut hostile = SETTLED.clone();
        for mutation in &mutations {
            mutation.apply(&mut hostile);
        }
        hostile.verify_in(Mode::Observe);
        hostile.verify_main();
        hostile.verify_from(&hostile.anchor_keys(&["alice", "carol"], 2));
        hostile.verify();
        if hostile.verify_in(Mode::Enforce).verified().is_some() {
            let data = hostile.tree.files().filter(|(file, _)| file.starts_with("packages/"));
            for (file, bytes) in data {
                prop_assert_eq!(SETTLED.tree.get(file), Some(bytes), "{}", file);
            }
        }
    }

    #[test]
    fn pages_of_people_without_a_say_change_nothing(
        noise in prop::collection::vec(
            (0..4_usize, 0..6_usize, 0..2_u32, any::<u64>(), any::<Option<[u8; 32]>>()), 1..6)
    ) {
        let mut noisy = SETTLED.clone();
        let expected = noisy.verify_in(Mode::Enforce);
        for (who, what, epoch, counter, digest) in noise {
            // For each of these subjects, none of these is enough.
            let what = *["foo authorisation", "dave author", "makers team", ". repository",
                "foo releases", "foo/1.0 checksums"].get(what).unwrap();
            let who = *["erin", "stranger", "dave#2", "alice#2"].get(who).unwrap();
            let under = version(&format!("{epoch}.{}", counter.max(1)));
            let vouch = Vouch {
                subject: subject(what),
                version: under,
                digest: digest.map_or(noisy.present(what, "0.1").digest, Digest::from_bytes),
            };
            noisy.vouch(who, &[vouch]);
        }
        let verdict = noisy.verify_in(Mode::Enforce);
        verdict.accepted();
        prop_assert!(verdict.notes.iter().all(|note| note.code == Code::InertPage));
        for (found, before) in verdict.findings.iter().zip(&expected.findings) {
            prop_assert_eq!(&found.subject, &before.subject);
            prop_assert_eq!(&found.digest, &before.digest);
            prop_assert_eq!(&found.assessment.standing, &before.assessment.standing);
        }
    }
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn any_honest_history_is_verified(steps in prop::collection::vec(step(), 1..10)) {
        let mut history = History::new(&SETTLED);
        for step in &steps {
            history.take(step);
            let verdict = history.community.verify_in(Mode::Enforce);
            prop_assert!(verdict.verified().is_some(), "{:?}:\n{}", step, verdict.told());
        }
    }

    #[test]
    fn the_order_of_approvals_does_not_matter(
        order in Just(["alice", "bob", "carol", "dave", "erin"]).prop_shuffle(),
        again in any::<bool>(),
    ) {
        let mut community = SETTLED.clone();
        for package in ["foo", "lib", "bar", "new"] {
            community.release(package, "7.0", &opam_file("5.0", "dune"));
        }
        community.write("repo", "stamp: \"2\"\n");
        let expected = community.statements();
        for who in order.iter().chain(order.iter().filter(|_| again)) {
            community.approve_all(who, |_| true);
        }
        community.verify_in(Mode::Enforce).accepted();
        prop_assert_eq!(community.statements(), expected);
    }

    #[test]
    fn the_merge_of_two_honest_branches_is_honest(
        ours in prop::collection::vec(step(), 1..4),
        theirs in prop::collection::vec(step(), 1..4),
    ) {
        // The branches meet in nothing: one is about `foo` and people, one about the rest.
        let ours = ours.iter().filter(|step| match step {
            Step::Publish(at, _) | Step::Repair(at) => *at == 0,
            Step::Enrol(_) | Step::Rules(_) => true,
            _ => false,
        });
        let theirs = theirs.iter().filter(|step| {
            matches!(step, Step::Publish(at, _) | Step::Repair(at) | Step::Claim(at) if *at > 0)
        });
        let (mut a, mut b) = (History::new(&SETTLED), History::new(&SETTLED));
        ours.for_each(|step| a.take(step));
        theirs.for_each(|step| b.take(step));
        let both = merged(&a.community, &b.community);
        both.verify_in(Mode::Enforce).accepted();
        prop_assert_eq!(merged(&b.community, &a.community).tree, both.tree);
    }
}
