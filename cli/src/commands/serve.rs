use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use artifact::Bundle;
use camino::Utf8Path;
use depot::{Depot, Served};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use crate::args::ServeArgs;
use crate::error::Failure;
use crate::output::{Format, Printer, bytes};
use crate::{bundles, runtime, set, signals};

/// Connections at once; others wait.
const AT_ONCE: usize = 64;

#[derive(Serialize)]
struct Serving<'a> {
    event: &'static str,
    address: SocketAddr,
    files: Vec<&'a Utf8Path>,
}

pub fn run(args: &ServeArgs, printer: &Printer) -> Result<(), Failure> {
    let opened = set::open(&args.files, printer)?;
    if let Some(signers) = &args.signers {
        for bundle in &opened {
            bundles::warn_of_end(&bundles::signed_by(bundle, signers)?, printer);
        }
    }
    let runtime = runtime::start()?;
    let served = runtime.block_on(async {
        let stop = signals::watch(printer.work())?;
        let refused = |error: io::Error| refused(args.listen, &error);
        let listener = TcpListener::bind(args.listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        tell(&opened, address, printer)?;
        accept(&listener, Depot::new(opened), &stop, printer).await;
        Ok::<(), Failure>(())
    });
    // Whoever still takes something is not waited for.
    runtime.shutdown_background();
    served
}

fn refused(address: SocketAddr, error: &io::Error) -> Failure {
    Failure::Usage {
        message: format!("cannot listen on {address}: {error}"),
        hint: Some("--listen names an address of this machine, and a port that is free".to_owned()),
    }
}

fn tell(opened: &[Bundle], address: SocketAddr, printer: &Printer) -> Result<(), Failure> {
    if !address.ip().is_loopback() {
        printer.warning(format_args!(
            "whoever reaches {address} can read all of this bundle: there is neither TLS nor a login"
        ));
    }
    let files: Vec<&Utf8Path> = opened.iter().map(Bundle::path).collect();
    if printer.format() == Format::Json {
        let event = "serving";
        return Ok(printer.document(&Serving {
            event,
            address,
            files,
        })?);
    }
    let files: Vec<&str> = files.iter().map(|file| file.as_str()).collect();
    Ok(printer.result(format_args!(
        "{} at http://{address}/ until Ctrl-C",
        files.join(", ")
    ))?)
}

async fn accept(listener: &TcpListener, depot: Depot, stop: &CancellationToken, printer: &Printer) {
    let depot = Arc::new(depot);
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let (tells, mut told) = unbounded_channel();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(served) = told.recv() => line(&served, printer),
            came = came(listener, &room) => if let Some((stream, permit)) = came {
                let (depot, tells) = (Arc::clone(&depot), tells.clone());
                tokio::task::spawn_blocking(move || {
                    answer(stream, &depot, &tells);
                    drop(permit);
                });
            },
        }
    }
}

async fn came(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    let (stream, _) = listener.accept().await.ok()?;
    Some((stream, permit))
}

fn answer(stream: TcpStream, depot: &Depot, tells: &UnboundedSender<Served>) {
    let blocking = stream.into_std().and_then(|stream| {
        stream.set_nonblocking(false)?;
        Ok(stream)
    });
    // One that goes away in the middle is nothing to tell of.
    let _ = blocking.and_then(|stream| {
        depot.serve(&stream, |served| {
            let _ = tells.send(served);
        })
    });
}

fn line(served: &Served, printer: &Printer) {
    let Served {
        method,
        target,
        status,
        bytes: sent,
        broken,
    } = served;
    match broken {
        Some(depot::StretchError::Bundle(error)) => {
            printer.warning(format_args!("{method} {target}: cut off: {error}"));
        }
        _ => printer.remark(format_args!(
            "{method} {target} {status} ({})",
            bytes(*sent)
        )),
    }
}
