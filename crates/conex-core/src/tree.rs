//! Reading a tree: its files, its layout, its metadata and its content (spec sections 7, 8.1 and 10).
//!
//! What comes from here was read and accounted for. Whether anybody approved it is not known yet.

pub mod content;
pub mod inventory;
pub mod layout;
pub mod metadata;
pub mod problem;
pub mod projection;
pub mod schemes;
pub mod store;
