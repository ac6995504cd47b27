use super::*;
use crate::kernels::gf128::mul;
use crate::party::{Role, Roster};
use crate::sim::{Run, World};

enum Half<F: Scalar> {
    Sent(Sent),
    Received(Received<F>),
}

fn pair() -> Roster {
    Roster::pair(PartyId::new("bank").unwrap(), PartyId::new("bureau").unwrap())
}

fn run<F: Scalar>(world: &World, length: usize) -> Run<Half<F>> {
    world.run(&pair(), |s, role| async move {
        let peer = s.holder(role.other())?.clone();
        Ok(match role {
            Role::Sender => Half::Sent(send::<F>(&s, &peer, length).await?),
            Role::Receiver => Half::Received(receive::<F>(&s, &peer, length).await?),
        })
    })
}

fn holds<F: Scalar>(length: usize) {
    let run = run::<F>(&World::new("vole", length as u64), length);
    for report in &run.report.parties {
        let role = pair().role_of(&report.party).unwrap();
        assert_eq!(report.bytes_out, cost::<F>(length, role).bytes_out, "{role} of {length}");
    }
    let mut halves = run.outcomes.into_iter().map(|(_, half)| half.unwrap());
    let (Some(Half::Received(Received { a, c })), Some(Half::Sent(Sent { delta, b }))) = (halves.next(), halves.next())
    else {
        panic!("a half each")
    };
    assert_eq!((a.len(), b.len(), c.len()), (length, length, length));
    for ((a, b), c) in a.iter().zip(&*b).zip(&*c) {
        assert!(*c == mul(a.lift(), *delta) ^ b, "{length}");
    }
}

#[test]
fn the_relation_holds_at_every_size() {
    for length in [0, 1, 31, 33, 1000, 6789, (1 << 16) + 1] {
        holds::<u128>(length);
        holds::<u64>(length);
    }
}
