//! Verifying a tree, and an update of a verified one (spec sections 8 and 9).
//!
//! What a client has to trust ends here.

mod floor;
mod narrow;
mod record;
pub(crate) mod transitions;
mod update;
mod verification;

pub use narrow::Changes;
pub use record::{CopyMark, CopyRecord, CopyState, EDITED, FloorMark, LocalRecord, MarkKind};
pub use update::{Before, Update, VerifiedState, Way};
pub(crate) use verification::margins;
pub use verification::{Counts, Mode, Report, Verification, Verified};
