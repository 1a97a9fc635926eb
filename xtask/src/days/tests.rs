//! The small history, which contains one of everything.

use super::*;

fn replayed() -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    sample(directory.path(), None).unwrap()
}

#[test]
fn nothing_conflicts_and_nothing_waits() {
    let outcome = replayed();
    for side in &outcome.sides {
        side.followed.as_ref().unwrap();
        let figures = &side.figures;
        assert_eq!(figures.merges, 14);
        assert_eq!(figures.days.len(), 4);
        assert_eq!(figures.same_statement, [""; 0]);
        assert_eq!((figures.other_conflicts, figures.strayed), (0, 0));
        assert_eq!((figures.waited, figures.pending), (0, 0));
        // ann owns foo from day zero on, and baz with its first release; eve owns new.
        assert_eq!((figures.enrolled, figures.claimed), (2, 3));
        assert_eq!(figures.published, 6);
    }
}

#[test]
fn edits_are_counted_by_kind() {
    let edits = replayed().edits;
    let kinds: Vec<String> = edits
        .by_kind
        .iter()
        .map(|(kind, files)| format!("{kind} {files}"))
        .collect();
    assert_eq!(
        kinds,
        ["source 2", "bounds 4", "availability 1", "descriptive 1"]
    );
    assert_eq!((edits.edited, edits.upkeep), (8, 6));
    assert_eq!((edits.added, edits.removed), (7, 1));
}

#[test]
fn a_janitor_answers_two_prompts_a_day_at_most() {
    for side in replayed().sides {
        assert!(side.figures.prompts() <= 2);
        assert!(side.figures.ahead * 2 <= side.figures.merges);
    }
}
