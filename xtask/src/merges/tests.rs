//! Small examples of how git treats pages and statements: the rules that the replay cannot hit by chance,
//! and the two ways in which honest people could get conflicts after all.

use std::path::Path as FilePath;

use conex_core::model::digest::Digest;
use conex_core::model::name::{Id, Origin};
use conex_core::model::page::PageBody;
use conex_core::model::stored::Stored as _;
use conex_core::model::version::Version;
use conex_core::model::vouch::Vouch;
use conex_core::tree::metadata::place;
use conex_crypto::StandardCrypto;

use super::community::Person;
use super::git::{Changes, Merged, Oid, Repository};

/// A file to store, or to remove.
type File = (String, Option<String>);

/// Builds a page over the checksums of some releases of packages `<letter>0`, `<letter>1`, ...
fn page(id: &str, parts: &[(char, u8)]) -> File {
    let origin = Origin::parse("example").unwrap();
    let person = Person::new(&Id::parse(id).unwrap());
    let vouch = |letter: char, at: u8| Vouch {
        subject: format!("{letter}{at}/1.0 checksums").parse().unwrap(),
        version: Version::first(0),
        digest: Digest::from_bytes([letter as u8 ^ at.reverse_bits(); 32]),
    };
    let vouches = parts
        .iter()
        .flat_map(|(letter, count)| (0..*count).map(|at| vouch(*letter, at)));
    let body = PageBody::new(person.id.clone(), person.key, Vec::new(), vouches.collect()).unwrap();
    let page = body.sign(&origin, &person.secret).unwrap();
    let place = place::page(&person.id, page.digest(&origin, &StandardCrypto));
    (place.to_string(), Some(page.to_text()))
}

fn owners(owners: &[&str]) -> File {
    let list = owners.join("\",\n  \"");
    let text =
        format!("package = \"foo\"\nowners = [\n  \"{list}\",\n]\nthreshold = 1\nepoch = 0\n");
    ("conex/packages/foo.toml".into(), Some(text))
}

fn without((path, _): &File) -> File {
    (path.clone(), None)
}

struct Scene {
    repository: Repository,
    base: Oid,
}

impl Scene {
    fn new(directory: &FilePath, files: &[File]) -> Self {
        let repository = Repository::init(directory).unwrap();
        let empty = repository.write_tree([]).unwrap();
        let base = commit(&repository, empty, &[], files);
        Self { repository, base }
    }

    /// Makes a commit after another one.
    fn then(&self, before: Oid, files: &[File]) -> Oid {
        let tree = self.repository.tree_of(before).unwrap();
        commit(&self.repository, tree, &[before], files)
    }

    /// Merges an open branch. Both ways of doing so have to agree.
    fn merge(&self, main: Oid, branch: Oid) -> Merged {
        let merged = self.repository.merge(main, branch).unwrap();
        match self.repository.merge_in_work_tree(main, branch).unwrap() {
            Ok(tree) => assert_eq!((tree, merged.conflicts.is_empty()), (merged.tree, true)),
            Err(conflicts) => assert_eq!(conflicts, merged.conflicts),
        }
        merged
    }
}

fn commit(repository: &Repository, tree: Oid, parents: &[Oid], files: &[File]) -> Oid {
    let mut changes = Changes::new();
    for (path, text) in files {
        let blob = text
            .as_ref()
            .map(|text| repository.write_blob(text.as_bytes()).unwrap());
        changes.insert(path.clone(), blob);
    }
    let tree = repository.edit(tree, &changes).unwrap();
    repository
        .commit(tree, parents, "2026-01-01T00:00:00Z", "change")
        .unwrap()
}

#[test]
fn what_changed_between_two_trees_makes_one_of_the_other() {
    let directory = tempfile::tempdir().unwrap();
    let file = |path: &str, text: &str| (path.to_owned(), Some(text.to_owned()));
    let scene = Scene::new(
        directory.path(),
        &[
            file("a/b/c", "1"),
            file("a/d", "2"),
            file("a.b", "3"),
            file("e", "4"),
            file("f/g", "5"),
        ],
    );
    let gone = |path: &str| (path.to_owned(), None);
    let after = scene.then(
        scene.base,
        &[
            file("a/b/c", "6"),
            gone("a/d"),
            gone("e"),
            file("e/h", "7"),
            gone("f/g"),
            file("f", "8"),
        ],
    );
    let repository = &scene.repository;
    let [from, to] = [scene.base, after].map(|commit| repository.tree_of(commit).unwrap());
    for (from, to) in [(from, to), (to, from)] {
        let changes = repository.changes(Some(from), Some(to)).unwrap();
        assert_eq!(repository.edit(from, &changes).unwrap(), to);
    }
}

#[test]
fn compaction_on_the_main_line_leaves_open_branches_alone() {
    let directory = tempfile::tempdir().unwrap();
    let pages = [page("bob", &[('a', 30)]), page("bob", &[('b', 3)])];
    let scene = Scene::new(directory.path(), &pages);
    let open = page("bob", &[('c', 3)]);
    let branch = scene.then(scene.base, core::slice::from_ref(&open));
    let compact = page("bob", &[('a', 30), ('b', 3)]);
    let [first, second] = pages.each_ref().map(without);
    let main = scene.then(scene.base, &[first, second, compact.clone()]);
    let merged = scene.merge(main, branch);
    assert_eq!(merged.conflicts, [""; 0]);
    assert_eq!(
        merged.tree,
        scene.repository.tree_of(scene.then(main, &[open])).unwrap()
    );
}

#[test]
fn compactions_on_two_branches_conflict() {
    let directory = tempfile::tempdir().unwrap();
    let pages = [page("bob", &[('a', 30)]), page("bob", &[('b', 3)])];
    let scene = Scene::new(directory.path(), &pages);
    let compact = |more| {
        let compacted = page("bob", &[('a', 30), ('b', 3), (more, 1)]);
        let [first, second] = pages.each_ref().map(without);
        scene.then(scene.base, &[first, second, compacted])
    };
    let merged = scene.merge(compact('c'), compact('d'));
    assert!(
        merged
            .messages
            .iter()
            .any(|message| message.contains("rename/rename"))
    );
}

/// Git assumes that a directory which lost all its files was renamed if similar files appeared elsewhere.
/// It then does not know where to put what an open branch adds to the directory.
#[test]
fn a_directory_that_loses_its_last_page_conflicts_with_open_branches() {
    let directory = tempfile::tempdir().unwrap();
    let pages = [page("bob", &[('a', 30)]), page("bob", &[('b', 30)])];
    let scene = Scene::new(directory.path(), &pages);
    let branch = scene.then(scene.base, &[page("bob", &[('c', 3)])]);
    let adopted = scene.then(
        scene.base,
        &[page("jan", &[('a', 30)]), page("jan", &[('b', 30)])],
    );
    let main = scene.then(adopted, &pages.each_ref().map(without));
    let merged = scene.merge(main, branch);
    assert!(
        merged
            .messages
            .iter()
            .any(|message| message.contains("file location"))
    );
}

#[test]
fn one_page_that_stays_keeps_open_branches_mergeable() {
    let directory = tempfile::tempdir().unwrap();
    let pages = [page("bob", &[('a', 30)]), page("bob", &[('b', 30)])];
    let scene = Scene::new(directory.path(), &pages);
    let open = page("bob", &[('c', 3)]);
    let branch = scene.then(scene.base, core::slice::from_ref(&open));
    let adopted = scene.then(
        scene.base,
        &[page("jan", &[('a', 30)]), page("jan", &[('b', 30)])],
    );
    let main = scene.then(
        adopted,
        &pages.first().map(without).into_iter().collect::<Vec<_>>(),
    );
    let merged = scene.merge(main, branch);
    assert_eq!(merged.conflicts, [""; 0]);
    assert_eq!(
        merged.tree,
        scene.repository.tree_of(scene.then(main, &[open])).unwrap()
    );
}

#[test]
fn two_who_change_one_statement_conflict() {
    let directory = tempfile::tempdir().unwrap();
    let scene = Scene::new(directory.path(), &[owners(&["bob"])]);
    let merged = scene.merge(
        scene.then(scene.base, &[owners(&["carol"])]),
        scene.then(scene.base, &[owners(&["dave"])]),
    );
    assert_eq!(merged.conflicts, ["conex/packages/foo.toml"]);
}

/// Nobody vouched for the combination, so it waits for a quorum like any other change.
#[test]
fn changes_of_one_statement_in_two_places_are_combined() {
    let directory = tempfile::tempdir().unwrap();
    let scene = Scene::new(directory.path(), &[owners(&["bob"])]);
    let main = scene.then(scene.base, &[owners(&["alice", "bob"])]);
    let merged = scene.merge(main, scene.then(scene.base, &[owners(&["bob", "carol"])]));
    assert_eq!(merged.conflicts, [""; 0]);
    let combined = scene.then(scene.base, &[owners(&["alice", "bob", "carol"])]);
    assert_eq!(merged.tree, scene.repository.tree_of(combined).unwrap());
}
