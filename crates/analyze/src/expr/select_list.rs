//! Select lists: aliases, `*`, regular expressions, generators, lateral aliases.
use firesteel_functions::TypedExpr;
use firesteel_functions::registry::{Built, Generator};
use firesteel_plan::data_type::AUTO_GENERATED_ALIAS;
use firesteel_plan::identifier::quoted_name;
use firesteel_plan::{DataType, Expr, ExprKind, Result, SparkError};

use super::Scope;
use super::function::plain_column;
use crate::analyzer::Analyzer;
use crate::relation::time_window::is_time_window;
use crate::scope::Attribute;

/// One item of a select list: a value with its name, or a generator.
#[derive(Debug, Clone)]
pub(crate) enum SelectItem {
    Value(SelectValue),
    Generator { generator: Generator, names: Vec<String> },
}

#[derive(Debug, Clone)]
pub(crate) struct SelectValue {
    pub typed: TypedExpr,
    /// What it becomes: the same attribute where it is a plain column, else a new one.
    pub attribute: Attribute,
}

impl Analyzer<'_> {
    /// Resolves a select list over `scope`; every item may use the aliases before it.
    pub(crate) fn select_list(&self, items: &[Expr], scope: &Scope) -> Result<Vec<SelectItem>> {
        let mut list = vec![];
        for item in items {
            let before = list.len();
            self.select_item(item, scope, &mut list).map_err(|e| e.with_origin(item.origin.as_ref()))?;
            if let (ExprKind::Alias { .. }, Some(SelectItem::Value(value))) = (item.kind.as_ref(), list.get(before)) {
                scope.lateral.borrow_mut().push((value.attribute.name.clone(), value.typed.clone()));
            }
        }
        scope.lateral.borrow_mut().clear();
        Ok(list)
    }

    fn select_item(&self, item: &Expr, scope: &Scope, list: &mut Vec<SelectItem>) -> Result<()> {
        match item.kind.as_ref() {
            ExprKind::Star { .. } | ExprKind::Regex { .. } => {
                list.extend(self.expand_star(item, scope)?.into_iter().map(SelectItem::Value));
            }
            ExprKind::SqlText(text) => {
                for parsed in firesteel_sql::parse_named_expressions(text, &self.parse_options())? {
                    self.select_item(&parsed, scope, list)?;
                }
            }
            ExprKind::Alias { child, names, metadata } => {
                if let Some(generator) = self.generator(child, scope)? {
                    list.push(SelectItem::Generator { generator, names: names.clone() });
                    return Ok(());
                }
                let [name] = names.as_slice() else {
                    return Err(SparkError::new(
                        "MULTI_ALIAS_WITHOUT_GENERATOR",
                        [("expr", "expression".to_string()), ("names", names.join(", "))],
                    ));
                };
                let typed = self.expression(child, scope)?;
                let mut attribute = Attribute::new(name, typed.data_type.clone(), typed.nullable);
                attribute.metadata = match metadata {
                    Some(json) => metadata_of_json(json)?,
                    None => self.inherited_metadata(&typed, scope),
                };
                list.push(SelectItem::Value(SelectValue { typed, attribute }));
            }
            _ => {
                if let Some(generator) = self.generator(item, scope)? {
                    list.push(SelectItem::Generator { generator, names: vec![] });
                    return Ok(());
                }
                let typed = self.expression(item, scope)?;
                let value = self.named(typed, item, scope);
                list.push(SelectItem::Value(value));
            }
        }
        Ok(())
    }

    /// The column's own attribute where `typed` is just a column; else a new one with Spark's name for it.
    pub(crate) fn named(&self, typed: TypedExpr, item: &Expr, scope: &Scope) -> SelectValue {
        // A call is a value of its own, even where it answers a column as it is (`+a`); but for a window of time.
        let is_call = matches!(item.kind.as_ref(), ExprKind::Function(_));
        let same = plain_column(&typed.expr).and_then(|id| {
            let below = scope.below.iter().flat_map(|b| b.output.iter().chain(&b.hidden));
            scope.output.iter().chain(&scope.hidden).chain(below).find(|a| a.id == id)
        });
        let same = same.filter(|attribute| !is_call || is_time_window(attribute));
        // A cast to another collation leaves the values alone.
        let same = same.filter(|attribute| attribute.data_type.same_type(&typed.data_type));
        if let Some(attribute) = same {
            let mut attribute = attribute.clone();
            // Spark answers the name as it was written.
            if let ExprKind::Attribute { name, .. } = item.kind.as_ref()
                && let Some(written) = name.last()
                && self.same_name(written, &attribute.name)
            {
                attribute.name.clone_from(written);
            }
            return SelectValue { attribute, typed };
        }
        let name = self.output_name(&typed, item, scope);
        let mut attribute = Attribute::new(name, typed.data_type.clone(), typed.nullable);
        if is_auto_named(item) {
            attribute.metadata.insert(AUTO_GENERATED_ALIAS.to_string(), "\"true\"".to_string());
        }
        SelectValue { typed, attribute }
    }

    /// Spark's name for an item without alias: a field that a dotted name reaches has the field's name, the cast of a
    /// plain column keeps the column's.
    fn output_name(&self, typed: &TypedExpr, item: &Expr, scope: &Scope) -> String {
        let name = match item.kind.as_ref() {
            // `current_date` without parentheses has the name of the call.
            ExprKind::Attribute { name, .. } => name.last().filter(|_| !typed.sql.ends_with("()")),
            ExprKind::Cast { child, .. } | ExprKind::CastToText { child, .. } => match child.kind.as_ref() {
                ExprKind::Attribute { name, .. } => name
                    .last()
                    .filter(|_| self.expression(child, scope).is_ok_and(|column| plain_column(&column.expr).is_some())),
                ExprKind::Alias { names, .. } => names.last(),
                _ => None,
            },
            _ => None,
        };
        name.cloned().or_else(|| extracted_key(item)).unwrap_or_else(|| typed.sql.clone())
    }

    fn inherited_metadata(&self, typed: &TypedExpr, scope: &Scope) -> std::collections::BTreeMap<String, String> {
        plain_column(&typed.expr)
            .and_then(|id| scope.output.iter().chain(&scope.hidden).find(|a| a.id == id))
            .map(|a| a.metadata.clone())
            .unwrap_or_default()
    }

    /// The generator an expression is, if it is one.
    fn generator(&self, expr: &Expr, scope: &Scope) -> Result<Option<Generator>> {
        let ExprKind::Function(call) = expr.kind.as_ref() else { return Ok(None) };
        let name = self.function_name(call)?;
        let function = name.last().and_then(|n| firesteel_functions::registry::lookup(n));
        if !function.is_some_and(|f| f.kind == firesteel_functions::FunctionKind::Generator) {
            return Ok(None);
        }
        match self.call(call, expr, scope).map_err(|e| e.with_origin(expr.origin.as_ref()))? {
            Built::Generator(generator) => Ok(Some(generator)),
            Built::Expr(_) => Ok(None),
        }
    }

    /// The columns that `*`, `t.*`, `struct.*` or a regular expression stands for.
    pub(crate) fn expand_star(&self, star: &Expr, scope: &Scope) -> Result<Vec<SelectValue>> {
        match star.kind.as_ref() {
            ExprKind::Regex { pattern, plan_id } => self.expand_regex(pattern, *plan_id, scope),
            ExprKind::Star { target, plan_id, except } => {
                let all = self.star_columns(target, *plan_id, scope)?;
                match (except.as_slice(), target.is_empty()) {
                    ([], _) => Ok(all),
                    (_, true) => self.without(all, except, scope),
                    // The names are those of the columns that `t.*` stands for.
                    (_, false) => {
                        let columns = all.iter().map(|value| value.attribute.clone()).collect();
                        self.without(all, except, &Scope::of_attributes(columns))
                    }
                }
            }
            _ => Err(SparkError::internal("not a star")),
        }
    }

    fn star_columns(&self, target: &[String], plan_id: Option<i64>, scope: &Scope) -> Result<Vec<SelectValue>> {
        let value = |a: &Attribute| SelectValue { typed: a.typed(), attribute: a.clone() };
        if let Some(outputs) = plan_id.and_then(|id| scope.plan_outputs.get(&id)) {
            let visible = |a: &&Attribute| scope.output.iter().chain(&scope.hidden).any(|b| b.id == a.id);
            let columns: Vec<_> = outputs.iter().flatten().filter(visible).map(value).collect();
            if !columns.is_empty() {
                return Ok(columns);
            }
        }
        if target.is_empty() {
            return Ok(scope.output.iter().map(value).collect());
        }
        // The keys of USING joins that `*` does not show come first.
        let keys = scope.hidden.iter().filter(|a| a.qualified_only);
        let qualified: Vec<_> = keys.chain(&scope.output).filter(|a| self.qualified_by(a, target)).map(value).collect();
        if !qualified.is_empty() {
            return Ok(qualified);
        }
        let around = self.outer.borrow().last().cloned();
        if let Some(around) = &around {
            let outer = around.output.iter().filter(|a| self.qualified_by(a, target));
            let outer: Vec<_> = outer
                .map(|a| SelectValue { typed: super::attribute::as_outer(a.typed(), around), attribute: a.renewed() })
                .collect();
            if !outer.is_empty() {
                return Ok(outer);
            }
        }
        // struct.*
        let base = self.lookup(target, scope)?;
        let Some(base) = base else {
            let columns: Vec<_> = scope.output.iter().map(|a| quoted_name(&[&a.name])).collect();
            return Err(SparkError::new(
                "CANNOT_RESOLVE_STAR_EXPAND",
                [("targetString", quoted_name(target)), ("columns", columns.join(", "))],
            ));
        };
        let DataType::Struct(fields) = base.data_type.clone() else {
            let attributes = [("attributes", format!("List({})", target.join(", ")))];
            return Err(SparkError::new("_LEGACY_ERROR_TEMP_1050", attributes));
        };
        (fields.fields.iter())
            .map(|field| {
                let key = TypedExpr::string(field.name.clone());
                let typed = firesteel_functions::structs::extract_value(base.clone(), key, &self.eval)?;
                let attribute = Attribute::new(&field.name, typed.data_type.clone(), typed.nullable);
                Ok(SelectValue { typed, attribute })
            })
            .collect()
    }

    fn expand_regex(&self, pattern: &str, plan_id: Option<i64>, scope: &Scope) -> Result<Vec<SelectValue>> {
        let inner = pattern.strip_prefix('`').and_then(|p| p.strip_suffix('`')).unwrap_or(pattern);
        let flags = if self.case_sensitive() { "" } else { "(?i)" };
        let regex = firesteel_functions::regex::compile(&format!("{flags}^(?:{inner})$")).map_err(|_| {
            SparkError::new(
                "INVALID_PARAMETER_VALUE.PATTERN",
                [("parameter", "colRegex"), ("functionName", "colRegex"), ("value", inner)],
            )
        })?;
        let columns = self.star_columns(&[], plan_id, scope)?;
        Ok(columns.into_iter().filter(|c| regex.is_match(&c.attribute.name)).collect())
    }

    /// `* EXCEPT (a, s.b)`
    fn without(&self, all: Vec<SelectValue>, except: &[Vec<String>], scope: &Scope) -> Result<Vec<SelectValue>> {
        let mut list = all;
        for name in except {
            let typed = self.lookup(name, scope)?.ok_or_else(|| self.unresolved_column(name, scope))?;
            if let Some(id) = plain_column(&typed.expr) {
                let before = list.len();
                list.retain(|value| value.attribute.id != id);
                if list.len() == before {
                    return Err(SparkError::new("EXCEPT_OVERLAPPING_COLUMNS", [("columns", quoted_name(name))]));
                }
                continue;
            }
            self.drop_nested(&mut list, name)?;
        }
        Ok(list)
    }

    fn drop_nested(&self, list: &mut [SelectValue], name: &[String]) -> Result<()> {
        for split in 1..name.len() {
            let (column, path) = name.split_at(split);
            let position = list.iter().position(|value| {
                let (last, qualifier) = (&column[column.len() - 1], &column[..column.len() - 1]);
                self.same_name(&value.attribute.name, last) && self.qualified_by(&value.attribute, qualifier)
            });
            let Some(position) = position else { continue };
            let value = &list[position];
            let typed = firesteel_functions::structs::update_fields(value.typed.clone(), path, None, &self.eval)?;
            let attribute = Attribute::new(&value.attribute.name, typed.data_type.clone(), typed.nullable);
            list[position] = SelectValue { typed, attribute };
            return Ok(());
        }
        Err(SparkError::new("EXCEPT_OVERLAPPING_COLUMNS", [("columns", quoted_name(name))]))
    }
}

/// The key that `v:path` ends in, casts of it included.
fn extracted_key(item: &Expr) -> Option<String> {
    let call = match item.kind.as_ref() {
        ExprKind::Cast { child, .. } => return extracted_key(child),
        ExprKind::Function(call) if call.is_internal && call.name == ["variant_get"] => call,
        _ => return None,
    };
    let ExprKind::Literal(firesteel_plan::Literal::String(path)) = call.arguments.get(1)?.kind.as_ref() else {
        return None;
    };
    let mut rest = path.as_str();
    while let Some((before, index)) = rest.strip_suffix(']').and_then(|r| r.rsplit_once('[')) {
        if let Some(key) = index.strip_prefix('\'').and_then(|k| k.strip_suffix('\'')) {
            return Some(key.to_string());
        }
        rest = before;
    }
    rest.rsplit_once('.').map(|(_, key)| key.to_string())
}

/// Whether Spark makes up the whole name of an item without alias, not just takes that of a column, field or literal.
fn is_auto_named(item: &Expr) -> bool {
    match item.kind.as_ref() {
        _ if extracted_key(item).is_some() => false,
        ExprKind::Attribute { .. } | ExprKind::Literal(_) | ExprKind::WithText { .. } => false,
        ExprKind::IdentifierClause(_) | ExprKind::NamedParameter(_) | ExprKind::PositionalParameter(_) => false,
        ExprKind::ExtractValue { child, .. } => is_auto_named(child),
        // A cast has its column's name, but makes one up for a literal.
        ExprKind::Cast { child, .. } | ExprKind::CastToText { child, .. } => {
            !matches!(child.kind.as_ref(), ExprKind::Attribute { .. })
        }
        _ => true,
    }
}

fn metadata_of_json(json: &str) -> Result<std::collections::BTreeMap<String, String>> {
    let value: serde_json::Value = serde_json::from_str(json)
        .map_err(|e| SparkError::new("INVALID_JSON_ROOT_FIELD", [("error", e.to_string())]))?;
    let object = value.as_object().cloned().unwrap_or_default();
    Ok(object.into_iter().map(|(k, v)| (k, v.to_string())).collect())
}
