//! The unresolved plan: what every front door builds and the analyzer reads.
//!
//! ```text
//!  protobuf ──┐
//!  SQL text ──┼──▶ Plan::{Query(Relation), Command(Command)} ──▶ analyze
//!  REST JSON ─┘         │
//!                       ├── Relation   a table-valued operator (Catalyst's LogicalPlan)
//!                       ├── Expr       an expression, names not yet looked up
//!                       ├── Command    a statement with an effect
//!                       ├── DataType   Spark's types, with their SQL, JSON and tree text
//!                       └── SparkError a Spark error condition: the one error vocabulary
//! ```
//!
//! The words are Catalyst's. Nothing here knows DataFusion, Arrow or a wire format.
//!
//! ```
//! use firesteel_plan::{Expr, Relation, RelationKind};
//! // SELECT id + 1 FROM range(10)
//! let range = Relation::new(RelationKind::Range { start: 0, end: 10, step: 1, num_partitions: None });
//! let sum = Expr::call("+", vec![Expr::name("id"), Expr::int(1)]);
//! let query = Relation::new(RelationKind::Project { input: Box::new(range), expressions: vec![sum] });
//! assert!(matches!(*query.kind, RelationKind::Project { .. }));
//! ```
pub mod command;
pub mod conditions;
pub mod data_type;
pub mod error;
pub mod expression;
pub mod identifier;
pub mod literal;
pub mod relation;
pub mod statement;

pub use command::Command;
pub use data_type::{DataType, DayTimeField, StructField, StructType, YearMonthField};
pub use error::{JavaException, QueryContext, Result, SparkError};
pub use expression::{
    Expr, ExprKind, FrameBound, FrameUnits, FunctionCall, NullOrdering, Origin, SortDirection, SortOrder, WindowFrame,
    WindowSpec,
};
pub use identifier::{parse_multipart_identifier, quote_identifier, quote_if_needed};
pub use literal::Literal;
pub use relation::{JoinType, Relation, RelationKind, SetOpType, TableName};

/// What a front door hands to the engine.
#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// Answers rows, has no effect.
    Query(Relation),
    /// Has an effect; may answer rows.
    Command(Command),
}
