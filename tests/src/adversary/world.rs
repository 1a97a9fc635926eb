//! A community, its main line and branches, the state that clients follow, and the clients.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use conex_core::model::crypto::Digests as _;
use conex_core::model::digest::{Digest, FileDigest};
use conex_core::model::key::Fingerprint;
use conex_core::model::name::Id;
use conex_core::model::path::{Path, Pattern};
use conex_core::model::statement::{
    Author, Authorisation, Checkpoints, Janitor, Root, RootFields, RootNumber, Scheme as Name, Team,
};
use conex_core::model::stored::Stored;
use conex_core::model::version::Threshold;
use conex_core::state::baseline::Baseline;
use conex_core::state::chain::{AnchorKeys, Trust};
use conex_core::tree::metadata::place;
use conex_core::tree::store::{MemoryStore, Sequential};
use conex_core::verify::{LocalRecord, Mode, Report, Verification};
use conex_repo::KnownSchemes;

use super::Violation;
use super::clients::Client;
use super::coverage::Coverage;
use super::plan::Settings;
use super::scheme::{Key, Scheme};
use super::step::Step;
use crate::model::State;

/// What came of an act.
pub(super) type Done = Result<(), Box<Violation>>;

/// The followed state at some time.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) tree: Rc<MemoryStore>,
    pub(super) record: LocalRecord,
    pub(super) state: Rc<State>,
    pub(super) baseline: Option<Rc<Baseline>>,
}

impl Stage {
    /// A state that a client accepted.
    pub(super) fn new(
        tree: MemoryStore,
        record: LocalRecord,
        state: Rc<State>,
        scheme: Scheme,
    ) -> Self {
        let baseline = Baseline::read(&tree, &scheme, &Sequential);
        Self {
            tree: Rc::new(tree),
            record,
            state,
            baseline: baseline.map(Rc::new),
        }
    }
}

/// A branch, and what the main line was when it began.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub(super) base: MemoryStore,
    pub(super) tree: MemoryStore,
}

/// Everything.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) scheme: Scheme,
    pub(super) janitors: Vec<String>,
    pub(super) authors: Vec<String>,
    pub(super) packages: Vec<String>,
    /// The first root, which clients are given.
    pub(super) anchor: Digest,
    /// The first janitors' keys and their quorum, which some are given instead.
    pub(super) anchors: Option<AnchorKeys>,
    pub(super) main: MemoryStore,
    pub(super) branches: Vec<Branch>,
    /// What the main line was before, the newest last.
    pub(super) past: Vec<MemoryStore>,
    pub(super) stages: Vec<Stage>,
    pub(super) clients: Vec<Client>,
    /// Every file that ever was anywhere, in the order in which it came.
    pub(super) seen: Vec<(String, Vec<u8>)>,
    known: BTreeSet<(String, FileDigest)>,
    /// Files that honest people wrote.
    honest: BTreeSet<(String, FileDigest)>,
    /// What honest people last wrote at each path.
    pub(super) wanted: BTreeMap<String, Vec<u8>>,
    /// Paths that honest people removed.
    pub(super) removed: BTreeSet<String>,
    /// How many keys each person has had.
    pub(super) keys: BTreeMap<String, usize>,
    /// Names of the keys that the attacker has.
    pub(super) bad_keys: BTreeSet<String>,
    /// People who are the attacker.
    pub(super) bad_people: BTreeSet<String>,
    /// What the attacker touched on the main line: names, or `*`.
    pub(super) attacked: BTreeSet<String>,
    pub(super) story: Vec<String>,
    pub(super) coverage: Coverage,
    pub(super) count: usize,
    /// Whether each followed state is checked against all earlier ones, rather than against some of them.
    pub(super) is_thorough: bool,
}

pub(super) fn threshold(people: u16) -> Threshold {
    Threshold::new(people.max(1)).expect("it is at least one")
}

/// The person in the name of a key.
pub(super) fn owner(key: &str) -> &str {
    key.split('#').next().unwrap_or(key)
}

pub(super) fn id(name: &str) -> Id {
    Id::parse(name).expect("people here have good names")
}

fn names(letter: char, count: u8) -> Vec<String> {
    (1..=count)
        .map(|number| format!("{letter}{number}"))
        .collect()
}

impl World {
    /// Founds a community in which everything is approved.
    pub(super) fn found(settings: &Settings, scheme: Scheme) -> Result<Self, Box<Violation>> {
        let janitors = names('j', settings.janitors);
        let authors = names('a', settings.authors);
        let bad = janitors.iter().rev().take(settings.bad_janitors.into());
        let bad: BTreeSet<String> = bad
            .chain(authors.iter().rev().take(settings.bad_authors.into()))
            .cloned()
            .collect();
        let mut world = Self {
            scheme,
            packages: names('p', settings.packages),
            anchor: Digest::from_bytes([0; 32]),
            anchors: None,
            main: MemoryStore::new(),
            branches: Vec::new(),
            past: Vec::new(),
            stages: Vec::new(),
            clients: Vec::new(),
            seen: Vec::new(),
            known: BTreeSet::new(),
            honest: BTreeSet::new(),
            wanted: BTreeMap::new(),
            removed: BTreeSet::new(),
            keys: BTreeMap::new(),
            bad_keys: bad.clone(),
            bad_people: bad,
            attacked: BTreeSet::new(),
            story: Vec::new(),
            coverage: Coverage::default(),
            count: 0,
            is_thorough: false,
            janitors,
            authors,
        };
        world.first_root(settings);
        world.settle_in();
        world.start()?;
        Ok(world)
    }

    fn first_root(&mut self, settings: &Settings) {
        let pattern = |text| Pattern::parse(text).expect("these patterns are good");
        let scheme = self.scheme;
        let janitor = |name: &String| Janitor {
            id: id(name),
            keys: vec![public(&scheme.key(name))],
        };
        let root = Root::new(RootFields {
            origin: conex_core::model::name::Origin::parse("random").expect("this is a name"),
            number: RootNumber::FIRST,
            previous: None,
            janitors: self.janitors.iter().map(janitor).collect(),
            quorum: threshold(settings.quorum),
            upkeep: threshold(settings.upkeep),
            unclaimed: threshold(settings.unclaimed),
            layout: Name::parse("plain").expect("this is a name"),
            projections: Vec::new(),
            ignore: vec![pattern("*.md"), pattern("docs/**")],
            complete: settings.complete,
            revoked: Vec::new(),
            floor: Vec::new(),
            former: Vec::new(),
            checkpoints: Checkpoints::default(),
        });
        let root = root.expect("these are good settings");
        self.anchor = root.digest(&self.scheme);
        let keys = self.janitors.iter().map(|who| self.fingerprint(who));
        let anchors = AnchorKeys::new(root.origin.clone(), keys, root.quorum);
        self.anchors = Some(anchors.expect("the janitors are at least their quorum"));
        self.write(0, place::root(root.number).as_str(), root.to_text());
        for janitor in self.janitors.clone() {
            self.sign_root(0, &root, &janitor);
        }
    }

    /// People come, packages are published and claimed, and all of it is approved.
    fn settle_in(&mut self) {
        self.write(0, "README.md", "ignored\n");
        self.write(0, "repo", "stamp 0\n");
        for author in self.authors.clone() {
            self.enrol(0, &author);
            self.approve_name(0, &author, 9);
        }
        for (at, package) in self.packages.clone().into_iter().enumerate() {
            self.write(0, &format!("{package}/1/data"), format!("{package} 1\n"));
            if at % 2 == 0 {
                self.write(0, &format!("{package}/2/data"), format!("{package} 2\n"));
            }
            if at < 2 {
                let owner = self.authors.get(at).cloned().unwrap_or_default();
                self.claim(0, &package, &[owner], 1);
            }
            self.approve_name(0, &package, 9);
        }
        self.approve_name(0, ".", 9);
        self.story.clear();
    }

    // Lines.

    /// The index of a line: 0 is the main line, others are branches.
    pub(super) fn line_of(&self, choice: u8) -> usize {
        usize::from(choice) % (self.branches.len() + 1)
    }

    pub(super) fn tree(&self, line: usize) -> &MemoryStore {
        let branch = line.checked_sub(1).and_then(|at| self.branches.get(at));
        branch.map_or(&self.main, |branch| &branch.tree)
    }

    pub(super) fn tree_mut(&mut self, line: usize) -> &mut MemoryStore {
        let branch = line.checked_sub(1).and_then(|at| self.branches.get_mut(at));
        match branch {
            Some(branch) => &mut branch.tree,
            None => &mut self.main,
        }
    }

    pub(super) fn line_name(line: usize) -> String {
        match line {
            0 => "main".to_owned(),
            branch => format!("branch {branch}"),
        }
    }

    /// An honest person writes a file.
    pub(super) fn write(&mut self, line: usize, path: &str, bytes: impl Into<Vec<u8>>) {
        let bytes = bytes.into();
        let digest = self.scheme.sha256(&bytes);
        self.honest.insert((path.to_owned(), digest));
        self.removed.remove(path);
        if line == 0 {
            self.wanted.insert(path.to_owned(), bytes.clone());
        }
        self.put(line, path, bytes);
    }

    /// Anybody writes a file.
    pub(super) fn put(&mut self, line: usize, path: &str, bytes: Vec<u8>) {
        let digest = self.scheme.sha256(&bytes);
        if self.known.insert((path.to_owned(), digest)) {
            self.seen.push((path.to_owned(), bytes.clone()));
        }
        self.tree_mut(line).insert(path, bytes);
    }

    /// An honest person removes a file.
    pub(super) fn remove(&mut self, line: usize, path: &str) {
        self.removed.insert(path.to_owned());
        if line == 0 {
            self.wanted.remove(path);
        }
        self.tree_mut(line).remove(path);
    }

    /// Whether honest people wrote this file.
    pub(super) fn is_honest(&self, path: &str, bytes: &[u8]) -> bool {
        let digest = self.scheme.sha256(bytes);
        self.honest.contains(&(path.to_owned(), digest))
    }

    /// Paths of a line below a directory.
    pub(super) fn below(&self, line: usize, directory: &str) -> Vec<String> {
        let prefix = format!("{directory}/");
        let files = self.tree(line).files().map(|(path, _)| path.to_owned());
        files.filter(|path| path.starts_with(&prefix)).collect()
    }

    // Statements.

    /// A statement that honest people wrote.
    pub(super) fn stored<T: Stored>(&self, line: usize, place: &Path) -> Option<T> {
        let bytes = self.tree(line).get(place.as_str())?;
        let honest = self.is_honest(place.as_str(), bytes);
        T::from_bytes(bytes).ok().filter(|_| honest)
    }

    pub(super) fn author(&self, line: usize, name: &str) -> Option<Author> {
        self.stored(line, &place::author(&id(name)))
    }

    pub(super) fn team(&self, line: usize, name: &str) -> Option<Team> {
        self.stored(line, &place::team(&id(name)))
    }

    pub(super) fn authorisation(&self, line: usize, name: &str) -> Option<Authorisation> {
        let name = conex_core::model::name::PackageName::parse(name).ok()?;
        self.stored(line, &place::authorisation(&name))
    }

    /// A line as those who work on it see it, who know what clients follow.
    pub(super) fn view(&self, line: usize) -> Report {
        let followed = self.stages.last();
        let verification = self.verification(self.tree(line));
        match followed.and_then(|stage| stage.baseline.as_ref()) {
            Some(baseline) => verification.run_above(baseline),
            None => verification.run(),
        }
    }

    pub(super) fn view_of(&self, tree: &MemoryStore) -> Report {
        self.verification(tree).run()
    }

    fn verification<'v>(
        &'v self,
        tree: &'v MemoryStore,
    ) -> Verification<'v, MemoryStore, Scheme, Sequential> {
        Verification {
            store: tree,
            schemes: &KnownSchemes,
            crypto: &self.scheme,
            workers: &Sequential,
            trust: &Trust::DangerousSelfAsserted,
            mode: Mode::Observe,
            ahead: true,
        }
    }

    /// The newest valid root of a line.
    pub(super) fn root(&self, line: usize) -> Option<Root> {
        let report = self.view_of(self.tree(line));
        report.head.map(|head| head.root().clone())
    }

    // Keys.

    pub(super) fn fingerprint(&self, key: &str) -> Fingerprint {
        self.scheme.fingerprint(&public(&self.scheme.key(key)))
    }

    /// The names of all keys that somebody has had.
    pub(super) fn keys_of(&self, who: &str) -> Vec<String> {
        let count = self.keys.get(who).copied().unwrap_or(1);
        let name = |number| match number {
            1 => who.to_owned(),
            number => format!("{who}#{number}"),
        };
        (1..=count).map(name).collect()
    }

    /// A key that somebody did not have before.
    pub(super) fn new_key(&mut self, who: &str) -> String {
        *self.keys.entry(who.to_owned()).or_insert(1) += 1;
        let key = self.keys_of(who).pop().unwrap_or_default();
        if self.bad_people.contains(who) {
            self.bad_keys.insert(key.clone());
        }
        key
    }

    /// The key under which somebody signs on a line, if they can.
    pub(super) fn signing_key(&self, who: &str, root: &Root, line: usize) -> Option<String> {
        let mut listed: BTreeSet<Fingerprint> = BTreeSet::new();
        if let Some(janitor) = root.janitor(&id(who)) {
            listed.extend(janitor.keys.iter().map(|key| self.scheme.fingerprint(key)));
        } else if let Some(author) = self.author(line, who) {
            listed.extend(
                author
                    .keys
                    .iter()
                    .map(|key| self.scheme.fingerprint(&key.key)),
            );
        }
        let mut keys = self.keys_of(who).into_iter().rev();
        keys.find(|key| {
            let fingerprint = self.fingerprint(key);
            listed.contains(&fingerprint) && !root.revoked.contains(&fingerprint)
        })
    }

    /// The fingerprints of the attacker's keys.
    pub(super) fn bad_fingerprints(&self) -> BTreeSet<Fingerprint> {
        self.bad_keys
            .iter()
            .map(|key| self.fingerprint(key))
            .collect()
    }

    pub(super) fn is_bad(&self, who: &str) -> bool {
        self.bad_people.contains(who)
    }

    /// Tells what happens.
    pub(super) fn tell(&mut self, text: impl Into<String>) {
        self.story.push(text.into());
    }

    #[expect(clippy::unnecessary_box_returns, reason = "it goes into an `Err`")]
    pub(super) fn violation(&self, invariant: char, kind: &str, detail: String) -> Box<Violation> {
        Box::new(Violation {
            invariant,
            kind: kind.to_owned(),
            detail,
            story: self.story.clone(),
        })
    }

    /// Lets something happen.
    pub(super) fn take(&mut self, step: &Step) -> Done {
        self.count += 1;
        self.past.push(self.main.clone());
        if self.honestly(step) || self.attack(step) {
            return self.agree_on_main();
        }
        match step {
            Step::Advance => self.advance().map(|_| ()),
            Step::Follow { client, stage } => self.follow(*client, *stage),
            Step::Settle => self.settle(),
            Step::Serve { client, base, seed } => self.serve(*client, *base, *seed),
            _ => Ok(()),
        }
    }
}

pub(super) fn public(key: &Key) -> conex_core::model::key::PublicKey {
    use conex_core::model::crypto::Signer as _;
    key.public_key().clone()
}
