//! Variance, deviation, skewness and kurtosis from central moments, merged as Spark merges them.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType as ArrowType, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Accumulator;
use firesteel_plan::{DataType, Result};

use super::call::AggregateBuilder;
use super::entry;
use super::udaf::{AggregateCall, AggregateKernel};
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::signature::Accept;

/// Count, mean and the sums of the 2nd to 4th powers of the distance from it.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    n: f64,
    mean: f64,
    m2: f64,
    m3: f64,
    m4: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        let n = self.n + 1.0;
        let delta = value - self.mean;
        let delta_n = delta / n;
        let m2 = self.m2 + delta * (delta - delta_n);
        let (delta2, delta_n2) = (delta * delta, delta_n * delta_n);
        let m3 = self.m3 - 3.0 * delta_n * m2 + delta * (delta2 - delta_n2);
        let m4 = self.m4 - 4.0 * delta_n * m3 - 6.0 * delta_n2 * m2 + delta * (delta * delta2 - delta_n * delta_n2);
        *self = Self { n, mean: self.mean + delta_n, m2, m3, m4 };
    }

    fn merge(&mut self, other: &Self) {
        if other.n == 0.0 {
            return;
        }
        let (n1, n2) = (self.n, other.n);
        let n = n1 + n2;
        let delta = other.mean - self.mean;
        let delta_n = if n == 0.0 { 0.0 } else { delta / n };
        let m2 = self.m2 + other.m2 + delta * delta_n * n1 * n2;
        let m3 = self.m3
            + other.m3
            + delta_n * delta_n * delta * n1 * n2 * (n1 - n2)
            + 3.0 * delta_n * (n1 * other.m2 - n2 * self.m2);
        let m4 = self.m4
            + other.m4
            + delta_n * delta_n * delta_n * delta * n1 * n2 * (n1 * n1 - n1 * n2 + n2 * n2)
            + 6.0 * delta_n * delta_n * (n1 * n1 * other.m2 + n2 * n2 * self.m2)
            + 4.0 * delta_n * (n1 * other.m3 - n2 * self.m3);
        *self = Self { n, mean: self.mean + delta_n * n2, m2, m3, m4 };
    }

    fn finish(&self, name: &str, legacy: bool) -> Option<f64> {
        if self.n == 0.0 {
            return None;
        }
        // A division by zero gives NULL, or NaN as Spark 3.0 did.
        let by_zero = legacy.then_some(f64::NAN);
        match name {
            "var_pop" => Some(self.m2 / self.n),
            "stddev_pop" => Some((self.m2 / self.n).sqrt()),
            "var_samp" if self.n == 1.0 => by_zero,
            "stddev_samp" if self.n == 1.0 => by_zero,
            "var_samp" => Some(self.m2 / (self.n - 1.0)),
            "stddev_samp" => Some((self.m2 / (self.n - 1.0)).sqrt()),
            _ if self.m2 == 0.0 => by_zero,
            "skewness" => Some(self.n.sqrt() * self.m3 / (self.m2 * self.m2 * self.m2).sqrt()),
            _ => Some(self.n * self.m4 / (self.m2 * self.m2) - 3.0),
        }
    }
}

struct MomentsAccumulator {
    call: Arc<AggregateCall>,
    legacy: bool,
    moments: Moments,
}

impl std::fmt::Debug for MomentsAccumulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.call.name, self.moments)
    }
}

impl Accumulator for MomentsAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        if let Some(values) = values.first().and_then(|v| v.as_primitive_opt::<Float64Type>()) {
            values.iter().flatten().for_each(|v| self.moments.add(v));
        }
        Ok(())
    }
    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        Ok(ScalarValue::Float64(self.moments.finish(self.call.name, self.legacy)))
    }
    fn size(&self) -> usize {
        size_of::<Self>()
    }
    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        let m = &self.moments;
        Ok([m.n, m.mean, m.m2, m.m3, m.m4].into_iter().map(|v| ScalarValue::Float64(Some(v))).collect())
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        let columns: Vec<_> = states.iter().filter_map(|s| s.as_primitive_opt::<Float64Type>()).collect();
        let [n, mean, m2, m3, m4] = columns.as_slice() else { return Ok(()) };
        for row in 0..n.len() {
            let other = Moments {
                n: n.value(row),
                mean: mean.value(row),
                m2: m2.value(row),
                m3: m3.value(row),
                m4: m4.value(row),
            };
            self.moments.merge(&other);
        }
        Ok(())
    }
}

const KERNEL: AggregateKernel = AggregateKernel {
    accumulator: |call| {
        Ok(Box::new(MomentsAccumulator {
            call: Arc::clone(call),
            legacy: call.context.flag("spark.sql.legacy.statisticalAggregate", false),
            moments: Moments::default(),
        }))
    },
    groups: None,
    state: |_| vec![ArrowType::Float64; 5],
};

fn build(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 1)?;
    let name = match context.called_as.to_lowercase().as_str() {
        "var_pop" => "var_pop",
        "variance" | "var_samp" => "var_samp",
        "stddev_pop" => "stddev_pop",
        "skewness" => "skewness",
        "kurtosis" => "kurtosis",
        _ => "stddev_samp",
    };
    let mut builder = AggregateBuilder::new(context, arguments)?;
    builder.accept(&[Accept::Double])?;
    builder.finish(name, KERNEL, DataType::Double, true, vec![], vec![])
}

macro_rules! moment {
    ($name:literal, $aliases:expr, $what:literal, $sql:literal, $result:literal) => {
        entry!(
            $name,
            $aliases,
            build,
            concat!($name, "(expr) - The ", $what, " of the values of a group."),
            $sql,
            $result,
            "1.6.0"
        )
    };
}

pub static FUNCTIONS: &[Function] = &[
    moment!(
        "stddev",
        &["std", "stddev_samp"],
        "sample standard deviation",
        "SELECT stddev(col) FROM VALUES (1), (2), (3) AS tab(col)",
        "1.0"
    ),
    moment!(
        "stddev_pop",
        &[],
        "population standard deviation",
        "SELECT stddev_pop(col) FROM VALUES (1), (3) AS tab(col)",
        "1.0"
    ),
    moment!(
        "var_samp",
        &["variance"],
        "sample variance",
        "SELECT var_samp(col) FROM VALUES (1), (2), (3) AS tab(col)",
        "1.0"
    ),
    moment!("var_pop", &[], "population variance", "SELECT var_pop(col) FROM VALUES (1), (3) AS tab(col)", "1.0"),
    moment!("skewness", &[], "skewness", "SELECT skewness(col) FROM VALUES (1), (2), (3) AS tab(col)", "0.0"),
    moment!("kurtosis", &[], "excess kurtosis", "SELECT kurtosis(col) FROM VALUES (1), (2), (3) AS tab(col)", "-1.5"),
];
