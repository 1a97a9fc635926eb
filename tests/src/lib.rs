//! What the tests share: honest communities made from nothing but their names, in memory or on disk.
//!
//! Everything here is deterministic: the key of a person follows from the name, no clock is read
//! and no randomness is used.

mod client;
mod community;
pub mod generate;
mod history;
pub mod oracle;
pub mod parsers;
mod pilot;
mod traffic;
mod verdict;

pub use client::{Client, Counting, TRANSITIONS, changes};
pub use community::{
    Community, fingerprint, former, id, janitor, opam_file, package, path, secret, subject, version,
};
pub use history::{History, PACKAGES, Step};
pub use pilot::{Pilot, waits};
pub use traffic::{Happening, NAMES, Traffic};
pub use verdict::{Verdict, verify};
