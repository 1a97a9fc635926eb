//! What honest people do to the tree, by themselves or with the library's help.

use conex_core::model::crypto::Digests as _;
use conex_core::model::digest::Digest;
use conex_core::model::name::PackageName;
use conex_core::model::page::{Batch, Page, PageBody};
use conex_core::model::statement::{
    Author, AuthorFields, AuthorKey, Authorisation, AuthorisationFields, FormerKey, Team,
    TeamFields,
};
use conex_core::model::stored::Stored as _;
use conex_core::tools::forecast::{Amendment, Outlook};
use conex_core::tree::metadata::place;
use conex_core::tree::problem::Code;
use conex_core::tree::store::MemoryStore;
use conex_core::verify::Report;

use super::step::Step;
use super::world::{World, id, public, threshold};

/// The one team that comes and changes.
pub(super) const TEAM: &str = "t1";

fn pick(all: &[String], at: u8) -> Option<String> {
    all.get(usize::from(at) % all.len().max(1)).cloned()
}

impl World {
    #[expect(clippy::too_many_lines, reason = "an arm for each step")]
    /// Lets honest people do something; whether that is what the step is.
    pub(super) fn honestly(&mut self, step: &Step) -> bool {
        match *step {
            Step::Publish {
                line,
                package,
                release,
                text,
                support,
            } => {
                let (line, Some(package)) = (self.line_of(line), pick(&self.packages, package))
                else {
                    return true;
                };
                if self
                    .authorisation(line, &package)
                    .is_some_and(|claim| claim.retired)
                {
                    return true;
                }
                let release = release % 4 + 1;
                let bytes = format!("{package} {release} as of {}\n", text % 8);
                self.tell(format!(
                    "{package}/{release} is written ({}) on {}",
                    text % 8,
                    Self::line_name(line)
                ));
                self.write(line, &format!("{package}/{release}/data"), bytes);
                self.approve_name(line, &package, support);
            }
            Step::Remove {
                line,
                package,
                release,
                support,
            } => {
                let (line, Some(package)) = (self.line_of(line), pick(&self.packages, package))
                else {
                    return true;
                };
                let files = self.below(line, &package);
                if let Some(file) = pick(&files, release) {
                    self.tell(format!("{file} is removed on {}", Self::line_name(line)));
                    self.remove(line, &file);
                    self.approve_name(line, &package, support);
                }
            }
            Step::RemoveAll {
                line,
                package,
                support,
            } => {
                let (line, Some(package)) = (self.line_of(line), pick(&self.packages, package))
                else {
                    return true;
                };
                self.tell(format!(
                    "all of {package} is removed on {}",
                    Self::line_name(line)
                ));
                for file in self.below(line, &package) {
                    self.remove(line, &file);
                }
                self.approve_name(line, &package, support);
            }
            Step::TopFile {
                line,
                text,
                support,
            } => {
                let line = self.line_of(line);
                self.tell(format!(
                    "the file repo is changed on {}",
                    Self::line_name(line)
                ));
                self.write(line, "repo", format!("stamp {}\n", text % 8));
                self.approve_name(line, ".", support);
            }
            Step::Approve {
                line,
                name,
                support,
            } => {
                let line = self.line_of(line);
                let mut names = self.packages.clone();
                names.extend(self.authors.iter().cloned());
                names.extend([".".to_owned(), TEAM.to_owned()]);
                if let Some(name) = pick(&names, name) {
                    self.tell(format!("{name} is looked at on {}", Self::line_name(line)));
                    self.approve_name(line, &name, support);
                }
            }
            Step::Retract { line, package } => {
                let (line, Some(package)) = (self.line_of(line), pick(&self.packages, package))
                else {
                    return true;
                };
                self.tell(format!(
                    "what is ahead of {package} is taken back on {}",
                    Self::line_name(line)
                ));
                self.retract(line, &package);
            }
            Step::Compact { line, who } => {
                let line = self.line_of(line);
                let mut people = self.janitors.clone();
                people.extend(self.authors.iter().cloned());
                if let Some(who) = pick(&people, who).filter(|who| !self.is_bad(who)) {
                    self.compact(line, &who);
                }
            }
            Step::Root {
                line,
                change,
                who,
                keep,
                support,
            } => {
                let line = self.line_of(line);
                self.change_root(line, change, who, keep, support);
            }
            Step::Revoke { who, keep } => self.revoke(who, keep),
            Step::Branch => self.branch(),
            Step::Merge { branch } => self.merge(branch, false),
            Step::MergePages { branch } => self.merge(branch, true),
            _ => return self.change_people(step),
        }
        true
    }

    #[expect(clippy::too_many_lines, reason = "an arm for each step")]
    fn change_people(&mut self, step: &Step) -> bool {
        match *step {
            Step::Claim {
                line,
                package,
                owners,
                threshold,
                support,
            } => {
                let (line, Some(package)) = (self.line_of(line), pick(&self.packages, package))
                else {
                    return true;
                };
                let first = pick(&self.authors, owners).unwrap_or_default();
                let second = pick(&self.authors, owners / 16).unwrap_or_default();
                let owners = match owners % 5 {
                    0 => vec![first, second],
                    1 => vec!["janitors".to_owned()],
                    2 if self.team(line, TEAM).is_some() => vec![TEAM.to_owned()],
                    _ => vec![first],
                };
                let threshold = u16::from(threshold % 8 == 0) + 1;
                self.tell(format!(
                    "{package} is claimed for {} on {}",
                    owners.join(", "),
                    Self::line_name(line)
                ));
                self.claim(line, &package, &owners, threshold);
                self.approve_name(line, &package, support);
            }
            Step::Raise {
                line,
                package,
                support,
            } => {
                let (line, Some(package)) = (self.line_of(line), pick(&self.packages, package))
                else {
                    return true;
                };
                self.raise(line, &package);
                self.approve_name(line, &package, support);
            }
            Step::Enrol { line, who, support } => {
                let line = self.line_of(line);
                let who = format!("n{}", who % 3);
                if self.author(line, &who).is_none() {
                    self.tell(format!("{who} is enrolled on {}", Self::line_name(line)));
                    self.enrol(line, &who);
                    if !self.authors.contains(&who) {
                        self.authors.push(who.clone());
                    }
                }
                self.approve_name(line, &who, support);
            }
            Step::Team {
                line,
                members,
                support,
            } => {
                let line = self.line_of(line);
                let mut people = self.authors.clone();
                people.extend(self.janitors.iter().take(2).cloned());
                let mut chosen: Vec<String> = [members, members / 8]
                    .iter()
                    .filter_map(|at| pick(&people, *at))
                    .collect();
                chosen.sort();
                chosen.dedup();
                self.tell(format!(
                    "{TEAM} is {} on {}",
                    chosen.join(", "),
                    Self::line_name(line)
                ));
                let team = Team::new(TeamFields {
                    id: id(TEAM),
                    members: chosen.iter().map(|who| id(who)).collect(),
                    retired: false,
                });
                let retired = self.team(line, TEAM).is_some_and(|team| team.retired);
                if let Ok(team) = team
                    && !retired
                {
                    self.write(line, place::team(&team.id).as_str(), team.to_text());
                }
                self.approve_name(line, TEAM, support);
            }
            Step::Rotate {
                line,
                who,
                keep,
                support,
            } => {
                let line = self.line_of(line);
                if let Some(who) = pick(&self.authors, who) {
                    self.rotate(line, &who, keep, support);
                }
            }
            Step::Retire {
                line,
                what,
                support,
            } => {
                let line = self.line_of(line);
                self.retire(line, what, support);
            }
            _ => return false,
        }
        true
    }

    /// Writes an author with their newest key.
    pub(super) fn enrol(&mut self, line: usize, who: &str) {
        let key = self.keys_of(who).pop().unwrap_or_default();
        let author = Author::new(AuthorFields {
            id: id(who),
            accounts: Vec::new(),
            keys: vec![self.proven(line, who, &key)],
            former: Vec::new(),
            retired: false,
        });
        let author = author.expect("an author with a key is good");
        self.write(line, place::author(&author.id).as_str(), author.to_text());
    }

    /// A key with the proof that its owner holds it.
    pub(super) fn proven(&self, line: usize, who: &str, key: &str) -> AuthorKey {
        let _ = line;
        let origin = conex_core::model::name::Origin::parse("random").expect("this is a name");
        let Ok(proven) = AuthorKey::prove(&origin, &id(who), &self.scheme.key(key));
        proven
    }

    /// Writes an authorisation, in the epoch of the one before.
    pub(super) fn claim(&mut self, line: usize, package: &str, owners: &[String], enough: u16) {
        // What was claimed stays so, also where the file is gone.
        let wanted = self.wanted.get(&format!("conex/packages/{package}.toml"));
        let wanted = wanted.and_then(|bytes| Authorisation::from_bytes(bytes).ok());
        let before = self.authorisation(line, package).or(wanted);
        if before.as_ref().is_some_and(|claim| claim.retired) {
            return;
        }
        let mut owners: Vec<_> = owners.iter().map(|who| id(who)).collect();
        owners.sort();
        owners.dedup();
        let enough = enough.min(u16::try_from(owners.len()).unwrap_or(1));
        let claim = Authorisation::new(AuthorisationFields {
            package: PackageName::parse(package).expect("packages here have good names"),
            owners,
            threshold: threshold(enough),
            epoch: before.map_or(0, |claim| claim.epoch),
            retired: false,
        });
        let claim = claim.expect("a claim with an owner is good");
        let place = place::authorisation(&claim.package);
        self.write(line, place.as_str(), claim.to_text());
    }

    /// The epoch of a claimed package is raised.
    pub(super) fn raise(&mut self, line: usize, package: &str) {
        let claim = self.authorisation(line, package);
        if claim.is_some_and(|claim| !claim.retired) {
            self.edit_claim(line, package, |claim| claim.epoch += 1);
        }
    }

    pub(super) fn edit_claim(
        &mut self,
        line: usize,
        package: &str,
        edit: impl FnOnce(&mut AuthorisationFields),
    ) {
        let Some(claim) = self.authorisation(line, package) else {
            return;
        };
        let mut fields = AuthorisationFields::from(claim);
        edit(&mut fields);
        let claim = Authorisation::new(fields).expect("the changed claim is good");
        self.tell(format!(
            "the claim on {package} is changed on {}: epoch {}{}",
            Self::line_name(line),
            claim.epoch,
            if claim.retired { ", retired" } else { "" }
        ));
        let place = place::authorisation(&claim.package);
        self.write(line, place.as_str(), claim.to_text());
    }

    /// The pages of somebody under a key that count on a line.
    pub(super) fn counting(
        report: &Report,
        who: &str,
        key: conex_core::model::key::Fingerprint,
    ) -> Vec<Digest> {
        let found = report.problems.iter().chain(&report.notes);
        let inert: Vec<&str> = found
            .filter(|problem| matches!(problem.code, Code::InertPage | Code::BadSignature))
            .map(|problem| &*problem.place)
            .collect();
        let pages = report.metadata().pages.iter();
        let theirs = pages.filter(|stored| {
            let body = stored.page.body();
            body.signer().as_str() == who && body.key() == key
        });
        let counting = theirs.filter(|stored| !inert.contains(&stored.place.as_str()));
        let mut digests: Vec<Digest> = counting.map(|stored| stored.digest).collect();
        digests.sort();
        digests.dedup();
        digests
    }

    /// The statement of an author with another key; the pages of the old ones are listed, or not.
    pub(super) fn rekeyed(
        &mut self,
        line: usize,
        report: &Report,
        who: &str,
        keep: bool,
    ) -> Option<Author> {
        let author = self.author(line, who).filter(|author| !author.retired)?;
        let mut fields = AuthorFields::from(author);
        let key = self.new_key(who);
        for old in core::mem::take(&mut fields.keys) {
            let fingerprint = self.scheme.fingerprint(&old.key);
            let pages = if keep {
                Self::counting(report, who, fingerprint)
            } else {
                Vec::new()
            };
            fields.former.push(FormerKey {
                key: old.key,
                pages,
            });
        }
        fields.keys = vec![self.proven(line, who, &key)];
        Author::new(fields).ok()
    }

    fn rotate(&mut self, line: usize, who: &str, keep: bool, support: u8) {
        let report = self.view(line);
        let Some(author) = self.rekeyed(line, &report, who, keep) else {
            return;
        };
        let what = if keep {
            "with all pages"
        } else {
            "without any page"
        };
        self.tell(format!(
            "{who} gets another key {what} on {}",
            Self::line_name(line)
        ));
        let amendment = Amendment {
            authors: vec![author.clone()],
            ..Amendment::default()
        };
        self.write(line, place::author(&author.id).as_str(), author.to_text());
        self.adopt(line, &report, amendment, support);
        self.approve_name(line, who, support);
    }

    fn retire(&mut self, line: usize, what: u8, support: u8) {
        match what % 4 {
            0 | 1 => {
                let Some(package) = pick(&self.packages, what / 4) else {
                    return;
                };
                // Another package has to stay.
                let others = self.packages.iter().filter(|other| **other != package);
                if others
                    .clone()
                    .all(|other| self.below(line, other).is_empty())
                {
                    return;
                }
                if self.authorisation(line, &package).is_none() {
                    return;
                }
                for file in self.below(line, &package) {
                    self.remove(line, &file);
                }
                self.edit_claim(line, &package, |claim| claim.retired = true);
                self.approve_name(line, &package, support);
            }
            2 => {
                let Some(who) = pick(&self.authors, what / 4) else {
                    return;
                };
                let report = self.view(line);
                let Some(author) = self.author(line, &who).filter(|author| !author.retired) else {
                    return;
                };
                let mut fields = AuthorFields::from(author);
                for old in core::mem::take(&mut fields.keys) {
                    let pages = Self::counting(&report, &who, self.scheme.fingerprint(&old.key));
                    fields.former.push(FormerKey {
                        key: old.key,
                        pages,
                    });
                }
                fields.retired = true;
                let Ok(author) = Author::new(fields) else {
                    return;
                };
                let amendment = Amendment {
                    authors: vec![author.clone()],
                    ..Amendment::default()
                };
                if !self.is_harmless(&report, &amendment) {
                    return;
                }
                self.tell(format!("{who} is retired on {}", Self::line_name(line)));
                self.write(line, place::author(&author.id).as_str(), author.to_text());
                self.approve_name(line, &who, support);
            }
            _ => {
                let report = self.view(line);
                let Some(team) = self.team(line, TEAM) else {
                    return;
                };
                let mut fields = TeamFields::from(team);
                fields.retired = true;
                let Ok(team) = Team::new(fields) else {
                    return;
                };
                let amendment = Amendment {
                    teams: vec![team.clone()],
                    ..Amendment::default()
                };
                if self.is_harmless(&report, &amendment) {
                    self.tell(format!("{TEAM} is retired on {}", Self::line_name(line)));
                    self.write(line, place::team(&team.id).as_str(), team.to_text());
                    self.approve_name(line, TEAM, support);
                }
            }
        }
    }

    /// What still has something of its own is not retired.
    fn is_harmless(&self, report: &Report, amendment: &Amendment) -> bool {
        let outlook = Outlook::new(report, &self.scheme);
        outlook.is_some_and(|outlook| outlook.forecast(amendment).is_harmless())
    }

    /// One page in place of all of somebody's that count, but those that run ahead (spec section 6.5).
    fn compact(&mut self, line: usize, who: &str) {
        let report = self.view(line);
        let Some(head) = &report.head else {
            return;
        };
        let Some(key) = self.signing_key(who, head.root(), line) else {
            return;
        };
        let counting = Self::counting(&report, who, self.fingerprint(&key));
        let ahead = conex_core::tools::pre_approval::outstanding(&report);
        let is_ahead = |page: &Page| {
            let mut named = page.body().vouches().iter();
            let batches = page.body().batches().iter();
            let batches =
                batches.filter_map(|batch| report.metadata().batches.get(&batch.digest()));
            let mut inside = batches.flat_map(Batch::vouches);
            let is = |vouch: &conex_core::model::vouch::Vouch| {
                ahead.iter().any(|it| {
                    (&it.subject, it.version, it.digest)
                        == (&vouch.subject, vouch.version, vouch.digest)
                })
            };
            named.any(is) || inside.any(is)
        };
        let pages = report
            .metadata()
            .pages
            .iter()
            .filter(|stored| counting.contains(&stored.digest) && !is_ahead(&stored.page));
        let pages: Vec<_> = pages.cloned().collect();
        if pages.len() < 2 {
            return;
        }
        let (mut vouches, mut batches) = (Vec::new(), Vec::new());
        for stored in &pages {
            vouches.extend(stored.page.body().vouches().iter().cloned());
            batches.extend(stored.page.body().batches().iter().cloned());
        }
        vouches.sort();
        vouches.dedup();
        batches.sort();
        batches.dedup();
        let body = PageBody::new(id(who), self.fingerprint(&key), batches, vouches);
        let Ok(body) = body else {
            return;
        };
        self.tell(format!(
            "{} pages of {who} become one on {}",
            pages.len(),
            Self::line_name(line)
        ));
        let origin = head.root().origin.clone();
        let Ok(page) = body.sign(&origin, &self.scheme.key(&key));
        for stored in &pages {
            self.remove(line, stored.place.as_str());
        }
        let place = place::page(&id(who), page.digest(&origin, &self.scheme));
        self.write(line, place.as_str(), page.to_text());
    }

    fn branch(&mut self) {
        if self.branches.len() < 3 {
            let tree = self.main.clone();
            self.branches.push(super::world::Branch {
                base: tree.clone(),
                tree,
            });
            self.tell(format!("branch {} begins", self.branches.len()));
        }
    }

    /// Merges what a branch changed, as git does; where both changed a file, the branch's is taken, but
    /// for roots.
    pub(super) fn merge(&mut self, branch: u8, pages_only: bool) {
        let at = usize::from(branch) % self.branches.len().max(1);
        let Some(branch) = self.branches.get(at).cloned() else {
            return;
        };
        let what = if pages_only {
            "the pages of branch"
        } else {
            "branch"
        };
        self.tell(format!("{what} {} is merged", at + 1));
        let is_page =
            |path: &str| path.starts_with("conex/index/") || path.starts_with("conex/batches/");
        for (path, bytes) in branch.tree.files() {
            let changed = branch.base.get(path) != Some(bytes);
            if !changed || (pages_only && !is_page(path)) || self.clashes(&branch.tree, path) {
                continue;
            }
            self.removed.remove(path);
            if self.is_honest(path, bytes) {
                self.wanted.insert(path.to_owned(), bytes.to_vec());
            }
            self.main.insert(path, bytes);
        }
        if pages_only {
            return;
        }
        for (path, bytes) in branch.base.files() {
            if branch.tree.get(path).is_none() && self.main.get(path) == Some(bytes) {
                self.wanted.remove(path);
                self.removed.insert(path.to_owned());
                self.main.remove(path);
            }
        }
        self.branches.remove(at);
    }

    /// Whether a path is of the chain of roots, and the branch has another chain than the main line.
    fn clashes(&self, branch: &MemoryStore, path: &str) -> bool {
        let mut roots = branch.files().filter(|(path, _)| {
            let name = path.strip_prefix("conex/root/");
            name.is_some_and(|name| !name.contains('/'))
        });
        let differs = |path: &str, bytes: &[u8]| self.main.get(path).is_some_and(|it| it != bytes);
        path.starts_with("conex/root/") && roots.any(|(path, bytes)| differs(path, bytes))
    }

    /// The public key of that name.
    pub(super) fn public(&self, key: &str) -> conex_core::model::key::PublicKey {
        public(&self.scheme.key(key))
    }
}
