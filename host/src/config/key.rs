//! What a key of the configuration is: where it stands, what it takes, what it is without.

use std::fmt;
use std::time::Duration;

pub(super) use super::section::Section;
use super::units::{ShownDuration, ShownSize};

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number within bounds.
    Count { least: u64, most: u64 },
    /// See [`super::units::parse_duration`].
    Duration { least: Duration, most: Duration },
    /// See [`super::units::parse_size`].
    Size { least: u64, most: u64 },
    /// A string that is not empty.
    Text,
    /// A string that may be empty.
    AnyText,
    /// `IP:PORT`.
    Address,
    /// One of these words. The `later` ones are known and not there yet.
    Choice { now: &'static [&'static str], later: &'static [&'static str] },
    /// A list of strings.
    Texts,
    /// A table of strings.
    TextMap,
    /// A table of strings, or `true` for an empty one, or `false`.
    TextMapOrFlag,
    /// A table of anything that JSON can express.
    Free,
    /// A string, or `{ from_file = … }`, or `{ from_env = … }`.
    Secret,
    /// A table of such values.
    SecretMap,
    /// A table with keys of its own.
    Table(Section),
    /// A list of such tables.
    Tables(Section),
    /// A table of such tables, by name.
    Named(Section),
    /// A list whose items are strings or such tables.
    TextsOrTables(Section),
    /// Such a table, or `false`.
    TableOrFalse(Section),
    /// Such a table, or `true` for an empty one, or `false`.
    TableOrFlag(Section),
    /// Such a table, a list of such tables, or `false`.
    TablesOrFalse(Section),
    /// Known, and not there yet.
    Later,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("boolean"),
            Self::Count { least, most } => write!(f, "integer, {least} to {most}"),
            Self::Duration { least, .. } if least.is_zero() => f.write_str("duration, 0s too"),
            Self::Duration { .. } => f.write_str("duration"),
            Self::Size { least, most } => write!(f, "size, {} to {}", ShownSize(*least), ShownSize(*most)),
            Self::Text | Self::AnyText => f.write_str("string"),
            Self::Address => f.write_str("`IP:PORT`"),
            Self::Choice { now, .. } => {
                for (i, word) in now.iter().enumerate() {
                    write!(f, "{}`\"{word}\"`", if i == 0 { "" } else { " or " })?;
                }
                Ok(())
            }
            Self::Texts => f.write_str("list of strings"),
            Self::TextMap => f.write_str("table of strings"),
            Self::TextMapOrFlag => f.write_str("table of strings, or boolean"),
            Self::Free => f.write_str("table"),
            Self::SecretMap => f.write_str("table of strings, `{ from_file = \"…\" }` or `{ from_env = \"…\" }`"),
            Self::Secret => f.write_str("string, `{ from_file = \"…\" }` or `{ from_env = \"…\" }`"),
            Self::Table(section) | Self::Tables(section) | Self::Named(section) => {
                write!(f, "`{}`", section.heading())
            }
            Self::TextsOrTables(section) => write!(f, "list of strings or tables (`{}`)", section.heading()),
            Self::TableOrFalse(_) => f.write_str("table, or `false`"),
            Self::TableOrFlag(section) => write!(f, "`{}`, or boolean", section.heading()),
            Self::TablesOrFalse(section) => write!(f, "`{}`, list of such tables, or `false`", section.heading()),
            Self::Later => f.write_str("not supported yet"),
        }
    }
}

/// What a key is where the file does not have it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Default {
    /// It must be there.
    Required,
    /// Nothing, or something that the file's other parts decide: as described.
    Other(&'static str),
    Flag(bool),
    Count(u64),
    Duration(Duration),
    Size(u64),
    Text(&'static str),
    Texts(&'static [&'static str]),
}

impl fmt::Display for Default {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required => f.write_str("required"),
            Self::Other(text) => f.write_str(text),
            Self::Flag(flag) => write!(f, "`{flag}`"),
            Self::Count(count) => write!(f, "`{count}`"),
            Self::Duration(duration) => write!(f, "`\"{}\"`", ShownDuration(*duration)),
            Self::Size(size) => write!(f, "`\"{}\"`", ShownSize(*size)),
            Self::Text(text) => write!(f, "`{text:?}`"),
            Self::Texts(texts) => write!(f, "`{texts:?}`"),
        }
    }
}

/// A key of the configuration. All of them stand in [`super::keys`].
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// Where it may stand.
    pub(super) sections: &'static [Section],
    pub(super) kind: Kind,
    pub(super) default: Default,
    /// nginx's directives for it, or empty.
    pub(super) nginx: &'static str,
    /// One sentence, without what `kind` and `default` say.
    pub(super) doc: &'static str,
}

impl Key {
    /// Whether it may stand in this section.
    pub(super) fn stands_in(&self, section: Section) -> bool {
        self.sections.contains(&section)
    }

    /// Whether it can be used, and is not just known to come.
    pub(super) fn supported(&self) -> bool {
        !matches!(self.kind, Kind::Later)
    }

    /// nginx's directives that mean this key and nothing else.
    pub(super) fn directives(&self) -> impl Iterator<Item = &'static str> {
        self.nginx.split(", ").filter(|d| !d.is_empty() && !d.contains(' '))
    }
}
