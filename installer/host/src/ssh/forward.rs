//! A port of a host behind a bastion, brought to this machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::SshHost;
use crate::HostError;

/// A loopback port here that leads through a bastion to a port over there, for as long as this lives.
#[derive(Debug)]
pub struct Forward {
    here: SocketAddr,
    fault: Arc<OnceLock<HostError>>,
    serving: JoinHandle<()>,
}

impl Forward {
    pub(super) async fn open(
        bastion: Arc<SshHost>,
        address: String,
        port: u16,
    ) -> Result<Self, HostError> {
        let local = |error| HostError::Unreachable {
            address: Ipv4Addr::LOCALHOST.to_string(),
            why: crate::words::io(&error),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(local)?;
        let here = listener.local_addr().map_err(local)?;
        let fault = Arc::<OnceLock<_>>::default();
        let serving = tokio::spawn(serve(listener, bastion, address, port, fault.clone()));
        Ok(Self {
            here,
            fault,
            serving,
        })
    }

    /// Where to connect to.
    #[must_use]
    pub fn here(&self) -> SocketAddr {
        self.here
    }

    /// Why a connection did not get through. Whoever made it has only seen it close.
    #[must_use]
    pub fn fault(&self) -> Option<&HostError> {
        self.fault.get()
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    listener: TcpListener,
    bastion: Arc<SshHost>,
    address: String,
    port: u16,
    fault: Arc<OnceLock<HostError>>,
) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (bastion, address, fault) = (bastion.clone(), address.clone(), fault.clone());
        connections.spawn(async move {
            if let Err(error) = carry(stream, &bastion, &address, port).await {
                let _ = fault.set(error);
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn carry(
    mut stream: TcpStream,
    bastion: &SshHost,
    address: &str,
    port: u16,
) -> Result<(), HostError> {
    let (mut tunnel, _connection) = bastion.tunnel(address, port).await?;
    // How it ends is for the two who talk: each sees the other's end.
    let _ = copy_bidirectional(&mut stream, &mut tunnel).await;
    Ok(())
}
