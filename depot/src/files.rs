//! Files by their paths, and the list of them.

use std::fmt::Write;

use crate::Depot;
use crate::answer::Answer;
use crate::request::Request;

const TEXT: &str = "text/plain; charset=utf-8";

/// `/` tells what there is, `/files/PATH` is a file, `/files/` and `/files/FOLDER/` are what `sha256sum --check` reads.
pub fn answer<'a>(depot: &'a Depot, request: &Request) -> Answer<'a> {
    match request.path.strip_prefix("/files/") {
        Some(folder) if folder.is_empty() || folder.ends_with('/') => listed(depot, folder),
        Some(path) => match depot.file(path) {
            Some(file) => Answer::file(file, "application/octet-stream", request),
            None => Answer::refused(404),
        },
        None if request.path == "/" => Answer::text(TEXT, about(depot)),
        None => Answer::refused(404),
    }
}

fn listed<'a>(depot: &'a Depot, folder: &str) -> Answer<'a> {
    let files = depot.contents().map_or(&[][..], |contents| &contents.files);
    let here = files.iter().filter_map(|file| {
        let name = file.path.as_str().strip_prefix(folder)?;
        depot.holder(&file.path).map(|_| (name, file.sha256))
    });
    let mut text = String::new();
    for (name, sha256) in here {
        let _ = writeln!(text, "{sha256}  {name}");
    }
    if text.is_empty() {
        return Answer::refused(404);
    }
    Answer::text(TEXT, text)
}

fn about(depot: &Depot) -> String {
    let Some(contents) = depot.contents() else {
        return String::new();
    };
    format!(
        "bundle of {} (serial {})\n\n/files/       {} files, with their SHA-256\n/v2/_catalog  {} images, for container runtimes and skopeo\n",
        contents.cluster,
        contents.serial,
        contents.files.len(),
        contents.images.len()
    )
}
