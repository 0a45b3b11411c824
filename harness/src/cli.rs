//! The command line (interfaces.md sections 4 and 5).

use crate::coverage;
use crate::deviations;
use crate::environment::EnvironmentKind;
use crate::error::UsageError;
use crate::nearest;
use crate::observation::Fact;
use crate::procedure::Hook;
use crate::report::{cucumber, html, junit, record, repro, summary};
use crate::run::{self, Exit, Plan, Progress};
use crate::scenario::{self, Scenario};
use crate::steps::{Kind, Registry};
use crate::tools::api::{self, ApiArgs};
use crate::tools::impact::{self, ImpactArgs, ImpactError};
use crate::tools::keys::{self, KeysArgs};
use crate::tools::pki::{self, PkiCommand};
use crate::tools::provision::{self, ProvisionArgs};
use crate::tools::{ToolError, usage_text};
use crate::twins;
use crate::world::Hooks;
use clap::{Args, Parser, Subcommand, ValueEnum};
use fake_kingdom::audit::{self, Head};
use fake_kingdom::cause::Cause;
use fake_kingdom::seam::clock::Clock;
use fake_kingdom::seam::entropy::Seed;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

/// Runs Halo certificate, key and revocation scenarios and judges them.
#[derive(Debug, Parser)]
#[command(name = "halo-harness", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios in one environment
    Run(RunArgs),
    /// List scenarios, contract clauses or the step vocabulary
    List(ListArgs),
    /// Explain cause codes: whose fault, which clause, what next
    Explain {
        /// One code; without it, all
        code: Option<String>,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Check audit trails
    #[command(subcommand)]
    Audit(AuditCommand),
    /// The real MeasurementSystem: certificates, public keys, measurements (docs/tools.md)
    Api(Box<ApiArgs>),
    /// The real EncryptionPublicKeys: wrap, unwrap and sign encryption keys (docs/tools.md)
    Keys(KeysArgs),
    /// The real CreateResource: new data providers, model providers, Duchy certificates
    /// (docs/tools.md)
    Provision(Box<ProvisionArgs>),
    /// Make, show and check authorities and certificates (docs/tools.md)
    #[command(subcommand)]
    Pki(PkiCommand),
    /// What a stolen certificate or key has touched, before and after, and what to do next
    /// (docs/tools.md)
    Impact(Box<ImpactArgs>),
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Find an edited, dropped or reordered entry and, given the head, a truncated trail
    Verify {
        /// JSON lines, as the control listener's /v1/audit answers them
        file: PathBuf,
        /// What the trail must end with, as /v1/state and run.json show it
        #[arg(long, value_name = "COUNT:HASH")]
        head: Option<Head>,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Where to run
    #[arg(long, value_enum, default_value_t = EnvironmentKind::Loopback)]
    env: EnvironmentKind,
    #[command(flatten)]
    selection: Selection,
    /// Run just this fault's negative twin of the scenario that --scenario names, and show its red
    #[arg(long, value_name = "ID", conflicts_with = "twins")]
    fault: Option<String>,
    /// Where the negative twins of the chosen scenarios run
    #[arg(long, value_enum)]
    twins: Option<Twins>,
    /// Let `bash -c COMMAND` do this phase of a procedure (loopback only; README.md)
    #[arg(long, value_name = "PHASE=COMMAND")]
    hook: Vec<Hook>,
    /// How many seconds a --hook may take
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=110))]
    hook_timeout_seconds: u64,
    /// Root of all randomness; without it, a random one, which is printed
    #[arg(long)]
    seed: Option<u64>,
    /// How many scenarios at once; without it, one for each processor, on loopback three
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Write run.json, junit.xml, cucumber.ndjson (Cucumber Messages) and report.html into this
    /// folder and, if something went wrong, repro/: seed, steps and events of each failure
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    selection: Selection,
    /// The steps that scenarios are written with, each with an example
    #[arg(long, conflicts_with_all = ["clauses", "tags", "scenario"])]
    steps: bool,
    /// The faults of the negative twins
    #[arg(long, conflicts_with_all = ["clauses", "steps"])]
    faults: bool,
    /// The clauses of the contract, each with the scenarios and tests that hold it
    #[arg(long)]
    clauses: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Debug, Args)]
struct Selection {
    /// A feature file or a folder of them, instead of the embedded scenarios
    #[arg(long, value_name = "PATH")]
    features: Vec<PathBuf>,
    /// Only scenarios that this tag expression selects, such as `@contract-1.1.12 and not @slow`
    #[arg(long, value_name = "EXPR")]
    tags: Option<String>,
    /// Only the scenario with this id
    #[arg(long, value_name = "ID")]
    scenario: Vec<String>,
}

/// Where negative twins run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Twins {
    /// Nowhere.
    None,
    /// In simulation, the default.
    Simulated,
    /// Where the scenarios run.
    Same,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Human,
    Json,
}

impl Selection {
    fn scenarios(&self) -> Result<Vec<Scenario>, UsageError> {
        scenario::select(self.all()?, self.tags.as_deref(), &self.scenario)
    }

    fn all(&self) -> Result<Vec<Scenario>, UsageError> {
        if self.features.is_empty() {
            scenario::embedded()
        } else {
            scenario::from_paths(&self.features)
        }
    }

    /// The tag for which nothing was selected, if no scenario has it, and the one that was meant.
    fn unknown_tag(&self) -> Result<Option<(String, String)>, UsageError> {
        let Some(expression) = &self.tags else { return Ok(None) };
        Ok(scenario::unknown_tag(&self.all()?, expression))
    }
}

/// Runs the program: `arguments` as the shell gave them, `out` for results.
///
/// # Errors
/// `out` cannot be written.
pub fn main(arguments: impl IntoIterator<Item = String>, out: &mut dyn Write) -> io::Result<Exit> {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Passed };
            error.print()?;
            return Ok(exit);
        }
    };
    let outcome = match cli.command {
        Command::Run(arguments) => run(&arguments, out),
        Command::List(arguments) => list(&arguments, out),
        Command::Explain { code, format } => explain(code.as_deref(), format, out),
        Command::Audit(AuditCommand::Verify { file, head, format }) => {
            verify_audit(&file, head.as_ref(), format, out)
        }
        Command::Api(arguments) => tool_exit("api", api::run(&arguments, out)),
        Command::Keys(arguments) => tool_exit("keys", keys::run(&arguments, out)),
        Command::Provision(arguments) => tool_exit("provision", provision::run(&arguments, out)),
        Command::Pki(command) => match pki::run(&command, out) {
            Ok(pki::Outcome::Good) => Ok(Exit::Passed),
            Ok(pki::Outcome::Problems) => Ok(Exit::SubjectFailed),
            Ok(pki::Outcome::Nothing) => Ok(Exit::Invalid),
            Err(error) => tool_exit("pki", Err(error)),
        },
        Command::Impact(arguments) => match impact::run(&arguments, out) {
            Ok(impact::Assessed::Known) => Ok(Exit::Passed),
            Ok(impact::Assessed::NotKnown) => Ok(Exit::Invalid),
            Err(error) => Err(error.into()),
        },
    };
    match outcome {
        Ok(exit) => Ok(exit),
        Err(Failure::Usage(error)) => {
            writeln!(io::stderr(), "halo-harness: {error}")?;
            Ok(Exit::Usage)
        }
        Err(Failure::Harness(what)) => {
            writeln!(io::stderr(), "halo-harness: {what}")?;
            Ok(Exit::HarnessFailed)
        }
        Err(Failure::Output(error)) => Err(error),
    }
}

enum Failure {
    Usage(UsageError),
    Harness(String),
    Output(io::Error),
}

impl From<UsageError> for Failure {
    fn from(error: UsageError) -> Self {
        Self::Usage(error)
    }
}

impl From<ImpactError> for Failure {
    fn from(error: ImpactError) -> Self {
        match error {
            ImpactError::Usage(error) => Self::Usage(error),
            ImpactError::Output(error) => Self::Output(error),
            other => Self::Harness(format!("impact: {other}")),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Harness(error.to_string())
    }
}

/// Exit codes of the tools: 2 for usage, 1 for whatever else fails (contract 4.0.3).
fn tool_exit(name: &'static str, outcome: Result<(), ToolError>) -> Result<Exit, Failure> {
    match outcome {
        Ok(()) => Ok(Exit::Passed),
        Err(ToolError::Usage { command, what }) => {
            let command = if command.is_empty() { vec![name] } else { command };
            let usage = usage_text::<Cli>(&command);
            writeln!(io::stderr(), "halo-harness {}: {what}\n\n{usage}", command.join(" "))?;
            Ok(Exit::Usage)
        }
        Err(ToolError::Failed(what)) => {
            writeln!(io::stderr(), "halo-harness {name}: {what}")?;
            Ok(Exit::SubjectFailed)
        }
        Err(ToolError::Output(error)) => Err(error.into()),
    }
}

fn run(arguments: &RunArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let scenarios = with_twins(arguments, arguments.selection.scenarios()?)?;
    if let Some(folder) = &arguments.report {
        // Before anything runs: a report that cannot be written is found now.
        std::fs::create_dir_all(folder).map_err(|error| file_error(folder, &error))?;
        clear(folder)?;
    }
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let plan = Plan {
        environment: arguments.env,
        seed: arguments.seed.map_or_else(Seed::random, Seed::new),
        // On loopback scenarios wait in real time, and leave the processor to others meanwhile.
        jobs: arguments.jobs.map_or(
            match arguments.env {
                EnvironmentKind::Loopback => 3 * processors,
                EnvironmentKind::Simulated => processors,
            },
            usize::from,
        ),
        deviation: None,
        hooks: hooks(arguments)?,
    };
    if scenarios.is_empty() {
        let why = match arguments.selection.unknown_tag()? {
            Some((tag, hint)) => format!("nothing ran: no scenario is tagged {tag}{hint}"),
            None => "nothing ran: no scenario is selected".to_owned(),
        };
        let why = format!("{why}; `halo-harness list` prints ids and tags");
        writeln!(io::stderr(), "halo-harness: {why}")?;
    }
    let human = arguments.format == Format::Human;
    let live = human && io::stderr().is_terminal();
    let total = scenarios.len();
    let name = arguments.env.name();
    let seed = plan.seed.value();
    if human {
        let twins = scenarios.iter().filter(|scenario| scenario.twin.is_some()).count();
        let mut what = Vec::new();
        if twins < total || total == 0 {
            what.push(format!("{} scenarios", total - twins));
        }
        if twins > 0 {
            what.push(format!("{twins} negative twins"));
        }
        writeln!(out, "{}, {name}, seed {seed}", what.join(" and "))?;
        out.flush()?;
    }
    let clock = Clock::real();
    let began = clock.now();
    let mut done = 0;
    let mut unwritten = None;
    let results = run::run(&plan, scenarios, interrupt, |result| {
        done += 1;
        let written = if live {
            let mark = if result.as_expected() {
                String::new()
            } else {
                format!("\r\x1b[K{}\n", summary::line(result))
            };
            write!(io::stderr(), "{mark}\r\x1b[K{done}/{total}")
        } else if human {
            writeln!(out, "{}", summary::line(result))
        } else {
            Ok(())
        };
        unwritten = written.err().or(unwritten.take());
    });
    if let Some(error) = unwritten {
        return Err(error.into());
    }
    if live {
        write!(io::stderr(), "\r\x1b[K")?;
    }
    let times = match arguments.env {
        EnvironmentKind::Loopback => (began, clock.now()),
        // Virtual: the same seed gives the same bytes.
        EnvironmentKind::Simulated => {
            let start = crate::environment::simulated::START;
            (start, results.iter().map(|result| result.finished).max().unwrap_or(start).max(start))
        }
    };
    let times = (times.0.to_string(), times.1.to_string());
    let mut rerun = format!("halo-harness run --env {name} --seed {seed}");
    for path in &arguments.selection.features {
        rerun = format!("{rerun} --features {}", quoted(&path.display().to_string()));
    }
    for Hook { phase, command } in &arguments.hook {
        rerun = format!("{rerun} --hook {}", quoted(&format!("{phase}={command}")));
    }
    let mut record = record::make(tool(), arguments.env, seed, times, &results);
    record.replayed_by(whole(&rerun, arguments), &rerun);
    if arguments.fault.is_some() {
        record.show_red(&results);
    }
    if human {
        write!(out, "{}", summary::summary(&results, &record, &rerun, arguments.fault.is_some()))?;
    } else {
        write!(out, "{}", record::to_json(&record)?)?;
    }
    // After the summary: a report that cannot be written must not lose what the run found.
    if let Some(folder) = &arguments.report {
        out.flush()?;
        let json = record::to_json(&record)?;
        write_report(folder, json, &record, &results).map_err(|error| {
            Failure::Harness(format!(
                "the report cannot be written: {error}; free the folder and run again"
            ))
        })?;
    }
    if arguments.fault.is_some() {
        // The pair was asked for to see its red: the raw verdict counts.
        let judgements: Vec<_> = results.iter().map(|result| &result.judgement).collect();
        return Ok(run::exit(&judgements));
    }
    let exit = run::exit_of(&results);
    if exit == Exit::Passed && hooks_never_ran(arguments, &results) {
        let why = "INVALID: no --hook ran; choose a scenario that does its phase, such as \
                   --scenario rotation/procedure/the-kingdom-s-leaf-phase-by-phase, on loopback";
        writeln!(io::stderr(), "halo-harness: {why}")?;
        return Ok(Exit::Invalid);
    }
    Ok(exit)
}

/// What `--report` writes beside `repro/`.
const REPORTS: [&str; 4] = ["run.json", "junit.xml", "cucumber.ndjson", "report.html"];

/// A run that is killed must not leave an earlier run's PASS behind.
fn clear(folder: &Path) -> Result<(), UsageError> {
    for file in REPORTS {
        let path = folder.join(file);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(file_error(&path, &error));
            }
            _ => {}
        }
    }
    let repro = folder.join("repro");
    if repro.join(repro::MARKER).is_file() {
        std::fs::remove_dir_all(&repro).map_err(|error| file_error(&repro, &error))?;
    } else if repro.exists() {
        let path = repro.display().to_string();
        let reason = "it is no earlier run's; move it away, or report into another folder";
        return Err(UsageError::File { path, reason: reason.to_owned() });
    }
    Ok(())
}

fn write_report(
    folder: &Path,
    json: String,
    record: &record::Run,
    results: &[run::ScenarioResult],
) -> Result<(), UsageError> {
    let contents =
        [json, junit::to_xml(record), cucumber::to_ndjson(record, results), html::to_html(record)];
    for (name, content) in REPORTS.iter().zip(contents) {
        write_file(&folder.join(name), &content)?;
    }
    for (path, content) in repro::files(record, results) {
        let path = folder.join("repro").join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| file_error(parent, &error))?;
        }
        write_file(&path, &content)?;
    }
    Ok(())
}

/// The command line that repeats all of a run.
fn whole(rerun: &str, arguments: &RunArgs) -> String {
    let mut whole = rerun.to_owned();
    for id in &arguments.selection.scenario {
        whole = format!("{whole} --scenario {}", quoted(id));
    }
    if let Some(tags) = &arguments.selection.tags {
        whole = format!("{whole} --tags {}", quoted(tags));
    }
    if let Some(fault) = &arguments.fault {
        whole = format!("{whole} --fault {}", quoted(fault));
    }
    if let Some(twins) = arguments.twins.and_then(|twins| twins.to_possible_value()) {
        whole = format!("{whole} --twins {}", twins.get_name());
    }
    whole
}

/// The scenarios with their negative twins behind them, as the arguments want them.
fn with_twins(arguments: &RunArgs, scenarios: Vec<Scenario>) -> Result<Vec<Scenario>, UsageError> {
    let mut scenarios = scenarios;
    deviations::expect(&mut scenarios, &deviations::embedded()?, arguments.env);
    let faults = twins::embedded()?;
    if let Some(id) = &arguments.fault {
        let fault = faults.iter().find(|fault| fault.id == *id).ok_or_else(|| {
            let hint = nearest::hint(id, faults.iter().map(|fault| fault.id.as_str()));
            UsageError::Argument(format!(
                "no fault has the id `{id}`{hint}; `halo-harness list --faults` prints all"
            ))
        })?;
        if arguments.selection.scenario.is_empty() {
            let what =
                format!("--fault {id} needs --scenario ID, one of {}", fault.scenarios.join(", "));
            return Err(UsageError::Argument(what));
        }
        if let Some(other) = scenarios.iter().find(|s| !fault.scenarios.contains(&s.id)) {
            return Err(UsageError::Argument(format!(
                "the fault {id} is no twin of {}; it is one of {}",
                other.id,
                fault.scenarios.join(", ")
            )));
        }
        return scenarios
            .iter()
            .map(|scenario| twins::twin(scenario, fault, arguments.env))
            .collect();
    }
    // One scenario by its id runs alone, unless its twins are asked for.
    let default =
        if arguments.selection.scenario.is_empty() { Twins::Simulated } else { Twins::None };
    let environment = match arguments.twins.unwrap_or(default) {
        Twins::None => return Ok(scenarios),
        Twins::Simulated => EnvironmentKind::Simulated,
        Twins::Same => arguments.env,
    };
    let mut all = scenarios;
    let twins = twins::of(&all, &faults, environment)?;
    all.extend(twins);
    Ok(all)
}

fn hooks(arguments: &RunArgs) -> Result<Hooks, UsageError> {
    let mut hooks = Hooks {
        patience: std::time::Duration::from_secs(arguments.hook_timeout_seconds),
        ..Hooks::default()
    };
    for Hook { phase, command } in &arguments.hook {
        if hooks.commands.insert(*phase, command.clone()).is_some() {
            let what =
                format!("--hook {phase}=... stands twice; put both commands into one script");
            return Err(UsageError::Argument(what));
        }
    }
    Ok(hooks)
}

/// A run whose hooks never ran proves nothing of the user's commands.
fn hooks_never_ran(arguments: &RunArgs, results: &[run::ScenarioResult]) -> bool {
    let ran = results
        .iter()
        .flat_map(|result| &result.log)
        .any(|observation| matches!(&observation.fact, Fact::Phase(phase) if phase.hook.is_some()));
    !arguments.hook.is_empty() && !ran
}

/// An argument as a shell takes it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Breaks the run off at Ctrl-C or SIGTERM, with which CI cancels; a second one ends the process at once.
fn interrupt(run: mpsc::Sender<Progress>) {
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            return;
        };
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let listen = || {
                Some((signal(SignalKind::interrupt()).ok()?, signal(SignalKind::terminate()).ok()?))
            };
            let Some((mut interrupt, mut terminate)) = listen() else { return };
            for end in [false, true] {
                tokio::select! {
                    biased;
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if end {
                    std::process::exit(i32::from(Exit::Invalid as u8));
                }
                let ended = crate::environment::command::end_all();
                if ended > 0 {
                    let what = format!("{ended} command(s) ended: what they did stays");
                    let _ = writeln!(io::stderr(), "halo-harness: interrupted; {what}");
                }
                let _ = run.send(Progress::Interrupted);
            }
        });
    });
}

fn tool() -> record::Tool {
    let digest = || {
        let mut digest = Sha256::new();
        io::copy(&mut std::fs::File::open(std::env::current_exe()?)?, &mut digest)?;
        Ok::<_, io::Error>(hex::encode(digest.finalize()))
    };
    let digest = digest().unwrap_or_default();
    record::Tool { version: env!("CARGO_PKG_VERSION").to_owned(), digest }
}

/// Whole or not at all: a reader never sees half a report.
fn write_file(path: &Path, content: &str) -> Result<(), UsageError> {
    let half = path.with_extension("part");
    std::fs::write(&half, content)
        .and_then(|()| std::fs::rename(&half, path))
        .map_err(|error| file_error(path, &error))
}

fn file_error(path: &Path, error: &io::Error) -> UsageError {
    UsageError::File { path: path.display().to_string(), reason: error.to_string() }
}

/// Where a scenario can run: what needs virtual time is NOT_APPLICABLE elsewhere.
fn environments(listed: &Scenario) -> Vec<&'static str> {
    let needs_virtual_time = listed.tags.iter().any(|tag| tag == scenario::VIRTUAL_TIME);
    let can_run =
        |env: &&EnvironmentKind| !needs_virtual_time || matches!(env, EnvironmentKind::Simulated);
    EnvironmentKind::ALL.iter().filter(can_run).map(|env| env.name()).collect()
}

fn list(arguments: &ListArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    if arguments.steps {
        return list_steps(arguments.format, out);
    }
    let scenarios = arguments.selection.scenarios()?;
    if scenarios.is_empty() {
        let why = "no scenario matches; `halo-harness list` prints all ids and tags";
        writeln!(io::stderr(), "halo-harness: {why}")?;
        return Ok(Exit::Invalid);
    }
    if arguments.faults {
        return list_faults(&scenarios, arguments.format, out);
    }
    if arguments.clauses {
        list_clauses(arguments, &scenarios, out)?;
        return Ok(Exit::Passed);
    }
    let faults = twins::embedded()?;
    if arguments.format == Format::Json {
        let list: Vec<_> = scenarios
            .iter()
            .map(|scenario| {
                json!({
                    "id": scenario.id,
                    "feature": scenario.feature,
                    "name": scenario.name,
                    "tags": scenario.tags.iter().map(|tag| format!("@{tag}")).collect::<Vec<_>>(),
                    "clauses": scenario.clauses(),
                    "environments": environments(scenario),
                    "faults": faults
                        .iter()
                        .filter(|fault| fault.scenarios.contains(&scenario.id))
                        .map(|fault| fault.id.as_str())
                        .collect::<Vec<_>>(),
                })
            })
            .collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&list)?)?;
    } else {
        for scenario in &scenarios {
            writeln!(out, "{:<80} {}", scenario.id, scenario.clauses().join(", "))?;
        }
    }
    Ok(Exit::Passed)
}

/// Every clause of the contract with what holds it; of a user's own scenarios, those that they name.
fn list_clauses(
    arguments: &ListArgs,
    scenarios: &[Scenario],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let clauses = coverage::clauses().map_err(|error| Failure::Harness(error.to_string()))?;
    let by_scenario = coverage::scenarios_by_clause(scenarios);
    let by_test = coverage::tests_by_clause();
    let own = !arguments.selection.features.is_empty();
    let none = BTreeSet::new();
    let mut list = Vec::new();
    for clause in clauses {
        let scenarios = by_scenario.get(&clause.id).unwrap_or(&none);
        let tests = by_test.get(&clause.id).unwrap_or(&none);
        if !own || !scenarios.is_empty() {
            list.push((clause, scenarios, tests));
        }
    }
    if arguments.format == Format::Json {
        let list: Vec<_> = list
            .iter()
            .map(|(clause, scenarios, tests)| {
                json!({
                    "clause": clause.id,
                    "title": clause.title,
                    "unobservable": clause.unobservable,
                    "scenarios": scenarios,
                    "tests": tests,
                })
            })
            .collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&list)?)?;
        return Ok(());
    }
    for (clause, scenarios, tests) in list {
        writeln!(out, "{:<36} {}", clause.id, clause.title)?;
        match &clause.unobservable {
            Some(reason) => writeln!(out, "    not observable: {reason}")?,
            None => writeln!(out, "    {} scenarios, {} tests", scenarios.len(), tests.len())?,
        }
        for held_by in scenarios.iter().chain(tests) {
            writeln!(out, "    {held_by}")?;
        }
    }
    Ok(())
}

/// The faults of the scenarios that are selected, which is all of them without a selection.
fn list_faults(
    scenarios: &[Scenario],
    format: Format,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let is_of = |fault: &twins::Fault| {
        scenarios.iter().any(|scenario| fault.scenarios.contains(&scenario.id))
    };
    let faults: Vec<_> = twins::embedded()?.into_iter().filter(is_of).collect();
    if format == Format::Json {
        let list: Vec<_> = faults
            .iter()
            .map(|fault| {
                json!({
                    "id": fault.id,
                    "where": fault.place,
                    "what": fault.what,
                    "scenarios": fault.scenarios,
                    "expected_verdict": fault.expected_verdict.verdict(),
                    "expected_cause": fault.expected_cause,
                    "detect_within_ms": fault.detect_within_ms,
                })
            })
            .collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&list)?)?;
    } else {
        for fault in faults {
            let verdict = fault.expected_verdict.verdict();
            writeln!(out, "{} ({}): {}", fault.id, fault.place, fault.what)?;
            writeln!(
                out,
                "    {verdict}, {}, within {} ms: {}",
                fault.expected_cause,
                fault.detect_within_ms,
                fault.scenarios.join(", ")
            )?;
        }
        writeln!(
            out,
            "The times count from the fault's first step. They are measured in simulation, where the \
             red is a `noticed nothing`; any other red has no time of its own."
        )?;
    }
    Ok(Exit::Passed)
}

fn list_steps(format: Format, out: &mut dyn Write) -> Result<Exit, Failure> {
    let registry = Registry::new().map_err(|problem| Failure::Harness(problem.to_string()))?;
    if format == Format::Json {
        let list: Vec<_> = registry
            .steps()
            .map(|step| {
                let kind = match step.kind {
                    Kind::Action => "action",
                    Kind::Check => "check",
                    Kind::Either => "either",
                };
                json!({"kind": kind, "pattern": step.pattern, "example": step.example})
            })
            .collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&list)?)?;
    } else {
        for step in registry.steps() {
            writeln!(out, "{}\n    {}", step.example.replace('\n', "\n  "), step.pattern)?;
        }
    }
    Ok(Exit::Passed)
}

fn explain(code: Option<&str>, format: Format, out: &mut dyn Write) -> Result<Exit, Failure> {
    let wanted = |cause: &&Cause| code.is_none_or(|code| cause.code() == code);
    let causes: Vec<_> = Cause::ALL.iter().filter(wanted).collect();
    if let (Some(code), true) = (code, causes.is_empty()) {
        let hint = nearest::hint(code, Cause::ALL.iter().map(|cause| cause.code()));
        return Err(UsageError::UnknownCause { code: code.to_owned(), hint }.into());
    }
    if format == Format::Json {
        let list: Vec<_> = causes
            .iter()
            .map(|cause| {
                json!({
                    "code": cause.code(),
                    "owner": cause.owner(),
                    "clause": cause.clause(),
                    "meaning": cause.meaning(),
                    "next_step": cause.next_step(),
                })
            })
            .collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&list)?)?;
    } else {
        for cause in causes {
            let owner = serde_json::to_value(cause.owner())?;
            let owner = owner.as_str().unwrap_or_default();
            writeln!(out, "{}  (fault of: {owner}; clause {})", cause.code(), cause.clause())?;
            writeln!(out, "    {}\n    Next: {}", cause.meaning(), cause.next_step())?;
        }
    }
    Ok(Exit::Passed)
}

fn verify_audit(
    path: &Path,
    head: Option<&Head>,
    format: Format,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| file_error(path, &error))?;
    let verdict = audit::verify(text.lines(), head);
    if let (Ok(Head { count: 0, .. }), None) = (&verdict, head) {
        // A trail that could not be fetched looks like this: it proves nothing.
        writeln!(out, "{}: no entries; a real trail begins with its resources", path.display())?;
        return Ok(Exit::Invalid);
    }
    if format == Format::Json {
        let report = match &verdict {
            Ok(head) => json!({"valid": true, "head": head}),
            Err(broken) => json!({
                "valid": false,
                "line": broken.line,
                "problem": broken.problem.to_string(),
            }),
        };
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        match &verdict {
            Ok(head) => writeln!(out, "intact: {} entries, head {head}", head.count)?,
            Err(broken) => writeln!(out, "{}:{}: {}", path.display(), broken.line, broken.problem)?,
        }
    }
    Ok(if verdict.is_ok() { Exit::Passed } else { Exit::SubjectFailed })
}
