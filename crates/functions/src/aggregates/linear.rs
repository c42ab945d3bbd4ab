//! Covariance, correlation and linear regression of pairs, from co-moments.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType as ArrowType, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Accumulator;
use firesteel_plan::{DataType, Result};

use super::call::AggregateBuilder;
use super::udaf::{AggregateCall, AggregateKernel};
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::signature::Accept;

/// Over the pairs where neither is NULL: means, co-moment and second moments.
#[derive(Debug, Clone, Copy, Default)]
struct CoMoments {
    n: f64,
    x_mean: f64,
    y_mean: f64,
    ck: f64,
    x_mk: f64,
    y_mk: f64,
}

impl CoMoments {
    fn add(&mut self, x: f64, y: f64) {
        let n = self.n + 1.0;
        let (dx, dy) = (x - self.x_mean, y - self.y_mean);
        let (dx_n, dy_n) = (dx / n, dy / n);
        let (x_mean, y_mean) = (self.x_mean + dx_n, self.y_mean + dy_n);
        *self = Self {
            n,
            x_mean,
            y_mean,
            ck: self.ck + dx * (y - y_mean),
            x_mk: self.x_mk + dx * (dx - dx_n),
            y_mk: self.y_mk + dy * (dy - dy_n),
        };
    }

    fn merge(&mut self, other: &Self) {
        if other.n == 0.0 {
            return;
        }
        let (n1, n2) = (self.n, other.n);
        let n = n1 + n2;
        let (dx, dy) = (other.x_mean - self.x_mean, other.y_mean - self.y_mean);
        let (dx_n, dy_n) = (dx / n, dy / n);
        *self = Self {
            n,
            x_mean: self.x_mean + dx_n * n2,
            y_mean: self.y_mean + dy_n * n2,
            ck: self.ck + other.ck + dx * dy_n * n1 * n2,
            x_mk: self.x_mk + other.x_mk + dx * dx_n * n1 * n2,
            y_mk: self.y_mk + other.y_mk + dy * dy_n * n1 * n2,
        };
    }

    /// For `regr_*` the first argument is y, the dependent one.
    fn finish(&self, name: &str, legacy: bool) -> Option<f64> {
        if name == "regr_count" {
            return Some(self.n);
        }
        if self.n == 0.0 {
            return None;
        }
        let by_zero = legacy.then_some(f64::NAN);
        match name {
            "covar_pop" => Some(self.ck / self.n),
            "covar_samp" if self.n == 1.0 => by_zero,
            "covar_samp" => Some(self.ck / (self.n - 1.0)),
            "corr" if self.n == 1.0 => by_zero,
            "corr" => Some(self.ck / (self.x_mk * self.y_mk).sqrt()),
            "regr_avgx" => Some(self.x_mean),
            "regr_avgy" => Some(self.y_mean),
            "regr_sxx" => Some(self.x_mk / self.n * self.n),
            "regr_syy" => Some(self.y_mk / self.n * self.n),
            "regr_sxy" => Some(self.ck / self.n * self.n),
            "regr_r2" if self.x_mk == 0.0 => None,
            "regr_r2" if self.y_mk == 0.0 => Some(1.0),
            "regr_r2" => {
                let corr = self.ck / (self.x_mk * self.y_mk).sqrt();
                Some(corr * corr)
            }
            _ if self.n < 2.0 || self.x_mk == 0.0 => None,
            "regr_slope" => Some(self.slope()),
            _ => Some(self.y_mean - self.slope() * self.x_mean),
        }
    }

    fn slope(&self) -> f64 {
        (self.ck / self.n) / (self.x_mk / self.n)
    }
}

struct CoMomentsAccumulator {
    call: Arc<AggregateCall>,
    legacy: bool,
    /// Whether the first argument is y
    y_first: bool,
    moments: CoMoments,
}

impl std::fmt::Debug for CoMomentsAccumulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.call.name, self.moments)
    }
}

impl Accumulator for CoMomentsAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let columns: Vec<_> = values.iter().filter_map(|v| v.as_primitive_opt::<Float64Type>()).collect();
        let [first, second] = columns.as_slice() else { return Ok(()) };
        for pair in first.iter().zip(second.iter()) {
            match pair {
                (Some(y), Some(x)) if self.y_first => self.moments.add(x, y),
                (Some(x), Some(y)) => self.moments.add(x, y),
                _ => {}
            }
        }
        Ok(())
    }
    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        let value = self.moments.finish(self.call.name, self.legacy);
        Ok(match self.call.return_type {
            DataType::Long => ScalarValue::Int64(value.map(|v| v as i64)),
            _ => ScalarValue::Float64(value),
        })
    }
    fn size(&self) -> usize {
        size_of::<Self>()
    }
    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        let m = &self.moments;
        let all = [m.n, m.x_mean, m.y_mean, m.ck, m.x_mk, m.y_mk];
        Ok(all.into_iter().map(|v| ScalarValue::Float64(Some(v))).collect())
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        let columns: Vec<_> = states.iter().filter_map(|s| s.as_primitive_opt::<Float64Type>()).collect();
        let [n, x_mean, y_mean, ck, x_mk, y_mk] = columns.as_slice() else { return Ok(()) };
        for row in 0..n.len() {
            let other = CoMoments {
                n: n.value(row),
                x_mean: x_mean.value(row),
                y_mean: y_mean.value(row),
                ck: ck.value(row),
                x_mk: x_mk.value(row),
                y_mk: y_mk.value(row),
            };
            self.moments.merge(&other);
        }
        Ok(())
    }
}

const KERNEL: AggregateKernel = AggregateKernel {
    accumulator: |call| {
        Ok(Box::new(CoMomentsAccumulator {
            call: Arc::clone(call),
            legacy: call.context.flag("spark.sql.legacy.statisticalAggregate", false),
            y_first: call.name.starts_with("regr"),
            moments: CoMoments::default(),
        }))
    },
    groups: None,
    state: |_| vec![ArrowType::Float64; 6],
};

const NAMES: &[&str] = &[
    "covar_pop",
    "covar_samp",
    "corr",
    "regr_count",
    "regr_avgx",
    "regr_avgy",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "regr_slope",
    "regr_intercept",
    "regr_r2",
];

fn build(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 2, 2)?;
    let called = context.called_as.to_lowercase();
    let name = NAMES.iter().copied().find(|n| *n == called).unwrap_or("corr");
    let mut builder = AggregateBuilder::new(context, arguments)?;
    builder.accept(&[Accept::Double, Accept::Double])?;
    let count = name == "regr_count";
    builder.finish(name, KERNEL, if count { DataType::Long } else { DataType::Double }, !count, vec![], vec![])
}

macro_rules! entry {
    ($name:literal, $arguments:literal, $what:literal, $result:literal, $since:literal) => {
        Function {
            name: $name,
            aliases: &[],
            kind: FunctionKind::Aggregate,
            group: "agg_funcs",
            parameters: &[],
            build: Build::Custom(build),
            usage: concat!($name, $arguments, " - ", $what, " over the pairs of a group without a NULL."),
            examples: &[(concat!("SELECT ", $name, "(a, b) FROM VALUES (1, 1), (2, 2), (3, 3) AS tab(a, b)"), $result)],
            since: $since,
        }
    };
}

pub static FUNCTIONS: &[Function] = &[
    entry!("covar_pop", "(expr1, expr2)", "Population covariance", "0.6666666666666666", "2.0.0"),
    entry!("covar_samp", "(expr1, expr2)", "Sample covariance", "1.0", "2.0.0"),
    entry!("corr", "(expr1, expr2)", "Pearson correlation", "1.0", "1.6.0"),
    entry!("regr_count", "(y, x)", "Number of pairs", "3", "3.3.0"),
    entry!("regr_avgx", "(y, x)", "Mean of x", "2.0", "3.3.0"),
    entry!("regr_avgy", "(y, x)", "Mean of y", "2.0", "3.3.0"),
    entry!("regr_sxx", "(y, x)", "Sum of squares of x around its mean", "2.0", "3.4.0"),
    entry!("regr_sxy", "(y, x)", "Sum of products of x and y around their means", "2.0", "3.4.0"),
    entry!("regr_syy", "(y, x)", "Sum of squares of y around its mean", "2.0", "3.4.0"),
    entry!("regr_slope", "(y, x)", "Slope of the fitted line", "1.0", "3.4.0"),
    entry!("regr_intercept", "(y, x)", "Intercept of the fitted line", "0.0", "3.4.0"),
    entry!("regr_r2", "(y, x)", "Coefficient of determination", "1.0", "3.3.0"),
];
