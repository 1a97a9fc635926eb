//! The law of patches: what is accepted means the same to `patch -p1`, to `git apply`, and to us.
//!
//! The first two are asked themselves, with patches that `diff` and `git diff` made, and with what is
//! left of those after somebody tampered with them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::panic,
    reason = "a test may stop where it stands, and says what it saw"
)]

mod generate;
mod samples;

use std::collections::BTreeMap;
use std::path::Path as SystemPath;
use std::process::{Command, Output, Stdio};

use conex_core::model::path::Path;
use conex_core::tree::store::{EntryKind, MemoryStore, Store};
use conex_repo::Patch;
use conex_repo::patch::{PatchError, Style};

/// The files of a tree with their bytes.
type Tree = BTreeMap<String, Vec<u8>>;

fn store(tree: &Tree) -> MemoryStore {
    let mut store = MemoryStore::new();
    for (path, bytes) in tree {
        store.insert(path.clone(), bytes.clone());
    }
    store
}

fn tree(store: &impl Store) -> Tree {
    let mut tree = Tree::new();
    let mut next = vec![Path::top()];
    while let Some(directory) = next.pop() {
        for entry in store.list(&directory).unwrap() {
            let place = directory.join(&entry.name).unwrap();
            match entry.kind {
                EntryKind::Directory => next.push(place),
                EntryKind::File => {
                    let mut bytes = Vec::new();
                    store.read(&place, u64::MAX, &mut bytes).unwrap();
                    tree.insert(place.as_str().into(), bytes);
                }
                EntryKind::Special(kind) => panic!("{place} is a {kind}"),
            }
        }
    }
    tree
}

fn write(tree: &Tree, root: &SystemPath) {
    std::fs::create_dir_all(root).unwrap();
    for (path, bytes) in tree {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

fn read(root: &SystemPath) -> Tree {
    tree(&conex_repo::DirectoryStore::open(root).unwrap())
}

/// A program that sees nothing of the user's configuration, nor a repository around it.
fn program(name: &str, arguments: &[&str], directory: &SystemPath) -> Command {
    let mut command = Command::new(name);
    command
        .args(arguments)
        .current_dir(directory)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CEILING_DIRECTORIES", directory.parent().unwrap())
        .stdin(Stdio::null());
    command
}

fn run(name: &str, arguments: &[&str], directory: &SystemPath) -> Output {
    program(name, arguments, directory).output().unwrap()
}

/// Applies a patch to a tree. If that is accepted, the two programs have to get the same.
fn law(base: &Tree, patch: &[u8]) -> Result<Tree, PatchError> {
    let base_store = store(base);
    let parsed = Patch::parse(patch)?;
    let overlay = parsed.apply(&base_store)?;
    let result = tree(&overlay);
    let mut changed = base.clone();
    for (path, bytes) in overlay.files() {
        match bytes {
            Some(bytes) => changed.insert(path.as_str().into(), bytes.into()),
            None => changed.remove(path.as_str()),
        };
    }
    assert_eq!(changed, result, "the overlay and what it says of itself");
    // What opam's own library makes of its style, only opam can say: `cargo xtask opam-patches` asks it.
    if parsed.style() == Style::Library {
        return Ok(result);
    }
    for tool in [&["patch", "-p1", "-i"][..], &["git", "apply"]] {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("tree");
        write(base, &root);
        let file = directory.path().join("the.patch");
        std::fs::write(&file, patch).unwrap();
        let (name, arguments) = tool.split_first().unwrap();
        let arguments = [arguments, &[file.to_str().unwrap()]].concat();
        let output = run(name, &arguments, &root);
        let context = || {
            format!(
                "{tool:?} {:?}\n{}{}base {base:?}\npatch:\n{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr),
                String::from_utf8_lossy(patch),
            )
        };
        assert!(output.status.success(), "{}", context());
        assert_eq!(read(&root), result, "{}", context());
    }
    Ok(result)
}
