//! Stores, layouts and projections of data repositories.
//!
//! Stores provide bytes, layouts give them meaning, and projections separate source from upkeep.
//! Verification itself is in `conex-core`. Everything that touches a file system is in this crate.
//!
//! Verifying a directory, here an empty one:
//!
//! ```
//! use conex_core::state::chain::Trust;
//! use conex_core::model::digest::Digest;
//! use conex_core::tree::problem::Code;
//! use conex_core::verify::{Mode, Verification};
//! use conex_crypto::StandardCrypto;
//! use conex_repo::{DirectoryStore, KnownSchemes, Parallel};
//!
//! let directory = tempfile::tempdir()?;
//! let report = Verification {
//!     store: &DirectoryStore::open(directory.path())?,
//!     schemes: &KnownSchemes,
//!     crypto: &StandardCrypto,
//!     workers: &Parallel,
//!     trust: &Trust::Root(Digest::parse(&"ab".repeat(32))?),
//!     mode: Mode::Enforce,
//!     ahead: false,
//! }
//! .run();
//! assert!(report.verified().is_none());
//! assert_eq!(report.problems[0].code, Code::RootMissing);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod archive;
pub mod attributes;
pub mod changes;
pub mod directory;
pub mod git;
pub mod infer;
pub mod layout;
pub mod marks;
pub mod opam;
pub mod patch;
pub mod people;
pub mod work;
pub mod write;

pub use archive::ArchiveStore;
pub use directory::DirectoryStore;
pub use git::{GitRepository, GitStore};
pub use layout::KnownSchemes;
pub use marks::Marks;
pub use patch::Patch;
pub use work::Parallel;
