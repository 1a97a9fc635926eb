//! Where data repositories are stored, and what they look like.
//!
//! Stores give bytes, layouts say what they mean, projections tell source from upkeep; verification
//! itself is in `conex-core`. Everything that touches a file system is in this crate.
#![forbid(unsafe_code)]

pub mod directory;
pub mod layout;
pub mod opam;
pub mod work;
pub mod write;

pub use directory::DirectoryStore;
pub use layout::KnownSchemes;
pub use work::Parallel;
