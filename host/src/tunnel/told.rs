//! Hook `tunnel`: who is told when a tunnel opens and ends.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::End;
use crate::hook::{Counts, Plugin, ResponseView, TunnelSummary, View};

/// Who is to be told of a tunnel, and what they can read.
pub struct Told {
    /// The plugins, in the order of the route.
    pub plugins: Vec<Arc<dyn Plugin>>,
    /// The request that opened it.
    pub view: Arc<View>,
    /// The head of its 101.
    pub response: Arc<ResponseView>,
}

/// Who was told that it has opened.
pub(super) struct Opened {
    told: Arc<Told>,
    /// The calls that tell it; none outside of a worker.
    calls: Option<JoinHandle<()>>,
    at: Instant,
}

impl Told {
    /// The tunnel has opened. The calls are made in a task of their own: it waits for nobody.
    pub(super) fn opened(self) -> Opened {
        let told = Arc::new(self);
        let calls = Handle::try_current().ok().map(|worker| {
            let told = Arc::clone(&told);
            worker.spawn(async move {
                for plugin in &told.plugins {
                    // A failure was counted and logged where it happened; there is no one to answer.
                    let _told = plugin.on_tunnel_open(&told.view, &told.response).answer().await;
                }
            })
        });
        Opened { told, calls, at: Instant::now() }
    }
}

impl Opened {
    /// It has ended.
    pub(super) fn ended(self, end: End, bytes: Counts, messages: Option<Counts>, close_code: Option<u16>) {
        let Self { told, calls, at } = self;
        let Ok(worker) = Handle::try_current() else { return };
        let duration_us = u64::try_from(at.elapsed().as_micros()).unwrap_or(u64::MAX);
        let summary = TunnelSummary { cause: end.code(), close_code, duration_us, bytes, messages };
        worker.spawn(async move {
            if let Some(calls) = calls {
                let _opened = calls.await;
            }
            for plugin in &told.plugins {
                let _told = plugin.on_tunnel_close(&told.view, &told.response, &summary).answer().await;
            }
        });
    }
}
