//! The data model: what is written in a repository, and how (spec sections 2 to 6).
//!
//! Everything here is a value. A value that exists is well formed: its constructor checked it. None of it says whether
//! anybody approved anything.

pub mod crypto;
pub mod digest;
pub mod encoding;
pub mod key;
pub mod limits;
pub mod name;
pub mod page;
pub mod path;
pub mod statement;
pub mod stored;
pub mod version;
pub mod vouch;
