//! Row filters: a SQL expression of the spec over columns of one data set. It is parsed to a tree and the tree is
//! checked node by node against what is allowed; its text never becomes part of another statement.

use std::collections::BTreeSet;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, ExprSchemable, Operator};
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::catalog::{DataSet, POSITION};
use super::engine;
use super::error::DataError;
use super::near;

/// Words and signs of one filter: far above what people write, far below what overflows the planner's recursion.
const TOKENS_MAX: usize = 256;

/// Functions a filter may call: pure, total, and of the same meaning in every version.
const FUNCTIONS: [&str; 2] = ["coalesce", "nullif"];

/// A checked row filter.
#[derive(Clone, Debug)]
pub struct Filter {
    expression: Expr,
    columns: BTreeSet<String>,
}

impl Filter {
    /// Parses `text` against `set`; it may read the columns in `allowed` (the grant's) and no others.
    pub fn parse(text: &str, set: &DataSet, allowed: &[String]) -> Result<Self, DataError> {
        check_tokens(text)?;
        let full = set.schema();
        let fields: Vec<_> = full.fields().iter().filter(|field| field.name() != POSITION).cloned().collect();
        let schema = DFSchema::from_unqualified_fields(fields.into(), Default::default())
            .map_err(|error| DataError::engine("reading the row filter", 0, error))?;
        let context = SessionContext::new_with_config(engine::config());
        let expression = context.parse_sql_expr(text, &schema).map_err(|error| unparsed(set, error))?;
        let filter = Self { columns: expression.column_refs().iter().map(|c| c.name.clone()).collect(), expression };
        filter.check_columns(set, allowed)?;
        filter
            .expression
            .apply(|node| check_node(node, &schema).map(|()| TreeNodeRecursion::Continue).map_err(Into::into))
            .map_err(|error| DataError::engine("reading the row filter", 0, error))?;
        match filter.expression.get_type(&schema) {
            Ok(DataType::Boolean) => Ok(filter),
            _ => refuse("it is not true or false for a row", "compare something, such as \"AGE >= 18\""),
        }
    }

    /// The columns it reads.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(String::as_str)
    }

    pub(crate) fn expression(&self) -> Expr {
        self.expression.clone()
    }

    fn check_columns(&self, set: &DataSet, allowed: &[String]) -> Result<(), DataError> {
        for column in &self.columns {
            set.column(column)?;
            if !allowed.contains(column) {
                let granted = match allowed.is_empty() {
                    true => "the grant lists no column for filtering".into(),
                    false => format!("use {}", near::list(allowed.iter().map(String::as_str))),
                };
                return refuse(&format!("column `{column}` is not granted for filtering"), &granted);
            }
        }
        Ok(())
    }
}

fn refuse<T>(reason: &str, remedy: &str) -> Result<T, DataError> {
    Err(DataError::Filter { reason: reason.into(), remedy: remedy.into() })
}

const ALLOWED: &str = "use comparisons, AND, OR, NOT, IN, BETWEEN, LIKE, IS NULL, + - * / %, coalesce and nullif";

/// Whole numbers are of 64 bits and wrap around, which never fails; wider or decimal ones would fail on overflow.
const NUMBERS: &str = "use whole numbers of 64 bits, or numbers with a decimal point";

/// Before any recursion: the number of words, and that there is no query in it.
fn check_tokens(text: &str) -> Result<(), DataError> {
    let tokens = match Tokenizer::new(&GenericDialect {}, text).tokenize() {
        Ok(tokens) => tokens,
        Err(_) => return refuse("it cannot be split into words", "look for an open quote"),
    };
    let words = tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))).count();
    if words > TOKENS_MAX {
        return refuse(&format!("{words} words and signs"), &format!("use at most {TOKENS_MAX}"));
    }
    let query = |word: &str| ["SELECT", "EXISTS", "FROM", "WITH"].iter().any(|name| word.eq_ignore_ascii_case(name));
    let found = tokens.iter().find_map(|token| match token {
        Token::Word(word) if word.quote_style.is_none() && query(&word.value) => Some(&word.value),
        _ => None,
    });
    match found {
        Some(word) => refuse(&format!("{word} asks for a query"), ALLOWED),
        None => Ok(()),
    }
}

/// The planner's no, in our words. Its text quotes the filter only, which is the spec's and no secret.
fn unparsed(set: &DataSet, error: DataFusionError) -> DataError {
    use datafusion::common::SchemaError::FieldNotFound;
    match error.find_root() {
        DataFusionError::SchemaError(inner, _) => match &**inner {
            FieldNotFound { field, .. } => match set.column(&field.name) {
                Err(unknown) => unknown,
                Ok(_) => DataError::Filter {
                    reason: format!("column `{}` is written with a table name", field.name),
                    remedy: "name the column alone".into(),
                },
            },
            _ => DataError::Filter { reason: "a column name is ambiguous".into(), remedy: "name each column once".into() },
        },
        DataFusionError::SQL(inner, _) => DataError::Filter {
            reason: inner.to_string().to_lowercase(),
            remedy: "write one SQL expression such as \"AGE >= 18 AND PAY_0 > 0\"; texts in single quotes, column names in double quotes if they need any".into(),
        },
        _ => DataError::Filter { reason: "not an expression over this data set".into(), remedy: ALLOWED.into() },
    }
}

/// Default deny: a node that is not named here is refused. Nor is any that can fail on a row: which rows there are would
/// show in whether the job fails, and `AND` and `OR` pass over what need not be looked at.
fn check_node(node: &Expr, schema: &DFSchema) -> Result<(), DataError> {
    match node {
        Expr::Literal(value, _) => match value.data_type() {
            kind if kind.is_numeric() && !matches!(kind, DataType::Int64 | DataType::Float64) => {
                refuse("a number in it has more than 64 bits", NUMBERS)
            }
            _ => Ok(()),
        },
        Expr::Column(_) | Expr::IsNull(_) | Expr::IsNotNull(_) => Ok(()),
        Expr::Negative(of) if matches!(family(of, schema), Family::Number | Family::Null) => Ok(()),
        Expr::Negative(_) => refuse("a minus stands before something that is no number", ALLOWED),
        Expr::Not(of) | Expr::IsTrue(of) | Expr::IsFalse(of) | Expr::IsNotTrue(of) | Expr::IsNotFalse(of) => {
            match family(of, schema) {
                Family::Truth | Family::Null => Ok(()),
                _ => refuse("NOT, IS TRUE and IS FALSE take a comparison", ALLOWED),
            }
        }
        Expr::BinaryExpr(binary) => match binary.op {
            Operator::And | Operator::Or => Ok(()),
            op if matches!(op, Operator::Divide | Operator::Modulo) && !is_above_zero(&binary.right) => refuse(
                &format!("{op} by something that is not a number above zero written out"),
                "a row with a zero there would stop the job, and so show itself; multiply instead, as in A > 2 * B",
            ),
            op if comparison(op) || arithmetic(op) => {
                same_family(&[&binary.left, &binary.right], schema, arithmetic(op))
            }
            op => refuse(&format!("operator {op} is not allowed"), ALLOWED),
        },
        Expr::Between(between) => same_family(&[&between.expr, &between.low, &between.high], schema, false),
        Expr::InList(list) => {
            let all: Vec<&Expr> = std::iter::once(&*list.expr).chain(&list.list).collect();
            same_family(&all, schema, false)
        }
        Expr::Like(like) => match (family(&like.expr, schema), &*like.pattern) {
            (Family::Text, Expr::Literal(..)) => Ok(()),
            _ => refuse("LIKE takes a text column and a pattern in quotes", "write NAME LIKE 'A%'"),
        },
        Expr::Cast(cast) if *cast.field.data_type() == DataType::Date32 && is_date(&cast.expr) => Ok(()),
        Expr::ScalarFunction(call) if FUNCTIONS.contains(&call.name()) => {
            same_family(&call.args.iter().collect::<Vec<_>>(), schema, false)
        }
        Expr::ScalarFunction(call) => refuse(&format!("function {} is not allowed", call.name()), ALLOWED),
        Expr::AggregateFunction(call) => {
            refuse(&format!("function {} sees more than one row", call.func.name()), ALLOWED)
        }
        Expr::Cast(_) | Expr::TryCast(_) => refuse(
            "something is cast to another type",
            "compare columns in their own type; write a day as '2026-11-21'",
        ),
        _ => refuse("a part of it is not allowed", ALLOWED),
    }
}

fn comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn arithmetic(op: Operator) -> bool {
    matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo)
}

fn is_above_zero(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(ScalarValue::Int64(Some(number)), _) => *number > 0,
        Expr::Literal(ScalarValue::Float64(Some(number)), _) => *number > 0.0,
        _ => false,
    }
}

/// Types that compare without a conversion that can fail on a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Text,
    Number,
    Date,
    Truth,
    Null,
    Other,
}

fn family(expression: &Expr, schema: &DFSchema) -> Family {
    match expression.get_type(schema) {
        Ok(DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => Family::Text,
        Ok(kind) if kind.is_numeric() => Family::Number,
        Ok(DataType::Date32) => Family::Date,
        Ok(DataType::Boolean) => Family::Truth,
        Ok(DataType::Null) => Family::Null,
        _ => Family::Other,
    }
}

fn same_family(parts: &[&Expr], schema: &DFSchema, numbers: bool) -> Result<(), DataError> {
    let mut families: Vec<(Family, &Expr)> = parts.iter().map(|part| (family(part, schema), *part)).collect();
    families.retain(|(family, _)| *family != Family::Null);
    let has = |wanted| families.iter().any(|(family, _)| *family == wanted);
    if has(Family::Date) && !numbers {
        // a date in quotes is a date, if it is one
        families.retain(|(family, part)| *family != Family::Text || !is_date(part));
    }
    let first = families.first().map(|(family, _)| *family);
    let same = families.iter().all(|(family, _)| Some(*family) == first && *family != Family::Other);
    match same && (!numbers || first.is_none_or(|family| family == Family::Number)) {
        true => Ok(()),
        false => refuse(
            "it mixes types",
            "compare text columns with texts in single quotes, number columns with numbers, dates with '2026-11-21'",
        ),
    }
}

fn is_date(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => {
            text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10
        }
        _ => false,
    }
}
