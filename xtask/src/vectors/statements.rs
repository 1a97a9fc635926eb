//! Canonical bytes and digests of statements, pages, batches and roots; signatures.

use conex_core::model::crypto::{Digests as _, Namespace, Signatures as _, Signer as _};
use conex_core::model::digest::{Context, Digest, FileDigest};
use conex_core::model::encoding;
use conex_core::model::key::{PublicKey, Signature};
use conex_core::model::name::{Origin, ReleaseName};
use conex_core::model::page::{Batch, BatchRef, Page, PageBody};
use conex_core::model::statement::{
    Author, AuthorKey, Authorisation, Root, RootSignature, Scheme, Team,
};
use conex_core::model::stored::Stored;
use conex_core::model::version::Threshold;
use conex_core::model::vouch::Vouch;
use conex_core::tree::content::{Checksums, File, Releases, RepositoryFiles, SourceFile};
use conex_crypto::StandardCrypto;
use conex_tests::{Community, fingerprint, former, id, package, path, secret, subject, version};
use serde_json::{Value, json};

use super::{Cases, hex};

pub(super) fn add(cases: &mut Cases) {
    let community = full();
    stored(cases, &community);
    computed(cases, community.origin());
    batches(cases, community.origin());
    signatures(cases, &community);
}

/// A community that uses every field.
fn full() -> Community {
    let mut community = Community::settled("opam");
    let pages = community.pages("dave");
    let key = community.proven("dave", "dave#2");
    community.edit_author("dave", |author| {
        author.accounts = ["github.com/dave", "dave@example.org"]
            .map(|account| {
                conex_core::model::statement::Account::parse(account).expect("an account")
            })
            .to_vec();
        author.keys = vec![key];
        author.former = vec![former("dave", &pages)];
    });
    community.edit_author("erin", |author| {
        author.keys.clear();
        author.retired = true;
    });
    community.edit_team("makers", |team| team.retired = true);
    community.claim("bar", &["janitors", "dave", "makers"]);
    community.edit_claim("bar", |claim| {
        claim.threshold = Threshold::new(300).expect("300 is not zero");
        claim.epoch = 70_000;
    });
    community.edit_claim("lib", |claim| claim.retired = true);
    let pages = community.pages("carol");
    community.next_root(&["alice", "bob", "carol"], |root| {
        root.complete = true;
        root.revoked = vec![fingerprint("mallory"), fingerprint("eve")];
        root.former = vec![conex_core::model::statement::FormerJanitor {
            id: id("zoe"),
            former: former("zoe", &pages),
        }];
        root.checkpoints.keys = vec![secret("clock").public_key().clone()];
        root.checkpoints.required = true;
    });
    community
}

/// Adds the statements stored as TOML. The text contains everything.
fn stored(cases: &mut Cases, community: &Community) {
    let origin = community.origin();
    let read = |place: &str| community.read(place);
    for (name, place) in [
        ("author", "conex/authors/dave.toml"),
        ("author-retired", "conex/authors/erin.toml"),
    ] {
        put::<Author>(cases, name, Context::Author, origin, &read(place));
    }
    put::<Team>(
        cases,
        "team",
        Context::Team,
        origin,
        &read("conex/teams/makers.toml"),
    );
    for (name, place) in [
        ("authorisation", "conex/packages/bar.toml"),
        ("authorisation-retired", "conex/packages/lib.toml"),
    ] {
        put::<Authorisation>(cases, name, Context::Authorisation, origin, &read(place));
    }
    for (name, place) in [
        ("root-1", "conex/root/1.toml"),
        ("root-2", "conex/root/2.toml"),
    ] {
        put::<Root>(cases, name, Context::Root, origin, &read(place));
    }
    if let Some(page) = community.pages("alice").first() {
        put::<Page>(cases, "page", Context::Page, origin, &read(page));
    }
}

fn put<T: Stored + serde::Serialize>(
    cases: &mut Cases,
    name: &str,
    context: Context,
    origin: &Origin,
    text: &str,
) {
    let value = T::from_bytes(text.as_bytes()).expect("a story stores what is readable");
    let case = statement(context, origin, &value, &json!(text));
    cases.insert(format!("statements/{name}"), case);
}

fn statement(
    context: Context,
    origin: &Origin,
    value: &impl serde::Serialize,
    told: &Value,
) -> Value {
    json!({
        "context": context.as_str(),
        "origin": origin.as_str(),
        "statement": told,
        "canonical": hex(&encoding::canonical(origin, value)),
        "digest": encoding::digest(&StandardCrypto, context, origin, value).to_string(),
    })
}

/// Adds the statements computed from the data.
fn computed(cases: &mut Cases, origin: &Origin) {
    let release = |name: &str| ReleaseName::parse(name).expect("a release's name");
    let file = |name: &str, bytes: &[u8]| File {
        path: path(name),
        size: bytes.len() as u64,
        digest: StandardCrypto.sha256(bytes),
    };
    let patch = file("files/fix.patch", &[b'x'; 300]);
    let opam = file("opam", b"opam-version: \"2.0\"\n");
    let files = vec![patch.clone(), opam.clone()];
    let checksums = Checksums {
        package: package("foo"),
        release: release("1.0~beta"),
        files: files.clone(),
    };
    let told = json!({"package": "foo", "release": "1.0~beta", "files": files_told(&files)});
    let mut put = |name: &str, case: Value| {
        cases.insert(format!("statements/{name}"), case);
    };
    put(
        "checksums",
        statement(Context::Checksums, origin, &checksums, &told),
    );
    let version = file("version", b"0.9.0\n");
    let form = StandardCrypto.sha256(b"opam-version : \"2.0\"\n");
    let repo = SourceFile::Projected {
        path: path("repo"),
        projection: Scheme::parse("repo/1").expect("a projection's name"),
        digest: form,
    };
    let told = json!({"files": [
        {"path": "repo", "projection": "repo/1", "sha256": form.to_string()},
        {"whole": file_told(&version)},
    ]});
    let repository = RepositoryFiles {
        files: vec![repo, SourceFile::Whole(version)],
    };
    put(
        "repository",
        statement(Context::Repository, origin, &repository, &told),
    );

    let scheme = Scheme::parse("opam/1").expect("a projection's name");
    let form: FileDigest = StandardCrypto.sha256(b"opam-version : \"2.0\" \n");
    let source = vec![
        SourceFile::Whole(patch.clone()),
        SourceFile::Projected {
            path: path("opam"),
            projection: scheme,
            digest: form,
        },
    ];
    let told = json!([
        {"whole": file_told(&patch)},
        {"path": "opam", "projection": "opam/1", "sha256": form.to_string()},
    ]);
    put("source", statement(Context::Source, origin, &source, &told));
    let source = encoding::digest(&StandardCrypto, Context::Source, origin, &source);
    let whole = vec![SourceFile::Whole(opam.clone())];
    let told = json!([{"whole": file_told(&opam)}]);
    put(
        "source-whole",
        statement(Context::Source, origin, &whole, &told),
    );
    let whole = encoding::digest(&StandardCrypto, Context::Source, origin, &whole);
    for (name, releases) in [
        (
            "releases",
            vec![(release("0.9"), whole), (release("1.0~beta"), source)],
        ),
        ("releases-none", Vec::new()),
    ] {
        let list: Vec<Value> = releases
            .iter()
            .map(|(name, source)| json!({"release": name.as_str(), "source": source.to_string()}))
            .collect();
        let statement_of = Releases {
            package: package("foo"),
            releases,
        };
        let told = json!({"package": "foo", "releases": list});
        put(
            name,
            statement(Context::Releases, origin, &statement_of, &told),
        );
    }
}

fn files_told(files: &[File]) -> Vec<Value> {
    files.iter().map(file_told).collect()
}

fn file_told(file: &File) -> Value {
    json!({
        "path": file.path.as_str(),
        "size": file.size,
        "sha256": file.digest.to_string(),
    })
}

fn vouch(about: &str, under: &str, byte: u8) -> Vouch {
    Vouch {
        subject: subject(about),
        version: version(under),
        digest: Digest::from_bytes([byte; 32]),
    }
}

/// Returns every kind of vouch, in the order of pages.
fn vouches() -> Vec<Vouch> {
    vec![
        vouch(". repository", "0.1", 0),
        vouch("bar authorisation", "2.1", 1),
        vouch("bar releases", "2.128", 2),
        vouch("bar/0.1 checksums", "2.300", 3),
        vouch("bar/0.1 checksums", "2.18446744073709551615", 4),
        vouch("dave author", "0.2", 5),
        vouch("makers team", "0.16384", 6),
    ]
}

fn batches(cases: &mut Cases, origin: &Origin) {
    let batch = Batch::new(vouches()).expect("the vouches are distinct");
    let reference: BatchRef = batch.reference(origin, &StandardCrypto);
    let text = batch.to_text();
    let mut case = statement(Context::Batch, origin, &batch, &json!(text));
    if let Some(case) = case.as_object_mut() {
        case.insert("reference".into(), json!(reference.to_string()));
    }
    cases.insert("statements/batch".into(), case);
}

fn signatures(cases: &mut Cases, community: &Community) {
    let origin = community.origin();
    let batch = Batch::new(vouches()).expect("the vouches are distinct");
    let body = |batches, vouches| {
        PageBody::new(id("alice"), fingerprint("alice"), batches, vouches).expect("a page")
    };
    for (name, body) in [
        ("page-of-vouches", body(Vec::new(), vouches())),
        (
            "page-of-batches",
            body(vec![batch.reference(origin, &StandardCrypto)], Vec::new()),
        ),
    ] {
        let message = body.message(origin);
        let Ok(page) = body.sign(origin, &secret("alice"));
        let place = format!(
            "conex/index/alice/{}.toml",
            page.digest(origin, &StandardCrypto)
        );
        let mut case = signed("alice", Namespace::Page, &message, page.signature());
        if let Some(case) = case.as_object_mut() {
            case.insert("origin".into(), json!(origin.as_str()));
            case.insert("place".into(), json!(place));
            case.insert("stored".into(), json!(page.to_text()));
        }
        cases.insert(format!("signatures/{name}"), case);
    }
    let root = community.root();
    let Ok(signature): Result<RootSignature, _> =
        root.sign(id("bob"), &StandardCrypto, &secret("bob"));
    let mut case = signed(
        "bob",
        Namespace::Root,
        &root.message(),
        &signature.signature,
    );
    if let Some(case) = case.as_object_mut() {
        case.insert("origin".into(), json!(origin.as_str()));
        case.insert("place".into(), json!(Community::root_signature(2, "bob")));
        case.insert("stored".into(), json!(signature.to_text()));
    }
    cases.insert("signatures/root".into(), case);
    let proven: AuthorKey = community.proven("dave", "dave#2");
    let message = AuthorKey::message(origin, &id("dave"), &proven.key);
    let case = signed("dave#2", Namespace::Possession, &message, &proven.proof);
    cases.insert("signatures/possession".into(), case);
    refused_signatures(cases);
}

/// Adds invalid signatures, with one fault each.
fn refused_signatures(cases: &mut Cases) {
    let message = b"message";
    let sign = |who: &str, namespace| {
        let Ok(signature) = secret(who).sign(namespace, message);
        signature
    };
    let edit = |signature: &Signature, from: &[u8], to: &[u8]| {
        let blob = signature.blob();
        let mut windows = blob.windows(from.len());
        let at = windows
            .position(|window| window == from)
            .expect("it is in there");
        let (before, rest) = blob.split_at(at);
        let (_, after) = rest.split_at(from.len());
        let edited = [before, to, after].concat();
        Signature::from_blob(edited).expect("it is short")
    };
    let honest = sign("alice", Namespace::Page);
    let trailing = Signature::from_blob([honest.blob(), &[0]].concat()).expect("it is short");
    let mut flipped = honest.blob().to_vec();
    if let Some(byte) = flipped.last_mut() {
        *byte ^= 1;
    }
    let faults = [
        ("accepted", honest.clone()),
        ("refused-namespace", sign("alice", Namespace::Root)),
        ("refused-key", sign("bob", Namespace::Page)),
        (
            "refused-bit",
            Signature::from_blob(flipped).expect("it is short"),
        ),
        ("refused-trailing", trailing),
        (
            "refused-version",
            edit(&honest, b"SSHSIG\0\0\0\x01", b"SSHSIG\0\0\0\x02"),
        ),
        ("refused-hash", edit(&honest, b"sha512", b"sha256")),
        (
            "refused-reserved",
            edit(
                &honest,
                b"\0\0\0\0\0\0\0\x06sha512",
                b"\0\0\0\x01x\0\0\0\x06sha512",
            ),
        ),
        (
            "refused-empty",
            Signature::from_blob(Vec::new()).expect("it is short"),
        ),
    ];
    for (name, signature) in faults {
        let case = signed("alice", Namespace::Page, message, &signature);
        cases.insert(format!("signatures/{name}"), case);
    }
    let case = signed("alice", Namespace::Page, message, &not_reduced(&honest));
    cases.insert("signatures/refused-ed25519-order".into(), case);
    for (name, point) in NEUTRAL {
        let key = ed25519(point);
        let signature = by_anybody(&honest, &key);
        let case = signature_case(&key, Namespace::Page, message, &signature);
        cases.insert(format!("signatures/{name}"), case);
    }
}

/// The neutral point, in its canonical encoding and in two others. Under it, R = S * B is a signature of
/// anything.
const NEUTRAL: [(&str, [u8; 32]); 3] = [
    ("refused-ed25519-small-order", ends(1, 0, 0)),
    ("refused-ed25519-sign-of-zero", ends(1, 0, 0x80)),
    ("refused-ed25519-above-the-prime", ends(0xee, 0xff, 0x7f)),
];

/// The base point B.
const BASE: [u8; 32] = ends(0x58, 0x66, 0x66);

/// Returns 32 bytes given by the first, the last, and all in between.
const fn ends(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

fn ed25519(point: [u8; 32]) -> PublicKey {
    let blob = [b"\0\0\0\x0bssh-ed25519\0\0\0\x20", &point[..]].concat();
    PublicKey::from_blob(blob).expect("this is a key")
}

/// Returns the signature R = B, S = 1, in place of an honest one and under another key.
fn by_anybody(honest: &Signature, key: &PublicKey) -> Signature {
    let one = ends(1, 0, 0);
    let blob = honest.blob();
    let (front, _) = blob.split_at(blob.len() - 64);
    let alice = secret("alice").public_key().blob().to_vec();
    let at = front
        .windows(alice.len())
        .position(|window| window == alice);
    let (before, rest) = front.split_at(at.expect("the key is in its signature"));
    let (_, after) = rest.split_at(alice.len());
    let edited = [before, key.blob(), after, &BASE, &one].concat();
    Signature::from_blob(edited).expect("it is short")
}

/// Returns a signature with the order of the group added to S.
fn not_reduced(honest: &Signature) -> Signature {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let (front, s) = honest.blob().split_at(honest.blob().len() - 32);
    let mut carry = 0;
    let sum = s.iter().zip(ORDER).map(|(digit, order)| {
        let sum = u16::from(*digit) + u16::from(order) + carry;
        carry = sum >> 8;
        sum.to_le_bytes()[0]
    });
    let edited = front.iter().copied().chain(sum).collect();
    Signature::from_blob(edited).expect("it is short")
}

fn signed(who: &str, namespace: Namespace, message: &[u8], signature: &Signature) -> Value {
    signature_case(secret(who).public_key(), namespace, message, signature)
}

/// Describes a signature as a case.
pub(super) fn signature_case(
    key: &PublicKey,
    namespace: Namespace,
    message: &[u8],
    signature: &Signature,
) -> Value {
    json!({
        "key": key.as_line(),
        "fingerprint": StandardCrypto.fingerprint(key).to_string(),
        "namespace": namespace.as_str(),
        "message": hex(message),
        "signature": signature.armour(),
        "verifies": StandardCrypto.verify(key, namespace, message, signature).is_ok(),
    })
}
