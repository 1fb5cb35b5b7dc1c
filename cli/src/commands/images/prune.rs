use pipeline::{Data, ImageInRegistry, ImageLook, Wanted};

use super::look;
use crate::act::Act;
use crate::args::ImagesPruneArgs;
use crate::confirm::Question;
use crate::error::Failure;
use crate::output::{Printer, bytes};
use crate::site;

pub fn run(args: &ImagesPruneArgs, printer: &Printer) -> Result<(), Failure> {
    let site = site::existing(&args.config, &args.act.work_dir, printer)?;
    let seen = look(&site, &args.act.access, printer)?;
    let graph = pipeline::prune_images(&site, &seen.forgotten)?;
    let looking = pipeline::recognise(&site, Data::Keep)?;
    printer.remark(told(&seen));
    let act = Act {
        verb: "images prune",
        site: &site,
        reached: &site.cluster,
        graph: &graph,
        looking: &looking,
        bundle: String::new(),
    };
    act.carry_out(&args.act, printer, || {
        if args.yes || seen.forgotten.is_empty() {
            return Ok(());
        }
        let name = site.cluster.name();
        Question {
            what: format!("images shall be removed from the registry of {name}"),
            told: "Type the cluster's name to go on:".to_owned(),
            word: name,
            of: "the cluster's name",
        }
        .ask(printer)
    })
}

/// What goes, and what that frees.
fn told(seen: &ImageLook) -> String {
    let goes = |image: &&ImageInRegistry| image.wanted == Wanted::ByNobody;
    let names: Vec<&str> = seen
        .images
        .iter()
        .filter(goes)
        .map(|image| image.name.as_str())
        .collect();
    if names.is_empty() {
        return "every image in the registry is named by the bundle or the cluster".to_owned();
    }
    format!(
        "neither the bundle nor anything in the cluster names:\n  {}\nthey take {} of each registry's disk",
        names.join("\n  "),
        bytes(seen.freed)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_is_told() {
        let image = |name: &str, wanted| ImageInRegistry {
            name: name.to_owned(),
            digest: None,
            size: 1,
            wanted,
            hosts: Vec::new(),
        };
        let mut seen = ImageLook {
            images: vec![
                image("registry.k8s.io/pause:3.10", Wanted::ByBundle),
                image("quay.io/team/app:1.3", Wanted::ByNobody),
            ],
            forgotten: pipeline::Forgotten::new(),
            freed: 5 << 20,
        };
        insta::assert_snapshot!(told(&seen), @r"
        neither the bundle nor anything in the cluster names:
          quay.io/team/app:1.3
        they take 5.0 MiB of each registry's disk
        ");
        seen.images.pop();
        insta::assert_snapshot!(told(&seen), @"every image in the registry is named by the bundle or the cluster");
    }
}
