//! `order_by` and `columns`.
use firesteel_plan::{DataType, Expr, NullOrdering, Relation, RelationKind, SortDirection, SortOrder, StructType};
use serde_json::Value;

use super::filter::column;
use crate::body::read;
use crate::document::document;
use crate::problem::Problem;

document! {
    /// A column to order by
    pub struct OrderItem {
        column: String,
        descending: Option<bool>,
        nulls: Option<String> => {"enum": ["first", "last"]},
    }
}

/// `"name"`, `"-name"` or an [`OrderItem`].
pub fn orders(items: &[Value], field: &str) -> Result<Vec<SortOrder>, Problem> {
    let order = |(index, item): (usize, &Value)| {
        let field = format!("{field}[{index}]");
        match item {
            Value::String(text) => {
                let (name, descending) = text.strip_prefix('-').map_or((text.as_str(), false), |name| (name, true));
                order(name, descending, None, &field)
            }
            item => {
                let item: OrderItem = read(item.clone(), &field)?;
                order(&item.column, item.descending.unwrap_or(false), item.nulls.as_deref(), &field)
            }
        }
    };
    items.iter().enumerate().map(order).collect()
}

fn order(name: &str, descending: bool, nulls: Option<&str>, field: &str) -> Result<SortOrder, Problem> {
    Ok(SortOrder {
        child: column(name, field)?,
        direction: if descending { SortDirection::Descending } else { SortDirection::Ascending },
        nulls: match nulls {
            Some("first") => NullOrdering::First,
            Some(_) => NullOrdering::Last,
            None => NullOrdering::Default,
        },
    })
}

pub fn sorted(input: Relation, order: Vec<SortOrder>) -> Relation {
    if order.is_empty() {
        return input;
    }
    Relation::new(RelationKind::Sort { input: Box::new(input), order, is_global: true })
}

/// The columns that break ties: rows that are the same in all of them may stand in any order.
pub fn tie_breakers(schema: &StructType) -> Vec<SortOrder> {
    fn is_orderable(data_type: &DataType) -> bool {
        match data_type {
            DataType::Map(..) | DataType::Variant | DataType::CalendarInterval => false,
            DataType::Array(element, _) => is_orderable(element),
            DataType::Struct(fields) => fields.fields.iter().all(|field| is_orderable(&field.data_type)),
            _ => true,
        }
    }
    let fields = schema.fields.iter().filter(|field| is_orderable(&field.data_type));
    fields.map(|field| Expr::name(&field.name).asc()).collect()
}

/// The columns of a select list.
pub fn columns(names: &[String], field: &str) -> Result<Vec<Expr>, Problem> {
    if names.is_empty() {
        return Err(Problem::invalid(field, "There is at least one column; leave the field out for all."));
    }
    names.iter().enumerate().map(|(index, name)| column(name, &format!("{field}[{index}]"))).collect()
}
