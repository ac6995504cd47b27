//! `cardinality` and `sum` in the catalogue: what they claim, disclose and cost.

use futures::future::BoxFuture;

use super::{Cardinality, Sum, check_sum, run};
use crate::catalogue::{Cost, Descriptor, Disclosure, Form, Input, Learns, Output, Parameters, Protocol, Suite};
use crate::error::{InputError, Result};
use crate::party::Role;
use crate::psi::circuit::{self, Bins, Table};
use crate::psi::{at_role, only};
use crate::session::Session;
use crate::share::{at_least_cost, count_cost, reveal_cost, set_up_cost, sum_where_cost};

const PAPER: &str = "as circuit; Ion et al. 2020, with the minimum inside the computation";
const SECURITY: &str = "semi-honest; 128 bits (LPN, ideal cipher), 40 statistical";

static CARDINALITY: Descriptor = Descriptor {
    name: "cardinality",
    summary: "size of the intersection, if it has the agreed minimum",
    paper: PAPER,
    security: SECURITY,
    suite: Suite::Intl,
    forms: &[Form::Cardinality],
    auto: true,
};

static SUM: Descriptor = Descriptor {
    name: "sum",
    summary: "sum of the sender's numbers over the intersection, if that has the agreed minimum of rows",
    paper: PAPER,
    security: SECURITY,
    suite: Suite::Intl,
    forms: &[Form::Sum],
    auto: true,
};

impl Protocol for Cardinality {
    fn descriptor(&self) -> &'static Descriptor {
        &CARDINALITY
    }

    fn disclosures(&self, _: Form) -> Vec<Disclosure> {
        disclosures(Learns::IntersectionSize)
    }

    fn cost(&self, p: &Parameters, role: Role) -> Cost {
        let bins = Bins::count_for(p.sizes.receiver as usize);
        let counted = circuit::cost(&Parameters { columns: 0, ..*p }, role).then(count_cost(bins, role));
        counted.then(at_least_cost(role)).then(reveal_cost(Role::Receiver, role))
    }

    fn work(&self, p: &Parameters, _: Role) -> u64 {
        circuit::work(p)
    }

    fn rows_max(&self, _: Role) -> u64 {
        circuit::BAND_MAX
    }

    fn run<'a>(&'a self, s: &'a Session, role: Role, p: Parameters, input: Input) -> BoxFuture<'a, Result<Output>> {
        Box::pin(async move {
            at_role(s, role)?;
            only("cardinality", &p, Form::Cardinality)?;
            let (items, columns) = input.table();
            run(s, role, &Parameters { columns: 0, ..p }, Table { items, columns }).await
        })
    }
}

impl Protocol for Sum {
    fn descriptor(&self) -> &'static Descriptor {
        &SUM
    }

    fn disclosures(&self, _: Form) -> Vec<Disclosure> {
        disclosures(Learns::Sum)
    }

    fn cost(&self, p: &Parameters, role: Role) -> Cost {
        let bins = Bins::count_for(p.sizes.receiver as usize);
        let counted = circuit::cost(&Parameters { columns: 1, ..*p }, role).then(count_cost(bins, role));
        let summed = set_up_cost(role.other()).then(sum_where_cost(bins));
        counted.then(at_least_cost(role)).then(summed).then(reveal_cost(Role::Receiver, role))
    }

    fn work(&self, p: &Parameters, _: Role) -> u64 {
        circuit::work(p)
    }

    fn rows_max(&self, _: Role) -> u64 {
        circuit::BAND_MAX
    }

    fn run<'a>(&'a self, s: &'a Session, role: Role, p: Parameters, input: Input) -> BoxFuture<'a, Result<Output>> {
        Box::pin(async move {
            at_role(s, role)?;
            only("sum", &p, Form::Sum)?;
            let (items, columns) = input.table();
            match (role, &columns[..]) {
                (Role::Sender, [column]) => check_sum(column)?,
                (Role::Sender, other) => return Err(InputError::Columns { got: other.len(), agreed: 1 }.into()),
                (Role::Receiver, _) => (),
            }
            run(s, role, &Parameters { columns: 1, ..p }, Table { items, columns }).await
        })
    }
}

fn disclosures(result: Learns) -> Vec<Disclosure> {
    let learns = |to: Role, learns| Disclosure { to, learns, about: to.other() };
    let both = [Learns::SizeBand, Learns::Minimum];
    let both = both.into_iter().flat_map(|what| [learns(Role::Receiver, what), learns(Role::Sender, what)]);
    both.chain([learns(Role::Receiver, result)]).collect()
}
