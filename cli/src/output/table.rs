use comfy_table::{CellAlignment, Table, presets};

use super::harmless;

/// A column: its title, and whether it holds numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Text(&'static str),
    Number(&'static str),
}

/// Columns of text without lines between them, as this field's tools print them.
pub fn table(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|column| match column {
        Column::Text(title) | Column::Number(title) => *title,
    }));
    table.add_rows(rows.into_iter().map(harmless_row));
    for (column, settings) in columns.iter().zip(table.column_iter_mut()) {
        settings.set_padding((0, 2));
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
