//! What goes on for a snapshot beside its requests: the one place that starts such tasks. They
//! are stopped when another snapshot takes its place, and when the server stops; but who keeps
//! certificates lives as long as the server, and is told what is wanted now.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;

use super::Worker;
use crate::config::Config;
use crate::proxy::Proxy;
use crate::tls::server::{Renewal, Served};
use crate::upstream::{Cut, Upstream};

/// Something that goes on until it is dropped.
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The tasks of one snapshot. Dropping it stops them at their next wait.
#[derive(Debug)]
pub(super) struct Background {
    /// Nothing is ever sent: that it is gone is what tells the tasks.
    _stop: watch::Sender<()>,
}

impl Background {
    /// Start what a snapshot needs: each task once in the process, the next one on the next
    /// worker.
    pub(super) fn start(config: &Config, proxy: &Arc<Proxy>, tls: Vec<Arc<Served>>, workers: &[Worker]) -> Self {
        let (snapshot, tls) = (proxy.snapshot.load(), Arc::new(tls));
        proxy.served.store(Arc::clone(&tls));
        proxy.acme.want(config.acme.clone());
        if let (Some(keeping), Some(worker)) = (proxy.acme.begin(), workers.first()) {
            worker.run(keeping);
        }
        let registry = Arc::clone(&proxy.tunnels);
        let cut = Cut::new(move |peer| registry.end_of_peer(peer));
        let (stop, stopped) = watch::channel(());
        let renewals = tls.iter().flat_map(|served| {
            let (tell, renewed) = watch::channel(());
            let stapling = served.fetches().then(|| {
                let stapler = Arc::clone(&proxy.stapler);
                Box::pin(stapler.keep(served.terms(), renewed)) as Task
            });
            stapling.into_iter().chain([renewal(served, proxy.acme.written(), tell)])
        });
        let tasks = snapshot.upstreams.values().flat_map(|upstream| tasks_of(upstream, &cut)).chain(renewals);
        for (task, worker) in tasks.zip(workers.iter().cycle()) {
            worker.run(until(stopped.clone(), task));
        }
        Self { _stop: stop }
    }
}

/// What goes on for one upstream.
fn tasks_of(upstream: &Arc<Upstream>, cut: &Cut) -> Vec<Task> {
    let names = upstream.follow_names().into_iter().map(|task| Box::pin(task) as Task);
    let checks = upstream.is_checked().then(|| Box::pin(Arc::clone(upstream).check(cut.clone())) as Task);
    names.chain(checks).collect()
}

/// Certificates of one listener, renewed when their files change; at once where this process has
/// written one. `renewed` is told.
fn renewal(served: &Arc<Served>, mut written: watch::Receiver<()>, renewed: watch::Sender<()>) -> Task {
    let every = served.renew_every();
    let mut looks: Vec<Renewal> = served.terms().into_iter().map(Renewal::new).collect();
    Box::pin(async move {
        loop {
            // Files may be slow, and connections must not wait for them.
            let looking = tokio::task::spawn_blocking(move || {
                // All of them, whatever came of one.
                let changed = looks.iter_mut().filter_map(|look| look.look().then_some(())).count() > 0;
                (looks, changed)
            });
            match looking.await {
                Ok((back, changed)) => {
                    looks = back;
                    if changed {
                        renewed.send_replace(());
                    }
                }
                // It panicked, or the server stops.
                Err(_over) => return,
            }
            // After a look, since a reload may have left terms as they are whose files have changed.
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                // Its sender lives as long as the server.
                Ok(()) = written.changed() => {}
            }
        }
    })
}

/// Run a task until the sender of `stopped` is gone.
async fn until(mut stopped: watch::Receiver<()>, task: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        _gone = stopped.changed() => {}
        () = task => {}
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn a_task_ends_with_its_snapshot() {
        let held = Arc::new(());
        let (stop, stopped) = watch::channel(());
        let background = Background { _stop: stop };
        let inner = Arc::clone(&held);
        let running = tokio::spawn(until(stopped, async move {
            let _inner = inner;
            pending::<()>().await;
        }));
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&held), 2, "it goes on");
        drop(background);
        running.await.unwrap();
        assert_eq!(Arc::strong_count(&held), 1, "what it held is free");
    }

    #[tokio::test]
    async fn a_task_may_end_by_itself() {
        let (_stop, stopped) = watch::channel(());
        until(stopped, async {}).await;
    }
}
