//! What Spark says where a call has too few or too many arguments, for functions whose signatures differ from what they
//! take: some stand for others, some take arguments that only DataFrames give.
use firesteel_plan::SparkError;

use crate::quote;
use crate::registry::{BuildContext, Function};

/// Functions with parameters by name: the first that is missing is named.
const BY_NAME: &[&str] = &[
    "count_min_sketch",
    "explode",
    "explode_outer",
    "inline",
    "inline_outer",
    "mask",
    "posexplode",
    "posexplode_outer",
    "tuple_sketch_agg_double",
    "tuple_sketch_agg_integer",
    "tuple_union_agg_double",
    "tuple_union_agg_integer",
    "tuple_union_double",
    "tuple_union_integer",
    "tuple_union_theta_double",
    "tuple_union_theta_integer",
    "variant_explode",
    "variant_explode_outer",
];

/// The name a function is called by, and the numbers of arguments that Spark expects then.
const EXPECTED: &[(&str, &str)] = &[
    ("ceil", "2"),
    ("ceiling", "2"),
    ("floor", "2"),
    ("hour", "> 0"),
    ("lag", "[0, 1, 2, 3, 4]"),
    ("lead", "[0, 1, 2, 3, 4]"),
    ("make_timestamp_ltz", "[2, 6]"),
    ("minute", "> 0"),
    ("mode", "0"),
    ("second", "> 0"),
    ("try_avg", "[1, 2]"),
    ("try_make_interval", "[1, 2, 3, 4, 5, 6, 7]"),
    ("try_make_timestamp_ltz", "6"),
    ("try_make_timestamp_ntz", "6"),
    ("try_sum", "[1, 2]"),
];

/// Functions that speak as another one.
const SPEAK_AS: &[(&str, &str)] = &[("try_parse_url", "parse_url")];

/// Whether the function can be called with named arguments.
pub fn takes_names(function: &Function) -> bool {
    BY_NAME.contains(&function.name)
}

/// The error as Spark shows it, where it is about the number of arguments.
pub fn as_shown(error: SparkError, function: &Function, context: &BuildContext<'_>, given: usize) -> SparkError {
    if !error.is("WRONG_NUM_ARGS") {
        return error;
    }
    let name = context.called_as.to_lowercase();
    if let (true, Some(parameter)) = (BY_NAME.contains(&name.as_str()), function.parameters.get(given)) {
        let parameters = [
            ("routineName", quote::sql_id(&name)),
            ("parameterName", quote::sql_id(parameter)),
            ("index", "0".to_string()),
        ];
        return SparkError::new("REQUIRED_PARAMETER_NOT_FOUND", parameters).with_origin(context.origin.as_ref());
    }
    let find = |table: &[(&str, &'static str)]| table.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
    let (expected, speaker) = (find(EXPECTED), find(SPEAK_AS));
    if expected.is_none() && speaker.is_none() {
        return error;
    }
    let shown = |(key, value): &(String, String)| {
        let other = match key.as_str() {
            "expectedNum" => expected.map(str::to_string),
            "functionName" => speaker.map(quote::sql_id),
            _ => None,
        };
        (key.clone(), other.unwrap_or_else(|| value.clone()))
    };
    let parameters: Vec<_> = error.parameters().iter().map(shown).collect();
    SparkError::new(error.condition(), parameters).with_origin(context.origin.as_ref())
}
