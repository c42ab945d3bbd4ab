//! The interactive shell: history, completion, highlighting, statements over several lines.
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

use reedline::{
    ColumnarMenu, Completer, CompletionResult, DefaultHinter, Emacs, FileBackedHistory, Highlighter, KeyCode,
    KeyModifiers, MenuBuilder, Prompt, PromptEditMode, PromptHistorySearch, Reedline, ReedlineEvent, ReedlineMenu,
    Signal, Span, StyledText, Suggestion, ValidationResult, Validator, default_emacs_keybindings,
};

use super::backend::Backend;
use super::{Format, execute};

const HISTORY_LINES: usize = 10_000;
const MENU: &str = "completion";
const BANNER: &str =
    "Firesteel SQL. End a statement with a semicolon; Tab completes, Ctrl-C stops, \\q or Ctrl-D leaves.\n";

pub async fn interact(backend: &Backend, format: Format) -> Result<(), Box<dyn Error>> {
    std::io::stderr().write_all(BANNER.as_bytes())?;
    let words: Vec<String> = firesteel_sql::keywords().into_iter().map(|(word, _)| word).collect();
    let mut names = words.clone();
    names.extend(backend.names().await);
    let mut editor = editor(words, names)?;
    loop {
        // Waiting for a key blocks: other tasks (a running engine has some) keep their threads.
        match tokio::task::block_in_place(|| editor.read_line(&Words))? {
            Signal::Success(text) if is_quit(&text) => return Ok(()),
            Signal::Success(text) => {
                let statements = match backend.split(&text) {
                    Ok(statements) => statements,
                    Err(error) => {
                        say(&error.to_string())?;
                        continue;
                    }
                };
                for statement in statements {
                    if let Err(error) = execute(backend, &statement, format, true).await {
                        say(&error.to_string())?;
                        break;
                    }
                }
            }
            Signal::CtrlD => return Ok(()),
            _ => {}
        }
    }
}

fn say(message: &str) -> std::io::Result<()> {
    std::io::stderr().write_all(format!("{message}\n\n").as_bytes())
}

fn is_quit(text: &str) -> bool {
    let text = text.trim().trim_end_matches(';').to_ascii_lowercase();
    ["\\q", "quit", "exit"].contains(&text.as_str())
}

fn editor(words: Vec<String>, names: Vec<String>) -> Result<Reedline, Box<dyn Error>> {
    let mut keys = default_emacs_keybindings();
    keys.add_binding(
        KeyModifiers::NONE,
        KeyCode::Tab,
        ReedlineEvent::UntilFound(vec![ReedlineEvent::Menu(MENU.to_string()), ReedlineEvent::MenuNext]),
    );
    let menu = Box::new(ColumnarMenu::default().with_name(MENU));
    let mut editor = Reedline::create()
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .with_validator(Box::new(Semicolon))
        .with_highlighter(Box::new(Keywords(words.into_iter().collect())))
        .with_hinter(Box::new(DefaultHinter::default()))
        .with_completer(Box::new(Names(names)))
        .with_menu(ReedlineMenu::EngineCompleter(menu));
    if let Some(file) = history_file() {
        editor = editor.with_history(Box::new(FileBackedHistory::with_file(HISTORY_LINES, file)?));
    }
    Ok(editor)
}

fn history_file() -> Option<PathBuf> {
    let home = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))?;
    let directory = home.join("firesteel");
    std::fs::create_dir_all(&directory).ok()?;
    Some(directory.join("sql_history"))
}

/// A statement is complete with its semicolon.
struct Semicolon;

impl Validator for Semicolon {
    fn validate(&self, line: &str) -> ValidationResult {
        let text = line.trim();
        if text.is_empty() || text.ends_with(';') || is_quit(text) {
            ValidationResult::Complete
        } else {
            ValidationResult::Incomplete
        }
    }
}

/// Keywords and names that begin with the word before the cursor.
struct Names(Vec<String>);

impl Completer for Names {
    fn complete(&mut self, line: &str, position: usize) -> CompletionResult {
        let before = line.get(..position).unwrap_or(line);
        let start = before
            .rfind(|c: char| !c.is_alphanumeric() && c != '_')
            .map_or(0, |at| at + before.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8));
        let word = before.get(start..).unwrap_or("").to_lowercase();
        if word.is_empty() {
            return CompletionResult::fresh(Vec::new());
        }
        let matching = self.0.iter().filter(|name| name.to_lowercase().starts_with(&word));
        let suggestions: Vec<_> = matching
            .map(|name| Suggestion {
                value: name.clone(),
                span: Span::new(start, position),
                append_whitespace: true,
                ..Default::default()
            })
            .collect();
        CompletionResult::fresh(suggestions)
    }
}

/// Colours keywords, strings, numbers and comments.
struct Keywords(BTreeSet<String>);

impl Highlighter for Keywords {
    fn highlight(&self, line: &str, _: usize) -> StyledText {
        use nu_ansi_term::{Color, Style};
        let mut styled = StyledText::new();
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            let word = |test: fn(char) -> bool| rest.find(|c: char| !test(c)).unwrap_or(rest.len());
            let (length, style) = if first.is_alphabetic() || first == '_' {
                let length = word(|c| c.is_alphanumeric() || c == '_');
                let is_keyword = rest.get(..length).is_some_and(|w| self.0.contains(&w.to_uppercase()));
                (length, if is_keyword { Color::Blue.bold() } else { Style::new() })
            } else if first.is_ascii_digit() {
                (word(|c| c.is_alphanumeric() || c == '.'), Color::Cyan.normal())
            } else if first == '\'' || first == '"' {
                let end = rest.get(1..).and_then(|r| r.find(first)).map_or(rest.len(), |at| at + 2);
                (end, Color::Green.normal())
            } else if rest.starts_with("--") {
                (rest.find('\n').unwrap_or(rest.len()), Color::DarkGray.normal())
            } else {
                (first.len_utf8(), Style::new())
            };
            let (piece, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
            styled.push((style, piece.to_string()));
            rest = after;
        }
        styled
    }
}

/// What stands before the cursor.
struct Words;

impl Prompt for Words {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        "firesteel".into()
    }
    fn render_prompt_right(&self) -> Cow<'_, str> {
        "".into()
    }
    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        "> ".into()
    }
    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        "        -> ".into()
    }
    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        format!("(search: {}) ", search.term).into()
    }
}
