//! The floor: walks a tree, reads every file and hashes it with SHA-256, in parallel, and nothing else.
//!
//! It uses the same store and the same threads as verification, so the ratio between the two is the price
//! of verification alone. The floor of a fast update only asks for the metadata of every file: without
//! that, nobody can tell whether the unchanged files are those that were verified.

use std::path::{Path as SystemPath, PathBuf};

use conex_core::model::crypto::Digests as _;
use conex_core::model::path::Path;
use conex_core::tree::store::{EntryKind, Store as _};
use conex_crypto::StandardCrypto;
use conex_repo::DirectoryStore;
use rayon::prelude::*;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The tree
    directory: PathBuf,

    /// Ask for the metadata of the files only
    #[arg(long)]
    metadata: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.metadata {
        println!("{} bytes", metadata_below(&arguments.directory)?);
        return Ok(());
    }
    let store = DirectoryStore::open(&arguments.directory)?;
    println!("{} bytes", below(&store, &Path::top())?);
    Ok(())
}

fn below(store: &DirectoryStore, directory: &Path) -> anyhow::Result<u64> {
    let entries = store.list(directory)?;
    let (directories, files): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .partition(|entry| entry.kind == EntryKind::Directory);
    let mut buffer = Vec::new();
    let mut bytes = 0;
    for file in files {
        store.read(&directory.join(&file.name)?, u64::MAX - 1, &mut buffer)?;
        core::hint::black_box(StandardCrypto.sha256(&buffer));
        bytes += buffer.len() as u64;
    }
    let deeper: anyhow::Result<Vec<u64>> = directories
        .into_par_iter()
        .map(|entry| below(store, &directory.join(&entry.name)?))
        .collect();
    Ok(bytes + deeper?.into_iter().sum::<u64>())
}

fn metadata_below(directory: &SystemPath) -> anyhow::Result<u64> {
    let (mut directories, mut bytes) = (Vec::new(), 0);
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            directories.push(entry.path());
        } else {
            bytes += core::hint::black_box(entry.metadata()?).len();
        }
    }
    let deeper: anyhow::Result<Vec<u64>> = directories
        .into_par_iter()
        .map(|directory| metadata_below(&directory))
        .collect();
    Ok(bytes + deeper?.into_iter().sum::<u64>())
}
