//! Tools for people: signing, foreseeing what a change does, and advancing what clients follow (spec sections 4.5, 6.4,
//! 6.5, 9.7 and 11).
//!
//! A client needs none of it and trusts none of it: whatever a tool makes is verified like anything else.

pub mod advance;
pub mod compose;
pub mod conformance;
pub mod forecast;
pub mod pre_approval;
pub mod proposal;
