//! `mask`: hides letters and digits.
use arrow::array::ArrayRef;
use firesteel_plan::{DataType, Result, SparkError};

use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::rows;
use crate::scalar::ScalarArgs;
use crate::signature::{Accept, DefaultArgument, Returns, Signature, SimpleType};
use crate::view;

fn mask(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::strings(args, 0)?;
    let masks = [1, 2, 3, 4].map(|i| args.scalar_str(i).and_then(|s| s.chars().next()));
    let [upper, lower, digit, other] = masks;
    rows::text(args.rows, |row, out| {
        out.extend(input.get(row)?.chars().map(|c| {
            let mask = match c {
                _ if c.is_uppercase() => upper,
                _ if c.is_lowercase() => lower,
                _ if c.is_ascii_digit() => digit,
                _ => other,
            };
            mask.unwrap_or(c)
        }));
        Some(())
    })
}

const NAMES: &[&str] = &["upperChar", "lowerChar", "digitChar", "otherChar"];

fn build(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    const MASK: Accept = Accept::ExactString;
    let signature = Signature::new(&[Accept::ExactString], Returns::Argument(0), mask)
        .optional(&[MASK, MASK, MASK, MASK])
        .defaults(&[
            DefaultArgument::String("X"),
            DefaultArgument::String("x"),
            DefaultArgument::String("n"),
            DefaultArgument::Null(SimpleType::String),
        ]);
    let given: Vec<_> = arguments.values.iter().skip(1).cloned().collect();
    let function = crate::registry::lookup("mask").ok_or_else(|| SparkError::internal("mask"))?;
    let built = signature.build(function, context, arguments)?.with_nullable(true);
    for (value, name) in given.iter().zip(NAMES) {
        let sql = ("sqlExpr", format!("\"{}\"", built.sql));
        if !value.is_foldable() {
            let input_type = if value.data_type == DataType::Null { "STRING".into() } else { value.data_type.sql() };
            return Err(SparkError::new(
                "DATATYPE_MISMATCH.NON_FOLDABLE_INPUT",
                [
                    ("inputName", format!("`{name}`")),
                    ("inputType", format!("\"{input_type}\"")),
                    ("inputExpr", format!("\"{}\"", value.sql)),
                    sql,
                ],
            ));
        }
        if value.as_string_literal().is_some_and(|text| text.chars().count() != 1) {
            return Err(SparkError::new("DATATYPE_MISMATCH.INPUT_SIZE_NOT_ONE", [("exprName", name.to_string()), sql]));
        }
    }
    Ok(Built::Expr(built))
}

pub static FUNCTIONS: &[Function] = &[Function {
    name: "mask",
    aliases: &[],
    kind: FunctionKind::Scalar,
    group: "string_funcs",
    parameters: &["str", "upperChar", "lowerChar", "digitChar", "otherChar"],
    build: Build::Custom(build),
    usage: "mask(str[, upperChar[, lowerChar[, digitChar[, otherChar]]]]) - Replaces upper-case letters by 'X', \
            lower-case ones by 'x' and digits by 'n', or by the given characters; NULL leaves a kind as it is.",
    examples: &[("SELECT mask('abcd-EFGH-8765-4321');", "xxxx-XXXX-nnnn-nnnn")],
    since: "3.5.0",
}];
