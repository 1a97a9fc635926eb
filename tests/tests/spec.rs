//! The examples of the specification are what the code writes, byte for byte.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use conex_core::model::crypto::Digests as _;
use conex_core::model::digest::Context;
use conex_core::model::encoding::{self, canonical};
use conex_core::model::page::{Batch, BatchRef, Page, PageBody};
use conex_core::model::statement::{Account, Authorisation, FormerJanitor};
use conex_core::model::stored::Stored as _;
use conex_core::model::vouch::{Kind, Vouch};
use conex_core::tree::layout::Schemes as _;
use conex_core::tree::metadata::{ATTRIBUTES, place};
use conex_core::tree::problem::Code;
use conex_core::tree::projection::Projection as _;
use conex_crypto::StandardCrypto;
use conex_repo::KnownSchemes;
use conex_repo::opam::RepoProjection;
use conex_tests::{Community, fingerprint, former, id, janitor, opam_file, secret};

const SECURITY: &str = include_str!("../../docs/security.md");

const SPEC: &str = include_str!("../../docs/spec.md");

/// The community of the examples: three janitors, an author, a team, a package, and a second root.
fn community() -> Community {
    let mut all = Community::found("opam", |root| root.complete = true);
    all.write(ATTRIBUTES.0, ATTRIBUTES.1);
    all.write("repo", "opam-version: \"2.0\"\n");
    all.author("dave");
    all.edit_author("dave", |author| {
        author.accounts = vec![Account::parse("forge.example/dave").expect("this is an account")];
    });
    all.team("makers", &["alice", "dave"]);
    all.claim("foo", &["makers"]);
    all.release("foo", "1.0", &opam_file("4.08", "dune"));
    // Two janitors name one batch; the author's page speaks for itself.
    let people: Vec<Vouch> = [
        "foo authorisation",
        "dave author",
        "makers team",
        ". repository",
    ]
    .iter()
    .map(|about| all.present(about, "0.1"))
    .collect();
    let batch = Batch::new(people).expect("four vouches make a batch");
    let reference: BatchRef = batch.reference(all.origin(), &StandardCrypto);
    all.write(place::batch(reference.digest()).as_str(), batch.to_text());
    for who in ["alice", "bob"] {
        let body = PageBody::new(id(who), fingerprint(who), vec![reference.clone()], vec![]);
        all.publish(who, body.expect("one batch makes a page"));
    }
    all.approve("dave", "foo");
    all.verify().accepted();
    all.next_root(&["alice", "bob"], |root| {
        root.janitors.retain(|member| member.id != id("carol"));
        root.janitors.push(janitor("dora"));
        root.revoked.push(fingerprint("carol"));
        root.former.push(FormerJanitor {
            id: id("carol"),
            former: former("carol", &[]),
        });
        root.checkpoints
            .keys
            .push(secret("clock").public_key().clone());
    });
    all.verify().accepted();
    all
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

#[test]
fn every_stored_example_is_byte_exact() {
    let all = community();
    let mut examples: BTreeMap<&str, &str> = BTreeMap::new();
    // A file is shown as its path in bold and, behind it, a block.
    for part in SPEC.split("\n**`").skip(1) {
        let (path, rest) = part.split_once("`**").unwrap();
        let block = rest.split_once("```toml\n").unwrap().1;
        examples.insert(path, block.split_once("```\n").unwrap().0);
    }
    for (path, text) in all.tree.files() {
        if !path.starts_with("conex/") || path == ATTRIBUTES.0 {
            continue;
        }
        let shown = [
            "root/2",
            "authors",
            "teams",
            "packages",
            "batches",
            "index/alice",
            "index/dave",
        ]
        .iter()
        .any(|start| path["conex/".len()..].starts_with(start))
            && !path.starts_with("conex/root/2/bob");
        let text = str::from_utf8(text).unwrap();
        if shown {
            assert_eq!(
                examples.remove(path),
                Some(text),
                "{path} should be\n{text}"
            );
        }
    }
    assert!(examples.is_empty(), "not there: {:?}", examples.keys());
}

#[test]
fn every_worked_digest_is_right() {
    let all = community();
    let origin = all.origin();
    let claim = Authorisation::from_bytes(all.read("conex/packages/foo.toml").as_bytes()).unwrap();
    let page = Page::from_bytes(all.read(&all.pages("dave")[0]).as_bytes()).unwrap();
    let alice = secret("alice").public_key().clone();
    let opam = all.read("packages/foo/foo.1.0/opam");
    let mut form = Vec::new();
    let projection = KnownSchemes.projection(&all.root().projections[0]).unwrap();
    projection.project(opam.as_bytes(), &mut form).unwrap();
    let repo = all.read("repo");
    let mut repo_form = Vec::new();
    RepoProjection
        .project(repo.as_bytes(), &mut repo_form)
        .unwrap();
    let digest = |kind: &str| all.present(kind, "0.1").digest.to_string();
    let expected = [
        hex(&canonical(origin, &claim)),
        encoding::digest(&StandardCrypto, Context::Authorisation, origin, &claim).to_string(),
        hex(&page.body().message(origin)),
        hex(alice.blob()),
        fingerprint("alice").to_string(),
        format!("root:{}", all.root().digest(&StandardCrypto)),
        StandardCrypto.sha256(opam.as_bytes()).to_string(),
        opam.len().to_string(),
        String::from_utf8(form.clone()).unwrap(),
        StandardCrypto.sha256(&form).to_string(),
        String::from_utf8(repo_form.clone()).unwrap(),
        StandardCrypto.sha256(&repo_form).to_string(),
        digest("foo/1.0 checksums"),
        digest("foo releases"),
    ];
    let unwrapped: String = SPEC.split_whitespace().collect();
    for text in expected {
        let plain: String = text.split_whitespace().collect();
        assert!(
            unwrapped.contains(&plain),
            "the specification lacks\n{text}"
        );
    }
}

#[test]
fn every_code_kind_context_and_namespace_is_listed() {
    for code in Code::ALL {
        assert!(SPEC.contains(&format!("| `{code}` |")), "{code}");
    }
    for kind in Kind::ALL {
        assert!(SPEC.contains(&format!("| `{kind}` |")), "{kind}");
    }
    for context in Context::ALL {
        assert!(
            SPEC.contains(&format!("`{}`", context.as_str())),
            "{context:?}"
        );
    }
    for namespace in ["conex-1-page", "conex-1-root", "conex-1-key"] {
        assert!(SPEC.contains(&format!("`{namespace}`")), "{namespace}");
    }
}

#[test]
fn every_problem_has_a_place() {
    let places = SPEC.split("### 8.7 ").nth(1).expect("there is a section");
    let places = places.split("\n## ").next().unwrap_or_default();
    for code in Code::ALL.iter().filter(|code| !code.is_note()) {
        assert!(places.contains(&format!("`{code}`")), "{code}");
    }
}

/// Every row of the table of attacks that says it is tested names its tests.
#[test]
fn every_attack_that_is_tested_has_a_test_of_its_name() {
    let table = SECURITY
        .split("\n## ")
        .find(|it| it.starts_with("Attack by attack"));
    let tests = tests();
    let mut rows = 0;
    for row in table.unwrap().lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let Some(state) = cells
            .last()
            .filter(|state| state.trim().starts_with("tested"))
        else {
            continue;
        };
        let names = cells[0].split(':').next().unwrap().trim();
        for name in names.split(", ") {
            let test = format!("fn {}", name.replace('-', "_"));
            assert!(
                tests.contains(&test),
                "{name}: {state}, and there is no {test}"
            );
        }
        rows += 1;
    }
    assert!(rows > 30, "{rows} rows");
}

/// The text of all tests.
fn tests() -> String {
    let top = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut directories = vec![top.join("tests/tests"), top.join("crates")];
    let mut text = String::new();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("tests are there") {
            let path = entry.expect("tests can be listed").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                text.push_str(&std::fs::read_to_string(path).expect("tests are text"));
            }
        }
    }
    text
}
