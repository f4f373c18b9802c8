//! Text with variables: `$name`, `${name}`, and `$$` for a dollar sign.

/// A text with variables, taken apart once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// As it stands.
    Text(Box<str>),
    /// A variable that the host knows.
    Variable(Box<str>),
}

impl Template {
    /// Take a text apart.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            literal.push_str(before);
            if let Some(tail) = after.strip_prefix('$') {
                literal.push('$');
                rest = tail;
                continue;
            }
            let (name, tail) = name(after).ok_or_else(|| {
                format!("`{text}`: a `$` begins a variable (`$name`, `${{name}}`); write `$$` for the sign")
            })?;
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal).into()));
            }
            parts.push(Part::Variable(name.into()));
            rest = tail;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal.into()));
        }
        Ok(Self { parts })
    }

    /// Its value; a variable without one is empty. `variable` is what the host knows.
    pub(crate) fn value(&self, variable: &dyn Fn(&str) -> Option<String>) -> String {
        let piece = |part: &Part| match part {
            Part::Text(text) => text.to_string(),
            Part::Variable(name) => variable(name).unwrap_or_default(),
        };
        match self.parts.as_slice() {
            [] => String::new(),
            // The usual case moves the host's string.
            [one] => piece(one),
            many => many.iter().map(piece).collect(),
        }
    }
}

/// The name at the start of a text that stood behind a `$`, and what follows it.
fn name(text: &str) -> Option<(&str, &str)> {
    let is_in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if let Some(braced) = text.strip_prefix('{') {
        return braced.split_once('}').filter(|(name, _)| !name.is_empty() && name.chars().all(is_in_name));
    }
    // As nginx: `$10` is the group 1 and a zero.
    let end = if text.starts_with(|first: char| first.is_ascii_digit()) {
        1
    } else {
        text.find(|c: char| !is_in_name(c)).unwrap_or(text.len())
    };
    text.split_at_checked(end).filter(|(name, _)| !name.is_empty())
}
