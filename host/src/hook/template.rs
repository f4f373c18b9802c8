//! Text with nginx's variables in it, taken apart once and evaluated many times.
//!
//! Headers, redirects, keys of limits, maps and log formats are such texts. The syntax is
//! nginx's (`ngx_http_script_compile`): `$name`, `${name}`, anything else as it stands. One
//! thing is added: `$$` is a dollar sign, which nginx cannot write at all.

use super::View;

/// A text with variables, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    parts: Box<[Part]>,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// As it stands.
    Text(Box<str>),
    /// The value of the variable of this name, without `$`.
    Variable(Box<str>),
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// Where in the text: the byte of the `$` that is wrong.
    pub at: usize,
    /// What is wrong with it.
    pub message: String,
    /// What to write instead; may be empty.
    pub hint: &'static str,
}

/// Where the values of variables come from.
pub trait Values {
    /// Append the value of the variable `name` (without `$`) to `out`; false where there is
    /// none, and nothing was appended.
    fn value(&self, name: &str, out: &mut Vec<u8>) -> bool;
}

impl Values for View {
    fn value(&self, name: &str, out: &mut Vec<u8>) -> bool {
        self.variable(name, out)
    }
}

impl Template {
    /// Take a text apart.
    ///
    /// # Errors
    /// A `$` without a variable's name, or a `${` without its `}`. Whether variables of the
    /// names exist is for the reader of the configuration to find out, by [`Self::variables`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        scan(text, |piece| match piece {
            Piece::Text(text) => literal.push_str(text),
            Piece::Variable(name) => {
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal).into()));
                }
                parts.push(Part::Variable(name.into()));
            }
        })?;
        if !literal.is_empty() {
            parts.push(Part::Text(literal.into()));
        }
        Ok(Self { parts: parts.into() })
    }

    /// The names of the variables of a text, without taking it apart for good.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn names(text: &str) -> Result<Vec<&str>, TemplateError> {
        let mut names = Vec::new();
        scan(text, |piece| {
            if let Piece::Variable(name) = piece {
                names.push(name);
            }
        })?;
        Ok(names)
    }

    /// The names of its variables, without `$`, in order; one that stands twice comes twice.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(name.as_ref()),
            Part::Text(_) => None,
        })
    }

    /// Its value where it has no variables.
    pub fn as_text(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The variable's name, where it is one variable and nothing else.
    pub fn as_variable(&self) -> Option<&str> {
        match &*self.parts {
            [Part::Variable(name)] => Some(name),
            _ => None,
        }
    }

    /// Append its value for a request to `out`. A variable without a value is empty.
    pub fn render(&self, view: &View, out: &mut Vec<u8>) {
        self.render_from(view, out);
    }

    /// Append its value to `out`, variables being those of `values`.
    pub fn render_from(&self, values: &dyn Values, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Variable(name) => {
                    // No value is an empty one, as in nginx.
                    let _or_empty = values.value(name, out);
                }
            }
        }
    }

    /// Visit its pieces in order, each a text or a variable's name: for those who treat the
    /// two differently, such as logs, which escape values alone.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        self.parts.iter().map(|part| match part {
            Part::Text(text) => Piece::Text(text),
            Part::Variable(name) => Piece::Variable(name),
        })
    }
}

/// A piece of a template, as others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// As it stands.
    Text(&'a str),
    /// A variable's name, without `$`.
    Variable(&'a str),
}

/// Meet the pieces of a text in order; a text may come in several.
fn scan<'t>(text: &'t str, mut meet: impl FnMut(Piece<'t>)) -> Result<(), TemplateError> {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        meet(Piece::Text(before));
        if let Some(tail) = after.strip_prefix('$') {
            meet(Piece::Text("$"));
            rest = tail;
            continue;
        }
        let at = text.len() - after.len() - 1;
        let (name, tail) =
            name(after).map_err(|(message, hint)| TemplateError { at, message: message.to_owned(), hint })?;
        meet(Piece::Variable(name));
        rest = tail;
    }
    meet(Piece::Text(rest));
    Ok(())
}

const NO_NAME: (&str, &str) = ("has a `$` without a variable's name", "a dollar sign is `$$`");

/// The name at the start of a text that stood behind a `$`, and what follows it.
fn name(text: &str) -> Result<(&str, &str), (&'static str, &'static str)> {
    let (name, tail) = match text.strip_prefix('{') {
        Some(inner) => inner.split_once('}').ok_or(("has a `${` without its `}`", ""))?,
        // As in nginx: `$10` is the capture 1 and a zero.
        None if text.starts_with(|first: char| first.is_ascii_digit()) => text.split_at_checked(1).ok_or(NO_NAME)?,
        None => text.split_at_checked(text.find(|c: char| !is_in_name(c)).unwrap_or(text.len())).ok_or(NO_NAME)?,
    };
    if name.is_empty() || !name.chars().all(is_in_name) { Err(NO_NAME) } else { Ok((name, tail)) }
}

/// Whether a character may stand in a variable's name.
pub fn is_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Known;

    impl Values for Known {
        fn value(&self, name: &str, out: &mut Vec<u8>) -> bool {
            let value: &[u8] = match name {
                "a" => b"1",
                "b_c" => b"\xff2",
                "1" => b"one",
                "10" => b"ten",
                _ => return false,
            };
            out.extend_from_slice(value);
            true
        }
    }

    fn value(text: &str) -> Vec<u8> {
        let mut out = b"<".to_vec();
        Template::parse(text).unwrap().render_from(&Known, &mut out);
        out
    }

    #[test]
    fn values_are_put_in_place() {
        assert_eq!(value(""), b"<");
        assert_eq!(value("plain {text}"), b"<plain {text}");
        assert_eq!(value("$a"), b"<1");
        assert_eq!(value("x${a}y$b_c-$a"), b"<x1y\xff2-1");
        assert_eq!(value("$10 ${10}"), b"<one0 ten");
        assert_eq!(value("$$a $none|${a}a"), b"<$a |1a");
        assert_eq!(value("ü$aü"), "<ü1ü".as_bytes());
    }

    #[test]
    fn its_parts_are_known() {
        let template = Template::parse("a $b ${c}d $$e $f-g $b").unwrap();
        assert_eq!(template.variables().collect::<Vec<_>>(), ["b", "c", "f", "b"]);
        assert_eq!(template.as_text(), None);
        assert_eq!(Template::parse("x $$").unwrap().as_text(), Some("x $"));
        assert_eq!(Template::parse("").unwrap().as_text(), Some(""));
        assert_eq!(Template::parse("$a").unwrap().as_variable(), Some("a"));
        assert_eq!(Template::parse("$a ").unwrap().as_variable(), None);
        assert_eq!(
            Template::parse("-$a").unwrap().pieces().collect::<Vec<_>>(),
            [Piece::Text("-"), Piece::Variable("a")]
        );
    }

    #[test]
    fn errors_say_where() {
        for (text, at) in [("$", 0), ("a$ b", 1), ("ü${a", 2), ("$a${}", 2), ("${a-b}", 0), ("x$-", 1)] {
            let error = Template::parse(text).unwrap_err();
            assert_eq!(error.at, at, "{text}: {error}");
        }
    }
}
