//! SELECT TRANSFORM (…) USING 'script', and the older MAP and REDUCE.
use firesteel_plan::relation::{ScriptFormat, ScriptTransformation};
use firesteel_plan::{DataType, Relation, RelationKind, Result, StructField};

use crate::parser::Parser;
use crate::token::Kind;

impl Parser<'_> {
    pub(crate) fn at_transform(&self) -> bool {
        match self.kind() {
            Kind::SELECT => {
                self.kind_at(1) == Kind::TRANSFORM && self.kind_at(2) == Kind::LeftParen && self.script_follows()
            }
            Kind::MAP | Kind::REDUCE => self.begins_query_at(0),
            _ => false,
        }
    }

    /// Whether what follows `TRANSFORM (…)` belongs to a script, so that it is no call of the function `transform`.
    fn script_follows(&self) -> bool {
        let mut depth = 0usize;
        let mut ahead = 2;
        loop {
            match self.kind_at(ahead) {
                Kind::LeftParen => depth += 1,
                Kind::RightParen if depth <= 1 => break,
                Kind::RightParen => depth -= 1,
                Kind::EndOfInput => return false,
                _ => {}
            }
            ahead += 1;
        }
        matches!(self.kind_at(ahead + 1), Kind::USING | Kind::ROW | Kind::RECORDWRITER)
    }

    pub(crate) fn transform_specification(&mut self, from: Option<Relation>) -> Result<Relation> {
        let start = self.position();
        let in_parentheses = self.advance().kind == Kind::SELECT;
        if in_parentheses {
            self.advance();
            self.expect(Kind::LeftParen)?;
        }
        if self.at_any(&[Kind::DISTINCT, Kind::ALL]) && self.kind_at(1) != Kind::Comma {
            return Err(self.plain_error_from(start, "UNSUPPORTED_FEATURE.TRANSFORM_DISTINCT_ALL"));
        }
        let expressions = self.expressions()?;
        if in_parentheses {
            self.expect(Kind::RightParen)?;
        }
        let input_format = self.script_format(Kind::RECORDWRITER)?;
        self.expect(Kind::USING)?;
        let script = self.string_literal()?;
        let (output, is_schema_less) = self.script_output()?;
        let output_format = self.script_format(Kind::RECORDREADER)?;
        let mut input = match from {
            Some(input) => input,
            None if self.at(Kind::FROM) => self.from_clause()?,
            None => Relation::new(RelationKind::OneRow),
        };
        input = self.lateral_views(input, start)?;
        if self.eat(Kind::WHERE) {
            let condition = self.expression()?;
            input = self.wrap(start, RelationKind::Filter { input: input.into(), condition });
        }
        let grouping = self.group_by_clause()?;
        let having = if self.eat(Kind::HAVING) { Some(self.expression()?) } else { None };
        input = match (grouping, having) {
            (None, None) => self.wrap(start, RelationKind::Project { input: input.into(), expressions }),
            (grouping, having) => {
                let grouping = grouping.unwrap_or_else(|| firesteel_plan::relation::Grouping::By(vec![]));
                let kind =
                    RelationKind::Aggregate { input: input.into(), grouping, aggregates: expressions, pivot: None };
                let aggregate = self.wrap(start, kind);
                match having {
                    None => aggregate,
                    Some(condition) => self.wrap(start, RelationKind::Having { input: aggregate.into(), condition }),
                }
            }
        };
        let windows = self.window_clause()?;
        let transformation =
            ScriptTransformation { input, script, output, is_schema_less, input_format, output_format };
        let mut result = self.wrap(start, RelationKind::ScriptTransformation(Box::new(transformation)));
        if let Some(windows) = windows {
            result = self.wrap(start, RelationKind::WithWindows { input: result.into(), windows });
        }
        Ok(result)
    }

    /// `AS a, b`, `AS (a INT, b STRING)`; without AS a key and a value.
    fn script_output(&mut self) -> Result<(Vec<StructField>, bool)> {
        let string = |name: String| StructField::new(name, DataType::STRING, true);
        if !self.eat(Kind::AS) {
            return Ok((vec![string("key".into()), string("value".into())], true));
        }
        let in_parentheses = self.eat(Kind::LeftParen);
        let is_names =
            matches!(self.kind_at(1), Kind::Comma | Kind::RightParen | Kind::EndOfInput | Kind::FROM | Kind::ROW)
                || self.kind_at(1) == Kind::RECORDREADER;
        let fields = if is_names {
            self.comma_list(Self::name)?.into_iter().map(string).collect()
        } else {
            self.column_types()?
        };
        if in_parentheses {
            self.expect(Kind::RightParen)?;
        }
        Ok((fields, false))
    }

    fn script_format(&mut self, handler: Kind) -> Result<ScriptFormat> {
        let row_format = self.optional_row_format()?;
        let handler = self.optional_string_after(handler)?;
        Ok(ScriptFormat { row_format, handler })
    }
}
