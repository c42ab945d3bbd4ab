//! Functions that look at the grouping sets of the aggregate around them. The analyzer resolves them.
use crate::registry::{Build, Function, FunctionKind};

const fn of_grouping(
    name: &'static str,
    usage: &'static str,
    examples: &'static [(&'static str, &'static str)],
) -> Function {
    Function {
        name,
        aliases: &[],
        kind: FunctionKind::Scalar,
        group: "agg_funcs",
        parameters: &[],
        build: Build::Analyzer,
        usage,
        examples,
        since: "2.0.0",
    }
}

pub static FUNCTIONS: &[Function] = &[
    of_grouping(
        "grouping",
        "grouping(col) - Whether the column is left out of the grouping set of the row: 1 if so, else 0.",
        &[("SELECT grouping(a) FROM VALUES (1) t(a) GROUP BY CUBE(a) ORDER BY 1", "0")],
    ),
    of_grouping(
        "grouping_id",
        "grouping_id([col, ...]) - The bits of grouping() of the columns, or of all grouping columns, as one number.",
        &[("SELECT grouping_id() FROM VALUES (1) t(a) GROUP BY CUBE(a) ORDER BY 1", "0")],
    ),
];
