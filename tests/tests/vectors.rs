//! The committed vectors, read back and held against the code.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use conex_core::model::crypto::{Digests as _, Namespace, Signatures as _};
use conex_core::model::digest::{Context, Digest};
use conex_core::model::encoding;
use conex_core::model::key::{Fingerprint, PublicKey, Signature};
use conex_core::model::name::{Origin, PackageName};
use conex_core::model::page::{Batch, Page};
use conex_core::model::statement::{Author, Authorisation, Root, RootSignature, Team};
use conex_core::model::stored::{ParseError, Stored};
use conex_core::model::version::Threshold;
use conex_core::state::chain::{AnchorKeys, Trust};
use conex_core::tree::projection::Projection;
use conex_core::tree::store::{MemoryStore, Sequential};
use conex_core::verify::{Before, LocalRecord, Mode, Report, Update};
use conex_crypto::StandardCrypto;
use conex_repo::KnownSchemes;
use conex_repo::opam::{OpamProjection, RepoProjection};
use conex_tests::model::{self, Anchor, Strictness};
use conex_tests::{asked, changes, listed, verify};
use serde_json::{Value, json};

/// How many cases there are, how many of these are verified, and how many the second verifier judges, too.
const REPOSITORIES: usize = 233;
const ACCEPTED: usize = 51;
const SECONDED: usize = 194;
const UPDATES: usize = 107;
const FOLLOWED: usize = 44;
const FOLLOWED_SECONDED: usize = 93;

/// The cases of a folder by name; there have to be so many.
fn cases(folder: &str, count: usize) -> BTreeMap<String, Value> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../vectors")
        .join(folder);
    let mut cases = BTreeMap::new();
    for file in fs::read_dir(directory).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        cases.insert(name, serde_json::from_str(&text).unwrap());
    }
    assert_eq!(cases.len(), count, "of {folder}");
    cases
}

fn text<'v>(case: &'v Value, field: &str) -> &'v str {
    case[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} is no text in {case:#}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .concat()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| core::str::from_utf8(pair).unwrap());
    digits
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

fn context(case: &Value) -> Context {
    let name = text(case, "context");
    *Context::ALL
        .iter()
        .find(|context| context.as_str() == name)
        .unwrap()
}

/// The canonical bytes of a stored text.
fn canonical<T: Stored + serde::Serialize>(case: &Value) -> Vec<u8> {
    let stored = T::from_bytes(text(case, "statement").as_bytes()).unwrap();
    encoding::canonical(&text(case, "origin").parse::<Origin>().unwrap(), &stored)
}

#[test]
fn statements() {
    for (name, case) in cases("statements", 15) {
        let wanted = text(&case, "canonical");
        let digest = StandardCrypto.blake3(context(&case), &bytes(wanted));
        assert_eq!(digest.to_string(), text(&case, "digest"), "{name}");
        let found = match context(&case) {
            Context::Author => canonical::<Author>(&case),
            Context::Team => canonical::<Team>(&case),
            Context::Authorisation => canonical::<Authorisation>(&case),
            Context::Root => canonical::<Root>(&case),
            Context::Page => canonical::<Page>(&case),
            Context::Batch => canonical::<Batch>(&case),
            // What is computed is read back from repositories.
            Context::Releases | Context::Checksums | Context::Repository | Context::Source => {
                continue;
            }
        };
        assert_eq!(hex(&found), wanted, "{name}");
    }
}

#[test]
fn signatures() {
    for (name, case) in cases("signatures", 64) {
        let key = PublicKey::parse(text(&case, "key")).unwrap();
        let fingerprint = StandardCrypto.fingerprint(&key).to_string();
        assert_eq!(fingerprint, text(&case, "fingerprint"), "{name}");
        let namespaces = [Namespace::Page, Namespace::Root, Namespace::Possession];
        let namespace = text(&case, "namespace");
        let namespace = namespaces
            .into_iter()
            .find(|known| known.as_str() == namespace)
            .unwrap();
        let signature = Signature::parse(text(&case, "signature")).unwrap();
        let message = bytes(text(&case, "message"));
        let result = StandardCrypto.verify(&key, namespace, &message, &signature);
        assert_eq!(Value::from(result.is_ok()), case["verifies"], "{name}");
        assert_eq!(result.is_err(), name.starts_with("refused-"), "{name}");
        if name.starts_with("page-") {
            let origin: Origin = text(&case, "origin").parse().unwrap();
            let page = Page::from_bytes(text(&case, "stored").as_bytes()).unwrap();
            assert_eq!(page.body().message(&origin), message, "{name}");
            let digest = page.digest(&origin, &StandardCrypto).to_string();
            assert!(text(&case, "place").contains(&digest), "{name}");
            assert_eq!(*page.signature(), signature, "{name}");
        }
    }
}

#[test]
fn spellings() {
    fn read<T: Stored>(bytes: &[u8]) -> Result<String, ParseError> {
        T::from_bytes(bytes).map(|value| value.to_text())
    }
    let mut accepted = 0;
    for (name, case) in cases("spellings", 161) {
        let read = match text(&case, "kind") {
            "author" => read::<Author>,
            "team" => read::<Team>,
            "authorisation" => read::<Authorisation>,
            "root" => read::<Root>,
            "root-signature" => read::<RootSignature>,
            "page" => read::<Page>,
            "batch" => read::<Batch>,
            other => panic!("{other} is no kind"),
        };
        match read(text(&case, "text").as_bytes()) {
            Ok(printed) => {
                accepted += 1;
                assert_eq!(case["accepted"], json!(true), "{name}");
                assert_eq!(printed, text(&case, "text"), "{name}");
            }
            Err(error) => {
                assert_eq!(case["accepted"], json!(false), "{name}");
                assert_eq!(case["line"], json!(error.line), "{name}");
                assert_eq!(text(&case, "reason"), error.reason, "{name}");
            }
        }
    }
    assert_eq!(accepted, 23);
}

#[test]
fn projections() {
    let cases = cases("projections", 92);
    for (name, case) in &cases {
        let projection: &dyn Projection = match text(case, "projection") {
            "opam/1" => &OpamProjection,
            "repo/1" => &RepoProjection,
            other => panic!("{name}: {other}"),
        };
        let (name, honest) = match name.strip_prefix("repo-") {
            Some(name) => (name, &cases["repo-honest.json"]["source_hex"]),
            None => (name.as_str(), &cases["honest.json"]["source_hex"]),
        };
        let mut source = Vec::new();
        match projection.project(text(case, "input").as_bytes(), &mut source) {
            Ok(()) => {
                assert_eq!(hex(&source), text(case, "source_hex"), "{name}");
                let is_one_of = |kinds: [&str; 2]| kinds.iter().any(|kind| name.starts_with(kind));
                let stays = is_one_of(["upkeep-", "server-"]);
                if stays || is_one_of(["source-", "signed-"]) {
                    assert_eq!(case["source_hex"] == *honest, stays, "{name}");
                }
                assert!(!name.starts_with("unreadable-"), "{name}");
            }
            Err(unreadable) => {
                let told = json!({"line": unreadable.line, "reason": unreadable.reason});
                assert_eq!(told, case["unreadable"], "{name}");
            }
        }
    }
}

/// The tree that a case has under a field.
fn tree(case: &Value, field: &str) -> MemoryStore {
    let mut tree = MemoryStore::new();
    for (file, text) in case[field].as_object().unwrap() {
        tree.insert(file, text.as_str().unwrap());
    }
    tree
}

fn mode(case: &Value) -> Mode {
    match text(case, "mode") {
        "observe" => Mode::Observe,
        "warn" => Mode::Warn,
        "enforce" => Mode::Enforce,
        other => panic!("{other} is no mode"),
    }
}

/// What a report says that is told by a case.
fn told(report: &Report) -> Value {
    json!({
        "verified": report.verified().is_some(),
        "head": report.head.as_ref().map(|head| head.root().number.as_u32()),
        "problems": listed(&report.problems),
        "notes": listed(&report.notes),
    })
}

/// How the second verifier judges; none where it does not.
fn strictness(case: &Value) -> Option<Strictness> {
    let mode = mode(case);
    let ahead = case["ahead"].as_bool().unwrap();
    (mode != Mode::Observe).then_some(Strictness {
        enforce: mode == Mode::Enforce,
        ahead,
    })
}

#[test]
fn repositories() {
    let cases = cases("repositories", REPOSITORIES);
    let (mut verified, mut seconded, mut differences) = (0, 0, Vec::new());
    for (name, case) in &cases {
        let tree = tree(case, "files");
        let anchors = &case["anchors"];
        let (trust, anchor) = if anchors["root"].is_string() {
            let digest = Digest::parse(text(anchors, "root")).unwrap();
            (Trust::Root(digest), Anchor::Root(digest))
        } else {
            let keys = anchors["keys"].as_array().unwrap().iter();
            let keys = keys.map(|key| Fingerprint::parse(key.as_str().unwrap()).unwrap());
            let keys: BTreeSet<Fingerprint> = keys.collect();
            let quorum = u16::try_from(anchors["quorum"].as_u64().unwrap()).unwrap();
            let origin: Origin = text(anchors, "origin").parse().unwrap();
            let anchor = Anchor::Keys(origin.clone(), keys.clone(), quorum.into());
            let quorum = Threshold::new(quorum).unwrap();
            let keys = AnchorKeys::new(origin, keys, quorum).unwrap();
            (Trust::Keys(keys), anchor)
        };
        let verdict = verify(&tree, &trust, mode(case), case["ahead"].as_bool().unwrap());
        let mut found = told(&verdict);
        let unsigned: Vec<_> = verdict.unsigned.iter().map(PackageName::as_str).collect();
        found["unsigned"] = json!(unsigned);
        found["asked"] = json!(asked(&verdict));
        assert_eq!(found, case["expect"], "{name}:\n{}", verdict.told());
        verified += usize::from(verdict.verified().is_some());
        if let Some(how) = strictness(case).filter(|_| name.starts_with("plain-")) {
            let judged = model::judge(&model::tree(&tree), &anchor, how, &StandardCrypto);
            if let Some(difference) = model::difference(&verdict, &judged) {
                differences.push(format!("{name}:\n{difference}"));
            }
            seconded += 1;
        }
    }
    assert!(differences.is_empty(), "{}", differences.concat());
    assert_eq!((verified, seconded), (ACCEPTED, SECONDED));
}

#[test]
fn updates() {
    let cases = cases("updates", UPDATES);
    let (mut verified, mut seconded) = (0, 0);
    for (name, case) in &cases {
        let before = tree(case, "before");
        let mut after = before.clone();
        for (file, text) in case["after"].as_object().unwrap() {
            match text.as_str() {
                Some(text) => after.insert(file, text),
                None => assert!(after.remove(file), "{name} removes {file}"),
            }
        }
        let record = LocalRecord::from_bytes(text(case, "record").as_bytes()).unwrap();
        let changes = changes(&before, &after);
        let update = Update {
            before: Before::dangerous_believed(&before, &record),
            after: &after,
            changes: &changes,
            schemes: &KnownSchemes,
            crypto: &StandardCrypto,
            workers: &Sequential,
            mode: mode(case),
            ahead: case["ahead"].as_bool().unwrap(),
        };
        let (whole, fast) = (update.run(), update.run_fast());
        let expect = &case["expect"];
        assert_eq!(told(&whole), expect["whole"], "{name}");
        assert_eq!(told(&fast), expect["fast"], "{name}");
        // What both ways have to agree on, whatever else they say.
        for field in ["verified", "head", "problems"] {
            assert_eq!(expect["whole"][field], expect["fast"][field], "{name}");
        }
        verified += usize::from(whole.verified().is_some());
        if let Some(how) = strictness(case).filter(|_| name.starts_with("plain-")) {
            let head = record.head();
            let anchor = Anchor::Recorded(head.number.as_u32(), head.digest);
            let warn = Strictness {
                enforce: false,
                ..how
            };
            let was = model::judge(&model::tree(&before), &anchor, warn, &StandardCrypto);
            let is = model::tree(&after);
            // Where S is not what the record is of, no transition is judged.
            let judged = match was.state.filter(|state| state.head() == head.digest) {
                Some(state) => model::judge_update(&state, &is, how, &StandardCrypto),
                None => model::judge(&is, &anchor, how, &StandardCrypto),
            };
            let difference = model::difference(&whole, &judged).unwrap_or_default();
            let is_known = |line: &&str| !line.contains("unrecorded");
            let differences: Vec<&str> = difference.lines().filter(is_known).collect();
            assert!(differences.is_empty(), "{name}: {differences:#?}");
            seconded += 1;
        }
    }
    assert_eq!((verified, seconded), (FOLLOWED, FOLLOWED_SECONDED));
}
