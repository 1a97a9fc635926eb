//! Which pages have to wait, where the content that they approve is not there.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use crate::approval::{Rule, Standing, Vote};
use crate::digest::Digest;
use crate::metadata::StoredPage;
use crate::path::Path;
use crate::people::Voter;
use crate::problem::{Code, Problem};
use crate::vouch::{Subject, Vouch};

use super::Signed;
use super::main_line::MainLine;

/// What to leave out in the next round.
#[derive(Debug, Default)]
pub(super) struct Remedy {
    /// Pages, each with the reason.
    pub(super) pages: BTreeMap<Path, Problem>,
    /// The newest root.
    pub(super) root: bool,
}

impl Remedy {
    pub(super) fn is_empty(&self) -> bool {
        self.pages.is_empty() && !self.root
    }
}

/// The new pages that count in a state, for whom, and what they say.
pub(super) struct Blame<'r> {
    pub(super) signed: &'r Signed,
    pub(super) main: &'r MainLine,
    pub(super) pages: Vec<(&'r StoredPage, Voter)>,
}

impl<'r> Blame<'r> {
    /// Leaves out pages until the newest of a statement is one of the contents that can be had, or
    /// is none; false where no new page made it what it is. Each content is given by its digests.
    ///
    /// Of several pages that would do, the one goes that says least: so that least waits with it.
    pub(super) fn ahead(
        &self,
        rule: &Rule,
        (subject, mut votes): (&Subject, Vec<Vote>),
        there: &[Vec<Digest>],
        remedy: &mut Remedy,
    ) -> bool {
        for (page, by) in &self.pages {
            if remedy.pages.contains_key(&page.place) {
                self.take_back(&mut votes, page, *by, subject);
            }
        }
        loop {
            let is_had = |content: &Vec<Digest>| {
                matches!(rule.assess(&votes, content).standing, Standing::Approved(_))
            };
            if there.iter().any(is_had) {
                return true;
            }
            let (version, digest) = match rule.assess(&votes, &[]).standing {
                Standing::Approved(_) | Standing::Pending => return true,
                Standing::Behind { newest, .. } | Standing::Differs { newest } => {
                    (newest.version, Some(newest.digest))
                }
                Standing::Equivocal { version } => (version, None),
            };
            let says = |vouch: &Vouch| {
                vouch.version == version && digest.is_none_or(|digest| vouch.digest == digest)
            };
            let candidates = self.pages.iter().filter(|(page, _)| {
                !remedy.pages.contains_key(&page.place) && self.of(page, subject).any(says)
            });
            let size = |page: &StoredPage| self.main.size(self.signed, page);
            let Some((page, by)) = candidates.min_by_key(|(page, _)| (size(page), &page.place))
            else {
                return false;
            };
            let (code, detail) = match digest {
                Some(_) => (
                    Code::Ahead,
                    format!("approves version {version}, whose content is not there to be taken"),
                ),
                None => (
                    Code::Equivocation,
                    format!("version {version} is approved with two different contents"),
                ),
            };
            let problem = Problem::new(code, &page.place, detail).about(subject);
            self.take_back(&mut votes, page, *by, subject);
            remedy.pages.insert(page.place.clone(), problem);
        }
    }

    /// What a page says of a statement.
    fn of<'s>(
        &'s self,
        page: &'s StoredPage,
        subject: &'s Subject,
    ) -> impl Iterator<Item = &'s Vouch> {
        let said = self.main.said_of(self.signed, page, subject.name());
        said.filter(move |vouch| vouch.subject == *subject)
    }

    /// Removes what a page says of a statement from the votes.
    fn take_back(&self, votes: &mut Vec<Vote>, page: &StoredPage, by: Voter, about: &Subject) {
        for vouch in self.of(page, about) {
            let vote = Vote {
                version: vouch.version,
                digest: vouch.digest,
                voter: by,
            };
            if let Some(at) = votes.iter().position(|other| *other == vote) {
                votes.swap_remove(at);
            }
        }
    }

    /// The new pages that speak of something of a name.
    pub(super) fn speaking(
        &self,
        name: &str,
        of: impl Fn(&Subject) -> bool,
    ) -> impl Iterator<Item = &'r StoredPage> {
        let pages = self.pages.iter().map(|(page, _)| *page);
        pages.filter(move |page| {
            let mut said = self.main.said_of(self.signed, page, name);
            said.any(|vouch| of(&vouch.subject))
        })
    }
}
