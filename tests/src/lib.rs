//! What the tests share: honest communities made from nothing but their names, in memory or on disk.
//!
//! Everything here is deterministic: the key of a person follows from the name, no clock is read
//! and no randomness is used.

pub mod adversary;
mod client;
mod community;
pub mod generate;
mod history;
pub mod model;
pub mod opam;
pub mod oracle;
pub mod parsers;
pub mod patches;
mod pilot;
pub mod shapes;
mod traffic;
mod verdict;

pub use client::{Client, Counting, TRANSITIONS, changes};
pub use community::{
    Community, fingerprint, former, id, janitor, opam_file, package, path, secret, subject, version,
};
pub use history::{History, PACKAGES, Step};
pub use pilot::{Pilot, waits};
pub use traffic::{Happening, NAMES, Traffic};
pub use verdict::{Asked, Verdict, asked, listed, verify};

/// How many cases a property is tested with: as many as CI has time for, or with `CONEX_CASES=20` twenty
/// times as many.
///
/// # Panics
/// Where `CONEX_CASES` is no number.
pub fn cases(usual: u32) -> u32 {
    let times = std::env::var("CONEX_CASES").ok();
    let times = times.map_or(1, |times| times.parse().expect("CONEX_CASES is a number"));
    usual * times
}
