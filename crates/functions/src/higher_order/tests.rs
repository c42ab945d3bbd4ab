//! Lambdas through DataFusion's whole planner: captured columns, nested lambdas, projections that move columns.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray, RecordBatch};
use arrow::datatypes::{Field, Int32Type, Schema};
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::expr::{BinaryExpr, LambdaVariable};
use datafusion::logical_expr::{Expr, Operator};
use datafusion::prelude::{DataFrame, SessionContext};
use firesteel_plan::DataType;

use crate::registry::{Arguments, BuildContext, Built, LambdaArgument, ResolvedLambda, lookup};
use crate::{EvalContext, TypedExpr, types};

fn ints() -> DataType {
    DataType::array(DataType::Integer, true)
}

/// `unused`, `b` and `a`: [1, 2, 3], NULL, [], [5, NULL].
fn input() -> DataFrame {
    let lists = [Some(vec![Some(1), Some(2), Some(3)]), None, Some(vec![]), Some(vec![Some(5), None])];
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(lists);
    let lists = crate::nested::conform(&(Arc::new(lists) as ArrayRef), &types::to_arrow(&ints())).unwrap();
    let b: ArrayRef = Arc::new(Int32Array::from(vec![10, 20, 30, 40]));
    let schema = Arc::new(Schema::new(vec![
        Field::new("unused", b.data_type().clone(), true),
        Field::new("b", b.data_type().clone(), true),
        Field::new("a", lists.data_type().clone(), true),
    ]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::clone(&b), b, lists]).unwrap();
    let table = MemTable::try_new(schema, vec![vec![batch]]).unwrap();
    SessionContext::new().read_table(Arc::new(table)).unwrap()
}

fn column(name: &str, data_type: DataType) -> TypedExpr {
    TypedExpr::new(Expr::Column(Column::new_unqualified(name)), data_type, true, name)
}

fn plus(left: Expr, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), Operator::Plus, Box::new(right)))
}

fn variable(name: &str, data_type: &DataType) -> Expr {
    let field = Field::new(name, types::to_arrow(data_type), true);
    Expr::LambdaVariable(LambdaVariable::new(name.to_string(), Some(Arc::new(field))))
}

/// A lambda of `count` parameters named `p#0`, `p#1` … whose body `body` builds from them.
fn lambda<'a>(count: usize, prefix: &'a str, body: impl Fn(&[Expr]) -> TypedExpr + 'a) -> LambdaArgument<'a> {
    LambdaArgument {
        parameter_count: count,
        resolve: Box::new(move |given| {
            let parameters: Vec<_> = (0..given.len()).map(|i| format!("{prefix}#{i}")).collect();
            let variables: Vec<_> = parameters.iter().zip(given).map(|(n, (t, _))| variable(n, t)).collect();
            Ok(ResolvedLambda { parameters, body: body(&variables) })
        }),
    }
}

fn call(name: &str, values: Vec<TypedExpr>, lambdas: Vec<(usize, LambdaArgument<'_>)>) -> TypedExpr {
    let eval = Arc::new(EvalContext::default());
    let context = BuildContext { called_as: name, eval: &eval, origin: None, is_operator: false };
    let arguments = Arguments { values, lambdas, ..Arguments::default() };
    match lookup(name).unwrap().call(&context, arguments).unwrap() {
        Built::Expr(expr) => expr,
        Built::Generator(_) => panic!("not a scalar"),
    }
}

fn int(expr: Expr) -> TypedExpr {
    TypedExpr::new(expr, DataType::Integer, true, "body")
}

async fn run(frame: DataFrame) -> ArrayRef {
    let batches = frame.collect().await.unwrap();
    let columns: Vec<_> = batches.iter().map(|b| b.column(0).as_ref()).collect();
    arrow::compute::concat(&columns).unwrap()
}

fn text(array: &ArrayRef) -> Vec<String> {
    (0..array.len()).map(|row| ScalarValue::try_from_array(array, row).unwrap().to_string()).collect()
}

#[tokio::test]
async fn transform_reads_captured_columns() {
    let b = Expr::Column(Column::new_unqualified("b"));
    let body = lambda(1, "x", |p| int(plus(p[0].clone(), b.clone())));
    let expr = call("transform", vec![column("a", ints())], vec![(1, body)]);
    assert_eq!(expr.sql, "transform(a, lambdafunction(body, namedlambdavariable()))");
    let result = run(input().select(vec![expr.expr.alias("r")]).unwrap()).await;
    assert_eq!(text(&result), ["[11, 12, 13]", "", "[]", "[45, ]"]);
}

#[tokio::test]
async fn nested_lambdas_capture_outer_parameters() {
    let inner = lambda(1, "x", |outer| {
        let outer = outer[0].clone();
        let body = lambda(1, "y", move |p| int(plus(p[0].clone(), outer.clone())));
        call("transform", vec![column("a", ints())], vec![(1, body)])
    });
    let expr = call("transform", vec![column("a", ints())], vec![(1, inner)]);
    let result = run(input().select(vec![expr.expr.alias("r")]).unwrap()).await;
    assert_eq!(text(&result)[0], "[[2, 3, 4], [3, 4, 5], [4, 5, 6]]");
}

#[tokio::test]
async fn a_predicate_moves_with_its_columns() {
    let b = Expr::Column(Column::new_unqualified("b"));
    let body = lambda(1, "x", |p| {
        let greater = BinaryExpr::new(Box::new(plus(p[0].clone(), b.clone())), Operator::Gt, Box::new(literal(12)));
        TypedExpr::new(Expr::BinaryExpr(greater), DataType::Boolean, true, "body")
    });
    let expr = call("exists", vec![column("a", ints())], vec![(1, body)]);
    let narrow = input().select_columns(&["a", "b"]).unwrap().filter(expr.expr).unwrap();
    let result = run(narrow.select_columns(&["b"]).unwrap()).await;
    assert_eq!(result.as_primitive::<Int32Type>().values(), &[10, 40]);
}

fn literal(value: i32) -> Expr {
    Expr::Literal(ScalarValue::Int32(Some(value)), None)
}

#[tokio::test]
async fn aggregate_folds_rows_of_different_length() {
    let merge = lambda(2, "x", |p| int(plus(p[0].clone(), p[1].clone())));
    let expr = call("aggregate", vec![column("a", ints()), column("b", DataType::Integer)], vec![(2, merge)]);
    let result = run(input().select(vec![expr.expr.alias("r")]).unwrap()).await;
    assert_eq!(text(&result), ["16", "NULL", "30", "NULL"]);
}
