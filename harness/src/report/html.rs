//! `report.html`: the record as one page that needs nothing else, neither network nor scripts. Pure.
//!
//! A script only filters the table and opens everything for printing. Nothing is said by colour
//! alone: verdicts have a sign and a word, certificates a letter.

use super::incident;
use super::record::{Run, ScenarioRecord};
use super::steps::Outcome;
use super::timeline::{Bin, LaneTimeline, Timeline};
use crate::verdict::Verdict;
use crate::verdict::availability::LaneReport;
use crate::verdict::repair;
use fake_kingdom::cause::Cause;
use fake_kingdom::model::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The record as a page.
pub fn to_html(run: &Run) -> String {
    let mut page = String::new();
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{} · halo-harness · {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        run.verdict, run.environment
    );
    // The pattern of failed bins, used by every timeline.
    page.push_str(
        "<svg width=\"0\" height=\"0\" class=\"defs\" aria-hidden=\"true\"><defs>\
         <pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
         patternTransform=\"rotate(45)\"><rect width=\"6\" height=\"6\" class=\"hatch-under\"/>\
         <rect width=\"3\" height=\"6\" class=\"hatch-over\"/></pattern></defs></svg>\n",
    );
    header(&mut page, run);
    attention(&mut page, run);
    table(&mut page, run);
    details(&mut page, run);
    glossary(&mut page, run);
    let _ = write!(
        page,
        "<footer><p>{} · made by halo-harness {} · the same facts are in <code>run.json</code>.\
         </p></footer>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        escaped(run.schema),
        escaped(&run.tool.version)
    );
    page
}

fn header(page: &mut String, run: &Run) {
    let own = |verdict| {
        let counts = |s: &&ScenarioRecord| s.verdict == verdict && s.fault.is_none();
        run.scenarios.iter().filter(counts).count()
    };
    let twins = || run.scenarios.iter().filter(|scenario| scenario.fault.is_some());
    let red = twins().filter(|scenario| scenario.as_expected).count();
    let word = match run.verdict {
        Verdict::Pass => "Every check was made and held.",
        Verdict::Fail => "At least one check did not hold.",
        Verdict::Invalid => "The run proves nothing.",
        Verdict::NotApplicable => "Nothing could run here.",
    };
    let _ = write!(
        page,
        "<header>\n<h1>Halo rotation report</h1>\n<p class=\"verdict v-{}\">{} <span>{word}</span>\
         </p>\n<ul class=\"totals\">\n",
        class(run.verdict),
        plain_badge(run.verdict)
    );
    for (name, n) in [
        ("scenarios", run.scenarios.len() - twins().count()),
        ("passed", own(Verdict::Pass)),
        ("failed", own(Verdict::Fail)),
        ("invalid", own(Verdict::Invalid)),
        ("not applicable", own(Verdict::NotApplicable)),
    ] {
        let _ = writeln!(page, "<li><b>{n}</b> {name}</li>");
    }
    let _ = writeln!(
        page,
        "<li><b>{red} of {}</b> negative twins red as stated</li>\n</ul>",
        twins().count()
    );
    if let Some(many) = run.per_rotation.filter(|many| many.n > 1) {
        let _ = writeln!(
            page,
            "<p>{} scenarios rotate a leaf and claim that nobody notices: {} were noticed, so with 95 % \
             confidence at most {:.1} % of such rotations are.</p>",
            many.n,
            many.bad,
            many.upper_bound_95 * 100.0
        );
    }
    page.push_str("<dl class=\"facts\">\n");
    let tool = format!("halo-harness {}", run.tool.version);
    let head = run.audit_head.as_ref().map(ToString::to_string);
    for (name, value) in [
        ("environment", run.environment.to_owned()),
        ("seed", run.seed.to_string()),
        ("started", run.started.clone()),
        ("finished", run.finished.clone()),
        ("program", tool),
        ("its SHA-256", run.tool.digest.clone()),
        ("audit head", head.unwrap_or_default()),
    ] {
        if !value.is_empty() {
            let _ = writeln!(page, "<div><dt>{name}</dt><dd>{}</dd></div>", escaped(&value));
        }
    }
    page.push_str("</dl>\n");
    if let Some(replay) = &run.replay {
        let _ = writeln!(page, "<h2>Run it again</h2>\n<pre>{}</pre>", escaped(replay));
    }
    page.push_str("</header>\n");
}

/// What needs somebody: at the top, with links.
fn attention(page: &mut String, run: &Run) {
    let wrong: Vec<_> =
        run.scenarios.iter().enumerate().filter(|(_, scenario)| !run.is_fine(scenario)).collect();
    if wrong.is_empty() {
        return;
    }
    page.push_str("<section>\n<h2>What went wrong</h2>\n<ul class=\"wrong\">\n");
    for (n, scenario) in wrong {
        let _ = writeln!(
            page,
            "<li>{} <a href=\"#s{n}\">{}</a>{}<br><span class=\"why\">{}</span></li>",
            badge(run, scenario),
            breakable(&label(scenario)),
            causes(&scenario.causes),
            escaped(&reason(scenario))
        );
    }
    page.push_str("</ul>\n</section>\n");
}

fn table(page: &mut String, run: &Run) {
    let mut filters: BTreeMap<&str, usize> = BTreeMap::new();
    for scenario in &run.scenarios {
        *filters.entry(kind(run, scenario)).or_default() += 1;
    }
    page.push_str("<section>\n<h2>Scenarios</h2>\n<form id=\"filter\" hidden>\n");
    let _ = writeln!(
        page,
        "<label><input type=\"radio\" name=\"kind\" value=\"\" checked> all {}</label>",
        run.scenarios.len()
    );
    for (kind, name) in
        [("fail", "failed"), ("invalid", "invalid"), ("pass", "passed"), ("na", "not applicable")]
            .into_iter()
            .chain([("twin", "red as stated"), ("blind", "not red as stated")])
    {
        if let Some(n) = filters.get(kind) {
            let _ = writeln!(
                page,
                "<label><input type=\"radio\" name=\"kind\" value=\"{kind}\"> {name} {n}</label>"
            );
        }
    }
    page.push_str(
        "<input type=\"search\" name=\"text\" placeholder=\"part of an id, clause or cause\" \
         aria-label=\"part of an id, clause or cause\">\n</form>\n<table class=\"index\">\n<thead>\
         <tr><th>verdict</th><th>scenario</th><th class=\"wide\">clauses</th>\
         <th class=\"wide n\">failed probes</th><th class=\"wide n\">longest gap</th></tr></thead>\n",
    );
    let mut group = None;
    for (n, scenario) in run.scenarios.iter().enumerate() {
        let folder = folder(&scenario.id);
        let this = (folder, scenario.fault.is_some());
        if group != Some(this) {
            if group.is_some() {
                page.push_str("</tbody>\n");
            }
            let _ = writeln!(
                page,
                "<tbody>\n<tr class=\"group\"><th colspan=\"5\">{}{}</th></tr>",
                breakable(folder),
                if this.1 { ", negative twins" } else { "" }
            );
            group = Some(this);
        }
        let pooled = || scenario.lanes.iter().filter(|lane| lane.replica.is_none());
        let (sent, failed): (u64, u64) =
            pooled().fold((0, 0), |(sent, failed), lane| (sent + lane.sent, failed + lane.failed));
        let gap = pooled().map(|lane| lane.longest_gap_ms).fold(0.0, f64::max);
        let (failed, gap) = if pooled().next().is_some() {
            (format!("{failed} of {sent}"), ms(gap))
        } else {
            (String::new(), String::new())
        };
        let name = scenario.id.strip_prefix(folder).unwrap_or(&scenario.id);
        let name = name.trim_start_matches('/');
        let name = match &scenario.fault {
            None => name.to_owned(),
            Some(fault) => format!("{name} [{fault}]"),
        };
        let name = if has_detail(run, scenario) {
            format!("<a href=\"#s{n}\">{}</a>", breakable(&name))
        } else {
            breakable(&name)
        };
        let _ = writeln!(
            page,
            "<tr data-kind=\"{}\"><td>{}</td><td>{name}{}</td><td class=\"wide\">{}</td>\
             <td class=\"wide n\" data-label=\"failed\">{failed}</td>\
             <td class=\"wide n\" data-label=\"longest gap\">{gap}</td></tr>",
            kind(run, scenario),
            badge(run, scenario),
            causes(&scenario.causes),
            escaped(&scenario.clauses.join(", "))
        );
    }
    if group.is_some() {
        page.push_str("</tbody>\n");
    }
    page.push_str("</table>\n<p id=\"none\" hidden>No scenario fits.</p>\n</section>\n");
}

/// Folder and file of an id.
fn folder(id: &str) -> &str {
    let depth = if id.starts_with("contract/") { 2 } else { 1 };
    let cut = id.match_indices('/').nth(depth).map(|(at, _)| at).or_else(|| id.rfind('/'));
    cut.map_or("", |at| &id[..at])
}

/// A pass without probes is told by its row.
fn has_detail(run: &Run, scenario: &ScenarioRecord) -> bool {
    !run.is_fine(scenario)
        || scenario.fault.is_some()
        || !scenario.lanes.is_empty()
        || !scenario.phases.is_empty()
        || incident::of(scenario).is_some()
        || !scenario.alerts.is_empty()
}

fn details(page: &mut String, run: &Run) {
    let all: Vec<_> = run
        .scenarios
        .iter()
        .enumerate()
        .filter(|(_, scenario)| has_detail(run, scenario))
        .collect();
    if all.is_empty() {
        return;
    }
    page.push_str("<section>\n<h2>In detail</h2>\n");
    let (wrong, fine): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(_, scenario)| !run.is_fine(scenario));
    for (open, list) in [(" open", wrong), ("", fine)] {
        for (n, scenario) in list {
            detail(page, run, n, scenario, open);
        }
    }
    page.push_str("</section>\n");
}

fn detail(page: &mut String, run: &Run, n: usize, scenario: &ScenarioRecord, open: &str) {
    let _ = write!(
        page,
        "<details class=\"scenario\" id=\"s{n}\"{open}>\n<summary>{} {}</summary>\n\
         <p class=\"name\">{}</p>\n",
        badge(run, scenario),
        breakable(&label(scenario)),
        escaped(&scenario.name)
    );
    if let Some(expected) = &scenario.expected {
        let cause = expected.cause.as_deref().unwrap_or("any cause");
        let _ = writeln!(
            page,
            "<p>A negative twin: with this fault the scenario must turn {} for \
             <code>{}</code>. {}</p>",
            expected.verdict,
            escaped(cause),
            match (scenario.as_expected, scenario.detection.filter(|seen| !seen.is_in_time())) {
                (true, _) => "It did.",
                (false, None) => "<b>It did not: a fault is missed.</b>",
                (false, Some(_)) => "<b>It did, too late.</b>",
            }
        );
    }
    let is_told = |reason: &&String| !scenario.findings.iter().any(|f| f.text == **reason);
    if let Some(reason) = scenario.reason.as_ref().filter(is_told) {
        let _ = writeln!(page, "<p class=\"why\">{}</p>", escaped(reason));
    }
    page.push_str("<dl class=\"facts\">\n");
    let fact = |page: &mut String, name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(page, "<div><dt>{name}</dt><dd>{value}</dd></div>");
        }
    };
    fact(page, "at", &breakable(&scenario.place));
    fact(page, "clauses", &escaped(&scenario.clauses.join(", ")));
    let head = scenario.audit_head.as_ref();
    fact(page, "audit head", &head.map(|head| escaped(&head.to_string())).unwrap_or_default());
    page.push_str("</dl>\n");
    findings(page, n, scenario);
    incident_of(page, scenario);
    let certificates = Certificates::of(scenario);
    certificates.legend(page);
    for (index, timeline) in scenario.timelines.iter().enumerate() {
        if scenario.timelines.len() > 1 {
            let _ = writeln!(page, "<h4>Probes, run {}</h4>", index + 1);
        } else {
            page.push_str("<h4>Timeline</h4>\n");
        }
        draw(page, scenario, timeline, &certificates);
    }
    phases(page, scenario);
    lanes(page, scenario);
    credentials(page, scenario, &certificates);
    alerts(page, scenario);
    per_rotation(page, scenario);
    steps(page, run, scenario);
    evidence(page, n, scenario);
    if let Some(replay) = &scenario.replay {
        let _ = writeln!(page, "<h4>Run it again</h4>\n<pre>{}</pre>", escaped(replay));
    }
    page.push_str("</details>\n");
}

/// The page for whoever is on call.
fn incident_of(page: &mut String, scenario: &ScenarioRecord) {
    let Some(incident) = incident::of(scenario) else { return };
    page.push_str("<div class=\"incident\">\n<h4>What happened</h4>\n<ol class=\"happened\">\n");
    for step in &incident.happened {
        let below = step.argument.map(|text| format!("<pre>{}</pre>", escaped(text)));
        let _ = writeln!(
            page,
            "<li><time>{}</time> {}{}</li>",
            escaped(&step.at),
            escaped(step.text),
            below.unwrap_or_default()
        );
    }
    page.push_str("</ol>\n<h4>What is dead, and since when</h4>\n");
    for what in &incident.standing {
        let _ = writeln!(page, "<p>{}</p>", escaped(what));
    }
    if scenario.deadness.is_empty() {
        page.push_str("<p>No use of an old credential was tried.</p>\n");
    } else if incident.dead.is_empty() {
        page.push_str(
            "<p>Nothing that was tried was shown dead: what works still stands below.</p>\n",
        );
    } else {
        page.push_str(
            "<div class=\"scroll\"><table><thead><tr><th>whose</th><th>what</th><th>where</th>\
             <th>last accepted</th><th>first refused</th><th>cause</th><th>known by</th></tr></thead>\
             <tbody>\n",
        );
        for one in &incident.dead {
            let or_never =
                |time: &Option<String>| time.clone().unwrap_or_else(|| "not seen".to_owned());
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td>\
                 <td><code>{}</code></td></tr>",
                escaped(&one.owner),
                incident::kind(one.kind),
                escaped(&one.door),
                breakable(&or_never(&one.last_accepted)),
                breakable(&or_never(&one.first_refused)),
                escaped(one.cause.as_deref().unwrap_or_default()),
                breakable(&one.credential)
            );
        }
        page.push_str("</tbody></table></div>\n");
        page.push_str(
            "<p>Times are of tries: a credential can have been dead for some time before it was first \
             refused, and it was dead no earlier than it was last accepted.</p>\n",
        );
    }
    for (n, one) in scenario.impact.iter().enumerate() {
        // A later one that shows the same stands for it.
        let is_told = scenario.impact[n + 1..]
            .iter()
            .any(|later| repair::is_of_the_same(one, later) && one.affected == later.affected);
        if !is_told {
            impact(page, scenario, n);
        }
    }
    page.push_str("<h4>What is still open</h4>\n");
    if incident.open.is_empty() {
        page.push_str("<p>Nothing that this scenario looked at.</p>\n");
    } else {
        page.push_str("<ul>\n");
        for (what, clause) in &incident.open {
            let clause = clause.map(|clause| format!(" (clause {})", escaped(clause)));
            let _ = writeln!(page, "<li>{}{}</li>", escaped(what), clause.unwrap_or_default());
        }
        page.push_str("</ul>\n");
    }
    page.push_str("<h4>What to do next</h4>\n<ol>\n");
    for what in &incident.next {
        let _ = writeln!(page, "<li>{}</li>", escaped(what));
    }
    page.push_str("</ol>\n</div>\n");
}

/// What a stolen certificate or key has touched.
fn impact(page: &mut String, scenario: &ScenarioRecord, n: usize) {
    let Some(assessment) = scenario.impact.get(n) else { return };
    let is_last = incident::is_last(scenario, n);
    let since = assessment.since.map(|since| format!(" (suspected since {since})"));
    let _ = writeln!(
        page,
        "<h4>What {} has touched{}</h4>\n<p>By {}{}.</p>",
        escaped(&incident::called(scenario, &assessment.subject.name)),
        escaped(&since.unwrap_or_default()),
        escaped(&incident::assessed_at(assessment)),
        if is_last { "" } else { ", before what was done later; a later one stands below" }
    );
    if assessment.affected.is_empty() {
        page.push_str("<p>Nothing of what was looked at.</p>\n");
        return;
    }
    page.push_str(
        "<div class=\"scroll\"><table><thead><tr><th>what</th><th>name</th><th>how</th><th>state</th>\
         <th>when</th><th>to do</th></tr></thead><tbody>\n",
    );
    for one in &assessment.affected {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            one.kind.name().replace('_', " "),
            breakable(&incident::called(scenario, &one.name)),
            one.how.name().replace('_', " "),
            escaped(one.state),
            text_of(&json_of(&one.when)),
            match (one.open, is_last) {
                (true, true) => "yes",
                (true, false) => "then, yes",
                (false, _) => "history",
            }
        );
    }
    page.push_str("</tbody></table></div>\n");
}

/// A time from a scenario's start: `+0.250 s`, `+2 d 01:00:00`.
fn findings(page: &mut String, n: usize, scenario: &ScenarioRecord) {
    // What is open stands on the incident's own page.
    let failures: Vec<_> =
        scenario.findings.iter().filter(|finding| !incident::is_open(finding)).collect();
    if failures.is_empty() {
        return;
    }
    page.push_str("<h4>Findings</h4>\n<ul class=\"wrong\">\n");
    for finding in failures {
        let shown: BTreeSet<u64> = scenario.evidence.first.iter().map(|event| event.seq).collect();
        let links: Vec<_> = finding
            .evidence
            .iter()
            .take(10)
            .map(|seq| match shown.contains(seq) {
                true => format!("<a href=\"#s{n}e{seq}\">event {seq}</a>"),
                false => format!("event {seq}"),
            })
            .collect();
        let links = match (links.is_empty(), has_evidence(scenario)) {
            (false, _) => links.join(", "),
            (true, true) => format!("<a href=\"#s{n}e\">evidence</a>"),
            (true, false) => format!("<a href=\"#s{n}t\">its steps</a>"),
        };
        let clause = finding.clause.as_ref().map(|clause| format!(" (clause {clause})"));
        let _ = writeln!(
            page,
            "<li class=\"why\"><code>{}</code>{}: {} → {links}</li>",
            escaped(&finding.code),
            escaped(&clause.unwrap_or_default()),
            escaped(&finding.text)
        );
    }
    page.push_str("</ul>\n");
}

/// The certificates of a scenario by letter, in the order in which they were seen.
struct Certificates(Vec<(String, BTreeSet<&'static str>)>);

impl Certificates {
    fn of(scenario: &ScenarioRecord) -> Self {
        let mut all = Self(Vec::new());
        let lanes = || scenario.timelines.iter().flat_map(|timeline| &timeline.lanes);
        for bin in lanes().flat_map(|lane| &lane.bins) {
            bin.servers.iter().for_each(|skid| all.note(skid, "server"));
        }
        for bin in lanes().flat_map(|lane| &lane.bins) {
            bin.clients.iter().for_each(|skid| all.note(skid, "client"));
        }
        for change in &scenario.credentials {
            let kind = match change.kind {
                "tls_client" => "client",
                "tls_server" => "server",
                "encryption_key" => "encryption key, by its SHA-256",
                _ => "API certificate",
            };
            all.note(&change.before_skid, kind);
            all.note(&change.after_skid, kind);
        }
        all
    }

    fn note(&mut self, skid: &str, kind: &'static str) {
        if skid.is_empty() {
            return;
        }
        match self.0.iter_mut().find(|(known, _)| known == skid) {
            Some((_, kinds)) => {
                kinds.insert(kind);
            }
            None => self.0.push((skid.to_owned(), BTreeSet::from([kind]))),
        }
    }

    fn index(&self, skid: &str) -> usize {
        self.0.iter().position(|(known, _)| known == skid).unwrap_or_default()
    }

    /// Such as `B 3fa9c1d2`.
    fn short(&self, skid: &str) -> String {
        if skid.is_empty() {
            return "none".to_owned();
        }
        format!("{} {}", letter(self.index(skid)), escaped(head(skid)))
    }

    fn legend(&self, page: &mut String) {
        if self.0.is_empty() {
            return;
        }
        page.push_str(
            "<h4>Certificates, by subject key identifier, and keys</h4>\n<ul class=\"legend\">\n",
        );
        for (index, (skid, kinds)) in self.0.iter().enumerate() {
            let kinds: Vec<_> = kinds.iter().copied().collect();
            let _ = writeln!(
                page,
                "<li><i class=\"c{}\">{}</i> <code>{}</code> {}</li>",
                index % COLOURS,
                letter(index),
                escaped(skid),
                kinds.join(" and ")
            );
        }
        page.push_str(
            "<li><i class=\"bad\">✗</i> probes failed</li>\n<li><i class=\"late\">…</i> probes not \
             sent</li>\n</ul>\n",
        );
    }
}

/// How many colours the style sheet has for certificates.
const COLOURS: usize = 8;

fn letter(index: usize) -> String {
    let letter = char::from(b'A' + u8::try_from(index % 26).unwrap_or_default());
    match index / 26 {
        0 => letter.to_string(),
        round => format!("{letter}{round}"),
    }
}

fn head(skid: &str) -> &str {
    skid.get(..8).unwrap_or(skid)
}

/// One drawing for each lane, all on the same scale. Widths are shares of the page's, so text keeps
/// its size on a phone.
fn draw(
    page: &mut String,
    scenario: &ScenarioRecord,
    timeline: &Timeline,
    certificates: &Certificates,
) {
    let last = |lane: &LaneTimeline| lane.bins.last().map_or(0.0, |bin| bin.until_ms);
    let end = timeline.lanes.iter().map(last).fold(timeline.length_ms, f64::max).max(1.0);
    let share = |ms: f64| (ms / end * 100.0).clamp(0.0, 100.0);
    page.push_str("<figure class=\"timeline\">\n");
    strip(page, scenario, timeline, &share);
    for lane in &timeline.lanes {
        lane_drawing(page, timeline, lane, certificates, &share);
    }
    let _ = writeln!(
        page,
        "<div class=\"axis\"><span>0 s</span><span>{}</span><span>{}</span></div>",
        seconds(end / 2.0),
        seconds(end)
    );
    if !timeline.marks.is_empty() {
        page.push_str("<ol class=\"marks\">\n");
        for mark in &timeline.marks {
            let _ =
                writeln!(page, "<li><b>{}</b> {}</li>", seconds(mark.at_ms), escaped(&mark.text));
        }
        page.push_str("</ol>\n");
    }
    if let (Some(span), Some(control)) = (timeline.control, scenario.control) {
        let _ = writeln!(
            page,
            "<p class=\"note\">Negative control (grey): from {} on the harness itself made an \
             outage of {}; the probes saw a gap of {}.</p>",
            seconds(span.from_ms),
            ms(control.injected_ms),
            ms(control.seen_ms)
        );
    }
    page.push_str("</figure>\n");
}

/// Phases, and the numbers of the marks.
fn strip(
    page: &mut String,
    scenario: &ScenarioRecord,
    timeline: &Timeline,
    share: &impl Fn(f64) -> f64,
) {
    let phases = phase_spans(scenario, timeline);
    let rows = if timeline.marks.is_empty() { 0 } else { MARK_ROWS };
    let top = if phases.is_empty() { 0 } else { 18 };
    let height = top + rows * MARK_HEIGHT;
    if height == 0 {
        return;
    }
    let _ = write!(
        page,
        "<svg class=\"strip\" width=\"100%\" height=\"{height}\" role=\"img\" aria-label=\"phases and changes\">"
    );
    for (n, (name, from, until)) in phases.iter().enumerate() {
        let (x, width) = (share(*from), (share(*until) - share(*from)).max(0.2));
        let _ = write!(
            page,
            "<svg x=\"{x:.2}%\" width=\"{width:.2}%\" height=\"16\"><rect width=\"100%\" \
             height=\"16\" class=\"phase p{}\"/><text x=\"3\" y=\"12\">{name}</text>\
             <title>{name}</title></svg>",
            n % 2,
            name = escaped(name)
        );
    }
    let mut ends = [-10.0_f64; MARK_ROWS];
    for (n, mark) in timeline.marks.iter().enumerate() {
        let x = share(mark.at_ms);
        // The first row with room for the number; on a phone a number takes six hundredths.
        let row = ends.iter().position(|end| x - end >= 6.0).unwrap_or(n % MARK_ROWS);
        ends[row] = x;
        let (anchor, shift) = if x > 95.0 { ("end", -2) } else { ("start", 2) };
        let y = top + row * MARK_HEIGHT;
        let _ = write!(
            page,
            "<line x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"{y}\" y2=\"{height}\" class=\"mark\"/>\
             <text x=\"{x:.2}%\" dx=\"{shift}\" y=\"{}\" text-anchor=\"{anchor}\" \
             class=\"mark\">{}<title>{}</title></text>",
            y + 10,
            n + 1,
            escaped(&mark.text)
        );
    }
    page.push_str("</svg>\n");
}

const MARK_ROWS: usize = 3;
const MARK_HEIGHT: usize = 12;

fn lane_drawing(
    page: &mut String,
    timeline: &Timeline,
    lane: &LaneTimeline,
    certificates: &Certificates,
    share: &impl Fn(f64) -> f64,
) {
    let clients: BTreeSet<&str> =
        lane.bins.iter().flat_map(|bin| &bin.clients).map(String::as_str).collect();
    // A client that never changes is no news.
    let height = if clients.len() > 1 { 40 } else { 22 };
    let sent: u64 = lane.bins.iter().map(|bin| bin.sent).sum();
    let _ = writeln!(
        page,
        "<figcaption><b>{}</b> {} <span>{sent} sent</span></figcaption>",
        escaped(&lane.actor),
        lane.lane.name().replace('_', " ")
    );
    let _ = write!(
        page,
        "<svg class=\"lane\" width=\"100%\" height=\"{height}\" role=\"img\" aria-label=\"{} {}: \
         which certificate answered\"><rect width=\"100%\" height=\"{height}\" class=\"empty\"/>",
        escaped(&lane.actor),
        lane.lane.name()
    );
    let rows = [(0, true), (22, false)];
    for (y, is_server) in rows.into_iter().take(if clients.len() > 1 { 2 } else { 1 }) {
        for segment in segments(lane, is_server) {
            // The outage that the harness made itself is no finding.
            let is_own = timeline
                .control
                .is_some_and(|control| segment.from_ms + lane.bin_ms >= control.from_ms);
            draw_segment(page, &segment, (y, is_server, is_own), certificates, share);
        }
    }
    if let Some(control) = timeline.control {
        let (x, until) = (share(control.from_ms), share(control.until_ms));
        let _ = write!(
            page,
            "<rect x=\"{x:.2}%\" width=\"{:.2}%\" height=\"{height}\" class=\"control\">\
             <title>negative control</title></rect>",
            until - x
        );
    }
    for mark in &timeline.marks {
        let x = share(mark.at_ms);
        let _ = write!(
            page,
            "<line x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"0\" y2=\"{height}\" class=\"mark\"/>"
        );
    }
    page.push_str("</svg>\n");
}

/// Neighbouring bins that look alike.
struct Segment {
    from_ms: f64,
    until_ms: f64,
    skids: Vec<String>,
    sent: u64,
    dropped: u64,
    causes: BTreeMap<String, u64>,
    replicas: BTreeSet<u32>,
}

fn segments(lane: &LaneTimeline, is_server: bool) -> Vec<Segment> {
    let mut all: Vec<Segment> = Vec::new();
    for bin in &lane.bins {
        let skids = if is_server { &bin.servers } else { &bin.clients };
        match all.last_mut() {
            Some(last)
                if last.skids == *skids
                    && last.causes.is_empty() == bin.causes.is_empty()
                    && (last.dropped == 0) == (bin.dropped == 0)
                    // An empty bin between them is a gap.
                    && bin.from_ms - last.until_ms < 1.0 =>
            {
                last.until_ms = last.until_ms.max(bin.until_ms);
                add(last, bin);
            }
            _ => {
                let mut new = Segment {
                    from_ms: bin.from_ms,
                    until_ms: bin.until_ms,
                    skids: skids.clone(),
                    sent: 0,
                    dropped: 0,
                    causes: BTreeMap::new(),
                    replicas: BTreeSet::new(),
                };
                add(&mut new, bin);
                all.push(new);
            }
        }
    }
    all
}

fn add(segment: &mut Segment, bin: &Bin) {
    segment.sent += bin.sent;
    segment.dropped += bin.dropped;
    segment.replicas.extend(&bin.replicas);
    for (cause, n) in &bin.causes {
        *segment.causes.entry(cause.clone()).or_default() += n;
    }
}

fn draw_segment(
    page: &mut String,
    segment: &Segment,
    (y, is_server, is_own): (u32, bool, bool),
    certificates: &Certificates,
    share: &impl Fn(f64) -> f64,
) {
    let x = share(segment.from_ms);
    let width = (share(segment.until_ms) - x).max(0.3);
    let height = 18_usize;
    let _ = write!(
        page,
        "<svg x=\"{x:.2}%\" y=\"{}\" width=\"{width:.2}%\" height=\"{height}\">",
        y + 2
    );
    let parts = segment.skids.len().max(1);
    for (n, skid) in segment.skids.iter().enumerate() {
        let _ = write!(
            page,
            "<rect y=\"{}\" width=\"100%\" height=\"{}\" class=\"c{}\"/>",
            n * height / parts,
            height.div_ceil(parts),
            certificates.index(skid) % COLOURS
        );
    }
    if segment.skids.is_empty() && segment.sent > 0 && segment.causes.is_empty() {
        let _ = write!(page, "<rect width=\"100%\" height=\"{height}\" class=\"plain\"/>");
    }
    let failed: u64 = segment.causes.values().sum();
    if failed > 0 && is_server {
        // Beside what did answer meanwhile, if anything did.
        let top = if segment.skids.is_empty() { 0 } else { height / 2 };
        let _ = write!(
            page,
            "<rect y=\"{top}\" width=\"100%\" height=\"{}\" class=\"bad\"/>",
            height - top
        );
    }
    if segment.dropped > 0 && is_server {
        let _ = write!(page, "<rect y=\"12\" width=\"100%\" height=\"6\" class=\"late\"/>");
    }
    let letters: Vec<_> =
        segment.skids.iter().map(|skid| letter(certificates.index(skid))).collect();
    let label = match segment.skids.as_slice() {
        _ if failed > 0 && is_server => format!("✗{failed}"),
        [skid] if width > 22.0 => certificates.short(skid),
        [] if segment.dropped == 0 => "no certificate".to_owned(),
        _ => letters.join("+"),
    };
    // Where there is no room for a letter, colour, legend and tooltip have to do.
    if width > 2.5 && !(is_own && failed > 0) {
        let is_red = failed > 0 && is_server;
        let class = if is_red { " class=\"red\"" } else { "" };
        let role = if is_server || width <= 22.0 { "" } else { "client " };
        let _ = write!(page, "<text x=\"3\" y=\"13\"{class}>{role}{label}</text>");
    }
    let causes: Vec<_> = segment.causes.iter().map(|(cause, n)| format!("{n} {cause}")).collect();
    let replicas: Vec<_> = segment.replicas.iter().map(u32::to_string).collect();
    let mut title = format!(
        "{} to {}: {} sent",
        seconds(segment.from_ms),
        seconds(segment.until_ms),
        segment.sent
    );
    for (name, values) in [
        (if is_server { "answered by" } else { "presented" }, &segment.skids),
        ("replicas", &replicas),
        ("failed", &causes),
    ] {
        if !values.is_empty() {
            let _ = write!(title, "; {name} {}", values.join(", "));
        }
    }
    if segment.dropped > 0 {
        let _ = write!(title, "; {} not sent", segment.dropped);
    }
    let _ = write!(page, "<title>{}</title></svg>", escaped(&title));
}

/// Phases with a start, in milliseconds from the run's start.
fn phase_spans(scenario: &ScenarioRecord, timeline: &Timeline) -> Vec<(String, f64, f64)> {
    let started = Timestamp::parse_rfc3339(&timeline.started).unwrap_or_default();
    let at = |value: &Value| match value {
        Value::String(text) => Timestamp::parse_rfc3339(text)
            .map(|at| (at.micros() - started.micros()) as f64 / 1000.0),
        other => other.as_f64(),
    };
    json_of(&scenario.phases)
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|phase| {
            let from = at(&phase["start"])?;
            let until = at(&phase["end"]).unwrap_or(timeline.length_ms);
            (until >= 0.0).then(|| (text_of(&phase["name"]), from.max(0.0), until))
        })
        .collect()
}

fn phases(page: &mut String, scenario: &ScenarioRecord) {
    if scenario.phases.is_empty() {
        return;
    }
    page.push_str(
        "<h4>Phases</h4>\n<div class=\"scroll\"><table><thead><tr><th>phase</th><th>began</th>\
         <th>ended</th><th>how</th><th>what its gate said</th></tr></thead><tbody>\n",
    );
    for phase in &scenario.phases {
        let forced = if phase.forced { ", forced" } else { "" };
        let hook = phase.hook.as_ref().map(|hook| {
            let ended = match (hook.timed_out, hook.exit_code) {
                (true, _) => "took too long".to_owned(),
                (false, Some(code)) => format!("exit code {code}"),
                (false, None) => "ended by a signal".to_owned(),
            };
            format!(
                "<br>done by <code>{}</code>, {ended}<pre>{}</pre>",
                escaped(&hook.command),
                escaped(&hook.output)
            )
        });
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}{forced}</td><td>{}{}</td></tr>",
            escaped(&text_of(&json_of(&phase.name))),
            breakable(&phase.start.to_string()),
            breakable(&phase.end.to_string()),
            escaped(&text_of(&json_of(&phase.ending)).replace('_', " ")),
            escaped(&phase.gate),
            hook.unwrap_or_default()
        );
    }
    page.push_str("</tbody></table></div>\n");
}

/// What many rotations in one scenario prove together.
fn per_rotation(page: &mut String, scenario: &ScenarioRecord) {
    let Some(many) = &scenario.per_rotation else { return };
    let _ = writeln!(
        page,
        "<h4>Over many rotations</h4>\n<p>{} of {} rotations were noticed by a probe: with 95 % \
         confidence at most {:.1} % are.</p>",
        many.bad,
        many.n,
        many.upper_bound_95 * 100.0
    );
}

fn json_of(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn lanes(page: &mut String, scenario: &ScenarioRecord) {
    if scenario.lanes.is_empty() {
        return;
    }
    page.push_str(
        "<h4>Lanes</h4>\n<div class=\"scroll\"><table class=\"big\"><thead><tr><th>lane</th><th>actor</th>\
         <th>credential</th><th>replica</th><th class=\"n\">sent</th><th class=\"n\">failed</th>\
         <th class=\"n\">dropped</th><th class=\"n\">longest gap</th><th class=\"n\">resolution</th>\
         <th class=\"n\">error budget used</th><th class=\"n\">latency p50</th><th class=\"n\">p99</th><th class=\"n\">longest</th>\
         <th>what it proves</th><th>failures by cause</th></tr></thead><tbody>\n",
    );
    for lane in &scenario.lanes {
        let replica = lane.replica.map_or_else(|| "all".to_owned(), |replica| replica.to_string());
        let credential = text_of(&json_of(&lane.credential));
        let by_cause: Vec<_> = lane
            .failures_by_cause
            .iter()
            .map(|(cause, n)| format!("{n} × <a href=\"#cause-{0}\">{0}</a>", escaped(cause)))
            .collect();
        let class = if lane.failed > 0 { "<b>" } else { "" };
        let _ = writeln!(
            page,
            "<tr{}><td>{}</td><td>{}</td><td>{credential}</td><td>{replica}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{class}{}{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td><td>{}</td>\
             </tr>",
            if lane.replica.is_none() { " class=\"pooled\"" } else { "" },
            lane.lane.name().replace('_', " "),
            escaped(&lane.actor),
            lane.sent,
            lane.failed,
            if class.is_empty() { "" } else { "</b>" },
            lane.dropped,
            ms(lane.longest_gap_ms),
            ms(lane.resolution_ms),
            lane.error_budget_used.map_or_else(|| "unknown".to_owned(), budget),
            latency(lane.latency_us_p50),
            latency(lane.latency_us_p99),
            latency(lane.latency_us_max),
            bound(lane),
            if by_cause.is_empty() { "–".to_owned() } else { by_cause.join(", ") }
        );
    }
    page.push_str("</tbody></table></div>\n");
}

/// In milliseconds, finer than a gap: most are below one.
fn latency(us: Option<u64>) -> String {
    us.map_or_else(|| "–".to_owned(), |us| format!("{:.1} ms", us as f64 / 1000.0))
}

/// Of zero downtime's allowance.
fn budget(used: f64) -> String {
    if used >= 1.0 { "all".to_owned() } else { format!("{:.0} %", used * 100.0) }
}

/// The bound in words.
fn bound(lane: &LaneReport) -> String {
    let excused = match lane.excused {
        0 => String::new(),
        n => format!("; {n} excused: the harness's own fault"),
    };
    match lane.upper_bound_95 {
        Some(bound) => {
            format!("with 95 % confidence at most {} of calls fail{excused}", percent(bound))
        }
        None => format!("no bound: not independent calls{excused}"),
    }
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 10.0 { format!("{percent:.0} %") } else { format!("{percent:.3} %") }
}

fn credentials(page: &mut String, scenario: &ScenarioRecord, certificates: &Certificates) {
    if scenario.credentials.is_empty() {
        return;
    }
    page.push_str(
        "<h4>Credentials before and after</h4>\n<div class=\"scroll\"><table><thead><tr>\
         <th>actor</th><th>kind</th><th>before</th><th>after</th><th>changed</th></tr></thead>\
         <tbody>\n",
    );
    for change in &scenario.credentials {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td><code>{}</code></td><td><code>{}</code></td><td>{}</td>\
             </tr>",
            escaped(&change.actor),
            change.kind.replace('_', " "),
            certificates.short(&change.before_skid),
            certificates.short(&change.after_skid),
            match (change.changed, change.before_skid == change.after_skid) {
                (true, false) => "yes",
                (true, true) => "yes, and back",
                (false, _) => "no",
            }
        );
    }
    page.push_str("</tbody></table></div>\n");
    outlived(page, scenario, certificates);
}

/// Open connections that went on under what had been replaced.
fn outlived(page: &mut String, scenario: &ScenarioRecord, certificates: &Certificates) {
    let all = || {
        let of = |change: &'_ crate::verdict::credentials::CredentialChange| {
            let actor = change.actor.clone();
            change.outlived.clone().into_iter().map(move |outlived| (actor.clone(), outlived))
        };
        scenario.credentials.iter().flat_map(of)
    };
    if all().next().is_none() {
        return;
    }
    page.push_str(
        "<h4>Connections that outlived a replaced credential</h4>\n<div class=\"scroll\"><table>\
         <thead><tr><th>actor</th><th>credential</th><th>serial</th><th>for</th></tr></thead>\
         <tbody>\n",
    );
    for (actor, outlived) in all() {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td><code>{}</code></td><td><code>{}</code></td><td>{}</td></tr>",
            escaped(&actor),
            certificates.short(&outlived.skid),
            escaped(&outlived.serial),
            ms(outlived.for_ms)
        );
    }
    page.push_str("</tbody></table></div>\n");
}

/// What the monitor raised: when, by which setting, who failed and why.
fn alerts(page: &mut String, scenario: &ScenarioRecord) {
    if scenario.alerts.is_empty() {
        return;
    }
    page.push_str(
        "<h4>Alerts of the authentication monitor</h4>\n<div class=\"scroll\"><table><thead><tr>\
         <th>time</th><th>raised by</th><th>who</th><th>cause</th><th>failures</th></tr></thead>\
         <tbody>\n",
    );
    for alert in &scenario.alerts {
        for failures in &alert.failures {
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td>{} failures within {} s</td><td>{}</td><td><code>{}</code></td>\
                 <td>{}</td></tr>",
                escaped(&alert.time),
                alert.threshold,
                alert.window_seconds,
                escaped(&failures.who),
                escaped(&failures.cause),
                failures.count
            );
        }
    }
    page.push_str("</tbody></table></div>\n");
}

fn steps(page: &mut String, run: &Run, scenario: &ScenarioRecord) {
    if scenario.steps.is_empty() {
        return;
    }
    let open = if run.is_fine(scenario) { "" } else { " open" };
    let n = run.scenarios.iter().position(|other| std::ptr::eq(other, scenario));
    let _ = write!(
        page,
        "<details id=\"s{}t\"{open}><summary>Steps</summary>\n<ol class=\"steps\">\n",
        n.unwrap_or_default()
    );
    for step in &scenario.steps {
        let (sign, class) = match step.outcome {
            Outcome::Passed => ("✓", "ran"),
            Outcome::Failed => ("✗ failed", "red"),
            Outcome::Invalid => ("? proves nothing", "red"),
            Outcome::NotApplicable => ("– not applicable", "red"),
            Outcome::NotRun => ("· not run", "not"),
        };
        let took = step.took_ms.filter(|took| *took >= 1.0).map(ms).unwrap_or_default();
        let _ = writeln!(
            page,
            "<li class=\"{class}\"><span>{sign}</span> <b>{}</b> {} <small>{took}</small></li>",
            escaped(&step.keyword),
            breakable(&step.text)
        );
    }
    page.push_str("</ol>\n</details>\n");
}

fn has_evidence(scenario: &ScenarioRecord) -> bool {
    !scenario.evidence.first.is_empty() || !scenario.evidence.probes.is_empty()
}

fn evidence(page: &mut String, n: usize, scenario: &ScenarioRecord) {
    if !has_evidence(scenario) {
        return;
    }
    let evidence = &scenario.evidence;
    let _ = writeln!(page, "<h4 id=\"s{n}e\">Evidence</h4>");
    if !evidence.probes.is_empty() {
        page.push_str(
            "<p class=\"note\">The first probes that failed.</p>\n<div class=\"scroll\"><table>\
             <thead><tr><th class=\"n\">at</th><th class=\"n\">latency</th><th>lane</th><th>actor</th>\
             <th>cause</th><th>its caller saw</th><th class=\"n\">replica</th><th>principal</th>\
             <th>TLS</th><th>server's serial</th><th>request</th><th>server's event</th></tr></thead>\
             <tbody>\n",
        );
        let shown: BTreeSet<u64> = evidence.first.iter().map(|event| event.seq).collect();
        for probe in &evidence.probes {
            let event = match probe.event {
                None => "none: it never arrived".to_owned(),
                Some(seq) if shown.contains(&seq) => format!("<a href=\"#s{n}e{seq}\">{seq}</a>"),
                Some(seq) => seq.to_string(),
            };
            let cause = escaped(&probe.cause);
            let _ = writeln!(
                page,
                "<tr><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td><td>{}</td>\
                 <td><a href=\"#cause-{cause}\">{cause}</a></td><td>{}{}</td><td class=\"n\">{}</td>\
                 <td>{}</td><td>{}</td><td><code>{}</code></td><td><code>{}</code></td>\
                 <td>{event}</td></tr>",
                seconds(probe.at_ms),
                ms(probe.latency_ms),
                probe.lane.name().replace('_', " "),
                escaped(&probe.actor),
                escaped(probe.own_cause.as_deref().unwrap_or("the expected answer")),
                if probe.reopened { ", after it was sent again" } else { "" },
                probe.replica.map_or_else(|| "–".to_owned(), |replica| replica.to_string()),
                breakable(probe.principal.as_deref().unwrap_or("–")),
                if probe.tls_version.is_empty() { "–" } else { &probe.tls_version },
                breakable(if probe.server_serial.is_empty() {
                    "–"
                } else {
                    &probe.server_serial
                }),
                escaped(&probe.request_id)
            );
        }
        page.push_str("</tbody></table></div>\n");
    }
    if !evidence.first.is_empty() {
        let more = evidence.events.len() - evidence.first.len().min(evidence.events.len());
        let _ = writeln!(
            page,
            "<p class=\"note\">What the server recorded{}.</p>\n<ul class=\"events\">",
            if more > 0 {
                format!(" ({more} more in <code>run.json</code>)")
            } else {
                String::new()
            }
        );
        for event in &evidence.first {
            let Value::Object(fields) = json_of(event) else { continue };
            let fields: serde_json::Map<_, _> =
                fields.into_iter().filter(|(_, value)| !value.is_null()).collect();
            let _ = writeln!(
                page,
                "<li id=\"s{n}e{}\"><pre>{}</pre></li>",
                event.seq,
                escaped(&Value::Object(fields).to_string())
            );
        }
        page.push_str("</ul>\n");
    }
}

/// What the causes of this run mean, and what to do about them.
fn glossary(page: &mut String, run: &Run) {
    let seen: BTreeSet<&str> = run
        .scenarios
        .iter()
        .flat_map(|scenario| {
            let by_lane = scenario.lanes.iter().flat_map(|lane| lane.failures_by_cause.keys());
            scenario.causes.iter().chain(by_lane).map(String::as_str)
        })
        .collect();
    if seen.is_empty() {
        return;
    }
    page.push_str("<section>\n<h2>What the causes mean</h2>\n<dl class=\"causes\">\n");
    for code in seen {
        let cause = Cause::ALL.iter().find(|cause| cause.code() == code);
        let text = match cause {
            None => "a gRPC status: the server gave no cause of its own.".to_owned(),
            Some(cause) => {
                let owner = text_of(&json_of(&cause.owner()));
                format!(
                    "{} <br><b>Next</b> {} <small>fault of: {}, clause {}</small>",
                    escaped(cause.meaning()),
                    escaped(cause.next_step()),
                    escaped(&owner),
                    escaped(cause.clause())
                )
            }
        };
        let _ = writeln!(
            page,
            "<dt id=\"cause-{0}\"><code>{0}</code></dt><dd>{text}</dd>",
            escaped(code)
        );
    }
    page.push_str("</dl>\n</section>\n");
}

fn causes(causes: &[String]) -> String {
    causes.iter().fold(String::new(), |mut all, cause| {
        let _ = write!(all, " <a class=\"cause\" href=\"#cause-{0}\">{0}</a>", escaped(cause));
        all
    })
}

fn label(scenario: &ScenarioRecord) -> String {
    match &scenario.fault {
        None => scenario.id.clone(),
        Some(fault) => format!("{} [{fault}]", scenario.id),
    }
}

fn reason(scenario: &ScenarioRecord) -> String {
    match (&scenario.reason, &scenario.expected) {
        (None, Some(expected)) => format!("expected {}, and it passed", expected.verdict),
        (reason, _) => reason.clone().unwrap_or_default(),
    }
}

/// What the filter calls a scenario.
fn kind(run: &Run, scenario: &ScenarioRecord) -> &'static str {
    match (&scenario.fault, scenario.as_expected) {
        (Some(_), true) if !run.shows_red => "twin",
        (Some(_), false) => "blind",
        _ => class(scenario.verdict),
    }
}

fn badge(run: &Run, scenario: &ScenarioRecord) -> String {
    match kind(run, scenario) {
        "twin" => format!(
            "<span class=\"badge v-twin\">✓ red as stated<small> {}</small></span>",
            scenario.verdict
        ),
        "blind" => format!(
            "<span class=\"badge v-fail\">✗ not red as stated<small> {}</small></span>",
            scenario.verdict
        ),
        _ => format!(
            "<span class=\"badge v-{}\">{}</span>",
            class(scenario.verdict),
            plain_badge(scenario.verdict)
        ),
    }
}

fn plain_badge(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✓ PASS",
        Verdict::Fail => "✗ FAIL",
        Verdict::Invalid => "? INVALID",
        Verdict::NotApplicable => "– NOT APPLICABLE",
    }
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Invalid => "invalid",
        Verdict::NotApplicable => "na",
    }
}

fn ms(ms: f64) -> String {
    if ms >= 1000.0 { format!("{:.2} s", ms / 1000.0) } else { format!("{ms:.0} ms") }
}

fn seconds(ms: f64) -> String {
    format!("{:.2} s", ms / 1000.0)
}

/// Text for an element or a quoted attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() && c != '\n' => {
                let _ = write!(escaped, "\\u{{{:x}}}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// The same, with places at which a long name may be broken.
fn breakable(text: &str) -> String {
    escaped(text).replace('/', "/<wbr>").replace('_', "_<wbr>").replace('[', "<wbr>[")
}
