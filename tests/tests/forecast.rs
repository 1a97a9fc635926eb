//! What is foretold is what comes.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use conex_core::model::digest::Digest;
use conex_core::model::name::Id;
use conex_core::model::statement::{
    Author, AuthorFields, Authorisation, AuthorisationFields, FormerJanitor, Root, RootFields,
    Team, TeamFields,
};
use conex_core::model::stored::Stored;
use conex_core::model::version::Threshold;
use conex_core::model::vouch::{Subject, Vouch};
use conex_core::state::approval::Standing;
use conex_core::state::finding::Finding;
use conex_core::tools::compose::Draft;
use conex_core::tools::forecast::{Amendment, Effect, Forecast, Outlook, narrow};
use conex_core::tree::metadata::place;
use conex_core::tree::problem::Code;
use conex_crypto::StandardCrypto;
use conex_tests::{Community, Verdict, cases, fingerprint, former, id, package, path, secret};
use proptest::prelude::*;

fn threshold(people: u16) -> Threshold {
    Threshold::new(people).unwrap()
}

/// A settled community in which some stand on more legs than others.
static SETTLED: LazyLock<Community> =
    LazyLock::new(|| Community::settled_by("plain", |root| root.unclaimed = root.quorum));

fn foretell(community: &Community, proposal: &Amendment) -> Forecast {
    let verdict = community.verify_main();
    let outlook = Outlook::new(&verdict, &StandardCrypto).unwrap();
    outlook.forecast(proposal)
}

fn lost(forecast: &Forecast) -> Vec<String> {
    forecast
        .lost()
        .map(|lost| lost.subject.to_string())
        .collect()
}

fn is_approved(finding: &Finding) -> bool {
    matches!(finding.assessment.standing, Standing::Approved(_))
}

fn approved(verdict: &Verdict) -> BTreeSet<Subject> {
    let findings = verdict.findings.iter();
    findings
        .filter(|finding| is_approved(finding))
        .map(|finding| finding.subject.clone())
        .collect()
}

/// The next root, as it would be proposed.
fn next(community: &Community, change: impl FnOnce(&mut RootFields)) -> Root {
    let mut after = community.clone();
    after.propose_root(change);
    after.root().clone()
}

fn leaves(who: &str, pages: &[String]) -> impl Fn(&mut RootFields) {
    let (who, gone) = (
        id(who),
        FormerJanitor {
            id: id(who),
            former: former(who, pages),
        },
    );
    move |root| {
        root.janitors.retain(|janitor| janitor.id != who);
        root.former.push(gone.clone());
    }
}

#[test]
fn janitor_loss() {
    let community = &*SETTLED;
    // With the pages listed nothing is lost; without them, what stood on exactly the quorum is, and
    // so is what its owners approved: nobody knows them any more.
    let everything: Vec<String> = approved(&community.verify())
        .iter()
        .map(ToString::to_string)
        .filter(|subject| subject != "bar/0.1 checksums") // one janitor is enough for these
        .collect();
    for (pages, expected) in [(community.pages("bob"), vec![]), (vec![], everything)] {
        let root = next(community, leaves("bob", &pages));
        let proposal = Amendment {
            root: Some(root),
            ..Amendment::default()
        };
        let forecast = foretell(community, &proposal);
        assert_eq!(lost(&forecast), expected);
        let mut after = community.clone();
        after.next_root(&["alice", "carol"], leaves("bob", &pages));
        assert_eq!(after.verify().verified().is_some(), expected.is_empty());
        // Whoever is asked stands behind all of it in one page, and nothing was lost.
        let vouches: Vec<Vouch> = forecast
            .lost()
            .filter_map(|lost| lost.vouch.clone())
            .collect();
        if !vouches.is_empty() {
            after.vouch("carol", &vouches);
        }
        after.verify().accepted();
    }
}

#[test]
fn a_forecast_says_who_is_missing_and_what_mends_it() {
    let community = &*SETTLED;
    let root = next(community, leaves("bob", &[]));
    let proposal = Amendment {
        root: Some(root),
        ..Amendment::default()
    };
    let forecast = foretell(community, &proposal);
    let files = forecast.lost().next().unwrap();
    assert_eq!(files.subject, Subject::Repository);
    assert_eq!(files.by, [id("alice"), id("bob")]);
    assert_eq!(files.stay, [id("alice")]);
    let missing = files.missing.as_ref().unwrap();
    assert_eq!(missing.janitors, Some((1, vec![id("carol")])));
    // Carol's vouches for all that mend it: as foretold, so in fact.
    let vouches: Vec<Vouch> = forecast
        .lost()
        .map(|lost| lost.vouch.clone().unwrap())
        .collect();
    let adopted = foretell(
        community,
        &Amendment {
            vouches: vec![(id("carol"), vouches.clone())],
            ..proposal
        },
    );
    assert!(adopted.is_harmless(), "{adopted:?}");
    assert_eq!(adopted.with(Effect::Fell).count(), 0);
    let mut after = community.clone();
    after.next_root(&["alice", "carol"], leaves("bob", &[]));
    after.vouch("carol", &vouches);
    after.verify().accepted();
}

#[test]
fn margins() {
    let community = &*SETTLED;
    let verdict = community.verify();
    let on_the_edge: Vec<String> = narrow(&verdict)
        .map(|finding| finding.subject.to_string())
        .collect();
    assert!(on_the_edge.contains(&"bar releases".to_owned()));
    assert!(on_the_edge.contains(&"dave author".to_owned()));
    let outlook = Outlook::new(&verdict, &StandardCrypto).unwrap();
    assert_eq!(lost(&outlook.without(&id("carol"))), Vec::<String>::new());
    assert_eq!(
        lost(&outlook.without(&id("erin"))),
        ["lib releases", "lib/1 checksums"]
    );
    let packages = outlook.without(&id("erin"));
    assert_eq!(packages.packages().len(), 1);
    // A third vouch, and nobody of the three is needed.
    let mut community = community.clone();
    let present = community.present("bar releases", "0.1");
    community.vouch("carol", &[present]);
    let verdict = community.verify();
    assert!(narrow(&verdict).all(|finding| finding.subject.to_string() != "bar releases"));
}

#[test]
fn problems_of_people_are_foretold() {
    let community = &*SETTLED;
    let retire = |fields: &mut AuthorFields| {
        fields.retired = true;
        fields.keys.clear();
    };
    let proposal = Amendment {
        authors: vec![edited_author(community, "dave", retire)],
        ..Amendment::default()
    };
    let forecast = foretell(community, &proposal);
    let codes: Vec<(Code, &str)> = forecast
        .problems
        .iter()
        .map(|problem| (problem.code, &*problem.place))
        .collect();
    assert_eq!(codes, [(Code::Retired, "conex/packages/foo.toml")]);
    let mut after = community.clone();
    after.edit_author("dave", retire);
    after.approve_by(&["alice", "bob"], "dave");
    after
        .verify()
        .refused_for(Code::Retired, "conex/packages/foo.toml");
    // A proposal that changes nothing is foretold to change nothing.
    assert_eq!(
        foretell(community, &Amendment::default()),
        Forecast::default()
    );
}

fn read<T: Stored>(community: &Community, place: &str) -> T {
    T::from_bytes(community.read(place).as_bytes()).unwrap()
}

fn edited_author(community: &Community, who: &str, edit: impl Fn(&mut AuthorFields)) -> Author {
    let place = place::author(&id(who));
    let mut fields = AuthorFields::from(read::<Author>(community, place.as_str()));
    edit(&mut fields);
    Author::new(fields).unwrap()
}

/// One thing that changes who may sign.
#[derive(Debug, Clone)]
enum Step {
    Leave(usize, bool),
    Join,
    Revoke(usize, bool),
    Rules(u16, u16, u16),
    Rotate(bool),
    RevokeAuthor,
    Team(Vec<usize>),
    Claim(usize, usize, u16, u32),
    Delete(Vec<prop::sample::Index>),
}

const PEOPLE: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3_usize, any::<bool>()).prop_map(|(who, kept)| Step::Leave(who, kept)),
        Just(Step::Join),
        (0..3_usize, any::<bool>()).prop_map(|(who, kept)| Step::Revoke(who, kept)),
        (1..4_u16, 1..4_u16, 1..4_u16).prop_map(|(q, u, n)| Step::Rules(q, u.min(q), n.min(q))),
        any::<bool>().prop_map(Step::Rotate),
        Just(Step::RevokeAuthor),
        prop::collection::vec(0..5_usize, 1..4).prop_map(Step::Team),
        (0..3_usize, 0..5_usize, 1..3_u16, 0..2_u32)
            .prop_map(|(what, who, threshold, epoch)| Step::Claim(what, who, threshold, epoch)),
        prop::collection::vec(any::<prop::sample::Index>(), 1..4).prop_map(Step::Delete),
    ]
}

/// The proposal of a step, or none where it is none.
fn proposal(community: &Community, step: &Step) -> Amendment {
    let mut proposal = Amendment::default();
    match step {
        Step::Leave(who, kept) => {
            let who = PEOPLE[*who];
            let pages = if *kept { community.pages(who) } else { vec![] };
            proposal.root = Some(next(community, leaves(who, &pages)));
        }
        Step::Join => {
            proposal.root = Some(next(community, |root| {
                root.janitors.push(conex_tests::janitor("dora"));
            }));
        }
        Step::Revoke(who, kept) => {
            let who = PEOPLE[*who];
            let pages = if *kept { community.pages(who) } else { vec![] };
            proposal.root = Some(next(community, |root| {
                leaves(who, &pages)(root);
                root.revoked.push(fingerprint(who));
            }));
        }
        Step::Rules(quorum, upkeep, unclaimed) => {
            proposal.root = Some(next(community, |root| {
                root.quorum = threshold(*quorum);
                root.upkeep = threshold(*upkeep);
                root.unclaimed = threshold(*unclaimed);
            }));
        }
        Step::Rotate(kept) => {
            let key = community.proven("dave", "dave#2");
            let pages = if *kept {
                community.pages("dave")
            } else {
                vec![]
            };
            proposal
                .authors
                .push(edited_author(community, "dave", |author| {
                    author.keys = vec![key.clone()];
                    author.former.push(former("dave", &pages));
                }));
        }
        Step::RevokeAuthor => {
            proposal.root = Some(next(community, |root| {
                root.revoked.push(fingerprint("dave"));
            }));
        }
        Step::Team(members) => {
            let members: BTreeSet<Id> = members.iter().map(|at| id(PEOPLE[*at])).collect();
            let team = Team::new(TeamFields {
                id: id("makers"),
                members: members.into_iter().collect(),
                retired: false,
            });
            proposal.teams.push(team.unwrap());
        }
        Step::Claim(what, who, people, epoch) => {
            let owner = if *who == 0 { "makers" } else { PEOPLE[*who] };
            let claim = Authorisation::new(AuthorisationFields {
                package: package(["foo", "lib", "bar"][*what]),
                owners: vec![id(owner)],
                threshold: threshold(*people),
                epoch: *epoch,
                retired: false,
            });
            proposal.authorisations.push(claim.unwrap());
        }
        Step::Delete(which) => {
            let all: Vec<String> = PEOPLE.iter().flat_map(|who| community.pages(who)).collect();
            proposal.deleted = which
                .iter()
                .map(|at| digest_of(at.get(all.as_slice()).as_str()))
                .collect();
        }
    }
    proposal
}

fn digest_of(page: &str) -> Digest {
    Digest::parse(path(page).file_name().strip_suffix(".toml").unwrap()).unwrap()
}

/// Does what was proposed, and has it approved by everybody who can.
fn done(community: &Community, proposal: &Amendment) -> Community {
    let mut after = community.clone();
    if let Some(root) = &proposal.root {
        let fields = RootFields::from(root.clone());
        after.next_root(&["alice", "bob", "carol"], |present| *present = fields);
        after.sign_root("dora");
    }
    for author in &proposal.authors {
        after.write(place::author(&author.id).as_str(), author.to_text());
    }
    for team in &proposal.teams {
        after.write(place::team(&team.id).as_str(), team.to_text());
    }
    for claim in &proposal.authorisations {
        after.write(
            place::authorisation(&claim.package).as_str(),
            claim.to_text(),
        );
    }
    for who in PEOPLE {
        for page in after.pages(who) {
            if proposal.deleted.contains(&digest_of(&page)) {
                after.remove(&page);
            }
        }
    }
    let brought = brought(proposal);
    let janitors: Vec<Id> = after.root().janitors.iter().map(|j| j.id.clone()).collect();
    for who in janitors {
        after.approve_all(who.as_str(), |finding| brought.contains(&finding.subject));
    }
    after
}

fn brought(proposal: &Amendment) -> BTreeSet<Subject> {
    let authors = proposal
        .authors
        .iter()
        .map(|a| Subject::Author(a.id.clone()));
    let teams = proposal
        .teams
        .iter()
        .map(|team| Subject::Team(team.id.clone()));
    let claims = proposal
        .authorisations
        .iter()
        .map(|claim| Subject::Authorisation(claim.package.clone()));
    authors.chain(teams).chain(claims).collect()
}

fn config(usual: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases(usual))
    }
}

proptest! {
    #![proptest_config(config(120))]

    #[test]
    fn what_is_foretold_is_what_comes(
        more in prop::collection::vec((0..5_usize, any::<u8>()), 0..6),
        pending in any::<bool>(),
        step in step(),
    ) {
        let mut community = SETTLED.clone();
        // Some stand on more legs than others; and something may wait already.
        let all = community.verify();
        for (who, some) in more {
            let vouches: Vec<Vouch> = all
                .findings
                .iter()
                .enumerate()
                .filter(|(at, _)| some & (1 << (at % 8)) != 0)
                .filter_map(|(_, finding)| Some(Draft::of(finding)?.vouch()))
                .collect();
            if !vouches.is_empty() {
                community.vouch(PEOPLE[who], &vouches);
            }
        }
        if pending {
            community.release("foo", "3.0", "foo in version 3.0\n");
            community.release("bar", "0.2", "bar in version 0.2\n");
            community.approve("alice", "bar");
        }
        let proposal = proposal(&community, &step);
        let before = community.verify_main();
        let outlook = Outlook::new(&before, &StandardCrypto).unwrap();
        let forecast = outlook.forecast(&proposal);
        let after = done(&community, &proposal);
        let came = after.verify_main();
        let new = brought(&proposal);

        let mut foretold = approved(&before);
        for change in &forecast.changes {
            match change.effect {
                Effect::Lost => foretold.remove(&change.subject),
                Effect::Gained => foretold.insert(change.subject.clone()),
                Effect::Fell | Effect::Rose => true,
            };
        }
        foretold.retain(|subject| !new.contains(subject));
        let mut real = approved(&came);
        real.retain(|subject| !new.contains(subject));
        prop_assert_eq!(&foretold, &real, "{:?}", step);
        // What else is wrong was foretold too, and nothing else.
        let wrong = |problems: &[conex_core::tree::problem::Problem]| -> BTreeSet<(Code, String)> {
            problems.iter().map(|p| (p.code, p.place.to_string())).collect()
        };
        let places: BTreeSet<String> = forecast.lost().map(|lost| lost.place.to_string()).collect();
        let (was, is, will) = (wrong(&before.problems), wrong(&came.problems), wrong(&forecast.problems));
        let better = |(code, place): &(Code, String)| {
            *code == Code::ContentDiffers && was.contains(&(Code::NotApproved, place.clone()))
        };
        for problem in is.difference(&was).filter(|problem| !better(problem)) {
            prop_assert!(will.contains(problem) || places.contains(&problem.1), "{:?}", problem);
        }
        for problem in &will {
            prop_assert!(is.contains(problem), "{:?} did not come", problem);
        }

        // And it is mended by those who are asked for, in no lower version.
        let vouches: Vec<Vouch> = forecast.lost().filter_map(|lost| lost.vouch.clone()).collect();
        prop_assert_eq!(vouches.len(), forecast.lost().count());
        let janitors: Vec<Id> = after.root().janitors.iter().map(|j| j.id.clone()).collect();
        let mut mended = after.clone();
        if !vouches.is_empty() {
            for who in &janitors {
                mended.vouch(who.as_str(), &vouches);
            }
        }
        let adopted = outlook.forecast(&Amendment {
            vouches: janitors.iter().map(|who| (who.clone(), vouches.clone())).collect(),
            ..proposal.clone()
        });
        prop_assert_eq!(adopted.lost().count(), 0, "{:?}", adopted);
        let mended = mended.verify_main();
        for (finding, before) in mended.findings.iter().zip(&before.findings) {
            if finding.subject == before.subject && is_approved(before) && !new.contains(&finding.subject) {
                prop_assert!(is_approved(finding), "{}", finding.subject);
            }
        }
    }
}

#[test]
fn a_key_of_the_past_belongs_to_its_person() {
    // An honest rotation loses nothing; the same without the pages loses what the key approved.
    let community = &*SETTLED;
    for (pages, expected) in [
        (community.pages("dave"), vec![]),
        (
            vec![],
            vec!["foo releases", "foo/1.0 checksums", "foo/2.0 checksums"],
        ),
    ] {
        let key = community.proven("dave", "dave#2");
        assert_ne!(&key.key, secret("dave").public_key());
        let author = edited_author(community, "dave", |author| {
            author.keys = vec![key.clone()];
            author.former.push(former("dave", &pages));
        });
        let forecast = foretell(
            community,
            &Amendment {
                authors: vec![author],
                ..Amendment::default()
            },
        );
        assert_eq!(lost(&forecast), expected);
    }
}
