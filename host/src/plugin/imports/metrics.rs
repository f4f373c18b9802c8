//! `tidegate:plugin/metrics`: numbers for the proxy's Prometheus output.

use std::sync::Arc;

use super::wit::metrics::{Host, MetricError};
use crate::plugin::instance::Ctx;
use crate::plugin::metrics::{Kind, Labels, Refused, Series};

type Registered = wasmtime::Result<Result<u32, MetricError>>;

impl Ctx {
    /// Register a series, and number it by its place in this instance: an update is then an
    /// index and an atomic addition, without a lock.
    fn register(&mut self, kind: Kind, text: (String, String), labels: Labels, bounds: &[f64]) -> Registered {
        self.meter.allow_call()?;
        let shared = &self.shared;
        let series = match shared.registry.register(&shared.numbers, kind, text, labels, bounds) {
            Ok(series) => series,
            Err(Refused::BadName) => return Ok(Err(MetricError::BadName)),
            Err(Refused::TooMany) => return Ok(Err(MetricError::TooMany)),
            Err(Refused::TypeMismatch) => return Ok(Err(MetricError::TypeMismatch)),
        };
        let known = self.series.iter().position(|s| Arc::ptr_eq(s, &series));
        let id = known.unwrap_or_else(|| {
            self.series.push(series);
            self.series.len() - 1
        });
        Ok(u32::try_from(id).or(Err(MetricError::TooMany)))
    }

    fn series(&self, id: u32) -> wasmtime::Result<Option<&Series>> {
        self.meter.allow_call()?;
        Ok(usize::try_from(id).ok().and_then(|id| self.series.get(id)).map(|s| &**s))
    }
}

impl Host for Ctx {
    fn counter(&mut self, name: String, help: String, labels: Labels) -> Registered {
        self.register(Kind::Counter, (name, help), labels, &[])
    }

    fn gauge(&mut self, name: String, help: String, labels: Labels) -> Registered {
        self.register(Kind::Gauge, (name, help), labels, &[])
    }

    fn histogram(&mut self, name: String, help: String, labels: Labels, bounds: Vec<f64>) -> Registered {
        self.register(Kind::Histogram, (name, help), labels, &bounds)
    }

    fn add(&mut self, id: u32, n: u64) -> wasmtime::Result<()> {
        if let Some(series) = self.series(id)? {
            series.add(n);
        }
        Ok(())
    }

    fn set(&mut self, id: u32, value: f64) -> wasmtime::Result<()> {
        if let Some(series) = self.series(id)? {
            series.set(value);
        }
        Ok(())
    }

    fn observe(&mut self, id: u32, value: f64) -> wasmtime::Result<()> {
        if let Some(series) = self.series(id)? {
            series.observe(value);
        }
        Ok(())
    }
}
