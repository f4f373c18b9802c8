//! Who sees to it that every certificate that is wanted is there and is renewed in time. One task
//! in the process; one order at a time, so that an authority is never hurried.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use instant_acme::Account;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::account::{self, Failed, Patience, off_thread};
use super::job::Job;
use super::{Challenges, Settings, Wanted, Wish, order, store};

/// Files are looked at again after this, and clocks that were set are noticed.
const LOOK: Duration = Duration::from_secs(3600);

/// Orders and renews certificates.
#[derive(Debug)]
pub struct Keeper {
    /// What the data path answers.
    pub challenges: Arc<Challenges>,
    wanted: watch::Sender<Option<Arc<Wanted>>>,
    began: AtomicBool,
    written: watch::Sender<()>,
    outlooks: Mutex<Vec<Outlook>>,
    issued: AtomicU64,
    failed: AtomicU64,
}

/// How it stands with one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// Its names.
    pub names: Vec<String>,
    /// When it is ordered next.
    pub next: SystemTime,
    /// How often that failed since it last went well.
    pub failures: u32,
    /// Why, the last time.
    pub error: Option<String>,
}

impl Default for Keeper {
    fn default() -> Self {
        Self {
            challenges: Arc::default(),
            wanted: watch::channel(None).0,
            began: AtomicBool::new(false),
            written: watch::channel(()).0,
            outlooks: Mutex::default(),
            issued: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }
}

impl Keeper {
    /// Want this from now on; none wants nothing. Orders that are still wanted go on.
    pub fn want(&self, wanted: Option<Wanted>) {
        self.wanted.send_if_modified(|now| {
            let differs = now.as_deref() != wanted.as_ref();
            if differs {
                *now = wanted.map(Arc::new);
            }
            differs
        });
    }

    /// What keeps certificates; none where nothing was ever wanted, or it has begun already.
    pub fn begin(self: &Arc<Self>) -> Option<impl Future<Output = ()> + Send + use<>> {
        let begins = self.wanted.borrow().is_some() && !self.began.swap(true, Ordering::Relaxed);
        begins.then(|| Arc::clone(self).keep())
    }

    /// Tells whenever a certificate was written.
    pub fn written(&self) -> watch::Receiver<()> {
        self.written.subscribe()
    }

    /// How it stands with each certificate.
    pub fn outlooks(&self) -> Vec<Outlook> {
        self.outlooks.lock().clone()
    }

    /// How many certificates were issued, and how often one was not.
    pub fn counts(&self) -> (u64, u64) {
        (self.issued.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    async fn keep(self: Arc<Self>) {
        let mut wanted = self.wanted.subscribe();
        let (mut jobs, mut desk): (Vec<Job>, Desk) = (Vec::new(), Desk::default());
        loop {
            let now = wanted.borrow_and_update().clone();
            jobs = adopt(jobs, now.as_deref());
            for job in &mut jobs {
                self.look(job, &mut desk, &wanted).await;
            }
            self.publish(&jobs);
            let next = jobs.iter_mut().min_by_key(|job| job.next());
            let wait = next.as_ref().map(|job| job.next().duration_since(SystemTime::now()).unwrap_or_default());
            tokio::select! {
                biased;
                changed = wanted.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(wait.unwrap_or(LOOK).min(LOOK)) => {}
            }
            if let Some(job) = next.filter(|job| job.next() <= SystemTime::now())
                && now.is_some_and(|now| now.has(&job.settings, &job.wish))
            {
                self.renew(job, &mut desk, &wanted).await;
            }
        }
    }

    /// See what there is, where that was not seen for a while, and ask the authority when it
    /// wants it to be renewed.
    async fn look(&self, job: &mut Job, desk: &mut Desk, wanted: &watch::Receiver<Option<Arc<Wanted>>>) {
        if !job.is_unseen(LOOK) {
            return;
        }
        let (settings, wish) = (Arc::clone(&job.settings), job.wish.clone());
        let stored = off_thread(move || store::certificate(&settings, &wish)).await;
        job.saw(stored.ok().flatten().as_ref());
        let Some(identifier) = job.asks() else { return };
        let asking = async {
            let account = desk.at(&job.settings).await?;
            Ok::<_, Failed>(account.renewal_info(&identifier).await?)
        };
        let unwanted = unwanted(wanted.clone(), Arc::clone(&job.settings), job.wish.clone());
        let answer = tokio::select! {
            answer = asking => answer,
            () = unwanted => return,
        };
        if let Err(error) = &answer {
            tracing::debug!(names = ?job.wish.names(), %error, "the authority does not say when to renew");
        }
        job.was_told(answer.ok(), identifier);
    }

    /// Order it, unless it is no longer wanted before that is done.
    async fn renew(&self, job: &mut Job, desk: &mut Desk, wanted: &watch::Receiver<Option<Arc<Wanted>>>) {
        let unwanted = unwanted(wanted.clone(), Arc::clone(&job.settings), job.wish.clone());
        tracing::info!(names = ?job.wish.names(), directory = %job.settings.directory, "ordering a certificate");
        let result = tokio::select! {
            // Boxed, since it is large and rare.
            result = Box::pin(self.order(job, desk)) => result,
            () = unwanted => {
                tracing::info!("the order was given up: the configuration no longer wants it");
                return;
            }
        };
        let names = job.wish.names().join(", ");
        match result {
            Ok(()) => {
                self.issued.fetch_add(1, Ordering::Relaxed);
                self.written.send_replace(());
                tracing::info!(%names, "a certificate was issued");
            }
            Err(error) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                let asked = desk.patience.take();
                let wait = job.failed(error.to_string(), asked);
                // Its URLs may be other ones when it is back.
                desk.opened = None;
                let (failures, again_in) = (job.failures, wait.as_secs_f64().ceil());
                let expires = job.expires();
                tracing::warn!(%names, %error, failures, again_in, expires, "no certificate was issued; the one before stays");
            }
        }
    }

    async fn order(&self, job: &mut Job, desk: &mut Desk) -> Result<(), Failed> {
        let replaces = job.replaces();
        let account = desk.at(&job.settings).await?;
        // Before it is ordered: what cannot be kept must not be issued again and again.
        let (settings, wish) = (Arc::clone(&job.settings), job.wish.clone());
        off_thread(move || store::make_ready(&settings, &wish)).await??;
        let issued = order::obtain(account, &job.settings, &job.wish, &self.challenges, replaces).await?;
        let (settings, wish) = (Arc::clone(&job.settings), job.wish.clone());
        let kept = off_thread(move || store::keep_certificate(&settings, &wish, &issued.key, &issued.chain)).await??;
        job.succeeded(&kept);
        Ok(())
    }

    fn publish(&self, jobs: &[Job]) {
        *self.outlooks.lock() = jobs.iter().map(Job::outlook).collect();
    }
}

/// The account in use.
#[derive(Default)]
struct Desk {
    opened: Option<(Arc<Settings>, Account)>,
    patience: Patience,
}

impl Desk {
    /// The account of an authority.
    async fn at(&mut self, settings: &Arc<Settings>) -> Result<&Account, Failed> {
        let kept = self.opened.take().filter(|(of, _)| of == settings);
        let opened = match kept {
            Some((_, opened)) => opened,
            None => account::open(settings, &self.patience).await?,
        };
        Ok(&self.opened.insert((Arc::clone(settings), opened)).1)
    }
}

/// The jobs of what is wanted now; what is known of those that stay goes on.
fn adopt(jobs: Vec<Job>, wanted: Option<&Wanted>) -> Vec<Job> {
    let Some(wanted) = wanted else { return Vec::new() };
    let mut jobs: Vec<Job> = jobs.into_iter().filter(|job| wanted.has(&job.settings, &job.wish)).collect();
    for wish in &wanted.wishes {
        if !jobs.iter().any(|job| job.wish == *wish) {
            jobs.push(Job::new(&wanted.settings, wish));
        }
    }
    jobs
}

/// Wait until a certificate is no longer wanted.
async fn unwanted(mut wanted: watch::Receiver<Option<Arc<Wanted>>>, settings: Arc<Settings>, wish: Wish) {
    // An error means that nobody can want anything: the process ends.
    let _ends = wanted.wait_for(|now| now.as_ref().is_none_or(|now| !now.has(&settings, &wish))).await;
}
