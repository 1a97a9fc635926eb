//! A main line, and the state that clients follow beside it.

use std::collections::BTreeSet;

use conex_core::model::path::Path;
use conex_core::tools::advance::{Advance, Advanced, Earlier, Unit};
use conex_core::tree::store::{MemoryStore, Sequential, Store};
use conex_core::verify::Mode;
use conex_crypto::StandardCrypto;
use conex_repo::KnownSchemes;

use crate::client::Client;
use crate::community::Community;
use crate::verdict::verify;

/// A branch that clients follow, advanced from a community's main line.
#[derive(Debug, Clone)]
pub struct Pilot {
    /// The branch, with its record.
    pub signed: Client,
    /// States that the main line was in, the newest last.
    pub earlier: Vec<MemoryStore>,
}

impl Earlier for Pilot {
    fn each(&self, look: &mut dyn FnMut(&dyn Store) -> bool) {
        let mut states = self.earlier.iter().rev();
        while states.next().is_some_and(|state| look(state)) {}
    }
}

impl Pilot {
    /// Starts with a community in which everything is approved.
    #[track_caller]
    pub fn of(community: &Community) -> Self {
        Self {
            signed: Client::of(community),
            earlier: Vec::new(),
        }
    }

    /// Starts the same way, for clients of any mode.
    #[track_caller]
    pub fn in_mode(community: &Community, mode: Mode) -> Self {
        Self {
            signed: Client::in_mode(community, mode),
            earlier: Vec::new(),
        }
    }

    /// Advances, and holds the result against everything that has to be true of it.
    #[track_caller]
    pub fn advance(&mut self, main: &Community) -> Advanced {
        let advanced = self.dry_run(main);
        let step = |unit: &Unit| matches!(unit, Unit::Step);
        assert!(
            !advanced.waiting.iter().any(|it| step(&it.unit)),
            "verification had to help: {advanced:#?}"
        );
        if advanced.files.is_empty() {
            return advanced;
        }
        let mut tree = self.signed.tree.clone();
        for (path, bytes) in &advanced.files {
            match bytes {
                Some(bytes) => tree.insert(path.as_str(), bytes.clone()),
                None => {
                    assert!(tree.remove(path.as_str()), "{path} is not there");
                }
            }
        }
        verify(&tree, &main.anchor(), self.signed.mode, false).accepted();
        let verdict = self.signed.judge(&tree);
        verdict.accepted();
        let verified = verdict.verified().expect("it was accepted");
        let record = self.signed.record.updated(verified, None);
        self.signed.record = record.expect("this was an update of what is on record");
        self.signed.tree = tree;
        advanced
    }

    /// What advancing would give.
    #[track_caller]
    pub fn dry_run(&self, main: &Community) -> Advanced {
        let advance = Advance {
            signed: &self.signed.tree,
            main: &main.tree,
            changed: &changed(&self.signed.tree, &main.tree),
            record: &self.signed.record,
            schemes: &KnownSchemes,
            crypto: &StandardCrypto,
            workers: &Sequential,
            mode: self.signed.mode,
            earlier: self,
        };
        advance.run().expect("the record is that of the branch")
    }

    /// Whether the branch has all files outside `conex/` as the main line has them.
    pub fn has_data_of(&self, main: &Community) -> bool {
        let data = |tree: &MemoryStore| -> Vec<(String, Vec<u8>)> {
            let files = tree.files();
            files
                .filter(|(path, _)| !path.starts_with("conex/"))
                .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()))
                .collect()
        };
        data(&self.signed.tree) == data(&main.tree)
    }
}

/// What waits, told as `foo`, `alice`, or the place of a page or file.
pub fn waits(advanced: &Advanced) -> Vec<String> {
    let told = advanced.waiting.iter().map(|waiting| match &waiting.unit {
        Unit::Root => "root".to_owned(),
        Unit::Author(id) | Unit::Team(id) => id.to_string(),
        Unit::Package(name) => name.to_string(),
        Unit::Page(path) | Unit::Path(path) => path.to_string(),
        Unit::Repository => "repository".into(),
        Unit::Step => "step".into(),
    });
    let told: BTreeSet<String> = told.collect();
    told.into_iter().collect()
}

/// Every path at which two trees differ.
fn changed(before: &MemoryStore, after: &MemoryStore) -> BTreeSet<Path> {
    conex_repo::changes::changed(before, after).expect("trees in memory can be listed")
}
