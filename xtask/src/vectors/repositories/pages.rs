//! Pages, batches, and their places.

use conex_core::model::page::{Batch, PageBody};
use conex_core::model::stored::Stored as _;
use conex_tests::{Community, fingerprint, id};

use super::hostile::forge;
use super::{FRESH, STRICT, Story};

/// Has carol approve the package new by a batch, whose line in the page `change` edits.
fn by_batch(all: &mut Community, who: &str, change: impl FnOnce(&str) -> String) {
    all.release("new", "1", "x\n");
    let said = ["new releases", "new/1 checksums"].map(|what| all.present(what, "0.1"));
    let named = all.keep(&said).remove(0).to_string();
    let vouches = format!("batches = [\n  \"{}\",\n]\n", change(&named));
    // The page is signed with the content that verifiers read.
    let body = PageBody::new(id(who), fingerprint(who), Vec::new(), said.to_vec());
    let Ok(page) = body
        .expect("two vouches")
        .sign(all.origin(), &conex_tests::secret(who));
    let text = page.to_text();
    let at = text.find("vouches").expect("there are vouches");
    let end = text.find("signature").expect("there is a signature");
    let text = [&text[..at], &vouches, &text[end..]].concat();
    let read = conex_core::model::page::Page::from_bytes(text.as_bytes()).expect("a page");
    all.publish(who, read.body().clone());
}

pub(super) const PLAIN: &[Story] = &[
    (
        "batch-honest",
        true,
        |all| by_batch(all, "carol", str::to_owned),
        STRICT,
    ),
    (
        "batch-range-wide",
        true,
        |all| by_batch(all, "carol", |named| named.replacen("new new", ". zz", 1)),
        STRICT,
    ),
    (
        "batch-range",
        false,
        |all| by_batch(all, "carol", |named| named.replacen("new new", "a nev", 1)),
        FRESH,
    ),
    (
        "batch-range-inert",
        true,
        |all| {
            by_batch(all, "mallory", |named| {
                named.replacen("new new", "a nev", 1)
            });
        },
        FRESH,
    ),
    (
        "batch-missing-inert",
        true,
        |all| {
            by_batch(all, "mallory", str::to_owned);
            all.remove("conex/batches");
        },
        FRESH,
    ),
    (
        "batch-unused",
        true,
        |all| {
            let vouch = all.present("foo releases", "0.1");
            all.keep(&[vouch]);
        },
        STRICT,
    ),
    (
        "batch-misnamed",
        false,
        |all| {
            let vouch = all.present("foo releases", "0.1");
            let batch = Batch::new(vec![vouch]).expect("one vouch");
            all.write("conex/batches/x.toml", batch.to_text());
        },
        FRESH,
    ),
    (
        "batch-malformed",
        false,
        |all| {
            by_batch(all, "carol", str::to_owned);
            let named = |file: &str| file.starts_with("conex/batches/");
            let file = all
                .tree
                .files()
                .map(|(file, _)| file.to_owned())
                .find(|file| named(file));
            forge(
                all,
                &file.expect("there is a batch"),
                "vouches = ",
                "vouches  = ",
            );
        },
        FRESH,
    ),
    (
        "page-of-the-reserved-id",
        false,
        |all| {
            let page = all.pages("dave").concat();
            let text = all.read(&page).replace("\"dave\"", "\"janitors\"");
            all.write("conex/index/janitors/x.toml", text);
        },
        FRESH,
    ),
    (
        "page-with-the-reserved-id",
        false,
        |all| {
            let page = all.pages("dave").concat();
            forge(all, &page, "\"dave\"", "\"janitors\"");
        },
        FRESH,
    ),
    (
        "page-in-a-directory",
        false,
        |all| {
            let page = all.pages("dave").concat();
            let text = all.read(&page);
            all.write("conex/index/dave/more/x.toml", text);
        },
        FRESH,
    ),
    (
        "page-without-a-directory",
        false,
        |all| all.write("conex/index/erin", "x\n"),
        FRESH,
    ),
    (
        "page-of-no-id",
        false,
        |all| all.write("conex/index/Erin/x.toml", "x\n"),
        FRESH,
    ),
    (
        "page-under-another-suffix",
        false,
        |all| all.write("conex/index/dave/x.txt", "x\n"),
        FRESH,
    ),
    (
        "directory-is-a-file",
        false,
        |all| all.write("conex/teams", "x\n"),
        FRESH,
    ),
    (
        "file-is-a-directory",
        false,
        |all| all.write("conex/teams/makers.toml/x", "x\n"),
        FRESH,
    ),
    (
        "attributes-are-a-directory",
        false,
        |all| all.write("conex/.gitattributes/x", "x\n"),
        FRESH,
    ),
    (
        "bad-names-in-the-metadata",
        false,
        |all| {
            for place in [
                "conex",
                "conex/root",
                "conex/root/1",
                "conex/authors",
                "conex/index",
            ] {
                all.write(&format!("{place}/a."), "x\n");
            }
        },
        FRESH,
    ),
];
