//! DataFusion's errors as Spark conditions.
use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use firesteel_plan::SparkError;

/// Our own error where one is inside, else the condition that fits best.
pub fn from_datafusion(error: DataFusionError) -> SparkError {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<SparkError>() {
            Ok(spark) => *spark,
            Err(other) => match other.downcast::<DataFusionError>() {
                Ok(inner) => from_datafusion(*inner),
                Err(other) => match other.downcast::<ArrowError>() {
                    Ok(inner) => from_arrow(*inner),
                    Err(other) => SparkError::internal(other.to_string()),
                },
            },
        },
        DataFusionError::Context(context, inner) => match find_spark(&inner) {
            Some(spark) => spark,
            None => from_datafusion(*inner).with_cause(context),
        },
        DataFusionError::Diagnostic(_, inner) => from_datafusion(*inner),
        DataFusionError::Shared(inner) => from_shared(&inner),
        DataFusionError::Collection(mut errors) if !errors.is_empty() => from_datafusion(errors.swap_remove(0)),
        DataFusionError::ArrowError(inner, _) => from_arrow(*inner),
        other => from_shared(&other),
    }
}

/// The same for an error that is only borrowed.
fn from_shared(error: &DataFusionError) -> SparkError {
    if let Some(spark) = find_spark(error) {
        return spark;
    }
    match error {
        DataFusionError::ResourcesExhausted(message) => out_of_memory(message),
        DataFusionError::NotImplemented(message) => SparkError::unsupported(message.clone()),
        DataFusionError::ObjectStore(inner) => from_store(inner),
        DataFusionError::ParquetError(inner) => {
            let message = inner.to_string();
            // A filter that fails is not the file's fault.
            firesteel_functions::recall::find_in(&message)
                .unwrap_or_else(|| SparkError::new("FAILED_READ_FILE.NO_HINT", [("path", "")]).with_message(message))
        }
        DataFusionError::ExecutionJoin(inner) => {
            SparkError::internal(if inner.is_cancelled() { "a task was stopped" } else { "a task panicked" })
                .with_cause(inner)
        }
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => from_shared(inner),
        DataFusionError::Shared(inner) => from_shared(inner),
        DataFusionError::ArrowError(inner, _) => {
            arrow_condition(inner).unwrap_or_else(|| SparkError::internal(inner.to_string()))
        }
        DataFusionError::Execution(message) => execution(message),
        other => SparkError::internal(other.strip_backtrace()),
    }
}

fn execution(message: &str) -> SparkError {
    if message.contains("scalar subquery") || message.contains("more than one row") {
        return SparkError::of("SCALAR_SUBQUERY_TOO_MANY_ROWS");
    }
    SparkError::internal(message.to_string())
}

fn find_spark(error: &DataFusionError) -> Option<SparkError> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    // A chain of wrappers; the bound guards against a cycle.
    for _ in 0..64 {
        let current = source?;
        if let Some(spark) = current.downcast_ref::<SparkError>() {
            return Some(spark.clone());
        }
        source = match current.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Shared(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner)) => Some(inner.as_ref()),
            Some(DataFusionError::ArrowError(inner, _)) => Some(inner.as_ref()),
            Some(DataFusionError::Collection(errors)) => errors.first().map(|e| e as _),
            _ => match current.downcast_ref::<ArrowError>() {
                Some(ArrowError::ExternalError(inner)) => Some(inner.as_ref()),
                _ => current.source(),
            },
        };
    }
    None
}

/// An error of an Arrow kernel.
pub fn from_arrow(error: ArrowError) -> SparkError {
    match error {
        ArrowError::ExternalError(inner) => match inner.downcast::<SparkError>() {
            Ok(spark) => *spark,
            Err(other) => match other.downcast::<DataFusionError>() {
                Ok(inner) => from_datafusion(*inner),
                Err(other) => SparkError::internal(other.to_string()),
            },
        },
        other => arrow_condition(&other).unwrap_or_else(|| SparkError::internal(other.to_string())),
    }
}

fn arrow_condition(error: &ArrowError) -> Option<SparkError> {
    const ANSI: &str = "\"spark.sql.ansi.enabled\"";
    match error {
        ArrowError::DivideByZero => Some(SparkError::new("DIVIDE_BY_ZERO", [("config", ANSI)])),
        ArrowError::ArithmeticOverflow(message) => Some(SparkError::new(
            "ARITHMETIC_OVERFLOW",
            [("message", message.as_str()), ("alternative", ""), ("config", ANSI)],
        )),
        ArrowError::IoError(_, inner) if inner.kind() == std::io::ErrorKind::StorageFull => {
            Some(disk_full(&inner.to_string()))
        }
        _ => None,
    }
}

fn from_store(error: &object_store::Error) -> SparkError {
    match error {
        object_store::Error::NotFound { path, .. } => {
            SparkError::new("FAILED_READ_FILE.FILE_NOT_EXIST", [("path", path.as_str())])
                .with_message(format!("The file {path} is gone. If it was replaced, run REFRESH TABLE and try again."))
        }
        object_store::Error::PermissionDenied { path, .. } | object_store::Error::Unauthenticated { path, .. } => {
            SparkError::new("FAILED_READ_FILE.NO_HINT", [("path", path.as_str())])
                .with_message(format!("Access to {path} is denied."))
                .with_cause(error)
        }
        other => SparkError::internal(other.to_string()),
    }
}

fn out_of_memory(message: &str) -> SparkError {
    let message = match crate::user_memory::is_about_share(message) {
        true => format!("A user's share of the memory is used up: {message}."),
        false => format!(
            "The memory pool is exhausted: {message}. Raise spark.driver.memory, or lower spark.sql.shuffle.partitions."
        ),
    };
    SparkError::new("UNABLE_TO_ACQUIRE_MEMORY", [("requestedBytes", ""), ("receivedBytes", "")]).with_message(message)
}

fn disk_full(message: &str) -> SparkError {
    SparkError::internal(format!("the disk is full: {message}"))
}
