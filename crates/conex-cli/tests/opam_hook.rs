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
        user.runs("2.6.1");
        fs::create_dir(user.client.at("home")).unwrap();
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

    /// Has an opam of this version on the PATH, which keeps its configuration as opam does.
    fn runs(&self, version: &str) {
        let program = self.client.at("bin/opam");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        let script = format!(
            "#!/bin/sh\ncase $1 in\n--version) echo {version} ;;\noption) \
             {{ echo 'opam-version: \"2.0\"'; echo \"$3\" | sed 's/=/: /'; }} >\"$OPAMROOT/config\" ;;\nesac\n"
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn command(&self, line: &str) -> std::process::Command {
        let mut command = self.client.command(line);
        let mut path = self.client.at("bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command
            .env("PATH", path)
            .env("HOME", self.client.at("home"))
            .env("OPAMROOT", self.client.at("opam"));
        command
    }

    fn git(&self, line: &str) {
        let mut command = self.command("");
        let mut git = std::process::Command::new("git");
        for (name, value) in command.env("GIT_CONFIG_NOSYSTEM", "1").get_envs() {
            git.env(name, value.unwrap_or_default());
        }
        let status = git
            .args(line.split(' '))
            .current_dir(self.client.directory.path())
            .status();
        assert!(status.unwrap().success(), "git {line}");
    }

    fn check(&self, variables: &[(&str, &str)]) -> (String, i32) {
        let mut command = self.command("opam-hook --check");
        said(&command.envs(variables.iter().copied()).output().unwrap())
    }

    /// Finds exactly this, after what it says of the version.
    #[track_caller]
    fn finds(&self, variables: &[(&str, &str)], finding: &str) {
        let (said, code) = self.check(variables);
        assert_eq!(code, 1, "{finding}: {said}");
        let found: Vec<&str> = said
            .lines()
            .skip(1)
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
    assert_eq!(
        said,
        "opam 2.6.1 makes patches itself or has git make them, and applies them itself; keeps repositories that come \
         over http packed; runs git without the settings of its user\n\
         opam verifies 1 of 1 repositories\n"
    );
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
fn an_opam_that_nobody_tried() {
    let user = User::new();
    for version in ["2.7.0", "2.10.1", "3.0.0~beta1", "2.0.10"] {
        user.runs(version);
        user.finds(&[], "opam: opam-untested");
    }
    for version in ["2.1.2", "2.3.0", "2.5.2", "2.6.0-beta1"] {
        user.runs(version);
        assert_eq!(user.check(&[]).1, 0, "{version}");
    }
    fs::remove_file(user.client.at("bin/opam")).unwrap();
    let (said, code) = user.check(&[("PATH", "/nowhere")]);
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("opam is not on the PATH: "), "{said}");
}

#[test]
fn settings_of_git_that_opam_hands_on() {
    let user = User::new();
    let anchor = user.client.anchor.clone();
    let follows = |address: &str| {
        user.follows(&format!(
            "\"signed\" {{\"{address}\"}} {{\"{anchor}\"}} {{1}}"
        ));
    };
    user.git("init -q opam/repo/signed");
    // A repository that git does not fetch is none of git's business.
    assert_eq!(user.check(&[]).1, 0);
    for version in ["2.1.2", "2.3.0", "2.5.2", "2.6.1"] {
        user.runs(version);
        follows("git+https://example.org/repository.git#signed");
        user.finds(&[], "signed: git-renames");
    }
    // What git's user has set counts for opam before 2.6.
    user.git("config --global diff.renames no");
    assert_eq!(user.check(&[("XDG_CONFIG_HOME", "/nowhere")]).1, 1);
    user.runs("2.5.2");
    assert_eq!(user.check(&[]).1, 0);
    for (setting, finding) in [
        ("diff.renames copies", "signed: git-renames"),
        ("diff.context 0", "signed: git-context"),
        ("color.diff always", "signed: git-color"),
    ] {
        let (key, _) = setting.split_once(' ').unwrap();
        user.git(&format!("config --global {setting}"));
        user.runs("2.5.2");
        user.finds(&[], finding);
        user.git(&format!("config --global --unset {key}"));
        user.git("config --global diff.renames no");
    }
    user.git("config --global color.diff always");
    user.git("config -f opam/repo/signed/.git/config diff.renames false");
    user.runs("2.6.1");
    assert_eq!(user.check(&[]).1, 0);
    // Where the clone is packed, there is no place of its own for settings.
    fs::remove_dir_all(user.client.at("opam/repo/signed")).unwrap();
    fs::write(user.client.at("opam/repo/signed.tar.gz"), "").unwrap();
    user.runs("2.5.2");
    user.git("config --global color.diff auto");
    user.git("config --global diff.renames true");
    user.finds(&[], "signed: git-renames");
    let (said, _) = user.check(&[]);
    assert!(
        said.contains("git config --global diff.renames false"),
        "{said}"
    );
}

#[test]
fn what_an_installation_foretells_and_sets() {
    let user = User::new();
    let anchor = user.client.anchor.clone();
    user.git("init -q opam/repo/signed");
    user.follows(&format!(
        "\"signed\" {{\"git+file:///nowhere\"}} {{\"{anchor}\"}} {{1}}\n\
         \"theirs\" {{\"https://example.org/theirs\"}} {{\"sha256={}\"}} {{1}}\n\
         \"alone\" {{\"https://example.org/alone\"}} {{\"{KEYS}\"}} {{3}}\n\
         \"bare\" {{\"https://example.org/bare\"}}",
        "ab".repeat(32)
    ));
    fs::write(user.client.at("opam/config"), "opam-version: \"2.0\"\n").unwrap();
    // Nothing is set without consent, and what would be lost is said before.
    let (told, code) = said(&user.command("opam-hook --install").output().unwrap());
    assert_eq!(code, 2, "{told}");
    for expected in [
        "\ntheirs will not be updated any more: nothing can be verified from its anchors: ",
        "\nalone will not be updated any more: nothing can be verified from its anchors: ",
        "\nbare is not verified: it has no anchors\n",
        "opam/repo/signed config diff.renames false\n",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    let config = || fs::read_to_string(user.client.at("opam/config")).unwrap();
    assert_eq!(config(), "opam-version: \"2.0\"\n");
    assert!(user.check(&[]).0.contains("signed: git-renames: "));

    let (told, code) = said(&user.command("opam-hook --install -y").output().unwrap());
    assert_eq!(code, 1, "{told}");
    assert!(
        config().contains("repository-validation-command: ["),
        "{told}"
    );
    let (told, _) = user.check(&[]);
    assert!(!told.contains("signed: "), "{told}");
    assert!(told.contains("theirs: anchors-unusable: "), "{told}");
    assert!(told.contains("alone: quorum-above-anchors: "), "{told}");
}

#[test]
fn an_opam_directory_behind_a_link() {
    let user = User::new();
    std::os::unix::fs::symlink("opam", user.client.at("link")).unwrap();
    let link = user.client.at("link").display().to_string();
    user.client
        .accepts("verify --repository=opam/repo/signed --dir=opam/repo/signed.new");
    let (told, code) = user.check(&[("OPAMROOT", &link)]);
    assert_eq!(code, 0, "{told}");
    let (told, code) = user.client.run("why link/repo/signed");
    assert_eq!(code, 0, "{told}");
    assert!(told.starts_with("opam repository signed\n"), "{told}");
    assert!(told.contains("\naccepted"), "{told}");
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
