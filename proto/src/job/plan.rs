//! What follows from a spec: the same at every node, compared by digest before anything runs.

use banyan_protocols::catalogue::{Catalogue, Cost, Form, Parameters, Sizes};
use banyan_protocols::party::{PartyId, Role, Roster};
use serde::{Deserialize, Serialize};

use super::buckets::{self, Cut};
use super::choose::choose;
use super::{Band, ResultKind, Spec, SpecError};
use crate::canonical::{Canonical, Digest};
use crate::names::Name;

/// The stages of a job, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The spec it follows from.
    pub spec: Digest,
    /// Why it is this protocol: for people, the same at every node.
    pub reason: String,
    /// One protocol run after another: one for each key of the job. A row that a key found is not looked for by the next;
    /// who does not learn what was found brings all its rows to each.
    pub stages: Vec<Stage>,
}

/// One run of one protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// The protocol's name in the catalogue.
    pub protocol: Name,
    /// The result form, by its name.
    pub form: String,
    /// In how many buckets it runs, one after another: a power of two, 1 where both sets fit the job's memory whole.
    pub buckets: u32,
    /// One task per party.
    pub tasks: Vec<Task>,
}

/// What one party does in a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The party.
    pub party: PartyId,
    /// Whether it is the protocol's receiver; the others are senders.
    pub receives: bool,
    /// The size of its set, as others know it.
    pub band: Band,
    /// What each bucket of its set is padded to; the band where there is one bucket.
    pub bucket_rows: u64,
    /// Messages one after another in the whole stage.
    pub rounds: u32,
    /// Bytes it sends, before sealing.
    pub bytes_out: u64,
    /// Scalar multiplications it makes.
    pub group_ops: u64,
    /// Microseconds that it computes, as estimated for one core of the catalogue's reference.
    pub cpu_us: u64,
}

impl Canonical for Plan {
    const DOMAIN: &'static str = "banyan/plan/v2";
}

impl Task {
    /// The party's role.
    pub fn role(&self) -> Role {
        if self.receives { Role::Receiver } else { Role::Sender }
    }

    /// What it spends.
    pub fn cost(&self) -> Cost {
        Cost { rounds: self.rounds, bytes_out: self.bytes_out, group_ops: self.group_ops, cpu_us: self.cpu_us }
    }
}

impl Plan {
    /// Derives the plan. Deterministic: it reads nothing but its arguments.
    ///
    /// # Errors
    /// [`SpecError`] where the catalogue has no such protocol or the protocol no such result form.
    pub fn derive(spec: &Spec, catalogue: &Catalogue) -> Result<Self, SpecError> {
        let whole = parameters(spec);
        if spec.limits.buckets_min > 1 && !buckets::by_row(whole.form) {
            return Err(SpecError::new(
                "limits.buckets_min",
                format!("{} is opened whole: of buckets, each one's part of it would be told", whole.form.name()),
                "leave it out",
            ));
        }
        if spec.limits.buckets_min > 1 && spec.is_cascade() {
            return Err(SpecError::new(
                "limits.buckets_min",
                "the job has more than one key: what an earlier one found lies in other buckets",
                "leave it out, or give one key",
            ));
        }
        if spec.limits.buckets_min > 1 && spec.is_interop() {
            return Err(SpecError::new(
                "limits.buckets_min",
                "the interconnection standard has no buckets",
                "leave it out, or name another protocol",
            ));
        }
        let choice = choose(spec, catalogue, &whole)?;
        let cut = Cut::new(choice.protocol, whole, spec);
        let task = |party: &PartyId, role: Role| {
            let cost = cut.cost(choice.protocol, role);
            Task {
                party: party.clone(),
                receives: role == Role::Receiver,
                band: Band::covering(whole.sizes.of(role)),
                bucket_rows: cut.bucket.sizes.of(role),
                rounds: cost.rounds,
                bytes_out: cost.bytes_out,
                group_ops: cost.group_ops,
                cpu_us: cost.cpu_us,
            }
        };
        let tasks = roster(spec).iter().map(|(party, role)| task(party, role)).collect();
        let protocol = choice.protocol.descriptor().name.parse();
        let protocol = protocol.map_err(|why: &str| SpecError::new("protocol", "unnamed in this build", why))?;
        let stage = Stage { protocol, form: whole.form.name().into(), buckets: cut.buckets, tasks };
        let keys = spec.parties.iter().map(|party| party.keys().count()).max().unwrap_or(0);
        Ok(Self { spec: spec.digest(), reason: choice.reason, stages: vec![stage; keys] })
    }

    /// How many sessions an attempt has, each under a task number below this: one for each bucket of each stage, in order, and
    /// where a stage has several, one more for the attempt itself.
    pub fn sessions(&self) -> u32 {
        let buckets: u32 = self.stages.iter().map(|stage| stage.buckets).sum();
        buckets + u32::from(self.is_resumable())
    }

    /// Whether an attempt that was cut off can be gone on with: where it runs in buckets.
    pub fn is_resumable(&self) -> bool {
        self.stages.iter().any(|stage| stage.buckets > 1)
    }
}

impl Stage {
    /// The agreed parameters of a protocol run, which is over one bucket.
    ///
    /// # Errors
    /// [`SpecError`] where the stage was not derived by [`Plan::derive`].
    pub fn parameters(&self) -> Result<Parameters, SpecError> {
        let odd = || SpecError::new("plan", "not a plan of this version", "derive it from the spec");
        let rows = |receives| self.tasks.iter().find(|t| t.receives == receives).map(|t| t.bucket_rows).ok_or_else(odd);
        let forms = [Form::RowsToReceiver, Form::RowsToBoth, Form::Cardinality, Form::Sum];
        let form = forms.into_iter().find(|form| form.name() == self.form).ok_or_else(odd)?;
        let senders = self.tasks.iter().filter(|task| !task.receives).count();
        Ok(agreed(Sizes { receiver: rows(true)?, sender: rows(false)? }, form, senders))
    }

    /// The parties and their roles.
    pub fn roster(&self) -> Option<Roster> {
        let of = |receives| self.tasks.iter().filter(move |t| t.receives == receives).map(|t| t.party.clone());
        Some(Roster::star(of(true).next()?, of(false)))
    }

    /// The task of `party`.
    pub fn task(&self, party: &PartyId) -> Option<&Task> {
        self.tasks.iter().find(|task| task.party == *party)
    }
}

/// What a run over all rows of the parties has agreed on.
pub(super) fn parameters(spec: &Spec) -> Parameters {
    agreed(sizes(spec), form(spec), spec.parties.len() - 1)
}

fn agreed(sizes: Sizes, form: Form, senders: usize) -> Parameters {
    Parameters { senders: senders as u32, columns: u32::from(form == Form::Sum), ..Parameters::new(sizes, form) }
}

fn form(spec: &Spec) -> Form {
    match (spec.result, spec.recipients.len()) {
        (ResultKind::Count, _) => Form::Cardinality,
        (ResultKind::Sum, _) => Form::Sum,
        (ResultKind::Rows | ResultKind::Left | ResultKind::Difference, 1) => Form::RowsToReceiver,
        (ResultKind::Rows | ResultKind::Left | ResultKind::Difference, _) => Form::RowsToBoth,
    }
}

/// The first recipient is the receiver, and all others send to it.
pub(super) fn roster(spec: &Spec) -> Roster {
    let receiver = &spec.recipients[0];
    let senders = spec.parties.iter().map(|party| &party.name).filter(|name| *name != receiver);
    Roster::star(receiver.clone(), senders.cloned())
}

/// All senders are padded to the largest one's band.
fn sizes(spec: &Spec) -> Sizes {
    let roster = roster(spec);
    let band = |role| {
        let rows = roster.holders(role).filter_map(|party| spec.party(party)).map(|party| party.rows_at_most);
        Band::covering(rows.max().unwrap_or(0)).rows()
    };
    Sizes { receiver: band(Role::Receiver), sender: band(Role::Sender) }
}
