//! Reads every file named `opam` below the given directories and says how that went: files read,
//! files that aren't readable and why, and how fast.
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs, io};

use conex_core::tree::projection::Projection;
use conex_repo::opam::OpamProjection;

fn main() -> io::Result<()> {
    let mut paths = Vec::new();
    for directory in env::args().skip(1) {
        walk(Path::new(&directory), &mut paths)?;
    }
    paths.sort();
    let files: Vec<Vec<u8>> = paths.iter().map(fs::read).collect::<Result<_, _>>()?;
    let (mut refused, mut form) = (0, 0);
    for (path, bytes) in paths.iter().zip(&files) {
        let mut source = Vec::new();
        match OpamProjection.project(bytes, &mut source) {
            Ok(()) => form += source.len(),
            Err(error) => {
                refused += 1;
                println!("{}: {error}", path.display());
            }
        }
    }
    let bytes: usize = files.iter().map(Vec::len).sum();
    let took = (0..20).map(|_| round(&files)).min().unwrap_or_default();
    let speed = bytes as u128 / took.as_micros().max(1);
    println!("{} files, {bytes} bytes, {form} of source", files.len());
    println!("{refused} unreadable");
    println!("{took:?} at best of twenty, {speed} MB/s");
    Ok(())
}

/// How long the source forms of all files take, on one core.
fn round(files: &[Vec<u8>]) -> Duration {
    let mut source = Vec::new();
    let start = Instant::now();
    for bytes in files {
        source.clear();
        // What is unreadable was said above.
        let _ = OpamProjection.project(bytes, &mut source);
    }
    start.elapsed()
}

fn walk(directory: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), found)?;
        } else if kind.is_file() && entry.file_name() == "opam" {
            found.push(entry.path());
        }
    }
    Ok(())
}
