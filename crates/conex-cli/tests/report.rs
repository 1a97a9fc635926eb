//! The page on how a repository stands.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

use std::fs;
use std::process::Command;

mod session;

use session::Session;

fn page(session: &mut Session, line: &str) -> String {
    let line = format!("report --output ../report.html --date 2026-01-31 {line}");
    session.run(line.trim_end());
    fs::read_to_string(session.directory.path().join("report.html")).unwrap()
}

/// Without the style, which says nothing of the repository.
fn content(page: &str) -> String {
    let (head, rest) = page.split_once("<style>").unwrap();
    let (_, body) = rest.split_once("</style>").unwrap();
    format!("{head}{body}")
}

#[test]
fn a_page_says_how_things_stand() {
    let mut session = Session::inherited();
    session
        .run("claim foo --owner dave --key alice -y")
        .run("approve foo --key bob -y")
        .run("claim bar --owner erin --key alice -y");
    session.write("packages/foo/foo.3/opam", "opam-version: \"2.0\"\n");
    session.commit_as("dave", "2026-01-30", "foo 3");
    let page = page(&mut session, "");
    for said in [
        "2026-01-31",
        "of packages signed",
        "foo/3 checksums",
        "bar authorisation",
        "Packages with a single owner",
        "<li>foo</li>",
        "2024-01-01 to 2026-01-30",
    ] {
        assert!(page.contains(said), "{said}\n{}", content(&page));
    }
}

#[test]
fn growth_ends_with_what_is_there_now() {
    let mut session = Session::inherited();
    let committed = page(&mut session, "");
    assert!(committed.contains("5 states of the main line: 2024-01-01 to 2026-01-02"));
    assert!(committed.contains("5 packages, 5 signed, 0 with owners"));
    session.run("claim foo --owner dave --key alice -y");
    session.run("approve foo --key bob -y");
    let now = page(&mut session, "");
    assert!(
        now.contains(
            "5 states of the main line, and what is not committed yet: 2024-01-01 to 2026-01-31"
        ),
        "{}",
        content(&now)
    );
    assert!(now.contains("5 packages, 5 signed, 1 with owners"));
    // Of a revision, nothing else is said.
    assert!(!page(&mut session, "--revision HEAD").contains("not committed"));
}

#[test]
fn a_page_needs_nothing_but_itself() {
    let mut session = Session::inherited();
    let page = page(&mut session, "");
    for outside in ["<script", "src=", "href=", "url(", "@import", "http:"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn what_others_wrote_is_text() {
    let mut session = Session::inherited();
    let url = "http://x.org/'><script>alert(1)</script>&amp;";
    session.write(
        "packages/foo/foo.3/opam",
        format!("opam-version: \"2.0\"\nurl {{ src: \"{url}\" checksum: \"md5=0\" }}\n"),
    );
    let page = page(&mut session, "--history 0");
    assert!(!page.contains("<script"), "{page}");
    assert!(page.contains("script"), "{page}");
}

#[test]
fn a_revision_is_reported_without_a_work_tree() {
    let mut session = Session::inherited();
    let of_tree = content(&page(&mut session, ""));
    let of_head = content(&page(&mut session, "--revision HEAD"));
    let bare = session.directory.path().join("bare.git");
    session.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    let file = session.directory.path().join("bare.html");
    let status = Command::new(env!("CARGO_BIN_EXE_conex"))
        .arg("-C")
        .arg(&bare)
        .args(["report", "--date", "2026-01-31", "--output"])
        .arg(&file)
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(content(&fs::read_to_string(&file).unwrap()), of_head);
    // The same, but for the commit.
    let (before, rest) = of_head.split_once(", commit <code>").unwrap();
    let (_, after) = rest.split_once("</code>").unwrap();
    assert_eq!(format!("{before}{after}"), of_tree);
}

#[test]
fn a_directory_without_history_has_a_page() {
    let mut session = Session::settled();
    let page = page(&mut session, "");
    assert!(!page.contains("<svg"), "{page}");
    assert!(page.contains("of packages signed"), "{page}");
}

#[test]
fn what_cannot_be_written_or_read_is_refused() {
    let mut session = Session::inherited();
    session
        .refused("report --output ../absent/report.html")
        .refused("report --output ..")
        .refused("report --output ../report.html --revision nowhere")
        .refused("report --output ../report.html --date yesterday")
        .refused("report");
}
