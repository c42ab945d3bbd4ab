//! Sort orders.
use std::sync::Arc;

use datafusion::logical_expr::SortExpr;
use firesteel_functions::{EvalContext, TypedExpr};
use firesteel_plan::{NullOrdering, Result, SortDirection, SortOrder, SparkError};

use super::{Scope, quoted_sql};
use crate::analyzer::Analyzer;
use crate::keys::sort_key;

/// One ORDER BY element.
#[derive(Debug, Clone)]
pub(crate) struct ResolvedSort {
    pub typed: TypedExpr,
    pub ascending: bool,
    pub nulls_first: bool,
}

impl ResolvedSort {
    pub fn to_datafusion(&self, eval: &Arc<EvalContext>) -> SortExpr {
        SortExpr::new(sort_key(&self.typed, eval), self.ascending, self.nulls_first)
    }

    /// `a ASC NULLS FIRST`
    pub fn sql(&self) -> String {
        let direction = if self.ascending { "ASC" } else { "DESC" };
        let nulls = if self.nulls_first { "FIRST" } else { "LAST" };
        format!("{} {direction} NULLS {nulls}", self.typed.sql)
    }
}

/// Direction and place of NULLs, with Spark's default for each direction.
pub(crate) fn order_flags(direction: SortDirection, nulls: NullOrdering) -> (bool, bool) {
    let ascending = direction == SortDirection::Ascending;
    let nulls_first = match nulls {
        NullOrdering::Default => ascending,
        NullOrdering::First => true,
        NullOrdering::Last => false,
    };
    (ascending, nulls_first)
}

impl Analyzer<'_> {
    pub(crate) fn sort_order(&self, order: &SortOrder, scope: &Scope) -> Result<ResolvedSort> {
        let typed = self.expression(&order.child, scope)?;
        self.sort_by(typed, order)
    }

    pub(crate) fn sort_by(&self, typed: TypedExpr, order: &SortOrder) -> Result<ResolvedSort> {
        let (ascending, nulls_first) = order_flags(order.direction, order.nulls);
        let sort = ResolvedSort { typed, ascending, nulls_first };
        if !sort.typed.data_type.is_orderable() {
            return Err(SparkError::new(
                "DATATYPE_MISMATCH.INVALID_ORDERING_TYPE",
                [
                    ("functionName", "`sortorder`".to_string()),
                    ("dataType", format!("\"{}\"", sort.typed.data_type.sql())),
                    ("sqlExpr", format!("\"{}\"", sort.sql())),
                ],
            )
            .with_origin(sort.typed.origin.as_ref())
            .with_cause(quoted_sql(&sort.typed)));
        }
        Ok(sort)
    }
}
