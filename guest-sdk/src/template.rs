//! Text with variables in it: `$name`, `${name}`, and `$$` for a dollar sign.
//!
//! ```
//! use tidegate_plugin::Template;
//!
//! let template = Template::parse("https://$host${uri}").unwrap();
//! let value = template.value(|name| match name {
//!     "host" => Some("example.com".to_owned()),
//!     _ => Some("/a".to_owned()),
//! });
//! assert_eq!(value, "https://example.com/a");
//! ```

/// A text with variables, taken apart once and filled in for each request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// As it stands.
    Text(Box<str>),
    /// The value of the variable of this name. A digit alone is a group of a pattern.
    Variable(Box<str>),
}

impl Template {
    /// Take a text apart.
    ///
    /// # Errors
    /// A `$` that begins no variable; said in a way that an operator understands.
    pub fn parse(text: &str) -> Result<Self, String> {
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

    /// Its pieces, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The names of its variables, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(&**name),
            Part::Text(_) => None,
        })
    }

    /// Whether it is empty whatever the variables are.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The text with its variables filled in; one without a value is empty.
    pub fn value(&self, mut variable: impl FnMut(&str) -> Option<String>) -> String {
        let mut piece = |part: &Part| match part {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in() {
        for (text, value) in [
            ("", ""),
            ("plain", "plain"),
            ("$a", "<a>"),
            ("x$a-${b}c$$d", "x<a>-<b>c$d"),
            ("$10", "<1>0"),
            ("${10}$none", "<10>"),
        ] {
            let given = |name: &str| (name != "none").then(|| format!("<{name}>"));
            assert_eq!(Template::parse(text).unwrap().value(given), value, "{text}");
        }
    }

    #[test]
    fn a_lone_sign_is_refused() {
        for text in ["$", "a$ b", "${", "${}", "${a-b}", "$-", "${a"] {
            assert!(Template::parse(text).unwrap_err().contains("write `$$`"), "{text}");
        }
    }
}
