//! Invariant `f`: honest people put the main line in order as the tools suggest.

use std::collections::BTreeSet;

use conex_core::model::name::PackageName;
use conex_core::model::statement::{Root, Team, TeamFields};
use conex_core::model::stored::Stored as _;
use conex_core::model::vouch::Subject;
use conex_core::state::approval::Standing;
use conex_core::state::chain::Head;
use conex_core::tree::metadata::place;
use conex_core::tree::problem::Code;
use conex_core::verify::{Mode, Report};

use super::honest::TEAM;
use super::world::{Done, World};

/// More rounds than there are kinds of things to put in order.
const ROUNDS: usize = 8;

impl World {
    /// Puts the main line in order, advances, and expects that clients have all of it.
    pub(super) fn settle(&mut self) -> Done {
        self.tell("the main line is put in order");
        while !self.branches.is_empty() {
            self.merge(0, false);
        }
        self.clean();
        if let Some(head) = self.root(0) {
            self.sign_waiting(0, &head);
        }
        for _ in 0..ROUNDS {
            let cleaned = self.clean();
            let acted = self.follow_suggestions(0, |_| true, 200, true);
            if !cleaned && !acted && !self.mend() {
                break;
            }
        }
        self.agree_on_main()?;
        self.advance()?;
        self.advance()?;
        let report = self.view(0);
        let open: Vec<String> = report
            .problems
            .iter()
            .map(|it| format!("  {it}\n"))
            .collect();
        if !open.is_empty() {
            let kind = format!("suggestions leave {}", codes(&report.problems));
            return Err(self.violation('f', &kind, open.concat()));
        }
        // An approval ahead of a name that nobody can have is never met.
        let mut notes = self.view(0).notes.into_iter();
        let is_never_met = notes.any(|note| {
            let package = note.subject.as_ref().and_then(Subject::package);
            note.code == Code::Ahead && package.is_some_and(|it| self.is_taken(it))
        });
        let main = self.main.clone();
        if !is_never_met && self.fresh(&main, Mode::Warn)?.is_none() {
            let told = super::check::told(&self.view(0));
            return Err(self.violation('f', "the main line in order is refused", told));
        }
        self.check_followed()
    }

    /// The followed state has all data of the main line.
    fn check_followed(&mut self) -> Done {
        let Some(last) = self.stages.last().cloned() else {
            return Ok(());
        };
        let mut different: Vec<String> = Vec::new();
        for (path, bytes) in self.main.files() {
            if !path.starts_with("conex/") && last.tree.get(path) != Some(bytes) {
                different.push(path.to_owned());
            }
        }
        for (path, _) in last.tree.files() {
            if !path.starts_with("conex/") && self.main.get(path).is_none() {
                different.push(path.to_owned());
            }
        }
        if !different.is_empty() {
            let detail = format!("differs: {}\n", different.join(", "));
            return Err(self.violation('f', "the followed state lacks what is in order", detail));
        }
        // What was attacked is in order again.
        self.attacked.clear();
        for at in 0..self.clients.len() {
            let misled = self.clients.get(at).is_some_and(|client| client.misled);
            let taken = self.offer(at, &last.tree.clone(), false)?;
            if !taken && misled {
                self.coverage.step("misled client is stuck");
            } else if !taken {
                let detail = format!("client {at} refuses it\n");
                return Err(self.violation(
                    'f',
                    "a client of followed states refuses the last",
                    detail,
                ));
            }
        }
        Ok(())
    }

    /// What no vouch mends is changed: who and what came back from retirement, owners who are not there, releases of
    /// retired packages, claims of a past epoch, counters that are exhausted. Whether there was anything.
    fn mend(&mut self) -> bool {
        let report = self.view(0);
        let mut acted = false;
        for problem in &report.problems {
            let claim = problem.place.strip_prefix("conex/packages/");
            let team = problem.place.strip_prefix("conex/teams/");
            match (problem.code, claim, team, &problem.subject) {
                (Code::Revived, ..) => acted |= self.as_followed(&problem.place),
                (Code::UnknownOwner | Code::Retired, Some(file), _, _) => {
                    let package = file.trim_end_matches(".toml").to_owned();
                    acted |= self.give_back(&package);
                }
                (Code::Empty, ..) => {
                    self.write(0, "p9/1/data", "p9 1\n");
                    acted = true;
                }
                (Code::UnknownOwner, _, Some(_), _) => acted |= self.shrink_team(&report),
                (Code::Retired, _, _, Some(Subject::Releases(package))) => {
                    let files = self.below(0, package.as_str());
                    self.tell(format!("{package} is retired, and its releases go"));
                    for file in &files {
                        self.remove(0, file);
                    }
                    acted |= !files.is_empty();
                }
                _ => {}
            }
        }
        for finding in &report.findings {
            let is_open = !matches!(finding.assessment.standing, Standing::Approved(_));
            if let Some(package) = finding.subject.package()
                && is_open
                && Self::suggested(&report, finding).is_none()
                && !self.is_taken(package)
            {
                let package = package.to_string();
                if self.authorisation(0, &package).is_none() {
                    self.give_back(&package);
                }
                let newest = match &finding.assessment.standing {
                    Standing::Behind { newest, .. } | Standing::Differs { newest } => {
                        newest.version.epoch()
                    }
                    _ => 0,
                };
                // As `conex claim` and `conex retire` do.
                self.edit_claim(0, &package, |claim| {
                    claim.epoch = newest.max(claim.epoch + u32::from(claim.epoch >= newest));
                });
                acted = true;
            }
        }
        acted
    }

    /// Whether a name is claimed or there in another case, so that nobody can claim it.
    fn is_taken(&self, package: &PackageName) -> bool {
        let names = self.main.files().filter_map(|(path, _)| {
            let claim = path.strip_prefix("conex/packages/");
            let claim = claim.and_then(|file| file.strip_suffix(".toml"));
            claim.or_else(|| path.split('/').next())
        });
        let name = package.as_str();
        let mut others = names.filter(|it| *it != name && it.eq_ignore_ascii_case(name));
        others.next().is_some()
    }

    /// A file is again what the followed state has; whether it was another.
    fn as_followed(&mut self, path: &str) -> bool {
        let last = self.stages.last();
        let bytes = last.and_then(|stage| stage.tree.get(path).map(<[u8]>::to_vec));
        let Some(bytes) = bytes.filter(|bytes| self.main.get(path) != Some(bytes)) else {
            return false;
        };
        self.tell(format!("{path} is again as clients have it"));
        self.write(0, path, bytes);
        true
    }

    /// A package is owned by the janitors, as if nobody claimed it.
    fn give_back(&mut self, package: &str) -> bool {
        let Some(root) = self.root(0) else {
            return false;
        };
        let before = self.authorisation(0, package);
        let enough = u16::try_from(root.unclaimed.people()).unwrap_or(1);
        self.tell(format!("{package} is given back to the janitors"));
        self.claim(0, package, &["janitors".to_owned()], enough);
        self.authorisation(0, package) != before
    }

    /// A team goes on with those of its members who are there.
    fn shrink_team(&mut self, report: &Report) -> bool {
        let Some(team) = self.team(0, TEAM) else {
            return false;
        };
        let mut fields = TeamFields::from(team);
        let before = fields.members.len();
        fields.members.retain(|member| {
            let author = report.finding(&Subject::Author(member.clone()));
            let approved = author.is_some_and(|it| {
                matches!(
                    it.assessment.standing,
                    Standing::Approved(_) | Standing::Behind { .. }
                )
            });
            let head = report.head.as_ref().map(Head::root);
            let former = |root: &Root| root.former.iter().any(|former| former.id == *member);
            approved || head.is_some_and(|it| it.janitor(member).is_some() || former(it))
        });
        fields.retired |= fields.members.is_empty();
        if fields.members.len() == before {
            return false;
        }
        self.tell("a team goes on without those who are not there");
        let team = Team::new(fields).expect("it has members, or is retired");
        self.write(0, place::team(&team.id).as_str(), team.to_text());
        true
    }

    /// Foreign files go, and what the attacker deleted comes back; whether anything was done.
    fn clean(&mut self) -> bool {
        let mut acted = false;
        let report = self.view(0);
        let broken: BTreeSet<String> = report
            .problems
            .iter()
            .filter(|problem| is_broken(problem.code))
            .map(|problem| problem.place.to_string())
            .collect();
        let files: Vec<(String, Vec<u8>)> = self
            .main
            .files()
            .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()))
            .collect();
        for (path, bytes) in files {
            let is_page = path.starts_with("conex/index/") || path.starts_with("conex/batches/");
            let foreign = if is_page {
                broken.contains(&path)
            } else {
                !self.is_honest(&path, &bytes)
            };
            if !foreign {
                continue;
            }
            let followed = self
                .stages
                .last()
                .and_then(|stage| stage.tree.get(&path).map(<[u8]>::to_vec));
            if let Some(honest) = self.wanted.get(&path).filter(|_| !is_page).cloned() {
                self.tell(format!("{path} is restored"));
                self.main.insert(path, honest);
            } else if followed.is_none_or(|followed| followed != bytes) || self.is_nobodys(&path) {
                self.tell(format!("{path} is taken away"));
                self.main.remove(&path);
                self.removed.insert(path);
            } else {
                continue;
            }
            acted = true;
        }
        for (path, bytes) in self.wanted.clone() {
            if self.main.get(&path).is_none() {
                self.tell(format!("{path} comes back"));
                self.main.insert(path, bytes);
                acted = true;
            }
        }
        acted
    }
}

impl World {
    /// Whether a path is in no package of the community.
    fn is_nobodys(&self, path: &str) -> bool {
        let top = path.split('/').next().unwrap_or_default();
        top != "conex" && path != top && !self.packages.iter().any(|package| package == top)
    }
}

/// What no approval makes right.
fn is_broken(code: Code) -> bool {
    matches!(
        code,
        Code::Malformed
            | Code::Misnamed
            | Code::BadSignature
            | Code::BadName
            | Code::Unaccounted
            | Code::BatchMissing
            | Code::BatchRange
    )
}

fn codes(problems: &[conex_core::tree::problem::Problem]) -> String {
    let codes: BTreeSet<&str> = problems
        .iter()
        .map(|problem| problem.code.as_str())
        .collect();
    codes.into_iter().collect::<Vec<_>>().join(", ")
}
