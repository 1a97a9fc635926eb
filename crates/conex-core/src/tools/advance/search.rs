//! Which releases a package has, where only the digest of them is approved.
//!
//! The files of each release are known by its own approval: those of the main line, those of the
//! verified state, or none. What is left to be found is which of the releases that are in one of the
//! two only belong to the package. Every vouch for its `releases` that anybody gave is a step on the way: tools
//! vouch after each change, so from one step to the next little changes.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use crate::model::crypto::Crypto;
use crate::model::digest::Digest;
use crate::model::name::ReleaseName;
use crate::tree::content::{Package, Reader, Release, Releases};

use super::package::{Content, find};

/// Most sets of releases that are tried. Each costs about as much as to hash their names.
const TRIES: usize = 1 << 14;

/// Of so many releases in doubt, every set is tried.
const FEW: usize = 10;

/// What is looked for, and where.
pub(super) struct Search<'s, S: ?Sized, C> {
    pub(super) reader: &'s Reader<'s, S, C>,
    pub(super) content: &'s Content,
    /// The digests of `releases` that anybody vouched for.
    pub(super) wanted: &'s BTreeSet<Digest>,
    /// Releases that a page speaks of together with such a vouch.
    pub(super) together: &'s [BTreeSet<ReleaseName>],
}

/// The releases of a package: those that are certain, and those of which it is not known yet.
struct Pool<'c> {
    certain: Vec<&'c Release>,
    doubtful: Vec<&'c Release>,
    /// Which of these came with the main line.
    came: Vec<bool>,
}

/// Which of the doubtful releases are in.
type Chosen = Vec<bool>;

/// What was found so far.
struct Found {
    tried: BTreeSet<Chosen>,
    /// Sets with a digest that somebody vouched for.
    steps: BTreeMap<Chosen, Vec<Digest>>,
    queue: VecDeque<Chosen>,
}

impl<'s, S: ?Sized, C: Crypto> Search<'s, S, C> {
    /// Every package that can be made of both and that somebody vouched for, as far as it is found. Says
    /// of a release and a digest whether this digest is approved for its files.
    pub(super) fn run(&self, approved: impl Fn(&ReleaseName, Digest) -> bool) -> Vec<Package> {
        let pool = self.pool(approved);
        let mut found = Found {
            tried: BTreeSet::new(),
            steps: BTreeMap::new(),
            queue: VecDeque::new(),
        };
        for start in pool.starts() {
            self.look(&pool, start.clone(), &mut found);
            found.queue.push_back(start);
        }
        self.follow(&pool, &mut found);
        if pool.doubtful.len() <= FEW {
            for mask in 0..(1_usize << pool.doubtful.len()) {
                let bits = 0..pool.doubtful.len();
                self.look(
                    &pool,
                    bits.map(|at| mask & (1 << at) != 0).collect(),
                    &mut found,
                );
            }
        } else {
            self.look_wider(&pool, &mut found);
        }
        let packages = found.steps.into_iter();
        packages
            .map(|(chosen, digests)| Package {
                name: self.content.main.name.clone(),
                releases: pool.releases(&chosen).cloned().collect(),
                digests,
            })
            .collect()
    }

    /// Sorts the releases by what is approved of their files.
    fn pool(&self, approved: impl Fn(&ReleaseName, Digest) -> bool) -> Pool<'s> {
        let mut pool = Pool {
            certain: Vec::new(),
            doubtful: Vec::new(),
            came: Vec::new(),
        };
        let content = self.content;
        for name in content.releases() {
            let (main, signed) = (find(&content.main, name), find(&content.signed, name));
            let is_approved = |release: &&Release| approved(name, release.digest);
            let from_main = main.filter(is_approved).map(|release| (release, true));
            let chosen = from_main.or_else(|| Some((signed.filter(is_approved)?, false)));
            let Some((release, came)) = chosen else {
                continue;
            };
            if main.is_some() && signed.is_some() {
                pool.certain.push(release);
            } else if !approved(name, self.reader.absent_release(&content.main.name, name)) {
                pool.doubtful.push(release);
                pool.came.push(came);
            }
        }
        pool
    }

    /// Goes from what is known to be a step to what is one change away, and on from there.
    fn follow(&self, pool: &Pool<'_>, found: &mut Found) {
        let together = self.together.iter().map(|names| {
            let names = |release: &&Release| names.contains(&release.checksums.release);
            pool.doubtful.iter().map(names).collect::<Vec<bool>>()
        });
        let together: BTreeSet<Vec<bool>> = together.filter(|it| it.contains(&true)).collect();
        while let Some(base) = found.queue.pop_front() {
            for at in 0..base.len() {
                self.look(pool, flipped(&base, &[at]), found);
            }
            for group in &together {
                let zip = || base.iter().zip(group);
                self.look(pool, zip().map(|(a, b)| *a || *b).collect(), found);
                self.look(pool, zip().map(|(a, b)| *a != *b).collect(), found);
            }
        }
    }

    /// Tries two changes at once, from everything that is known.
    fn look_wider(&self, pool: &Pool<'_>, found: &mut Found) {
        let mut bases: VecDeque<Chosen> = found.steps.keys().cloned().collect();
        bases.extend(pool.starts());
        while let Some(base) = bases.pop_front() {
            let known = found.steps.len();
            for first in 0..base.len() {
                for second in 0..first {
                    self.look(pool, flipped(&base, &[first, second]), found);
                }
            }
            if found.steps.len() > known {
                bases.extend(found.queue.iter().cloned());
                self.follow(pool, found);
            }
        }
    }

    /// Looks whether somebody vouched for a set of releases.
    fn look(&self, pool: &Pool<'_>, chosen: Chosen, found: &mut Found) {
        if found.tried.len() >= TRIES || found.tried.contains(&chosen) {
            return;
        }
        let name = &self.content.main.name;
        let projections = 0..self.reader.projections.len().max(1);
        let digests: Vec<Digest> = projections
            .map(|at| {
                let releases = pool.releases(&chosen);
                let sources = releases.map(|it| (&it.checksums.release, it.sources.as_slice()));
                Releases::of(name, sources, at).digest(self.reader.origin, self.reader.digests)
            })
            .collect();
        found.tried.insert(chosen.clone());
        if digests.iter().any(|digest| self.wanted.contains(digest)) {
            found.queue.push_back(chosen.clone());
            found.steps.insert(chosen, digests);
        }
    }
}

impl<'c> Pool<'c> {
    /// Where to begin: with all of them, as on the main line, as in the verified state, without any.
    fn starts(&self) -> [Chosen; 4] {
        let all = self.came.len();
        [
            alloc::vec![true; all],
            self.came.clone(),
            self.came.iter().map(|came| !came).collect(),
            alloc::vec![false; all],
        ]
    }

    /// The chosen releases with the certain ones, sorted by name.
    fn releases(&self, chosen: &[bool]) -> impl Iterator<Item = &'c Release> {
        let doubtful = self.doubtful.iter().zip(chosen);
        let doubtful = doubtful.filter(|(_, is_in)| **is_in).map(|(it, _)| *it);
        let mut releases: Vec<&'c Release> = self.certain.iter().copied().chain(doubtful).collect();
        releases.sort_by(|a, b| a.checksums.release.cmp(&b.checksums.release));
        releases.into_iter()
    }
}

fn flipped(base: &[bool], at: &[usize]) -> Chosen {
    let flip = |(index, is_in): (usize, &bool)| *is_in != at.contains(&index);
    base.iter().enumerate().map(flip).collect()
}
