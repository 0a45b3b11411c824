//! The options of `measurements create` whose order counts: event groups, times and filters belong
//! to the provider named before them (contract 4.1.4 b).

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use fake_kingdom::model::Timestamp;

/// Every `--event-data-provider` with what follows it, in order.
/// What does not go together is told by the command, with its own usage (contract 4.0.3).
#[derive(Clone, Debug)]
pub(super) struct EventProviders(pub(super) Result<Vec<EventProvider>, String>);

/// One provider of an event measurement.
#[derive(Clone, Debug)]
pub(super) struct EventProvider {
    pub(super) name: String,
    pub(super) groups: Vec<EventGroup>,
    pub(super) filters: Vec<String>,
}

/// One event group and the time to look at.
#[derive(Clone, Debug)]
pub(super) struct EventGroup {
    pub(super) name: String,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

const PROVIDER: &str = "event-data-provider";
const GROUP: &str = "event-group";
const START: &str = "event-start-time";
const END: &str = "event-end-time";
const FILTER: &str = "event-filter";

const OPTIONS: [(&str, &str, &str); 5] = [
    (PROVIDER, "NAME", "A provider of an event measurement; groups and filter follow it"),
    (GROUP, "NAME", "An event group of that provider; its times follow it"),
    (START, "TIME", "Start of the event group's collection interval, ISO 8601"),
    (END, "TIME", "End of the event group's collection interval, ISO 8601"),
    (FILTER, "CEL", "The filter of that provider's events, one for each provider"),
];

impl Args for EventProviders {
    fn augment_args(command: Command) -> Command {
        OPTIONS.into_iter().fold(command, |command, (name, value, help)| {
            let option =
                Arg::new(name).long(name).value_name(value).help(help).action(ArgAction::Append);
            command.arg(option.help_heading("Event measurement"))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for EventProviders {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(read(given(matches))))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The options in the order of the command line.
fn given(matches: &ArgMatches) -> Vec<(&'static str, String)> {
    let mut all: Vec<(usize, &'static str, String)> = Vec::new();
    for (name, ..) in OPTIONS {
        let places = matches.indices_of(name).into_iter().flatten();
        let values = matches.get_many::<String>(name).into_iter().flatten();
        all.extend(places.zip(values).map(|(place, value)| (place, name, value.clone())));
    }
    all.sort_by_key(|(place, ..)| *place);
    all.into_iter().map(|(_, name, value)| (name, value)).collect()
}

#[derive(Default)]
struct Partial {
    name: Option<String>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

fn read(options: Vec<(&'static str, String)>) -> Result<Vec<EventProvider>, String> {
    let mut providers: Vec<(String, Vec<Partial>, Vec<String>)> = Vec::new();
    for (option, value) in options {
        if option == PROVIDER {
            providers.push((value, Vec::new(), Vec::new()));
            continue;
        }
        let Some((_, groups, filters)) = providers.last_mut() else {
            return Err(format!("--{option} stands before the --{PROVIDER} that it belongs to"));
        };
        if option == FILTER {
            filters.push(value);
            continue;
        }
        // An option that the group has already begins the next group.
        let taken = |group: &Partial| match option {
            GROUP => group.name.is_some(),
            START => group.start.is_some(),
            _ => group.end.is_some(),
        };
        if groups.last().is_none_or(taken) {
            groups.push(Partial::default());
        }
        let Some(group) = groups.last_mut() else { continue };
        match option {
            GROUP => group.name = Some(value),
            START => group.start = Some(time(option, &value)?),
            _ => group.end = Some(time(option, &value)?),
        }
    }
    let whole = |(name, groups, filters): (String, Vec<Partial>, Vec<String>)| {
        let groups: Option<Vec<_>> = groups
            .into_iter()
            .map(|group| {
                Some(EventGroup { name: group.name?, start: group.start?, end: group.end? })
            })
            .collect();
        let groups = groups.filter(|groups| !groups.is_empty()).ok_or_else(|| {
            format!(
                "--{PROVIDER} {name} needs --{GROUP}, --{START} and --{END} for each event group"
            )
        })?;
        if filters.is_empty() {
            return Err(format!("--{PROVIDER} {name} needs an --{FILTER}"));
        }
        Ok(EventProvider { name, groups, filters })
    };
    providers.into_iter().map(whole).collect()
}

fn time(option: &str, text: &str) -> Result<Timestamp, String> {
    parse_time(text).map_err(|what| format!("--{option}: {what}"))
}

/// An instant as ISO 8601 writes it.
pub(super) fn parse_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text)
        .ok_or_else(|| format!("`{text}` is not a time such as 2026-01-31T00:00:00Z"))
}

/// A duration for people, such as `5m20s`.
pub(super) fn parse_duration(text: &str) -> Result<prost_types::Duration, String> {
    let bad = || format!("`{text}` is not a duration such as 5m20s (units d, h, m, s, ms, ns)");
    let mut nanos: i128 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        let unit: i128 = match unit {
            "d" => 86_400_000_000_000,
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "ns" => 1,
            _ => return Err(bad()),
        };
        let number: i128 = number.parse::<u64>().map_err(|_| bad())?.into();
        nanos += number * unit;
        rest = next;
    }
    if text.is_empty() {
        return Err(bad());
    }
    Ok(prost_types::Duration {
        seconds: i64::try_from(nanos / 1_000_000_000).map_err(|_| bad())?,
        nanos: i32::try_from(nanos % 1_000_000_000).map_err(|_| bad())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[(&'static str, &str)]) -> Result<Vec<(String, usize, usize)>, String> {
        let options = options.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        read(options)
            .map(|all| all.into_iter().map(|p| (p.name, p.groups.len(), p.filters.len())).collect())
    }

    const T: &str = "2026-01-31T00:00:00Z";

    #[test]
    fn groups_and_filters_belong_to_the_provider_before_them() {
        let parsed = parse(&[
            (PROVIDER, "a"),
            (GROUP, "1"),
            (START, T),
            (END, T),
            (GROUP, "2"),
            (START, T),
            (END, T),
            (FILTER, "f"),
            (PROVIDER, "b"),
            (FILTER, "g"),
            (START, T),
            (GROUP, "3"),
            (END, T),
        ]);
        assert_eq!(parsed, Ok(vec![("a".to_owned(), 2, 1), ("b".to_owned(), 1, 1)]));
    }

    #[test]
    fn what_is_missing_is_named() {
        let group = [(PROVIDER, "a"), (GROUP, "1"), (START, T)];
        let text = |options: &[(&'static str, &str)]| parse(options).unwrap_err();
        assert!(text(&[&group[..], &[(FILTER, "f")]].concat()).contains("--event-end-time"));
        assert!(text(&[&group[..], &[(END, T)]].concat()).contains("--event-filter"));
        assert!(text(&[(GROUP, "1")]).contains("--event-data-provider"));
        assert!(text(&[(PROVIDER, "a"), (START, "yesterday")]).contains("`yesterday`"));
    }

    #[test]
    fn durations_are_read_unit_by_unit() {
        let parsed = |text| parse_duration(text).map(|d| (d.seconds, d.nanos));
        assert_eq!(parsed("5m20s"), Ok((320, 0)));
        assert_eq!(parsed("1d2h"), Ok((93_600, 0)));
        assert_eq!(parsed("1500ms"), Ok((1, 500_000_000)));
        for bad in ["", "5", "s", "5x", "-5s", "99999999999999999999s"] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }
}
