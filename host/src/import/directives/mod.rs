//! The one table of nginx's directives: what becomes of each. `docs/import.md` is made from it.

mod access;
mod content;
mod core;
mod limits;
mod others;
mod proxy;
pub(super) mod reference;
mod rewrite;
mod ssl;
mod stream;
mod upstream;

use super::convert::{Import, Route};
use super::syntax::Directive;

/// Where directives stand: a set of nginx's contexts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contexts(u16);

impl Contexts {
    pub(super) const MAIN: Self = Self(1);
    pub(super) const EVENTS: Self = Self(1 << 1);
    pub(super) const HTTP: Self = Self(1 << 2);
    pub(super) const UPSTREAM: Self = Self(1 << 3);
    pub(super) const SERVER: Self = Self(1 << 4);
    pub(super) const LOCATION: Self = Self(1 << 5);
    pub(super) const IF_SERVER: Self = Self(1 << 6);
    pub(super) const IF_LOCATION: Self = Self(1 << 7);
    pub(super) const LIMIT_EXCEPT: Self = Self(1 << 8);
    pub(super) const STREAM: Self = Self(1 << 9);
    pub(super) const STREAM_SERVER: Self = Self(1 << 10);
    pub(super) const STREAM_UPSTREAM: Self = Self(1 << 11);

    /// Each with the name that nginx's documentation gives it.
    const NAMES: [(Self, &'static str); 12] = [
        (Self::MAIN, "main"),
        (Self::EVENTS, "events"),
        (Self::HTTP, "http"),
        (Self::UPSTREAM, "upstream"),
        (Self::SERVER, "server"),
        (Self::LOCATION, "location"),
        (Self::IF_SERVER, "if in server"),
        (Self::IF_LOCATION, "if in location"),
        (Self::LIMIT_EXCEPT, "limit_except"),
        (Self::STREAM, "stream"),
        (Self::STREAM_SERVER, "server of stream"),
        (Self::STREAM_UPSTREAM, "upstream of stream"),
    ];

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether one of these is among them.
    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Their names, in a sentence's order.
    pub(super) fn names(self) -> String {
        let names = Self::NAMES.iter().filter(|(one, _)| self.has(*one)).map(|(_, name)| *name);
        names.collect::<Vec<_>>().join(", ")
    }
}

const M: Contexts = Contexts::MAIN;
const H: Contexts = Contexts::HTTP;
const S: Contexts = Contexts::SERVER;
const L: Contexts = Contexts::LOCATION;
const U: Contexts = Contexts::UPSTREAM;
const LI: Contexts = Contexts::IF_LOCATION;
const HS: Contexts = H.and(S);
const HSL: Contexts = HS.and(L);
const HSLI: Contexts = HSL.and(LI);
/// Where the rewrite module's own directives stand.
const SCRIPT: Contexts = S.and(L).and(Contexts::IF_SERVER).and(LI);
const T: Contexts = Contexts::STREAM;
const TS: Contexts = T.and(Contexts::STREAM_SERVER);
const TU: Contexts = Contexts::STREAM_UPSTREAM;

/// What becomes of a directive.
#[derive(Debug, Clone, Copy)]
pub(super) enum State {
    /// It means the same.
    Exact,
    /// It means the same, but for this.
    Near(&'static str),
    /// It has no meaning here, for this reason.
    Ignored(&'static str),
    /// There is no equal: why, and what to do.
    Lacking(&'static str, &'static str),
}

/// How a directive is converted.
#[derive(Clone, Copy)]
pub(super) enum To {
    /// Not at all.
    Nothing,
    /// By those who walk the blocks that it makes, or by another one's function.
    Structure,
    /// A key of the route.
    Time(&'static str),
    Size(&'static str),
    Flag(&'static str),
    Count(&'static str),
    Word(&'static str),
    /// What a route makes of all directives of the name that are in force in it.
    Route(fn(&mut Route<'_, '_>, &[&Directive])),
    /// A key of the process, which nginx has by server.
    ProcessTime(&'static str),
    ProcessCount(&'static str),
    /// What the file as a whole makes of each.
    Top(fn(&mut Import<'_>, &Directive)),
}

/// One directive.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) contexts: Contexts,
    pub(super) state: State,
    /// What stands for it in `tidegate.toml`, for the documentation.
    pub(super) key: &'static str,
    pub(super) to: To,
    /// With these arguments it says nothing that is not so anyway.
    pub(super) harmless: &'static [&'static str],
}

impl Entry {
    const fn new(name: &'static str, contexts: Contexts, state: State, key: &'static str, to: To) -> Self {
        Self { name, contexts, state, key, to, harmless: &[] }
    }

    const fn harmless(mut self, values: &'static [&'static str]) -> Self {
        self.harmless = values;
        self
    }
}

const fn exact(name: &'static str, contexts: Contexts, key: &'static str, to: To) -> Entry {
    Entry::new(name, contexts, State::Exact, key, to)
}

const fn near(name: &'static str, contexts: Contexts, key: &'static str, to: To, difference: &'static str) -> Entry {
    Entry::new(name, contexts, State::Near(difference), key, to)
}

const fn ignored(name: &'static str, contexts: Contexts, why: &'static str) -> Entry {
    Entry::new(name, contexts, State::Ignored(why), "", To::Nothing)
}

const fn lacking(name: &'static str, contexts: Contexts, why: &'static str, instead: &'static str) -> Entry {
    Entry::new(name, contexts, State::Lacking(why, instead), "", To::Nothing)
}

/// A module of nginx, and its directives.
pub(super) struct Module {
    /// nginx's name, without `ngx_` and `_module`.
    pub(super) name: &'static str,
    pub(super) entries: &'static [Entry],
}

/// All modules that are known directive by directive, in the order of the documentation.
pub(super) fn modules() -> impl Iterator<Item = &'static Module> {
    [
        core::MODULES,
        proxy::MODULES,
        upstream::MODULES,
        rewrite::MODULES,
        access::MODULES,
        content::MODULES,
        limits::MODULES,
        ssl::MODULES,
        stream::MODULES,
    ]
    .into_iter()
    .flatten()
}

/// The directive of a name in a context, with its module.
pub(super) fn find(name: &str, context: Contexts) -> Option<(&'static Module, &'static Entry)> {
    of_name(name).find(|(_, entry)| entry.contexts.has(context))
}

/// All directives of a name: some stand for different things in different contexts.
pub(super) fn of_name(name: &str) -> impl Iterator<Item = (&'static Module, &'static Entry)> {
    let all = modules().flat_map(|module| module.entries.iter().map(move |entry| (module, entry)));
    all.filter(move |(_, entry)| entry.name == name)
}

/// What is known of a module by the beginning of its directives' names: why there is no equal,
/// and what to do.
pub(super) fn foreign(name: &str) -> Option<(&'static str, &'static str)> {
    others::FAMILIES.iter().find(|family| family.has(name)).map(|family| (family.why, family.instead))
}

/// The known name that is nearest to one that is not.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let all = modules().flat_map(|module| module.entries.iter().map(|entry| entry.name));
    all.map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= (known.len() / 4).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}
