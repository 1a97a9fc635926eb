//! `conex compact`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use conex_core::model::crypto::Digests as _;
use conex_core::model::digest::Digest;
use conex_core::model::key::Fingerprint;
use conex_core::model::name::Id;
use conex_core::model::page::{Batch, BatchRef, PageBody};
use conex_core::model::path::Path as TreePath;
use conex_core::model::version::Version;
use conex_core::model::vouch::{Subject, Vouch};
use conex_core::state::approval::Standing;
use conex_core::state::finding::Finding;
use conex_core::tools::compose::{Composition, INLINE};
use conex_core::tools::forecast::{Amendment, Effect, Outlook};
use conex_core::tools::pre_approval::outstanding;
use conex_core::tree::metadata::{StoredPage, place};
use conex_core::tree::problem::Code;
use conex_crypto::StandardCrypto;

use crate::error::{CommandError, Result};
use crate::foresee;
use crate::keys::{self, KeyArguments};
use crate::lock;
use crate::output::{self, line, plain};
use crate::tree::{Tree, Work};
use crate::{git, prompt};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Delete superseded pages of this person, without signing anything [default: replace all of your pages
    /// with one, except those that approve what is still to come]
    #[arg(value_name = "PERSON")]
    person: Option<Id>,

    /// Delete superseded pages of everybody, without signing anything
    #[arg(long, conflicts_with = "person")]
    all: bool,

    /// Also delete batches that no page names any more. Use it only if no open branch can name them
    #[arg(long)]
    batches: bool,

    /// Say what would change, and write nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    key: KeyArguments,
}

pub(crate) fn run(repo: &Path, arguments: &Arguments) -> Result<()> {
    let tree = Tree::open(repo)?;
    let _lock = lock::take(&tree)?;
    if let Some(why) = git::in_the_way(tree.path())? {
        return Err(CommandError::refused(why).hint(
            "compaction is a change of its own on the main line: commit, or finish what is begun, first",
        ));
    }
    let work = tree.examine()?;
    if arguments.all {
        return delete(&tree, work, None, arguments);
    }
    if let Some(person) = &arguments.person {
        return delete(&tree, work, Some(person), arguments);
    }
    rewrite(&tree, work, arguments)
}

/// For each statement that is in the tree or approved as absent: its greatest approved version.
struct Measure<'w>(BTreeMap<&'w Subject, Option<Version>>);

impl<'w> Measure<'w> {
    fn new(work: &'w Work) -> Self {
        let is_settled = |finding: &&Finding| {
            finding.present || matches!(finding.assessment.standing, Standing::Approved(_))
        };
        let settled = work.report.findings.iter().filter(is_settled);
        let newest = settled.map(|finding| {
            let newest = match &finding.assessment.standing {
                Standing::Approved(newest)
                | Standing::Behind { newest, .. }
                | Standing::Differs { newest } => Some(newest.version),
                Standing::Equivocal { version } => Some(*version),
                Standing::Pending => None,
            };
            (&finding.subject, newest)
        });
        Self(newest.collect())
    }

    /// Whether anything can still depend on a vouch.
    ///
    /// A vouch is live if its version is the greatest approved one or above, or if its statement
    /// disappeared without an approval: that may return, and its version must not decrease for a client
    /// that last looked before.
    fn is_live(&self, vouch: &Vouch) -> bool {
        match self.0.get(&vouch.subject) {
            Some(Some(newest)) => vouch.version >= *newest,
            Some(None) | None => true,
        }
    }
}

/// The live part of some pages: everything that something can still depend on.
struct Live<'w> {
    references: BTreeSet<&'w BatchRef>,
    /// Live vouches that are in none of the named batches.
    vouches: BTreeSet<&'w Vouch>,
    /// All vouches of the named batches.
    covered: BTreeSet<&'w Vouch>,
    /// The number of vouches left out, batches aside.
    dropped: usize,
}

impl<'w> Live<'w> {
    fn of(work: &'w Work, pages: &[&'w StoredPage]) -> Self {
        let measure = Measure::new(work);
        let mut references: BTreeSet<&BatchRef> = BTreeSet::new();
        let mut covered: BTreeSet<&Vouch> = BTreeSet::new();
        let mut said: BTreeSet<&Vouch> = BTreeSet::new();
        for body in pages.iter().map(|stored| stored.page.body()) {
            said.extend(body.vouches());
            for reference in body.batches() {
                let Some(batch) = work.report.metadata().batches.get(&reference.digest()) else {
                    continue;
                };
                // A batch is kept whole: it is stored once, and other pages name it, too.
                if batch.vouches().iter().any(|vouch| measure.is_live(vouch)) {
                    references.insert(reference);
                    covered.extend(batch.vouches());
                }
            }
        }
        let all = said.len();
        said.retain(|vouch| measure.is_live(vouch));
        let dropped = all - said.len();
        said.retain(|vouch| !covered.contains(vouch));
        Self {
            references,
            vouches: said,
            covered,
            dropped,
        }
    }
}

/// Replaces all pages under the signer's key with a single one.
fn rewrite(tree: &Tree, work: &Work, arguments: &Arguments) -> Result<()> {
    let (locked, id) = keys::signer(&arguments.key, work.people())?;
    let key = locked.fingerprint();
    let metadata = &work.report.metadata();
    let is_void = is_void(work, &id);
    let counting = foresee::counting(work, &id, key);
    let own = metadata.pages.iter().filter(|stored| {
        let body = stored.page.body();
        let own = is_void && *body.signer() == id && body.key() == key;
        own || counting.contains(&stored.digest)
    });
    let (ahead, pages) = split_ahead(work, own);
    let Live {
        references,
        vouches,
        covered,
        dropped,
    } = Live::of(work, &pages);
    if pages.len() < 2 && dropped == 0 {
        let refused = CommandError::refused(format_args!("{id} has nothing to compact"));
        return Err(match ahead.len() {
            0 => refused.hint("conex compact --all deletes superseded pages of everybody"),
            _ => refused.hint(
                "what is approved ahead stays in pages of its own: merge it, or take it back: conex retract NAME",
            ),
        });
    }
    if vouches.is_empty() && references.is_empty() {
        return Err(CommandError::refused(format_args!(
            "nothing depends on the pages of {id}; a person's last page is never deleted"
        ))
        .hint(format_args!("conex compact {id} deletes all but one")));
    }
    let (body, batches) = compose(work, &id, key, &references, &vouches)?;
    let deleted: BTreeSet<Digest> = pages.iter().map(|stored| stored.digest).collect();
    let everything = vouches.iter().chain(&covered).map(|vouch| (*vouch).clone());
    nothing_changes(
        work,
        &Amendment {
            deleted,
            vouches: vec![(id.clone(), everything.collect())],
            ..Amendment::default()
        },
        is_void,
    )?;
    let mut out = output::stdout();
    line(
        &mut out,
        format_args!(
            "one page of {id} in place of {}: {} vouches, {} batches; {dropped} superseded vouches are left out",
            pages.len(),
            body.vouches().len(),
            body.batches().len()
        ),
    );
    for stored in ahead {
        line(
            &mut out,
            format_args!(
                "left alone, as its content is still to come: {}",
                stored.place
            ),
        );
    }
    let gone: Vec<TreePath> = pages.iter().map(|stored| stored.place.clone()).collect();
    let unused = unused(work, arguments, &gone, body.batches());
    tell(&mut out, &unused, "batch");
    if arguments.dry_run {
        return Ok(());
    }
    let secret = locked.confirm(&arguments.key, &format!("Sign this page as {id}?"))?;
    let composition = Composition {
        page: body,
        batches,
    };
    let (page, files) = composition
        .sign(&work.head.root().origin, &StandardCrypto, &secret)
        .map_err(CommandError::refused)?;
    page.verify(&work.head.root().origin, locked.public(), &StandardCrypto)
        .map_err(|_| {
            CommandError::refused(
                "the key gave a signature that does not verify; nothing was written",
            )
        })?;
    // A page with the same content as before has the same name.
    let written: BTreeSet<&TreePath> = files.iter().map(|(path, _)| path).collect();
    let mut deleted: Vec<TreePath> = gone;
    deleted.retain(|path| !written.contains(path));
    deleted.extend(unused);
    for path in written {
        line(&mut out, path);
    }
    tree.replace(files, deleted)?;
    line(&mut out, ALONE);
    Ok(())
}

/// Separates the pages that approve content still to come. Merged into one page with others, they would
/// delay those, wherever clients follow a branch of approved content.
fn split_ahead<'w>(
    work: &'w Work,
    pages: impl Iterator<Item = &'w StoredPage>,
) -> (Vec<&'w StoredPage>, Vec<&'w StoredPage>) {
    let ahead = outstanding(&work.report);
    let ahead: BTreeSet<_> = ahead
        .iter()
        .map(|it| (&it.subject, it.version, it.digest))
        .collect();
    let is_ahead = |vouch: &Vouch| ahead.contains(&(&vouch.subject, vouch.version, vouch.digest));
    let batches = &work.report.metadata().batches;
    pages.partition(|stored| {
        let body = stored.page.body();
        let named = body.batches().iter();
        let covered = named.filter_map(|reference| batches.get(&reference.digest()));
        let mut said = covered.flat_map(Batch::vouches).chain(body.vouches());
        said.any(is_ahead)
    })
}

const ALONE: &str = "commit this by itself: git add -A conex, git commit";

fn compose(
    work: &Work,
    id: &Id,
    key: Fingerprint,
    references: &BTreeSet<&BatchRef>,
    vouches: &BTreeSet<&Vouch>,
) -> Result<(PageBody, Vec<Batch>)> {
    let mut all: BTreeMap<Digest, BatchRef> = references
        .iter()
        .map(|reference| (reference.digest(), (*reference).clone()))
        .collect();
    let (mut inline, mut batches) = (Vec::new(), Vec::new());
    if !vouches.is_empty() {
        let composed = Composition::new(
            &work.head.root().origin,
            &StandardCrypto,
            id.clone(),
            key,
            vouches.iter().copied(),
            &work.report.metadata().batches,
            INLINE,
        )
        .map_err(CommandError::refused)?;
        inline = composed.page.vouches().to_vec();
        batches = composed.batches;
        let named = composed.page.batches().iter();
        all.extend(named.map(|reference| (reference.digest(), reference.clone())));
    }
    let body = PageBody::new(id.clone(), key, all.into_values().collect(), inline)
        .map_err(CommandError::refused)?;
    Ok((body, batches))
}

/// Whether a person has so many pages that none of them counts.
fn is_void(work: &Work, id: &Id) -> bool {
    let place = format!("conex/index/{id}");
    let mut void = work.report.with_code(Code::PersonVoid);
    void.any(|note| *note.place == *place)
}

/// Refuses a compaction that would change the status of any statement. If `gains` is set, statements may
/// gain approval, because the person's pages count again.
fn nothing_changes(work: &Work, proposal: &Amendment, gains: bool) -> Result<()> {
    let outlook = Outlook::new(&work.report, &StandardCrypto).ok_or_else(|| {
        CommandError::refused("there is no valid root here").hint("start with conex init")
    })?;
    let forecast = outlook.forecast(proposal);
    let changed = forecast
        .changes
        .iter()
        .find(|change| !(gains && change.effect == Effect::Gained))
        .map(|change| change.subject.to_string());
    let wrong = forecast.problems.first().map(ToString::to_string);
    match changed.or(wrong) {
        None => Ok(()),
        Some(first) => Err(CommandError::refused(format_args!(
            "this compaction would change the status of something: {}",
            plain(&first)
        ))
        .hint(
            "conex verify --main says whether everything is in order; if it is, please report this",
        )),
    }
}

/// Deletes pages that nothing can depend on. That needs no signature.
fn delete(tree: &Tree, work: &Work, person: Option<&Id>, arguments: &Arguments) -> Result<()> {
    let metadata = &work.report.metadata();
    let measure = Measure::new(work);
    let spent = spent_keys(work);
    let is_live = |stored: &StoredPage| {
        let body = stored.page.body();
        let batches = body
            .batches()
            .iter()
            .map(|reference| metadata.batches.get(&reference.digest()));
        let covered = batches.map(|batch| {
            batch.is_none_or(|batch| batch.vouches().iter().any(|vouch| measure.is_live(vouch)))
        });
        let inline = body.vouches().iter().map(|vouch| measure.is_live(vouch));
        inline.chain(covered).any(|live| live)
    };
    let mut deleted: Vec<&StoredPage> = Vec::new();
    for pages in metadata
        .pages
        .chunk_by(|a, b| a.page.body().signer() == b.page.body().signer())
    {
        let signer = pages.first().map(|stored| stored.page.body().signer());
        if person.is_some() && person != signer {
            continue;
        }
        let is_spent = |stored: &&StoredPage| {
            if work.state().counts_for(stored).is_none() {
                // A page that waits for its signer to be approved stays.
                spent.contains(&stored.page.body().key())
            } else {
                !is_live(stored)
            }
        };
        let gone: Vec<&StoredPage> = pages.iter().filter(is_spent).collect();
        // A person's last page is never deleted: git would treat it as renamed.
        let keep = usize::from(gone.len() == pages.len());
        deleted.extend(gone.into_iter().skip(keep));
    }
    nothing_changes(
        work,
        &Amendment {
            deleted: deleted.iter().map(|stored| stored.digest).collect(),
            ..Amendment::default()
        },
        false,
    )?;
    let mut out = output::stdout();
    let mut gone: Vec<TreePath> = deleted.iter().map(|stored| stored.place.clone()).collect();
    let batches = unused(work, arguments, &gone, &[]);
    if gone.is_empty() && batches.is_empty() {
        return Err(CommandError::refused("there is no superseded page")
            .hint("conex compact puts one page of yours in place of many"));
    }
    tell(&mut out, &gone, "page");
    tell(&mut out, &batches, "batch");
    if arguments.dry_run {
        return Ok(());
    }
    gone.extend(batches);
    if !arguments.key.yes {
        prompt::confirm("Delete these files?")?;
    }
    tree.replace(Vec::new(), gone)?;
    line(&mut out, ALONE);
    Ok(())
}

/// Returns keys that can no longer sign.
fn spent_keys(work: &Work) -> BTreeSet<Fingerprint> {
    let root = work.head.root();
    let former = root.former.iter().map(|former| &former.former.key);
    let authors = work.report.metadata().authors.values();
    let authors = authors.flat_map(|author| author.former.iter().map(|former| &former.key));
    former
        .chain(authors)
        .map(|key| StandardCrypto.fingerprint(key))
        .chain(root.revoked.iter().copied())
        .collect()
}

/// Returns the batches that no page names once the given files are deleted.
fn unused(
    work: &Work,
    arguments: &Arguments,
    gone: &[TreePath],
    named: &[BatchRef],
) -> Vec<TreePath> {
    if !arguments.batches {
        return Vec::new();
    }
    let gone: BTreeSet<&TreePath> = gone.iter().collect();
    let metadata = &work.report.metadata();
    let pages = metadata.pages.iter();
    let staying = pages.filter(|stored| !gone.contains(&stored.place));
    let used: BTreeSet<Digest> = staying
        .flat_map(|stored| stored.page.body().batches())
        .chain(named)
        .map(BatchRef::digest)
        .collect();
    let batches = metadata.batches.keys();
    batches
        .filter(|digest| !used.contains(digest))
        .map(|digest| place::batch(*digest))
        .collect()
}

fn tell(out: &mut impl std::io::Write, gone: &[TreePath], what: &str) {
    for path in gone {
        line(out, format_args!("superseded {what}: {path}"));
    }
}
