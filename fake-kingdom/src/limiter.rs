//! The rate limiter (contract 1.0.9, 1.0.10). Pure: time is an argument.

use crate::model::Timestamp;
use std::collections::BTreeMap;

/// Limit of one bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// 0 = always rejected, below 0 = unlimited, above 0 = bucket size.
    pub maximum_request_count: i32,
    /// Tokens per second.
    pub average_request_rate: f64,
}

/// A limit set: one default bucket, and an own bucket per listed method.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitSet {
    /// All methods without an own bucket share this one.
    pub default: Limit,
    /// By `package.Service/Method`, no leading slash.
    pub per_method: BTreeMap<String, Limit>,
}

/// The whole configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct LimiterSettings {
    /// For everybody without an override, callers without AKID included.
    pub base: LimitSet,
    /// By AKID in upper-case colon hex; an override does not inherit the base set's methods.
    pub overrides: BTreeMap<String, LimitSet>,
    /// Quirk `rate-limiter-drops-fraction`.
    pub drops_fraction: bool,
}

/// The buckets of one replica. They live as long as it does.
#[derive(Debug)]
pub struct RateLimiter {
    settings: LimiterSettings,
    /// By AKID of the override (`None` = base) and method (`None` = default).
    buckets: BTreeMap<(Option<String>, Option<String>), TokenBucket>,
}

impl RateLimiter {
    /// Full buckets. The base default bucket's refill clock starts now, the others' at first use.
    pub fn new(settings: LimiterSettings, now: Timestamp) -> Self {
        let bucket = TokenBucket::new(settings.base.default, settings.drops_fraction, now);
        Self { settings, buckets: BTreeMap::from([((None, None), bucket)]) }
    }

    /// Whether a call may pass; takes a token if so.
    pub fn admit(&mut self, akid: Option<&[u8]>, method: &str, now: Timestamp) -> bool {
        let akid = akid.map(colon_hex).filter(|akid| self.settings.overrides.contains_key(akid));
        let set = akid
            .as_ref()
            .and_then(|akid| self.settings.overrides.get(akid))
            .unwrap_or(&self.settings.base);
        let method = method.trim_start_matches('/');
        let (limit, method) = match set.per_method.get(method) {
            Some(limit) => (*limit, Some(method.to_owned())),
            None => (set.default, None),
        };
        let drops_fraction = self.settings.drops_fraction;
        self.buckets
            .entry((akid, method))
            .or_insert_with(|| TokenBucket::new(limit, drops_fraction, now))
            .take(now)
    }
}

/// How an override names an AKID.
pub fn colon_hex(akid: &[u8]) -> String {
    akid.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

#[derive(Debug)]
struct TokenBucket {
    limit: Limit,
    drops_fraction: bool,
    tokens: f64,
    refilled_at: Timestamp,
}

impl TokenBucket {
    fn new(limit: Limit, drops_fraction: bool, now: Timestamp) -> Self {
        Self {
            limit,
            drops_fraction,
            tokens: f64::from(limit.maximum_request_count),
            refilled_at: now,
        }
    }

    fn take(&mut self, now: Timestamp) -> bool {
        match self.limit.maximum_request_count {
            0 => return false,
            count if count < 0 => return true,
            _ => {}
        }
        self.refill(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            true
        } else {
            false
        }
    }

    fn refill(&mut self, now: Timestamp) {
        let micros = now.micros().saturating_sub(self.refilled_at.micros()).max(0);
        #[allow(clippy::cast_precision_loss, reason = "micros of a process's life fit f64 exactly")]
        let earned = micros as f64 / 1e6 * self.limit.average_request_rate;
        let whole = earned.floor();
        if whole < 1.0 {
            return;
        }
        self.tokens = (self.tokens + whole).min(f64::from(self.limit.maximum_request_count));
        if self.drops_fraction {
            self.refilled_at = now;
        } else {
            let spent = std::time::Duration::from_secs_f64(whole / self.limit.average_request_rate);
            self.refilled_at = self.refilled_at.plus(spent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "/wfa.measurement.api.v2alpha.Requisitions/ListRequisitions";
    const GET: &str = "/wfa.measurement.api.v2alpha.Requisitions/GetRequisition";

    fn limit(maximum_request_count: i32, average_request_rate: f64) -> Limit {
        Limit { maximum_request_count, average_request_rate }
    }

    fn settings(drops_fraction: bool) -> LimiterSettings {
        LimiterSettings {
            base: LimitSet {
                default: limit(2, 1.0),
                per_method: BTreeMap::from([(LIST[1..].to_owned(), limit(1, 1.0))]),
            },
            overrides: BTreeMap::from([
                (
                    "AA:0B".to_owned(),
                    LimitSet { default: limit(-1, 0.0), per_method: BTreeMap::new() },
                ),
                ("CC".to_owned(), LimitSet { default: limit(0, 0.0), per_method: BTreeMap::new() }),
            ]),
            drops_fraction,
        }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(millis * 1_000)
    }

    #[test]
    fn a_listed_method_has_its_own_bucket_and_all_others_share_one() {
        let mut limiter = RateLimiter::new(settings(true), at(0));
        assert!(limiter.admit(None, LIST, at(0)));
        assert!(!limiter.admit(None, LIST, at(0)));
        assert!(limiter.admit(None, GET, at(0)));
        assert!(limiter.admit(Some(b"unlisted"), "/other/Method", at(0)));
        assert!(!limiter.admit(None, GET, at(0)));
    }

    #[test]
    fn an_override_inherits_nothing_and_zero_rejects_always() {
        let mut limiter = RateLimiter::new(settings(true), at(0));
        assert!((0..100).all(|_| limiter.admit(Some(&[0xaa, 0x0b]), LIST, at(0))));
        assert!(!limiter.admit(Some(&[0xcc]), LIST, at(1_000_000)));
    }

    #[test]
    fn the_quirk_forgets_the_fraction_and_the_documented_way_keeps_it() {
        for (drops_fraction, admitted_at_3_s) in [(true, false), (false, true)] {
            let mut limiter = RateLimiter::new(settings(drops_fraction), at(0));
            assert!(limiter.admit(None, GET, at(0)) && limiter.admit(None, GET, at(0)));
            assert!(limiter.admit(None, GET, at(1_500)), "one whole token after 1.5 s");
            assert!(!limiter.admit(None, GET, at(1_900)), "no second one");
            assert_eq!(limiter.admit(None, GET, at(2_100)), admitted_at_3_s, "{drops_fraction}");
        }
    }
}
