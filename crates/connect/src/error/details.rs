//! The long form of an error.
use firesteel_plan::{Origin, QueryContext, SparkError};
use proto::fetch_error_details_response as response;
use spark_connect_proto as proto;

use super::class;

/// The error and, where it is known, what was underneath. The first is the root.
pub(crate) fn details(error: &SparkError) -> Vec<response::Error> {
    let mut errors = vec![response::Error {
        error_type_hierarchy: class::hierarchy(error).into_iter().map(String::from).collect(),
        message: error.to_string(),
        stack_trace: vec![],
        cause_idx: error.cause().map(|_| 1),
        spark_throwable: error.java_exception().is_none().then(|| throwable(error)),
    }];
    if let Some(cause) = error.cause() {
        errors.push(response::Error {
            error_type_hierarchy: ["java.lang.Exception", "java.lang.Throwable", "java.lang.Object"]
                .map(String::from)
                .to_vec(),
            message: cause.to_string(),
            ..Default::default()
        });
    }
    errors
}

fn throwable(error: &SparkError) -> response::SparkThrowable {
    response::SparkThrowable {
        error_class: Some(error.condition().to_string()),
        message_parameters: error.parameters().iter().cloned().collect(),
        query_contexts: error.contexts().iter().map(query_context).collect(),
        sql_state: Some(error.sql_state().to_string()).filter(|state| !state.is_empty()),
        breaking_change_info: None,
    }
}

fn query_context(context: &QueryContext) -> response::QueryContext {
    use response::query_context::ContextType;
    let summary = context.origin.summary();
    let fragment = context.origin.fragment();
    match context.origin.as_ref() {
        Origin::Sql { start, stop, object_type, object_name, .. } => response::QueryContext {
            context_type: ContextType::Sql as i32,
            object_type: object_type.clone(),
            object_name: object_name.clone(),
            start_index: i32::try_from(*start).unwrap_or(i32::MAX),
            stop_index: i32::try_from(*stop).unwrap_or(i32::MAX),
            fragment,
            call_site: String::new(),
            summary,
        },
        Origin::DataFrame { call_site, .. } => response::QueryContext {
            context_type: ContextType::Dataframe as i32,
            fragment,
            call_site: call_site.clone(),
            summary,
            ..Default::default()
        },
    }
}
