//! XPath 1.0: a recursive descent parser and an evaluator over [`Document`].
use super::dom::{Document, Kind, NodeId};

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Nodes(Vec<NodeId>),
    Text(String),
    Number(f64),
    Boolean(bool),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    Number(f64),
    Text(String),
    Binary(Box<Expr>, &'static str, Box<Expr>),
    Negative(Box<Expr>),
    Call(String, Vec<Expr>),
    /// Where it starts, and steps
    Path(Start, Vec<Step>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    Root,
    Context,
    Of(Box<Expr>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    axis: Axis,
    test: Test,
    predicates: Vec<Expr>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Axis {
    Child,
    Descendant,
    DescendantOrSelf,
    Attribute,
    Itself,
    Parent,
    Ancestor,
    FollowingSibling,
    PrecedingSibling,
    /// Predicates of an expression in parentheses apply to the whole set
    Filter,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Name(String),
    Any,
    Text,
    Node,
}

/// The text is not XPath.
#[derive(Debug)]
pub struct Invalid;

const MAX_DEPTH: usize = 100;

struct Parser<'a> {
    text: &'a str,
    depth: usize,
}

/// Operators by how tightly they bind, loosest first.
const LEVELS: &[&[&str]] =
    &[&["or"], &["and"], &["!=", "="], &["<=", ">=", "<", ">"], &["+", "-"], &["*", "div", "mod"]];

impl Expr {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let mut parser = Parser { text, depth: 0 };
        let expr = parser.level(0)?;
        if parser.rest().is_empty() { Ok(expr) } else { Err(Invalid) }
    }
}

impl<'a> Parser<'a> {
    fn rest(&mut self) -> &'a str {
        self.text = self.text.trim_start();
        self.text
    }

    fn eat(&mut self, token: &str) -> bool {
        let rest = self.rest();
        let Some(after) = rest.strip_prefix(token) else { return false };
        // A word has to end where a name would.
        let is_word = token.starts_with(|c: char| c.is_alphabetic());
        if is_word && after.starts_with(is_name_char) {
            return false;
        }
        self.text = after;
        true
    }

    fn level(&mut self, level: usize) -> Result<Expr, Invalid> {
        self.depth += 1;
        if self.depth > MAX_DEPTH * LEVELS.len() {
            return Err(Invalid);
        }
        let Some(operators) = LEVELS.get(level) else {
            let unary = self.unary();
            self.depth -= 1;
            return unary;
        };
        let mut left = self.level(level + 1)?;
        while let Some(operator) = operators.iter().find(|o| self.eat(o)) {
            let right = self.level(level + 1)?;
            left = Expr::Binary(Box::new(left), operator, Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, Invalid> {
        if self.eat("-") {
            return Ok(Expr::Negative(Box::new(self.unary()?)));
        }
        let mut left = self.path()?;
        while self.eat("|") {
            let right = self.path()?;
            left = Expr::Binary(Box::new(left), "|", Box::new(right));
        }
        Ok(left)
    }

    fn path(&mut self) -> Result<Expr, Invalid> {
        let rest = self.rest();
        let mut steps = vec![];
        let start = match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let (text, after) = rest[1..].split_once(quote).ok_or(Invalid)?;
                self.text = after;
                return Ok(Expr::Text(text.to_string()));
            }
            Some(c) if c.is_ascii_digit() || (c == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) => {
                let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
                self.text = &rest[end..];
                return rest[..end].parse().map(Expr::Number).map_err(|_| Invalid);
            }
            Some('(') => {
                self.text = &rest[1..];
                let inner = self.level(0)?;
                if !self.eat(")") {
                    return Err(Invalid);
                }
                self.filtered(inner, &mut steps)?
            }
            Some('/') => {
                if self.eat("//") {
                    steps.push(Step { axis: Axis::DescendantOrSelf, test: Test::Node, predicates: vec![] });
                    steps.push(self.step()?);
                } else {
                    self.eat("/");
                    if self.rest().starts_with(|c: char| is_name_start(c) || "*@.".contains(c)) {
                        steps.push(self.step()?);
                    }
                }
                Start::Root
            }
            Some(_) => match self.call()? {
                Some(call) => self.filtered(call, &mut steps)?,
                None => {
                    steps.push(self.step()?);
                    Start::Context
                }
            },
            None => return Err(Invalid),
        };
        loop {
            if self.eat("//") {
                steps.push(Step { axis: Axis::DescendantOrSelf, test: Test::Node, predicates: vec![] });
            } else if !self.eat("/") {
                break;
            }
            steps.push(self.step()?);
        }
        match start {
            Start::Of(inner) if steps.is_empty() => Ok(*inner),
            start => Ok(Expr::Path(start, steps)),
        }
    }

    fn filtered(&mut self, inner: Expr, steps: &mut Vec<Step>) -> Result<Start, Invalid> {
        let predicates = self.predicates()?;
        if !predicates.is_empty() {
            steps.push(Step { axis: Axis::Filter, test: Test::Node, predicates });
        }
        Ok(Start::Of(Box::new(inner)))
    }

    fn name(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        if !rest.starts_with(is_name_start) {
            return None;
        }
        // `::` ends a name, `:` is part of a qualified one.
        let mut end = rest.find(|c| !is_name_char(c) && c != ':').unwrap_or(rest.len());
        if let Some(axis) = rest.find("::").filter(|at| *at < end) {
            end = axis;
        }
        let (name, after) = rest.split_at(end);
        self.text = after;
        Some(name)
    }

    /// `name(arguments)`, unless it is a node test.
    fn call(&mut self) -> Result<Option<Expr>, Invalid> {
        let before = self.text;
        if let Some(name) = self.name()
            && !matches!(name, "text" | "node" | "comment" | "processing-instruction")
            && self.eat("(")
        {
            let mut arguments = vec![];
            while !self.eat(")") {
                if !arguments.is_empty() && !self.eat(",") {
                    return Err(Invalid);
                }
                arguments.push(self.level(0)?);
            }
            return Ok(Some(Expr::Call(name.to_string(), arguments)));
        }
        self.text = before;
        Ok(None)
    }

    fn step(&mut self) -> Result<Step, Invalid> {
        let plain = |axis| Step { axis, test: Test::Node, predicates: vec![] };
        if self.eat("..") {
            return Ok(plain(Axis::Parent));
        }
        if self.eat(".") {
            return Ok(plain(Axis::Itself));
        }
        let mut axis = if self.eat("@") { Axis::Attribute } else { Axis::Child };
        let before = self.text;
        if let Some(name) = self.name() {
            if self.eat("::") {
                axis = match name {
                    "child" => Axis::Child,
                    "descendant" => Axis::Descendant,
                    "descendant-or-self" => Axis::DescendantOrSelf,
                    "attribute" => Axis::Attribute,
                    "self" => Axis::Itself,
                    "parent" => Axis::Parent,
                    "ancestor" => Axis::Ancestor,
                    "following-sibling" => Axis::FollowingSibling,
                    "preceding-sibling" => Axis::PrecedingSibling,
                    _ => return Err(Invalid),
                };
            } else {
                self.text = before;
            }
        }
        let test = if self.eat("*") {
            Test::Any
        } else {
            match self.name().ok_or(Invalid)? {
                "text" if self.eat("(") => self.end_test(Test::Text)?,
                "node" if self.eat("(") => self.end_test(Test::Node)?,
                name => Test::Name(name.to_string()),
            }
        };
        Ok(Step { axis, test, predicates: self.predicates()? })
    }

    fn end_test(&mut self, test: Test) -> Result<Test, Invalid> {
        if self.eat(")") { Ok(test) } else { Err(Invalid) }
    }

    fn predicates(&mut self) -> Result<Vec<Expr>, Invalid> {
        let mut predicates = vec![];
        while self.eat("[") {
            predicates.push(self.level(0)?);
            if !self.eat("]") {
                return Err(Invalid);
            }
        }
        Ok(predicates)
    }
}

fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || "_-.".contains(c)
}

/// What an expression is evaluated in.
#[derive(Clone, Copy)]
pub struct Context<'d> {
    pub document: &'d Document,
    node: NodeId,
    position: usize,
    size: usize,
}

impl<'d> Context<'d> {
    pub fn root(document: &'d Document) -> Self {
        Self { document, node: 0, position: 1, size: 1 }
    }
}

impl Value {
    pub fn text(&self, document: &Document) -> String {
        match self {
            Self::Nodes(nodes) => nodes.first().map_or(String::new(), |n| document.string(*n)),
            Self::Text(text) => text.clone(),
            Self::Boolean(value) => value.to_string(),
            Self::Number(value) if value.is_nan() => "NaN".into(),
            Self::Number(value) if value.is_infinite() => if *value > 0.0 { "Infinity" } else { "-Infinity" }.into(),
            Self::Number(value) => value.to_string(),
        }
    }

    pub fn number(&self, document: &Document) -> f64 {
        match self {
            Self::Number(value) => *value,
            Self::Boolean(value) => f64::from(u8::from(*value)),
            other => to_number(&other.text(document)),
        }
    }

    pub fn boolean(&self) -> bool {
        match self {
            Self::Nodes(nodes) => !nodes.is_empty(),
            Self::Text(text) => !text.is_empty(),
            Self::Number(value) => *value != 0.0 && !value.is_nan(),
            Self::Boolean(value) => *value,
        }
    }
}

fn to_number(text: &str) -> f64 {
    let text = text.trim();
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
    if plain { text.parse().unwrap_or(f64::NAN) } else { f64::NAN }
}

impl Expr {
    /// Errors where a function is not known or gets what it cannot take.
    pub fn evaluate(&self, context: Context<'_>) -> Result<Value, Invalid> {
        Ok(match self {
            Self::Number(value) => Value::Number(*value),
            Self::Text(text) => Value::Text(text.clone()),
            Self::Negative(inner) => Value::Number(-inner.evaluate(context)?.number(context.document)),
            Self::Binary(left, operator, right) => {
                binary(left.evaluate(context)?, operator, right.evaluate(context)?, context.document)?
            }
            Self::Call(name, arguments) => {
                let values = arguments.iter().map(|a| a.evaluate(context)).collect::<Result<Vec<_>, _>>()?;
                call(name, values, context)?
            }
            Self::Path(start, steps) => {
                let mut nodes = match start {
                    Start::Root => vec![0],
                    Start::Context => vec![context.node],
                    Start::Of(inner) => match inner.evaluate(context)? {
                        Value::Nodes(nodes) => nodes,
                        _ => return Err(Invalid),
                    },
                };
                for step in steps {
                    nodes = step.apply(&nodes, context.document)?;
                }
                Value::Nodes(nodes)
            }
        })
    }
}

impl Step {
    fn apply(&self, nodes: &[NodeId], document: &Document) -> Result<Vec<NodeId>, Invalid> {
        if self.axis == Axis::Filter {
            return self.filter(nodes.to_vec(), document);
        }
        let mut found = vec![];
        for node in nodes {
            let mut candidates = vec![];
            self.candidates(*node, document, &mut candidates);
            candidates.retain(|n| self.matches(*n, document));
            found.extend(self.filter(candidates, document)?);
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn filter(&self, mut nodes: Vec<NodeId>, document: &Document) -> Result<Vec<NodeId>, Invalid> {
        for predicate in &self.predicates {
            let size = nodes.len();
            let mut kept = vec![];
            for (i, node) in nodes.into_iter().enumerate() {
                let context = Context { document, node, position: i + 1, size };
                let keep = match predicate.evaluate(context)? {
                    Value::Number(position) => position == (i + 1) as f64,
                    other => other.boolean(),
                };
                if keep {
                    kept.push(node);
                }
            }
            nodes = kept;
        }
        Ok(nodes)
    }

    /// Nodes of the axis, nearest first.
    fn candidates(&self, node: NodeId, document: &Document, out: &mut Vec<NodeId>) {
        let siblings = || document.parent(node).map_or(&[][..], |parent| document.children(parent));
        match self.axis {
            Axis::Child => out.extend(document.children(node)),
            Axis::Descendant => document.descendants(node, out),
            Axis::DescendantOrSelf => {
                out.push(node);
                document.descendants(node, out);
            }
            Axis::Attribute => out.extend(document.attributes(node)),
            Axis::Itself | Axis::Filter => out.push(node),
            Axis::Parent => out.extend(document.parent(node)),
            Axis::Ancestor => out.extend(std::iter::successors(document.parent(node), |n| document.parent(*n))),
            Axis::FollowingSibling => out.extend(siblings().iter().filter(|n| **n > node)),
            Axis::PrecedingSibling => out.extend(siblings().iter().rev().filter(|n| **n < node)),
        }
    }

    fn matches(&self, node: NodeId, document: &Document) -> bool {
        let named = matches!(document.kind(node), Kind::Element(_) | Kind::Attribute(..));
        match &self.test {
            Test::Node => true,
            Test::Any => named,
            Test::Text => matches!(document.kind(node), Kind::Text(_)),
            Test::Name(name) => named && document.name(node) == name,
        }
    }
}

fn binary(left: Value, operator: &str, right: Value, document: &Document) -> Result<Value, Invalid> {
    let numbers = |f: fn(f64, f64) -> f64| Value::Number(f(left.number(document), right.number(document)));
    Ok(match operator {
        "or" => Value::Boolean(left.boolean() || right.boolean()),
        "and" => Value::Boolean(left.boolean() && right.boolean()),
        "+" => numbers(|a, b| a + b),
        "-" => numbers(|a, b| a - b),
        "*" => numbers(|a, b| a * b),
        "div" => numbers(|a, b| a / b),
        "mod" => numbers(|a, b| a % b),
        "|" => match (left, right) {
            (Value::Nodes(mut a), Value::Nodes(b)) => {
                a.extend(b);
                a.sort_unstable();
                a.dedup();
                Value::Nodes(a)
            }
            _ => return Err(Invalid),
        },
        _ => Value::Boolean(compare(&left, operator, &right, document)),
    })
}

/// A node set compares as any of its nodes does.
fn compare(left: &Value, operator: &str, right: &Value, document: &Document) -> bool {
    match (left, right) {
        (Value::Nodes(nodes), other) if !matches!(other, Value::Boolean(_)) => {
            nodes.iter().any(|n| compare(&Value::Text(document.string(*n)), operator, other, document))
        }
        (other, Value::Nodes(nodes)) if !matches!(other, Value::Boolean(_)) => {
            nodes.iter().any(|n| compare(other, operator, &Value::Text(document.string(*n)), document))
        }
        _ => {
            let (a, b) = (left.number(document), right.number(document));
            match operator {
                "<" => a < b,
                "<=" => a <= b,
                ">" => a > b,
                ">=" => a >= b,
                _ => {
                    let equal = match (left, right) {
                        (Value::Boolean(_), _) | (_, Value::Boolean(_)) => left.boolean() == right.boolean(),
                        (Value::Number(_), _) | (_, Value::Number(_)) => a == b,
                        _ => left.text(document) == right.text(document),
                    };
                    equal == (operator == "=")
                }
            }
        }
    }
}

fn call(name: &str, values: Vec<Value>, context: Context<'_>) -> Result<Value, Invalid> {
    let document = context.document;
    let here = || Value::Nodes(vec![context.node]);
    let text = |i: usize| values.get(i).map_or_else(|| here().text(document), |v| v.text(document));
    let number = |i: usize| values.get(i).map_or_else(|| here().number(document), |v| v.number(document));
    let nodes = |i: usize| match values.get(i) {
        Some(Value::Nodes(nodes)) => Ok(nodes),
        _ => Err(Invalid),
    };
    Ok(match (name, values.len()) {
        ("position", 0) => Value::Number(context.position as f64),
        ("last", 0) => Value::Number(context.size as f64),
        ("count", 1) => Value::Number(nodes(0)?.len() as f64),
        ("sum", 1) => Value::Number(nodes(0)?.iter().map(|n| to_number(&document.string(*n))).sum()),
        ("name" | "local-name", 0) => Value::Text(document.name(context.node).to_string()),
        ("name" | "local-name", 1) => {
            Value::Text(nodes(0)?.first().map_or(String::new(), |n| document.name(*n).to_string()))
        }
        ("string", 0 | 1) => Value::Text(text(0)),
        ("number", 0 | 1) => Value::Number(number(0)),
        ("boolean", 1) => Value::Boolean(values[0].boolean()),
        ("not", 1) => Value::Boolean(!values[0].boolean()),
        ("true", 0) => Value::Boolean(true),
        ("false", 0) => Value::Boolean(false),
        ("floor", 1) => Value::Number(number(0).floor()),
        ("ceiling", 1) => Value::Number(number(0).ceil()),
        ("round", 1) => Value::Number((number(0) + 0.5).floor()),
        ("concat", 2..) => Value::Text(values.iter().map(|v| v.text(document)).collect()),
        ("contains", 2) => Value::Boolean(text(0).contains(&text(1))),
        ("starts-with", 2) => Value::Boolean(text(0).starts_with(&text(1))),
        ("string-length", 0 | 1) => Value::Number(text(0).chars().count() as f64),
        ("normalize-space", 0 | 1) => Value::Text(text(0).split_whitespace().collect::<Vec<_>>().join(" ")),
        ("substring-before", 2) => {
            Value::Text(text(0).split_once(&text(1)).map_or(String::new(), |(before, _)| before.to_string()))
        }
        ("substring-after", 2) => {
            Value::Text(text(0).split_once(&text(1)).map_or(String::new(), |(_, after)| after.to_string()))
        }
        ("substring", 2 | 3) => {
            let from = (number(1) + 0.5).floor();
            let until = if values.len() == 3 { from + (number(2) + 0.5).floor() } else { f64::INFINITY };
            let within = |i: usize| (i + 1) as f64 >= from && ((i + 1) as f64) < until;
            Value::Text(text(0).chars().enumerate().filter(|(i, _)| within(*i)).map(|(_, c)| c).collect())
        }
        ("translate", 3) => {
            let (from, to): (Vec<char>, Vec<char>) = (text(1).chars().collect(), text(2).chars().collect());
            let map = |c: char| match from.iter().position(|f| *f == c) {
                Some(at) => to.get(at).copied(),
                None => Some(c),
            };
            Value::Text(text(0).chars().filter_map(map).collect())
        }
        _ => return Err(Invalid),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let document = Document::parse("<a><b id='1'>b1</b><b id=\"2\">b2</b><c>3</c><c>4 &amp; 5</c></a>").unwrap();
        let get = |path: &str| {
            Expr::parse(path).and_then(|e| e.evaluate(Context::root(&document))).map(|v| v.text(&document)).unwrap()
        };
        for (path, expected) in [
            ("a/b[2]/text()", "b2"),
            ("/a/b[@id='2']", "b2"),
            ("//c[last()]", "4 & 5"),
            ("count(a/*)", "4"),
            ("a/c[1] + 1 * 2", "5"),
            ("a/b/@id = 2 and not(a/d)", "true"),
            ("concat(a/b[1], '-', string-length('abc'))", "b1-3"),
            ("a/c | a/b", "b1"),
            ("(//b)[2]", "b2"),
            ("a/d", ""),
        ] {
            assert_eq!(get(path), expected, "{path}");
        }
        assert!(Expr::parse("!#").is_err() && Expr::parse("a[").is_err());
        assert!(Document::parse("<a>").is_none() && Document::parse("x").is_none());
    }
}
