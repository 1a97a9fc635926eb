//! Honest changes of the root.

use std::collections::BTreeSet;

use conex_core::model::crypto::Digests as _;
use conex_core::model::digest::Digest;
use conex_core::model::statement::{Author, FormerJanitor, FormerKey, Janitor, Root, RootFields};
use conex_core::model::stored::Stored as _;
use conex_core::model::vouch::Vouch;
use conex_core::tools::compose::batches;
use conex_core::tools::forecast::Amendment;
use conex_core::tree::metadata::place;
use conex_core::verify::Report;

use super::scheme::Scheme;
use super::world::{World, id, owner, threshold};

impl World {
    /// Signs a root as somebody, with the key that they have in it or had before.
    pub(super) fn sign_root(&mut self, line: usize, root: &Root, who: &str) {
        for key in self.keys_of(who) {
            let fingerprint = self.fingerprint(&key);
            let listed = root.janitor(&id(who)).is_some_and(|janitor| {
                janitor
                    .keys
                    .iter()
                    .any(|key| self.scheme.fingerprint(key) == fingerprint)
            });
            let before = self
                .root(line)
                .and_then(|root| root.janitor(&id(who)).cloned());
            let was = before.is_some_and(|janitor| {
                janitor
                    .keys
                    .iter()
                    .any(|key| self.scheme.fingerprint(key) == fingerprint)
            });
            if listed || was {
                let Ok(signature) = root.sign(id(who), &self.scheme, &self.scheme.key(&key));
                let place = place::root_signature(root.number, &signature);
                self.write(line, place.as_str(), signature.to_text());
            }
        }
    }

    /// The janitors of a root who are honest and can sign.
    pub(super) fn able(&self, root: &Root, line: usize) -> Vec<String> {
        let all = root.janitors.iter().map(|janitor| janitor.id.as_str());
        let honest = all.filter(|who| !self.is_bad(who));
        let able = honest.filter(|who| self.signing_key(who, root, line).is_some());
        able.map(str::to_owned).collect()
    }

    /// The next root is proposed and signed by so many; what it would undo is adopted.
    pub(super) fn change_root(
        &mut self,
        line: usize,
        change: u8,
        who: u8,
        keep: bool,
        support: u8,
    ) {
        let report = self.view(line);
        let Some(head) = report.head.as_ref().map(|head| head.root().clone()) else {
            return;
        };
        if self.sign_waiting(line, &head) {
            return;
        }
        let able = self.able(&head, line);
        let Some(who) = able.get(usize::from(who) % able.len().max(1)).cloned() else {
            return;
        };
        let mut fields = next(&head, self.scheme);
        let what = match change % 8 {
            0 => self.join(line, &report, &mut fields),
            1 => self.leave(&report, &mut fields, &who, keep),
            2 | 3 => self.rekey(&report, &mut fields, &who, keep),
            _ => self.set(&mut fields, change / 8),
        };
        let Some((root, what)) = Root::new(fields).ok().zip(what) else {
            return;
        };
        self.propose(line, &report, root, &what, support, Vec::new());
    }

    /// Writes a root, has it signed, and adopts what it would undo.
    pub(super) fn propose(
        &mut self,
        line: usize,
        report: &Report,
        root: Root,
        what: &str,
        support: u8,
        authors: Vec<conex_core::model::statement::Author>,
    ) {
        let Some(head) = report.head.as_ref().map(|head| head.root().clone()) else {
            return;
        };
        // An honest quorum of both roots has to be left.
        let (before, after) = (self.able(&head, line), self.able(&root, line));
        let signers: BTreeSet<String> = before.iter().chain(&after).cloned().collect();
        let bad = root
            .janitors
            .iter()
            .filter(|janitor| self.holds(janitor))
            .count();
        if before.len() < head.quorum.people()
            || after.len() < root.quorum.people()
            || bad >= root.quorum.people()
        {
            return;
        }
        let root = self.with_floor(line, report, &head, root, &authors);
        self.tell(format!(
            "root {} on {}: {what}",
            root.number,
            Self::line_name(line)
        ));
        self.write(line, place::root(root.number).as_str(), root.to_text());
        for who in signers.iter().take(support.into()) {
            self.tell(format!("{who} signs root {}", root.number));
            let Ok(()) = self.sign_as(line, &head, &root, who);
        }
        let change = Amendment {
            root: Some(root),
            authors,
            ..Amendment::default()
        };
        self.adopt(line, report, change, support);
    }

    /// A root that revokes a key says what must not fall (spec section 4.5).
    fn with_floor(
        &mut self,
        line: usize,
        report: &Report,
        head: &Root,
        root: Root,
        authors: &[Author],
    ) -> Root {
        if root.revoked == head.revoked {
            return root;
        }
        let change = Amendment {
            root: Some(root.clone()),
            authors: authors.to_vec(),
            ..Amendment::default()
        };
        let lost = self.all_lost(report, &change);
        let kept: Vec<Vouch> = lost.into_iter().filter_map(|change| change.vouch).collect();
        let mut fields = RootFields::from(root.clone());
        for batch in batches(kept).unwrap_or_default() {
            let reference = batch.reference(&root.origin, &self.scheme);
            let place = place::batch(reference.digest());
            self.write(line, place.as_str(), batch.to_text());
            fields.floor.push(reference);
        }
        fields.floor.sort();
        fields.floor.dedup();
        self.tell(format!(
            "the floor of root {} has {} batches",
            root.number,
            fields.floor.len()
        ));
        Root::new(fields).unwrap_or(root)
    }

    /// Signs with every key that somebody has in one of two roots.
    fn sign_as(
        &mut self,
        line: usize,
        before: &Root,
        root: &Root,
        who: &str,
    ) -> Result<(), core::convert::Infallible> {
        for key in self.keys_of(who) {
            let fingerprint = self.fingerprint(&key);
            let lists = |root: &Root| {
                root.janitor(&id(who)).is_some_and(|janitor| {
                    janitor
                        .keys
                        .iter()
                        .any(|key| self.scheme.fingerprint(key) == fingerprint)
                })
            };
            if lists(before) || lists(root) {
                let signature = root.sign(id(who), &self.scheme, &self.scheme.key(&key))?;
                let place = place::root_signature(root.number, &signature);
                self.write(line, place.as_str(), signature.to_text());
            }
        }
        Ok(())
    }

    /// Whether the attacker has a key of a janitor.
    fn holds(&self, janitor: &Janitor) -> bool {
        let bad = self.bad_fingerprints();
        janitor
            .keys
            .iter()
            .any(|key| bad.contains(&self.scheme.fingerprint(key)))
    }

    /// Signs the honest root that waits behind the head, or removes one that is not honest; whether there was one.
    pub(super) fn sign_waiting(&mut self, line: usize, head: &Root) -> bool {
        let Some(number) = head.number.next() else {
            return true;
        };
        let place = place::root(number);
        let Some(bytes) = self.tree(line).get(place.as_str()).map(<[u8]>::to_vec) else {
            return false;
        };
        let root = Root::from_bytes(&bytes).ok();
        let Some(root) = root.filter(|_| self.is_honest(place.as_str(), &bytes)) else {
            self.tell(format!(
                "a root of the attacker's is removed from {}",
                Self::line_name(line)
            ));
            self.clean_roots(line, head);
            return true;
        };
        let report = self.view(line);
        let signers: BTreeSet<String> = self
            .able(head, line)
            .into_iter()
            .chain(self.able(&root, line))
            .collect();
        self.tell(format!(
            "root {number} gets all signatures on {}",
            Self::line_name(line)
        ));
        for who in signers {
            let Ok(()) = self.sign_as(line, head, &root, &who);
        }
        let change = Amendment {
            root: Some(root),
            ..Amendment::default()
        };
        self.adopt(line, &report, change, 9);
        true
    }

    /// Removes every root behind the head, with its signatures.
    pub(super) fn clean_roots(&mut self, line: usize, head: &Root) {
        let behind = |path: &String| {
            let rest = path.strip_prefix("conex/root/").unwrap_or_default();
            let number = rest.split(['/', '.']).next().unwrap_or_default();
            number
                .parse::<u32>()
                .is_ok_and(|number| number > head.number.as_u32())
        };
        for path in self.below(line, "conex/root").into_iter().filter(behind) {
            self.remove(line, &path);
        }
    }

    fn join(&mut self, line: usize, report: &Report, fields: &mut RootFields) -> Option<String> {
        let _ = (line, report);
        let who = format!("j{}", self.janitors.len() + 1);
        if self.janitors.len() > 6 {
            return None;
        }
        self.janitors.push(who.clone());
        fields.janitors.push(Janitor {
            id: id(&who),
            keys: vec![self.public(&who)],
        });
        Some(format!("{who} joins"))
    }

    fn leave(
        &mut self,
        report: &Report,
        fields: &mut RootFields,
        who: &str,
        keep: bool,
    ) -> Option<String> {
        let at = fields
            .janitors
            .iter()
            .position(|janitor| janitor.id.as_str() == who)?;
        let janitor = fields.janitors.remove(at);
        for key in janitor.keys {
            self.make_former(report, fields, who, key, keep);
        }
        Some(format!("{who} leaves, {}", kept(keep)))
    }

    /// A janitor gets another key in place of all.
    pub(super) fn rekey(
        &mut self,
        report: &Report,
        fields: &mut RootFields,
        who: &str,
        keep: bool,
    ) -> Option<String> {
        let new = self.new_key(who);
        let public = self.public(&new);
        let janitor = fields
            .janitors
            .iter_mut()
            .find(|janitor| janitor.id.as_str() == who)?;
        let old = core::mem::replace(&mut janitor.keys, vec![public]);
        for key in old {
            self.make_former(report, fields, who, key, keep);
        }
        Some(format!("{who} gets the key {new}, {}", kept(keep)))
    }

    fn make_former(
        &self,
        report: &Report,
        fields: &mut RootFields,
        who: &str,
        key: conex_core::model::key::PublicKey,
        keep: bool,
    ) {
        let counting = if keep {
            Self::counting(report, who, self.scheme.fingerprint(&key))
        } else {
            Vec::new()
        };
        // Of a key that was stolen, only what honest people wrote.
        let pages: Vec<Digest> = counting
            .into_iter()
            .filter(|page| self.is_honest_page(who, *page))
            .collect();
        fields.former.push(FormerJanitor {
            id: id(who),
            former: FormerKey { key, pages },
        });
    }

    /// Whether a page was signed by the person, and not by whoever stole the key.
    pub(super) fn is_honest_page(&self, who: &str, page: Digest) -> bool {
        let place = place::page(&id(who), page);
        let mut seen = self.seen.iter();
        seen.any(|(path, bytes)| path == place.as_str() && self.is_honest(path, bytes))
    }

    fn set(&mut self, fields: &mut RootFields, which: u8) -> Option<String> {
        let quorum = u16::try_from(fields.quorum.people()).unwrap_or(1);
        match which % 5 {
            0 => fields.upkeep = threshold(u16::from(which / 5) % quorum + 1),
            1 => fields.unclaimed = threshold(u16::from(which / 5) % quorum + 1),
            2 => fields.complete = true,
            3 => {
                let honest = fields
                    .janitors
                    .iter()
                    .filter(|janitor| !self.is_bad(janitor.id.as_str()));
                let most = u16::try_from(honest.count()).unwrap_or(1);
                let bad = fields
                    .janitors
                    .iter()
                    .filter(|janitor| self.holds(janitor))
                    .count();
                let least = u16::try_from(bad).unwrap_or(0) + 1;
                let new = (quorum % most + 1).max(least).max(2);
                fields.quorum = threshold(new);
                fields.upkeep = fields.upkeep.min(fields.quorum);
                fields.unclaimed = fields.unclaimed.min(fields.quorum);
            }
            _ => {
                let text = format!("ignored{}/**", which / 5);
                let pattern = conex_core::model::path::Pattern::parse(&text).ok()?;
                if !fields.ignore.contains(&pattern) {
                    fields.ignore.push(pattern);
                }
            }
        }
        Some(format!(
            "quorum {}, upkeep {}, unclaimed {}{}",
            fields.quorum.people(),
            fields.upkeep.people(),
            fields.unclaimed.people(),
            if fields.complete { ", complete" } else { "" }
        ))
    }

    /// Revokes a key that was stolen, and gives its owner another one.
    pub(super) fn revoke(&mut self, who: u8, keep: bool) {
        let stolen: Vec<String> = self
            .bad_keys
            .iter()
            .filter(|key| !self.is_bad(owner(key)))
            .cloned()
            .collect();
        let Some(key) = stolen.get(usize::from(who) % stolen.len().max(1)).cloned() else {
            return;
        };
        let report = self.view(0);
        let Some(head) = report.head.as_ref().map(|head| head.root().clone()) else {
            return;
        };
        let fingerprint = self.fingerprint(&key);
        if head.revoked.contains(&fingerprint) || self.sign_waiting(0, &head) {
            return;
        }
        let who = owner(&key).to_owned();
        let mut fields = next(&head, self.scheme);
        fields.revoked.push(fingerprint);
        let mut authors = Vec::new();
        if head.janitor(&id(&who)).is_some() {
            self.rekey(&report, &mut fields, &who, keep);
        } else if let Some(mut author) = self.rekeyed(0, &report, &who, keep) {
            let mut changed = conex_core::model::statement::AuthorFields::from(author.clone());
            for former in &mut changed.former {
                former.pages.retain(|page| self.is_honest_page(&who, *page));
            }
            author = conex_core::model::statement::Author::new(changed).unwrap_or(author);
            authors.push(author);
        }
        let Ok(root) = Root::new(fields) else {
            return;
        };
        for author in &authors {
            self.write(0, place::author(&author.id).as_str(), author.to_text());
        }
        let what = format!("{key} is revoked, {}", kept(keep));
        self.propose(0, &report, root, &what, 9, authors.clone());
        for author in authors {
            self.approve_name(0, author.id.as_str(), 9);
        }
    }
}

fn kept(keep: bool) -> &'static str {
    if keep {
        "with all pages"
    } else {
        "without any page"
    }
}

/// The fields of the next root.
pub(super) fn next(head: &Root, digests: Scheme) -> RootFields {
    let mut fields = RootFields::from(head.clone());
    fields.previous = Some(head.digest(&digests));
    fields.number = head.number.next().expect("histories are short");
    fields
}
