//! What the attacker merges into the main line.

use conex_core::model::digest::Digest;
use conex_core::model::name::PackageName;
use conex_core::model::page::PageBody;
use conex_core::model::statement::{
    Author, AuthorFields, Authorisation, AuthorisationFields, Root, Team, TeamFields,
};
use conex_core::model::stored::Stored as _;
use conex_core::model::version::Version;
use conex_core::model::vouch::{Subject, Vouch};
use conex_core::tree::metadata::place;

use super::roots::next;
use super::step::Step;
use super::world::{World, id, owner, threshold};

fn pick<T: Clone>(all: &[T], at: impl Into<usize>) -> Option<T> {
    all.get(at.into() % all.len().max(1)).cloned()
}

impl World {
    /// Lets the attacker do something; whether that is what the step is.
    pub(super) fn attack(&mut self, step: &Step) -> bool {
        match *step {
            Step::Steal { who } => self.steal(who),
            Step::Junk { kind, package } => self.junk(kind, package),
            Step::Tamper { package, how } => self.tamper(package, how),
            Step::Usurp { what, how } => self.usurp(what, how),
            Step::Vouch {
                who,
                subject,
                version,
                content,
            } => {
                self.vouch(who, subject, version, content);
            }
            Step::Forge { who, subject } => self.forge(who, subject),
            Step::Replay { file } => self.replay(file),
            Step::Delete { file } => self.delete(file),
            Step::Coup { change } => self.coup(change),
            _ => return false,
        }
        true
    }

    fn touch(&mut self, name: &str) {
        self.attacked.insert(name.to_owned());
    }

    /// A file of the attacker's on the main line.
    fn plant(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.tell(format!("ATTACK: {path} is merged"));
        self.touch(&Self::name_in(path));
        self.put(0, path, bytes.into());
    }

    /// The name of what a path belongs to: a package, a person, or `*`.
    pub(super) fn name_in(path: &str) -> String {
        let parts: Vec<&str> = path.split('/').collect();
        let name = match parts.as_slice() {
            ["conex", "authors" | "teams", file] => return format!("*{file}"),
            ["conex", "packages", file] => file.trim_end_matches(".toml"),
            ["conex", ..] | [] => "*",
            [_] => ".",
            [package, ..] => package,
        };
        name.to_owned()
    }

    fn steal(&mut self, who: u8) {
        let Some(root) = self.root(0) else {
            return;
        };
        let mut people = self.authors.clone();
        people.extend(self.janitors.iter().cloned());
        let Some(who) = pick(&people, who).filter(|who| !self.is_bad(who)) else {
            return;
        };
        let Some(key) = self.signing_key(&who, &root, 0) else {
            return;
        };
        let bad = self.bad_fingerprints();
        let held = root.janitors.iter().filter(|janitor| {
            use conex_core::model::crypto::Digests as _;
            let mut keys = janitor.keys.iter();
            keys.any(|key| bad.contains(&self.scheme.fingerprint(key)))
        });
        let is_janitor = root.janitor(&id(&who)).is_some();
        if is_janitor && held.count() + 1 >= root.quorum.people() {
            return;
        }
        self.tell(format!("ATTACK: the key {key} is stolen"));
        self.bad_keys.insert(key);
    }

    fn junk(&mut self, kind: u8, package: u8) {
        let package = pick(&self.packages, package).unwrap_or_default();
        let upper = package.to_ascii_uppercase();
        let (path, text) = match kind % 10 {
            0 => (format!("{package}/README"), "junk\n"),
            1 => ("Makefile".to_owned(), "junk\n"),
            2 => ("conex/notes".to_owned(), "junk\n"),
            3 => (format!("{package}/1/junk"), "junk\n"),
            4 => (format!("{upper}/1/data"), "junk\n"),
            5 => (format!("conex/index/j1/{}.toml", "ab".repeat(32)), "junk\n"),
            6 => (format!("conex/batches/{}.toml", "ab".repeat(32)), "junk\n"),
            7 => ("conex/packages/zzz.toml".to_owned(), "junk\n"),
            8 => ("docs/index".to_owned(), "ignored\n"),
            _ => ("other/1/data".to_owned(), "an unsigned package\n"),
        };
        self.plant(&path, text);
    }

    fn tamper(&mut self, package: u8, how: u8) {
        let Some(package) = pick(&self.packages, package) else {
            return;
        };
        let files = self.below(0, &package);
        let Some(file) = pick(&files, how / 4) else {
            return;
        };
        match how % 4 {
            0 | 1 => self.plant(&file, "evil\n"),
            2 => self.plant(&format!("{package}/9/data"), "evil\n"),
            _ => {
                self.tell(format!("ATTACK: {file} is deleted"));
                self.touch(&package);
                self.main.remove(&file);
            }
        }
    }

    fn usurp(&mut self, what: u8, how: u8) {
        let bad: Vec<String> = self.bad_people.iter().cloned().collect();
        let thief = pick(&bad, how / 8).unwrap_or_else(|| "x1".to_owned());
        match what % 4 {
            0 => {
                let package = pick(&self.packages, what / 4).unwrap_or_default();
                let before = self.authorisation(0, &package);
                let claim = Authorisation::new(AuthorisationFields {
                    package: PackageName::parse(&package).expect("packages here have good names"),
                    owners: vec![id(&thief)],
                    threshold: threshold(1),
                    epoch: before.map_or(0, |claim| claim.epoch + u32::from(how % 2)),
                    retired: how % 8 == 7,
                });
                if let Ok(claim) = claim {
                    self.plant(
                        place::authorisation(&claim.package).as_str(),
                        claim.to_text(),
                    );
                }
            }
            1 => {
                let Some(author) =
                    pick(&self.authors, what / 4).and_then(|who| self.author(0, &who))
                else {
                    return;
                };
                let mut fields = AuthorFields::from(author);
                let who = fields.id.to_string();
                let key = if how.is_multiple_of(2) {
                    thief
                } else {
                    "j1".to_owned()
                };
                // The proof is of whoever holds the key: good for the thief's own, bad for another's.
                let mut key = self.proven(0, &who, &key);
                if how % 2 == 1 {
                    key.proof = self.proven(0, &who, "x1").proof;
                }
                fields.keys.push(key);
                if let Ok(author) = Author::new(fields) {
                    self.plant(place::author(&author.id).as_str(), author.to_text());
                }
            }
            2 => {
                let name = if how % 4 == 3 { "a1" } else { "t1" };
                let team = Team::new(TeamFields {
                    id: id(name),
                    members: vec![id(&thief)],
                    retired: how % 4 == 1,
                });
                if let Ok(team) = team {
                    self.plant(place::team(&team.id).as_str(), team.to_text());
                }
            }
            _ => {
                let mut files = self.below(0, "conex/authors");
                files.extend(self.below(0, "conex/packages"));
                files.extend(self.below(0, "conex/teams"));
                if let Some(file) = pick(&files, how) {
                    self.tell(format!("ATTACK: {file} is deleted"));
                    self.touch(&Self::name_in(&file));
                    self.main.remove(&file);
                }
            }
        }
    }

    /// Something that the attacker may speak of, with the digest of what is there.
    fn subject(&self, subject: u8) -> Option<(Subject, Digest, Option<Version>)> {
        use conex_core::state::approval::Standing;
        let report = self.view(0);
        let finding = pick(&report.findings, subject)?;
        let newest = match &finding.assessment.standing {
            Standing::Approved(newest)
            | Standing::Behind { newest, .. }
            | Standing::Differs { newest } => Some(newest.version),
            Standing::Equivocal { version } => Some(*version),
            Standing::Pending => None,
        };
        Some((finding.subject, finding.digest, newest))
    }

    fn vouch(&mut self, who: u8, subject: u8, version: u8, content: u8) {
        let keys: Vec<String> = self.bad_keys.iter().cloned().collect();
        let key = pick(&keys, who).unwrap_or_else(|| "x1".to_owned());
        let Some((subject, digest, newest)) = self.subject(subject) else {
            return;
        };
        let newest = newest.unwrap_or(Version::first(0));
        let (epoch, counter) = (newest.epoch(), newest.counter());
        let text = match version % 8 {
            0 => format!("{epoch}.{counter}"),
            1 => format!("{}.1", epoch + 1),
            2 => format!("{epoch}.{}", u64::MAX),
            3 => format!("{epoch}.{}", counter.saturating_sub(1).max(1)),
            4 => format!("{epoch}.{}", counter.saturating_add(1 << 33)),
            more => format!("{epoch}.{}", counter.saturating_add(u64::from(more) - 4)),
        };
        let subject = match (content % 8, subject) {
            (7, Subject::Releases(name)) => {
                let release = conex_core::model::name::ReleaseName::parse("9");
                Subject::Checksums(name, release.expect("9 is a release"))
            }
            (_, subject) => subject,
        };
        let digest = match content % 8 {
            0..=3 => digest,
            4 => self.absence(&subject).unwrap_or(digest),
            5 => self.old_digest(&subject, content / 8).unwrap_or(digest),
            _ => Digest::from_bytes([content; 32]),
        };
        let vouch = Vouch {
            version: Version::parse(&text).unwrap_or(newest),
            subject,
            digest,
        };
        self.tell(format!(
            "ATTACK: {key} vouches for {} {}",
            vouch.subject, vouch.version
        ));
        self.touch(vouch.subject.name());
        let signer = owner(&key).to_owned();
        self.publish(&signer, &key, &key, vouch);
    }

    /// A digest that somebody vouched for once.
    fn old_digest(&self, subject: &Subject, at: u8) -> Option<Digest> {
        let report = self.view(0);
        let pages = report.metadata().pages.iter();
        let vouches = pages.flat_map(|stored| stored.page.body().vouches());
        let digests: Vec<Digest> = vouches
            .filter(|it| it.subject == *subject)
            .map(|it| it.digest)
            .collect();
        pick(&digests, at)
    }

    /// The digest of the absence of something, as the specification has it.
    fn absence(&self, subject: &Subject) -> Option<Digest> {
        let origin = conex_core::model::name::Origin::parse("random").expect("this is a name");
        crate::model::absence(&origin, subject, &self.scheme)
    }

    /// A page of `signer`, said to be under one key and signed with another.
    fn publish(&mut self, signer: &str, said: &str, with: &str, vouch: Vouch) {
        let origin = conex_core::model::name::Origin::parse("random").expect("this is a name");
        let body = PageBody::new(id(signer), self.fingerprint(said), Vec::new(), vec![vouch]);
        let Ok(body) = body else {
            return;
        };
        let Ok(page) = body.sign(&origin, &self.scheme.key(with));
        let place = place::page(&id(signer), page.digest(&origin, &self.scheme));
        self.put(0, place.as_str(), page.to_text().into_bytes());
    }

    fn forge(&mut self, who: u8, subject: u8) {
        let Some((subject, digest, newest)) = self.subject(subject) else {
            return;
        };
        let mut people = self.authors.clone();
        people.extend(self.janitors.iter().cloned());
        let Some(who) = pick(&people, who) else {
            return;
        };
        let said = self.keys_of(&who).pop().unwrap_or_default();
        self.tell(format!("ATTACK: a page of {who} is forged, for {subject}"));
        self.touch("*");
        let version = newest.and_then(Version::next).unwrap_or(Version::first(0));
        self.publish(
            &who,
            &said,
            "x1",
            Vouch {
                subject,
                version,
                digest,
            },
        );
    }

    fn replay(&mut self, file: u16) {
        if let Some((path, bytes)) = pick(&self.seen, file) {
            if path.starts_with("conex/root/") {
                return;
            }
            self.plant(&path, bytes);
        }
    }

    fn delete(&mut self, file: u16) {
        let files: Vec<String> = self.main.files().map(|(path, _)| path.to_owned()).collect();
        let Some(file) = pick(&files, file) else {
            return;
        };
        if file.starts_with("conex/root/") {
            return;
        }
        self.tell(format!("ATTACK: {file} is deleted"));
        self.touch(&Self::name_in(&file));
        self.main.remove(&file);
    }

    /// A root that lowers the quorum or removes janitors, signed by the attacker alone.
    fn coup(&mut self, change: u8) {
        let Some(head) = self.root(0) else {
            return;
        };
        let Some(number) = head.number.next() else {
            return;
        };
        if self.main.get(place::root(number).as_str()).is_some() {
            return;
        }
        let mut fields = next(&head, self.scheme);
        match change % 5 {
            0 => {
                fields.quorum = threshold(1);
                fields.upkeep = threshold(1);
                fields.unclaimed = threshold(1);
            }
            1 => fields.complete = false,
            2 => fields.previous = Some(Digest::from_bytes([change; 32])),
            3 => fields.floor.clear(),
            _ => fields.revoked.clear(),
        }
        let Ok(root) = Root::new(fields) else {
            return;
        };
        self.plant(place::root(root.number).as_str(), root.to_text());
        for key in self.bad_keys.clone() {
            let signer = owner(&key).to_owned();
            let Ok(signature) = root.sign(id(&signer), &self.scheme, &self.scheme.key(&key));
            let place = place::root_signature(root.number, &signature);
            self.plant(place.as_str(), signature.to_text());
        }
    }
}
