//! Parallel execution on all cores.

use conex_core::tree::store::Workers;
use rayon::prelude::*;

/// Runs jobs on the threads of the surrounding rayon pool, in small pieces, so that one large package does
/// not keep the others waiting.
#[derive(Debug, Clone, Copy, Default)]
pub struct Parallel;

/// So few items are finished before other threads would have woken up.
const FEW: usize = 8;

/// The most items that one thread takes at once, while the others may have nothing left to do.
const PIECE: usize = 16;

impl Workers for Parallel {
    fn map<T, R, F>(&self, items: Vec<T>, job: F) -> Vec<R>
    where
        T: Send,
        R: Send,
        F: Fn(T) -> R + Sync,
    {
        if items.len() <= FEW {
            return items.into_iter().map(job).collect();
        }
        items
            .into_par_iter()
            .with_max_len(PIECE)
            .map(&job)
            .collect()
    }

    fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        rayon::join(a, b)
    }
}
