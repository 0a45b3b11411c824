//! An assessment for a person on call: what is affected, before and after, what is not known, what
//! to do next.

use super::facts::Subject;
use super::plan::{Action, ActionKind};
use super::{Affected, Assessment, GapKind, When};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How many names of one list are shown; JSON has all.
const SHOWN: usize = 5;

/// The whole text.
pub fn to_text(assessment: &Assessment) -> String {
    let mut text = String::new();
    let _ = header(&mut text, assessment);
    let _ = affected(&mut text, assessment);
    let _ = not_known(&mut text, assessment);
    let _ = next(&mut text, assessment);
    text
}

type Written = std::fmt::Result;

fn header(out: &mut String, all: &Assessment) -> Written {
    let subject = &all.subject;
    let what = match subject.kind {
        "certificate" => Subject::Certificate(subject.name.clone()),
        _ => Subject::PublicKey(subject.name.clone()),
    };
    writeln!(out, "Impact of the {what}")?;
    writeln!(out, "  owner      {}", subject.owner)?;
    let plain = match subject.state {
        "REVOCATION_STATE_UNSPECIFIED" => " (neither on hold nor revoked)",
        "IN_FORCE" => " (others go on encrypting to it)",
        "UNKNOWN" => " (nothing that was read names it: no all-clear, see 3)",
        _ => "",
    };
    writeln!(out, "  state      {}{plain}", subject.state)?;
    if let Some(skid) = &subject.skid {
        writeln!(out, "  SKID       {skid}")?;
    }
    if let (Some(from), Some(to)) = (subject.not_before, subject.not_after) {
        writeln!(out, "  valid      {from} to {to}")?;
    }
    if let Some(key) = &subject.key_sha256 {
        writeln!(out, "  key        {key} (SHA-256 of the public key set)")?;
    }
    for key in &subject.vouched_keys {
        writeln!(
            out,
            "  vouches    for the key {key}: give this with --vouched-key-sha256 when you assess again"
        )?;
    }
    match all.since {
        Some(since) => writeln!(out, "  suspected  since {since}")?,
        None => writeln!(
            out,
            "  suspected  since nobody knows when: give --since to tell before from after"
        )?,
    }
    if let (Some(started), Some(finished)) = (all.read_started, all.read_finished) {
        writeln!(out, "  read       {started} to {finished}")?;
    }
    for one in &all.looked_at {
        let kind = plural(one.kind.name(), one.count);
        writeln!(out, "  looked at  {} {kind}: {}", one.count, one.source)?;
    }
    for one in &all.not_concerned {
        writeln!(out, "  no need    {}: {}", plural(one.kind.name(), 0), one.why)?;
    }
    if let Some(trail) = &all.trail {
        let end = trail.end.map_or_else(|| "an unknown time".to_owned(), |end| end.to_string());
        let stale =
            if trail.is_stale { "; the Kingdom went on: nothing is known after that" } else { "" };
        writeln!(out, "  trail      ends at {end}{stale}")?;
    }
    for one in &all.history {
        let state = match (&one.before, &one.after) {
            (Some(before), Some(after)) => format!(" ({before} to {after})"),
            (None, Some(after)) => format!(" ({after})"),
            _ => String::new(),
        };
        writeln!(
            out,
            "  trail      {} {} {} by {}{state}",
            one.time, one.action, one.subject, one.actor
        )?;
    }
    Ok(())
}

fn affected(out: &mut String, all: &Assessment) -> Written {
    writeln!(out, "\n1. What is affected")?;
    if all.affected.is_empty() {
        return if all.complete {
            writeln!(out, "   Nothing: everything that can be looked at was.")
        } else {
            writeln!(out, "   Nothing of what was looked at. Not everything was: see 3.")
        };
    }
    writeln!(
        out,
        "   {:<12} {:<17} {:>7} {:>7} {:>8} {:>7}",
        "", "", "before", "after", "unknown", "open"
    )?;
    for total in &all.totals {
        writeln!(
            out,
            "   {:<12} {:<17} {:>7} {:>7} {:>8} {:>7}",
            total.kind.name(),
            total.how.name(),
            total.before,
            total.after,
            total.unknown,
            total.open
        )?;
    }
    writeln!(out, "   \"open\" needs something from the list in 4; the rest is history.")?;
    let not_made = all.affected.iter().filter(|one| one.signature_verifies == Some(false)).count();
    if not_made > 0 {
        writeln!(
            out,
            "   {not_made} of those signed_by name the certificate and are not signed with its key: peers\n   refuse them (3.10), and whoever made them had the owner's access, but not this key."
        )?;
    }
    writeln!(out, "\n2. Before and after")?;
    for (when, title) in [
        (When::After, "at or after the suspected time"),
        (When::Unknown, "time not known"),
        (When::Before, "before the suspected time"),
    ] {
        let mut of: Vec<_> = all.affected.iter().filter(|one| one.when == when).collect();
        if of.is_empty() {
            continue;
        }
        writeln!(out, "   {} {title}", of.len())?;
        // What is open first, then the newest.
        of.sort_by_key(|one| (one.kind, one.how, !one.open, std::cmp::Reverse(one.latest)));
        for group in of.chunk_by(|one, other| (one.kind, one.how) == (other.kind, other.how)) {
            let Some(first) = group.first() else { continue };
            let (kind, how) = (plural(first.kind.name(), group.len()), first.how.name());
            writeln!(out, "     {} {kind} {how}", group.len())?;
            for one in group.iter().take(SHOWN) {
                writeln!(out, "       {}", line(one))?;
            }
            more(out, group.len())?;
        }
    }
    Ok(())
}

fn line(one: &Affected) -> String {
    let time = match (one.earliest, one.latest) {
        (Some(earliest), Some(latest)) if earliest == latest => latest.to_string(),
        (Some(earliest), Some(latest)) => format!("{earliest} to {latest}"),
        (Some(earliest), None) => format!("since {earliest}"),
        _ => "no time".to_owned(),
    };
    let open = if one.open { "open   " } else { "history" };
    let signature = match one.signature_verifies {
        Some(false) => ", and the signature is not its key's",
        _ => "",
    };
    format!("{open} {} {} {time}{signature}", one.name, one.state)
}

fn not_known(out: &mut String, all: &Assessment) -> Written {
    writeln!(out, "\n3. What is not known")?;
    for (kind, title) in [
        (GapKind::NotLookedAt, "could be looked at, and was not"),
        (GapKind::NotRecorded, "the Kingdom does not record"),
    ] {
        let of: Vec<_> = all.not_known.iter().filter(|gap| gap.kind == kind).collect();
        if of.is_empty() {
            continue;
        }
        writeln!(out, "   {title}:")?;
        for gap in of {
            writeln!(out, "   - {}\n     why:  {}\n     next: {}", gap.what, gap.why, gap.next)?;
        }
    }
    Ok(())
}

fn next(out: &mut String, all: &Assessment) -> Written {
    writeln!(out, "\n4. What to do next, in this order")?;
    if all.plan.is_empty() {
        let why = match all.affected.is_empty() {
            true => "nothing of what was looked at is affected; see what is not known",
            false => "what is affected is history",
        };
        return writeln!(out, "   Nothing: {why}.");
    }
    let mut groups: BTreeMap<(ActionKind, &str, &str), Vec<&Action>> = BTreeMap::new();
    for action in &all.plan {
        groups.entry((action.action, &action.who, action.why)).or_default().push(action);
    }
    for (n, ((kind, who, why), actions)) in groups.iter().enumerate() {
        let count = actions.len();
        match actions.as_slice() {
            [one] => writeln!(out, "   {}. {who}: {} {}", n + 1, verb(*kind), object(one))?,
            _ => writeln!(out, "   {}. {who}: {} each of these {count}", n + 1, verb(*kind))?,
        }
        writeln!(out, "      {why}")?;
        if count > 1 {
            for action in actions.iter().take(SHOWN) {
                writeln!(out, "      - {}", object(action))?;
            }
            more(out, count)?;
        }
    }
    Ok(())
}

fn object(action: &Action) -> String {
    match &action.reference_id {
        Some(first) if *first != action.subject => {
            format!("{} (reference id {first})", action.subject)
        }
        _ => action.subject.clone(),
    }
}

fn verb(kind: ActionKind) -> &'static str {
    match kind {
        ActionKind::CreateCertificate => "register a new certificate of",
        ActionKind::ReSignPublicKey => "sign with the new certificate",
        ActionKind::ReplacePublicKey => "put a new key in force as",
        ActionKind::RevokeCertificate => "revoke",
        ActionKind::ReEncrypt => "encrypt anew, to the key in force,",
        ActionKind::ReCreate => {
            "create anew (with the old name as reference id, if no other is said)"
        }
        ActionKind::Cancel => "cancel",
        ActionKind::Delete => "delete, with its etag,",
    }
}

fn more(out: &mut String, count: usize) -> Written {
    match count.checked_sub(SHOWN) {
        Some(more) if more > 0 => writeln!(out, "       and {more} more: --format json has all"),
        _ => Ok(()),
    }
}

fn plural(kind: &str, count: usize) -> String {
    format!("{}{}", kind.replace('_', " "), if count == 1 { "" } else { "s" })
}
