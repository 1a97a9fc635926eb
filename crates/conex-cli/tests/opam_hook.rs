//! Ways in which opam can be set up so that nothing is verified, each found and named. No opam is
//! needed: what it writes is written here.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod client;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use client::{Client, said};
use conex_tests::Community;

const KEYS: &str = "origin:example,SHA256:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";

/// A user whose opam verifies the repository `signed`.
struct User {
    client: Client,
    hook: String,
}

impl User {
    fn new() -> Self {
        let community = Community::settled("opam");
        let client = Client::of(&community);
        fs::create_dir_all(client.at("opam/repo")).unwrap();
        client.put("opam/repo/signed.new", &community);
        client.accepts("verify --repository=opam/repo/signed --dir=opam/repo/signed.new");
        let hook = client.accepts("opam-hook");
        let hook = hook.lines().next().unwrap();
        let hook = hook.strip_prefix("repository-validation-command=").unwrap();
        let user = Self {
            hook: hook.to_owned(),
            client,
        };
        user.has(&user.hook);
        user.follows(&format!(
            "\"signed\" {{\"https://example.org\"}} {{\"{}\"}} {{1}}",
            user.client.anchor
        ));
        user
    }

    fn has(&self, hook: &str) {
        let config = format!(
            "opam-version: \"2.0\"\nrepositories: \"signed\"\nrepository-validation-command: {hook}\n"
        );
        fs::write(self.client.at("opam/config"), config).unwrap();
    }

    fn follows(&self, repositories: &str) {
        let config = format!("opam-version: \"2.0\"\nrepositories: [\n{repositories}\n]\n");
        fs::write(self.client.at("opam/repo/repos-config"), config).unwrap();
    }

    fn check(&self, variables: &[(&str, &str)]) -> (String, i32) {
        let mut command = self.client.command("opam-hook --check");
        command.env("OPAMROOT", self.client.at("opam"));
        said(&command.envs(variables.iter().copied()).output().unwrap())
    }

    /// Finds exactly this.
    #[track_caller]
    fn finds(&self, variables: &[(&str, &str)], finding: &str) {
        let (said, code) = self.check(variables);
        assert_eq!(code, 1, "{finding}: {said}");
        let found: Vec<&str> = said
            .lines()
            .filter(|line| !line.starts_with("  "))
            .collect();
        assert!(
            found.first().unwrap().starts_with(&format!("{finding}: ")),
            "{finding}: {said}"
        );
        assert_eq!(found.len(), 2, "one finding and a summary: {said}");
    }
}

#[test]
fn a_client_that_verifies_everything() {
    let user = User::new();
    let (said, code) = user.check(&[]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(said, "opam verifies 1 of 1 repositories\n");
    let (said, code) = user.check(&[("OPAMNOCHECKSUMS", "0"), ("OPAMREQUIRECHECKSUMS", "1")]);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn hook_bypass_by_the_environment() {
    let user = User::new();
    for (variable, value, finding) in [
        ("OPAMVALIDATIONHOOK", "", "opam: environment-no-hook"),
        ("OPAMVALIDATIONHOOK", "true", "opam: environment-other-hook"),
        ("OPAMNOCHECKSUMS", "1", "opam: environment-no-checksums"),
        ("OPAMNOCHECKSUMS", "true", "opam: environment-no-checksums"),
    ] {
        user.finds(&[(variable, value)], finding);
    }
}

#[test]
fn hook_bypass_by_the_hook() {
    let user = User::new();
    let hook = &user.hook;
    let program = env!("CARGO_BIN_EXE_conex");
    for (name, mode) in [("mine/conex", 0o644), ("everybodys/conex", 0o777)] {
        let path = user.client.at(name);
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let at = |name: &str| user.client.at(name).display().to_string();
    for (hook, finding) in [
        ("[]".to_owned(), "opam: hook-missing"),
        ("[\"true\"]".to_owned(), "opam: hook-other"),
        ("\"true\"".to_owned(), "opam: hook-other"),
        (hook.replace("\"verify\"", "\"why\""), "opam: hook-other"),
        (
            hook.replace(program, "/absent/conex"),
            "opam: hook-not-found",
        ),
        (hook.replace(program, "conex"), "opam: hook-not-found"),
        (
            hook.replace(program, &at("mine/conex")),
            "opam: hook-not-executable",
        ),
        (
            hook.replace(program, &at("everybodys/conex")),
            "opam: hook-writable",
        ),
        (
            hook.replace("\"--trust-anchors=%{anchors}%\"", ""),
            "opam: hook-incomplete",
        ),
        (
            hook.replace("{!incremental}", "{incremental}"),
            "opam: hook-incomplete",
        ),
        (
            hook.replace("\"verify\"", "\"verify\" \"--mode=observe\""),
            "opam: hook-observes",
        ),
        (
            hook.replace("\"verify\"", "\"verify\" \"--mode\" \"observe\""),
            "opam: hook-observes",
        ),
    ] {
        user.has(&hook);
        user.finds(&[], finding);
    }
    fs::write(user.client.at("opam/config"), "opam-version: \"2.0\"\n").unwrap();
    user.finds(&[], "opam: hook-missing");
    user.has(hook);
    assert_eq!(user.check(&[]).1, 0);
}

#[test]
fn hook_bypass_by_a_repository() {
    let user = User::new();
    let anchor = user.client.anchor.clone();
    for (repository, finding) in [
        ("\"signed\"".to_owned(), "signed: no-anchors"),
        (
            "\"signed\" {\"https://example.org\"}".to_owned(),
            "signed: no-anchors",
        ),
        (
            "\"signed\" {\"https://example.org\"} {} {2}".to_owned(),
            "signed: no-anchors",
        ),
        (
            format!("\"signed\" {{\"https://example.org\"}} {{\"{anchor}\"}} {{0}}"),
            "signed: quorum-zero",
        ),
        (
            format!("\"signed\" {{\"https://example.org\"}} {{\"{KEYS}\"}} {{2}}"),
            "signed: quorum-above-anchors",
        ),
        (
            "\"signed\" {\"https://example.org\"} {\"SHA256:x\"} {1}".to_owned(),
            "signed: anchors-unusable",
        ),
        (
            format!("\"signed\" {{\"https://example.org\"}} {{\"{KEYS}\"}} {{1}}"),
            "signed: never-verified",
        ),
        (
            format!("\"fresh\" {{\"https://example.org\"}} {{\"{anchor}\"}} {{1}}"),
            "fresh: never-verified",
        ),
        (String::new(), "opam: no-repository"),
    ] {
        user.follows(&repository);
        user.finds(&[], finding);
    }
}

#[test]
fn what_cannot_be_read_is_not_taken_for_verified() {
    let user = User::new();
    fs::write(user.client.at("opam/repo/repos-config"), "repositories: [").unwrap();
    assert_eq!(user.check(&[]).1, 1);
    fs::remove_dir_all(user.client.at("opam")).unwrap();
    assert_eq!(user.check(&[]).1, 2);
}

#[test]
fn the_hook_as_it_is_set() {
    let client = Client::of(&Community::settled("opam"));
    let said = client.accepts("opam-hook --program /usr/bin/conex --mode enforce --fast");
    assert_eq!(
        said.lines().next().unwrap(),
        "repository-validation-command=[\"/usr/bin/conex\" \"verify\" \"--mode=enforce\" \"--fast\" \
         \"--quorum=%{quorum}%\" \"--trust-anchors=%{anchors}%\" \"--repository=%{repo}%\" \
         \"--dir=%{dir}%\" {!incremental} \"--patch=%{patch}%\" {incremental} \
         \"--incremental\" {incremental}]"
    );
    assert_eq!(client.run("opam-hook --program /bin/%{x}%").1, 2);
    // Nothing is set without a word.
    fs::create_dir_all(client.at("opam")).unwrap();
    fs::write(client.at("opam/config"), "opam-version: \"2.0\"\n").unwrap();
    let mut command = client.command("opam-hook --install");
    let output = command.env("OPAMROOT", client.at("opam")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
