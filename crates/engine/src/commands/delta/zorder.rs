//! The order of OPTIMIZE … ZORDER BY: rows that are near each other in all of the columns come near each other.
//!
//! Each column's values are ranked into 1024 equal parts; the bits of the ranks are interleaved.
use firesteel_plan::expression::{NullOrdering, SortDirection, WindowRef};
use firesteel_plan::{Expr, ExprKind, Relation, RelationKind, SortOrder, WindowSpec};

const BITS: i32 = 10;
const KEY: &str = "__delta_z";

fn rank(column: &[String], partitions: &[Expr]) -> Expr {
    let order = SortOrder {
        child: Expr::parts(column.to_vec()),
        direction: SortDirection::Ascending,
        nulls: NullOrdering::Default,
    };
    let spec = WindowSpec { partition_by: partitions.to_vec(), order_by: vec![order], ..WindowSpec::default() };
    let function = Expr::call("ntile", vec![Expr::int(1 << BITS)]);
    let ranked = Expr::from(ExprKind::Window { function, spec: WindowRef::Spec(spec) });
    Expr::call("-", vec![ranked, Expr::int(1)])
}

/// The rows in Z-order within each partition of the table.
pub fn ordered(rows: Relation, partitions: &[String], columns: &[Vec<String>]) -> Relation {
    let by: Vec<Expr> = partitions.iter().map(Expr::name).collect();
    let name = |index: usize| format!("{KEY}_{index}");
    let ranks = columns.iter().enumerate().map(|(index, column)| rank(column, &by).alias(name(index)));
    let ranked = rows.project([Expr::star()].into_iter().chain(ranks).collect());
    let width = i32::try_from(columns.len()).unwrap_or(1);
    let mut bits = vec![];
    for (index, at) in (0..columns.len()).zip(0..) {
        for bit in 0..BITS {
            let rank = Expr::name(name(index)).cast(firesteel_plan::DataType::Long);
            let one = Expr::call("&", vec![Expr::call("shiftright", vec![rank, Expr::int(bit)]), Expr::int(1)]);
            let one = one.cast(firesteel_plan::DataType::Long);
            bits.push(Expr::call("shiftleft", vec![one, Expr::int((bit * width + at).min(62))]));
        }
    }
    let key = bits.into_iter().reduce(|a, b| Expr::call("+", vec![a, b])).unwrap_or_else(|| Expr::int(0));
    let order = by.into_iter().chain([key]).map(Expr::asc).collect();
    Relation::new(RelationKind::Sort { input: Box::new(ranked), order, is_global: true })
}
