//! Changes to stored statements about people and ownership: shows them, forecasts their effects, vouches
//! for them and writes them in one step.

use conex_core::model::path::Path;
use conex_core::model::stored::Stored;
use conex_core::model::vouch::Subject;
use conex_core::tools::compose::INLINE;
use conex_core::tools::forecast::Amendment;

use crate::error::{CommandError, Result};
use crate::foresee::{self, Step};
use crate::signing;
use crate::tree::{Tree, Work};
use crate::{keys, output, prompt};

/// A change to a stored statement.
pub(crate) struct Restated<'r, T> {
    pub(crate) subject: Subject,
    pub(crate) place: Path,
    /// The present statement, or `None` if it is new.
    pub(crate) before: Option<&'r T>,
    pub(crate) after: &'r T,
    /// The person whose own key is to stop signing. They cannot sign this change either.
    pub(crate) leaves: bool,
}

/// Writes a changed statement. A janitor vouches for it with the same prompt. Any other signer adopts what
/// they can.
pub(crate) fn finish<T: Stored>(
    tree: &Tree,
    work: &Work,
    restated: Restated<'_, T>,
    proposal: &Amendment,
    step: &Step,
) -> Result<()> {
    let Restated {
        subject,
        place,
        before,
        after,
        leaves,
    } = restated;
    let mut out = output::stdout();
    let (old, new) = (before.map_or_else(String::new, T::to_text), after.to_text());
    if old == new {
        return Err(
            CommandError::usage("that is how it is already").hint(format_args!(
                "conex status {0} says who approved it; conex approve {0} approves it",
                subject.name()
            )),
        );
    }
    foresee::difference(&mut out, place.as_str(), &old, &new);
    let (locked, id) = keys::signer(&step.key, work.people())?;
    let janitors = &work.head.root().janitors;
    let is_janitor = janitors
        .iter()
        .any(|janitor| janitor.keys.contains(locked.public()));
    let signer = (is_janitor || !leaves).then_some(&id);
    let foreseen = foresee::foresee(&mut out, (tree, work), proposal, signer, &step.adoption)?;
    if step.dry_run {
        return Ok(());
    }
    let mut vouches = foreseen.vouches;
    if is_janitor {
        if foreseen.approvals.is_empty() {
            return Err(CommandError::refused(format_args!(
                "the counters of {subject} are exhausted"
            ))
            .hint("revoke the key that ran them away: conex root revoke"));
        }
        vouches.extend(foreseen.approvals);
    }
    let mut files = vec![(place, new.into_bytes())];
    if vouches.is_empty() {
        if !step.key.yes {
            prompt::confirm(&format!("Write {subject} for the janitors to approve?"))?;
        }
    } else {
        let page = signing::compose(work, &id, locked.fingerprint(), &vouches, INLINE)?;
        let secret = locked.confirm(&step.key, &format!("Vouch for {subject} as {id}?"))?;
        files.extend(page.sign(work, &secret)?);
    }
    tree.write(files)?;
    foresee::tell_what_waits(&mut out, tree, &[subject])
}
