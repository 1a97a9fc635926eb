//! How often what was reached.

use std::collections::BTreeMap;

/// Counts by words.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    /// Steps by kind, and what came of them.
    pub steps: BTreeMap<String, usize>,
    /// Problems of verdicts by code, each once a verdict.
    pub codes: BTreeMap<String, usize>,
}

impl Coverage {
    pub(super) fn step(&mut self, kind: &str) {
        *self.steps.entry(kind.to_owned()).or_default() += 1;
    }

    pub(super) fn code(&mut self, code: &str) {
        *self.codes.entry(code.to_owned()).or_default() += 1;
    }

    /// Adds what others counted.
    pub fn add(&mut self, other: &Self) {
        for (word, count) in &other.steps {
            *self.steps.entry(word.clone()).or_default() += count;
        }
        for (word, count) in &other.codes {
            *self.codes.entry(word.clone()).or_default() += count;
        }
    }

    /// All counts, for people.
    pub fn told(&self) -> String {
        let told = |counts: &BTreeMap<String, usize>| -> String {
            let all: Vec<String> = counts
                .iter()
                .map(|(word, count)| format!("{word} {count}"))
                .collect();
            all.join(", ")
        };
        format!(
            "steps: {}\ncodes: {}\n",
            told(&self.steps),
            told(&self.codes)
        )
    }
}
