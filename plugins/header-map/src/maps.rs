//! Variables made of others. nginx: `map`.

use std::collections::HashMap;

use regex_lite::{Captures, Regex, RegexBuilder};
use serde::Deserialize;
use tidegate_plugin::ConfigError;

use crate::template::{Part, Source, Template};

/// A map of the configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapConfig {
    /// The variable that it makes, without the `$`.
    pub name: String,
    /// What is looked up: text with variables.
    pub from: String,
    /// The value where nothing matches.
    #[serde(default)]
    pub default: String,
    /// What is compared (text in any case, `~re`, `~*re`) and the value.
    #[serde(default)]
    pub values: Vec<(String, String)>,
}

/// All maps, by number.
#[derive(Debug, Default)]
pub(crate) struct Maps(Vec<Map>);

#[derive(Debug)]
struct Map {
    from: Template,
    default: Template,
    /// By the text in lower case: nginx compares without case.
    exact: HashMap<Box<str>, Template>,
    /// In the order of the file.
    patterns: Vec<(Regex, Template)>,
}

/// The sort of variable that a name is outside of a map's values.
pub(crate) fn kind(names: &HashMap<&str, usize>, name: &str) -> Part {
    names.get(name).map_or_else(|| Part::Variable(name.into()), |number| Part::Map(*number))
}

/// The maps' numbers by their names.
pub(crate) fn names(configs: &[MapConfig]) -> Result<HashMap<&str, usize>, ConfigError> {
    let mut names = HashMap::with_capacity(configs.len());
    for (number, config) in configs.iter().enumerate() {
        let wrong = |what: String| Err(ConfigError::new(format!("/maps/{number}/name"), what));
        let name = config.name.as_str();
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return wrong(format!("`{name}`: a name has letters, digits and `_`"));
        }
        if let Some(before) = names.insert(name, number) {
            return wrong(format!("map {before} is called `{name}` already"));
        }
    }
    Ok(names)
}

impl Maps {
    /// Prepare the maps.
    pub(crate) fn new(configs: &[MapConfig], names: &HashMap<&str, usize>) -> Result<Self, ConfigError> {
        let mut maps = Vec::with_capacity(configs.len());
        for (number, config) in configs.iter().enumerate() {
            maps.push(
                Map::new(config, names)
                    .map_err(|(key, what)| ConfigError::new(format!("/maps/{number}{key}"), what))?,
            );
        }
        let maps = Self(maps);
        maps.check_cycles(configs)?;
        Ok(maps)
    }

    /// The value of a map now.
    pub(crate) fn value(&self, number: usize, source: &Source<'_>) -> String {
        let Some(map) = self.0.get(number) else { return String::new() };
        let from = map.from.value(source, &|_| String::new());
        let simple = if from.bytes().any(|byte| byte.is_ascii_uppercase()) {
            map.exact.get(from.to_ascii_lowercase().as_str())
        } else {
            map.exact.get(from.as_str())
        };
        if let Some(value) = simple {
            return value.value(source, &|_| String::new());
        }
        for (pattern, value) in &map.patterns {
            if let Some(captures) = pattern.captures(&from) {
                return value.value(source, &|name| group(&captures, name));
            }
        }
        map.default.value(source, &|_| String::new())
    }

    /// A map that needs itself would never have a value.
    fn check_cycles(&self, configs: &[MapConfig]) -> Result<(), ConfigError> {
        let mut states = vec![State::New; self.0.len()];
        for number in 0..self.0.len() {
            if !self.is_sound(number, &mut states) {
                let name = configs.get(number).map_or("", |config| config.name.as_str());
                return Err(ConfigError::new(
                    format!("/maps/{number}"),
                    format!("the map `{name}` needs its own value"),
                ));
            }
        }
        Ok(())
    }

    fn is_sound(&self, number: usize, states: &mut [State]) -> bool {
        match states.get(number) {
            Some(State::Open) => return false,
            Some(State::New) => {}
            Some(State::Sound) | None => return true,
        }
        set(states, number, State::Open);
        let needed = self.0.get(number).into_iter().flat_map(Map::needed);
        let sound = needed.into_iter().all(|next| self.is_sound(next, states));
        if sound {
            set(states, number, State::Sound);
        }
        sound
    }
}

#[derive(Clone, Copy)]
enum State {
    New,
    Open,
    Sound,
}

fn set(states: &mut [State], number: usize, state: State) {
    if let Some(slot) = states.get_mut(number) {
        *slot = state;
    }
}

impl Map {
    /// A wrong key's pointer within the map, and what is wrong there.
    fn new(config: &MapConfig, names: &HashMap<&str, usize>) -> Result<Self, (String, String)> {
        let template = |key: &str, text: &str| {
            Template::parse(text, |name| kind(names, name)).map_err(|what| (key.to_owned(), what))
        };
        let mut map = Self {
            from: template("/from", &config.from)?,
            default: template("/default", &config.default)?,
            exact: HashMap::new(),
            patterns: Vec::new(),
        };
        for (index, (text, value)) in config.values.iter().enumerate() {
            let at = |place: usize, what: String| (format!("/values/{index}/{place}"), what);
            if let Some(pattern) = text.strip_prefix('~') {
                let pattern = regex(pattern).map_err(|what| at(0, what))?;
                let groups: Vec<_> = pattern.capture_names().flatten().collect();
                let kind = |name: &str| {
                    let is_group = name.parse::<usize>().is_ok() || groups.contains(&name);
                    if is_group { Part::Group(name.into()) } else { kind(names, name) }
                };
                let value = Template::parse(value, kind).map_err(|what| at(1, what))?;
                map.patterns.push((pattern, value));
                continue;
            }
            // nginx: a backslash shields a first character that would mean something.
            let text = text.strip_prefix('\\').unwrap_or(text).to_ascii_lowercase();
            let value = template("", value).map_err(|(_, what)| at(1, what))?;
            if map.exact.insert(text.as_str().into(), value).is_some() {
                return Err(at(0, format!("`{text}` is there already (letters in any case are the same)")));
            }
        }
        Ok(map)
    }

    /// The numbers of the maps that this one uses.
    fn needed(&self) -> Vec<usize> {
        let values = self.exact.values().chain(self.patterns.iter().map(|(_, value)| value));
        let parts = values.chain([&self.from, &self.default]).flat_map(Template::parts);
        parts.filter_map(|part| if let Part::Map(number) = part { Some(*number) } else { None }).collect()
    }
}

fn regex(pattern: &str) -> Result<Regex, String> {
    let (pattern, any_case) = match pattern.strip_prefix('*') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let built = RegexBuilder::new(pattern).case_insensitive(any_case).build();
    built.map_err(|error| format!("`{pattern}` is not a pattern: {error}"))
}

fn group(captures: &Captures<'_>, name: &str) -> String {
    let group = name.parse().map_or_else(|_| captures.name(name), |number| captures.get(number));
    group.map(|group| group.as_str().to_owned()).unwrap_or_default()
}
