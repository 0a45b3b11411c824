//! The audit trail: every mutation, appended to a hash-chained list of JSON lines (design.md
//! section 4, interfaces.md section 3).

use crate::model::{Mutation, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// One entry. `hash` is the SHA-256 of the entry's JSON without `hash`, and covers
/// `previous_hash`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Number, from 1, without gaps.
    pub n: u64,
    /// The fake's clock, RFC 3339.
    pub time: String,
    /// Who did it: a principal, `operator`, `sandbox`, or a procedure.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To which resource.
    pub subject: String,
    /// State before.
    pub before: Option<String>,
    /// State after.
    pub after: Option<String>,
    /// Hash of the entry before; 64 zeros for the first.
    pub previous_hash: String,
    /// Hash of this entry.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
}

/// Count and hash of the last entry: what a run record keeps, to detect truncation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// How many entries there are.
    pub count: u64,
    /// Hash of the last one; 64 zeros if there is none.
    pub hash: String,
}

impl Default for Head {
    fn default() -> Self {
        Self { count: 0, hash: "0".repeat(64) }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.count, self.hash)
    }
}

/// A head is written `COUNT:HASH`.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not COUNT:HASH with 64 lower-case hex digits, as /v1/state and run.json show it")]
pub struct BadHead(String);

impl FromStr for Head {
    type Err = BadHead;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadHead(text.to_owned());
        let (count, hash) = text.split_once(':').ok_or_else(bad)?;
        let count = count.parse().map_err(|_| bad())?;
        let is_hash =
            hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if is_hash { Ok(Self { count, hash: hash.to_owned() }) } else { Err(bad()) }
    }
}

/// Chains `mutation` to `head` and moves the head on; answers the JSON line.
pub fn append(head: &mut Head, time: Timestamp, actor: &str, mutation: &Mutation) -> String {
    let mut entry = Entry {
        n: head.count + 1,
        time: time.to_string(),
        actor: actor.to_owned(),
        action: mutation.action.to_string(),
        subject: mutation.subject.clone(),
        before: mutation.before.clone(),
        after: mutation.after.clone(),
        previous_hash: head.hash.clone(),
        hash: String::new(),
    };
    entry.hash = hash_of(&entry);
    *head = Head { count: entry.n, hash: entry.hash.clone() };
    to_json(&entry)
}

/// What is wrong with a trail, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct Broken {
    /// Line of the file, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// How a trail can be broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not an entry.
    #[error("not an audit entry: {0}")]
    NotAnEntry(String),
    /// The content does not match the hash.
    #[error("the entry was edited: its content does not match its hash")]
    Edited,
    /// The entry does not follow the one before.
    #[error(
        "an entry was dropped, inserted or reordered: expected number {expected}, found {found}"
    )]
    OutOfOrder {
        /// The number that had to come.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// The number follows but the hash does not.
    #[error("the entry before was replaced: `previous_hash` does not match it")]
    NotChained,
    /// The trail ends too early, or with another entry than the head says.
    #[error(
        "the trail ends at {found}, but the head says {expected}: it was truncated or rewritten"
    )]
    NotTheHead {
        /// The head that was given.
        expected: String,
        /// The head that was found.
        found: String,
    },
}

/// Checks a whole trail, given line by line, and the head if there is one.
///
/// # Errors
/// The first line that was edited, dropped, inserted or reordered; and, given the head, a trail that
/// ends elsewhere.
pub fn verify<'a>(
    lines: impl IntoIterator<Item = &'a str>,
    expected: Option<&Head>,
) -> Result<Head, Broken> {
    let mut head = Head::default();
    let mut last_line = 0;
    for (index, text) in lines.into_iter().enumerate() {
        let line = index + 1;
        last_line = line;
        if text.is_empty() {
            continue;
        }
        let broken = |problem| Broken { line, problem };
        let entry: Entry = serde_json::from_str(text)
            .map_err(|error| broken(Problem::NotAnEntry(error.to_string())))?;
        if entry.n != head.count + 1 {
            return Err(broken(Problem::OutOfOrder { expected: head.count + 1, found: entry.n }));
        }
        if hash_of(&entry) != entry.hash || to_json(&entry) != text {
            return Err(broken(Problem::Edited));
        }
        if entry.previous_hash != head.hash {
            return Err(broken(Problem::NotChained));
        }
        head = Head { count: entry.n, hash: entry.hash };
    }
    match expected {
        Some(expected) if *expected != head => Err(Broken {
            line: last_line,
            problem: Problem::NotTheHead {
                expected: expected.to_string(),
                found: head.to_string(),
            },
        }),
        _ => Ok(head),
    }
}

fn hash_of(entry: &Entry) -> String {
    let bare = Entry { hash: String::new(), ..entry.clone() };
    hex::encode(Sha256::digest(to_json(&bare)))
}

fn to_json(entry: &Entry) -> String {
    serde_json::to_string(entry).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail() -> (Vec<String>, Head) {
        let mut head = Head::default();
        let lines = ["create", "revoke", "release", "delete"]
            .iter()
            .map(|action| {
                let mutation = Mutation {
                    action: (*action).into(),
                    subject: "dataProviders/AAAAAAAAAZQ".to_owned(),
                    before: None,
                    after: Some("HOLD".to_owned()),
                };
                append(&mut head, Timestamp::from_seconds(7), "operator", &mutation)
            })
            .collect();
        (lines, head)
    }

    fn check(lines: &[String], head: Option<&Head>) -> Result<Head, Broken> {
        verify(lines.iter().map(String::as_str), head)
    }

    #[test]
    fn an_untouched_trail_verifies_to_its_head() {
        let (lines, head) = trail();
        assert_eq!(check(&lines, Some(&head)), Ok(head));
    }

    #[test]
    fn an_edited_entry_is_found() {
        let (mut lines, _) = trail();
        lines[1] = lines[1].replace("HOLD", "GOOD");
        assert_eq!(check(&lines, None), Err(Broken { line: 2, problem: Problem::Edited }));
    }

    #[test]
    fn an_entry_edited_together_with_its_hash_is_found_by_the_next() {
        let (mut lines, _) = trail();
        let mut entry: Entry = serde_json::from_str(&lines[1]).unwrap();
        entry.actor = "somebody else".to_owned();
        entry.hash = hash_of(&entry);
        lines[1] = to_json(&entry);
        assert_eq!(check(&lines, None), Err(Broken { line: 3, problem: Problem::NotChained }));
    }

    #[test]
    fn a_dropped_and_a_reordered_entry_are_found() {
        let (mut lines, _) = trail();
        let dropped = lines.remove(1);
        let problem = Problem::OutOfOrder { expected: 2, found: 3 };
        assert_eq!(check(&lines, None), Err(Broken { line: 2, problem: problem.clone() }));
        lines.insert(2, dropped);
        assert_eq!(check(&lines, None), Err(Broken { line: 2, problem }));
    }

    #[test]
    fn a_truncated_trail_is_found_only_given_the_head() {
        let (mut lines, head) = trail();
        lines.pop();
        assert!(check(&lines, None).is_ok());
        let error = check(&lines, Some(&head)).unwrap_err();
        assert!(matches!(error.problem, Problem::NotTheHead { .. }));
    }
}
