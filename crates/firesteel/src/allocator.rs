//! The allocator, and how soon it gives memory back.
#[cfg(target_os = "linux")]
use std::ffi::{c_int, c_ulong};
use std::sync::Arc;
use std::time::Duration;

use firesteel_engine::Jobs;
use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;
use tokio::sync::broadcast::error::RecvError;

/// Programs allocate and free batches from many threads; the system's allocator holds on to too much of that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long after the last event of a job its memory is given back.
const SETTLE: Duration = Duration::from_millis(300);

/// How long after the last look at an idle server the next one is.
const SWEEP: Duration = Duration::from_secs(1);

/// How long a thread waits for the others of its runtime to give their memory back.
const GATHER: Duration = Duration::from_millis(5);

/// `PR_SET_THP_DISABLE`
#[cfg(target_os = "linux")]
const SET_THP_DISABLE: c_int = 41;

// mimalloc is linked for the allocator above; these are of its stable interface.
unsafe extern "C" {
    fn mi_collect(force: bool);
    #[cfg(target_os = "linux")]
    fn prctl(option: c_int, ...) -> c_int;
}

/// Call once at the start. mimalloc's own variable `MIMALLOC_ALLOW_THP` goes first.
pub fn configure() {
    // mimalloc asks for huge pages. Batches come and go: clearing 2 MiB for every part of one that is touched took a
    // fifth of some queries, and a third of the memory.
    #[cfg(target_os = "linux")]
    if std::env::var_os("MIMALLOC_ALLOW_THP").is_none() {
        let (disable, unused): (c_ulong, c_ulong) = (1, 0);
        // SAFETY: changes how the kernel backs this process's memory; a kernel that cannot answers an error.
        unsafe { prctl(SET_THP_DISABLE, disable, unused, unused, unused) };
    }
}

/// Gives free memory back to the system when the last running job has ended, and every now and then after that: the
/// allocator itself only does so while it is used.
pub async fn trim_when_idle(jobs: Arc<Jobs>, runtimes: Vec<Handle>) {
    let mut events = jobs.subscribe();
    loop {
        // Without a job's event too: threads for blocking calls end, sessions and caches go.
        if let Ok(Err(RecvError::Closed)) = tokio::time::timeout(SWEEP, events.recv()).await {
            return;
        }
        tokio::time::sleep(SETTLE).await;
        events = events.resubscribe();
        if jobs.running().is_empty() {
            trim(&runtimes).await;
        }
    }
}

/// Every thread keeps free pages of its own, which only itself can give back.
async fn trim(runtimes: &[Handle]) {
    let mut collections = vec![];
    for runtime in runtimes {
        let threads = runtime.metrics().num_workers();
        let gathering = Arc::new(Gathering::default());
        for _ in 0..threads {
            let gathering = Arc::clone(&gathering);
            collections.push(runtime.spawn(async move {
                // A thread that ran two of these would leave another one out.
                gathering.join(threads);
                collect();
            }));
        }
    }
    for collection in collections {
        // It ends early only when its runtime does.
        let _ = collection.await;
    }
    // One thread at a time returns memory to the system; what the others freed meanwhile is left.
    collect();
}

fn collect() {
    // SAFETY: may be called at any time from any thread.
    unsafe { mi_collect(true) };
}

#[derive(Default)]
struct Gathering {
    joined: Mutex<usize>,
    changed: Condvar,
}

impl Gathering {
    /// Waits, for a moment at most, until so many threads are here.
    fn join(&self, threads: usize) {
        let mut joined = self.joined.lock();
        *joined += 1;
        self.changed.notify_all();
        self.changed.wait_while_for(&mut joined, |joined| *joined < threads, GATHER);
    }
}
