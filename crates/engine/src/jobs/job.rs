//! One job.
use std::sync::Weak;
use std::time::SystemTime;

use firesteel_plan::SparkError;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Jobs, StagePlan};

/// Who runs what.
#[derive(Debug, Clone, Default)]
pub struct JobDescription {
    pub operation_id: String,
    pub session_id: String,
    pub user_id: String,
    pub tags: Vec<String>,
    /// One line: the call or statement.
    pub description: String,
    pub cancel: CancellationToken,
}

#[derive(Debug)]
pub struct Job {
    pub id: u64,
    pub description: JobDescription,
    pub submitted: SystemTime,
    ended: Mutex<Option<(SystemTime, Option<SparkError>)>>,
    stages: RwLock<Vec<StagePlan>>,
    progress: watch::Sender<JobProgress>,
    jobs: Weak<Jobs>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JobState {
    /// Analysis and planning
    #[default]
    Planning,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobProgress {
    pub state: JobState,
    pub stages: Vec<StageProgress>,
    pub in_flight_tasks: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StageState {
    #[default]
    Pending,
    Active,
    Complete,
    Failed,
}

/// Sums over a stage's tasks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StageProgress {
    pub stage_id: u64,
    pub name: String,
    pub state: StageState,
    pub num_tasks: usize,
    pub num_completed_tasks: usize,
    pub input_rows: u64,
    pub input_bytes: u64,
    /// Files that were not read: no row of theirs could pass the filters.
    pub files_pruned: u64,
    /// The same of the stripes of ORC files.
    pub stripes_pruned: u64,
    pub output_rows: u64,
    pub output_bytes: u64,
    pub spilled_bytes: u64,
    pub spill_count: u64,
    pub compute_nanos: u64,
    /// Stages that this one reads.
    pub parents: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum JobEvent {
    Submitted { job_id: u64 },
    StageSubmitted { job_id: u64, stage_id: u64 },
    StageCompleted { job_id: u64, stage: StageProgress },
    Ended { job_id: u64, state: JobState },
}

impl Job {
    pub(super) fn new(id: u64, description: JobDescription, jobs: Weak<Jobs>) -> Self {
        Self {
            id,
            description,
            submitted: SystemTime::now(),
            ended: Mutex::default(),
            stages: RwLock::default(),
            progress: watch::Sender::default(),
            jobs,
        }
    }

    /// Where the job stands; `changed()` on the receiver waits for news.
    pub fn progress(&self) -> watch::Receiver<JobProgress> {
        self.progress.subscribe()
    }

    pub fn ended(&self) -> Option<SystemTime> {
        self.ended.lock().as_ref().map(|(at, _)| *at)
    }

    pub fn error(&self) -> Option<SparkError> {
        self.ended.lock().as_ref().and_then(|(_, error)| error.clone())
    }

    pub fn cancel(&self) {
        self.description.cancel.cancel();
    }

    /// The plan is known: tasks begin.
    pub fn begin(&self, stages: Vec<StagePlan>) {
        for stage in &stages {
            self.publish(JobEvent::StageSubmitted { job_id: self.id, stage_id: stage.id });
        }
        *self.stages.write() = stages;
        self.sample();
    }

    /// Reads the operators' metrics and tells the readers.
    pub fn sample(&self) {
        let stages: Vec<_> = self.stages.read().iter().map(StagePlan::progress).collect();
        let completed: Vec<StageProgress> = {
            let before = self.progress.borrow();
            let is_new = |stage: &&StageProgress| {
                stage.state == StageState::Complete
                    && before.stages.iter().all(|b| b.stage_id != stage.stage_id || b.state != StageState::Complete)
            };
            stages.iter().filter(is_new).cloned().collect()
        };
        let in_flight =
            stages.iter().filter(|s| s.state == StageState::Active).map(|s| s.num_tasks - s.num_completed_tasks).sum();
        let next = JobProgress { state: JobState::Running, stages, in_flight_tasks: in_flight };
        self.progress.send_if_modified(|current| {
            let changed = *current != next;
            *current = next;
            changed
        });
        for stage in completed {
            self.publish(JobEvent::StageCompleted { job_id: self.id, stage });
        }
    }

    /// The work is over. Only the first call counts.
    pub fn end(&self, error: Option<SparkError>) {
        let state = match &error {
            None => JobState::Succeeded,
            Some(e) if e.is("OPERATION_CANCELED") => JobState::Cancelled,
            Some(_) => JobState::Failed,
        };
        {
            let mut ended = self.ended.lock();
            if ended.is_some() {
                return;
            }
            *ended = Some((SystemTime::now(), error));
        }
        self.sample();
        // The operators and what they hold go now; the numbers stay.
        self.stages.write().clear();
        self.progress.send_modify(|progress| {
            progress.state = state;
            progress.in_flight_tasks = 0;
            for stage in &mut progress.stages {
                if state == JobState::Succeeded {
                    // A stage that a LIMIT stopped early, or that pruning made needless, is done as well.
                    stage.state = StageState::Complete;
                    stage.num_completed_tasks = stage.num_tasks;
                } else if stage.state != StageState::Complete {
                    stage.state = StageState::Failed;
                }
            }
        });
        self.publish(JobEvent::Ended { job_id: self.id, state });
        if let Some(jobs) = self.jobs.upgrade() {
            jobs.finish(self.id);
        }
    }

    fn publish(&self, event: JobEvent) {
        if let Some(jobs) = self.jobs.upgrade() {
            jobs.publish(event);
        }
    }
}
