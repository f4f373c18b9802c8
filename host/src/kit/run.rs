//! Cases are run: each with an instance of its own, all of its steps in that one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tracing::Level;

use super::KitError;
use super::ask::{self, Ready, Tunnels};
use super::compare::{self, Mismatch};
use super::fakes::Http;
use super::file::{Case, Cases, Clock, Step};
use super::stores::Kept;
use crate::config::{defaults, units};
use crate::hook::{Caps, Hook, Isolation, OnFailure, Plugin};
use crate::plugin::{Inspection, Prepared, Runtime, RuntimeSettings, Source, Spec, Stage};

/// Where cases are run: a plugin runtime, and a component in it.
pub struct Stand {
    pub(super) runtime: Arc<Runtime>,
    component: PathBuf,
    pub(super) prepared: Prepared,
    /// How long it took to compile the component, or to find it compiled.
    pub ready_in: Duration,
    pub(super) waits: tokio::runtime::Runtime,
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Its name.
    pub case: String,
    /// What was not as expected; in which step, where it has several.
    pub mismatches: Vec<Mismatch>,
    /// Why it could not be run as it is written.
    pub error: Option<String>,
    /// What the plugin logged.
    pub told: Vec<Told>,
    /// From loading the plugin to the last answer.
    pub took: Duration,
}

/// A line of the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// How serious it is.
    pub level: Level,
    /// What it says.
    pub text: String,
}

impl Outcome {
    /// Whether all was as expected.
    pub fn is_good(&self) -> bool {
        self.mismatches.is_empty() && self.error.is_none()
    }
}

/// A case with what its plugin finds around it.
pub(super) struct World {
    pub(super) spec: Spec,
    pub(super) stage: Arc<Stage>,
    pub(super) http: Option<Arc<Http>>,
    pub(super) stores: Option<Kept>,
}

impl Stand {
    /// Compile a component, or take it from the cache.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn new(component: &Path, cache_dir: Option<&Path>) -> Result<Self, KitError> {
        let refused = |error| KitError::Plugin { path: component.to_owned(), error };
        let settings = RuntimeSettings { cache_dir: cache_dir.map(Path::to_owned), ..RuntimeSettings::default() };
        let runtime = Runtime::new(&settings).map_err(refused)?;
        let begun = Instant::now();
        let bytes = std::fs::read(component)
            .map_err(|error| KitError::System(format!("cannot read {}: {error}", component.display())))?;
        let prepared = runtime.prepare(&bytes).map_err(refused)?;
        let waits = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let waits = waits.map_err(|error| KitError::System(error.to_string()))?;
        Ok(Self { runtime, component: component.to_owned(), prepared, ready_in: begun.elapsed(), waits })
    }

    /// What the component is.
    pub fn inspection(&self) -> &Inspection {
        self.prepared.inspection()
    }

    /// What the plugin's configuration looks like; none where it does not say.
    ///
    /// # Errors
    /// A schema that cannot be used.
    pub fn schema(&self) -> Result<Option<Value>, KitError> {
        let refused = |error| KitError::Plugin { path: self.component.clone(), error };
        self.runtime.schema(&self.bare("schema")).map_err(refused)
    }

    /// A plugin of the component, as a proxy has it that says nothing about it.
    fn bare(&self, name: &str) -> Spec {
        Spec {
            name: name.into(),
            source: Source::Ready(self.prepared.clone()),
            config: "{}".to_owned(),
            on_failure: OnFailure::Closed,
            deadline: defaults::DEADLINE,
            memory: defaults::MEMORY,
            caps: Caps {
                table: usize::try_from(defaults::TABLE).unwrap_or(usize::MAX),
                output: None,
                host_calls: defaults::HOST_CALLS,
            },
            // A case may fail as often as it likes.
            quarantine: None,
            hooks: None,
            restart_tunnels: false,
            isolation: Isolation::Worker,
            fetch: None,
            kv: Vec::new(),
            secrets: Vec::new(),
            environment: Vec::new(),
            stage: None,
        }
    }

    /// Run the cases whose names the filter fits.
    pub fn run(&self, cases: &Cases, fits: impl Fn(&str) -> bool) -> Vec<Outcome> {
        let chosen = cases.cases.iter().filter(|case| fits(&case.name));
        chosen.map(|case| self.case(cases, case)).collect()
    }

    fn case(&self, cases: &Cases, case: &Case) -> Outcome {
        let begun = Instant::now();
        let mut outcome = Outcome {
            case: case.name.clone(),
            mismatches: Vec::new(),
            error: None,
            told: Vec::new(),
            took: Duration::ZERO,
        };
        if let Err(error) = self.steps(cases, case, &mut outcome) {
            outcome.error = Some(error);
        }
        outcome.took = begun.elapsed();
        outcome
    }

    fn steps(&self, cases: &Cases, case: &Case, outcome: &mut Outcome) -> Result<(), String> {
        let world = self.world(cases, case, Stage::new())?;
        let steps = case.steps();
        let plugin = match self.runtime.load(&world.spec) {
            Ok(plugin) => plugin,
            Err(error) => {
                heard(&world.stage, &mut outcome.told);
                let expected = steps.first().and_then(|step| step.expect.clone()).unwrap_or_else(|| json!({}));
                let refused = json!({ "refused": error.to_string() });
                outcome.mismatches = compare::compare(&expected, &refused);
                if outcome.mismatches.is_empty() && expected.get("refused").is_none() && expected != json!("refused") {
                    return Err(format!("the plugin does not load: {error}"));
                }
                return Ok(());
            }
        };
        let mut tunnels = Tunnels::default();
        let several = steps.len() > 1;
        for (number, step) in (1..).zip(steps) {
            let place = |path: String| if several { format!("step {number}: {path}") } else { path };
            self.step(&world, &plugin, &mut tunnels, cases, step, outcome, &place).map_err(place)?;
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "what a case has, and where it is told")]
    fn step(
        &self,
        world: &World,
        plugin: &Arc<dyn Plugin>,
        tunnels: &mut Tunnels,
        cases: &Cases,
        mut step: Step,
        outcome: &mut Outcome,
        place: &dyn Fn(String) -> String,
    ) -> Result<(), String> {
        step.request = cases.request.under(&step.request);
        if let Some(wait) = &step.wait {
            let wait = units::parse_duration(wait).map_err(|error| format!("`wait` {error}"))?;
            let now = world.stage.clock().ok_or("`wait` needs `clock`, which says when it begins")?;
            world.stage.set_clock(now + wait);
        }
        let expected = step.expect.clone();
        let ready = ask::ready(step, plugin.hooks())?;
        let mut found = |path: &str, expected: &Value, actual: &Value| {
            for mut mismatch in compare::compare(expected, actual) {
                mismatch.path = place(joined(path, &mismatch.path));
                outcome.mismatches.push(mismatch);
            }
        };
        let mut answer = if ready.hook == Hook::Messages {
            self.waits.block_on(talk(plugin, tunnels, &ready, &mut found))
        } else {
            self.waits.block_on(ask::ask(plugin, &ready))
        };
        self.around(world, &mut answer, &mut outcome.told);
        if let Some(expected) = expected {
            for mut mismatch in compare::compare(&expected, &answer) {
                mismatch.path = place(mismatch.path);
                outcome.mismatches.push(mismatch);
            }
        }
        Ok(())
    }

    /// What a step came to besides its answer.
    fn around(&self, world: &World, answer: &mut Value, told: &mut Vec<Told>) {
        let said = heard(&world.stage, told);
        let Value::Object(answer) = answer else { return };
        answer.insert("log".to_owned(), said.into_iter().map(Value::String).collect());
        let metrics = self.runtime.metrics().own(&world.spec.name);
        let metrics: Map<String, Value> = metrics.into_iter().map(|(name, value)| (name, json!(value))).collect();
        answer.insert("metrics".to_owned(), Value::Object(metrics));
        if let Some(http) = &world.http {
            answer.insert("requests".to_owned(), Value::Array(http.take_asked()));
        }
        if let Some(stores) = &world.stores {
            answer.insert("kv".to_owned(), stores.show());
        }
    }

    /// What a case's plugin is loaded with.
    pub(super) fn world(&self, cases: &Cases, case: &Case, stage: Stage) -> Result<World, String> {
        let stage = Arc::new(stage);
        if let Some(clock) = case.clock.as_ref().or(cases.clock.as_ref()) {
            stage.set_clock(clock.time()?);
        }
        let http = case.http.as_ref().or(cases.http.as_ref()).map(|answers| Http::new(answers));
        let stores = case.kv.as_ref().or(cases.kv.as_ref()).map(Kept::new).transpose()?;
        let deadline = cases.deadline.as_deref().map(units::parse_duration).transpose();
        let memory = cases.memory.as_deref().map(units::parse_size).transpose();
        let isolation = match cases.isolation.as_deref() {
            None | Some("worker") => Isolation::Worker,
            Some("request") => Isolation::Request,
            Some(other) => return Err(format!("`isolation` is worker or request, not {other}")),
        };
        let config = case.config.as_ref().unwrap_or(&cases.config);
        let spec = Spec {
            config: Value::Object(config.clone()).to_string(),
            deadline: deadline.map_err(|error| format!("`deadline` {error}"))?.unwrap_or(defaults::DEADLINE),
            memory: memory.map_err(|error| format!("`memory` {error}"))?.unwrap_or(defaults::MEMORY),
            isolation,
            fetch: http.clone().map(|http| http as _),
            kv: stores.as_ref().map(Kept::grants).unwrap_or_default(),
            secrets: cases.secrets.iter().map(|(name, text)| (name.as_str().into(), text.as_str().into())).collect(),
            environment: cases.env.clone().into_iter().collect(),
            stage: Some(Arc::clone(&stage)),
            // Metrics are kept by name, and each case has its own.
            ..self.bare(&case.name)
        };
        Ok(World { spec, stage, http, stores })
    }
}

/// Hook `messages`: the messages of a step, each with its own expectation; the answer is what the opening
/// of its last new tunnel came to.
async fn talk(
    plugin: &Arc<dyn Plugin>,
    tunnels: &mut Tunnels,
    ready: &Ready,
    found: &mut impl FnMut(&str, &Value, &Value),
) -> Value {
    let mut opened = json!({});
    if ready.step.messages.is_empty() {
        return match tunnels.open(plugin, ready, 0).await {
            Ok(shown) => shown,
            Err(failure) => super::show::failure(&failure),
        };
    }
    for (number, said) in (1..).zip(&ready.step.messages) {
        let (opening, judged) = tunnels.say(plugin, ready, said).await;
        if let Some(opening) = opening {
            opened = opening;
        }
        if let Some(expected) = &said.expect {
            found(&format!("message {number}"), expected, &judged.unwrap_or_else(|| opened.clone()));
        }
    }
    opened
}

/// What was said since the last time, as cases name it.
fn heard(stage: &Stage, told: &mut Vec<Told>) -> Vec<String> {
    let lines = stage.take_lines();
    let texts = lines.iter().map(|(level, text)| format!("{}: {text}", level.as_str().to_ascii_lowercase()));
    let texts = texts.collect();
    told.extend(lines.into_iter().map(|(level, text)| Told { level, text }));
    texts
}

fn joined(place: &str, path: &str) -> String {
    if path.is_empty() { place.to_owned() } else { format!("{place}: {path}") }
}

impl Clock {
    fn time(&self) -> Result<Duration, String> {
        let text = match self {
            Self::Unix(seconds) => return Ok(Duration::from_secs(*seconds)),
            Self::Text(text) => text,
        };
        let bad = || format!("`clock` is seconds since 1970 or a time such as 2026-01-31T12:00:00Z, not {text}");
        let time = chrono::DateTime::parse_from_rfc3339(text).map_err(|_| bad())?;
        u64::try_from(time.timestamp_millis()).map(Duration::from_millis).map_err(|_| bad())
    }
}
