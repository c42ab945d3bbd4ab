//! Jobs: what runs and what ran. One job has stages, a stage has tasks, in Spark's sense of the words.
//!
//! ```text
//!  Session::execute ──▶ Jobs::start ──▶ Job ── sampler reads the physical plan's metrics ──▶ JobProgress (watch)
//!                          │                                                                      │
//!                          └── JobEvent (broadcast): Submitted, Progress, Ended ◀─────────────────┘
//! ```
//!
//! A finished job stays in a bounded history. A reader that lags loses events, never the jobs themselves.
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::broadcast;

mod job;
mod stages;

pub use job::{Job, JobDescription, JobEvent, JobProgress, JobState, StageProgress, StageState};
pub use stages::StagePlan;

/// Finished jobs kept, as `spark.ui.retainedJobs`.
pub const RETAINED_JOBS: usize = 1000;
/// Events a slow reader may lag behind.
const EVENT_CAPACITY: usize = 4096;

/// Every job of the process.
#[derive(Debug)]
pub struct Jobs {
    next_id: AtomicU64,
    next_stage_id: AtomicU64,
    running: Mutex<BTreeMap<u64, Arc<Job>>>,
    finished: Mutex<VecDeque<Arc<Job>>>,
    retained: usize,
    events: broadcast::Sender<JobEvent>,
}

impl Jobs {
    pub fn new(retained: usize) -> Arc<Self> {
        Arc::new(Self {
            next_id: AtomicU64::new(0),
            next_stage_id: AtomicU64::new(0),
            running: Mutex::default(),
            finished: Mutex::default(),
            retained,
            events: broadcast::channel(EVENT_CAPACITY).0,
        })
    }

    /// A new running job.
    pub fn start(self: &Arc<Self>, description: JobDescription) -> Arc<Job> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let job = Arc::new(Job::new(id, description, Arc::downgrade(self)));
        self.running.lock().insert(id, Arc::clone(&job));
        self.publish(JobEvent::Submitted { job_id: id });
        job
    }

    pub(crate) fn next_stage_id(&self) -> u64 {
        self.next_stage_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn publish(&self, event: JobEvent) {
        // No receiver is not an error.
        let _ = self.events.send(event);
    }

    pub(crate) fn finish(&self, id: u64) {
        let Some(job) = self.running.lock().remove(&id) else { return };
        let mut finished = self.finished.lock();
        finished.push_back(job);
        while finished.len() > self.retained {
            finished.pop_front();
        }
    }

    pub fn subscribe(&self) -> broadcast::Receiver<JobEvent> {
        self.events.subscribe()
    }

    pub fn running(&self) -> Vec<Arc<Job>> {
        self.running.lock().values().cloned().collect()
    }

    /// Running and retained jobs, newest first.
    pub fn all(&self) -> Vec<Arc<Job>> {
        let mut jobs = self.running();
        jobs.extend(self.finished.lock().iter().cloned());
        jobs.sort_by_key(|job| std::cmp::Reverse(job.id));
        jobs
    }

    pub fn get(&self, id: u64) -> Option<Arc<Job>> {
        let running = self.running.lock().get(&id).cloned();
        running.or_else(|| self.finished.lock().iter().find(|job| job.id == id).cloned())
    }
}
