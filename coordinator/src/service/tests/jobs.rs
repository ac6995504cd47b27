//! Jobs from proposal to their end, and every way they end otherwise.

use super::*;

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
    bank.silence().await;
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
    bank.silence().await;
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
    bank.silence().await;
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
    house.join("bureau", InviteRole::Node).await;
    let mut tax = house.join("tax", InviteRole::Node).await;
    assert_eq!(tax.propose(&spec).await.unwrap_err().code(), tonic::Code::PermissionDenied);
    assert_eq!(bank.propose(&spec).await.unwrap().state, "proposed", "a party may propose its own job");
}

#[tokio::test]
async fn reviews_travel_with_the_offer() {
    use banyan_proto::grant::{Approval, Reviewer};
    let house = House::open().await;
    let (mut bank, _bureau, mut ada) = house.with_parties().await;
    let spec = spec("reviewed");
    let id = spec.digest();
    ada.propose(&spec).await.unwrap();
    assert!(bank.offered().await.reviews.is_empty());
    let approval = |scenario, reviewer| Approval {
        scenario,
        reviewer,
        party: None,
        approved: true,
        after: None,
        at: When(Timestamp::now()),
    };
    let request = |approval: Vec<u8>| wire::ReviewRequest { job: id.0.to_vec().into(), approval: approval.into() };
    let (operator, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let signed = operator.sign(&approval(spec.scenario.digest(), Reviewer::Operator)).to_bytes();
    ada.calls.review(request(signed.clone())).await.unwrap();
    assert_eq!(bank.offered().await.reviews, std::slice::from_ref(&signed));

    let mut broken = signed;
    *broken.last_mut().unwrap() ^= 1;
    for (bytes, expected) in [
        (broken, "approval: "),
        (other.sign(&approval(id, Reviewer::Authority)).to_bytes(), "approval: it is of another scenario"),
        (
            other.sign(&approval(spec.scenario.digest(), Reviewer::Source)).to_bytes(),
            "approval: a source approves at its own node",
        ),
        (
            other.sign(&approval(spec.scenario.digest(), Reviewer::Operator)).to_bytes(),
            "the operator's review was given already",
        ),
    ] {
        let refused = ada.calls.review(request(bytes)).await.unwrap_err();
        assert!(refused.message().starts_with(expected), "{}", refused.message());
    }
    bank.silence().await;
}
