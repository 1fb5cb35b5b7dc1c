use std::fs;

use artifact::{Bundle, Cancel, ImageSource, Tree};
use camino::{Utf8Path, Utf8PathBuf};
use event::Progress;
use pipeline::{Data, PushedImages};

use crate::act::Act;
use crate::args::ImagesPushArgs;
use crate::error::Failure;
use crate::output::Printer;
use crate::{runtime, site};

/// A folder for what an archive holds; it goes with the run.
struct Scratch(Utf8PathBuf);

impl Scratch {
    fn within(tree: &Tree) -> Result<Self, Failure> {
        let path = tree.state().join(format!("images.{}", std::process::id()));
        let made = fs::create_dir_all(&path);
        made.map_err(|source| Failure::Write {
            path: path.clone(),
            source,
        })?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn run(args: &ImagesPushArgs, printer: &Printer) -> Result<(), Failure> {
    let site = site::existing(&args.config, &args.act.work_dir, printer)?;
    let scratch = Scratch::within(&site.tree)?;
    let source = source(&args.source, &scratch.0)?;
    let source = source.choose(&args.source, &args.references)?;
    let pushed = PushedImages {
        layout: source.layout,
        images: source.images,
    };
    let site = pipeline::with_hosts_of(site, &pushed);
    let graph = pipeline::push_images(&site, pushed)?;
    let looking = pipeline::recognise(&site, Data::Keep)?;
    let act = Act {
        verb: "images push",
        site: &site,
        reached: &site.cluster,
        graph: &graph,
        looking: &looking,
        bundle: String::new(),
    };
    act.carry_out(&args.act, printer, || Ok(()))
}

/// A bundle is verified as it is unpacked.
fn source(path: &Utf8Path, scratch: &Utf8Path) -> Result<ImageSource, Failure> {
    if path.is_dir() || !is_bundle(path) {
        return Ok(ImageSource::open(path, scratch)?);
    }
    let bundle = Bundle::open(path)?;
    let tree = Tree::at(scratch);
    let (progress, cancel) = (Progress::unseen(), Cancel::default());
    bundle.unpack(&tree, runtime::threads(), &progress, &cancel)?;
    Ok(ImageSource {
        layout: tree.images(),
        images: bundle.contents().images.clone(),
    })
}

/// By the name that `kubexm bundle` gives.
fn is_bundle(path: &Utf8Path) -> bool {
    path.as_str().ends_with(".tar.zst")
}
