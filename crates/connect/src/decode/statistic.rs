//! `df.na`, `df.stat`, `describe` and `summary`.
use firesteel_plan::relation::Statistic;
use firesteel_plan::{Literal, RelationKind, Result};
use proto::relation::RelType;
use spark_connect_proto as proto;

use super::{Decoder, invalid, missing};

impl<'a> Decoder<'a> {
    pub(super) fn statistic(&mut self, rel_type: &'a RelType) -> Result<RelationKind> {
        let (input, function) = match rel_type {
            RelType::FillNa(fill) => (&fill.input, self.fill_na(fill)?),
            RelType::DropNa(drop) => {
                (&drop.input, Statistic::DropNa { columns: drop.cols.clone(), min_non_nulls: drop.min_non_nulls })
            }
            RelType::Replace(replace) => (&replace.input, self.replace_na(replace)?),
            RelType::Summary(summary) => {
                (&summary.input, Statistic::Summary { statistics: summary.statistics.clone() })
            }
            RelType::Describe(describe) => (&describe.input, Statistic::Describe { columns: describe.cols.clone() }),
            RelType::Crosstab(stat) => {
                (&stat.input, Statistic::Crosstab { column1: stat.col1.clone(), column2: stat.col2.clone() })
            }
            RelType::Cov(stat) => {
                (&stat.input, Statistic::Cov { column1: stat.col1.clone(), column2: stat.col2.clone() })
            }
            RelType::Corr(stat) => (
                &stat.input,
                Statistic::Corr { column1: stat.col1.clone(), column2: stat.col2.clone(), method: stat.method.clone() },
            ),
            RelType::ApproxQuantile(stat) => (
                &stat.input,
                Statistic::ApproxQuantile {
                    columns: stat.cols.clone(),
                    probabilities: stat.probabilities.clone(),
                    relative_error: stat.relative_error,
                },
            ),
            RelType::FreqItems(stat) => {
                (&stat.input, Statistic::FreqItems { columns: stat.cols.clone(), support: stat.support })
            }
            RelType::SampleBy(sample) => (&sample.input, self.sample_by(sample)?),
            _ => return Err(invalid("ASSERTION_FAILURE")),
        };
        Ok(RelationKind::Statistic { input: self.input(input, "Statistic")?, function })
    }

    fn fill_na(&mut self, fill: &'a proto::NaFill) -> Result<Statistic> {
        if fill.values.is_empty() {
            return Err(invalid("NA_FILL_VALUES_EMPTY"));
        }
        if fill.values.len() > 1 && fill.values.len() != fill.cols.len() {
            return Err(invalid("NA_FILL_VALUES_LENGTH_MISMATCH"));
        }
        Ok(Statistic::FillNa { columns: fill.cols.clone(), values: self.literal_list(&fill.values)? })
    }

    fn replace_na(&mut self, replace: &'a proto::NaReplace) -> Result<Statistic> {
        let replacements = replace.replacements.iter().map(|pair| {
            Ok((self.literal_field(pair.old_value.as_ref())?, self.literal_field(pair.new_value.as_ref())?))
        });
        Ok(Statistic::Replace { replacements: replacements.collect::<Result<_>>()?, columns: replace.cols.clone() })
    }

    fn sample_by(&mut self, sample: &'a proto::StatSampleBy) -> Result<Statistic> {
        let column = self.required(sample.col.as_ref(), "spark.connect.StatSampleBy")?;
        let fractions = sample.fractions.iter();
        let fractions = fractions.map(|f| Ok((self.literal_field(f.stratum.as_ref())?, f.fraction)));
        Ok(Statistic::SampleBy { fractions: fractions.collect::<Result<_>>()?, column, seed: sample.seed })
    }

    fn literal_field(&mut self, literal: Option<&proto::expression::Literal>) -> Result<Literal> {
        self.literal(literal.ok_or_else(|| missing("spark.connect.Relation", "literal"))?)
    }
}
