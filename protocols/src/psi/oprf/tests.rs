use super::*;
use crate::party::Roster;
use crate::sim::{Net, World};

fn pair() -> Roster {
    Roster::pair(PartyId::new("bank").unwrap(), PartyId::new("bureau").unwrap())
}

#[test]
fn the_function_is_one_at_the_receivers_keys_and_another_elsewhere() {
    let all: Vec<u128> = (0..300u128).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).collect();
    let run = World::new("oprf", 1).net(Net::ROUNDS).run(&pair(), |s, role| {
        let all = all.clone();
        async move {
            let peer = s.holder(role.other())?.clone();
            match role {
                Role::Receiver => receive(&s, &peer, Arc::new(Zeroizing::new(all[..200].to_vec()))).await,
                Role::Sender => Ok(send(&s, &peer, 200).await?.values(&all)),
            }
        }
    });
    for (party, role) in run.report.parties.iter().zip([Role::Receiver, Role::Sender]) {
        let declared = cost(200, role);
        // One round more, as nothing follows here that the last end mark would go with.
        assert_eq!((party.bytes_out, run.report.rounds()), (declared.bytes_out, declared.rounds + 1), "{role}");
    }
    let values = run.values().unwrap();
    assert!(values[0][..] == values[1][..200] && values[1][200..].iter().all(|value| !values[0].contains(value)));
}
