//! Writes a signed repository of a given size: `generate DIRECTORY [PACKAGES RELEASES [SEED]]`.
#![expect(
    clippy::print_stdout,
    reason = "what a client is to be given has to be said"
)]

use std::io;
use std::path::Path;

use conex_core::state::chain::Trust;
use conex_tests::generate::{Size, generate};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((directory, numbers)) = arguments.split_first() else {
        return Err(io::Error::other(
            "generate DIRECTORY [PACKAGES RELEASES [SEED]]",
        ));
    };
    let numbers: Vec<usize> = numbers
        .iter()
        .map(|number| number.parse().map_err(io::Error::other))
        .collect::<io::Result<_>>()?;
    let mut size = Size::TENFOLD;
    if let [packages, releases, rest @ ..] = numbers.as_slice() {
        size.packages = *packages;
        size.releases = *releases;
        size.seed = rest.first().map_or(1, |seed| *seed as u64);
    }
    match generate(Path::new(directory), &size)? {
        Trust::Root(digest) => println!("{digest}"),
        other => println!("{other:?}"),
    }
    Ok(())
}
