//! The threat catalogue, row by row: each test is named after its row, holds the exact refusal
//! against the hostile change, and has the honest version of the same change accepted.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::format_collect,
    reason = "a test may stop where it stands"
)]

mod content;
mod limits;
mod people;
mod replay;
mod roots;
mod sequences;
mod theft;
mod updates;
