//! Out of core: a set that does not fit a job's memory is cut into padded buckets, by a hash that both parties share, so
//! that equal keys meet in buckets of one number. The protocol runs bucket by bucket.
//!
//! **How full a bucket gets.** The n distinct keys of a set fall into B buckets as balls into bins: the hash is keyed by the
//! job, whose digest the keys do not depend on. The load of one bucket is a sum of n independent indicators with mean
//! μ = n/B and variance below μ, so by Bernstein's inequality (Boucheron, Lugosi and Massart 2013, "Concentration
//! inequalities", corollary 2.11, with c = 1/3 for variables below 1)
//!
//! ```text
//! P[load ≥ μ + t] ≤ exp(−t² / (2 (μ + t/3)))
//! ```
//!
//! and with t = L/3 + sqrt(L²/9 + 2Lμ), L = ln(B · 2^41), the right side is 1 / (B · 2^41). So by the union bound one of the
//! 2B buckets of both parties overflows with probability at most 2^-40. Every bucket is padded to μ + t, so that its load
//! tells nothing. A bucket that overflows all the same ends the attempt: no row is ever dropped.

use std::hash::Hasher;

use banyan_protocols::catalogue::{Cost, Form, Parameters, Protocol, Sizes};
use banyan_protocols::party::Role;
use sha2::{Digest as _, Sha256};
use siphasher::sip::SipHasher24;

use super::Spec;
use crate::canonical::Digest;

/// The most buckets of a stage: 2^16 rows each at the largest bands.
pub const BUCKETS_MAX: u32 = 1 << 12;

/// What one row of a party's own set takes for the whole job, wherever its key is: the row's place in the file.
const ROW_PLACE: u64 = 8;

/// How a stage is cut: each bucket is one run of the protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// How many buckets, a power of two.
    pub(crate) buckets: u32,
    /// The parameters of the run of one of them.
    pub(crate) bucket: Parameters,
}

impl Cut {
    /// The least power of two, from `limits.buckets_min` on, with which one bucket of both parties fits three quarters of
    /// `limits.memory_mb` at each of them (the last quarter is the local engine's), and is within what the protocol takes
    /// in one run. One where the result is no list of
    /// rows: what is opened of a part would be told of every part. One for a cascade, whose later keys are of rows that
    /// lie in other buckets. And one with a party of the interconnection standard, which has none.
    pub(crate) fn new(protocol: &dyn Protocol, whole: Parameters, spec: &Spec) -> Self {
        let limits = &spec.limits;
        let cut = |buckets: u32| {
            let rows = |role| rows_of_one(whole.sizes.of(role), buckets);
            let sizes = Sizes { receiver: rows(Role::Receiver), sender: rows(Role::Sender) };
            Self { buckets, bucket: Parameters { sizes, ..whole } }
        };
        if !by_row(whole.form) || spec.is_cascade() || spec.is_interop() {
            return cut(1);
        }
        let room = (u64::from(limits.memory_mb) << 20) / 4 * 3;
        let fits = |cut: &Self| {
            [Role::Receiver, Role::Sender].into_iter().all(|role| {
                let places = whole.sizes.of(role).saturating_mul(ROW_PLACE);
                protocol.memory(&cut.bucket, role).saturating_add(places) <= room
            }) && cut.above(protocol).is_none()
        };
        let mut buckets = limits.buckets_min.max(1);
        while buckets < BUCKETS_MAX && !fits(&cut(buckets)) {
            buckets *= 2;
        }
        cut(buckets)
    }

    /// The role of which one run would have more rows than the protocol takes.
    pub(crate) fn above(&self, protocol: &dyn Protocol) -> Option<Role> {
        [Role::Receiver, Role::Sender].into_iter().find(|role| self.bucket.sizes.of(*role) > protocol.rows_max(*role))
    }

    /// What `role` spends in all buckets, one after the other.
    pub(crate) fn cost(&self, protocol: &dyn Protocol, role: Role) -> Cost {
        let one = protocol.cost(&self.bucket, role);
        let times = |each: u64| each.saturating_mul(self.buckets.into());
        Cost {
            rounds: one.rounds.saturating_mul(self.buckets),
            bytes_out: times(one.bytes_out),
            group_ops: times(one.group_ops),
            cpu_us: times(one.cpu_us),
        }
    }
}

/// Whether a result of this form is a list of rows, which the lists of all buckets make up.
pub(crate) fn by_row(form: Form) -> bool {
    matches!(form, Form::RowsToReceiver | Form::RowsToBoth)
}

/// What each of so many buckets of a set of at most `rows` keys is padded to. See the module.
pub(crate) fn rows_of_one(rows: u64, buckets: u32) -> u64 {
    if buckets <= 1 {
        return rows;
    }
    // IEEE 754 fixes every bit of these operations, so all nodes come to one number
    let l = (41.0 + f64::from(buckets.ilog2())) * std::f64::consts::LN_2;
    let mu = rows as f64 / f64::from(buckets);
    let t = l / 3.0 + (l * l / 9.0 + 2.0 * l * mu).sqrt();
    rows.min((mu + t).ceil() as u64 + 1) // and one for what the roundings lost
}

/// The hash that tells a key's bucket, the same at both parties.
#[derive(Clone, Debug)]
pub struct Split {
    hash: SipHasher24,
    buckets: u32,
}

impl Split {
    /// The split of a job's stage into so many buckets, a power of two.
    pub fn new(job: &Digest, stage: u32, buckets: u32) -> Self {
        let seed =
            Sha256::new_with_prefix(b"banyan/buckets/v1\0").chain_update(job.0).chain_update(stage.to_le_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&seed.finalize()[..16]);
        Self { hash: SipHasher24::new_with_key(&key), buckets }
    }

    /// How many buckets.
    pub fn buckets(&self) -> u32 {
        self.buckets
    }

    /// The bucket of a key in its normal form.
    pub fn bucket_of(&self, key: &[u8]) -> u32 {
        let mut hash = self.hash;
        hash.write(key);
        ((u128::from(hash.finish()) * u128::from(self.buckets)) >> 64) as u32
    }
}

#[cfg(test)]
mod tests {
    use banyan_protocols::CATALOGUE;

    use super::*;
    use crate::job::{Plan, ResultKind, Stage};

    #[test]
    fn a_set_that_does_not_fit_is_cut_into_buckets() {
        let plan = |edit: &dyn Fn(&mut Spec)| {
            let mut spec = Spec::from_toml(&Spec::EXAMPLE.replace("\"auto\"", "\"dh\"")).unwrap();
            edit(&mut spec);
            spec.validate()?;
            Plan::derive(&spec, &CATALOGUE)
        };
        let stage = |rows: u64, memory_mb: u32, buckets_min: u32| {
            let edit = |spec: &mut Spec| {
                spec.parties.iter_mut().for_each(|party| party.rows_at_most = rows);
                (spec.limits.memory_mb, spec.limits.buckets_min) = (memory_mb, buckets_min);
            };
            plan(&edit).unwrap().stages.remove(0)
        };
        let cut = |stage: &Stage| (stage.buckets, stage.tasks[0].band.rows(), stage.tasks[0].bucket_rows);
        assert_eq!(cut(&stage(1 << 20, 1024, 1)), (1, 1 << 20, 1 << 20));
        assert_eq!(cut(&stage(1 << 24, 1024, 1)), (8, 1 << 24, 2_108_474));
        assert_eq!(cut(&stage(1 << 20, 64, 1)), (8, 1 << 20, 133_911));
        assert_eq!(stage(1 << 28, 64, 1).buckets, BUCKETS_MAX, "no memory is small enough for more");
        let small = stage(3000, 1024, 8);
        assert_eq!(cut(&small), (8, 3072, 549));
        let whole = stage(3000, 1024, 1);
        assert_eq!(small.parameters().unwrap().sizes.receiver, 549);
        assert_eq!(small.tasks[0].rounds, 8 * whole.tasks[0].rounds);
        assert!(small.tasks[0].bytes_out > whole.tasks[0].bytes_out, "padding is in the cost");

        let refused = plan(&|spec| spec.limits.buckets_min = 3).unwrap_err();
        assert_eq!(refused.to_string(), "limits.buckets_min: 3 buckets; give a power of two from 1 to 4096");
        let count = |spec: &mut Spec| {
            (spec.result, spec.scenario.results) = (ResultKind::Count, vec![ResultKind::Count]);
            (spec.limits.memory_mb, spec.parties[0].rows_at_most) = (64, 1 << 24);
        };
        assert_eq!(plan(&count).unwrap().stages[0].buckets, 1, "a count is opened whole");
        let refused = plan(&|spec| {
            count(spec);
            spec.limits.buckets_min = 2;
        });
        assert_eq!(
            refused.unwrap_err().to_string(),
            "limits.buckets_min: cardinality is opened whole: of buckets, each one's part of it would be told; leave it out"
        );
    }

    #[test]
    fn a_cascade_is_not_cut() {
        let mut spec = Spec::from_toml(Spec::EXAMPLE).unwrap();
        for party in &mut spec.parties {
            party.else_key = vec![party.key.clone()];
            (party.rows_at_most, spec.limits.memory_mb) = (1 << 24, 64);
        }
        assert_eq!(Plan::derive(&spec, &CATALOGUE).unwrap().stages.iter().map(|s| s.buckets).sum::<u32>(), 2);
        spec.limits.buckets_min = 2;
        assert_eq!(
            Plan::derive(&spec, &CATALOGUE).unwrap_err().to_string(),
            "limits.buckets_min: the job has more than one key: what an earlier one found lies in other buckets; \
             leave it out, or give one key"
        );
    }

    #[test]
    fn buckets_hold_what_falls_into_them_and_little_more() {
        for (rows, buckets) in [(1 << 16, 16), (100_000, 2), (5_000, 64)] {
            let split = Split::new(&Digest([7; 32]), 0, buckets);
            let mut loads = vec![0_u64; buckets as usize];
            for row in 0..rows {
                loads[split.bucket_of(format!("{row:018}").as_bytes()) as usize] += 1;
            }
            let (most, least) = (*loads.iter().max().unwrap(), *loads.iter().min().unwrap());
            let padded = rows_of_one(rows, buckets);
            assert!(
                most < padded && least > 0,
                "{rows} rows in {buckets} buckets: {least} to {most}, {padded} planned"
            );
        }
        assert_eq!(rows_of_one(1 << 20, 1), 1 << 20);
        assert_eq!(rows_of_one(1 << 20, 8), 133_911, "2.2 % above the mean");
        assert_eq!(rows_of_one(16, 4096), 16, "never more than all");
    }

    /// The tail that the formula bounds, summed exactly for a small case: Poisson would be an approximation.
    #[test]
    fn the_bound_holds_where_the_tail_can_be_summed() {
        let (n, buckets) = (2000_u64, 8_u32);
        let p = 1.0 / f64::from(buckets);
        // terms of the binomial distribution from the planned load on, each from the one before
        let first = rows_of_one(n, buckets);
        let log_choose: f64 = (0..first).map(|i| ((n - i) as f64 / (i + 1) as f64).ln()).sum();
        let mut term = (log_choose + first as f64 * p.ln() + (n - first) as f64 * (1.0 - p).ln()).exp();
        let mut tail = 0.0;
        for k in first..n {
            tail += term;
            term *= (n - k) as f64 / (k + 1) as f64 * p / (1.0 - p);
        }
        assert!(tail * f64::from(2 * buckets) < 2_f64.powi(-40), "{tail:e}");
        assert!(tail > 2_f64.powi(-70), "and is not far too large: {tail:e}");
    }

    #[test]
    fn the_split_is_fixed_and_its_own_for_every_job_and_stage() {
        let all = |split: Split| (0..64).map(|key: u8| split.bucket_of(&[key])).collect::<Vec<_>>();
        let one = all(Split::new(&Digest([1; 32]), 0, 256));
        assert_eq!(one[..4], [193, 127, 86, 152]);
        assert_ne!(one, all(Split::new(&Digest([2; 32]), 0, 256)));
        assert_ne!(one, all(Split::new(&Digest([1; 32]), 1, 256)));
    }
}
