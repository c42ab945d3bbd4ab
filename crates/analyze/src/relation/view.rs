//! The columns of views: what a query's columns become where the tables below have changed since the view was made.
use firesteel_functions::TypedExpr;
use firesteel_functions::cast::{CastMode, cast, up_cast};
use firesteel_plan::identifier::{quote_identifier, quoted_name};
use firesteel_plan::{Result, SparkError, StructField, StructType};

use crate::analyzer::Analyzer;
use crate::context::{ViewColumns, ViewTypes};
use crate::expr::{SelectValue, plain_column};
use crate::scope::{Attribute, Resolved};

impl Analyzer<'_> {
    /// The columns of a view that stays: found by the names that the query had, in the types that the view's mode says.
    pub(super) fn view_columns(&self, resolved: Resolved, view: &ViewColumns, name: &[String]) -> Result<Resolved> {
        if view.types == ViewTypes::Any {
            return no_name_twice(resolved);
        }
        let mut values = vec![];
        for (index, field) in view.schema.fields.iter().enumerate() {
            let attribute = self.view_column(&resolved, view, index, name)?;
            let typed = attribute.typed();
            let typed = if typed.data_type.same_type(&field.data_type) {
                typed
            } else {
                match view.types {
                    ViewTypes::Query | ViewTypes::Any => typed,
                    ViewTypes::UpCast => {
                        let shown = quoted(&attribute.qualifier, &attribute.name);
                        up_cast(typed.with_sql(shown), &field.data_type, &self.eval)?
                    }
                    ViewTypes::Cast => cast(typed, &field.data_type, CastMode::Ansi, &self.eval)?,
                }
            };
            let data_type = match view.types {
                ViewTypes::Query => typed.data_type.clone(),
                _ => field.data_type.clone(),
            };
            values.push(named(&StructField { data_type, ..field.clone() }, typed, &attribute));
        }
        self.open_projection(resolved, values)
    }

    /// The query's column for one of the view's.
    fn view_column(&self, resolved: &Resolved, view: &ViewColumns, index: usize, name: &[String]) -> Result<Attribute> {
        let Some(wanted) = view.query_columns.get(index) else {
            return resolved
                .output
                .get(index)
                .cloned()
                .ok_or_else(|| changed(view, name, "", &[], resolved.output.len()));
        };
        let same = |other: &String| self.same_name(other, wanted);
        let expected = view.query_columns.iter().filter(|c| same(c)).count();
        let place = view.query_columns[..index].iter().filter(|c| same(c)).count();
        let found: Vec<&Attribute> = resolved.output.iter().filter(|a| same(&a.name)).collect();
        match found.get(place) {
            Some(attribute) if found.len() == expected => Ok((*attribute).clone()),
            _ => Err(changed(view, name, wanted, &found, expected)),
        }
    }

    /// Columns by position, under the names and types that a temporary view or a table function declares.
    pub(super) fn declared_columns(
        &self,
        resolved: Resolved,
        schema: &StructType,
        name: &[String],
    ) -> Result<Resolved> {
        let view = ViewColumns { schema: schema.clone(), ..ViewColumns::default() };
        let mut values = vec![];
        for (index, field) in schema.fields.iter().enumerate() {
            let attribute = self.view_column(&resolved, &view, index, name)?;
            let typed = attribute.typed();
            let typed = if typed.data_type.same_type(&field.data_type) {
                typed
            } else {
                cast(typed, &field.data_type, CastMode::of(&self.eval), &self.eval)?
            };
            values.push(named(field, typed, &attribute));
        }
        self.open_projection(resolved, values)
    }

    fn open_projection(&self, resolved: Resolved, values: Vec<SelectValue>) -> Result<Resolved> {
        let mut projected = self.project_values(resolved, values)?;
        projected.extend = None;
        Ok(projected)
    }
}

fn named(field: &StructField, typed: TypedExpr, attribute: &Attribute) -> SelectValue {
    let mut named = Attribute::of_field(field);
    named.nullable = typed.nullable;
    if plain_column(&typed.expr) == Some(attribute.id.as_str()) {
        named.id.clone_from(&attribute.id);
    }
    SelectValue { typed, attribute: named }
}

/// A view that takes whatever its query gives cannot have two columns of one name.
fn no_name_twice(resolved: Resolved) -> Result<Resolved> {
    for (index, attribute) in resolved.output.iter().enumerate() {
        if resolved.output[..index].iter().any(|other| other.name.eq_ignore_ascii_case(&attribute.name)) {
            return Err(SparkError::new(
                "COLUMN_ALREADY_EXISTS",
                [("columnName", quote_identifier(&attribute.name.to_lowercase()))],
            ));
        }
    }
    Ok(resolved)
}

fn quoted(qualifier: &[String], name: &str) -> String {
    qualifier.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(".")
}

fn changed(view: &ViewColumns, name: &[String], column: &str, found: &[&Attribute], expected: usize) -> SparkError {
    let found: Vec<_> = found.iter().map(|a| a.name.as_str()).collect();
    SparkError::new(
        "INCOMPATIBLE_VIEW_SCHEMA_CHANGE",
        [
            ("viewName", quoted_name(name)),
            ("colName", column.to_string()),
            ("expectedNum", expected.to_string()),
            ("actualCols", format!("[{}]", found.join(","))),
            ("suggestion", view.suggestion.clone()),
        ],
    )
}
