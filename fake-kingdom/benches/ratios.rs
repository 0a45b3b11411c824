//! The numbers of design.md section 8 that concern the fake, each measured against a baseline in
//! the same run, as one table: `cargo bench -p fake-kingdom --bench ratios`. With words after `--`,
//! only the parts of that name: `unary`, `handshakes`, `reads`, `start`, `million`.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench measures and prints")]

mod support;

use serde_json::Value as Json;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use support::{DER_BYTES, Filled, Pair, SIZES, Stocked, seconds};

/// Interleaved rounds of each comparison.
const ROUNDS: usize = 15;

/// One line of the table.
struct Line {
    what: &'static str,
    hold: Hold,
    sample: Sample,
    note: String,
}

#[derive(Clone, Copy)]
enum Hold {
    AtLeast(f64),
    AtMost(f64),
    Below(f64, &'static str),
    /// For information.
    Nothing(&'static str),
}

/// Measured values of one figure.
struct Sample(Vec<f64>);

impl Sample {
    fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    fn at(&self, share: f64) -> f64 {
        let last = (self.0.len() - 1) as f64;
        self.0[(last * share).round() as usize]
    }

    fn median(&self) -> f64 {
        self.at(0.5)
    }
}

/// Server CPU and wall time of one round.
struct Round {
    wall: f64,
    cpu: f64,
}

/// Nanoseconds on a processor so far, of all threads of one name.
fn cpu_of(threads: &str) -> f64 {
    let mut total = 0.0;
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let read = |file| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        if read("comm").trim() == threads {
            let stat = read("schedstat");
            let first = stat.split(' ').next().and_then(|n| n.parse::<f64>().ok());
            total += first.unwrap_or_default();
        }
    }
    total
}

fn round(threads: &str, work: impl FnOnce()) -> Round {
    let before = cpu_of(threads);
    let wall = seconds(work);
    Round { wall, cpu: cpu_of(threads) - before }
}

/// Alternating rounds of the two, each pair in the other order than the one before.
fn pairs(mut fake: impl FnMut() -> Round, mut bare: impl FnMut() -> Round) -> Vec<(Round, Round)> {
    let _warm = (fake(), bare());
    (0..ROUNDS)
        .map(|n| {
            if n % 2 == 0 {
                let fake = fake();
                (fake, bare())
            } else {
                let bare = bare();
                (fake(), bare)
            }
        })
        .collect()
}

/// Throughput of the fake over the bare server's, and its CPU time a call.
fn compare(lines: &mut Vec<Line>, what: [&'static str; 2], calls: usize, pairs: &[(Round, Round)]) {
    let ratio = |f: fn(&(Round, Round)) -> f64| Sample::new(pairs.iter().map(f).collect());
    let per_call = |f: fn(&(Round, Round)) -> f64| ratio(f).median() / calls as f64;
    let [throughput, cpu] = what;
    lines.push(Line {
        what: throughput,
        hold: Hold::AtLeast(0.95),
        sample: ratio(|(fake, bare)| bare.wall / fake.wall),
        note: format!(
            "fake {:.0}/s, bare {:.0}/s",
            1.0 / per_call(|(fake, _)| fake.wall),
            1.0 / per_call(|(_, bare)| bare.wall)
        ),
    });
    if pairs.iter().all(|(fake, bare)| fake.cpu > 0.0 && bare.cpu > 0.0) {
        lines.push(Line {
            what: cpu,
            hold: Hold::Nothing("x"),
            sample: ratio(|(fake, bare)| fake.cpu / bare.cpu),
            note: format!(
                "fake {:.1} us, bare {:.1} us",
                per_call(|(fake, _)| fake.cpu) / 1e3,
                per_call(|(_, bare)| bare.cpu) / 1e3
            ),
        });
    }
}

fn unary(lines: &mut Vec<Line>, pair: &Pair) {
    for (connections, in_flight, calls, what) in [
        (1, 1, 2_000, ["unary RPC/s, 1 x 1, to bare", "  server CPU a call, to bare"]),
        (8, 8, 1_600, ["unary RPC/s, 8 x 8, to bare", "  server CPU a call, to bare"]),
    ] {
        let fakes = pair.run(pair.fake.connections(connections));
        let bares = pair.run(pair.bare.connections(connections));
        let measured = pairs(
            || round("fake", || pair.run(pair.fake.unary(&fakes, in_flight, calls))),
            || round("bare", || pair.run(pair.bare.unary(&bares, in_flight, calls))),
        );
        compare(lines, what, calls * connections, &measured);
    }
}

fn handshakes(lines: &mut Vec<Line>, pair: &Pair) {
    const COUNT: usize = 640;
    let measured = pairs(
        || round("fake", || pair.run(pair.fake.handshakes(16, COUNT))),
        || round("bare", || pair.run(pair.bare.handshakes(16, COUNT))),
    );
    let what = ["mTLS handshakes/s, 16 at once, to bare", "  server CPU a handshake, to bare"];
    compare(lines, what, COUNT, &measured);
}

/// Nanoseconds of one Get of a random certificate.
fn time_get(state: &mut Filled) -> f64 {
    const CALLS: usize = 20_000;
    let names: Vec<_> = (0..CALLS).map(|_| state.any_name()).collect();
    let taken = seconds(|| {
        for name in names {
            black_box(state.get(name));
        }
    });
    taken / CALLS as f64 * 1e9
}

/// Nanoseconds of one page of List, each of another place in the list.
fn time_list(state: &Filled, tokens: &[String], next: &mut usize) -> f64 {
    const CALLS: usize = 400;
    let tokens: Vec<_> = (0..CALLS).map(|n| tokens[(*next + n) % tokens.len()].clone()).collect();
    *next += CALLS;
    let taken = seconds(|| {
        for token in tokens {
            black_box(state.list(token));
        }
    });
    taken / CALLS as f64 * 1e9
}

fn reads(lines: &mut Vec<Line>) {
    let mut states: Vec<_> = SIZES.into_iter().map(Filled::memory).collect();
    let tokens: Vec<_> = states.iter().map(Filled::page_tokens).collect();
    let mut next = [0; 3];
    let mut gets = Vec::new();
    let mut lists = Vec::new();
    for _ in 0..=ROUNDS {
        gets.push([0, 1, 2].map(|n| time_get(&mut states[n])));
        lists.push([0, 1, 2].map(|n| time_list(&states[n], &tokens[n], &mut next[n])));
    }
    drop(states);
    let (mut wire_gets, mut wire_lists) = (Vec::new(), Vec::new());
    let mut served = SIZES.map(Stocked::start);
    for _ in 0..=ROUNDS {
        let per_call = |taken: f64, calls: usize| taken / calls as f64 * 1e9;
        wire_gets.push([0, 1, 2].map(|n| per_call(seconds(|| served[n].gets(1_000)), 1_000)));
        wire_lists.push([0, 1, 2].map(|n| per_call(seconds(|| served[n].lists(200)), 200)));
    }
    let held = Hold::AtMost(2.0);
    let shown = Hold::Nothing("x");
    for (what, times, at_most) in [
        (["Get RPC at 1, to 1,000", "Get RPC at 1,000,000, to 1,000"], wire_gets, held),
        (["List RPC at 1, to 1,000", "List RPC (50) at 1,000,000, to 1,000"], wire_lists, held),
        (["  Get's rule at 1, to 1,000", "  Get's rule at 1,000,000, to 1,000"], gets, held),
        (["  List's rule at 1, to 1,000", "  List's rule at 1,000,000, to 1,000"], lists, held),
    ] {
        let times = &times[1..];
        let median = |n: usize| Sample::new(times.iter().map(|t| t[n]).collect()).median() / 1e3;
        for (n, what, hold) in [(0, what[0], shown), (2, what[1], at_most)] {
            lines.push(Line {
                what,
                hold,
                sample: Sample::new(times.iter().map(|t| t[n] / t[1]).collect()),
                note: format!("{:.2} us, at 1,000 {:.2} us", median(n), median(1)),
            });
        }
    }
}

/// A `serve` process, measured to its ready line.
struct Serve {
    child: Child,
    ready_seconds: f64,
}

impl Serve {
    fn start(arguments: &[&str]) -> Self {
        let start = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_fake-kingdom"))
            .args(["serve", "--format", "json"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("a ready line");
        let ready_seconds = start.elapsed().as_secs_f64();
        let ready: Json = serde_json::from_str(&line).expect("a ready line");
        assert_eq!(ready["ready"], true);
        Self { child, ready_seconds }
    }

    fn stop(&mut self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill runs").success());
        self.child.wait().expect("it ends");
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes of a process that are in memory.
fn resident(process: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default() * 1024.0
}

fn start(lines: &mut Vec<Line>) {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = folder.path().to_str().expect("a text path");
    Serve::start(&["--sandbox", sandbox]).stop("-TERM");
    let (mut ready, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut serve = Serve::start(&["--sandbox", sandbox]);
        ready.push(serve.ready_seconds * 1e3);
        std::thread::sleep(std::time::Duration::from_millis(100));
        memory.push(resident(&serve.child.id().to_string()) / 1048576.0);
        serve.stop("-TERM");
    }
    let note = String::new;
    lines.push(Line {
        what: "ready with a warm sandbox",
        hold: Hold::Below(50.0, "ms"),
        sample: Sample::new(ready),
        note: note(),
    });
    lines.push(Line {
        what: "resident when idle",
        hold: Hold::Below(25.0, "MiB"),
        sample: Sample::new(memory),
        note: note(),
    });
}

fn million(lines: &mut Vec<Line>) {
    const COUNT: usize = 1_000_000;
    let above = |bytes: f64| bytes / COUNT as f64 - DER_BYTES as f64;

    // In a process of its own, so that nothing else is counted.
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--bench", "memory-of-a-million"])
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let bytes = text.trim().parse().expect("a number of bytes");
    lines.push(Line {
        what: "a certificate above its DER, created",
        hold: Hold::Below(1536.0, "B"),
        sample: Sample::new(vec![above(bytes)]),
        note: "1,000,000, with the events of their creation".to_owned(),
    });

    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a text path").to_owned();
    let (sandbox, data) = (path("sandbox"), path("data"));
    Serve::start(&["--sandbox", &sandbox]).stop("-TERM");
    let idle = {
        let serve = Serve::start(&["--sandbox", &sandbox]);
        resident(&serve.child.id().to_string())
    };
    let filling = seconds(|| drop(Filled::disk(Path::new(&data), COUNT)));
    let (mut ready, mut killed, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..10 {
        let mut serve = Serve::start(&["--sandbox", &sandbox, "--data-dir", &data]);
        // Each second one follows a kill -9.
        if n % 2 == 0 { &mut ready } else { &mut killed }.push(serve.ready_seconds);
        memory.push(above(resident(&serve.child.id().to_string()) - idle));
        serve.stop(if n % 2 == 0 { "-KILL" } else { "-TERM" });
    }
    lines.push(Line {
        what: "ready from --data-dir with 1,000,000",
        hold: Hold::Below(3.0, "s"),
        sample: Sample::new(ready),
        note: format!("made in {filling:.0} s"),
    });
    lines.push(Line {
        what: "  the same after kill -9",
        hold: Hold::Below(3.0, "s"),
        sample: Sample::new(killed),
        note: String::new(),
    });
    lines.push(Line {
        what: "a certificate above its DER, read back",
        hold: Hold::Below(1536.0, "B"),
        sample: Sample::new(memory),
        note: "store's page cache included".to_owned(),
    });
}

fn print(lines: &[Line]) {
    println!(
        "{:<40} {:>12} {:>9}  {:<22} {:<4} absolute",
        "figure", "to hold", "median", "quartiles (min-max)", ""
    );
    for line in lines {
        let (hold, held) = match line.hold {
            Hold::AtLeast(least) => (format!(">= {least} x"), line.sample.median() >= least),
            Hold::AtMost(most) => (format!("<= {most} x"), line.sample.median() <= most),
            Hold::Below(limit, unit) => (format!("< {limit} {unit}"), line.sample.median() < limit),
            Hold::Nothing(unit) => (format!("- {unit}"), true),
        };
        let sample = &line.sample;
        let digits = if sample.median() >= 100.0 { 0 } else { 2 };
        let spread = format!(
            "{:.digits$}-{:.digits$} ({:.digits$}-{:.digits$})",
            sample.at(0.25),
            sample.at(0.75),
            sample.at(0.0),
            sample.at(1.0),
        );
        println!(
            "{:<40} {:>12} {:>9.digits$}  {:<22} {:<4} {}",
            line.what,
            hold,
            sample.median(),
            spread,
            if held { "ok" } else { "MISS" },
            line.note,
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` builds and starts it, but measures nothing.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let wanted: Vec<_> = arguments.iter().filter(|word| !word.starts_with("--")).collect();
    if wanted.iter().any(|word| *word == "memory-of-a-million") {
        let before = resident("self");
        let state = Filled::unnamed(1_000_000);
        println!("{}", resident("self") - before);
        drop(state);
        return;
    }
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|word| *word == part);
    let mut lines = Vec::new();
    if is_wanted("start") {
        start(&mut lines);
    }
    if is_wanted("unary") || is_wanted("handshakes") {
        let pair = Pair::start();
        if is_wanted("handshakes") {
            handshakes(&mut lines, &pair);
        }
        if is_wanted("unary") {
            unary(&mut lines, &pair);
        }
    }
    if is_wanted("reads") {
        reads(&mut lines);
    }
    if is_wanted("million") {
        million(&mut lines);
    }
    print(&lines);
}
