//! Random communities with an attacker among them, held against the model (`crate::model`).
//!
//! A [`Plan`] is drawn from a seed: the community's settings, and steps. Each step is data and takes its
//! choices from numbers inside it, so that any steps can be left out, and the rest still says what it said.
//! [`Plan::run`] carries the steps out and stops at the first [`Violation`]; [`shrink()`] leaves out
//! what is not needed for it.
//!
//! What has to hold, by the letters of violations:
//!
//! - `a`: the verdicts of the default and the fast way agree with each other and with the model's;
//! - `b`: whatever is accepted was written by honest people, or the attacker's keys alone are entitled to approve it;
//! - `c`: along the states that one client accepts no version falls, but for the reasons in the specification;
//! - `d`: a state that `advance` makes is accepted by every client of an earlier one;
//! - `e`: what honest people approve reaches the followed state, or a reason is named;
//! - `f`: who follows the suggestions of the tools ends in a state that is accepted.

mod attack;
mod carry;
mod check;
mod clients;
mod coverage;
mod exhaustive;
mod honest;
mod plan;
mod random;
mod roots;
mod scheme;
mod settle;
mod shrink;
mod step;
mod suggest;
mod world;

pub use coverage::Coverage;
pub use exhaustive::{Explored, SMALL, explore, themes};
pub use plan::{Plan, Settings};
pub use scheme::{Key, Scheme};
pub use shrink::shrink;
pub use step::Step;

/// What did not hold, and the story up to there.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The letter of what had to hold; `p` for a panic.
    pub invariant: char,
    /// What it is about, without names: two violations of one kind are alike.
    pub kind: String,
    /// What was found.
    pub detail: String,
    /// What happened before, a line for each act.
    pub story: Vec<String>,
}

impl core::fmt::Display for Violation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for line in &self.story {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "violated: ({}) {}", self.invariant, self.kind)?;
        f.write_str(&self.detail)
    }
}
