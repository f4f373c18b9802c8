//! "Did you mean": the nearest of the words that would have been right.

/// The candidate nearest to `word`, if it is near enough to be what was meant: at most
/// one slip in three letters, or the word's first part alone.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase().replace('-', "_");
    let allowed = (word.chars().count() / 3).max(1);
    let start = format!("{word}_");
    candidates
        .into_iter()
        .map(|c| {
            let candidate = c.to_lowercase().replace('-', "_");
            let distance = strsim::damerau_levenshtein(&word, &candidate);
            (if candidate.starts_with(&start) { distance.min(allowed) } else { distance }, c)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

/// `did you mean "x"?` for the nearest candidate, or else a list of them all, or else
/// `otherwise`.
pub(super) fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str> + Clone, otherwise: &str) -> String {
    if let Some(near) = nearest(word, candidates.clone()) {
        return format!("did you mean \"{near}\"?");
    }
    let all: Vec<String> = candidates.into_iter().map(|c| format!("\"{c}\"")).collect();
    if all.is_empty() || all.len() > 8 { otherwise.to_owned() } else { format!("there is {}", all.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_forgiven_and_other_words_are_not() {
        assert_eq!(nearest("chta", ["chat", "api"]), Some("chat"));
        assert_eq!(nearest("Set-Headers", ["set_headers", "names"]), Some("set_headers"));
        assert_eq!(nearest("listner", ["listeners", "sites"]), Some("listeners"));
        assert_eq!(nearest("database", ["chat", "api"]), None);
        assert_eq!(nearest("drain", ["workers", "drain_timeout"]), Some("drain_timeout"));
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn the_hint_falls_back_to_a_list() {
        assert_eq!(hint("chta", ["chat", "api"], "-"), "did you mean \"chat\"?");
        assert_eq!(hint("database", ["chat", "api"], "-"), "there is \"chat\", \"api\"");
        assert_eq!(hint("database", [], "-"), "-");
    }
}
