//! Jobs from proposal to their end, and every way they end otherwise.

use banyan_proto::grant::{Approval, Chain, RequiredReview, Reviewer};
use banyan_proto::identity::Signed;

use super::super::limits::{REVIEWS_MAX, SPEC_MAX, WATCHES_PER_CALLER_MAX};
use super::*;
use crate::store::jobs::JOBS_OPEN_PER_PROPOSER_MAX;

#[tokio::test]
async fn a_job_goes_the_whole_way() {
    let house = House::open().await;
    let (mut bank, mut bureau, mut ada) = house.with_parties().await;
    let spec = spec("whole");
    let id = spec.digest();
    let proposed = ada.propose(&spec).await.unwrap();
    assert_eq!((&proposed.state[..], proposed.attempt, proposed.spec.to_vec()), ("proposed", 1, spec.to_bytes()));
    assert!(proposed.parties.iter().all(|party| party.online && party.phase.is_empty()));
    assert_eq!(ada.propose(&spec).await.unwrap().job, proposed.job, "the same job, once");

    for node in [&mut bank, &mut bureau] {
        let offer = node.offered().await;
        assert_eq!(Digest::of(Spec::DOMAIN, &offer.spec), id, "the bytes that were proposed, unaltered");
        assert_eq!((offer.job.to_vec(), offer.spec.to_vec()), (id.0.to_vec(), spec.to_bytes()));
    }
    bank.answer(&id, verdict::Answer::Waiting("the approver of bank".into())).await;
    bureau.admit(&id).await;
    let mut changes = ada.watch(&id).await.unwrap();
    loop {
        let now = changes.message().await.unwrap().unwrap();
        if now.parties[0].phase == "waiting" && now.parties[1].phase == "admitted" {
            assert_eq!((&now.parties[0].detail[..], &now.state[..]), ("the approver of bank", "proposed"));
            break;
        }
    }
    bank.admit(&id).await;
    for node in [&mut bank, &mut bureau] {
        let prepare = node.prepare().await;
        assert_eq!(
            prepare.admissions,
            ["admission of bank", "admission of bureau"],
            "as they came, in the order of the spec"
        );
        assert_eq!(prepare.attempt, 1);
    }
    bank.phase(&id, 1, "prepared").await;
    ada.until_phase(&id, 0, "prepared").await;
    bank.silence(&house, "tax").await;
    bureau.phase(&id, 1, "prepared").await;
    for node in [&mut bank, &mut bureau] {
        node.run().await;
        node.phase(&id, 1, "running").await;
    }
    let job = id.0.to_vec().into();
    bank.say(report::Body::Progress(wire::Progress { job, attempt: 1, done: 3, total: 9, bytes_out: 77 })).await;
    for node in [&bank, &bureau] {
        node.phase(&id, 1, "held").await;
    }
    let held = ada.until(&id, State::Held).await;
    assert_eq!((held.parties[0].done, held.parties[0].total, held.parties[0].bytes_out), (3, 9, 77));
    for node in [&bank, &bureau] {
        node.phase(&id, 1, "released").await;
        node.ended(&id, 1).await;
    }
    let end = ada.until(&id, State::Released).await;
    assert_eq!(
        (end.parties[1].receipt.to_vec(), end.parties[0].metrics.to_vec()),
        (b"receipt of bureau".to_vec(), b"metrics of bank".to_vec())
    );
    bank.silence(&house, "customs").await;
    let jobs = ada.calls.jobs(wire::JobsRequest {}).await.unwrap().into_inner().jobs;
    assert_eq!(jobs, [end]);
}

#[tokio::test]
async fn a_refusal_says_who_and_why_and_tells_the_other() {
    let house = House::open().await;
    let (mut bank, mut bureau, mut ada) = house.with_parties().await;
    let spec = spec("refused");
    let id = spec.digest();
    ada.propose(&spec).await.unwrap();
    bank.offered().await;
    bureau.offered().await;
    bank.admit(&id).await;
    let refusal = wire::Refusal { code: "level".into(), detail: "column ID has level 4\n\u{1b}[2J".into() };
    bureau.answer(&id, verdict::Answer::Refusal(refusal)).await;
    let end = ada.until(&id, State::Refused).await;
    assert_eq!(end.reason, "bureau refused: level: column ID has level 4  [2J");
    assert_eq!(bank.stopped().await.reason, end.reason);
    assert_eq!(ada.propose(&spec).await.unwrap().state, "refused", "a refusal stands");
}

#[tokio::test]
async fn a_restart_in_the_middle_loses_nothing() {
    let house = House::open().await;
    let (mut bank, mut bureau, mut ada) = house.with_parties().await;
    let (one, two) = (spec("offered"), spec("running"));
    ada.propose(&one).await.unwrap();
    bank.offered().await;
    bureau.offered().await;
    bank.admit(&one.digest()).await;
    let id = admitted(&mut bank, &mut bureau, &mut ada, &two).await;
    bank.phase(&id, 1, "prepared").await;
    bureau.phase(&id, 1, "prepared").await;
    ada.until(&id, State::Running).await;
    let house = house.crash().await;

    let (mut bank, mut bureau) = (bank.again(&house).await, bureau.again(&house).await);
    ada.redial(&house).await;
    for node in [&mut bank, &mut bureau] {
        let offer = node.offered().await;
        assert_eq!(offer.spec.to_vec(), one.to_bytes(), "an offer that stands is said again");
        assert_eq!(node.run().await.job.to_vec(), id.0.to_vec(), "and so is what may have been lost");
        for phase in ["running", "held"] {
            node.phase(&id, 1, phase).await;
        }
        node.ended(&id, 1).await;
    }
    ada.until(&id, State::Released).await;
    bureau.admit(&one.digest()).await;
    assert_eq!(bank.prepare().await.admissions[0], "admission of bank", "an admission outlives a restart");
}

#[tokio::test]
async fn a_failure_stops_the_other_and_the_same_spec_is_a_new_attempt() {
    let house = House::open().await;
    let (mut bank, mut bureau, mut ada) = house.with_parties().await;
    let spec = spec("retried");
    let id = running(&mut bank, &mut bureau, &mut ada, &spec).await;
    bank.failed(&id, 1, "input", "").await;
    let end = ada.until(&id, State::Failed).await;
    assert_eq!((end.reason, bureau.stopped().await.attempt), ("bank failed: input".into(), 1));
    bureau.failed(&id, 1, "stopped", "").await;

    assert_eq!(ada.propose(&spec).await.unwrap().attempt, 2);
    for node in [&mut bank, &mut bureau] {
        assert_eq!(node.prepare().await.attempt, 2);
        node.failed(&id, 1, "stopped", "word of the old attempt, late").await;
        node.phase(&id, 2, "prepared").await;
    }
    assert_eq!(bank.run().await.attempt, 2);
}

#[tokio::test]
async fn people_of_the_job_stop_it_and_nobody_else() {
    let house = House::open().await;
    let (mut bank, mut bureau, mut ada) = house.with_parties().await;
    let mut eve = house.join("eve", InviteRole::Developer).await;
    let spec = spec("stopped");
    let id = running(&mut bank, &mut bureau, &mut ada, &spec).await;
    let cancel = |reason: &str| wire::CancelRequest { job: id.0.to_vec().into(), reason: reason.into() };
    let refused = eve.calls.cancel(cancel("mine")).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::NotFound, "somebody else's job is unknown");
    assert_eq!(eve.job(&id).await.unwrap_err().code(), tonic::Code::NotFound);
    assert_eq!(eve.watch(&id).await.unwrap_err().code(), tonic::Code::NotFound);
    assert!(eve.calls.jobs(wire::JobsRequest {}).await.unwrap().into_inner().jobs.is_empty());
    assert_eq!(eve.propose(&spec).await.unwrap_err().code(), tonic::Code::PermissionDenied);

    let stopped = bank.member.calls.cancel(cancel("wrong column")).await.unwrap().into_inner();
    assert_eq!((&stopped.state[..], &stopped.reason[..]), ("stopped", "stopped by bank: wrong column"));
    for node in [&mut bank, &mut bureau] {
        assert_eq!(node.stopped().await.reason, stopped.reason);
    }
    assert_eq!(ada.calls.cancel(cancel("")).await.unwrap_err().message(), "the job is over already: stopped");

    let asked = ada.propose(&spec).await.unwrap();
    assert_eq!((&asked.state[..], asked.attempt), ("proposed", 2), "everyone is asked again");
    bank.offered().await;
    let mut operator = house.dial(&crate::home::Home::open(house.path()).unwrap().identity().unwrap()).await;
    let stopped = operator.cancel(cancel("")).await.unwrap().into_inner();
    assert_eq!(stopped.reason, "stopped by operator");
}

#[tokio::test]
async fn a_job_that_was_stopped_while_its_parties_released_it_is_released() {
    let house = House::open().await;
    let (mut bank, mut bureau, mut ada) = house.with_parties().await;
    let id = running(&mut bank, &mut bureau, &mut ada, &spec("crossed")).await;
    for node in [&bank, &bureau] {
        for phase in ["running", "held", "released"] {
            node.phase(&id, 1, phase).await;
        }
    }
    ada.until(&id, State::Held).await;
    let cancel = wire::CancelRequest { job: id.0.to_vec().into(), reason: "too late".into() };
    assert_eq!(ada.calls.cancel(cancel).await.unwrap().into_inner().state, "stopped");
    // the stop is on its way, and so is their word
    for node in [&bank, &bureau] {
        node.ended(&id, 1).await;
    }
    // a watch of a job that is over is over: it is asked for again
    let released = async {
        while ada.job(&id).await.unwrap().state != "released" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, released).await.expect("released");
    assert_eq!(ada.job(&id).await.unwrap().reason, "");
}

#[tokio::test]
async fn a_release_while_the_coordinator_was_away_counts_after_the_deadline() {
    let house = House::open().await;
    let (mut bank, mut bureau, mut ada) = house.with_parties().await;
    let id = running(&mut bank, &mut bureau, &mut ada, &spec("away")).await;
    for node in [&bank, &bureau] {
        node.phase(&id, 1, "held").await;
    }
    ada.until(&id, State::Held).await;
    let database = house.path().join("state.sqlite");
    let house = house.crash().await;
    // it was away for long
    let database = rusqlite::Connection::open(database).unwrap();
    assert_eq!(database.execute("UPDATE jobs SET started_ms = 1", []).unwrap(), 1);
    house.desk.expire().unwrap();
    ada.redial(&house).await;
    assert_eq!(ada.job(&id).await.unwrap().state, "held", "its parties have not been heard yet");
    let (bank, bureau) = (bank.again(&house).await, bureau.again(&house).await);
    for node in [&bank, &bureau] {
        node.ended(&id, 1).await;
    }
    ada.until(&id, State::Released).await;
}

#[tokio::test]
async fn a_deadline_passes_and_the_reason_names_who_is_missing() {
    let house = House::open().await;
    let (mut bank, mut bureau, mut ada) = house.with_parties().await;
    let spec = spec_valid("late", 1, Timestamp::now() + 24.hours());
    let id = admitted(&mut bank, &mut bureau, &mut ada, &spec).await;
    bank.phase(&id, 1, "prepared").await;
    drop(bureau);
    let end = ada.until(&id, State::Expired).await;
    assert_eq!(
        end.reason,
        "the deadline of 1 s passed (limits.deadline_s); missing: bank (prepared), bureau (admitted, away)"
    );
    assert!(!end.parties[1].online);
    assert_eq!(bank.stopped().await.reason, end.reason);
}

#[tokio::test]
async fn a_scenario_that_ends_ends_its_offers() {
    let house = House::open().await;
    let (_bank, _bureau, mut ada) = house.with_parties().await;
    let past = spec_valid("past", 60, Timestamp::now() + 10.seconds());
    ada.propose(&past).await.unwrap();
    let end = ada.until(&past.digest(), State::Expired).await;
    assert!(
        end.reason.starts_with("the scenario is no longer valid (scenario.valid_until); missing: "),
        "{}",
        end.reason
    );
    let refused = ada.propose(&past).await.unwrap_err();
    assert!(refused.message().starts_with("scenario.valid_until: ") && refused.message().contains(" is past"));
}

#[tokio::test]
async fn a_spec_that_was_changed_in_the_store_is_offered_to_nobody() {
    let house = House::open().await;
    let (mut bank, bureau, mut ada) = house.with_parties().await;
    drop(bureau);
    let spec = spec("altered");
    ada.propose(&spec).await.unwrap();
    bank.offered().await;
    let altered = String::from_utf8(spec.to_bytes()).unwrap().replace("\"minimum_result\":10", "\"minimum_result\":11");
    let database = rusqlite::Connection::open(house.path().join("state.sqlite")).unwrap();
    assert_eq!(database.execute("UPDATE jobs SET spec = ?1", [altered.as_bytes()]).unwrap(), 1);
    let mut bank = bank.again(&house).await;
    bank.silence(&house, "tax").await;
}

#[tokio::test]
async fn what_cannot_be_proposed_is_refused_with_its_field() {
    let house = House::open().await;
    let mut bank = house.join("bank", InviteRole::Node).await;
    let mut ada = house.join("ada", InviteRole::Developer).await;
    let spec = spec("early");
    let refused = ada.propose(&spec).await.unwrap_err();
    let teaches =
        "parties[1].name: no node called bureau has joined; the operator invites it with `banyan invite bureau`";
    assert_eq!((refused.code(), refused.message()), (tonic::Code::FailedPrecondition, teaches));
    let mut bytes = spec.to_bytes();
    bytes.push(b' ');
    let refused = ada.calls.propose(wire::ProposeRequest { spec: bytes.into() }).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    assert!(refused.message().starts_with("spec: not canonical"), "{}", refused.message());
    let long = wire::ProposeRequest { spec: vec![b' '; SPEC_MAX + 1].into() };
    let refused = ada.calls.propose(long).await.unwrap_err();
    let teaches = "spec: 262145 bytes; name fewer columns, or shorter ones: at most 262144 bytes";
    assert_eq!((refused.code(), refused.message()), (tonic::Code::InvalidArgument, teaches));
    house.join("bureau", InviteRole::Node).await;
    let mut tax = house.join("tax", InviteRole::Node).await;
    assert_eq!(tax.propose(&spec).await.unwrap_err().code(), tonic::Code::PermissionDenied);
    assert_eq!(bank.propose(&spec).await.unwrap().state, "proposed", "a party may propose its own job");
}

/// A word on the scenario of `spec`.
fn word(spec: &Spec, reviewer: Reviewer, approved: bool, after: Option<Digest>) -> Approval {
    Approval { scenario: spec.scenario.digest(), reviewer, party: None, approved, after, at: When(Timestamp::now()) }
}

async fn give(
    calls: &mut CoordinatorClient<Channel>,
    job: &Digest,
    review: &Signed<Approval>,
) -> Result<JobReply, Status> {
    let (job, approval) = (job.0.to_vec().into(), review.to_bytes().into());
    let reason = String::new();
    calls.review(wire::ReviewRequest { job, approval, reason }).await.map(|reply| reply.into_inner())
}

#[tokio::test]
async fn operator_and_authority_review_and_the_node_hears_a_chain_that_holds() {
    let house = House::open().await;
    let (mut bank, _bureau, mut ada) = house.with_parties().await;
    let spec = spec("reviewed");
    let id = spec.digest();
    ada.propose(&spec).await.unwrap();
    assert!(bank.offered().await.reviews.is_empty());
    let operator = crate::home::Home::existing(house.path()).key().unwrap();
    let mut authority = house.join("authority", InviteRole::Authority).await;

    let first = operator.sign(&word(&spec, Reviewer::Operator, true, None));
    give(&mut house.dial(&operator).await, &id, &first).await.unwrap();
    assert_eq!(bank.offered().await.reviews, [first.to_bytes()]);
    // the authority was given no part in the job: it sees all of them, and what they were told before
    let seen = authority.job(&id).await.unwrap();
    assert_eq!(seen.reviews, [first.to_bytes()]);
    assert_eq!(authority.calls.jobs(wire::JobsRequest {}).await.unwrap().into_inner().jobs.len(), 1);
    assert_eq!(
        authority.propose(&spec).await.unwrap_err().message(),
        "authority proposes no jobs: join as a developer"
    );
    let second = authority.identity.sign(&word(&spec, Reviewer::Authority, true, Some(first.digest())));
    give(&mut authority.calls, &id, &second).await.unwrap();
    let offered = bank.offered().await.reviews;
    let required = [(Reviewer::Operator, operator.public()), (Reviewer::Authority, authority.identity.public())];
    let required = required.map(|(reviewer, key)| RequiredReview { reviewer, key });
    let chain = offered.iter().map(|bytes| Signed::from_bytes(bytes).unwrap()).collect();
    assert_eq!(Chain::new(chain).verify(&spec.scenario.digest(), &required), Ok(Some(second.digest())));

    // a yes said again is the first one: what was signed after it still follows it
    let again = operator.sign(&word(&spec, Reviewer::Operator, true, Some(second.digest())));
    give(&mut house.dial(&operator).await, &id, &again).await.unwrap();
    // the reviews are of the scenario: a later job under it has them from the start
    let later = Spec { name: "later".parse().unwrap(), ..spec.clone() };
    ada.propose(&later).await.unwrap();
    assert_eq!(bank.offered().await.reviews, offered);

    let no = authority.identity.sign(&word(&spec, Reviewer::Authority, false, None));
    give(&mut authority.calls, &id, &no).await.unwrap();
    for _ in [&spec, &later] {
        assert_eq!(bank.offered().await.reviews, [first.to_bytes(), no.to_bytes()]);
    }
    let refused = give(&mut authority.calls, &id, &second).await.unwrap_err();
    assert_eq!(refused.message(), "this key said no as the authority, and a no stands: ask for a changed scenario");
}

#[tokio::test]
async fn a_no_reaches_jobs_under_way_and_every_attempt_after_it() {
    let house = House::open().await;
    let (mut bank, mut bureau, mut ada) = house.with_parties().await;
    let spec = spec("denied");
    let id = running(&mut bank, &mut bureau, &mut ada, &spec).await;
    let mut authority = house.join("authority", InviteRole::Authority).await;
    let no = authority.identity.sign(&word(&spec, Reviewer::Authority, false, None));
    give(&mut authority.calls, &id, &no).await.unwrap();
    for node in [&mut bank, &mut bureau] {
        assert_eq!(node.offered().await.reviews, [no.to_bytes()]);
    }
    // said again it changes nothing, and nobody hears it: the next word is the stop
    give(&mut authority.calls, &id, &no).await.unwrap();
    bank.failed(&id, 1, "review-denied", "").await;
    bureau.stopped().await;
    bureau.failed(&id, 1, "stopped", "").await;
    ada.until(&id, State::Failed).await;
    ada.propose(&spec).await.unwrap();
    for node in [&mut bank, &mut bureau] {
        let prepare = node.prepare().await;
        assert_eq!((prepare.attempt, prepare.reviews), (2, vec![no.to_bytes().into()]));
    }
}

#[tokio::test]
async fn a_review_is_given_by_its_own_key_for_a_job_it_may_see_and_nobody_takes_the_place_of_another() {
    let house = House::open().await;
    let (_bank, _bureau, mut ada) = house.with_parties().await;
    let mut eve = house.join("eve", InviteRole::Developer).await;
    let spec = spec("reviewed");
    let id = spec.digest();
    ada.propose(&spec).await.unwrap();
    let yes = word(&spec, Reviewer::Operator, true, None);
    assert_eq!(give(&mut eve.calls, &id, &eve.identity.sign(&yes)).await.unwrap_err().code(), tonic::Code::NotFound);
    let elsewhere = Approval { scenario: id, ..yes.clone() };
    for (review, expected) in [
        (eve.identity.sign(&yes), "approval: signed by "),
        (ada.identity.sign(&elsewhere), "approval: it is of another scenario than the job's"),
        (
            ada.identity.sign(&word(&spec, Reviewer::Source, true, None)),
            "approval: a source approves at its own node: `banyan-node approve`",
        ),
    ] {
        let refused = give(&mut ada.calls, &id, &review).await.unwrap_err();
        assert!(refused.message().starts_with(expected), "{}", refused.message());
    }
    // a stranger to the nodes may have its word; the operator's own stands beside it
    give(&mut ada.calls, &id, &ada.identity.sign(&yes)).await.unwrap();
    let operator = crate::home::Home::existing(house.path()).key().unwrap();
    let told = give(&mut house.dial(&operator).await, &id, &operator.sign(&yes)).await.unwrap();
    assert_eq!(told.reviews.len(), 2);
    for seat in 0..=REVIEWS_MAX {
        let mut other = house.join(&format!("office-{seat}"), InviteRole::Authority).await;
        let given = give(&mut other.calls, &id, &other.identity.sign(&yes)).await;
        match given {
            Ok(_) => assert!(seat < REVIEWS_MAX - 2),
            Err(refused) => {
                assert!(seat >= REVIEWS_MAX - 2);
                let full = "8 keys have reviewed this scenario as the operator, as many as may";
                assert_eq!((refused.code(), refused.message()), (tonic::Code::ResourceExhausted, full));
            }
        }
    }
}

#[tokio::test]
async fn one_proposer_leaves_room_for_others_also_by_trying_again() {
    let house = House::open().await;
    let (_bank, _bureau, mut ada) = house.with_parties().await;
    let mut eve = house.join("eve", InviteRole::Developer).await;
    let many = spec("many");
    let named = |number: u32| Spec { name: format!("job-{number}").parse().unwrap(), ..many.clone() };
    let cancel = |id: &Digest| wire::CancelRequest { job: id.0.to_vec().into(), reason: String::new() };
    let first = spec("first");
    ada.propose(&first).await.unwrap();
    ada.calls.cancel(cancel(&first.digest())).await.unwrap();
    for number in 0..JOBS_OPEN_PER_PROPOSER_MAX {
        ada.propose(&named(number)).await.unwrap();
    }
    let full = "too many jobs of this proposer, or of all, are open here: cancel some, or wait for them";
    for spec in [named(JOBS_OPEN_PER_PROPOSER_MAX), first.clone()] {
        let refused = ada.propose(&spec).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (tonic::Code::ResourceExhausted, full));
    }
    ada.propose(&named(0)).await.expect("the job that is there");
    let another = spec("another");
    eve.propose(&another).await.unwrap();
    ada.calls.cancel(cancel(&named(0).digest())).await.unwrap();
    assert_eq!(ada.propose(&first).await.unwrap().attempt, 2);

    // one answer has room for the jobs of one of them, not of both
    for number in 1..JOBS_OPEN_PER_PROPOSER_MAX {
        eve.propose(&Spec { name: format!("other-{number}").parse().unwrap(), ..many.clone() }).await.unwrap();
    }
    let mut operator = house.dial(&crate::home::Home::existing(house.path()).key().unwrap()).await;
    let all = operator.jobs(wire::JobsRequest {}).await.unwrap().into_inner();
    let own = ada.calls.jobs(wire::JobsRequest {}).await.unwrap().into_inner();
    assert!(all.cut && !own.cut && all.jobs.len() > own.jobs.len(), "{} and {}", all.jobs.len(), own.jobs.len());

    let watches = ada.calls.clone();
    let watched = first.digest();
    let watch = async || watches.clone().watch(job_request(&watched)).await.map(|reply| reply.into_inner());
    let mut held = Vec::new();
    for _ in 0..WATCHES_PER_CALLER_MAX {
        held.push(watch().await.unwrap());
    }
    assert_eq!(watch().await.unwrap_err().message(), "too many watches of yours: use `banyan job status`");
    eve.watch(&another.digest()).await.unwrap();
}
