//! The allocator, and how soon it gives memory back.
use std::cell::Cell;
#[cfg(target_os = "linux")]
use std::ffi::{c_int, c_ulong};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use firesteel_engine::Jobs;
use tokio::runtime::Handle;
use tokio::sync::broadcast::error::RecvError;

/// Programs allocate and free batches from many threads; the system's allocator holds on to too much of that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long after the last event of a job its memory is given back.
const SETTLE: Duration = Duration::from_millis(300);

/// How long a thread is kept awake to give its memory back.
const WAKE: Duration = Duration::from_millis(1);

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

/// How often free memory was to be given back. Every thread keeps free pages of its own, and follows when it next parks.
static TRIMS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static FOLLOWED: Cell<u64> = const { Cell::new(0) };
}

/// For threads that park: gives back what they keep, if it is time.
pub fn trim_parking_thread() {
    let trims = TRIMS.load(Ordering::Relaxed);
    if FOLLOWED.try_with(|followed| followed.replace(trims)).is_ok_and(|followed| followed != trims) {
        // SAFETY: may be called at any time from any thread.
        unsafe { mi_collect(true) };
    }
}

/// Gives free memory back to the system whenever the last running job has ended: the allocator itself only does so
/// while it is used.
pub async fn trim_when_idle(jobs: Arc<Jobs>, runtimes: Vec<Handle>) {
    let mut events = jobs.subscribe();
    loop {
        if let Err(RecvError::Closed) = events.recv().await {
            return;
        }
        tokio::time::sleep(SETTLE).await;
        events = events.resubscribe();
        if !jobs.running().is_empty() {
            continue;
        }
        TRIMS.fetch_add(1, Ordering::Relaxed);
        for runtime in &runtimes {
            // Each wakes a thread and holds it for a moment, so that the next wakes another.
            for _ in 0..runtime.metrics().num_workers() {
                runtime.spawn(async { std::thread::sleep(WAKE) });
            }
        }
    }
}
