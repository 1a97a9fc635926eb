//! Updates: a verified state, what became of it, and the verdict in both ways (section 9).

use conex_core::model::stored::Stored as _;
use conex_core::tree::store::{MemoryStore, Sequential};
use conex_core::verify::{Before, LocalRecord, Mode, Report, Update};
use conex_crypto::StandardCrypto;
use conex_repo::KnownSchemes;
use conex_tests::{Community, changes, listed, verify};
use serde_json::{Map, Value, json};

use super::Cases;
use super::repositories::{told, word};

mod content;
mod ends;
mod people;
mod roots;

/// How an update is verified, unless in the mode `warn` with the record of the state before.
#[derive(Clone, Copy)]
struct How {
    mode: Mode,
    ahead: bool,
    /// How to make the state on record, instead of the state before.
    record: Option<fn(&mut Community)>,
}

const WARN: How = How {
    mode: Mode::Warn,
    ahead: false,
    record: None,
};
const STRICT: How = How {
    mode: Mode::Enforce,
    ..WARN
};
const MAIN: How = How {
    ahead: true,
    ..WARN
};

type Happen = fn(&mut Community);

/// A case: its name, whether it has to be accepted, how the state before is made from a hamlet, how the
/// state after is made from that, and how it is verified.
type Story = (&'static str, bool, Happen, Happen, How);

pub(super) fn add(cases: &mut Cases) {
    let all = [
        (content::PLAIN, "plain"),
        (content::OPAM, "opam"),
        (ends::PLAIN, "plain"),
        (people::PLAIN, "plain"),
        (roots::PLAIN, "plain"),
        (roots::OPAM, "opam"),
    ];
    for (stories, layout) in all {
        for (name, accepted, before, after, how) in stories {
            let mut was = Community::hamlet(layout);
            before(&mut was);
            let mut is = was.clone();
            after(&mut is);
            let record = record(&was, *how);
            let case = case(&was.tree, &is.tree, &record, *how);
            let verified = case.pointer("/expect/whole/verified");
            assert_eq!(verified, Some(&json!(accepted)), "{name}: {case:#}");
            let name = format!("updates/{layout}-{name}");
            let twice = cases.insert(name.clone(), case).is_some();
            assert!(!twice, "{name} is there twice");
        }
    }
}

/// Returns the record of a state, which has to be accepted.
fn record(before: &Community, how: How) -> LocalRecord {
    let mut recorded = before.clone();
    if let Some(change) = how.record {
        change(&mut recorded);
    }
    // The record of a state with a lenient mode has everything that a stricter mode asks for.
    let mode = match how.mode {
        Mode::Observe => Mode::Warn,
        other => other,
    };
    let verdict = [mode, Mode::Warn]
        .into_iter()
        .map(|mode| verify(&recorded.tree, &before.anchor(), mode, how.ahead))
        .find(|verdict| verdict.verified().is_some());
    let record = verdict.and_then(|verdict| LocalRecord::new(verdict.verified()?, 1));
    record.expect("a client has a state that was verified")
}

fn case(before: &MemoryStore, after: &MemoryStore, record: &LocalRecord, how: How) -> Value {
    let changed = changes(before, after);
    let update = Update {
        before: Before::dangerous_believed(before, record),
        after,
        changes: &changed,
        schemes: &KnownSchemes,
        crypto: &StandardCrypto,
        workers: &Sequential,
        mode: how.mode,
        ahead: how.ahead,
    };
    let (whole, fast) = (update.run(), update.run_fast());
    assert_eq!(listed(&whole.problems), listed(&fast.problems));
    json!({
        "before": told(before),
        "after": differences(before, after),
        "record": record.to_text(),
        "mode": word(how.mode),
        "ahead": how.ahead,
        "expect": {"whole": expected(&whole), "fast": expected(&fast)},
    })
}

/// Returns the findings on which both ways have to agree.
fn expected(report: &Report) -> Value {
    json!({
        "verified": report.verified().is_some(),
        "head": report.head.as_ref().map(|head| head.root().number.as_u32()),
        "problems": listed(&report.problems),
        "notes": listed(&report.notes),
    })
}

/// Returns the files that differ, each with its text, and null for deleted ones.
fn differences(before: &MemoryStore, after: &MemoryStore) -> Map<String, Value> {
    let mut files = told(after);
    files.retain(|file, _| before.get(file) != after.get(file));
    let gone = before.files().filter(|(file, _)| after.get(file).is_none());
    files.extend(gone.map(|(file, _)| (file.to_owned(), Value::Null)));
    files
}

/// Changes nothing.
fn nothing(_: &mut Community) {}

/// Serves an older state to the client: the hamlet in which all stories begin.
fn older(community: &mut Community) {
    *community = Community::hamlet(community.root().layout.as_str());
}
