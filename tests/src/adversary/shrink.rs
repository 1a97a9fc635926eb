//! Leaving out what a violation does not need.

use super::Violation;
use super::coverage::Coverage;
use super::plan::Plan;

/// The shortest plan found that still has a violation of the same kind, with that violation.
pub fn shrink(plan: &Plan, violation: &Violation) -> (Plan, Violation) {
    let (mut best, mut found) = (plan.clone(), violation.clone());
    let mut size = best.steps.len().div_ceil(2).max(1);
    loop {
        let mut shorter = false;
        let mut at = 0;
        while at < best.steps.len() {
            let mut next = best.clone();
            next.steps.drain(at..(at + size).min(next.steps.len()));
            match next.run(&mut Coverage::default()) {
                Err(same) if (same.invariant, &same.kind) == (found.invariant, &found.kind) => {
                    (best, found) = (next, *same);
                    shorter = true;
                }
                _ => at += size,
            }
        }
        if size == 1 && !shorter {
            return (best, found);
        }
        size = size.div_ceil(2).max(1);
    }
}
