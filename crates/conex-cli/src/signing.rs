//! The end of every command that publishes something: one prompt, one signature, one change.

use conex_core::model::crypto::Signer as _;
use conex_core::model::key::Fingerprint;
use conex_core::model::limits;
use conex_core::model::name::{Id, PackageName};
use conex_core::model::statement::Author;
use conex_core::model::stored::Stored as _;
use conex_core::state::people::People;
use conex_core::tools::compose::{Composition, Draft, Files, INLINE};
use conex_core::tree::metadata::place;
use conex_crypto::StandardCrypto;

use crate::attributes;
use crate::error::{CommandError, Result};
use crate::keys::{self, KeyArguments, Locked, Unlocked};
use crate::output::{self, line};
use crate::tree::{Tree, Work};

/// A person with the key they sign with.
pub(crate) struct Member {
    pub(crate) locked: Locked,
    pub(crate) id: Id,
}

impl Member {
    /// Finds a signer who is known here through an approved statement.
    pub(crate) fn known(arguments: &KeyArguments, people: &People) -> Result<Self> {
        let (locked, id) = keys::signer(arguments, people)?;
        Ok(Self { locked, id })
    }

    /// Whether their vouch for the content of a package counts, even if it is not enough alone.
    pub(crate) fn decides(&self, work: &Work, package: &PackageName) -> bool {
        let owners = work.state().owners(package);
        work.people().find(&self.id).is_some_and(|person| {
            work.people().janitors().contains(&person)
                || owners.is_some_and(|(owners, _)| owners.people.contains(&person))
        })
    }

    /// Whether the member is one of these owners, directly or through a team.
    pub(crate) fn is_among(&self, work: &Work, owners: &[Id]) -> bool {
        let teams = &work.report.metadata().teams;
        owners.iter().any(|owner| {
            let team = teams.get(owner);
            *owner == self.id || team.is_some_and(|team| team.members.contains(&self.id))
        })
    }

    /// Finds a signer who is known, or whose enrolment is in the tree but not approved yet. What the latter
    /// signs counts once they are approved.
    pub(crate) fn known_or_enrolled(arguments: &KeyArguments, work: &Work) -> Result<Self> {
        let authors = &work.report.metadata().authors;
        let origin = &work.head.root().origin;
        let proves = |author: &Author, locked: &Locked| {
            author.keys.iter().any(|listed| {
                listed.key == *locked.public()
                    && listed.verify(origin, &author.id, &StandardCrypto).is_ok()
            })
        };
        let (locked, id) = keys::choose(arguments, "this repository", |locked| {
            work.people()
                .holder(locked.fingerprint())
                .or_else(|| {
                    let author = authors.values().find(|author| proves(author, locked))?;
                    Some(&author.id)
                })
                .cloned()
        })?;
        Ok(Self { locked, id })
    }
}

/// Vouches to sign, and files that go with them.
pub(crate) struct Publication<'a> {
    /// Statements to write together with the page.
    pub(crate) files: Files,
    /// The vouches. If there are none, only the files are written.
    pub(crate) drafts: Vec<Draft<'a>>,
    /// The most vouches to put into the page itself; more of them go into batches.
    pub(crate) inline: usize,
    /// The question to ask before signing.
    pub(crate) question: String,
}

impl<'a> Publication<'a> {
    /// Creates a publication of vouches only, with a question that gives their number.
    pub(crate) fn of(drafts: Vec<Draft<'a>>, id: &Id) -> Self {
        let question = match drafts.len() {
            1 => format!("Vouch for this as {id}?"),
            many => format!("Vouch for these {many} statements as {id}?"),
        };
        Self {
            files: Files::new(),
            drafts,
            inline: INLINE,
            question,
        }
    }

    /// Asks, signs, checks the signature, and writes everything or nothing. Prints what it wrote.
    pub(crate) fn sign(
        self,
        tree: &Tree,
        work: &Work,
        member: &Member,
        arguments: &KeyArguments,
    ) -> Result<()> {
        attributes::show(&work.report.notes);
        tree.stored_alike(&work.head, self.drafts.iter().map(Draft::subject))?;
        let mut files = self.files;
        if self.drafts.is_empty() {
            if !arguments.yes {
                crate::prompt::confirm(&self.question)?;
            }
        } else {
            let page = compose(
                work,
                &member.id,
                member.locked.fingerprint(),
                self.drafts,
                self.inline,
            )?;
            let secret = member.locked.confirm(arguments, &self.question)?;
            // Content of another revision may be named by batches that exist only there.
            files.extend(page.batches_absent_from(tree, work));
            files.extend(page.sign(work, &secret)?);
        }
        let written: Vec<String> = files.iter().map(|(path, _)| path.to_string()).collect();
        tree.write(files)?;
        let mut out = output::stdout();
        for path in written {
            line(&mut out, path);
        }
        Ok(())
    }
}

/// A page ready to be signed, if there is anything to sign.
pub(crate) struct Ready(Option<Composition>);

/// Arranges vouches into a page under a key; more than `inline` of them go into batches. Without vouches
/// there is no page.
pub(crate) fn compose<'f>(
    work: &Work,
    id: &Id,
    key: Fingerprint,
    vouches: impl IntoIterator<Item: Into<Draft<'f>>>,
    inline: usize,
) -> Result<Ready> {
    let drafts: Vec<Draft<'f>> = vouches.into_iter().map(Into::into).collect();
    if drafts.is_empty() {
        return Ok(Ready(None));
    }
    if let Some(warning) = room(id, work.state().pages_of(id).count())? {
        line(&mut output::stderr(), warning);
    }
    Composition::new(
        &work.head.root().origin,
        &StandardCrypto,
        id.clone(),
        key,
        drafts,
        &work.report.metadata().batches,
        inline,
    )
    .map(|composition| Ready(Some(composition)))
    .map_err(CommandError::refused)
}

/// Checks whether a person with this many counting pages may sign another one. Returns a warning from half
/// of the limit on, and refuses at the limit (spec section 6.6).
fn room(id: &Id, pages: usize) -> Result<Option<String>> {
    if pages >= limits::ACCEPTED {
        return Err(CommandError::refused(format_args!(
            "{id} has {pages} pages, and nobody should sign more than {}; nothing was signed",
            limits::ACCEPTED
        ))
        .hint("make one page of many, in a change of its own: conex compact"));
    }
    Ok((pages >= limits::ACCEPTED / 2).then(|| {
        format!(
            "note: {id} has {pages} pages, of {} at most; conex compact makes one of many",
            limits::ACCEPTED
        )
    }))
}

impl Ready {
    /// Returns the stored batches that the page names and the working copy lacks.
    pub(crate) fn batches_absent_from(&self, tree: &Tree, work: &Work) -> Files {
        let named = self.0.iter().flat_map(|it| it.page.batches());
        named
            .filter_map(|named| {
                let batch = work.report.metadata().batches.get(&named.digest())?;
                let place = place::batch(named.digest());
                let is_there = tree.path().join(place.as_str()).exists();
                (!is_there).then(|| (place, batch.to_text().into_bytes()))
            })
            .collect()
    }

    /// Signs the page, checks the signature, and returns the files to store.
    pub(crate) fn sign(self, work: &Work, secret: &Unlocked) -> Result<Files> {
        let Some(composition) = self.0 else {
            return Ok(Files::new());
        };
        let origin = &work.head.root().origin;
        let (page, files) = composition
            .sign(origin, &StandardCrypto, secret)
            .map_err(CommandError::refused)?;
        page.verify(origin, secret.public_key(), &StandardCrypto)
            .map_err(|_| {
                CommandError::refused(
                    "the key gave a signature that does not verify; nothing was written",
                )
            })?;
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_warns_at_half_and_refuses_before_signing() {
        let id = Id::parse("dave").unwrap();
        let told = |pages| room(&id, pages).map(|warning| warning.is_some()).ok();
        assert_eq!(told(limits::ACCEPTED / 2 - 1), Some(false));
        assert_eq!(told(limits::ACCEPTED / 2), Some(true));
        assert_eq!(told(limits::ACCEPTED - 1), Some(true));
        assert_eq!(told(limits::ACCEPTED), None);
    }
}
