//! Leaving out files by their bounds, and rows by their positions.
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

/// What says of bounds of the columns of `schema` whether rows within them may satisfy the filters. `None`: always.
pub(crate) fn may_match(
    filters: &[Expr],
    schema: &SchemaRef,
    session: &dyn Session,
) -> Result<Option<PruningPredicate>> {
    let usable = filters.iter().filter(|filter| is_filter_of(filter, |name| schema.field_with_name(name).is_ok()));
    let Some(filter) = conjunction(usable.cloned()) else { return Ok(None) };
    let df_schema = DFSchema::try_from(Arc::clone(schema))?;
    let expr = session.create_physical_expr(unqualified(filter)?, &df_schema)?;
    let predicate = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).try_build(expr)?;
    Ok(Some(predicate).filter(|predicate| !predicate.always_true()))
}

/// Whether a filter needs nothing but these columns, and answers the same for all rows that have the same in them.
pub(super) fn is_filter_of(filter: &Expr, is_column: impl Fn(&str) -> bool) -> bool {
    let has_subquery = filter.exists(|expr| {
        Ok(matches!(
            expr,
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::OuterReferenceColumn(..)
        ))
    });
    !filter.is_volatile()
        && !has_subquery.unwrap_or(true)
        && filter.column_refs().iter().all(|column| is_column(&column.name))
}

/// The filter with columns by their names alone, which are no text of SQL: capitals and dots stay.
pub(super) fn unqualified(filter: Expr) -> Result<Expr> {
    let renamed = filter.transform(|expr| {
        Ok(match expr {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::new_unqualified(column.name))),
            other => Transformed::no(other),
        })
    })?;
    Ok(renamed.data)
}

/// Runs of rows to read and to skip, of `file_rows` in all; `deleted` is in order, without duplicates. `None` where a row
/// to skip is beyond them.
pub(crate) fn selection(deleted: impl Iterator<Item = u64>, file_rows: u64) -> Option<RowSelection> {
    let mut runs: Vec<RowSelector> = vec![];
    let mut push = |count: u64, skip: bool| -> Option<()> {
        let row_count = usize::try_from(count).ok()?;
        match runs.last_mut() {
            Some(last) if last.skip == skip => last.row_count += row_count,
            _ if row_count == 0 => {}
            _ => runs.push(RowSelector { row_count, skip }),
        }
        Some(())
    };
    let mut next = 0;
    for row in deleted {
        if row >= file_rows {
            return None;
        }
        push(row - next, false)?;
        push(1, true)?;
        next = row + 1;
    }
    push(file_rows - next, false)?;
    Some(runs.into())
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::lit;

    use super::*;

    #[test]
    fn names_stay_as_they_are() {
        for name in ["Name", "a.b", "Straße", "\"quoted\""] {
            let filter = Expr::Column(Column::new(Some("t"), name)).eq(lit(1));
            assert_eq!(unqualified(filter).unwrap(), Expr::Column(Column::new_unqualified(name)).eq(lit(1)));
        }
    }

    #[test]
    fn runs_of_rows() {
        let spelled = |deleted: &[u64], rows| {
            let runs: Vec<RowSelector> = selection(deleted.iter().copied(), rows)?.into();
            Some(runs.iter().map(|run| (run.row_count, run.skip)).collect::<Vec<_>>())
        };
        assert_eq!(spelled(&[0, 1, 4], 6), Some(vec![(2, true), (2, false), (1, true), (1, false)]));
        assert_eq!(spelled(&[], 3), Some(vec![(3, false)]));
        assert_eq!(spelled(&[0, 1], 2), Some(vec![(2, true)]));
        assert_eq!(spelled(&[2], 2), None);
    }
}
