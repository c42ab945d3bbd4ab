//! Operators that rename, add, drop or turn columns.
use firesteel_functions::TypedExpr;
use firesteel_functions::cast::{CastMode, cast};
use firesteel_plan::identifier::{quote_identifier, quoted_name};
use firesteel_plan::relation::{Grouping, Unpivot};
use firesteel_plan::{DataType, Expr, ExprKind, Relation, Result, SparkError, StructField, parse_multipart_identifier};

use super::setop::has_map;
use crate::analyzer::Analyzer;
use crate::expr::{Scope, SelectItem, SelectValue, quoted_sql, unresolved_among};
use crate::scope::{Attribute, Resolved};

impl Analyzer<'_> {
    pub(super) fn to_df(&self, input: &Relation, names: &[String]) -> Result<Resolved> {
        let input = self.relation(input)?;
        if names.len() != input.output.len() {
            let old: Vec<_> = input.output.iter().map(|a| a.name.clone()).collect();
            return Err(SparkError::new(
                "ASSIGNMENT_ARITY_MISMATCH",
                [("numExpr", names.len().to_string()), ("numTarget", old.len().to_string())],
            )
            .with_cause(old.join(", ")));
        }
        let values = input.output.iter().zip(names).map(|(a, name)| renamed(a, name)).collect();
        self.project_values(input, values)
    }

    pub(super) fn with_columns_renamed(&self, input: &Relation, renames: &[(String, String)]) -> Result<Resolved> {
        let input = self.relation(input)?;
        let mut names: Vec<String> = input.output.iter().map(|a| a.name.clone()).collect();
        for (old, new) in renames {
            for name in names.iter_mut().filter(|n| self.same_name(n, old)) {
                *name = new.clone();
            }
        }
        let values = (input.output.iter().zip(&names))
            .map(|(a, name)| if a.name == *name { kept(a) } else { renamed(a, name) })
            .collect();
        self.project_values(input, values)
    }

    pub(super) fn with_columns(&self, input: &Relation, columns: &[Expr]) -> Result<Resolved> {
        let input = self.relation(input)?;
        let mut replaced: Vec<(String, Expr)> = vec![];
        for column in columns {
            let ExprKind::Alias { names, .. } = column.kind.as_ref() else {
                return Err(SparkError::internal("withColumns takes aliases"));
            };
            let name = names.first().cloned().unwrap_or_default();
            if replaced.iter().any(|(known, _)| self.same_name(known, &name)) {
                return Err(SparkError::new(
                    "COLUMN_ALREADY_EXISTS",
                    [("columnName", format!("`{}`", name.to_lowercase()))],
                ));
            }
            replaced.push((name, column.clone()));
        }
        self.replace_columns(input, replaced)
    }

    /// Columns of those names are replaced in place, others are added.
    fn replace_columns(&self, input: Resolved, replaced: Vec<(String, Expr)>) -> Result<Resolved> {
        let scope = Scope::of(&input);
        let mut items: Vec<SelectItem> = vec![];
        let mut done = vec![false; replaced.len()];
        for attribute in &input.output {
            match replaced.iter().position(|(name, _)| self.same_name(name, &attribute.name)) {
                Some(index) => {
                    items.extend(self.select_list(std::slice::from_ref(&replaced[index].1), &scope)?);
                    done[index] = true;
                }
                None => items.push(SelectItem::Value(kept(attribute))),
            }
        }
        for (index, (_, expr)) in replaced.iter().enumerate() {
            if !done[index] {
                items.extend(self.select_list(std::slice::from_ref(expr), &scope)?);
            }
        }
        if items.iter().any(|item| matches!(item, SelectItem::Value(v) if v.typed.has_aggregate())) {
            return self.build_aggregate(input, vec![], None, items);
        }
        let (input, values) = self.expand_generators(input, items)?;
        self.project_values(input, values)
    }

    pub(super) fn drop_columns(&self, input: &Relation, columns: &[Expr], names: &[String]) -> Result<Resolved> {
        let input = self.relation(input)?;
        let scope = Scope::of(&input);
        let mut dropped: Vec<String> = vec![];
        for column in columns {
            match self.expression(column, &scope) {
                Ok(typed) => dropped.extend(crate::expr::plain_column(&typed.expr).map(str::to_string)),
                Err(error) if error.is("AMBIGUOUS_REFERENCE") => return Err(error),
                // A column that does not exist is no error here.
                Err(_) => {}
            }
        }
        for name in names {
            let of_name = input.output.iter().filter(|a| self.same_name(&a.name, name));
            dropped.extend(of_name.map(|a| a.id.clone()));
        }
        let values = input.output.iter().filter(|a| !dropped.contains(&a.id)).map(kept).collect();
        self.project_values(input, values)
    }

    /// `df.to(schema)`: columns by name, cast, in the schema's order.
    pub(super) fn to_schema(&self, input: &Relation, schema: &DataType) -> Result<Resolved> {
        let input = self.relation(input)?;
        let DataType::Struct(schema) = schema else {
            return Err(SparkError::of("INVALID_SCHEMA.NON_STRUCT_TYPE"));
        };
        let mut values = vec![];
        for field in schema.fields.iter() {
            let found = input.output.iter().find(|a| self.same_name(&a.name, &field.name));
            let typed = match found {
                Some(attribute) => self.reconcile(attribute.typed(), field, std::slice::from_ref(&field.name))?,
                None if field.nullable => TypedExpr::null(field.data_type.clone()),
                None => {
                    return Err(self.unresolved_column(std::slice::from_ref(&field.name), &Scope::of(&input)));
                }
            };
            let attribute = Attribute::of_field(field);
            values.push(SelectValue { typed, attribute });
        }
        self.project_values(input, values)
    }

    /// The value as `field` wants it, struct fields by name; NOT NULL cannot come from nullable.
    fn reconcile(&self, value: TypedExpr, field: &StructField, path: &[String]) -> Result<TypedExpr> {
        if value.nullable && !field.nullable {
            return Err(SparkError::new("NULLABLE_COLUMN_OR_FIELD", [("name", quoted_name(path))]));
        }
        if let (DataType::Struct(own), DataType::Struct(wanted)) = (value.data_type.clone(), &field.data_type) {
            let mut arguments = vec![];
            for inner in wanted.fields.iter() {
                let mut inner_path = path.to_vec();
                inner_path.push(inner.name.clone());
                arguments.push(TypedExpr::string(inner.name.clone()));
                arguments.push(match own.fields.iter().find(|f| self.same_name(&f.name, &inner.name)) {
                    Some(known) => {
                        let key = TypedExpr::string(known.name.clone());
                        let child = firesteel_functions::structs::extract_value(value.clone(), key, &self.eval)?;
                        self.reconcile(child.with_nullable(known.nullable), inner, &inner_path)?
                    }
                    None if inner.nullable => TypedExpr::null(inner.data_type.clone()),
                    None => {
                        return Err(SparkError::new(
                            "UNRESOLVED_FIELD.WITHOUT_SUGGESTION",
                            [("fieldName", quoted_name(&inner_path)), ("columnPath", quoted_name(path))],
                        ));
                    }
                });
            }
            let built = self.builtin("named_struct", arguments)?;
            if !value.nullable {
                return Ok(built);
            }
            let is_null = self.builtin("isnull", vec![value])?;
            let null = TypedExpr::null(built.data_type.clone());
            return self.builtin("if", vec![is_null, null, built]);
        }
        if !firesteel_functions::cast::can_up_cast(&value.data_type, &field.data_type)
            && !firesteel_functions::cast::can_store_assign(&value.data_type, &field.data_type)
        {
            return Err(SparkError::new(
                "INVALID_COLUMN_OR_FIELD_DATA_TYPE",
                [
                    ("name", quoted_name(path)),
                    ("type", format!("\"{}\"", value.data_type.sql())),
                    ("expectedType", format!("\"{}\"", field.data_type.sql())),
                ],
            ));
        }
        cast(value, &field.data_type, CastMode::of(&self.eval), &self.eval)
    }

    /// `df.unpivot` and SQL UNPIVOT: one row a value column (or group of them).
    pub(super) fn unpivot(&self, unpivot: &Unpivot) -> Result<Resolved> {
        let input = self.relation(&unpivot.input)?.sealed()?;
        let scope = Scope::of(&input);
        let ids_given = match &unpivot.ids {
            Some(ids) => Some(self.plain_values(ids, &scope)?),
            None => None,
        };
        let groups: Vec<(Vec<TypedExpr>, Option<String>)> = match &unpivot.values {
            Some(values) => values
                .iter()
                .map(|v| {
                    Ok((self.plain_values(&v.columns, &scope)?.into_iter().map(|c| c.typed).collect(), v.alias.clone()))
                })
                .collect::<Result<Vec<(Vec<TypedExpr>, _)>>>()?
                .into_iter()
                .flat_map(|(columns, alias)| split_group(columns, alias, unpivot.value_columns.len()))
                .collect(),
            None => {
                let ids: Vec<_> = ids_given.iter().flatten().map(|v| v.attribute.id.clone()).collect();
                let rest = input.output.iter().filter(|a| !ids.contains(&a.id));
                rest.map(|a| (vec![a.typed()], None)).collect()
            }
        };
        if groups.is_empty() {
            return Err(SparkError::of("UNPIVOT_REQUIRES_VALUE_COLUMNS"));
        }
        let ids = match ids_given {
            Some(ids) => ids,
            None => {
                let used = |a: &Attribute| {
                    groups
                        .iter()
                        .flat_map(|(columns, _)| columns)
                        .any(|c| crate::expr::plain_column(&c.expr) == Some(a.id.as_str()))
                };
                input.output.iter().filter(|a| !used(a)).map(kept).collect()
            }
        };
        let generator = self.unpivot_generator(&groups, unpivot)?;
        let filtered_names: Vec<String> =
            std::iter::once(unpivot.variable_column.clone()).chain(unpivot.value_columns.clone()).collect();
        let mut id_input = self.project_values(
            input.clone(),
            ids.iter()
                .cloned()
                .chain(input.output.iter().filter(|a| !ids.iter().any(|v| v.attribute.id == a.id)).map(kept))
                .collect(),
        )?;
        id_input.extend = None;
        let (mut resolved, generated) = self.generate(id_input, &generator, &filtered_names)?;
        resolved.output = ids.into_iter().map(|v| v.attribute).chain(generated.iter().cloned()).collect();
        let mut resolved = resolved.sealed()?;
        if !unpivot.include_nulls {
            let values = &generated[1..];
            let mut any: Option<TypedExpr> = None;
            for value in values {
                let not_null = self.builtin("isnotnull", vec![value.typed()])?;
                any = Some(match any {
                    Some(before) => self.builtin("or", vec![before, not_null])?,
                    None => not_null,
                });
            }
            if let Some(condition) = any {
                resolved = self.filter_typed(resolved, condition.expr)?;
            }
        }
        Ok(match &unpivot.alias {
            Some(alias) => super::table::qualified(resolved, std::slice::from_ref(alias)),
            None => resolved,
        })
    }

    fn plain_values(&self, expressions: &[Expr], scope: &Scope) -> Result<Vec<SelectValue>> {
        let items = self.select_list(expressions, scope)?;
        items
            .into_iter()
            .map(|item| match item {
                SelectItem::Value(value) => Ok(value),
                SelectItem::Generator { .. } => Err(SparkError::of("UNPIVOT_REQUIRES_ATTRIBUTES")),
            })
            .collect()
    }

    /// `stack(n, name, value…, name, value…)` as an array of structs.
    fn unpivot_generator(
        &self,
        groups: &[(Vec<TypedExpr>, Option<String>)],
        unpivot: &Unpivot,
    ) -> Result<firesteel_functions::Generator> {
        let width = unpivot.value_columns.len();
        let mut types = vec![];
        for index in 0..width {
            let mut common: Option<DataType> = None;
            for (columns, _) in groups {
                let own = columns.get(index).map_or(DataType::Null, |c| c.data_type.clone());
                common = Some(match common {
                    None => own,
                    Some(known) => firesteel_functions::coerce::wider_type_without_strings(&known, &own, &self.eval)
                        .ok_or_else(|| {
                            let types = types_and_columns(groups.iter().filter_map(|(c, _)| c.get(index)));
                            SparkError::new("UNPIVOT_VALUE_DATA_TYPE_MISMATCH", [("types", types)])
                        })?,
                });
            }
            types.push(common.unwrap_or(DataType::Null));
        }
        let mode = CastMode::of(&self.eval);
        let mut rows = vec![];
        for (columns, alias) in groups {
            let label =
                alias.clone().unwrap_or_else(|| columns.iter().map(|c| c.sql.clone()).collect::<Vec<_>>().join("_"));
            let mut fields = vec![TypedExpr::string("c0"), TypedExpr::string(label)];
            for (index, (column, data_type)) in columns.iter().zip(&types).enumerate() {
                fields.push(TypedExpr::string(format!("c{}", index + 1)));
                fields.push(cast(column.clone(), data_type, mode, &self.eval)?.with_nullable(true));
            }
            rows.push(self.builtin("named_struct", fields)?);
        }
        let rows = self.builtin("array", rows)?;
        let mut columns = vec![(unpivot.variable_column.clone(), DataType::STRING, false)];
        columns.extend(unpivot.value_columns.iter().zip(types).map(|(name, t)| (name.clone(), t, true)));
        Ok(firesteel_functions::Generator { name: "unpivot".into(), rows, columns, outer: false })
    }

    // Pipe operators

    pub(super) fn pipe_select(&self, input: &Relation, expressions: &[Expr]) -> Result<Resolved> {
        let input = self.relation(input)?;
        let resolved = self.project_resolved(input, expressions)?;
        Ok(Resolved { extend: None, ..resolved })
    }

    /// `|> EXTEND expr, …`
    pub(super) fn pipe_extend(&self, input: &Relation, expressions: &[Expr]) -> Result<Resolved> {
        let input = self.relation(input)?;
        let scope = Scope::of(&input);
        if expressions.iter().any(|e| matches!(e.kind.as_ref(), ExprKind::Star { .. })) {
            return Err(SparkError::new(
                "INVALID_USAGE_OF_STAR_OR_REGEX",
                [("elem", "'*'"), ("prettyName", "expression `pipeexpression`")],
            ));
        }
        let mut items: Vec<SelectItem> = input.output.iter().map(|a| SelectItem::Value(kept(a))).collect();
        items.extend(self.select_list(expressions, &scope)?);
        refuse_aggregates(&items, "EXTEND")?;
        let (input, values) = self.expand_generators(input, items)?;
        let resolved = self.project_values(input, values)?;
        Ok(Resolved { extend: None, ..resolved })
    }

    /// `|> SET column = expr, …`: one after the other.
    pub(super) fn pipe_set(&self, input: &Relation, assignments: &[(Vec<String>, Expr)]) -> Result<Resolved> {
        let mut resolved = self.relation(input)?;
        for (name, expr) in assignments {
            let [column] = name.as_slice() else {
                return Err(SparkError::new(
                    "UNSUPPORTED_FEATURE.PIPE_OPERATOR_SET_QUALIFIED_COLUMN_NAMES",
                    std::iter::empty::<(String, String)>(),
                ));
            };
            let Some(position) = resolved.output.iter().position(|a| self.same_name(&a.name, column)) else {
                return Err(self.unresolved_column(name, &Scope::of(&resolved)));
            };
            let items = self.select_list(&[expr.clone().alias(column)], &Scope::of(&resolved))?;
            refuse_aggregates(&items, "SET")?;
            let mut values: Vec<SelectValue> = resolved.output.iter().map(kept).collect();
            if let Some(SelectItem::Value(value)) = items.into_iter().next() {
                let qualifier = values[position].attribute.qualifier.clone();
                values[position] = SelectValue {
                    attribute: Attribute { qualifier, name: resolved.output[position].name.clone(), ..value.attribute },
                    ..value
                };
            }
            resolved = self.project_values(resolved, values)?;
            resolved.extend = None;
        }
        Ok(resolved)
    }

    /// `|> AGGREGATE … GROUP BY …`: the grouping columns come first.
    pub(super) fn pipe_aggregate(
        &self,
        input: &Relation,
        grouping: &Grouping,
        aggregates: &[Expr],
    ) -> Result<Resolved> {
        let input = self.relation(input)?;
        let mut all: Vec<Expr> = vec![];
        let mut grouping = grouping.clone();
        if let Grouping::By(elements) = &mut grouping {
            for element in elements {
                if let firesteel_plan::relation::GroupingElement::Expression(expr) = element {
                    if let Some(column) = ordinal_of_input(expr, &input) {
                        *expr = column;
                    }
                    all.push(expr.clone());
                }
            }
        }
        for item in self.select_list(aggregates, &Scope::of(&input))? {
            if let SelectItem::Value(value) = item
                && !value.typed.has_aggregate()
            {
                return Err(SparkError::new(
                    "PIPE_OPERATOR_AGGREGATE_EXPRESSION_CONTAINS_NO_AGGREGATE_FUNCTION",
                    [("expr", value.typed.sql.clone())],
                )
                .with_origin(value.typed.origin.as_ref()));
            }
        }
        all.extend(aggregates.iter().cloned());
        let resolved = self.aggregate_resolved(input, &grouping, &all)?;
        Ok(Resolved { extend: None, ..resolved })
    }

    /// `df.transpose(index)`: runs the query, then turns it.
    pub(super) fn transpose(&self, input: &Relation, index: &[Expr]) -> Result<Resolved> {
        let input = self.relation(input)?.sealed()?;
        let scope = Scope::of(&input);
        let key = match index {
            [] => match input.output.first() {
                Some(first) => first.typed(),
                None => return self.one_row(),
            },
            [one] => self.expression(one, &scope)?,
            many => {
                return Err(SparkError::new(
                    "TRANSPOSE_INVALID_INDEX_COLUMN",
                    [("reason", format!("one index column is needed, not {}", many.len()))],
                ));
            }
        };
        let Some(key_id) = crate::expr::plain_column(&key.expr).map(str::to_string) else {
            return Err(SparkError::new(
                "TRANSPOSE_INVALID_INDEX_COLUMN",
                [("reason", "the index must be a column".to_string())],
            ));
        };
        if has_map(&key.data_type) || !key.data_type.is_atomic() {
            return Err(SparkError::new(
                "TRANSPOSE_INVALID_INDEX_COLUMN",
                [("reason", format!("an index of type {} is not supported", key.data_type.sql()))],
            ));
        }
        super::pivot::transpose(self, input, key, &key_id)
    }
}

/// A number among the grouping keys of a pipe: the input's column there.
fn ordinal_of_input(expr: &Expr, input: &Resolved) -> Option<Expr> {
    let ExprKind::Literal(firesteel_plan::Literal::Integer(position)) = expr.kind.as_ref() else { return None };
    let index = usize::try_from(*position).ok()?.checked_sub(1)?;
    input.output.get(index).map(|a| Expr::name(&a.name))
}

pub(crate) fn kept(attribute: &Attribute) -> SelectValue {
    SelectValue { typed: attribute.typed(), attribute: attribute.clone() }
}

fn renamed(attribute: &Attribute, name: &str) -> SelectValue {
    let mut renamed = Attribute::new(name, attribute.data_type.clone(), attribute.nullable);
    renamed.metadata = attribute.metadata.clone();
    SelectValue { typed: attribute.typed(), attribute: renamed }
}

/// `*` in a value group of one column stands for a group each.
fn split_group(columns: Vec<TypedExpr>, alias: Option<String>, width: usize) -> Vec<(Vec<TypedExpr>, Option<String>)> {
    if width == 1 && columns.len() > 1 {
        return columns.into_iter().map(|c| (vec![c], alias.clone())).collect();
    }
    vec![(columns, alias)]
}

fn refuse_aggregates(items: &[SelectItem], clause: &str) -> Result<()> {
    for item in items {
        if let SelectItem::Value(value) = item
            && value.typed.has_aggregate()
        {
            return Err(SparkError::new(
                "PIPE_OPERATOR_CONTAINS_AGGREGATE_FUNCTION",
                [("expr", quoted_sql(&value.typed)), ("clause", clause.to_string())],
            )
            .with_origin(value.typed.origin.as_ref()));
        }
    }
    Ok(())
}

/// `"INT" (`a`, `b`), "STRING" (`c`)`: what stands in the way of one type for all; of each type, three columns at most.
fn types_and_columns<'a>(columns: impl Iterator<Item = &'a TypedExpr>) -> String {
    let mut names: std::collections::BTreeMap<String, Vec<String>> = Default::default();
    for column in columns {
        names.entry(column.data_type.sql()).or_default().push(quote_identifier(&column.sql));
    }
    let show = |(data_type, mut names): (String, Vec<String>)| {
        names.sort();
        if names.len() > 3 {
            names.truncate(3);
            names.push("...".to_string());
        }
        format!("\"{data_type}\" ({})", names.join(", "))
    };
    names.into_iter().map(show).collect::<Vec<_>>().join(", ")
}

/// A column named in identifier syntax.
pub(crate) fn column_named<'a>(analyzer: &Analyzer<'_>, input: &'a Resolved, name: &str) -> Result<&'a Attribute> {
    let parts = parse_multipart_identifier(name).unwrap_or_else(|_| vec![name.to_string()]);
    let found = match parts.as_slice() {
        [one] => input.output.iter().find(|a| analyzer.same_name(&a.name, one)),
        _ => input.output.iter().find(|a| a.name == name),
    };
    let known = || input.output.iter().map(|a| quote_identifier(&a.name)).collect();
    found.ok_or_else(|| unresolved_among(&parts, known()))
}
