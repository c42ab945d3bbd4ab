//! `df.show()` and `_repr_html_`: the first rows as one string, in Spark's exact format.
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use firesteel_plan::{DataType, Relation, Result, SparkError, StructField, StructType};

use crate::analyzer::Analyzer;
use crate::context::{AnalyzedQuery, RowsWithSchema};
use crate::expr::SelectValue;
use crate::scope::{Attribute, Resolved};

/// Cells of the first rows as text, and whether there are more rows.
struct Preview {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    has_more: bool,
}

/// Width that no column goes below (so that `null` and short numbers align).
const COLUMN_WIDTH_MIN: usize = 3;

impl Analyzer<'_> {
    pub(super) fn show_string(
        &self,
        input: &Relation,
        num_rows: i32,
        truncate: i32,
        vertical: bool,
    ) -> Result<Resolved> {
        let preview = self.preview(input, num_rows, truncate)?;
        let text = if vertical { vertical_text(&preview, num_rows) } else { table_text(&preview, truncate, num_rows) };
        self.one_string("show_string", text)
    }

    pub(super) fn html_string(&self, input: &Relation, num_rows: i32, truncate: i32) -> Result<Resolved> {
        let preview = self.preview(input, num_rows, truncate)?;
        let mut html = String::from("<table border='1'>\n");
        let row = |tag: &str, cells: &[String]| {
            let cells: String = cells.iter().map(|c| format!("<{tag}>{}</{tag}>", escape_html(c))).collect();
            format!("<tr>{cells}</tr>\n")
        };
        html.push_str(&row("th", &preview.header));
        preview.rows.iter().for_each(|cells| html.push_str(&row("td", cells)));
        html.push_str("</table>\n");
        if preview.has_more {
            html.push_str(&format!("only showing top {num_rows} {}\n", row_word(num_rows)));
        }
        self.one_string("html_string", html)
    }

    fn one_string(&self, name: &str, text: String) -> Result<Resolved> {
        let schema = StructType::new(vec![StructField::new(name, DataType::STRING, false)]);
        let array: arrow::array::ArrayRef = Arc::new(StringArray::from(vec![text]));
        let fields = vec![arrow::datatypes::Field::new("c0", arrow::datatypes::DataType::Utf8, true)];
        let batch = RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), vec![array])
            .map_err(|e| SparkError::internal(e.to_string()))?;
        self.rows(RowsWithSchema { schema, batches: vec![batch] })
    }

    fn preview(&self, input: &Relation, num_rows: i32, truncate: i32) -> Result<Preview> {
        let resolved = self.relation(input)?.sealed()?;
        // Cells are truncated, names are not.
        let header: Vec<String> = resolved.output.iter().map(|a| escape(&a.name)).collect();
        // A negative number of rows means none; the largest INT leaves no room for the one that tells of more.
        let wanted = num_rows.clamp(0, i32::MAX - 16) as i64;
        let plan = super::unary::limit_plan(resolved.plan.clone(), 0, Some(wanted + 1));
        let mut values = vec![];
        for attribute in &resolved.output {
            let typed = self.pretty(attribute.typed())?;
            values.push(SelectValue { typed, attribute: Attribute::new(&attribute.name, DataType::STRING, false) });
        }
        let as_text = self.project_values(resolved.with_plan(plan), values)?;
        let query = AnalyzedQuery { plan: as_text.plan.clone(), schema: as_text.schema() };
        let batches = self.collected(query)?;
        let mut rows: Vec<Vec<String>> = vec![];
        for batch in &batches {
            let columns: Vec<_> = batch.columns().iter().map(|c| c.as_string::<i32>()).collect();
            for row in 0..batch.num_rows() {
                let cell = |c: &&StringArray| {
                    let text = if c.is_null(row) { "NULL" } else { c.value(row) };
                    shorten(&escape(text), truncate)
                };
                rows.push(columns.iter().map(cell).collect());
            }
        }
        let has_more = rows.len() as i64 > wanted;
        rows.truncate(wanted as usize);
        Ok(Preview { header, rows, has_more })
    }
}

impl Analyzer<'_> {
    /// The value as `show` prints it.
    fn pretty(&self, value: firesteel_functions::TypedExpr) -> Result<firesteel_functions::TypedExpr> {
        if value.data_type == DataType::Variant {
            // As JSON: a string in a variant keeps its quotes, which a cast takes off.
            return self.builtin("to_json", vec![value]);
        }
        firesteel_functions::cast::pretty(value, &self.eval)
    }
}

/// Characters that would break the table, as escapes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{c}' => out.push_str("\\f"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{7}' => out.push_str("\\a"),
            other => out.push(other),
        }
    }
    out
}

fn shorten(text: &str, truncate: i32) -> String {
    let Ok(limit) = usize::try_from(truncate) else { return text.to_string() };
    if limit == 0 || text.chars().count() <= limit {
        return text.to_string();
    }
    if limit < 4 {
        return text.chars().take(limit).collect();
    }
    let kept: String = text.chars().take(limit - 3).collect();
    format!("{kept}...")
}

/// Width on a terminal: East Asian wide characters take two columns, as Spark counts them.
fn width(text: &str) -> usize {
    text.chars().map(|c| if is_full_width(c) { 2 } else { 1 }).sum()
}

fn is_full_width(c: char) -> bool {
    matches!(u32::from(c),
        0x1100..=0x115F | 0x2E80..=0x303E | 0x3041..=0x3247 | 0x3250..=0x4DBF | 0x4E00..=0xA4C6
        | 0xA960..=0xA97C | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0xFE10..=0xFE19 | 0xFE30..=0xFE6B
        | 0xFF01..=0xFF60 | 0xFFE0..=0xFFE6)
}

fn table_text(preview: &Preview, truncate: i32, num_rows: i32) -> String {
    let mut widths: Vec<usize> = preview.header.iter().map(|h| width(h).max(COLUMN_WIDTH_MIN)).collect();
    for row in &preview.rows {
        for (known, cell) in widths.iter_mut().zip(row) {
            *known = (*known).max(width(cell));
        }
    }
    let rule: String = widths.iter().map(|w| format!("+{}", "-".repeat(*w))).collect::<String>() + "+\n";
    let line = |cells: &[String]| {
        let mut out = String::new();
        for (cell, known) in cells.iter().zip(&widths) {
            let padding = " ".repeat(known.saturating_sub(width(cell)));
            // Truncated tables are right-aligned, full ones left-aligned.
            let padded = if truncate > 0 { format!("{padding}{cell}") } else { format!("{cell}{padding}") };
            out.push('|');
            out.push_str(&padded);
        }
        out.push_str("|\n");
        out
    };
    let mut text = format!("{rule}{}{rule}", line(&preview.header));
    preview.rows.iter().for_each(|row| text.push_str(&line(row)));
    text.push_str(&rule);
    if preview.has_more {
        text.push_str(&format!("only showing top {num_rows} {}\n", row_word(num_rows)));
    }
    text
}

fn vertical_text(preview: &Preview, num_rows: i32) -> String {
    let names = preview.header.iter().map(|h| width(h)).max().unwrap_or(0).max(COLUMN_WIDTH_MIN);
    let cells = preview.rows.iter().flatten().map(|c| width(c)).max().unwrap_or(0).max(COLUMN_WIDTH_MIN);
    let mut text = String::new();
    for (index, row) in preview.rows.iter().enumerate() {
        let title = format!("-RECORD {index}");
        text.push_str(&format!("{title}{}\n", "-".repeat((names + cells + 5).saturating_sub(title.len()))));
        for (name, cell) in preview.header.iter().zip(row) {
            let name_padding = " ".repeat(names - width(name));
            let cell_padding = " ".repeat(cells - width(cell));
            text.push_str(&format!(" {name}{name_padding} | {cell}{cell_padding} \n"));
        }
    }
    if preview.has_more {
        text.push_str(&format!("only showing top {num_rows} {}\n", row_word(num_rows)));
    } else if preview.rows.is_empty() {
        text.push_str("(0 rows)\n");
    }
    text
}

fn row_word(count: i32) -> &'static str {
    if count == 1 { "row" } else { "rows" }
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
