//! Reads of a log while others commit.
use std::sync::Arc;
use std::time::Duration;

use deltalake_core::logstore::LogStoreRef;
use deltalake_core::{DeltaTable, DeltaTableError};

/// How often a log is read again, and the time between the first two readings; it doubles from then on.
const RETRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// What `read` gives of a log. A listing is no single moment on any store: it may hold a commit and lack the one before it,
/// when both came while it was made. The library takes that for a broken log; a later listing has both.
pub(super) async fn reread<T, F>(mut read: impl FnMut() -> F) -> Result<T, DeltaTableError>
where
    F: Future<Output = Result<T, DeltaTableError>>,
{
    for retry in 0..RETRIES {
        match read().await {
            Err(DeltaTableError::KernelError(_)) => tokio::time::sleep(FIRST_PAUSE * 2u32.pow(retry)).await,
            done => return done,
        }
    }
    read().await
}

/// The library's view of a version.
pub(super) async fn at_version(log: &LogStoreRef, version: u64) -> Result<DeltaTable, DeltaTableError> {
    reread(|| {
        let mut table = DeltaTable::new(Arc::clone(log));
        async move { table.load_version(version).await.map(|()| table) }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    fn gap() -> DeltaTableError {
        DeltaTableError::KernelError(delta_kernel::Error::generic("a commit is missing"))
    }

    #[tokio::test]
    async fn a_gap_is_looked_at_again() {
        let mut readings = 0;
        let read = reread(|| {
            readings += 1;
            ready(if readings < 3 { Err(gap()) } else { Ok(readings) })
        });
        assert_eq!(read.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_log_that_stays_broken_and_other_faults_are_told() {
        let mut readings = 0;
        let read = reread(|| {
            readings += 1;
            ready(Err::<(), _>(gap()))
        });
        assert!(read.await.is_err());
        assert_eq!(readings, RETRIES + 1);
        let mut readings = 0;
        let read = reread(|| {
            readings += 1;
            ready(Err::<(), _>(DeltaTableError::NotInitialized))
        });
        assert!(read.await.is_err());
        assert_eq!(readings, 1);
    }
}
