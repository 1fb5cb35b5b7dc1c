use comfy_table::{CellAlignment, Table, presets};

use super::harmless;

/// A column: its title, and whether it holds numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Text(&'static str),
    Number(&'static str),
}

/// What is left free between two columns.
const GAP: u16 = 2;
/// In less room than this nobody reads a sentence: then the terminal breaks the lines.
const READABLE: usize = 20;

/// Columns of text without lines between them, as this field's tools print them. On a terminal the last column is
/// wrapped at words so that the table fits; what is before it are names, and those stay whole.
pub fn table(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut rows: Vec<Vec<String>> = rows.into_iter().collect();
    // Tests are to come to the same wherever they run.
    let terminal = if cfg!(test) {
        None
    } else {
        Table::new().width()
    };
    fit(columns, &mut rows, terminal.map(usize::from));
    drawn(columns, rows)
}

/// A text of its own below or above tables; on a terminal its lines are broken between words.
pub fn paragraph(text: &str) -> String {
    let terminal = if cfg!(test) {
        None
    } else {
        Table::new().width().map(usize::from)
    };
    let room = terminal.filter(|room| *room >= READABLE);
    room.map_or_else(|| text.to_owned(), |room| wrapped(text, room))
}

fn drawn(columns: &[Column], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|column| match column {
        Column::Text(title) | Column::Number(title) => *title,
    }));
    table.add_rows(rows.into_iter().map(harmless_row));
    for (column, settings) in columns.iter().zip(table.column_iter_mut()) {
        settings.set_padding((0, GAP));
        if matches!(column, Column::Number(_)) {
            settings.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Only the last cell may have several lines: those of others begin where a line of its own would.
fn harmless_row(mut row: Vec<String>) -> Vec<String> {
    if let Some((last, others)) = row.split_last_mut() {
        *last = harmless::lines(last).into_owned();
        for cell in others {
            *cell = harmless::word(cell).into_owned();
        }
    }
    row
}

/// Wraps the cells of the last column, where the whole is wider than the terminal.
fn fit(columns: &[Column], rows: &mut [Vec<String>], terminal: Option<usize>) {
    let (Some(terminal), Some((Column::Text(_), before))) = (terminal, columns.split_last()) else {
        return;
    };
    let taken = before.iter().enumerate().map(|(at, column)| {
        let (Column::Text(title) | Column::Number(title)) = column;
        let cells = rows.iter().filter_map(|row| row.get(at));
        let lines = cells.flat_map(|cell| cell.lines()).chain([*title]);
        lines.map(|line| line.chars().count()).max().unwrap_or(0) + usize::from(GAP)
    });
    let room = terminal.saturating_sub(taken.sum());
    if room < READABLE {
        return;
    }
    for row in rows {
        if let Some(cell) = row.get_mut(before.len()) {
            *cell = wrapped(cell, room);
        }
    }
}

/// Breaks lines between words only; the rest of a line is indented as its beginning is. A word that is too long has a
/// line of its own.
fn wrapped(text: &str, room: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let mut current = String::new();
        for word in line.split_whitespace() {
            if current.is_empty() {
                current = format!("{indent}{word}");
            } else if current.chars().count() + 1 + word.chars().count() <= room {
                current = format!("{current} {word}");
            } else {
                lines.push(std::mem::replace(&mut current, format!("{indent}{word}")));
            }
        }
        lines.push(current);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        Column::Text("proof"),
        Column::Number("nodes"),
        Column::Text("seen"),
    ];

    fn in_room_of(terminal: usize) -> String {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let mut rows = vec![
            row(["all nodes are Ready", "3", "3 nodes, v1.36.2"]),
            row([
                "all images are of the bundle",
                "12",
                "registry.example.org/a/rather/long/reference:v1.2.3 of kube-system/pod is not in the bundle\n  \
                 its last line: plugin/forward: this is not an IP\nhint: describe it",
            ]),
        ];
        fit(&COLUMNS, &mut rows, Some(terminal));
        drawn(&COLUMNS, rows)
    }

    #[test]
    fn what_is_too_wide_is_wrapped_between_words() {
        insta::assert_snapshot!(in_room_of(72));
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        assert_eq!(in_room_of(500), in_room_of(200));
        assert!(!in_room_of(200).contains("is not in\n"));
    }

    #[test]
    fn a_terminal_that_is_too_narrow_breaks_the_lines_itself() {
        assert_eq!(in_room_of(40), in_room_of(500));
    }
}
