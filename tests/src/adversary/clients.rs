//! Clients, what is served to them, and what all who judge it have to agree on.

use std::collections::BTreeMap;
use std::rc::Rc;

use conex_core::model::crypto::Digests as _;
use conex_core::model::digest::Digest;
use conex_core::model::key::PublicKey;
use conex_core::model::name::Origin;
use conex_core::model::statement::Root;
use conex_core::model::stored::Stored as _;
use conex_core::state::chain::Trust;
use conex_core::tree::metadata::place;
use conex_core::tree::store::{MemoryStore, Sequential};
use conex_core::verify::{Before, Changes, LocalRecord, Mode, Report, Update, Verification};
use conex_repo::KnownSchemes;

use super::Violation;
use super::check::{self, HighWater};
use super::random::Random;
use super::roots::next;
use super::world::{Done, Stage, World, id, owner};
use crate::client::changes;
use crate::model::{self, Anchor, Judged, State, Strictness, difference};

/// A client with a record.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) tree: Rc<MemoryStore>,
    pub(super) record: LocalRecord,
    pub(super) state: Rc<State>,
    pub(super) mode: Mode,
    /// The greatest version of everything it ever accepted.
    pub(super) high: HighWater,
    /// Whether it took something that was no followed state.
    pub(super) misled: bool,
}

/// What was accepted.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) record: LocalRecord,
    pub(super) state: Rc<State>,
}

fn strictness(mode: Mode) -> Strictness {
    Strictness {
        enforce: mode == Mode::Enforce,
        ahead: false,
    }
}

impl World {
    /// The community's first state is verified, and followed.
    pub(super) fn start(&mut self) -> Done {
        let Some(first) = self.fresh(&self.main.clone(), Mode::Enforce)? else {
            let told = check::told(&self.view(0));
            return Err(self.violation('f', "a community cannot be founded", told));
        };
        let stage = Stage::new(self.main.clone(), first.record, first.state, self.scheme);
        self.stages.push(stage);
        Ok(())
    }

    /// Where a client without a record starts, in turn: from the first root, or from the keys of the first janitors.
    fn anchor(&self) -> (Trust, Anchor) {
        match &self.anchors {
            Some(anchors) if self.story.len().is_multiple_of(2) => {
                let keys = anchors.keys().clone();
                let anchor =
                    Anchor::Keys(anchors.origin().clone(), keys, anchors.quorum().people());
                (Trust::Keys(anchors.clone()), anchor)
            }
            _ => (Trust::Root(self.anchor), Anchor::Root(self.anchor)),
        }
    }

    /// Judges a tree as a client without a record does.
    pub(super) fn fresh(
        &mut self,
        tree: &MemoryStore,
        mode: Mode,
    ) -> Result<Option<Accepted>, Box<Violation>> {
        let (trust, anchor) = self.anchor();
        let verification = Verification {
            store: tree,
            schemes: &KnownSchemes,
            crypto: &self.scheme,
            workers: &Sequential,
            trust: &trust,
            mode,
            ahead: false,
        };
        let report = verification.run();
        let judged = model::judge(&model::tree(tree), &anchor, strictness(mode), &self.scheme);
        self.agree(&report, &judged, "the whole of a tree")?;
        self.count_codes(&report);
        let record = report
            .verified()
            .and_then(|verified| LocalRecord::new(verified, 1));
        Ok(record.zip(judged.state).map(|(record, state)| Accepted {
            record,
            state: Rc::new(state),
        }))
    }

    /// Judges a tree as an update of another, in all ways.
    pub(super) fn update(
        &mut self,
        before: &MemoryStore,
        state: &State,
        record: &LocalRecord,
        tree: &MemoryStore,
        mode: Mode,
    ) -> Result<Option<Accepted>, Box<Violation>> {
        let known = changes(before, tree);
        let update = Update {
            before: Before::dangerous_believed(before, record),
            after: tree,
            changes: &known,
            schemes: &KnownSchemes,
            crypto: &self.scheme,
            workers: &Sequential,
            mode,
            ahead: false,
        };
        let (whole, fast) = (update.run(), update.run_fast());
        let part = update.run_part();
        let blind = Changes::everywhere();
        let blind = Update {
            changes: &blind,
            ..update
        };
        let blind = blind.run();
        let judged = model::judge_update(state, &model::tree(tree), strictness(mode), &self.scheme);
        self.agree(&whole, &judged, "an update")
            .map_err(|mut violation| {
                violation.detail += &versions(state, &judged);
                violation
            })?;
        for (other, name) in [
            (&fast, "the fast way"),
            (&blind, "an update at unknown places"),
        ] {
            let same = other.problems == whole.problems
                && other.verified().is_some() == whole.verified().is_some();
            if !same {
                let detail = format!(
                    "default:\n{}{name}:\n{}",
                    check::told(&whole),
                    check::told(other)
                );
                return Err(self.violation('a', &format!("{name} differs"), detail));
            }
        }
        if let Some(part) = part
            && part.verified().is_some() != whole.verified().is_some()
            && part.verified().is_some()
        {
            let detail = format!("default:\n{}", check::told(&whole));
            return Err(self.violation('a', "a part is accepted, and the whole refused", detail));
        }
        self.count_codes(&whole);
        let record = whole
            .verified()
            .and_then(|verified| record.updated(verified, None));
        Ok(record.zip(judged.state).map(|(record, state)| Accepted {
            record,
            state: Rc::new(state),
        }))
    }

    /// The model judges the main line as its own people see it, and has to agree.
    pub(super) fn agree_on_main(&mut self) -> Done {
        let report = self.view_of(&self.main);
        let how = Strictness {
            enforce: false,
            ahead: true,
        };
        let judged = model::judge(
            &model::tree(&self.main),
            &Anchor::FirstRoot,
            how,
            &self.scheme,
        );
        let theirs = model::found(&report.problems);
        let text = model::only_in(&theirs, &judged.problems);
        if text.is_empty() {
            return Ok(());
        }
        Err(self.violation('a', &kind(&text, "a main line"), text))
    }

    fn agree(&self, report: &Report, judged: &Judged, what: &str) -> Done {
        match difference(report, judged) {
            None => Ok(()),
            Some(text) => {
                let kind = kind(&text, what);
                let detail = format!(
                    "{text}core:\n{}model:\n{}",
                    check::told(report),
                    judged.told()
                );
                Err(self.violation('a', &kind, detail))
            }
        }
    }

    fn count_codes(&mut self, report: &Report) {
        let all = report.problems.iter().chain(&report.notes);
        let codes: std::collections::BTreeSet<&str> = all.map(|it| it.code.as_str()).collect();
        for code in codes {
            self.coverage.code(code);
        }
        let verdict = if report.verified().is_some() {
            "accepted"
        } else {
            "refused"
        };
        self.coverage.code(verdict);
    }

    /// A tree is offered to a client, which takes it if it is accepted.
    pub(super) fn offer(
        &mut self,
        at: usize,
        tree: &MemoryStore,
        misled: bool,
    ) -> Result<bool, Box<Violation>> {
        let Some(client) = self.clients.get(at).cloned() else {
            return Ok(false);
        };
        let accepted = self.update(
            &client.tree,
            &client.state,
            &client.record,
            tree,
            client.mode,
        )?;
        let Some(accepted) = accepted else {
            return Ok(false);
        };
        self.check_written(tree, &accepted.state)?;
        let high = check::rise(&client, &accepted.state)
            .map_err(|detail| self.violation('c', "a version fell", detail))?;
        if let Some(client) = self.clients.get_mut(at) {
            *client = Client {
                tree: Rc::new(tree.clone()),
                record: accepted.record,
                state: accepted.state,
                mode: client.mode,
                high,
                misled: client.misled || misled,
            };
        }
        Ok(true)
    }

    /// A fresh client starts with a tree, if it is accepted.
    fn arrive(
        &mut self,
        tree: &MemoryStore,
        mode: Mode,
        misled: bool,
    ) -> Result<bool, Box<Violation>> {
        let Some(accepted) = self.fresh(tree, mode)? else {
            return Ok(false);
        };
        self.check_written(tree, &accepted.state)?;
        let client = Client {
            tree: Rc::new(tree.clone()),
            record: accepted.record,
            high: check::high_water(&accepted.state),
            state: accepted.state,
            mode,
            misled,
        };
        if self.clients.len() < 4 {
            self.clients.push(client);
        } else if let Some(first) = self.clients.first_mut() {
            *first = client;
        }
        Ok(true)
    }

    /// A client follows the followed state, or a fresh one starts with it.
    pub(super) fn follow(&mut self, client: u8, stage: u8) -> Done {
        let newest = usize::from(stage.is_multiple_of(3)) * usize::from(stage / 3);
        let at = self
            .stages
            .len()
            .saturating_sub(1 + newest % self.stages.len().max(1));
        let Some(stage) = self.stages.get(at).cloned() else {
            return Ok(());
        };
        let who = usize::from(client) % (self.clients.len() + 1);
        let taken = if who == self.clients.len() {
            self.arrive(&stage.tree, Mode::Warn, false)?
        } else {
            self.offer(who, &stage.tree, false)?
        };
        let verb = if taken { "takes" } else { "refuses" };
        self.tell(format!("client {who} {verb} the followed state {at}"));
        Ok(())
    }

    /// A mixture of whatever was seen is served to a client.
    pub(super) fn serve(&mut self, client: u8, base: u8, seed: u64) -> Done {
        let mut random = Random::new(seed);
        let who = usize::from(client) % (self.clients.len() + 1);
        let mut tree = self.base(who, base);
        let mut told = Vec::new();
        for _ in 0..random.below(6) {
            self.mix(&mut tree, &mut random, &mut told);
        }
        let mode = if random.one_in(3) {
            Mode::Enforce
        } else {
            Mode::Warn
        };
        let place = self.story.len();
        self.tell(format!(
            "ATTACK: client {who} is served the base {base} and {}",
            told.join(", ")
        ));
        let taken = if who == self.clients.len() {
            self.arrive(&tree, mode, true)?
        } else {
            self.offer(who, &tree, true)?
        };
        if let Some(line) = self.story.get_mut(place) {
            *line += if taken { ": taken" } else { ": refused" };
        }
        Ok(())
    }

    fn base(&self, who: usize, base: u8) -> MemoryStore {
        let client = self.clients.get(who);
        let stage = || {
            let at = usize::from(base / 8) % self.stages.len().max(1);
            self.stages.get(at).map(|stage| (*stage.tree).clone())
        };
        let tree = match base % 8 {
            0 | 1 => client.map(|client| (*client.tree).clone()),
            2 => Some(self.main.clone()),
            _ => stage(),
        };
        tree.or_else(stage).unwrap_or_else(|| self.main.clone())
    }

    /// A root that follows none of this chain, or says what none may, with the attacker's signatures and one that is
    /// good for another root.
    fn bend_root(&self, tree: &mut MemoryStore, random: &mut Random, told: &mut Vec<String>) {
        let Some(head) = self.root(0) else {
            return;
        };
        let mut fields = next(&head, self.scheme);
        let what = match random.below(5) {
            0 => {
                fields.origin = Origin::parse("elsewhere").expect("this is a name");
                "of another repository"
            }
            1 => {
                fields.previous = Some(Digest::from_bytes([7; 32]));
                "after another one"
            }
            2 => {
                fields.revoked.clear();
                fields.floor.clear();
                "without what was revoked"
            }
            3 => {
                let first = fields.janitors.first();
                let keys = first.into_iter().flat_map(|janitor| &janitor.keys);
                let keys: Vec<_> = keys.map(|key| self.scheme.fingerprint(key)).collect();
                fields.revoked.extend(keys);
                fields.revoked.sort();
                fields.revoked.dedup();
                "that revokes a key it lists"
            }
            _ => {
                if let Some(janitor) = fields.janitors.first_mut() {
                    janitor.keys = vec![odd_key()];
                }
                "with a key of no known kind"
            }
        };
        let Ok(root) = Root::new(fields) else {
            return;
        };
        told.push(format!("the root {} {what}", root.number));
        tree.insert(place::root(root.number).as_str(), root.to_text());
        for key in &self.bad_keys {
            let Ok(signature) = root.sign(id(owner(key)), &self.scheme, &self.scheme.key(key));
            let place = place::root_signature(root.number, &signature);
            tree.insert(place.as_str(), signature.to_text());
        }
        if let Some(who) = head.janitors.first().map(|janitor| janitor.id.to_string())
            && let Some(key) = self.keys_of(&who).first()
        {
            let Ok(signature) = head.sign(id(&who), &self.scheme, &self.scheme.key(key));
            let place = place::root_signature(root.number, &signature);
            tree.insert(place.as_str(), signature.to_text());
        }
    }

    /// One change of what is served.
    fn mix(&self, tree: &mut MemoryStore, random: &mut Random, told: &mut Vec<String>) {
        let source = match random.one_of(&self.stages) {
            Some(stage) if !random.one_in(4) => (*stage.tree).clone(),
            _ => self.main.clone(),
        };
        match random.below(10) {
            0 | 1 => {
                let package = random.one_of(&self.packages).cloned().unwrap_or_default();
                told.push(format!("another {package}"));
                exchange(tree, &source, &format!("{package}/"));
            }
            2 => {
                let directory = random.one_of(&[
                    "conex/authors/",
                    "conex/packages/",
                    "conex/teams/",
                    "conex/root/",
                ]);
                let directory = directory.copied().unwrap_or_default();
                told.push(format!("another {directory}"));
                exchange(tree, &source, directory);
            }
            3 => {
                told.push("other pages".to_owned());
                exchange(tree, &source, "conex/index/");
                exchange(tree, &source, "conex/batches/");
            }
            4 | 5 => {
                let pages: Vec<&(String, Vec<u8>)> = self
                    .seen
                    .iter()
                    .filter(|(path, _)| path.starts_with("conex/index/"))
                    .collect();
                if let Some((path, bytes)) = random.one_of(&pages) {
                    told.push(format!("with {path}"));
                    tree.insert(path.as_str(), bytes.as_slice());
                }
            }
            6 => leave_out(tree, "conex/index/", random, told),
            7 => leave_out(tree, "conex/root/", random, told),
            8 => self.bend_root(tree, random, told),
            _ => {
                if let Some((path, bytes)) = random.one_of(&self.seen) {
                    told.push(format!("with {path}"));
                    tree.insert(path.as_str(), bytes.as_slice());
                }
            }
        }
    }
}

/// One file below a directory is left out.
fn leave_out(tree: &mut MemoryStore, directory: &str, random: &mut Random, told: &mut Vec<String>) {
    let files = tree.files().map(|(path, _)| path.to_owned());
    let below: Vec<String> = files.filter(|path| path.starts_with(directory)).collect();
    if let Some(path) = random.one_of(&below) {
        told.push(format!("without {path}"));
        tree.remove(path);
    }
}

/// A key whose kind nobody knows.
fn odd_key() -> PublicKey {
    PublicKey::from_blob(b"\0\0\0\x03odd".to_vec()).expect("it begins with an algorithm")
}

/// Everything below a directory as another tree has it.
pub(super) fn exchange(tree: &mut MemoryStore, source: &MemoryStore, directory: &str) {
    let below = |tree: &MemoryStore| -> BTreeMap<String, Vec<u8>> {
        let files = tree.files().filter(|(path, _)| path.starts_with(directory));
        files
            .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()))
            .collect()
    };
    for path in below(tree).into_keys() {
        tree.remove(&path);
    }
    for (path, bytes) in below(source) {
        tree.insert(path, bytes);
    }
}

/// The versions before and after of what an update is refused for.
fn versions(before: &State, judged: &Judged) -> String {
    let Some(after) = &judged.state else {
        return String::new();
    };
    let subjects = judged
        .problems
        .iter()
        .filter_map(|(_, about)| about.parse().ok());
    let told = subjects.map(|subject| {
        let (old, new) = (before.newest(&subject), after.newest(&subject));
        format!("{subject}: {old:?}, then {new:?}\n")
    });
    told.collect()
}

/// A disagreement without the names in it.
fn kind(text: &str, what: &str) -> String {
    let first = text.lines().next().unwrap_or_default().trim();
    let (words, about) = first.rsplit_once(' ').unwrap_or((first, ""));
    let is_kind = conex_core::model::vouch::Kind::ALL
        .iter()
        .any(|kind| kind.as_str() == about);
    let about = if is_kind { about } else { "" };
    let words: Vec<&str> = words.split(' ').take(7).collect();
    format!("{what}: {} {about}", words.join(" "))
}
