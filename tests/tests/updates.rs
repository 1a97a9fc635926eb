//! What holds for any update: the two laws of spec section 9.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::sync::LazyLock;

use conex_core::model::path::Path;
use conex_core::state::chain::Trust;
use conex_core::tree::problem::Code;
use conex_core::tree::store::{Entry, MemoryStore, Sequential, Store, StoreError};
use conex_core::verify::{Before, Changes, LocalRecord, Mode, Update, Verification, Way};
use conex_crypto::StandardCrypto;
use conex_repo::KnownSchemes;
use conex_tests::{
    Client, Community, History, PACKAGES, Step, TRANSITIONS, cases, changes, fingerprint, oracle,
    verify,
};
use proptest::prelude::*;
use proptest::sample::Index;

static SETTLED: LazyLock<Community> = LazyLock::new(|| Community::settled("opam"));

#[test]
fn nothing_at_all_is_an_update() {
    for layout in ["plain", "opam"] {
        let community = Community::settled(layout);
        Client::of(&community).offered(&community).accepted();
    }
}

#[test]
fn a_release_is_an_update_that_is_told_by_what_changed() {
    let mut community = Community::settled("plain");
    let client = Client::of(&community);
    community.release("foo", "3.0", "three\n");
    community.approve("dave", "foo");
    client.offered(&community).accepted();
    client.part(&community.tree).unwrap().accepted();
    let back = Client::of(&community);
    back.judge(&client.tree).refused(&[(Code::Rollback, "foo")]);
}

#[test]
fn releases_at_their_old_place_are_found_without_a_listing() {
    // `packages/foo.0.9` beside `packages/foo`, as in old repositories.
    let mut community = SETTLED.clone();
    let text = community.read("packages/foo/foo.1.0/opam");
    community.write("packages/foo.0.9/opam", text.as_str());
    community.approve("dave", "foo");
    let client = Client::of(&community);
    let mut honest = community.clone();
    honest.release("foo", "3.0", &text);
    honest.approve("dave", "foo");
    client.offered(&honest).accepted();
    client.part(&honest.tree).unwrap().accepted();
    // Approved without it, it has to go.
    let mut hostile = honest.clone();
    hostile.remove("packages/foo.0.9");
    let (releases, file) = (
        hostile.present("foo releases", "0.4"),
        hostile.present("foo/3.0 checksums", "0.2"),
    );
    hostile.vouch("dave", &[releases, file]);
    client.offered(&hostile).accepted();
    hostile.write("packages/foo.0.9/opam", text.as_str());
    client
        .offered(&hostile)
        .refused(&[(Code::Behind, "packages/foo")]);
    // It comes and goes as anything else.
    let mut moved = community.clone();
    moved.remove("packages/foo.0.9");
    moved.release("foo", "0.9", &text);
    client.offered(&moved).accepted();
    Client::of(&moved).offered(&community).accepted();
    moved.write("packages/foo.0.9/opam", text.as_str());
    let twice = client.offered(&moved);
    assert!(twice.with_code(Code::ShadowRelease).next().is_some());
}

/// A store that does not list some directories.
struct Unlisted<'a>(&'a MemoryStore, &'a [&'a str]);

impl Store for Unlisted<'_> {
    fn list(&self, directory: &Path) -> Result<Vec<Entry>, StoreError> {
        assert!(!self.1.contains(&directory.as_str()), "lists {directory}");
        self.0.list(directory)
    }

    fn read(&self, file: &Path, limit: u64, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        self.0.read(file, limit, buffer)
    }
}

#[test]
fn what_has_no_new_name_lists_nothing_that_grows() {
    for (layout, unlisted) in [
        // A new release may be what an ignored directory is called like, so the top is listed for it.
        ("opam", &["packages", "conex/packages", "conex/batches"][..]),
        ("plain", &["", "conex/packages", "conex/batches"]),
    ] {
        let mut community = Community::settled(layout);
        let client = Client::of(&community);
        let file = community.release_file("foo", "2.0");
        let text = community.read(&file).replace('4', "5") + "# mended\n";
        community.write(&file, text.as_str());
        community.approve("dave", "foo");
        let file = community.release_file("bar", "0.2");
        community.write(&file, text.as_str());
        community.approve("alice", "bar");
        let changes = changes(&client.tree, &community.tree);
        let (before, after) = (
            Unlisted(&client.tree, unlisted),
            Unlisted(&community.tree, unlisted),
        );
        let update = Update {
            before: Before::dangerous_believed(&before, &client.record),
            after: &after,
            changes: &changes,
            schemes: &KnownSchemes,
            crypto: &StandardCrypto,
            workers: &Sequential,
            mode: Mode::Warn,
            ahead: false,
        };
        assert!(update.run_fast().verified().is_some());
    }
}

fn verification<'a>(
    tree: &'a MemoryStore,
    trust: &'a Trust,
) -> Verification<'a, MemoryStore, StandardCrypto, Sequential> {
    Verification {
        store: tree,
        schemes: &KnownSchemes,
        crypto: &StandardCrypto,
        workers: &Sequential,
        trust,
        mode: Mode::Enforce,
        ahead: false,
    }
}

fn update<'a>(
    before: Before<'a, MemoryStore>,
    after: &'a MemoryStore,
    changes: &'a Changes,
) -> Update<'a, MemoryStore, MemoryStore, StandardCrypto, Sequential> {
    Update {
        before,
        after,
        changes,
        schemes: &KnownSchemes,
        crypto: &StandardCrypto,
        workers: &Sequential,
        mode: Mode::Enforce,
        ahead: false,
    }
}

/// A record names a root, and nothing else of a state (section 9.1): who says of another tree that it is the
/// one on record is believed, by the fast way about everything that did not change.
#[test]
fn a_forged_state_is_followed_on_the_word_of_the_caller_only() {
    let community = Community::settled("plain");
    let trust = community.anchor();
    let (_, state) = verification(&community.tree, &trust).run_and_keep(1);
    let state = state.unwrap();
    let mut forged = community.tree.clone();
    forged.insert(community.release_file("foo", "1.0"), "forged\n");
    let unchanged = Changes::none();
    let believed = Before::dangerous_believed(&forged, state.record());
    let believed = update(believed, &forged, &unchanged);
    assert!(believed.run().verified().is_none());
    assert!(believed.run_fast().verified().is_some());
    // Nothing but the verification of a tree says so without a word of the caller.
    assert!(verification(&forged, &trust).run_and_keep(1).1.is_none());
    let told = changes(&community.tree, &forged);
    let honest = update(state.before(), &forged, &told);
    for way in [Way::Whole, Way::Fast] {
        assert!(honest.run_and_keep(way, 2).1.is_none());
    }
}

#[test]
fn states_that_were_verified_here_follow_each_other() {
    let mut community = Community::settled("opam");
    let trust = community.anchor();
    let first = community.tree.clone();
    let (report, state) = verification(&first, &trust).run_and_keep(1);
    let state = state.unwrap();
    assert_eq!(
        LocalRecord::new(report.verified().unwrap(), 1).as_ref(),
        Some(state.record())
    );
    let text = community.read(&community.release_file("foo", "2.0"));
    community.release("foo", "3.0", &text);
    community.approve("dave", "foo");
    let told = changes(&first, &community.tree);
    let step = update(state.before(), &community.tree, &told);
    let (_, fast) = step.run_and_keep(Way::Fast, 2);
    let (_, whole) = step.run_and_keep(Way::Whole, 2);
    let (fast, whole) = (fast.unwrap(), whole.unwrap());
    assert_eq!(fast.record().verified(), 1);
    assert_eq!(whole.record().verified(), 2);
    let mut next = community.clone();
    next.remove("packages/foo/foo.1.0");
    next.approve("dave", "foo");
    let told = changes(&community.tree, &next.tree);
    let step = update(fast.before(), &next.tree, &told);
    assert!(step.run_and_keep(Way::Fast, 3).1.is_some());
    // An anchor that nobody trusts makes no state to follow.
    let asserted = Trust::DangerousSelfAsserted;
    assert!(verification(&first, &asserted).run_and_keep(1).1.is_none());
}

/// Whoever wonders why an update took long is told; and that is no problem.
#[test]
fn the_fast_way_says_why_it_needed_everything() {
    let settled = Community::settled("opam");
    let client = Client::of(&settled);
    let why = |change: &dyn Fn(&mut Community)| {
        let mut community = settled.clone();
        change(&mut community);
        let verdict = client.fast(&community.tree);
        verdict.accepted();
        let notes = verdict.with_code(Code::JudgedWhole);
        let notes: Vec<String> = notes.map(ToString::to_string).collect();
        (verdict.whole, notes)
    };
    let release = why(&|community| {
        community.release("foo", "3.0", "opam-version: \"2.0\"\n");
        community.approve("dave", "foo");
    });
    assert_eq!(release, (false, Vec::new()));
    let (whole, notes) = why(&|community| {
        community.propose_root(|root| root.revoked.push(fingerprint("stolen")));
        community.sign_root("alice");
        community.sign_root("bob");
    });
    let told = ["conex/root/2.toml: judged-whole: the roots changed"];
    assert!(whole);
    assert_eq!(notes, told);
}

fn step() -> impl Strategy<Value = Step> {
    let package = || 0..PACKAGES.len();
    prop_oneof![
        4 => (package(), 0..4_u8).prop_map(|(package, number)| Step::Publish(package, number)),
        4 => package().prop_map(Step::Repair),
        2 => package().prop_map(Step::Withdraw),
        1 => package().prop_map(Step::Remove),
        2 => package().prop_map(Step::Claim),
        1 => package().prop_map(Step::Raise),
        1 => (0..4_u8).prop_map(Step::Enrol),
        1 => Just(Step::Rotate),
        1 => Just(Step::Revoke),
        1 => Just(Step::Team),
        1 => Just(Step::Compact),
        1 => Just(Step::Rules(false)),
    ]
}

/// What a server, or a thief with somebody's key, does to a state, with all states there ever were
/// at hand.
#[derive(Debug, Clone)]
enum Attack {
    /// A file is served as it once was.
    Older(Index, Index),
    /// The pages of some person are.
    OlderPages(&'static str, Index),
    /// A package is, with its claim.
    OlderPackage(usize, Index),
    /// A page is left out.
    Page(Index),
    /// A file below `conex/` is.
    Metadata(Index),
    /// Any file is.
    Remove(Index),
    /// The newest root is.
    Root,
    /// A file is changed.
    Flip(Index, Index),
    /// A file is added to a package.
    Add(usize),
    /// Somebody vouches for all there is, in the next version.
    Vouch(&'static str),
    /// A janitor is revoked by a quorum.
    Revoke,
}

fn attack() -> impl Strategy<Value = Attack> {
    let index = any::<Index>;
    let who = || prop::sample::select(vec!["alice", "bob", "dave", "erin"]);
    prop_oneof![
        4 => (index(), index()).prop_map(|(file, state)| Attack::Older(file, state)),
        4 => (who(), index()).prop_map(|(who, state)| Attack::OlderPages(who, state)),
        4 => (0..PACKAGES.len(), index()).prop_map(|(at, state)| Attack::OlderPackage(at, state)),
        4 => index().prop_map(Attack::Page),
        2 => index().prop_map(Attack::Metadata),
        1 => index().prop_map(Attack::Remove),
        1 => Just(Attack::Root),
        1 => (index(), index()).prop_map(|(file, at)| Attack::Flip(file, at)),
        1 => (0..PACKAGES.len()).prop_map(Attack::Add),
        2 => who().prop_map(Attack::Vouch),
        1 => Just(Attack::Revoke),
    ]
}

fn files(tree: &MemoryStore, below: &str) -> Vec<String> {
    let files = tree.files().map(|(file, _)| file.to_owned());
    files.filter(|file| file.starts_with(below)).collect()
}

/// Serves everything below a place as it once was.
fn serve(community: &mut Community, older: &MemoryStore, below: &str) {
    for file in files(&community.tree, below) {
        community.remove(&file);
    }
    for file in files(older, below) {
        community.write(&file, older.get(&file).unwrap());
    }
}

impl Attack {
    fn apply(&self, community: &mut Community, states: &[Community]) {
        let all = files(&community.tree, "");
        if all.is_empty() {
            return;
        }
        match self {
            Self::Older(file, state) => {
                let older = &state.get(states).tree;
                serve(community, older, file.get::<String>(&files(older, "")));
            }
            Self::OlderPages(who, state) => {
                serve(
                    community,
                    &state.get(states).tree,
                    &format!("conex/index/{who}/"),
                );
            }
            Self::OlderPackage(at, state) => {
                let (older, package) = (&state.get(states).tree, PACKAGES.get(*at).unwrap());
                serve(community, older, &format!("packages/{package}/"));
                serve(community, older, &format!("conex/packages/{package}.toml"));
            }
            Self::Page(page) => {
                let pages = files(&community.tree, "conex/index/");
                if !pages.is_empty() {
                    community.remove(page.get::<String>(&pages));
                }
            }
            Self::Metadata(file) => {
                let metadata = files(&community.tree, "conex/");
                if !metadata.is_empty() {
                    community.remove(file.get::<String>(&metadata));
                }
            }
            Self::Remove(file) => community.remove(file.get::<String>(&all)),
            Self::Root => {
                let number = community.root().number;
                for gone in [
                    format!("conex/root/{number}.toml"),
                    format!("conex/root/{number}/"),
                ] {
                    serve(community, &MemoryStore::new(), &gone);
                }
            }
            Self::Flip(file, at) => {
                let file = file.get::<String>(&all);
                let mut bytes = community.tree.get(file).unwrap().to_vec();
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    *bytes.get_mut(at).unwrap() ^= 1;
                }
                community.write(file, bytes);
            }
            Self::Add(at) => {
                let package = PACKAGES.get(*at).unwrap();
                community.release(package, "6.6", "opam-version: \"2.0\"\n");
            }
            Self::Vouch(who) => {
                community.approve_all(who, |_| true);
            }
            Self::Revoke => community.next_root(&["alice", "carol"], |root| {
                root.revoked.push(fingerprint("bob"));
                root.janitors.retain(|janitor| janitor.id.as_str() != "bob");
                root.revoked.sort();
                root.revoked.dedup();
            }),
        }
    }
}

/// A settled community, and what it became after each step.
fn states(steps: &[Step]) -> Vec<Community> {
    let mut history = History::new(&SETTLED);
    let mut states = vec![SETTLED.clone()];
    for step in steps {
        history.take(step);
        states.push(history.community.clone());
    }
    states
}

fn config(usual: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases(usual))
    }
}

proptest! {
    #![proptest_config(config(30))]

    /// The first law, of honest people: if each step is accepted, so is each jump; both ways agree.
    #[test]
    fn an_honest_history_is_accepted_step_by_step_and_at_one_jump(
        steps in prop::collection::vec(step(), 1..8)
    ) {
        let states = states(&steps);
        for (at, from) in states.iter().enumerate() {
            let client = Client::of(from);
            for to in states.iter().skip(at) {
                let verdict = client.offered(to);
                prop_assert!(verdict.verified().is_some(), "{}", verdict.told());
            }
        }
    }
}

proptest! {
    #![proptest_config(config(150))]

    /// The first law: an update is accepted exactly if its result is verified in full from the head
    /// before, and every transition is allowed; both ways agree.
    #[test]
    fn an_update_is_accepted_exactly_if_its_result_and_its_transitions_are(
        steps in prop::collection::vec(step(), 0..6),
        (from, to) in (any::<Index>(), any::<Index>()),
        attacks in prop::collection::vec(attack(), 0..3),
    ) {
        let states = states(&steps);
        let mut hostile = to.get(&states).clone();
        for attack in &attacks {
            attack.apply(&mut hostile, &states);
        }
        let from = from.get(&states);
        let client = Client::of(from);
        let verdict = client.offered(&hostile);

        // On a main line, too, both ways agree.
        let main = Client { ahead: true, ..client.clone() };
        main.offered(&hostile);

        let trust = Trust::Recorded(client.record.head());
        let whole = verify(&hostile.tree, &trust, Mode::Warn, false);
        let before = from.verify();
        let expected = whole.verified().is_some() && oracle::may_become(&before, &whole);
        prop_assert_eq!(
            verdict.verified().is_some(),
            expected,
            "update:\n{}\nwhole:\n{}",
            verdict.told(),
            whole.told()
        );
        // An update adds problems, and takes none away.
        for problem in &whole.problems {
            prop_assert!(verdict.problems.contains(problem), "{}", problem);
        }
        let more = verdict.problems.iter().filter(|problem| !whole.problems.contains(problem));
        for problem in more {
            prop_assert!(TRANSITIONS.contains(&problem.code), "{}", problem);
        }
    }
}

/// A community with so many unclaimed packages, all approved in batches, besides the settled ones.
fn sized(packages: usize) -> Community {
    let mut community = Community::settled("plain");
    for at in 0..packages {
        community.release(&format!("p{at:05}"), "1", &format!("{at}\n"));
    }
    community.approve("alice", "*");
    community
}

/// The second law: what the fast way opens does not depend on the size of the repository.
#[test]
fn files_opened_follow_the_change_and_not_the_repository() {
    type Change = fn(&mut Community);
    let changes: [(&str, Change); 8] = [
        ("nothing", |_| ()),
        ("a release", |community| {
            community.release("foo", "3.0", "three\n");
            community.approve("dave", "foo");
        }),
        ("a repair", |community| {
            community.release("foo", "1.0", "mended\n");
            community.approve("carol", "foo/1.0 checksums");
            community.approve("dave", "foo releases");
        }),
        ("a repair of what is unclaimed", |community| {
            community.release("p00007", "1", "mended\n");
            community.approve("carol", "p00007");
        }),
        ("a package", |community| {
            community.release("new", "1", "x");
            community.approve("alice", "new");
        }),
        ("a claim", |community| {
            community.claim("p00007", &["makers"]);
            community.approve_by(&["alice", "bob"], "p00007 authorisation");
            community.approve("erin", "p00007");
        }),
        ("a member", |community| {
            community.edit_team("makers", |team| team.members.push("carol".parse().unwrap()));
            community.approve_by(&["alice", "bob"], "makers");
        }),
        ("an author", |community| {
            community.author("frank");
            community.approve_by(&["alice", "bob"], "frank");
        }),
    ];
    let (small, large) = (sized(200), sized(2_000));
    for (what, change) in changes {
        let opened = [&small, &large].map(|before| {
            let mut after = before.clone();
            change(&mut after);
            Client::of(before).opens(&after.tree)
        });
        let [small, large] = opened;
        assert_eq!(small, large, "{what}");
        assert!(small < 80, "{what}: {small}");
    }
}
