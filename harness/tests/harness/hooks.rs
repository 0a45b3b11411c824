//! `run --hook PHASE=COMMAND`: the user's own script does a phase.

use halo_harness::cli;
use halo_harness::run::Exit;
use serde_json::Value as Json;
use std::path::Path;

const SCENARIO: &str = "rotation/procedure/the-kingdom-s-leaf-phase-by-phase";

/// Runs the scenario with these hooks and answers the exit code and its record.
fn run(scenario: &str, environment: &str, more: &[&str]) -> (Exit, Json) {
    let fixed = [
        "halo-harness",
        "run",
        "--env",
        environment,
        "--scenario",
        scenario,
        "--seed",
        "5",
        "--format",
        "json",
    ];
    let arguments = fixed.iter().chain(more).map(|argument| (*argument).to_owned());
    let mut out = Vec::new();
    let exit = cli::main(arguments, &mut out).unwrap();
    let record = serde_json::from_slice(&out).unwrap_or(Json::Null);
    (exit, record)
}

fn phase<'a>(record: &'a Json, name: &str) -> &'a Json {
    let phases = record["scenarios"][0]["phases"].as_array().unwrap();
    phases.iter().find(|phase| phase["name"] == name).unwrap()
}

fn example() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/hook-example.sh");
    folder.display().to_string()
}

#[test]
fn the_worked_example_rotates_the_kingdom_s_leaf_and_nobody_notices() {
    let script = example();
    let (switch, drain) = (format!("switch={script}"), format!("drain={script}"));
    let (exit, record) = run(SCENARIO, "loopback", &["--hook", &switch, "--hook", &drain]);
    assert_eq!(exit, Exit::Passed, "{record:#}");
    let hook = &phase(&record, "switch")["hook"];
    assert_eq!((&hook["exit_code"], &hook["timed_out"]), (&0.into(), &false.into()));
    assert_eq!(hook["output"], "replica 0 restarted\nreplica 1 restarted\n");
    assert!(phase(&record, "prepare")["hook"].is_null(), "the harness itself prepares");
}

#[test]
fn a_script_that_forgets_the_restart_leaves_the_gate_of_drain_shut() {
    let forgets = "switch=cp $HALO_NEW_KEY $HALO_FILES_DIR/kingdom_tls.key; \
                   cp $HALO_NEW_CERT $HALO_FILES_DIR/kingdom_tls.pem";
    let (exit, record) = run(SCENARIO, "loopback", &["--hook", forgets]);
    assert_eq!(exit, Exit::SubjectFailed);
    assert_eq!(record["scenarios"][0]["causes"], serde_json::json!(["gate_shut"]));
    assert_eq!(phase(&record, "switch")["hook"]["exit_code"], 0);
}

#[test]
fn a_script_may_prepare_the_new_leaf_itself() {
    let (cert, key) = ("$HALO_NEW_CERT", "$HALO_NEW_KEY");
    let makes = format!(
        "prepare=set -e; d=$HALO_SANDBOX/kingdom; openssl req -new -newkey ec -pkeyopt \
         ec_paramgen_curve:P-256 -nodes -keyout {key} -subj '/O=TEST ONLY/CN=localhost' \
         -out $d/next.csr 2>/dev/null; printf 'subjectAltName=DNS:localhost\\n\
         subjectKeyIdentifier=hash\\nauthorityKeyIdentifier=keyid\\n' > $d/next.ext; openssl x509 \
         -req -in $d/next.csr -CA $d/kingdom_root.pem -CAkey $d/kingdom_root.key -days 30 \
         -set_serial 77 -extfile $d/next.ext -out {cert} 2>/dev/null"
    );
    let (exit, record) = run(SCENARIO, "loopback", &["--hook", &makes]);
    assert_eq!(exit, Exit::Passed, "{record:#}");
    let (exit, record) = run(SCENARIO, "loopback", &["--hook", "prepare=true"]);
    assert_eq!(exit, Exit::SubjectFailed, "a script that makes none has prepared nothing");
    assert_eq!(record["scenarios"][0]["causes"], serde_json::json!(["hook_failed"]));
}

#[test]
fn a_script_that_fails_breaks_the_phase_off_and_says_how_without_any_secret() {
    let leaks =
        "switch=cat $HALO_NEW_KEY; grep -v PRIVATE $HALO_SANDBOX/kingdom/kingdom_tls.key; exit 9";
    let (exit, record) = run(SCENARIO, "loopback", &["--hook", leaks]);
    assert_eq!(exit, Exit::SubjectFailed);
    let switch = phase(&record, "switch");
    assert_eq!(
        (&switch["ending"], &switch["hook"]["exit_code"]),
        (&"broken_off".into(), &9.into())
    );
    let output = switch["hook"]["output"].as_str().unwrap();
    assert!(output.lines().all(|line| line.replace("[secret]", "").len() < 24), "{output}");
    assert!(output.contains("[secret]"), "{output}");
    assert_eq!(record["scenarios"][0]["causes"], serde_json::json!(["hook_failed"]));
}

#[test]
fn a_script_that_dumps_keys_in_hex_leaves_none_in_the_record() {
    let dumps = "switch=openssl pkey -noout -text -in $HALO_NEW_KEY; \
                 openssl pkey -outform der -in $HALO_SANDBOX/kingdom/kingdom_tls.key | od -A x -t x1; \
                 base64 -w 70 $HALO_SANDBOX/participants/edp1/edp1_cs_private.der; \
                 base64 -w 0 $HALO_SANDBOX/participants/edp1/edp1_enc_private.tink; exit 9";
    let (exit, record) = run(SCENARIO, "loopback", &["--hook", dumps]);
    assert_eq!(exit, Exit::SubjectFailed);
    let output = phase(&record, "switch")["hook"]["output"].as_str().unwrap();
    let mut lines = output.lines();
    assert_eq!(lines.by_ref().find(|line| line.contains("priv:")), Some("priv:"), "{output}");
    assert_eq!(lines.next().map(str::trim), Some("[secret]"), "{output}");
    assert_eq!(lines.next(), Some("pub:"), "what is public stays: {output}");
    let rest: Vec<_> = lines.skip_while(|line| !line.contains("CURVE")).skip(1).collect();
    assert!(!rest.is_empty(), "{output}");
    assert!(rest.iter().all(|line| line.replace("[secret]", "").len() < 24), "{output}");
}

#[test]
fn a_script_that_encodes_the_pem_of_a_key_leaves_none_in_the_record_and_a_certificate_stays() {
    let ways = |file: &str| {
        format!(
            "base64 -w 0 {file}; echo; echo :; base64 {file}; echo :; xxd {file}; echo :; \
             printf 'data:\\n  tls.pem: %s\\n' $(base64 -w 0 {file}); exit 9"
        )
    };
    let output = |file: &str| {
        let (_, record) = run(SCENARIO, "loopback", &["--hook", &format!("switch={}", ways(file))]);
        let hook = &phase(&record, "switch")["hook"];
        assert_eq!(hook["exit_code"], 9, "{hook}");
        hook["output"].as_str().unwrap().to_owned()
    };
    let black = output("$HALO_NEW_KEY").replace('=', "");
    assert_eq!(
        black.split_whitespace().collect::<Vec<_>>(),
        ["[secret]", ":", "[secret]", ":", "[secret]", ":", "data:", "tls.pem:", "[secret]"]
    );
    let public = output("$HALO_NEW_CERT");
    assert!(!public.contains("[secret]"), "{public}");
    assert_eq!(public.matches("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t").count(), 3, "{public}");
}

#[test]
fn beside_a_file_that_is_too_large_to_search_nothing_of_a_script_s_output_is_shown() {
    for (mib, is_shown) in [(5, false), (3, true)] {
        let makes = format!("switch=truncate -s {mib}M $HALO_SANDBOX/large; echo said; exit 9");
        let (_, record) = run(SCENARIO, "loopback", &["--hook", &makes]);
        let output = phase(&record, "switch")["hook"]["output"].as_str().unwrap().to_owned();
        assert_eq!(output == "said\n", is_shown, "{output}");
        assert_eq!(output.contains("large in the sandbox's folder"), !is_shown, "{output}");
    }
}

/// The number alone has no shape that gives it away: only who knows the key can find it.
const NUMBER: &str = "openssl asn1parse | grep -o 'OCTET STRING.*HEX DUMP.:.*'";

#[test]
fn a_script_that_moves_the_new_key_away_leaves_none_in_the_record() {
    let moves = format!(
        "switch=set -e; k=$HALO_FILES_DIR/kingdom_tls.key; mv $HALO_NEW_KEY $k; \
         mv $HALO_NEW_CERT $HALO_FILES_DIR/kingdom_tls.pem; openssl pkey -noout -text -in $k; \
         openssl pkey -traditional -in $k | {NUMBER}; grep -v PRIVATE $k; exit 9"
    );
    let (_, record) = run(SCENARIO, "loopback", &["--hook", &moves]);
    let hook = &phase(&record, "switch")["hook"];
    let output = hook["output"].as_str().unwrap();
    assert_eq!(hook["exit_code"], 9, "{output}");
    let at =
        |what: &str| output.lines().skip_while(|line| !line.contains(what)).collect::<Vec<_>>();
    assert_eq!(at("priv:")[1].trim(), "[secret]", "{output}");
    assert!(at("HEX DUMP")[0].ends_with(":[secret]"), "{output}");
    let pem: Vec<_> = at("HEX DUMP")[1..].to_vec();
    assert!(!pem.is_empty(), "{output}");
    assert!(pem.iter().all(|line| line.replace("[secret]", "").len() < 24), "{output}");
}

#[test]
fn a_key_that_a_script_makes_is_blacked_out_wherever_it_lies_and_after_it_is_gone() {
    let makes = format!(
        "switch=set -e; mkdir $HALO_SANDBOX/deep; k=$HALO_SANDBOX/deep/any.name; \
         openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $k; \
         openssl pkey -traditional -in $k | {NUMBER}; \
         openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $HALO_SANDBOX/gone; \
         openssl pkey -in $HALO_SANDBOX/gone -outform der | base64 -w 0; \
         echo; echo ': public :'; openssl pkey -in $HALO_SANDBOX/gone -pubout -outform der | base64 -w 0; \
         rm $HALO_SANDBOX/gone; exit 9"
    );
    let (_, record) = run(SCENARIO, "loopback", &["--hook", &makes]);
    let hook = &phase(&record, "switch")["hook"];
    let output = hook["output"].as_str().unwrap();
    assert_eq!(hook["exit_code"], 9, "{output}");
    let lines: Vec<_> = output.lines().collect();
    assert!(lines[0].ends_with(":[secret]"), "{output}");
    assert_eq!(lines[1].trim_end_matches('='), "[secret]", "{output}");
    assert_eq!(lines[2], ": public :", "{output}");
    assert!(lines[3].starts_with("MFkw"), "what is public stays: {output}");
}

#[test]
fn a_script_that_takes_too_long_is_ended() {
    let endless = ["--hook", "switch=tail -f /dev/null", "--hook-timeout-seconds", "1"];
    let (exit, record) = run(SCENARIO, "loopback", &endless);
    assert_eq!(exit, Exit::SubjectFailed);
    assert_eq!(phase(&record, "switch")["hook"]["timed_out"], true);
}

#[test]
fn in_simulation_a_hook_is_not_applicable_and_one_that_never_ran_proves_nothing() {
    let (exit, record) = run(SCENARIO, "simulated", &["--hook", "switch=true"]);
    assert_eq!(record["scenarios"][0]["verdict"], "NOT_APPLICABLE");
    assert_eq!(exit, Exit::Invalid);
    let (exit, _) = run("rotation/client-leaf/same-root", "loopback", &["--hook", "switch=true"]);
    assert_eq!(exit, Exit::Invalid);
}

#[test]
fn a_script_cannot_do_a_phase_of_a_cutover_and_is_told_so() {
    let scenario = "cutover/procedure/prepare-distribute-switch-drain-retire";
    let (exit, record) = run(scenario, "loopback", &["--hook", "switch=true"]);
    assert_eq!(exit, Exit::Invalid);
    let reason = record["scenarios"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("not of a cutover"), "{reason}");
    assert_eq!(run(scenario, "loopback", &[]).0, Exit::Passed, "without a script it is fine");
}

#[test]
fn a_hook_that_cannot_be_meant_is_a_usage_error() {
    for bad in [
        &["--hook", "swich=true"][..],
        &["--hook", "switch"],
        &["--hook", "switch=a", "--hook", "switch=b"],
    ] {
        assert_eq!(run(SCENARIO, "loopback", bad).0, Exit::Usage, "{bad:?}");
    }
}

#[test]
fn ctrl_c_ends_the_script_with_all_that_it_started_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let half = pid.with_extension("half");
    // The child's number stands in its file whole or not at all.
    let script = format!(
        "switch=sleep 60 & echo $! > {half}; mv {half} {pid}; wait",
        half = half.display(),
        pid = pid.display()
    );
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_halo-harness"))
        .args(["run", "--scenario", SCENARIO, "--hook", &script])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while !pid.exists() {
        assert!(program.try_wait().unwrap().is_none(), "it ended before its script began");
        std::thread::yield_now();
    }
    let shell = |command: String| {
        std::process::Command::new("bash").args(["-c", &command]).status().unwrap().success()
    };
    assert!(shell(format!("kill -INT {}", program.id())));
    let ended = program.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(Exit::Invalid as i32));
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(told.contains("1 command(s) ended"), "{told}");
    // A process that nobody has waited for yet is dead as well: its state is Z. Up to five seconds.
    let child = std::fs::read_to_string(&pid).unwrap().trim().to_owned();
    let is_dead = format!(
        "for i in {{1..100}}; do [ -e /proc/{child} ] || exit 0; \
         grep -q ') Z' /proc/{child}/stat && exit 0; read -t 0.05 <> <(:); done; exit 1"
    );
    assert!(shell(is_dead), "sleep goes on");
}
