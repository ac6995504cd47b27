//! Transfers, stores and evaluations.

use std::hint::black_box;

use banyan_protocols::bits::Bits;
use banyan_protocols::kernels::aes::prg;
use banyan_protocols::kernels::lpn::{Code, NOISE_WEIGHT};
use banyan_protocols::kernels::okvs::Okvs;
use banyan_protocols::kernels::pprf::{Forest, grow, grow_punctured};
use banyan_protocols::ot;
use banyan_protocols::party::{PartyId, Role, Roster};
use banyan_protocols::sim::World;
use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use criterion::{Criterion, Throughput};

/// Random transfers with their set-up: both parties on this one core, so that time is the sum of both.
pub(super) fn transfers(c: &mut Criterion) {
    let core = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    let party = |name| PartyId::new(name).expect("a good name");
    let roster = Roster::pair(party("receiver"), party("sender"));
    let mut group = c.benchmark_group("oblivious transfer, both parties");
    group.sample_size(10);
    for count in [128, 1 << 20] {
        let choices: Bits = (0..count).map(|n| n % 3 == 0).collect();
        let run = || {
            let run = World::new("ot", 1).run(&roster, |s, role| {
                let choices = choices.clone();
                async move {
                    let peer = s.holder(role.other())?.clone();
                    match role {
                        Role::Receiver => ot::random_receive(&s, &peer, choices).await.map(drop),
                        Role::Sender => ot::random_send(&s, &peer, count).await.map(drop),
                    }
                }
            });
            run.values().expect("an honest run ends well")
        };
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("{count}"), |b| core.install(|| b.iter(run)));
    }
    group.finish();
}

/// The sizes of the noise and of the code of silent VOLE.
const OUTPUTS: [usize; 2] = [1 << 16, 1 << 20];

/// Sparse noise, per output of the code it is for (which is half a leaf).
pub(super) fn forest(c: &mut Criterion) {
    let core = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    let mut group = c.benchmark_group("forest");
    for outputs in OUTPUTS {
        let forest = Forest::new(NOISE_WEIGHT, (2 * outputs).div_ceil(NOISE_WEIGHT));
        let keys: Vec<[u128; 2]> = (0..forest.trees() * forest.depth()).map(|n| [n as u128, !n as u128]).collect();
        let points: Vec<u32> = (0..forest.trees()).map(|tree| (tree * 31 % forest.leaves()) as u32).collect();
        let chosen = keys.iter().zip(forest.choices(&points)).map(|(pair, right)| pair[usize::from(right)]);
        let chosen: Vec<u128> = chosen.collect();
        let mut leaves = vec![0; forest.len()];
        let sums = grow(&forest, &keys, &mut leaves);
        group.throughput(Throughput::Elements(outputs as u64));
        group.bench_function(format!("grow, {outputs}"), |b| {
            core.install(|| b.iter(|| grow(&forest, &keys, &mut leaves)))
        });
        group.bench_function(format!("grow_punctured, {outputs}"), |b| {
            core.install(|| b.iter(|| grow_punctured(&forest, &points, &chosen, &sums, &mut leaves)))
        });
    }
    group.finish();
}

/// The code of silent VOLE: the sender encodes one vector, the receiver two side by side.
pub(super) fn code(c: &mut Criterion) {
    let core = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    let mut group = c.benchmark_group("linear code");
    for outputs in OUTPUTS {
        let code = Code::new(outputs, 2 * outputs);
        let (mut noise, mut beside) = (vec![1u128; 2 * outputs], vec![2u128; 2 * outputs]);
        let mut halves = vec![3u64; 2 * outputs];
        group.throughput(Throughput::Elements(outputs as u64));
        group.bench_function(format!("encode, {outputs}"), |b| core.install(|| b.iter(|| code.encode(&mut noise))));
        group.bench_function(format!("encode_pair, {outputs}"), |b| {
            core.install(|| b.iter(|| code.encode_pair(&mut noise, &mut beside)))
        });
        group.bench_function(format!("encode_pair with u64, {outputs}"), |b| {
            core.install(|| b.iter(|| code.encode_pair(&mut halves, &mut beside)))
        });
    }
    group.finish();
}

/// Silent VOLE with its set-up: both parties on this one core, so that time is the sum of both.
pub(super) fn vole(c: &mut Criterion) {
    let core = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    let party = |name| PartyId::new(name).expect("a good name");
    let roster = Roster::pair(party("receiver"), party("sender"));
    let mut group = c.benchmark_group("silent VOLE, both parties");
    group.sample_size(10);
    for length in OUTPUTS {
        let run = || {
            let run = World::new("vole", 1).run(&roster, |s, role| async move {
                let peer = s.holder(role.other())?.clone();
                match role {
                    Role::Receiver => ot::vole::receive::<u128>(&s, &peer, length).await.map(drop),
                    Role::Sender => ot::vole::send::<u128>(&s, &peer, length).await.map(drop),
                }
            });
            run.values().expect("an honest run ends well")
        };
        group.throughput(Throughput::Elements(length as u64));
        group.bench_function(format!("{length}"), |b| core.install(|| b.iter(run)));
    }
    group.finish();
}

pub(super) fn okvs(c: &mut Criterion) {
    let core = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    let mut group = c.benchmark_group("okvs");
    group.sample_size(10);
    for count in [1 << 16, 1 << 20] {
        let (mut keys, mut values, mut out) = (vec![0; count], vec![0; count], vec![0; count]);
        prg(1, 0, &mut keys);
        prg(2, 0, &mut values);
        let store = Okvs::new(count, 3);
        let keys = core.install(|| store.arrange(&keys));
        let encode = || store.encode(&keys, &values, &mut ChaCha20Rng::from_seed([4; 32])).expect("fails once in 2^40");
        let table = core.install(encode);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("arrange, {count}"), |b| core.install(|| b.iter(|| store.arrange(keys.keys()))));
        group.bench_function(format!("encode, {count}"), |b| core.install(|| b.iter(encode)));
        group.bench_function(format!("decode, {count}"), |b| {
            core.install(|| b.iter(|| store.decode(black_box(&table), &keys, &mut out)))
        });
    }
    group.finish();
}
