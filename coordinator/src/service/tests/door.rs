//! Who is let in, and what a line must say.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Code;

use super::*;

#[tokio::test]
async fn an_invitation_lets_one_key_in_once() {
    let house = House::open().await;
    let invite = house.invite("bank", InviteRole::Node);
    let (mine, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let (mut me, mut them) = (house.dial(&mine).await, house.dial(&other).await);
    let refused = |status: Status| (status.code(), status.message().to_owned());
    let denied = |starts: &str, (code, text): (Code, String)| {
        assert!(code == Code::PermissionDenied && text.starts_with(starts), "{code} {text}")
    };

    let wrong = wire::JoinRequest { secret: vec![7; 32].into(), ..join_request(&invite) };
    denied("no invitation of this name has this secret", refused(me.join(wrong).await.unwrap_err()));
    let renamed = wire::JoinRequest { name: "tax".into(), ..join_request(&invite) };
    denied("no invitation of this name has this secret", refused(me.join(renamed).await.unwrap_err()));
    me.join(join_request(&invite)).await.unwrap();
    me.join(join_request(&invite)).await.expect("said again by the same key: its answer may have been lost");
    denied("bank belongs to the key banyan:", refused(them.join(join_request(&invite)).await.unwrap_err()));

    let second = house.invite("bank", InviteRole::Node);
    denied("bank belongs to the key banyan:", refused(them.join(join_request(&second)).await.unwrap_err()));
    let tax = house.invite("tax", InviteRole::Node);
    denied("this key is registered as node bank already", refused(me.join(join_request(&tax)).await.unwrap_err()));
    them.join(join_request(&tax)).await.unwrap();

    let name = PartyId::new("late").unwrap();
    let late = house.handle.invite(name, InviteRole::Node, Duration::ZERO).unwrap();
    let third = Identity::generate().unwrap();
    let mut third = house.dial(&third).await;
    denied("this invitation has expired", refused(third.join(join_request(&late)).await.unwrap_err()));
    let old = wire::JoinRequest { version: 9, ..join_request(&late) };
    let (code, text) = refused(third.join(old).await.unwrap_err());
    assert_eq!(code, Code::FailedPrecondition);
    assert_eq!(text, "wire versions differ: you have 9, this coordinator has 1; update the older side");
    let large = wire::JoinRequest { url: "a".repeat(8 << 10), ..join_request(&late) };
    let (code, text) = refused(third.join(large).await.unwrap_err());
    assert!(code != Code::InvalidArgument && text.contains("length limit exceeded"), "{code} {text}");
    for _ in 0..2 {
        assert_ne!(third.join(join_request(&late)).await.unwrap_err().code(), Code::ResourceExhausted);
    }
    assert_eq!(third.join(join_request(&late)).await.unwrap_err().code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn a_key_that_did_not_join_can_do_nothing() {
    let house = House::open().await;
    let (_bank, _bureau, mut ada) = house.with_parties().await;
    let spec = spec("secret");
    ada.propose(&spec).await.unwrap();
    let identity = Identity::generate().unwrap();
    let mut stranger = Member { name: "stranger".into(), calls: house.dial(&identity).await, identity };
    let id = spec.digest();
    let mut codes = vec![
        stranger.propose(&spec).await.unwrap_err(),
        stranger.job(&id).await.unwrap_err(),
        stranger.watch(&id).await.unwrap_err(),
        stranger.try_attend(hello()).await.unwrap_err(),
    ];
    let calls = &mut stranger.calls;
    codes.push(calls.jobs(wire::JobsRequest {}).await.unwrap_err());
    codes.push(calls.roster(wire::RosterRequest {}).await.unwrap_err());
    codes.push(calls.review(wire::ReviewRequest::default()).await.unwrap_err());
    codes.push(calls.cancel(wire::CancelRequest::default()).await.unwrap_err());
    codes.push(calls.relay(tokio_stream::empty()).await.unwrap_err());
    for status in codes {
        assert_eq!(status.code(), Code::Unauthenticated, "{}", status.message());
    }
    // a developer is no node
    assert_eq!(ada.try_attend(hello()).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(ada.calls.relay(tokio_stream::empty()).await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_line_needs_a_hello_of_this_version() {
    let house = House::open().await;
    let mut bank = house.join("bank", InviteRole::Node).await;
    let refused = bank.try_attend(wire::Hello { version: 2, ..hello() }).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(refused.message(), "wire versions differ: you have 2, this coordinator has 1; update the older side");
    let refused = bank.try_attend(wire::Hello { url: "https://x/".into(), ..hello() }).await.unwrap_err();
    assert!(refused.message().starts_with("url: an address is host:port"), "{}", refused.message());
    let pulse = Report { body: Some(report::Body::Pulse(wire::Pulse {})) };
    let refused = bank.calls.attend(tokio_stream::iter([pulse])).await.unwrap_err();
    assert_eq!(refused.message(), "the first report of a line is a hello");
    // a clock that is off is told the time, and no more: the node itself runs no jobs
    let (_, mut line) = bank.try_attend(wire::Hello { now_ms: i64::MIN, ..hello() }).await.unwrap();
    let first = line.message().await.unwrap().unwrap().body;
    assert!(matches!(first, Some(instruction::Body::Welcome(welcome)) if (welcome.now_ms - now_ms()).abs() < 5_000));
}

#[tokio::test]
async fn nodes_are_introduced_and_a_second_line_takes_the_place_of_the_first() {
    let house = House::open().await;
    let mut bank = house.join("bank", InviteRole::Node).await.attend().await;
    assert!(bank.welcome.roster.is_empty());
    let mut tax = house.join("tax", InviteRole::Node).await;
    house.join("ada", InviteRole::Developer).await;
    let mut introduced = async || match bank.instructions.message().await.unwrap().unwrap().body {
        Some(instruction::Body::Introduction(introduction)) => introduction,
        other => panic!("an introduction, not {other:?}"),
    };
    let new = introduced().await;
    assert_eq!(
        (&new.name[..], &new.role[..], new.key.to_vec()),
        ("tax", "node", tax.identity.public().as_bytes().to_vec())
    );
    let moved = wire::Hello { url: "tax.example:7401".into(), catalogue: b"published".to_vec().into(), ..hello() };
    let (_say, _line) = tax.try_attend(moved).await.unwrap();
    let moved = introduced().await;
    assert_eq!((&moved.url[..], moved.online, moved.catalogue.len()), ("tax.example:7401", true, 0));

    let roster = tax.calls.roster(wire::RosterRequest {}).await.unwrap().into_inner().parties;
    let told: Vec<_> =
        roster.iter().map(|one| (&one.name[..], &one.role[..], one.online, one.catalogue.len())).collect();
    assert_eq!(told, [("ada", "developer", false, 0), ("bank", "node", true, 0), ("tax", "node", true, 9)]);

    let identity = Identity::from_pem(&bank.member.identity.to_pem()).unwrap();
    let twin = Member { name: "bank".into(), calls: house.dial(&identity).await, identity }.attend().await;
    let old = timeout(PATIENCE, bank.instructions.message()).await.expect("the first line ends");
    assert!(matches!(old, Ok(None)), "{old:?}");
    assert_eq!(twin.welcome.roster.len(), 1);
    let roster = tax.calls.roster(wire::RosterRequest {}).await.unwrap().into_inner().parties;
    assert!(roster[1].online, "the end of the old line is not the end of the new one");
}

#[tokio::test]
async fn a_report_beyond_its_limits_ends_the_line() {
    let house = House::open().await;
    let (bank, _bureau, mut ada) = house.with_parties().await;
    let spec = spec("long");
    ada.propose(&spec).await.unwrap();
    let mut node = bank;
    let job = spec.digest();
    let long = bytes::Bytes::from(vec![0; super::super::limits::EVIDENCE_MAX + 1]);
    for body in [
        report::Body::Verdict(wire::Verdict {
            job: job.0.to_vec().into(),
            answer: Some(verdict::Answer::Admission(long.clone())),
        }),
        report::Body::Ended(wire::Ended {
            job: job.0.to_vec().into(),
            attempt: 1,
            ok: true,
            receipt: long,
            ..Default::default()
        }),
        report::Body::Phase(wire::Phase { job: job.0.to_vec().into(), attempt: 1, phase: "finished".into() }),
        report::Body::Phase(wire::Phase { job: vec![1; 31].into(), attempt: 1, phase: "held".into() }),
        report::Body::Hello(hello()),
    ] {
        node.say(body).await;
        while let Some(Instruction { .. }) = timeout(PATIENCE, node.instructions.message()).await.expect("cut").unwrap()
        {
        }
        node = node.again(&house).await;
    }
    assert_eq!(ada.job(&job).await.unwrap().state, "proposed");
}

#[tokio::test]
async fn the_admin_port_answers() {
    let house = House::open().await;
    let (mut bank, mut bureau, mut ada) = house.with_parties().await;
    admitted(&mut bank, &mut bureau, &mut ada, &spec("counted")).await;
    let address = std::fs::read_to_string(house.path().join("admin.addr")).unwrap();
    let ask = async |path: &str| {
        let mut socket = TcpStream::connect(&address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        socket.read_to_string(&mut reply).await.unwrap();
        reply
    };
    assert!(ask("/livez").await.ends_with("\r\n\r\nalive\n"));
    assert!(ask("/readyz").await.ends_with("\r\n\r\nready\n"));
    let metrics = ask("/metrics").await;
    assert!(
        metrics.contains("\nbanyan_nodes_online 2\n") && metrics.contains("\nbanyan_jobs{state=\"approved\"} 1\n"),
        "{metrics}"
    );
    let home = house.home.path().to_owned();
    let house = house.restart().await;
    assert!(house.home.path() == home && std::fs::read_to_string(home.join("listen.addr")).unwrap() == house.address);
}

#[tokio::test]
async fn what_is_in_the_way_of_a_start_is_named() {
    let house = House::open().await;
    let any = "127.0.0.1:0".parse().unwrap();
    let start = |home: &Path, listen: &str, admin| {
        Service::start(Options { home: home.to_owned(), listen: listen.parse().unwrap(), url: None, admin })
    };
    let fails = |started: Result<Service, super::super::Error>| started.err().expect("refused").to_string();
    assert!(fails(start(house.path(), "127.0.0.1:0", any).await).starts_with("another `banyan serve` uses "));
    let dir = tempfile::tempdir().unwrap();
    let taken = fails(start(dir.path(), &house.address, any).await);
    assert!(taken.starts_with(&format!("cannot listen on {}: ", house.address)), "{taken}");
    assert!(fails(start(dir.path(), "0.0.0.0:0", any).await).contains("say where they dial with --url HOST:PORT"));
    let open = fails(start(dir.path(), "127.0.0.1:0", "0.0.0.0:0".parse().unwrap()).await);
    assert!(open.contains("is not on loopback"), "{open}");
    let early =
        Handle::open(dir.path()).unwrap().invite(PartyId::new("bank").unwrap(), InviteRole::Node, Duration::ZERO);
    assert!(early.unwrap_err().to_string().contains("start it once with `banyan serve`"));
    let typo = dir.path().join("typo");
    let none = Handle::open(&typo).unwrap_err().to_string();
    assert!(none.ends_with(
        "typo is no coordinator's home: give the --home that `banyan serve` has, or start it once with `banyan serve`"
    ));
    assert!(!typo.exists(), "nothing is made");
    let own = house.handle.invite(PartyId::new("operator").unwrap(), InviteRole::Node, Duration::ZERO).unwrap_err();
    assert_eq!(own.to_string(), "operator is the name of this coordinator's own key: choose another");
}
