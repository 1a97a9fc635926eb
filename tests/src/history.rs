//! Histories of honest people.
#![allow(
    clippy::indexing_slicing,
    reason = "steps are made for the packages that there are"
)]

use conex_core::verify::Mode;

use crate::community::{Community, fingerprint, former, id, opam_file};

/// Something honest people do, with whatever approvals it needs.
/// Packages are given by their position in [`PACKAGES`].
#[derive(Debug, Clone)]
pub enum Step {
    /// A release of that number is added or replaced.
    Publish(usize, u8),
    /// A bound of the first release is changed.
    Repair(usize),
    /// The first release is removed, if there is another.
    Withdraw(usize),
    /// The package is removed.
    Remove(usize),
    /// The package is claimed by the janitors, unless somebody did.
    Claim(usize),
    /// The epoch of the package is raised, if it is claimed.
    Raise(usize),
    /// An author joins.
    Enrol(u8),
    /// Dave gets another key.
    Rotate,
    /// Dave gets another key, and the old one is revoked.
    Revoke,
    /// Bob joins or leaves a team.
    Team,
    /// Alice writes one page in place of hers.
    Compact,
    /// A root with another revoked key, and perhaps `complete`.
    Rules(bool),
}

/// The packages of a history.
pub const PACKAGES: [&str; 4] = ["foo", "lib", "bar", "new"];

/// A community with a history, and what is needed to go on with it.
#[derive(Debug, Clone)]
pub struct History {
    /// The community as it is now.
    pub community: Community,
    /// How often anything was done.
    count: usize,
    /// How often dave changed his key.
    keys: usize,
}

impl History {
    /// Begins with a settled community.
    pub fn new(settled: &Community) -> Self {
        Self {
            community: settled.clone(),
            count: 0,
            keys: 1,
        }
    }

    fn dave(&self) -> String {
        if self.keys == 1 {
            "dave".into()
        } else {
            format!("dave#{}", self.keys)
        }
    }

    fn releases(&self, package: &str) -> Vec<String> {
        let directory = format!("packages/{package}/");
        let files = self.community.tree.files().map(|(file, _)| file.to_owned());
        files.filter(|file| file.starts_with(&directory)).collect()
    }

    /// Content of a package is approved by its owner, or by the quorum.
    fn approve_content(&mut self, package: &str) {
        let owner = match package {
            "foo" => self.dave(),
            "lib" => "erin".into(),
            _ => "alice".into(),
        };
        for who in [owner.as_str(), "alice", "bob"] {
            if self.community.verify_in(Mode::Enforce).verified().is_none() {
                // Whatever is withdrawn may leave content of the past.
                self.community.restore(who, package);
            }
        }
    }

    /// Takes a step.
    pub fn take(&mut self, step: &Step) {
        self.count += 1;
        let count = self.count;
        match step {
            Step::Publish(at, number) => {
                let package = PACKAGES[*at];
                let text = opam_file("4.14", &format!("dune{count}"));
                self.community.release(package, &number.to_string(), &text);
                self.approve_content(package);
            }
            Step::Repair(at) => {
                let package = PACKAGES[*at];
                if let Some(file) = self.releases(package).first() {
                    let old = self.community.read(file);
                    let new = old.replacen("4.", &format!("4.{count}."), 1);
                    self.community.write(file, new);
                    self.community
                        .approve_all("carol", |f| f.subject.name() == package);
                }
            }
            Step::Withdraw(at) => {
                let package = PACKAGES[*at];
                let releases = self.releases(package);
                if let [first, _, ..] = releases.as_slice() {
                    self.community.remove(first);
                    self.approve_content(package);
                }
            }
            Step::Claim(at) => {
                let package = PACKAGES[*at];
                if !self.is_claimed(package) && !self.releases(package).is_empty() {
                    self.community.claim(package, &["janitors"]);
                    for who in ["alice", "bob"] {
                        self.community
                            .approve_all(who, |f| f.subject.name() == package);
                    }
                    self.approve_content(package);
                }
            }
            Step::Enrol(number) => {
                let who = format!("author{number}");
                self.community.author(&who);
                for janitor in ["bob", "carol"] {
                    self.community
                        .approve_all(janitor, |f| f.subject.name() == who);
                }
            }
            Step::Rotate => self.rekey(),
            Step::Revoke => {
                let stolen = fingerprint(&self.dave());
                self.community.next_root(&["alice", "bob"], |root| {
                    root.revoked.push(stolen);
                    root.revoked.sort();
                });
                self.rekey();
            }
            Step::Team => {
                self.community.edit_team("makers", |team| {
                    let bob = id("bob");
                    if team.members.contains(&bob) {
                        team.members.retain(|member| *member != bob);
                    } else {
                        team.members.push(bob);
                    }
                });
                // A team of the past may come back.
                for who in ["alice", "carol"] {
                    self.community.restore(who, "makers");
                }
                self.approve_content("lib");
            }
            Step::Remove(at) => self.remove(PACKAGES[*at]),
            Step::Raise(at) => {
                let package = PACKAGES[*at];
                if self.is_claimed(package) {
                    self.community.edit_claim(package, |claim| claim.epoch += 1);
                    let about = format!("{package} authorisation");
                    self.community.approve_by(&["alice", "bob"], &about);
                    self.approve_content(package);
                }
            }
            Step::Compact => self.community.compact("alice"),
            Step::Rules(complete) => {
                let number = count % 200;
                self.community.next_root(&["alice", "bob"], |root| {
                    root.complete |= complete;
                    root.revoked.push(fingerprint(&format!("stolen{number}")));
                    root.revoked.sort();
                    root.revoked.dedup();
                });
            }
        }
    }

    /// A package goes, unless it is the last: a repository without any is refused.
    fn remove(&mut self, package: &str) {
        let mut others = PACKAGES.iter().filter(|other| **other != package);
        if others.any(|other| !self.releases(other).is_empty()) {
            for file in self.releases(package) {
                self.community.remove(&file);
            }
            self.approve_content(package);
        }
    }

    fn is_claimed(&self, package: &str) -> bool {
        let place = format!("conex/packages/{package}.toml");
        self.community.tree.get(&place).is_some()
    }

    fn rekey(&mut self) {
        let (old, pages) = (self.dave(), self.community.pages("dave"));
        self.keys += 1;
        let key = self.community.proven("dave", &self.dave());
        let keys = self.keys;
        self.community.edit_author("dave", |author| {
            author.keys = vec![key];
            if keys > 2 {
                author.former.clear();
            }
            author.former.push(former(&old, &pages));
            // Pages of all the keys before are listed under the first of them, too.
            for number in 1..keys.saturating_sub(1) {
                let name = if number == 1 {
                    "dave".into()
                } else {
                    format!("dave#{number}")
                };
                author.former.push(former(&name, &pages));
            }
        });
        self.community.approve_by(&["alice", "carol"], "dave");
    }
}
