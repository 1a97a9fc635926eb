//! Stored texts: the canonical form, and others with the same meaning in TOML.

use conex_core::model::page::{Batch, Page};
use conex_core::model::statement::{Author, Authorisation, Root, RootSignature, Team};
use conex_core::model::stored::{ParseError, Stored};
use conex_tests::Community;
use serde_json::json;

use super::Cases;

type Read = fn(&[u8]) -> Result<(), ParseError>;

fn read<T: Stored>(bytes: &[u8]) -> Result<(), ParseError> {
    T::from_bytes(bytes).map(|_| ())
}

/// An edit of a text: its name, the text to replace, and the replacement.
type Edit = (&'static str, &'static str, &'static str);

pub(super) fn add(cases: &mut Cases) {
    let community = Community::settled("opam");
    // The first of her pages by digest.
    let page = community
        .pages("alice")
        .into_iter()
        .map(|place| community.read(&place))
        .find(|text| text.contains(" releases "))
        .expect("alice approves a package");
    let batch = "vouches = [\n  \"foo releases 0.1 \
        0000000000000000000000000000000000000000000000000000000000000000\",\n  \"foo/1.0 checksums 0.1 \
        00000000000000000000000000000000000000000000000000000000000000ff\",\n]\n";
    let kinds: [(&str, Read, String, &[Edit]); 7] = [
        (
            "author",
            read::<Author>,
            community.read("conex/authors/dave.toml"),
            AUTHOR,
        ),
        (
            "team",
            read::<Team>,
            community.read("conex/teams/makers.toml"),
            TEAM,
        ),
        (
            "authorisation",
            read::<Authorisation>,
            community.read("conex/packages/foo.toml"),
            AUTHORISATION,
        ),
        (
            "root",
            read::<Root>,
            community.read("conex/root/1.toml"),
            ROOT,
        ),
        (
            "root-signature",
            read::<RootSignature>,
            community.read(&Community::root_signature(1, "alice")),
            SIGNATURE,
        ),
        ("page", read::<Page>, page, PAGE),
        ("batch", read::<Batch>, batch.into(), BATCH),
    ];
    for (kind, read, text, edits) in kinds {
        let mut put = |name: &str, text: &str| {
            let result = read(text.as_bytes());
            let case = json!({
                "kind": kind,
                "text": text,
                "accepted": result.is_ok(),
                "line": result.as_ref().err().and_then(|error| error.line),
                "reason": result.err().map(|error| error.reason),
            });
            let name = format!("spellings/{kind}-{name}");
            assert!(
                cases.insert(name.clone(), case).is_none(),
                "{name} is there twice"
            );
        };
        put("accepted", &text);
        for (name, odd) in [
            ("byte-order-mark", format!("\u{feff}{text}")),
            ("carriage-returns", text.replace('\n', "\r\n")),
            ("no-final-newline", text.trim_end().into()),
            ("trailing-line", format!("{text}\n")),
            ("comment", format!("# comment\n{text}")),
            ("unknown-field", format!("zzz = 1\n{text}")),
            ("wide", text.replacen(" = ", "  = ", 1)),
        ] {
            put(name, &odd);
        }
        for (name, from, to) in edits {
            assert!(text.contains(from), "{from} is not in {text}");
            put(name, &text.replacen(from, to, 1));
        }
        if kind == "author" {
            for (name, number) in [("accounts-most", 64), ("accounts-too-many", 65)] {
                let accounts = (100..100 + number).map(|at| format!("  \"{at}\",\n"));
                let accounts: Vec<String> = accounts.collect();
                let field = format!("\"dave\"\naccounts = [\n{}]\n", accounts.concat());
                put(name, &text.replacen("\"dave\"\n", &field, 1));
            }
        }
        if kind == "team" {
            for (name, length) in [("id-longest", 100), ("id-too-long", 101)] {
                put(name, &text.replacen("makers", &"m".repeat(length), 1));
            }
        }
    }
}

const AUTHOR: &[Edit] = &[
    ("upper-case-id", "\"dave\"", "\"Dave\""),
    ("reserved-id", "\"dave\"", "\"janitors\""),
    ("literal-string", "\"dave\"", "'dave'"),
    ("escaped", "\"dave\"", "\"d\\u0061ve\""),
    ("dotted-key", "id =", "\"id\" ="),
    (
        "not-retired",
        "id = \"dave\"\n",
        "id = \"dave\"\nretired = false\n",
    ),
    ("no-keys", "[[keys]]", "[[former]]"),
    ("key-with-comment", "ssh-ed25519 ", "ssh-ed25519  "),
    ("key-algorithm", "\"ssh-ed25519 ", "\"ssh-rsa "),
    (
        "account",
        "id = \"dave\"\n",
        "id = \"dave\"\naccounts = [\n  \"!~\",\n]\n",
    ),
    (
        "account-blank",
        "id = \"dave\"\n",
        "id = \"dave\"\naccounts = [\n  \"a b\",\n]\n",
    ),
    (
        "account-empty",
        "id = \"dave\"\n",
        "id = \"dave\"\naccounts = [\n  \"\",\n]\n",
    ),
];

const TEAM: &[Edit] = &[
    ("unsorted", "\"dave\",\n  \"erin\"", "\"erin\",\n  \"dave\""),
    ("twice", "\"dave\",\n", "\"dave\",\n  \"dave\",\n"),
    ("nested", "\"dave\"", "\"makers\""),
    ("janitors", "\"dave\"", "\"janitors\""),
    (
        "on-one-line",
        "[\n  \"dave\",\n  \"erin\",\n]",
        "[\"dave\", \"erin\"]",
    ),
    ("no-last-comma", "\"erin\",\n", "\"erin\"\n"),
    ("nobody", "members = [\n  \"dave\",\n  \"erin\",\n]\n", ""),
];

const AUTHORISATION: &[Edit] = &[
    ("threshold-zero", "threshold = 1", "threshold = 0"),
    ("threshold-missing", "threshold = 1\n", ""),
    ("threshold-negative", "threshold = 1", "threshold = -1"),
    ("threshold-large", "threshold = 1", "threshold = 65536"),
    ("threshold-largest", "threshold = 1", "threshold = 65535"),
    ("leading-zero", "threshold = 1", "threshold = 01"),
    ("plus", "epoch = 0", "epoch = +0"),
    ("hexadecimal", "epoch = 0", "epoch = 0x0"),
    ("underscore", "epoch = 0", "epoch = 1_0"),
    ("float", "epoch = 0", "epoch = 0.0"),
    ("epoch-largest", "epoch = 0", "epoch = 4294967295"),
    ("epoch-too-large", "epoch = 0", "epoch = 4294967296"),
    ("no-owner", "owners = [\n  \"dave\",\n]\n", "owners = []\n"),
    ("janitors-own", "\"dave\"", "\"janitors\""),
    (
        "order",
        "threshold = 1\nepoch = 0\n",
        "epoch = 0\nthreshold = 1\n",
    ),
    ("twice", "epoch = 0\n", "epoch = 0\nepoch = 0\n"),
    ("retired", "epoch = 0\n", "epoch = 0\nretired = true\n"),
    ("package-path", "\"foo\"", "\"../foo\""),
    ("package-device", "\"foo\"", "\"nul\""),
    ("package-dot", "\"foo\"", "\"foo.\""),
    ("owner-twice", "  \"dave\",\n", "  \"dave\",\n  \"dave\",\n"),
];

const ROOT: &[Edit] = &[
    ("quorum-zero", "quorum = 2", "quorum = 0"),
    ("quorum-missing", "quorum = 2\n", ""),
    ("quorum-above-janitors", "quorum = 2", "quorum = 4"),
    ("upkeep-above-quorum", "upkeep = 1", "upkeep = 3"),
    ("unclaimed-above-quorum", "unclaimed = 1", "unclaimed = 3"),
    ("format-newer", "format = 1", "format = 2"),
    ("number-zero", "number = 1", "number = 0"),
    ("number-without-previous", "number = 1", "number = 2"),
    ("number-too-large", "number = 1", "number = 4097"),
    ("origin-path", "\"example\"", "\"../example\""),
    ("pattern-everything", "\"*.md\"", "\"**\""),
    ("pattern-outside", "\"*.md\"", "\"../*.md\""),
    ("pattern-absolute", "\"*.md\"", "\"/*.md\""),
    ("janitor-twice", "id = \"bob\"", "id = \"alice\""),
    ("janitor-reserved", "id = \"alice\"", "id = \"janitors\""),
    ("janitors-unsorted", "id = \"alice\"", "id = \"zoe\""),
    (
        "complete",
        "layout = \"opam\"\nprojections = [\n  \"opam/1\",\n]\n",
        "layout = \"opam\"\nprojections = [\n  \"opam/1\",\n]\ncomplete = true\n",
    ),
    (
        "checkpoints-without-key",
        "ignore = [",
        "checkpoints_required = true\nignore = [",
    ),
    (
        "projections-three",
        "  \"opam/1\",\n",
        "  \"opam/1\",\n  \"opam/2\",\n  \"opam/3\",\n",
    ),
    (
        "projections-unsorted",
        "  \"opam/1\",\n",
        "  \"opam/2\",\n  \"opam/1\",\n",
    ),
    (
        "projections-twice",
        "  \"opam/1\",\n",
        "  \"opam/1\",\n  \"opam/1\",\n",
    ),
    ("pattern-two-stars", "\"*.md\"", "\"*.*.md\""),
    ("pattern-star-alone", "\"*.md\"", "\"*\""),
    ("pattern-star-above", "\"*.md\"", "\"*a/b\""),
    ("pattern-star-below", "\"*.md\"", "\"a/*b/**\""),
    ("pattern-device", "\"*.md\"", "\"aux.*/**\""),
    ("pattern-drive", "\"*.md\"", "\"c:/**\""),
    (
        "revoked",
        "\n[[janitors]]",
        "revoked = [\n  \"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\n]\n\n[[janitors]]",
    ),
];

const SIGNATURE: &[Edit] = &[
    ("line-broken-elsewhere", "U1NIU0lH", "U1NI\nU0lH"),
    ("without-armour", "-----BEGIN SSH SIGNATURE-----\n", ""),
    ("fingerprint-kind", "SHA256:", "MD5:"),
    ("fingerprint-padded", "\"\nsignature", "=\"\nsignature"),
    ("signer-reserved", "\"alice\"", "\"janitors\""),
];

const PAGE: &[Edit] = &[
    ("counter-zero", " 0.1 ", " 0.0 "),
    ("counter-leading-zero", " 0.1 ", " 0.01 "),
    ("epoch-leading-zero", " 0.1 ", " 00.1 "),
    ("counter-largest", " 0.1 ", " 0.18446744073709551615 "),
    ("counter-too-large", " 0.1 ", " 0.18446744073709551616 "),
    ("epoch-too-large", " 0.1 ", " 4294967296.1 "),
    ("no-epoch", " 0.1 ", " 1 "),
    ("two-blanks", " 0.1 ", "  0.1 "),
    ("tab", " 0.1 ", "\\t0.1 "),
    ("unknown-kind", " releases ", " root "),
    ("upper-case-kind", " releases ", " Releases "),
    ("signer-reserved", "\"alice\"", "\"janitors\""),
    ("author-reserved", "bar/0.1 checksums ", "janitors author "),
    ("team-reserved", "bar/0.1 checksums ", "janitors team "),
    (
        "package-like-the-reserved",
        "bar/0.1 checksums ",
        "janitors releases ",
    ),
    ("batches", "vouches = [", BATCHES),
    ("batches-unsorted", "vouches = [", BATCHES_UNSORTED),
    ("batches-twice", "vouches = [", BATCHES_TWICE),
    ("batches-range-reversed", "vouches = [", BATCHES_REVERSED),
    ("batches-range-any-character", "vouches = [", BATCHES_ODD),
];

macro_rules! batches {
    ($($line:literal)*) => {
        concat!("batches = [\n", $("  \"", $line, "\",\n",)* "]\nvouches = [")
    };
}

const BATCHES: &str = batches!(
    "a b 0000000000000000000000000000000000000000000000000000000000000001"
    "a c 0000000000000000000000000000000000000000000000000000000000000000"
    "b b 0000000000000000000000000000000000000000000000000000000000000002"
);
const BATCHES_UNSORTED: &str = batches!(
    "a c 0000000000000000000000000000000000000000000000000000000000000000"
    "a b 0000000000000000000000000000000000000000000000000000000000000001"
);
const BATCHES_TWICE: &str = batches!(
    "a b 0000000000000000000000000000000000000000000000000000000000000000"
    "a c 0000000000000000000000000000000000000000000000000000000000000000"
);
const BATCHES_REVERSED: &str =
    batches!("b a 0000000000000000000000000000000000000000000000000000000000000000");
const BATCHES_ODD: &str =
    batches!("! ~ 0000000000000000000000000000000000000000000000000000000000000000");

const BATCH: &[Edit] = &[
    ("upper-case-digest", "ff\"", "FF\""),
    ("short-digest", "ff\"", "f\""),
    ("unsorted", "foo releases", "zoo releases"),
    ("release-missing", "foo/1.0 checksums", "foo checksums"),
    ("release-too-many", "foo releases", "foo/1.0 releases"),
    ("release-path", "foo/1.0 checksums", "foo/../1.0 checksums"),
    ("two-contents", "foo/1.0 checksums", "foo releases"),
    ("versions", "foo/1.0 checksums 0.1", "foo releases 0.2"),
];
