//! Explicit casts (`CAST`, `TRY_CAST`, store assignment) by Spark's rules.
//!
//! ```text
//!  cast() ──▶ rules: is it allowed? can it be NULL?
//!    ├── the same bits          relabelled
//!    ├── provably Arrow's cast  Expr::Cast, which DataFusion can push down and fold
//!    └── the rest               kernel::convert ──▶ numeric │ parse │ text │ temporal │ nested
//! ```
use std::sync::Arc;

use datafusion::logical_expr::Expr;
use firesteel_plan::{DataType, Result};

use crate::context::EvalContext;
use crate::scalar::SparkScalar;
use crate::typed::TypedExpr;
use crate::types;

mod errors;
pub mod functions;
pub mod kernel;
mod nested;
pub(crate) mod numeric;
mod parse;
mod rules;
mod store;
mod temporal;
mod text;
mod variant;

pub use errors::{invalid_input, out_of_decimal, overflow, value_text};
pub use kernel::{Caster, convert, pretty};
pub use numeric::with_decimal_type;
pub use rules::{can_cast, can_store_assign, can_up_cast, cast_forces_null, force_nullable};
pub use store::{check_length, pad, store_assign, up_cast};

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

    fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Ansi => "ansi",
            Self::Try => "try",
        }
    }

    fn from_name(name: &str) -> Self {
        match name {
            "legacy" => Self::Legacy,
            "try" => Self::Try,
            _ => Self::Ansi,
        }
    }
}

/// The name of the cast function in plans; its options are the mode and, for store assignment, the column.
pub const CAST: &str = "cast";

/// `CAST(child AS to)`; the child itself where the type is the same already.
/// Errors with `DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION` and its siblings where Spark forbids the cast.
pub fn cast(child: TypedExpr, to: &DataType, mode: CastMode, context: &Arc<EvalContext>) -> Result<TypedExpr> {
    let word = if mode == CastMode::Try { "TRY_CAST" } else { "CAST" };
    let from = child.data_type.clone();
    let stored = stored_type(to);
    let sql = match stored {
        // Spark does not show casts to nested types.
        DataType::Array(..) | DataType::Map(..) | DataType::Struct(_) => child.sql.clone(),
        _ => format!("{word}({} AS {})", child.sql, stored.sql()),
    };
    if from != stored && !can_cast(&from, &stored, mode) {
        return Err(rules::refused(&from, &stored, mode, &sql).with_origin(child.origin.as_ref()));
    }
    let nullable = child.nullable || cast_forces_null(&from, &stored, mode);
    Ok(build(child, &stored, mode, vec![], nullable, context).with_sql(sql))
}

/// CHAR and VARCHAR are STRING in expressions.
fn stored_type(to: &DataType) -> DataType {
    match to {
        DataType::Char(_) | DataType::Varchar(_) => DataType::STRING,
        other => other.clone(),
    }
}

fn build(
    child: TypedExpr,
    to: &DataType,
    mode: CastMode,
    column: Vec<String>,
    nullable: bool,
    context: &Arc<EvalContext>,
) -> TypedExpr {
    let (from_arrow, to_arrow) = (types::to_arrow(&child.data_type), types::to_arrow(to));
    let same_meaning = relabels(&child.data_type, to);
    if same_meaning && from_arrow == to_arrow {
        return TypedExpr { data_type: to.clone(), nullable, ..child };
    }
    let origin = child.origin.clone();
    if is_native(&child.data_type, to) {
        let expr = Expr::Cast(datafusion::logical_expr::Cast::new(Box::new(child.expr), to_arrow));
        return TypedExpr::new(expr, to.clone(), nullable, child.sql).with_origin(origin);
    }
    let mut options = vec![mode.name().to_string()];
    options.extend(column);
    SparkScalar::call(CAST, kernel::cast_kernel, vec![child], to.clone(), nullable, context)
        .options(options)
        .origin(origin)
        .build()
}

/// Whether values of both types mean the same, so that only the label changes.
fn relabels(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (f, t) if f.is_string() && t.is_string() => true,
        // Rows carry their SRIDs.
        (DataType::Geometry(_) | DataType::Geography(_), DataType::Geometry(_) | DataType::Geography(_)) => true,
        (DataType::Array(a, _), DataType::Array(b, _)) => relabels(a, b),
        (DataType::Map(a, b, _), DataType::Map(c, d, _)) => relabels(a, c) && relabels(b, d),
        (DataType::Struct(a), DataType::Struct(b)) => {
            a.fields.len() == b.fields.len()
                && a.fields.iter().zip(b.fields.iter()).all(|(x, y)| relabels(&x.data_type, &y.data_type))
        }
        (f, t) => f == t,
    }
}

/// Whether Arrow's own cast gives Spark's values for every input.
fn is_native(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    let rank = |t: &DataType| match t {
        T::Byte => Some(0),
        T::Short => Some(1),
        T::Integer => Some(2),
        T::Long => Some(3),
        T::Float => Some(4),
        T::Double => Some(5),
        _ => None,
    };
    match (rank(from), rank(to)) {
        (Some(a), Some(b)) => a < b,
        _ => *from == T::Null,
    }
}
