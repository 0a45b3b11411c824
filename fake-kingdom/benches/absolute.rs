//! Absolute times, by criterion, of what `ratios` compares: `cargo bench -p fake-kingdom --bench
//! absolute`.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

mod support;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use support::{Filled, Pair, SIZES};

fn reads(criterion: &mut Criterion) {
    for size in SIZES {
        let mut state = Filled::memory(size);
        let tokens = state.page_tokens();
        let names: Vec<_> = (0..10_000).map(|_| state.any_name()).collect();
        let mut turn = 0;
        let mut next = |of: &[String]| {
            turn += 1;
            of[turn % of.len()].clone()
        };
        let mut group = criterion.benchmark_group("reads");
        group.bench_function(format!("get/{size}"), |bencher| {
            bencher.iter_batched(|| next(&names), |name| state.get(name), BatchSize::SmallInput);
        });
        group.bench_function(format!("list/{size}"), |bencher| {
            bencher.iter_batched(
                || next(&tokens),
                |token| state.list(token),
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

fn wire(criterion: &mut Criterion) {
    let pair = Pair::start();
    let mut group = criterion.benchmark_group("wire");
    for (name, target) in [("fake", &pair.fake), ("bare", &pair.bare)] {
        let connections = pair.run(target.connections(1));
        group.bench_function(format!("unary/{name}"), |bencher| {
            bencher.iter(|| pair.run(target.unary(&connections, 1, 1)));
        });
        group.bench_function(format!("handshake/{name}"), |bencher| {
            bencher.iter(|| pair.run(target.handshakes(1, 1)));
        });
    }
    group.finish();
}

criterion_group!(benches, reads, wire);
criterion_main!(benches);
