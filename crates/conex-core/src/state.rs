//! The state of a community: its newest root, its people, their vouches, and what these approve (spec sections 3, 4 and 8.3).

pub mod approval;
pub mod baseline;
pub mod chain;
pub mod finding;
pub(crate) mod index;
pub(crate) mod judge;
pub(crate) mod ownership;
pub mod people;
pub(crate) mod scope;
pub(crate) mod settle;
pub(crate) mod standing;
