//! Whole repositories, one fault each, with the verdict on them.

use conex_core::chain::Trust;
use conex_core::name::PackageName;
use conex_core::problem::Problem;
use conex_core::verify::Mode;
use conex_crypto::StandardCrypto;
use conex_tests::{Community, fingerprint, verify};
use serde_json::{Value, json};

use super::Cases;

mod honest;
mod hostile;

/// How a case is verified, other than by a fresh client with the digest of the first root.
#[derive(Clone)]
struct Way {
    /// Keys and their quorum, in place of the first root's digest.
    keys: Option<(&'static [&'static str], u16)>,
    /// The newest root's digest, in place of the first one's.
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

/// A case: its name, whether it is to be accepted, what happened to the hamlet, how it is verified.
type Story = (&'static str, bool, fn(&mut Community), Way);

pub(super) fn add(cases: &mut Cases) {
    let all = [
        (honest::PLAIN, "plain"),
        (honest::OPAM, "opam"),
        (hostile::PLAIN, "plain"),
        (hostile::OPAM, "opam"),
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
    let files = community.tree.files().map(|(file, bytes)| {
        let text = core::str::from_utf8(bytes).expect("stories write text");
        (file.to_owned(), json!(text))
    });
    let told = |problems: &[Problem]| -> Vec<Value> {
        let told = problems
            .iter()
            .map(|found| json!([found.code.as_str(), &*found.place]));
        told.collect()
    };
    json!({
        "files": files.collect::<serde_json::Map<_, _>>(),
        "anchors": anchors,
        "mode": match way.mode {
            Mode::Observe => "observe",
            Mode::Warn => "warn",
            Mode::Enforce => "enforce",
        },
        "ahead": way.ahead,
        "expect": {
            "verified": verdict.verified().is_some(),
            "head": verdict.head.as_ref().map(|head| head.root().number.as_u32()),
            "problems": told(&verdict.problems),
            "notes": told(&verdict.notes),
            "unsigned": verdict.unsigned.iter().map(PackageName::as_str).collect::<Vec<_>>(),
        },
    })
}

/// Lets a quorum approve.
fn by(community: &mut Community, what: &str) {
    community.approve_by(&["alice", "bob"], what);
}
