//! Approving as the tools suggest: what is missing of whom, in which version, and what a change would undo.

use conex_core::model::name::Id;
use conex_core::model::statement::Root;
use conex_core::model::vouch::{Subject, Vouch};
use conex_core::state::approval::Standing;
use conex_core::state::finding::Finding;
use conex_core::tools::compose::{Composition, Draft, INLINE, is_pending, is_unapproved};
use conex_core::tools::forecast::{Amendment, Change, Outlook};
use conex_core::tools::pre_approval::{outstanding, retraction, version_of};
use conex_core::tree::problem::Missing;
use conex_core::verify::Report;

use super::world::World;

/// More rounds than people who can be asked.
const ROUNDS: usize = 12;

impl World {
    /// Whoever is asked, one after the other and at most so many, approves what waits of a name.
    pub(super) fn approve_name(&mut self, line: usize, name: &str, most: u8) {
        self.follow_suggestions(line, |subject| subject.name() == name, most, false);
    }

    /// Content of the past is approved in a version above all that is ahead of it.
    pub(super) fn retract(&mut self, line: usize, name: &str) {
        self.follow_suggestions(line, |subject| subject.name() == name, 9, true);
    }

    /// Does what is suggested until nothing is, or nobody can; whether anything was done.
    pub(super) fn follow_suggestions(
        &mut self,
        line: usize,
        wanted: impl Fn(&Subject) -> bool,
        most: u8,
        also_behind: bool,
    ) -> bool {
        let mut acted = false;
        for _ in 0..ROUNDS.min(most.into()) {
            let report = self.view(line);
            let findings = report
                .findings
                .iter()
                .filter(|finding| wanted(&finding.subject));
            let findings = findings.filter(|finding| {
                is_pending(finding)
                    || (also_behind
                        && matches!(finding.assessment.standing, Standing::Behind { .. }))
            });
            let findings = findings.filter(|finding| self.is_genuine(line, finding));
            let findings: Vec<Finding> = findings.cloned().collect();
            if !self.one_approves(line, &report, &findings) {
                break;
            }
            acted = true;
        }
        acted
    }

    /// The first person who is asked for one of these, and can, vouches for all that they are asked for.
    fn one_approves(&mut self, line: usize, report: &Report, findings: &[Finding]) -> bool {
        let Some(head) = &report.head else {
            return false;
        };
        let (root, missing) = (head.root().clone(), report.missing());
        for finding in findings {
            let Some(lacking) = missing.get(&finding.subject) else {
                continue;
            };
            let Some(who) = self.whom(lacking, &root, line) else {
                continue;
            };
            let asked = findings.iter().filter(|other| {
                missing
                    .get(&other.subject)
                    .is_some_and(|missing| asks(missing, &who))
            });
            let mut vouches: Vec<Vouch> = asked
                .filter_map(|finding| Self::suggested(report, finding))
                .collect();
            vouches.extend(self.removals(line, report, &vouches));
            if !vouches.is_empty() {
                return self.sign(line, who.as_str(), &root, &vouches, report);
            }
        }
        false
    }

    /// Vouches for the absence of the releases that honest people removed, beside those for `releases`, as
    /// `conex publish` gives them. Now and then somebody forgets.
    fn removals(&self, line: usize, report: &Report, vouches: &[Vouch]) -> Vec<Vouch> {
        let Some(stage) = self.stages.last().filter(|_| !self.count.is_multiple_of(4)) else {
            return Vec::new();
        };
        let mut gone = Vec::new();
        for vouch in vouches {
            let Subject::Releases(package) = &vouch.subject else {
                continue;
            };
            for subject in stage.state.statements(package) {
                let Subject::Checksums(_, release) = &subject else {
                    continue;
                };
                let directory = format!("{package}/{release}");
                let absence =
                    crate::model::absence(&stage.state.root().origin, &subject, &self.scheme);
                let version = absence.and_then(|digest| version_of(report, &subject, digest));
                if self.below(line, &directory).is_empty()
                    && let Some((version, digest)) = version.zip(absence)
                {
                    gone.push(Vouch {
                        subject,
                        version,
                        digest,
                    });
                }
            }
        }
        gone
    }

    /// Whom to ask: of the first way that enough honest people can go.
    fn whom(&self, missing: &Missing, root: &Root, line: usize) -> Option<Id> {
        let ways = [&missing.owners, &missing.janitors];
        let mut ways = ways.into_iter().flatten().filter_map(|(more, people)| {
            let can = |who: &&Id| {
                let who = who.as_str();
                !self.is_bad(who) && self.signing_key(who, root, line).is_some()
            };
            let able: Vec<&Id> = people.iter().filter(can).collect();
            (able.len() >= *more).then(|| able.first().map(|who| (*who).clone()))?
        });
        ways.next()
    }

    /// The vouch that the tools suggest for the present content.
    pub(super) fn suggested(report: &Report, finding: &Finding) -> Option<Vouch> {
        if matches!(finding.assessment.standing, Standing::Behind { .. }) {
            let ahead = outstanding(report);
            let vouch = retraction(&finding.subject, finding.digest, ahead.iter());
            if vouch.is_some() {
                return vouch.filter(|vouch| Self::counts_at_all(report, vouch));
            }
        }
        Draft::of(finding)
            .map(Draft::vouch)
            .filter(|vouch| Self::counts_at_all(report, vouch))
    }

    /// Whether a vouch for an authorisation is in the epoch that its content sets: no other one counts.
    fn counts_at_all(report: &Report, vouch: &Vouch) -> bool {
        match &vouch.subject {
            Subject::Authorisation(package) => {
                let claim = report.metadata().authorisations.get(package);
                claim.is_none_or(|claim| claim.epoch == vouch.version.epoch())
            }
            _ => true,
        }
    }

    /// Signs vouches as one page; more than a few go into a batch.
    pub(super) fn sign(
        &mut self,
        line: usize,
        who: &str,
        root: &Root,
        vouches: &[Vouch],
        report: &Report,
    ) -> bool {
        let Some(key) = self.signing_key(who, root, line) else {
            return false;
        };
        let inline = if self.count.is_multiple_of(5) {
            1
        } else {
            INLINE
        };
        let drafts: Vec<Draft<'_>> = vouches.iter().map(Draft::from).collect();
        let composed = Composition::new(
            &root.origin,
            &self.scheme,
            super::world::id(who),
            self.fingerprint(&key),
            drafts,
            &report.metadata().batches,
            inline,
        );
        let Ok(composed) = composed else {
            return false;
        };
        let Ok((_, files)) = composed.sign(&root.origin, &self.scheme, &self.scheme.key(&key));
        let said: Vec<String> = vouches
            .iter()
            .map(|vouch| format!("{} {}", vouch.subject, vouch.version))
            .collect();
        self.tell(format!(
            "{key} approves {} on {}",
            said.join(", "),
            Self::line_name(line)
        ));
        for (place, bytes) in files {
            self.write(line, place.as_str(), bytes);
        }
        true
    }

    /// Whether the content of a finding is what honest people wrote, and lacks nothing that they did not remove.
    pub(super) fn is_genuine(&self, line: usize, finding: &Finding) -> bool {
        let tree = self.tree(line);
        let is_own = |path: &str| match &finding.subject {
            Subject::Repository => !path.contains('/'),
            Subject::Releases(name) | Subject::Checksums(name, _) => path
                .strip_prefix(name.as_str())
                .is_some_and(|rest| rest.starts_with('/')),
            _ => path == finding.place.as_str(),
        };
        let mut files = tree.files().filter(|(path, _)| is_own(path));
        let written = files.all(|(path, bytes)| self.is_honest(path, bytes));
        let kept = self.stages.last().is_none_or(|stage| {
            let mut before = stage
                .tree
                .files()
                .map(|(path, _)| path)
                .filter(|path| is_own(path));
            before.all(|path| tree.get(path).is_some() || self.removed.contains(path))
        });
        written && kept
    }

    /// Before a change of people or rules is made, what it would undo is vouched for anew, in the state to come.
    pub(super) fn adopt(
        &mut self,
        line: usize,
        report: &Report,
        mut change: Amendment,
        support: u8,
    ) {
        let Some(head) = &report.head else {
            return;
        };
        if support < 3 {
            return;
        }
        let root = change.root.clone().unwrap_or_else(|| head.root().clone());
        for _ in 0..ROUNDS {
            let lost = self.lost(report, &change);
            let Some((who, vouches)) = lost.iter().find_map(|first| {
                let who = self.whom(first.missing.as_ref()?, &root, line)?;
                let asked = |change: &&Change| {
                    change
                        .missing
                        .as_ref()
                        .is_some_and(|missing| asks(missing, &who))
                };
                let vouches: Vec<Vouch> = lost
                    .iter()
                    .filter(asked)
                    .filter_map(|change| change.vouch.clone())
                    .collect();
                (!vouches.is_empty()).then_some((who, vouches))
            }) else {
                return;
            };
            self.sign(line, who.as_str(), &root, &vouches, report);
            change.vouches.push((who, vouches));
        }
    }

    /// All that would be lost, with what is hidden on the line by content that is not approved.
    pub(super) fn all_lost(&self, report: &Report, change: &Amendment) -> Vec<Change> {
        let outlook = Outlook::new(report, &self.scheme);
        let forecast = outlook
            .map(|outlook| outlook.forecast(change))
            .unwrap_or_default();
        let lost = forecast.lost().cloned();
        lost.chain(self.hidden(report, change)).collect()
    }

    /// What clients would lose, and what has another content, not approved, on the line.
    fn hidden(&self, report: &Report, change: &Amendment) -> Vec<Change> {
        let Some(stage) = self.stages.last() else {
            return Vec::new();
        };
        let followed = self.view_of(&stage.tree);
        let head = |report: &Report| {
            report
                .head
                .as_ref()
                .map(conex_core::state::chain::Head::digest)
        };
        if head(&followed) != head(report) {
            return Vec::new();
        }
        let Some(outlook) = Outlook::new(&followed, &self.scheme) else {
            return Vec::new();
        };
        let is_hidden = |change: &&Change| {
            let before = followed.finding(&change.subject);
            let found = report.finding(&change.subject);
            found.is_none_or(|found| {
                is_unapproved(found) && before.is_none_or(|it| it.digest != found.digest)
            })
        };
        let forecast = outlook.forecast(change);
        forecast.lost().filter(is_hidden).cloned().collect()
    }

    /// What would be lost by itself: people first, as whatever they approved comes back with them.
    pub(super) fn lost(&self, report: &Report, change: &Amendment) -> Vec<Change> {
        let Some(outlook) = Outlook::new(report, &self.scheme) else {
            return Vec::new();
        };
        let forecast = outlook.forecast(change);
        let mut lost: Vec<Change> = forecast.lost().cloned().collect();
        lost.extend(self.hidden(report, change));
        if lost
            .iter()
            .any(|change| change.subject.kind().is_about_people())
        {
            lost.retain(|change| change.subject.kind().is_about_people());
        }
        lost
    }
}

/// Whether somebody is among those who are asked.
fn asks(missing: &Missing, who: &Id) -> bool {
    let ways = [&missing.owners, &missing.janitors];
    ways.into_iter()
        .flatten()
        .any(|(_, people)| people.contains(who))
}
