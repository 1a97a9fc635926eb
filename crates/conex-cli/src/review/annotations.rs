//! Reviews as annotations of a workflow run on GitHub.
//!
//! A runner treats every line that begins with `::` as a command. Each annotation is therefore one line,
//! and foreign text is escaped the way the runner's own tools do it.

use std::io::Write;

use super::view::{ChangeView, ReviewView};
use crate::output::{count, line, plain};

/// Prints everything that somebody should look at.
pub(crate) fn print(out: &mut impl Write, review: &ReviewView) {
    for change in &review.changes {
        self::change(out, change);
    }
}

fn change(out: &mut impl Write, change: &ChangeView) {
    for problem in &change.problems {
        let statement = match &problem.statement {
            Some(statement) => format!("{statement}: "),
            None => String::new(),
        };
        let text = format!("{statement}{}. {}", problem.detail, problem.advice);
        let title = format!("conex: {}", problem.code);
        annotation(out, "error", (&problem.place, problem.line), &title, &text);
    }
    for conflict in &change.conflicts {
        annotation(
            out,
            "error",
            (&conflict.place, None),
            "conex: conflict",
            &conflict.why,
        );
    }
    for warning in &change.warnings {
        let title = format!("conex: {}", warning.code);
        annotation(
            out,
            "warning",
            (&warning.place, None),
            &title,
            &warning.text,
        );
    }
    for (needs, waiting) in change.needs() {
        let Some(first) = waiting.first() else {
            continue;
        };
        let rest = match waiting.len() {
            1 => String::new(),
            many => format!(" and {}", count(many - 1, "more statement")),
        };
        let text = format!("{}{rest}: needs {needs}", first.statement);
        annotation(out, "notice", (&first.place, None), "conex: pending", &text);
    }
}

fn annotation(
    out: &mut impl Write,
    command: &str,
    (file, at): (&str, Option<usize>),
    title: &str,
    text: &str,
) {
    let at = at.map_or_else(String::new, |at| format!(",line={at}"));
    line(
        out,
        format_args!(
            "::{command} file={}{at},title={}::{}",
            property(file),
            property(title),
            data(text)
        ),
    );
}

fn data(text: &str) -> String {
    // `plain` has already escaped invisible characters, so there are no line ends left.
    plain(text).replace('%', "%25")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The output is one line, whatever the text.
    #[test]
    fn nothing_breaks_out_of_an_annotation() {
        let mut out = Vec::new();
        let odd = "a\r\n::error::pwned\u{2028}%0A::set-output name=x::y,file=z\x1b[2J\u{202e}";
        annotation(&mut out, "warning", (odd, Some(3)), odd, odd);
        let said = String::from_utf8(out).unwrap();
        assert_eq!(said.matches('\n').count(), 1);
        assert!(said.ends_with('\n'));
        assert!(!said.contains(['\r', '\x1b', '\u{2028}', '\u{202e}']));
        let (properties, rest) = said
            .strip_prefix("::warning ")
            .unwrap()
            .split_once("::")
            .unwrap();
        assert_eq!(properties.matches(',').count(), 2);
        assert_eq!(properties.matches('=').count(), 3 + 2 * 2);
        assert!(rest.contains("%250A") && !rest.contains("%0A"));
    }
}
