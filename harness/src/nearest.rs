//! What somebody meant who misspelt a name.

/// Below this likeness (Jaro-Winkler, 0 to 1) a name is a guess that helps nobody.
const LIKENESS_MIN: f64 = 0.8;

/// The likeliest of `known` for `given`, the first of equals; `None` if none is alike.
pub(crate) fn nearest<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let mut best: Option<(f64, &str)> = None;
    for one in known {
        let likeness = strsim::jaro_winkler(given, one);
        if likeness >= LIKENESS_MIN && best.is_none_or(|(least, _)| likeness > least) {
            best = Some((likeness, one));
        }
    }
    best.map(|(_, one)| one)
}

/// `; did you mean ...?` with the likeliest, or nothing.
pub(crate) fn hint<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(given, known).map(|one| format!("; did you mean `{one}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_own_and_another_word_finds_none() {
        let known = ["unknown_issuer", "expired", "not_yet_valid"];
        assert_eq!(nearest("unknown_isuer", known), Some("unknown_issuer"));
        assert_eq!(nearest("moonlight", known), None);
        assert_eq!(hint("expird", known), "; did you mean `expired`?");
        assert_eq!(hint("moonlight", known), "");
    }
}
