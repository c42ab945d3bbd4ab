//! Jobs: everything that outlasts a request. They are queued by user, run on the engine's workers, kept in the store.
//!
//! ```text
//!  submit ─▶ store (queued) ─▶ FairQueue ─▶ Work on the workers ─▶ store (ended)
//!     │                                        │
//!     └─▶ Entry: state, progress, cancel ◀─────┘      wait · events · cancel read it
//! ```
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use firesteel_engine::Engine;
use futures::FutureExt;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::problem::Problem;
use crate::rows::SpooledRows;
use crate::store::{JobFilter, Store, now_ms};

pub mod events;
pub mod handlers;
pub mod queue;
pub mod record;

use queue::{FairQueue, Limits};
use record::{JobRecord, JobState, Progress};

/// After this long a cancelled job is over, whatever it does.
const TIDY_UP_MAX: Duration = Duration::from_secs(5);

pub type Answer = Result<Map<String, Value>, Problem>;
/// What a job does; it answers its metrics.
pub type Work = Box<dyn FnOnce(Arc<Entry>) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send>;

/// Why a job is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    Cancelled,
    Timeout,
    /// The server stops.
    Shutdown,
}

/// A job of this process.
pub struct Entry {
    pub id: String,
    pub user: String,
    pub cancel: CancellationToken,
    pub timeout: Duration,
    record: Mutex<JobRecord>,
    rows: Mutex<Option<Arc<SpooledRows>>>,
    stop: Mutex<Option<Stop>>,
    changes: watch::Sender<()>,
}

impl Entry {
    pub fn new(record: JobRecord, timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            id: record.id.clone(),
            user: record.user.clone(),
            cancel: CancellationToken::new(),
            timeout,
            record: Mutex::new(record),
            rows: Mutex::default(),
            stop: Mutex::default(),
            changes: watch::Sender::default(),
        })
    }

    pub fn record(&self) -> JobRecord {
        self.record.lock().clone()
    }

    pub fn is_over(&self) -> bool {
        self.record.lock().state.is_over()
    }

    pub fn update(&self, change: impl FnOnce(&mut JobRecord)) {
        change(&mut self.record.lock());
        self.changes.send_replace(());
    }

    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    pub fn rows(&self) -> Option<Arc<SpooledRows>> {
        self.rows.lock().clone()
    }

    pub fn keep_rows(&self, rows: Arc<SpooledRows>) {
        *self.rows.lock() = Some(rows);
    }

    pub fn stop(&self, reason: Stop) {
        self.stop.lock().get_or_insert(reason);
        self.cancel.cancel();
    }

    /// Waits for the end, at most that long.
    pub async fn wait(&self, time: Duration) {
        let mut changes = self.changes();
        let end = async {
            while !self.is_over() {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(time, end).await;
    }
}

fn cancelled_before_begin() -> Problem {
    Problem::new(409, "OPERATION_CANCELED", "The job was cancelled before it began.")
}

/// All jobs.
pub struct Jobs {
    engine: Engine,
    store: Store,
    workers: Handle,
    live: Mutex<HashMap<String, Arc<Entry>>>,
    queue: Mutex<FairQueue<(Arc<Entry>, Work)>>,
    result_retention: Duration,
    job_retention: Duration,
}

impl Jobs {
    pub fn new(
        engine: Engine,
        store: Store,
        workers: Handle,
        limits: Limits,
        result_retention: Duration,
        job_retention: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            engine,
            store,
            workers,
            live: Mutex::default(),
            queue: Mutex::new(FairQueue::new(limits)),
            result_retention,
            job_retention,
        })
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Queues a job, unless the user has one of its key: then that one comes back, and true.
    pub async fn submit(
        self: &Arc<Self>,
        record: JobRecord,
        timeout: Duration,
        work: Work,
    ) -> Result<(Arc<Entry>, bool), Problem> {
        if !self.queue.lock().has_room(&record.user) {
            let detail = "Too many jobs of this user wait already.";
            return Err(Problem::new(429, "QUEUE_FULL", detail));
        }
        // A client that leaves in between leaves no job behind that is kept but never run.
        let jobs = Arc::clone(self);
        self.workers.spawn(async move { jobs.enqueue(record, timeout, work).await }).await.map_err(Problem::internal)?
    }

    async fn enqueue(
        self: &Arc<Self>,
        record: JobRecord,
        timeout: Duration,
        work: Work,
    ) -> Result<(Arc<Entry>, bool), Problem> {
        let entry = Entry::new(record, timeout);
        // Before it is kept: who finds it there finds it here too, until it has ended.
        self.live.lock().insert(entry.id.clone(), Arc::clone(&entry));
        let existing = match self.store.add_job(&entry.record()).await {
            Ok(None) => {
                self.queue.lock().push(&entry.user, (Arc::clone(&entry), work));
                self.dispatch();
                return Ok((entry, false));
            }
            Ok(Some(existing)) => existing,
            Err(error) => {
                self.live.lock().remove(&entry.id);
                return Err(error.into());
            }
        };
        self.live.lock().remove(&entry.id);
        if existing.fingerprint != entry.record().fingerprint {
            let detail = "The key was used with another request.";
            return Err(Problem::new(422, "IDEMPOTENCY_KEY_REUSED", detail).at("Idempotency-Key"));
        }
        if let Some(live) = self.live(&existing.id) {
            return Ok((live, true));
        }
        let ended = self.store.job(&existing.id).await?;
        Ok((Entry::new(ended.unwrap_or(existing), timeout), true))
    }

    fn dispatch(self: &Arc<Self>) {
        loop {
            let next = self.queue.lock().pop();
            let Some((user, (entry, work))) = next else { return };
            let jobs = Arc::clone(self);
            self.workers.spawn(async move {
                jobs.run(&entry, work).await;
                jobs.queue.lock().ended(&user);
                jobs.dispatch();
            });
        }
    }

    /// Stops a job; one that waits has ended at once.
    pub async fn cancel(&self, entry: &Arc<Entry>) {
        if entry.is_over() {
            return;
        }
        entry.stop(Stop::Cancelled);
        if entry.record.lock().state == JobState::Queued {
            self.queue.lock().remove(&entry.user, |(waiting, _)| Arc::ptr_eq(waiting, entry));
            self.end(entry, Err(cancelled_before_begin())).await;
        }
    }

    async fn run(&self, entry: &Arc<Entry>, work: Work) {
        if entry.is_over() {
            return;
        }
        let result = if entry.cancel.is_cancelled() {
            Err(cancelled_before_begin())
        } else {
            entry.update(|record| {
                record.state = JobState::Running;
                record.started_at = Some(now_ms());
            });
            // A list of jobs of one state is made from what is kept.
            if let Err(error) = self.store.update_job(&entry.record()).await {
                tracing::warn!(%error, job = entry.id, "the start of a job was not kept");
            }
            self.run_limited(entry, work).await
        };
        self.end(entry, result).await;
    }

    /// Runs the work within its time. A job that is stopped gets a moment to tidy up.
    async fn run_limited(&self, entry: &Arc<Entry>, work: Work) -> Answer {
        let work = std::panic::AssertUnwindSafe(work(Arc::clone(entry))).catch_unwind();
        let mut work = self.workers.spawn(work);
        let out_of_time = async {
            tokio::select! {
                () = entry.cancel.cancelled() => {}
                () = tokio::time::sleep(entry.timeout) => entry.stop(Stop::Timeout),
            }
            tokio::time::sleep(TIDY_UP_MAX).await;
        };
        tokio::select! {
            result = &mut work => match result {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(Problem::internal("a job panicked")),
                Err(error) => Err(Problem::internal(error)),
            },
            () = out_of_time => {
                work.abort();
                Err(Problem::new(409, "OPERATION_CANCELED", "The job was stopped."))
            }
        }
    }

    async fn end(&self, entry: &Arc<Entry>, result: Answer) {
        let progress = self.progress(&entry.id);
        let stop = *entry.stop.lock();
        let (result_ms, job_ms) = (self.result_retention.as_millis() as i64, self.job_retention.as_millis() as i64);
        let now = now_ms();
        let mut ended = entry.record();
        ended.ended_at = Some(now);
        ended.expires_at = Some(now + if ended.rows.is_some() { result_ms.min(job_ms) } else { job_ms });
        if let Some(progress) = progress {
            ended.progress = progress;
        }
        match result {
            Ok(metrics) => {
                ended.state = JobState::Succeeded;
                ended.progress.fraction = 1.0;
                ended.metrics = metrics;
            }
            Err(problem) => {
                let is_stop = problem.condition == "OPERATION_CANCELED";
                let (state, problem) = match stop {
                    Some(Stop::Cancelled) if is_stop => (JobState::Cancelled, problem),
                    Some(Stop::Timeout) if is_stop => {
                        let detail = format!("It took longer than {} seconds.", entry.timeout.as_secs_f64());
                        (JobState::Failed, Problem::new(408, "REQUEST_TIMEOUT", detail))
                    }
                    Some(Stop::Shutdown) if is_stop => {
                        let interrupted = crate::store::interrupted(ended.clone());
                        (interrupted.state, interrupted.error.unwrap_or(problem))
                    }
                    _ if is_stop => (JobState::Cancelled, problem),
                    _ => (JobState::Failed, problem),
                };
                ended.state = state;
                ended.error = Some(problem);
                *entry.rows.lock() = None;
            }
        }
        if let Err(error) = self.store.update_job(&ended).await {
            tracing::error!(%error, job = entry.id, "the end of a job was not kept");
        }
        entry.update(|record| *record = ended);
        if entry.rows().is_none() {
            self.live.lock().remove(&entry.id);
        }
    }

    /// What the engine has done for a job; `None`: nothing that it knows of.
    pub fn progress(&self, id: &str) -> Option<Progress> {
        let mut progress = Progress::default();
        let mut any = false;
        for job in self.engine.jobs().all() {
            if job.description.operation_id == id {
                progress.add(&job.progress().borrow());
                any = true;
            }
        }
        any.then_some(progress)
    }

    pub fn live(&self, id: &str) -> Option<Arc<Entry>> {
        self.live.lock().get(id).cloned()
    }

    /// A job by its id, with fresh progress while it runs.
    pub async fn get(&self, id: &str) -> Result<Option<Arc<Entry>>, Problem> {
        if let Some(entry) = self.live(id) {
            if !entry.is_over()
                && let Some(progress) = self.progress(id)
            {
                entry.record.lock().progress = progress;
            }
            return Ok(Some(entry));
        }
        Ok(self.store.job(id).await?.map(|record| Entry::new(record, Duration::ZERO)))
    }

    /// Keeps what has changed of a job that ended.
    pub async fn replace(&self, record: &JobRecord) -> Result<(), Problem> {
        Ok(self.store.update_job(record).await?)
    }

    /// A job that this process does not run but streams.
    pub async fn track(&self, record: JobRecord) -> Result<Arc<Entry>, Problem> {
        self.store.add_job(&record).await?;
        let entry = Entry::new(record, Duration::ZERO);
        self.live.lock().insert(entry.id.clone(), Arc::clone(&entry));
        Ok(entry)
    }

    pub async fn finish_tracked(&self, entry: &Arc<Entry>, result: Answer) {
        self.end(entry, result).await;
    }

    pub async fn list(&self, filter: &JobFilter) -> Result<Vec<JobRecord>, Problem> {
        let mut records = self.store.jobs(filter).await?;
        for record in &mut records {
            if let Some(entry) = self.live(&record.id) {
                *record = entry.record();
            }
        }
        Ok(records)
    }

    pub async fn remove(&self, entry: &Entry) -> Result<(), Problem> {
        entry.stop(Stop::Cancelled);
        self.live.lock().remove(&entry.id);
        Ok(self.store.remove_job(&entry.id).await?)
    }

    /// Drops what has expired.
    pub async fn expire(&self) {
        let now = now_ms();
        self.live.lock().retain(|_, entry| {
            let record = entry.record.lock();
            !(record.state.is_over() && record.expires_at.is_some_and(|at| at < now))
        });
        let before = now - self.job_retention.as_millis() as i64;
        if let Err(error) = self.store.remove_jobs_ended_before(before).await {
            tracing::warn!(%error, "old jobs were not removed");
        }
    }

    pub fn running(&self) -> usize {
        self.live.lock().values().filter(|entry| !entry.is_over()).count()
    }

    pub fn stop_all(&self) {
        for entry in self.live.lock().values() {
            entry.stop(Stop::Shutdown);
        }
    }
}
