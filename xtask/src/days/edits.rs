//! The kinds of edits in a real history.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use conex_core::model::limits;
use conex_core::model::path::Path;
use conex_core::tree::layout::Layout as _;
use conex_core::tree::store::{Store, StoreError};
use conex_repo::layout::OpamLayout;
use conex_repo::opam::edit::{Kind, Kinds, kinds};

use crate::merges::git::{Changes, Repository};
use crate::merges::history::Pull;
use crate::merges::revision::Revision;

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Edits {
    /// Files changed, added or deleted in a release that existed before and still exists afterwards.
    pub(super) edited: usize,
    /// The number of these whose change leaves the release's source unchanged.
    pub(super) upkeep: usize,
    /// New and removed releases.
    pub(super) added: usize,
    pub(super) removed: usize,
    /// Edited files by kind. A file may count for several kinds.
    pub(super) by_kind: BTreeMap<Kind, usize>,
}

impl Edits {
    /// Returns the percentage of edited files that is upkeep.
    #[expect(clippy::cast_precision_loss, reason = "some thousand files")]
    pub(super) fn share(&self) -> f64 {
        100.0 * self.upkeep as f64 / self.edited as f64
    }

    pub(super) fn count(repository: &Repository, pulls: &[Pull]) -> Result<Self> {
        let mut edits = Self::default();
        for pair in pulls.windows(2) {
            if let [before, after] = pair {
                let before = repository.tree_of(before.commit)?;
                let after = repository.tree_of(after.commit)?;
                let changes = repository.changes(Some(before), Some(after))?;
                let before = Revision::new(repository, before);
                let after = Revision::new(repository, after);
                edits.merge(&before, &after, &changes)?;
            }
        }
        Ok(edits)
    }

    fn merge(&mut self, old: &impl Store, new: &impl Store, changes: &Changes) -> Result<()> {
        let mut releases: BTreeMap<Path, BTreeSet<&str>> = BTreeMap::new();
        for path in changes.keys() {
            let components: Vec<&str> = path.splitn(4, '/').collect();
            if let ["packages", package, release, file] = components.as_slice()
                && OpamLayout.parse_release(release).is_some()
            {
                let directory = Path::parse(&format!("packages/{package}/{release}"))?;
                releases.entry(directory).or_default().insert(file);
            }
        }
        for (directory, files) in releases {
            match (old.kind(&directory)?, new.kind(&directory)?) {
                (Some(_), Some(_)) => {}
                (before, after) => {
                    self.added += usize::from(before.is_none());
                    self.removed += usize::from(after.is_none());
                    continue;
                }
            }
            for file in files {
                let path = Path::parse(&format!("{directory}/{file}"))?;
                let found = match (bytes(old, &path)?, bytes(new, &path)?) {
                    (Some(old), Some(new)) if file == "opam" => kinds(Some(&old), Some(&new)),
                    _ => Kinds::from(Kind::Source),
                };
                self.edited += 1;
                self.upkeep += usize::from(found.is_upkeep());
                for kind in found.iter() {
                    *self.by_kind.entry(kind).or_default() += 1;
                }
            }
        }
        Ok(())
    }
}

fn bytes(store: &impl Store, path: &Path) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match store.read(path, limits::DATA_FILE, &mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(StoreError::Missing) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
