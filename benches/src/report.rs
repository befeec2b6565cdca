//! The command line of a bench, and its tables: aligned for people, or JSON for programs.

use serde_json::{Map, Value, json};

/// What a bench was asked for.
#[derive(Debug, Clone)]
pub struct Arguments {
    /// To measure, rather than to check that the bench works.
    pub measure: bool,
    /// To print JSON.
    pub json: bool,
    /// Everything else.
    pub words: Vec<String>,
}

impl Arguments {
    /// Those of this process.
    pub fn read() -> Self {
        let (flags, words): (Vec<String>, Vec<String>) =
            std::env::args().skip(1).partition(|word| word == "--bench" || word == "--json");
        let has = |name: &str| flags.iter().any(|flag| flag == name);
        Self { measure: has("--bench"), json: has("--json"), words }
    }
}

/// A cell of a table.
#[derive(Debug, Clone)]
pub enum Cell {
    /// Text.
    Text(String),
    /// A number, with so many digits after the point.
    Number(f64, usize),
    /// Nothing to say.
    Nothing,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Cell {
    /// A whole number.
    #[allow(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
    pub fn count(count: u64) -> Self {
        Self::Number(count as f64, 0)
    }

    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number, digits) => format!("{number:.digits$}"),
            Self::Nothing => String::new(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(number, _) => json!(number),
            Self::Nothing => Value::Null,
        }
    }
}

/// Rows under names.
#[derive(Debug)]
pub struct Table {
    title: &'static str,
    columns: &'static [&'static str],
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    pub const fn new(title: &'static str, columns: &'static [&'static str]) -> Self {
        Self { title, columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn push<const N: usize>(&mut self, row: [Cell; N]) {
        self.rows.push(row.into());
    }

    /// Prints it.
    #[allow(clippy::print_stdout, reason = "the output of a bench")]
    pub fn print(&self, as_json: bool) {
        if as_json {
            println!("{}", self.to_json());
        } else {
            println!("{}", self.to_text());
        }
    }

    fn to_json(&self) -> Value {
        let object = |row: &Vec<Cell>| {
            let members = self.columns.iter().zip(row);
            members.map(|(name, cell)| ((*name).to_owned(), cell.json())).collect::<Map<_, _>>()
        };
        json!({"bench": self.title, "rows": self.rows.iter().map(object).collect::<Vec<_>>()})
    }

    /// As Markdown, so that it can be pasted.
    fn to_text(&self) -> String {
        let header = self.columns.iter().map(|name| (*name).to_owned()).collect();
        let rows = self.rows.iter().map(|row| row.iter().map(Cell::text).collect());
        let lines: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
        let width = |column: usize| {
            lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
        };
        let widths: Vec<usize> = (0..self.columns.len()).filter_map(width).collect();
        let line = |cells: &[String]| {
            let padded = cells.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} "));
            format!("|{}|\n", padded.collect::<Vec<_>>().join("|"))
        };
        let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        let mut text = format!("\n{}\n\n", self.title);
        for (index, cells) in lines.iter().enumerate() {
            text.push_str(&line(cells));
            if index == 0 {
                text.push_str(&line(&rule));
            }
        }
        text
    }
}
