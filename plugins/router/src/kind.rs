//! A route's `match`, taken apart. nginx: the modifiers of `location`.

use crate::pattern::Pattern;
use crate::policy::RouteConfig;
use crate::rewrite::Rewrite;

/// What a route takes.
pub(crate) enum Kind<'c> {
    /// `= /x`
    Exact(&'c str),
    /// `/x`, and with `^~` so that patterns are not asked.
    Prefix { text: &'c str, is_final: bool },
    /// `~ re`, `~* re`
    Pattern(Pattern),
}

impl<'c> Kind<'c> {
    /// Read a `match`.
    pub(crate) fn parse(text: &'c str) -> Result<Self, String> {
        let kind = if let Some(pattern) = text.strip_prefix("~*") {
            return Pattern::new(pattern.trim_start(), true).map(Self::Pattern);
        } else if let Some(pattern) = text.strip_prefix('~') {
            return Pattern::new(pattern.trim_start(), false).map(Self::Pattern);
        } else if let Some(path) = text.strip_prefix('=') {
            Self::Exact(path.trim_start())
        } else if let Some(prefix) = text.strip_prefix("^~") {
            Self::Prefix { text: prefix.trim_start(), is_final: true }
        } else {
            Self::Prefix { text, is_final: false }
        };
        match kind {
            Self::Exact(path) | Self::Prefix { text: path, .. } if !path.starts_with('/') => {
                Err(format!("`{text}`: a path begins with `/` (forms: `/x`, `= /x`, `^~ /x`, `~ re`, `~* re`)"))
            }
            kind => Ok(kind),
        }
    }

    /// Whether this route may stand within another one, as in nginx.
    pub(crate) fn check_inside(&self, outer: &Kind<'_>) -> Result<(), String> {
        match (outer, self) {
            (Kind::Exact(outer), _) => Err(format!("no route stands in the exact `= {outer}`")),
            (_, Self::Pattern(_)) => Ok(()),
            (Kind::Prefix { text: outer, .. }, Self::Exact(text) | Self::Prefix { text, .. }) => {
                if text.starts_with(outer) {
                    Ok(())
                } else {
                    Err(format!("`{text}` is outside of `{outer}`, in which it stands"))
                }
            }
            (Kind::Pattern(_), _) => Err("only a pattern can stand in a pattern".to_owned()),
        }
    }

    /// The route's rewrite, or its wrong key and what is wrong.
    pub(crate) fn rewrite(&self, config: &RouteConfig) -> Result<Option<Rewrite>, (&'static str, String)> {
        match (self, &config.replace_prefix, &config.rewrite) {
            (_, None, None) => Ok(None),
            (Self::Pattern(pattern), None, Some(template)) => {
                Rewrite::template(template, pattern).map(Some).map_err(|what| ("rewrite", what))
            }
            (Self::Pattern(_), Some(_), _) => {
                Err(("replace_prefix", "a pattern has no prefix to replace: use `rewrite`".to_owned()))
            }
            (Self::Exact(text) | Self::Prefix { text, .. }, Some(new), None) => {
                Rewrite::prefix(new, text.len()).map(Some).map_err(|what| ("replace_prefix", what))
            }
            (_, _, Some(_)) => {
                Err(("rewrite", "only a route that matches by a pattern has captures: use `replace_prefix`".to_owned()))
            }
        }
    }
}
