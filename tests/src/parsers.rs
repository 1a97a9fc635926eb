//! Every parser of bytes that others wrote, with what has to hold whatever they are.
//!
//! A short run is a test (`tests/tests/parsers.rs`); the same checks are targets for a fuzzer that is guided by
//! coverage (`fuzz/`).

use core::cmp::Ordering;
use core::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::path::Path as SystemPath;
use std::sync::LazyLock;

use conex_core::model::crypto::{Namespace, Signatures as _, Signer as _};
use conex_core::model::digest::Digest;
use conex_core::model::key::{Fingerprint, PublicKey, Signature};
use conex_core::model::name::{Id, PackageName, ReleaseName};
use conex_core::model::page::{Batch, Page, PageBody};
use conex_core::model::path::{Path, Pattern};
use conex_core::model::statement::{Author, Authorisation, Root, RootSignature, Team};
use conex_core::model::stored::Stored;
use conex_core::model::vouch::Vouch;
use conex_core::tree::layout::Layout as _;
use conex_core::tree::projection::Projection as _;
use conex_core::tree::store::{EntryKind, MemoryStore, Store};
use conex_core::verify::{CopyMark, CopyRecord, CopyState, FloorMark, LocalRecord, MarkKind};
use conex_crypto::agent::{self, AgentKey, Transport};
use conex_crypto::{SecretKey, StandardCrypto, public_keys};
use conex_repo::attributes::Attributes;
use conex_repo::layout::OpamLayout;
use conex_repo::opam::clients::Loss;
use conex_repo::opam::facts::Facts;
use conex_repo::opam::{OpamProjection, RepoProjection, edit, version};
use conex_repo::people::{Address, Handle, Home, Person};
use conex_repo::{ArchiveStore, Patch};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::{Community, fingerprint, id, path, secret};

/// A parser.
#[derive(Debug, Clone, Copy)]
pub struct Parser {
    /// Its name.
    pub name: &'static str,
    /// Honest inputs, to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Parses, and panics unless the answer is one that is allowed. Gives whether something was accepted.
    pub check: fn(&[u8]) -> bool,
}

/// All of them.
pub const PARSERS: &[Parser] = &[
    Parser {
        name: "root",
        seeds: || stored_below("conex/root/", |name| name.matches('/').count() == 2),
        check: stored::<Root>,
    },
    Parser {
        name: "root_signature",
        seeds: || stored_below("conex/root/", |name| name.matches('/').count() == 3),
        check: stored::<RootSignature>,
    },
    Parser {
        name: "author",
        seeds: || stored_below("conex/authors/", |_| true),
        check: stored::<Author>,
    },
    Parser {
        name: "team",
        seeds: || stored_below("conex/teams/", |_| true),
        check: stored::<Team>,
    },
    Parser {
        name: "authorisation",
        seeds: || stored_below("conex/packages/", |_| true),
        check: stored::<Authorisation>,
    },
    Parser {
        name: "page",
        seeds: pages,
        check: stored::<Page>,
    },
    Parser {
        name: "batch",
        seeds: || vec![batch().to_text().into_bytes()],
        check: stored::<Batch>,
    },
    Parser {
        name: "record",
        seeds: records,
        check: stored::<CopyRecord>,
    },
    Parser {
        name: "text",
        seeds: texts,
        check: text,
    },
    Parser {
        name: "signature",
        seeds: signatures,
        check: signature,
    },
    Parser {
        name: "key_file",
        seeds: key_files,
        check: key_file,
    },
    Parser {
        name: "agent",
        seeds: answers,
        check: answer,
    },
    Parser {
        name: "opam",
        seeds: opam_files,
        check: opam,
    },
    Parser {
        name: "repo",
        seeds: || {
            [
                "opam-version: \"2.0\"\nstamp: \"1\"\narchive-mirrors: \"cache\"\n",
                "announce: [ \"a\\n\" {b & (c | !d = 1)} \"\"\"e\"\"\" ]\nx \"y\" { z: 1 }\n",
                "redirect: \"https://example.org\" {os = \"x\"} # y\nupstream: \"z\"\n",
            ]
            .map(|text| text.as_bytes().to_vec())
            .to_vec()
        },
        check: repo,
    },
    Parser {
        name: "opam_version",
        seeds: || lines(&["1.0 1.0~beta", "2.1-3+x 2.1-03", "0.0.1 0.00.1", "~~ ~"]),
        check: opam_version,
    },
    Parser {
        name: "people",
        seeds: || {
            lines(&[
                "Alice A. <alice@example.org>",
                "https://github.com/alice/foo.git",
                "git+ssh://git@gitlab.com/bob/bar#main",
                "@alice",
            ])
        },
        check: people,
    },
    Parser {
        name: "patch",
        seeds: patches,
        check: patch,
    },
    Parser {
        name: "archive",
        seeds: archives,
        check: archive,
    },
    Parser {
        name: "attributes",
        seeds: || {
            let lines: [&[u8]; 3] = [
                b"* text=auto eol=crlf\npackages/** -text\n/repo filter=x\n",
                b"[attr]dos ident working-tree-encoding=UTF-16\n\"packages/**/op\\141m\" dos !ident\n",
                b"conex export-ignore\n*.[!a-z][[:digit:]]?/foo*/**/b** -x\n# a comment\n",
            ];
            lines.map(Vec::from).into()
        },
        check: attributes,
    },
];

/// Checks an input with the parser of a name.
///
/// # Panics
/// If there is none, or the answer is one that is not allowed.
pub fn check(name: &str, input: &[u8]) {
    let parser = PARSERS.iter().find(|parser| parser.name == name);
    let _ = (parser.expect("a parser of this name").check)(input);
}

/// One spelling: what is accepted is printed again byte for byte, and a TOML parser reads the same in it.
fn stored<T: Stored>(input: &[u8]) -> bool {
    match T::from_bytes(input) {
        Ok(value) => {
            let text = value.to_text();
            assert_eq!(text.as_bytes(), input);
            let raw: T::Raw = toml::from_str(&text).expect("what is accepted is TOML");
            let again = T::from_raw(raw, &text).expect("both ways accept the same");
            assert_eq!(again.to_text(), text);
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

/// Whatever has a text of its own has one only.
fn text(input: &[u8]) -> bool {
    let Ok(text) = core::str::from_utf8(input) else {
        return false;
    };
    let path = Path::parse(text).ok();
    let pattern = Pattern::parse(text).ok();
    let again = [
        Vouch::parse(text).ok().map(|it| it.to_string()),
        PublicKey::parse(text).ok().map(|it| it.to_string()),
        Fingerprint::parse(text).ok().map(|it| it.to_string()),
        Id::parse(text).ok().map(|it| it.to_string()),
        PackageName::parse(text).ok().map(|it| it.to_string()),
        ReleaseName::parse(text).ok().map(|it| it.to_string()),
        path.as_ref().map(Path::to_string),
        pattern.as_ref().map(Pattern::to_string),
    ];
    for again in again.iter().flatten() {
        assert_eq!(again, text);
    }
    if let Some(pattern) = pattern {
        for directory in path.iter().chain(&Path::parse("docs").ok()) {
            // What covers a directory matches all in it.
            let inside = directory.join("x").expect("a path with one more component");
            assert!(!pattern.covers(directory) || pattern.matches(&inside));
        }
    }
    if let Some(path) = path
        && let Some((package, home)) = OpamLayout.home(&path)
    {
        assert!(path.below(&home).is_some(), "{path} of {package}");
    }
    public_keys(text).is_ok() || again.iter().any(Option::is_some)
}

/// Only what a key signed is its signature.
fn signature(input: &[u8]) -> bool {
    let Some(signature) = core::str::from_utf8(input)
        .ok()
        .and_then(|text| Signature::parse(text).ok())
    else {
        return false;
    };
    assert_eq!(signature.armour().as_bytes(), input);
    let key = secret("alice");
    let verdict = StandardCrypto.verify(key.public_key(), Namespace::Page, MESSAGE, &signature);
    let Ok(honest) = key.sign(Namespace::Page, MESSAGE);
    assert_eq!(verdict.is_ok(), signature == honest);
    true
}

const MESSAGE: &[u8] = b"message";

fn key_file(input: &[u8]) -> bool {
    let Ok(key) = SecretKey::read(input, None) else {
        return false;
    };
    let Ok(signature) = key.sign(Namespace::Page, MESSAGE);
    let verdict = StandardCrypto.verify(key.public_key(), Namespace::Page, MESSAGE, &signature);
    assert!(verdict.is_ok(), "both halves belong together");
    true
}

/// An agent that answers one thing.
struct Parrot<'a>(&'a [u8]);

impl Transport for Parrot<'_> {
    type Error = Infallible;

    fn exchange(&self, _: &[u8]) -> Result<Vec<u8>, Infallible> {
        Ok(self.0.to_vec())
    }
}

/// What an agent says is not believed.
fn answer(input: &[u8]) -> bool {
    if input.is_empty() {
        return false;
    }
    let key = secret("alice").public_key().clone();
    let signed = AgentKey::new(Parrot(input), key.clone()).sign(Namespace::Page, MESSAGE);
    if let Ok(signature) = &signed {
        let verdict = StandardCrypto.verify(&key, Namespace::Page, MESSAGE, signature);
        assert!(verdict.is_ok());
    }
    signed.is_ok() || agent::identities(&Parrot(input)).is_ok()
}

/// One form for one file; what has none has no facts. A file that stays is no edit.
fn opam(input: &[u8]) -> bool {
    let form = |input: &[u8]| {
        let mut form = Vec::new();
        OpamProjection.project(input, &mut form).ok().map(|()| form)
    };
    let first = form(input);
    assert_eq!(first, form(input));
    assert_eq!(first.is_some(), Facts::read(input).is_ok());
    let _ = Loss::of(input);
    let more = [input, b"\nx-more: \"1\"\n"].concat();
    let _ = edit::kinds(Some(input), Some(&more));
    assert_eq!(
        edit::kinds(Some(input), Some(input)),
        edit::Kinds::default()
    );
    first.is_some()
}

/// One form for one file, which is its own form. A stamp changes nothing in it.
fn repo(input: &[u8]) -> bool {
    let form = |input: &[u8]| {
        let mut form = Vec::new();
        RepoProjection.project(input, &mut form).ok().map(|()| form)
    };
    let Some(first) = form(input) else {
        return false;
    };
    assert_eq!(form(&first).as_ref(), Some(&first));
    let stamped = [b"stamp: \"2\"\n", input].concat();
    let other = form(&stamped);
    assert!(other.is_none_or(|other| other == first));
    true
}

/// Two versions in one line: an order, whichever is first.
fn opam_version(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let (a, b) = text.split_once(' ').unwrap_or((&text, ""));
    assert_eq!(version::compare(a, b), version::compare(b, a).reverse());
    assert_eq!(version::compare(a, a), Ordering::Equal);
    true
}

fn people(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let person = Person::parse(&text);
    let address = Address::parse(&text);
    if let Some(address) = &address {
        let _ = (address.account(), address.is_list());
    }
    let handles = [Handle::of(&person), Handle::parse(&text)];
    let is_handle = handles.iter().any(Option::is_some);
    is_handle || address.is_some() || Home::parse(&text).is_some()
}

/// What a patch makes of a tree can be read, all of it.
fn patch(input: &[u8]) -> bool {
    static TREE: LazyLock<MemoryStore> = LazyLock::new(|| Community::settled("opam").tree);
    let Ok(patch) = Patch::parse(input) else {
        return false;
    };
    let tree = patch.apply(&*TREE);
    if let Ok(tree) = &tree {
        read_all(tree, &Path::top());
    }
    tree.is_ok()
}

/// What is harmless alters nothing, and what is altered is one of the files, by one of the lines.
fn attributes(input: &[u8]) -> bool {
    static TREE: LazyLock<MemoryStore> = LazyLock::new(|| Community::settled("opam").tree);
    let source = Path::parse(conex_repo::attributes::FILE).expect("a path");
    let mut tree = TREE.clone();
    tree.insert(source.as_str(), input);
    let Ok(read) = Attributes::read(&tree, [&source]) else {
        return false;
    };
    let files: Vec<Path> = tree
        .files()
        .filter_map(|(path, _)| Path::parse(path).ok())
        .collect();
    let altered = read.alterations(&files).expect("so little is compared");
    assert!(!read.is_harmless() || altered.is_empty());
    let lines = input.split(|byte| *byte == b'\n').count();
    for it in &altered {
        assert!(it.source == source && (1..=lines).contains(&it.line));
        assert!(files.contains(&it.first) && (1..=files.len()).contains(&it.files));
    }
    !altered.is_empty()
}

/// An archive as it is; and one that gets its checksum here, since nobody guesses that.
fn archive(input: &[u8]) -> bool {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(input).expect("there is memory");
    let packed = packed.finish().expect("there is memory");
    let trees = [input, &packed].map(ArchiveStore::read);
    for tree in trees.iter().flatten() {
        read_all(tree, &Path::top());
    }
    trees.iter().any(Result::is_ok)
}

fn read_all(tree: &impl Store, directory: &Path) {
    let Ok(entries) = tree.list(directory) else {
        return;
    };
    for entry in entries {
        let place = directory.join(&entry.name).expect("stores list names");
        assert_eq!(tree.kind(&place), Ok(Some(entry.kind)));
        match entry.kind {
            EntryKind::Directory => read_all(tree, &place),
            EntryKind::File => {
                let read = tree.read(&place, 1 << 20, &mut Vec::new());
                assert!(read.is_ok(), "{place}");
            }
            EntryKind::Special(_) => {}
        }
    }
}

/// The files of an honest community below a directory.
fn stored_below(directory: &str, wanted: fn(&str) -> bool) -> Vec<Vec<u8>> {
    let community = Community::settled("opam");
    let files = community.tree.files();
    let wanted = files.filter(|(file, _)| file.starts_with(directory) && wanted(file));
    wanted.map(|(_, bytes)| bytes.to_vec()).collect()
}

fn lines(lines: &[&str]) -> Vec<Vec<u8>> {
    lines.iter().map(|line| line.as_bytes().to_vec()).collect()
}

fn batch() -> Batch {
    let vouch = |(subject, digest)| Vouch {
        subject,
        version: crate::version("0.1"),
        digest,
    };
    let statements = Community::settled("opam").statements();
    Batch::new(statements.into_iter().map(vouch).collect()).expect("there are statements")
}

/// Pages with vouches, and one that names a batch.
fn pages() -> Vec<Vec<u8>> {
    let origin = Community::settled("opam").origin().clone();
    let reference = batch().reference(&origin, &StandardCrypto);
    let body = PageBody::new(
        id("alice"),
        fingerprint("alice"),
        vec![reference],
        Vec::new(),
    );
    let Ok(page) = body
        .expect("it names a batch")
        .sign(&origin, &secret("alice"));
    let mut pages = stored_below("conex/index/", |_| true);
    pages.push(page.to_text().into_bytes());
    pages
}

fn records() -> Vec<Vec<u8>> {
    let community = Community::settled("opam");
    let of = |trust| {
        let verdict = community.verify_from(&trust);
        let verified = verdict.verified().expect("it is honest");
        let record = LocalRecord::new(verified, 1_700_000_000);
        record.expect("trust is in anchors")
    };
    let digest = Digest::from_bytes([0xab; 32]);
    let state = |record, kind| CopyState {
        record,
        copy: Some(CopyMark { kind, digest }),
        floor: Some(FloorMark {
            base: digest,
            length: 4_711,
            digest,
        }),
    };
    let record = of(community.anchor());
    let edited = ["packages/a/a.1/opam", "repo"].map(path);
    let updating = CopyRecord::updating(
        state(record.clone(), MarkKind::Metadata),
        state(record.clone(), MarkKind::Content),
        edited.into_iter().collect(),
    );
    let keys = of(community.anchor_keys(&["alice", "bob"], 2));
    [CopyRecord::from(record), updating, keys.into()]
        .map(|record| record.to_text().into_bytes())
        .into()
}

fn texts() -> Vec<Vec<u8>> {
    let community = Community::settled("opam");
    let files = community.tree.files().map(|(file, _)| file.to_owned());
    let said = community
        .statements()
        .into_iter()
        .map(|(subject, digest)| format!("{subject} 0.1 {digest}"));
    let key = secret("alice").public_key().clone();
    let own = [key.to_string(), "docs/**".into(), "*.md".into()];
    let all = files.chain(said).chain(own);
    all.map(String::into_bytes).collect()
}

fn signatures() -> Vec<Vec<u8>> {
    let signed = |who| {
        let Ok(signature) = secret(who).sign(Namespace::Page, MESSAGE);
        signature.armour().into_bytes()
    };
    vec![signed("alice"), signed("bob")]
}

fn key_files() -> Vec<Vec<u8>> {
    let file = secret("alice").write("alice", None);
    vec![file.expect("it can be written").as_bytes().to_vec()]
}

/// What an agent answers: its keys, a signature, a refusal.
fn answers() -> Vec<Vec<u8>> {
    let string = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).expect("it is short");
        [&length.to_be_bytes(), bytes].concat()
    };
    let key = secret("alice").public_key().clone();
    let keys = [
        &[12, 0, 0, 0, 1][..],
        &string(key.blob()),
        &string(b"alice"),
    ]
    .concat();
    let signed = [string(b"ssh-ed25519"), string(&[7; 64])].concat();
    let signed = [&[14][..], &string(&signed)].concat();
    vec![keys, signed, vec![5]]
}

fn fixtures(directory: &str, wanted: fn(&SystemPath) -> bool) -> Vec<Vec<u8>> {
    fn below(directory: &SystemPath, wanted: fn(&SystemPath) -> bool, found: &mut Vec<Vec<u8>>) {
        let entries = std::fs::read_dir(directory).expect("fixtures are there");
        let mut places: Vec<_> = entries
            .map(|entry| entry.expect("it can be listed").path())
            .collect();
        places.sort();
        for place in places {
            if place.is_dir() {
                below(&place, wanted, found);
            } else if wanted(&place) {
                found.push(std::fs::read(&place).expect("it can be read"));
            }
        }
    }
    let mut found = Vec::new();
    let base = SystemPath::new(env!("CARGO_MANIFEST_DIR"));
    below(&base.join(directory), wanted, &mut found);
    found
}

fn opam_files() -> Vec<Vec<u8>> {
    fixtures("fixtures/opam", |place| place.ends_with("opam"))
}

fn patches() -> Vec<Vec<u8>> {
    let mut found = fixtures("../crates/conex-repo/tests/patches/fixtures", |place| {
        place.extension().is_some_and(|end| end == "patch")
    });
    let community = Community::settled("opam");
    for (file, bytes) in community.tree.files() {
        let text = String::from_utf8_lossy(bytes);
        let count = text.lines().count();
        let (kept, removed) = (text.replace('\n', "\n "), text.replace('\n', "\n-"));
        let (kept, removed) = (kept.trim_end(), removed.trim_end_matches('-'));
        let (old, new) = (
            "2024-01-01 00:00:00.000000000 +0000",
            "2024-01-02 00:00:00.000000000 +0000",
        );
        found.push(
            format!(
                "--- a/{file}\t{old}\n+++ b/{file}\t{new}\n@@ -1,{count} +1,{} @@\n {kept}\n+x\n",
                count + 1
            )
            .into(),
        );
        found.push(format!("diff --git a/{file} b/{file}\ndeleted file mode 100644\nindex 1234567..0000000\n--- a/{file}\n+++ /dev/null\n@@ -1,{count} +0,0 @@\n-{removed}").into());
    }
    let created = "--- a/new\t1970-01-01 00:00:00.000000000 +0000\n+++ b/new\t2024-01-01 00:00:00.000000000 +0000\n@@ -0,0 +1 @@\n+new\n";
    found.push(created.into());
    found
}

fn archives() -> Vec<Vec<u8>> {
    let community = Community::settled("opam");
    let places =
        [Path::parse("conex"), Path::parse("packages")].map(|place| place.expect("a path"));
    let mut bytes = Vec::new();
    conex_repo::archive::write(&community.tree, &places, &mut bytes).expect("it can be written");
    let mut unpacked = Vec::new();
    GzDecoder::new(bytes.as_slice())
        .read_to_end(&mut unpacked)
        .expect("it was packed");
    vec![bytes, unpacked]
}
