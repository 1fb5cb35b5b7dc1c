use artifact::{Bundle, Cancel, Principal, WorkDir};
use camino::Utf8Path;
use event::Events;
use serde::Serialize;

use crate::args::VerifyArgs;
use crate::error::Failure;
use crate::output::{Format, Printer, bytes};
use crate::{bundles, runtime, set, signals};

#[derive(Serialize)]
struct Verified<'a> {
    event: &'static str,
    file: &'a Utf8Path,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

pub fn run(args: &VerifyArgs, printer: &Printer) -> Result<(), Failure> {
    let events = printer.work();
    let runtime = runtime::start()?;
    let cancel = signals::cancel(&runtime, &events)?;
    for bundle in set::open(&args.files, printer)? {
        verify(&bundle, args, (&events, &cancel), printer)?;
    }
    Ok(())
}

fn verify(
    bundle: &Bundle,
    args: &VerifyArgs,
    (events, cancel): (&Events, &Cancel),
    printer: &Printer,
) -> Result<(), Failure> {
    let signers = args.signers.as_deref();
    let signer = signers
        .map(|signers| bundles::signed_by(bundle, signers))
        .transpose()?;
    if let Some(by) = &signer {
        bundles::warn_of_end(by, printer);
    }
    bundles::verify(bundle, runtime::threads(), events, cancel)?;
    if let Some(dir) = &args.work_dir {
        let tree = WorkDir::new(dir).tree(&bundle.contents().cluster);
        bundles::require_rest(bundle, &tree, runtime::threads(), events, cancel)?;
    }
    tell(bundle, signer, printer)
}

fn tell(bundle: &Bundle, signer: Option<Principal>, printer: &Printer) -> Result<(), Failure> {
    if printer.format() == Format::Json {
        let digest = bundle.digest().oci();
        let (signed_by, key) = signer.map(|by| (by.name, by.fingerprint)).unzip();
        let verified = Verified {
            event: "verified",
            file: bundle.path(),
            digest,
            signed_by,
            key,
        };
        return Ok(printer.document(&verified)?);
    }
    let (files, size) = (bundles::files(bundle), bytes(bundle.size()));
    let intact = printer.paint().good("intact");
    printer.result(format_args!(
        "{}: {intact} ({files}, {size})",
        bundle.path()
    ))?;
    if let Some(Principal {
        name, fingerprint, ..
    }) = signer
    {
        printer.result(format_args!("signed by {name} ({fingerprint})"))?;
    }
    Ok(())
}
