//! Whole repositories with one fault each, and the verdict on them.

use conex_core::model::key::PublicKey;
use conex_core::model::name::PackageName;
use conex_core::state::chain::Trust;
use conex_core::tree::store::MemoryStore;
use conex_core::verify::Mode;
use conex_crypto::StandardCrypto;
use conex_tests::{Community, asked, fingerprint, listed, verify};
use serde_json::{Map, Value, json};

use super::Cases;

mod chain;
mod counting;
mod honest;
mod hostile;
mod names;
mod pages;

/// How a case is verified, unless by a fresh client with the digest of the first root.
#[derive(Clone)]
struct Way {
    /// Keys and their quorum, instead of the first root's digest.
    keys: Option<(&'static [&'static str], u16)>,
    /// Whether to use the newest root's digest instead of the first one's.
    newest: bool,
    mode: Mode,
    ahead: bool,
}

const FRESH: Way = Way {
    keys: None,
    newest: false,
    mode: Mode::Warn,
    ahead: false,
};
const MAIN: Way = Way {
    ahead: true,
    ..FRESH
};
const STRICT: Way = Way {
    mode: Mode::Enforce,
    ..FRESH
};

/// A case: its name, whether it has to be accepted, what happened to the hamlet, and how it is verified.
type Story = (&'static str, bool, fn(&mut Community), Way);

pub(super) fn add(cases: &mut Cases) {
    let all = [
        (honest::PLAIN, "plain"),
        (honest::OPAM, "opam"),
        (hostile::PLAIN, "plain"),
        (hostile::OPAM, "opam"),
        (chain::PLAIN, "plain"),
        (counting::PLAIN, "plain"),
        (counting::OPAM, "opam"),
        (names::PLAIN, "plain"),
        (names::OPAM, "opam"),
        (pages::PLAIN, "plain"),
    ];
    for (stories, layout) in all {
        for (name, accepted, happen, way) in stories {
            let mut community = Community::hamlet(layout);
            happen(&mut community);
            let case = case(&community, way);
            let verified = case.pointer("/expect/verified");
            assert_eq!(verified, Some(&json!(accepted)), "{name}: {case:#}");
            let name = format!("repositories/{layout}-{name}");
            assert!(
                cases.insert(name.clone(), case).is_none(),
                "{name} is there twice"
            );
        }
    }
}

fn case(community: &Community, way: &Way) -> Value {
    let newest = community.root().digest(&StandardCrypto);
    let (trust, anchors) = match way.keys {
        Some((keys, quorum)) => (
            community.anchor_keys(keys, quorum),
            json!({
                "origin": "example",
                "keys": keys.iter().map(|who| fingerprint(who).to_string()).collect::<Vec<_>>(),
                "quorum": quorum,
            }),
        ),
        None if way.newest => (Trust::Root(newest), json!({"root": newest.to_string()})),
        None => match community.anchor() {
            Trust::Root(digest) => (Trust::Root(digest), json!({"root": digest.to_string()})),
            other => (other, Value::Null),
        },
    };
    let verdict = verify(&community.tree, &trust, way.mode, way.ahead);
    json!({
        "files": told(&community.tree),
        "anchors": anchors,
        "mode": word(way.mode),
        "ahead": way.ahead,
        "expect": {
            "verified": verdict.verified().is_some(),
            "head": verdict.head.as_ref().map(|head| head.root().number.as_u32()),
            "problems": listed(&verdict.problems),
            "notes": listed(&verdict.notes),
            "unsigned": verdict.unsigned.iter().map(PackageName::as_str).collect::<Vec<_>>(),
            "asked": asked(&verdict),
        },
    })
}

/// Builds a key of an algorithm with one field.
fn key_of(algorithm: &str, field: &[u8]) -> PublicKey {
    let string = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).expect("keys are short");
        [&length.to_be_bytes(), bytes].concat()
    };
    let blob = [string(algorithm.as_bytes()), string(field)].concat();
    PublicKey::from_blob(blob).expect("an algorithm and a field make a key")
}

/// Returns the Ed25519 key that is the neutral point, under which anybody can sign.
pub(super) fn small_order() -> PublicKey {
    let mut point = [0; 32];
    point[0] = 1;
    key_of("ssh-ed25519", &point)
}

/// Returns all files of a tree.
pub(super) fn told(tree: &MemoryStore) -> Map<String, Value> {
    let files = tree.files().map(|(file, bytes)| {
        let text = core::str::from_utf8(bytes).expect("stories write text");
        (file.to_owned(), json!(text))
    });
    files.collect()
}

/// Returns the name of a mode.
pub(super) fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Observe => "observe",
        Mode::Warn => "warn",
        Mode::Enforce => "enforce",
    }
}

/// Has a quorum approve something.
pub(super) fn by(community: &mut Community, what: &str) {
    community.approve_by(&["alice", "bob"], what);
}
