//! What a bundle holds, folder by folder.

use std::collections::BTreeMap;

use artifact::{Contents, FileEntry};

use crate::output::{Column, bytes, count, table};

#[derive(Default)]
struct Folder<'a> {
    folders: BTreeMap<&'a str, Folder<'a>>,
    files: BTreeMap<&'a str, u64>,
}

/// Images are told by their names: what their blobs are called tells nobody anything.
pub fn tree(contents: &Contents) -> String {
    let mut root = Folder::default();
    let files = contents.files.iter();
    for file in files.filter(|file| !is_blob(file)) {
        root.add(file.path.as_str(), file.size);
    }
    let mut rows = Vec::new();
    root.draw(0, &mut rows);
    let columns = [Column::Number("size"), Column::Text("file")];
    let mut parts = vec![table(&columns, rows)];
    parts.extend(blobs(contents));
    parts.join("\n\n")
}

fn is_blob(file: &FileEntry) -> bool {
    file.path.starts_with("images/blobs")
}

fn blobs(contents: &Contents) -> Option<String> {
    let blobs = contents.files.iter().filter(|file| is_blob(file));
    let (number, size) = blobs.fold((0, 0_u64), |(number, size), file| {
        (number + 1, size.saturating_add(file.size))
    });
    let images = count(contents.images.len() as u64, "image");
    let blobs = count(number, "blob");
    (number > 0).then(|| format!("{images} in {blobs}, {}", bytes(size)))
}

impl<'a> Folder<'a> {
    fn add(&mut self, path: &'a str, size: u64) {
        match path.split_once('/') {
            Some((folder, rest)) => self.folders.entry(folder).or_default().add(rest, size),
            None => {
                self.files.insert(path, size);
            }
        }
    }

    fn size(&self) -> u64 {
        let folders = self.folders.values().map(Self::size);
        let files = self.files.values().copied();
        folders.chain(files).fold(0, u64::saturating_add)
    }

    fn draw(&self, depth: usize, rows: &mut Vec<Vec<String>>) {
        let indent = "  ".repeat(depth);
        for (name, folder) in &self.folders {
            // A folder with nothing but a folder in it is half a name.
            let (mut name, mut folder) = ((*name).to_owned(), folder);
            while let (true, Some((inner, next))) = (
                folder.files.is_empty() && folder.folders.len() == 1,
                folder.folders.iter().next(),
            ) {
                name = format!("{name}/{inner}");
                folder = next;
            }
            rows.push(vec![bytes(folder.size()), format!("{indent}{name}/")]);
            folder.draw(depth + 1, rows);
        }
        for (name, size) in &self.files {
            rows.push(vec![bytes(*size), format!("{indent}{name}")]);
        }
    }
}
