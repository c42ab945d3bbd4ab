//! Functions on vectors: arrays of FLOAT.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float32Builder, ListArray, ListBuilder};
use arrow::datatypes::{DataType as ArrowType, Field, Float32Type};
use firesteel_plan::{DataType, Result, SparkError};

use crate::mismatch::{call_sql, unexpected_input};
use crate::quote;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::scalar::{Kernel, ScalarArgs, SparkScalar};
use crate::typed::TypedExpr;
use crate::types::LIST_ELEMENT;
use crate::view;

fn is_vector(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Array(element, _) if **element == DataType::Float)
}

/// Errors unless argument `index` of the call `sql` is an array of FLOAT; nothing is cast to it.
pub fn expect_vector(sql: &str, index: usize, argument: &TypedExpr) -> Result<()> {
    if is_vector(&argument.data_type) {
        return Ok(());
    }
    Err(unexpected_input(sql, index, argument, "\"ARRAY<FLOAT>\""))
}

pub fn dimension_mismatch(function: &str, left: usize, right: usize) -> SparkError {
    let dimensions = [("leftDim", left.to_string()), ("rightDim", right.to_string())];
    SparkError::new(
        "VECTOR_DIMENSION_MISMATCH",
        [("functionName", quote::sql_id(function))].into_iter().chain(dimensions),
    )
}

/// One vector argument, row by row.
struct Vectors {
    lists: ListArray,
    constant: bool,
}

impl Vectors {
    fn of(args: &ScalarArgs<'_>, index: usize) -> Result<Self> {
        let given = view::any(args, index)?;
        let lists = given.array.as_list_opt::<i32>().cloned();
        let lists = lists.ok_or_else(|| SparkError::internal("a vector is an array"))?;
        Ok(Self { lists, constant: given.constant })
    }

    /// `None` for NULL, and for a vector with a NULL in it.
    fn get(&self, row: usize) -> Option<Vec<f32>> {
        let row = if self.constant { 0 } else { row };
        if self.lists.is_null(row) {
            return None;
        }
        let values = self.lists.value(row);
        let floats = values.as_primitive_opt::<Float32Type>()?;
        if floats.null_count() > 0 { None } else { Some(floats.values().to_vec()) }
    }
}

/// A number of two vectors of one dimension.
fn pairs(args: &ScalarArgs<'_>, compute: impl Fn(&[f32], &[f32]) -> Option<f32>) -> Result<ArrayRef> {
    let (left, right) = (Vectors::of(args, 0)?, Vectors::of(args, 1)?);
    let one = |row| {
        let (Some(a), Some(b)) = (left.get(row), right.get(row)) else { return Ok(None) };
        if a.len() != b.len() {
            return Err(dimension_mismatch(args.option(0), a.len(), b.len()));
        }
        Ok(compute(&a, &b))
    };
    Ok(Arc::new((0..args.rows).map(one).collect::<Result<Float32Array>>()?))
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn inner_product(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    pairs(args, |a, b| Some(dot(a, b)))
}

fn cosine_similarity(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    pairs(args, |a, b| {
        let magnitude = f64::from(dot(a, a) * dot(b, b)).sqrt() as f32;
        (magnitude > 0.0).then(|| dot(a, b) / magnitude)
    })
}

fn l2_distance(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    pairs(args, |a, b| {
        let differences: Vec<f32> = a.iter().zip(b).map(|(x, y)| x - y).collect();
        Some(f64::from(dot(&differences, &differences)).sqrt() as f32)
    })
}

/// The length of a vector by a norm: 1, 2 or infinity.
fn norm_of(vector: &[f32], degree: f32, function: &str) -> Result<f32> {
    if degree == 1.0 {
        Ok(vector.iter().map(|x| x.abs()).sum())
    } else if degree == 2.0 {
        Ok(f64::from(dot(vector, vector)).sqrt() as f32)
    } else if degree == f32::INFINITY {
        Ok(vector.iter().fold(0.0, |max: f32, x| max.max(x.abs())))
    } else {
        let degree = crate::java_number::float(degree);
        Err(SparkError::new(
            "INVALID_VECTOR_NORM_DEGREE",
            [("functionName", quote::sql_id(function)), ("degree", degree)],
        ))
    }
}

/// Calls `visit` with each vector and its norm, or with nothing.
fn for_each_norm(args: &ScalarArgs<'_>, mut visit: impl FnMut(Option<(Vec<f32>, f32)>)) -> Result<()> {
    let (vectors, degrees) = (Vectors::of(args, 0)?, view::any(args, 1)?);
    let degrees_of = degrees.array.as_primitive_opt::<Float32Type>();
    for row in 0..args.rows {
        let degree = degrees_of.filter(|d| d.is_valid(degrees.index(row))).map(|d| d.value(degrees.index(row)));
        let (Some(vector), Some(degree)) = (vectors.get(row), degree) else {
            visit(None);
            continue;
        };
        let norm = norm_of(&vector, degree, args.option(0))?;
        visit(Some((vector, norm)));
    }
    Ok(())
}

fn norm(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let mut norms = Float32Builder::with_capacity(args.rows);
    for_each_norm(args, |found| norms.append_option(found.map(|(_, norm)| norm)))?;
    Ok(Arc::new(norms.finish()))
}

/// NULL for a vector without length; an empty one stays.
fn normalize(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let field = Field::new(LIST_ELEMENT, ArrowType::Float32, contains_null(args.return_type));
    let mut lists = ListBuilder::new(Float32Builder::new()).with_field(field);
    for_each_norm(args, |found| match found {
        Some((vector, norm)) if norm > 0.0 || vector.is_empty() => {
            vector.iter().for_each(|x| lists.values().append_value(x / norm));
            lists.append(true);
        }
        _ => lists.append(false),
    })?;
    Ok(Arc::new(lists.finish()))
}

fn contains_null(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Array(_, true))
}

fn build_pair(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 2, 2)?;
    let (name, kernel): (&'static str, Kernel) = match context.called_as {
        "vector_inner_product" => ("vector_inner_product", inner_product),
        "vector_l2_distance" => ("vector_l2_distance", l2_distance),
        _ => ("vector_cosine_similarity", cosine_similarity),
    };
    let sql = call_sql(name, &arguments.values);
    for (index, argument) in arguments.values.iter().enumerate() {
        expect_vector(&sql, index, argument)?;
    }
    let call = SparkScalar::call(name, kernel, arguments.values, DataType::Float, true, context.eval);
    Ok(Built::Expr(call.options(vec![name.into()]).origin(context.origin.clone()).build().with_sql(sql)))
}

fn build_norm(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 2)?;
    if arguments.values.len() == 1 {
        let two = datafusion::common::ScalarValue::Float32(Some(2.0));
        arguments.values.push(TypedExpr::literal(two, DataType::Float, "2.0"));
    }
    let (name, kernel): (&'static str, Kernel) = match context.called_as {
        "vector_norm" => ("vector_norm", norm),
        _ => ("vector_normalize", normalize),
    };
    let sql = call_sql(name, &arguments.values);
    expect_vector(&sql, 0, &arguments.values[0])?;
    if arguments.values[1].data_type != DataType::Float {
        return Err(unexpected_input(&sql, 1, &arguments.values[1], "\"FLOAT\""));
    }
    let result = if name == "vector_norm" { DataType::Float } else { DataType::array(DataType::Float, true) };
    let call = SparkScalar::call(name, kernel, arguments.values, result, true, context.eval);
    Ok(Built::Expr(call.options(vec![name.into()]).origin(context.origin.clone()).build().with_sql(sql)))
}

macro_rules! entry {
    ($name:literal, $build:expr, $usage:literal, $sql:literal, $result:literal) => {
        Function {
            name: $name,
            aliases: &[],
            kind: FunctionKind::Scalar,
            group: "vector_funcs",
            parameters: &[],
            build: Build::Custom($build),
            usage: $usage,
            examples: &[($sql, $result)],
            since: "4.2.0",
        }
    };
}

pub static FUNCTIONS: &[Function] = &[
    entry!(
        "vector_cosine_similarity",
        build_pair,
        "vector_cosine_similarity(left, right) - The cosine of the angle between two vectors.",
        "SELECT vector_cosine_similarity(array(1F, 0F), array(1F, 0F))",
        "1.0"
    ),
    entry!(
        "vector_inner_product",
        build_pair,
        "vector_inner_product(left, right) - The sum of the products of two vectors' elements.",
        "SELECT vector_inner_product(array(1F, 2F), array(3F, 4F))",
        "11.0"
    ),
    entry!(
        "vector_l2_distance",
        build_pair,
        "vector_l2_distance(left, right) - How far two vectors are from each other.",
        "SELECT vector_l2_distance(array(1F, 2F), array(4F, 6F))",
        "5.0"
    ),
    entry!(
        "vector_norm",
        build_norm,
        "vector_norm(vector[, degree]) - The length of a vector; degree is 1, 2 (without it) or infinity.",
        "SELECT vector_norm(array(3F, 4F))",
        "5.0"
    ),
    entry!(
        "vector_normalize",
        build_norm,
        "vector_normalize(vector[, degree]) - A vector of length 1 in the same direction.",
        "SELECT vector_normalize(array(3F, 4F), 1F)",
        "[0.42857143,0.5714286]"
    ),
];
