//! A repository in git, and pull requests that were fetched from a forge.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::process::Command;

use conex_tests::Community;

use crate::session::Session;

/// A settled community on the branch `main`, and pull requests as references.
pub(crate) struct Pulls {
    pub(crate) session: Session,
}

/// Two janitors for everything, one for upkeep.
pub(crate) fn community(layout: &str) -> Community {
    let rules = |root: &mut conex_core::model::statement::RootFields| {
        root.unclaimed = root.quorum;
        root.upkeep = conex_core::model::version::Threshold::new(1).unwrap();
    };
    Community::settled_by(layout, rules)
}

impl Pulls {
    pub(crate) fn new(layout: &str) -> Self {
        let session = Session::new(&community(layout));
        let pulls = Self { session };
        pulls.git(&["init", "-q", "-b", "main", "."]);
        pulls.commit("alice", "start");
        pulls
    }

    /// Runs git; commits have the same ids every time.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.git_as("alice", arguments)
    }

    fn git_as(&self, who: &str, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command
            .args(arguments)
            .current_dir(self.session.tree())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        for (role, name) in [("AUTHOR", who), ("COMMITTER", "forge")] {
            command
                .env(format!("GIT_{role}_NAME"), name)
                .env(format!("GIT_{role}_EMAIL"), format!("{name}@example.org"))
                .env(format!("GIT_{role}_DATE"), "1700000000 +0000");
        }
        let output = command.output().expect("git is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn commit(&self, who: &str, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git_as(who, &["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// A pull request of one commit on top of a revision, as it is fetched; or a new state of it.
    pub(crate) fn pull_on(&self, base: &str, number: u32, who: &str, edit: impl FnOnce(&Session)) {
        self.git(&["checkout", "-q", "--detach", base]);
        edit(&self.session);
        let commit = self.commit(who, "a change");
        self.git(&["update-ref", &format!("refs/pull/{number}/head"), &commit]);
        self.git(&["checkout", "-q", "main"]);
    }

    pub(crate) fn pull(&self, number: u32, who: &str, edit: impl FnOnce(&Session)) {
        self.pull_on("main", number, who, edit);
    }

    /// Merges a pull request, as the forge's button does.
    pub(crate) fn merge(&self, number: u32) {
        let name = format!("refs/pull/{number}/head");
        self.git(&["merge", "-q", "--no-ff", "-m", "merged", &name]);
    }
}
