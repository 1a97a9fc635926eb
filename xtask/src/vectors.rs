//! `cargo xtask vectors`: cases with which an implementation in any language has to agree.
//!
//! One case per file, one folder per shape; `vectors/README.md` explains them. Everything follows from
//! names and texts in the code, so a change of any byte is a change of the format.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

mod projections;
mod repositories;
mod schemes;
mod spellings;
mod statements;
mod updates;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Changes nothing, and fails if there is anything to change.
    #[arg(long)]
    check: bool,
    /// The directory of the vectors.
    #[arg(long, default_value = "vectors")]
    directory: PathBuf,
}

/// Cases by their file names, `FOLDER/CASE`.
type Cases = BTreeMap<String, Value>;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut cases = Cases::new();
    statements::add(&mut cases);
    schemes::add(&mut cases);
    spellings::add(&mut cases);
    projections::add(&mut cases);
    repositories::add(&mut cases);
    updates::add(&mut cases);
    let mut wanted = BTreeMap::new();
    for (name, case) in cases {
        let text = serde_json::to_string_pretty(&case)? + "\n";
        wanted.insert(format!("{name}.json"), text);
    }
    let there = present(&arguments.directory)?;
    let mut differences = Vec::new();
    for (file, text) in &wanted {
        match there.get(file) {
            None => differences.push(format!("{file} is new")),
            Some(old) if old != text => differences.push(format!("{file} changes")),
            Some(_) => {}
        }
    }
    let gone = there.keys().filter(|file| !wanted.contains_key(*file));
    differences.extend(gone.map(|file| format!("{file} is gone")));
    for difference in &differences {
        println!("{difference}");
    }
    if arguments.check {
        anyhow::ensure!(
            differences.is_empty(),
            "{} vectors differ",
            differences.len()
        );
    } else {
        for file in there.keys().filter(|file| !wanted.contains_key(*file)) {
            fs::remove_file(arguments.directory.join(file))?;
        }
        for (file, text) in &wanted {
            let file = arguments.directory.join(file);
            fs::create_dir_all(file.parent().context("a file is in a directory")?)?;
            fs::write(file, text)?;
        }
    }
    println!("{} vectors", wanted.len());
    Ok(())
}

/// Returns the existing vectors, by `FOLDER/CASE.json`.
fn present(directory: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    if !directory.is_dir() {
        return Ok(found);
    }
    for folder in fs::read_dir(directory)? {
        let folder = folder?;
        if !folder.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(folder.path())? {
            let file = file?;
            let name = format!(
                "{}/{}",
                folder.file_name().to_string_lossy(),
                file.file_name().to_string_lossy()
            );
            found.insert(name, fs::read_to_string(file.path())?);
        }
    }
    Ok(found)
}

/// Formats bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        use core::fmt::Write as _;
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
