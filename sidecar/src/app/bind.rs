//! Binding the listeners, all of them before anything is served.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Handle;

use crate::config::{Config, Endpoint};
use crate::transport::Listener;

/// Every listener of the process, bound.
pub(super) struct Listeners {
    pub(super) management: Listener,
    pub(super) evaluation: EvaluationListeners,
    pub(super) addresses: Addresses,
    pub(super) sockets: Sockets,
}

/// The Unix sockets that were made. Dropping it removes them, however the process comes to its end;
/// those that a killed process leaves behind are cleared away by the next start.
#[derive(Debug, Default)]
pub(super) struct Sockets(Vec<PathBuf>);

impl Drop for Sockets {
    fn drop(&mut self) {
        for socket in &self.0 {
            let _ = std::fs::remove_file(socket);
        }
    }
}

/// The listeners that serve flags.
pub(super) struct EvaluationListeners {
    pub(super) rpc: Listener,
    pub(super) sync: Listener,
    pub(super) ofrep: Listener,
}

/// Where the listeners are, with the ports that were asked for as "any".
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    pub(super) rpc: Address,
    pub(super) sync: Address,
    pub(super) ofrep: Address,
    pub(super) management: Address,
}

/// Where one listener is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Why a listener could not be bound.
#[derive(Debug, Error)]
pub enum BindError {
    /// Somebody else is there.
    #[error("--{option} {place}: another program listens there; end it, or name another place")]
    InUse {
        /// The option that names the place.
        option: &'static str,
        /// The port or path.
        place: String,
    },
    /// What the operating system said.
    #[error("--{option} {place}: {error}")]
    Io {
        /// The option that names the place.
        option: &'static str,
        /// The port or path.
        place: String,
        /// What it said.
        error: io::Error,
    },
}

impl Listeners {
    /// Binds every listener. Those that serve flags belong to the runtime of `workers`.
    pub(super) async fn bind(config: &Config, workers: &Handle) -> Result<Self, BindError> {
        let mut sockets = Sockets::default();
        let mut made = |(listener, address): (Listener, Address)| {
            if let Address::Unix(path) = &address {
                sockets.0.push(path.clone());
            }
            (listener, address)
        };
        let (management, management_address) = made(bind(config.management.clone()).await?);
        let (rpc, rpc_address) = made(bind_on(workers, &config.rpc).await?);
        let (sync, sync_address) = made(bind_on(workers, &config.sync).await?);
        let (ofrep, ofrep_address) = made(bind_on(workers, &config.ofrep).await?);
        let addresses = Addresses {
            rpc: rpc_address,
            sync: sync_address,
            ofrep: ofrep_address,
            management: management_address,
        };
        let evaluation = EvaluationListeners { rpc, sync, ofrep };
        Ok(Self { management, evaluation, addresses, sockets })
    }
}

/// A listener is driven by the runtime on which it was bound.
async fn bind_on(workers: &Handle, endpoint: &Endpoint) -> Result<(Listener, Address), BindError> {
    let endpoint = endpoint.clone();
    let (option, place) = name(&endpoint);
    workers.spawn(bind(endpoint)).await.unwrap_or_else(|panic| {
        Err(BindError::Io { option, place, error: io::Error::other(panic) })
    })
}

async fn bind(endpoint: Endpoint) -> Result<(Listener, Address), BindError> {
    let (option, place) = name(&endpoint);
    let bound = match endpoint {
        Endpoint::Tcp { address, port, .. } => bind_tcp(address, port).await,
        Endpoint::Unix { path, .. } => bind_unix(&path).await,
    };
    bound.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { option, place },
        _ => BindError::Io { option, place, error },
    })
}

fn name(endpoint: &Endpoint) -> (&'static str, String) {
    match endpoint {
        Endpoint::Tcp { port, option, .. } => (option, port.to_string()),
        Endpoint::Unix { path, option } => (option, path.display().to_string()),
    }
}

async fn bind_tcp(address: Option<IpAddr>, port: u16) -> io::Result<(Listener, Address)> {
    let bind = async |address| TcpListener::bind(SocketAddr::new(address, port)).await;
    let listener = match address {
        Some(address) => bind(address).await?,
        // The IPv6 wildcard takes IPv4 too, unless the host has no IPv6.
        None => match bind(Ipv6Addr::UNSPECIFIED.into()).await {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                bind(Ipv4Addr::UNSPECIFIED.into()).await?
            }
            bound => bound?,
        },
    };
    let address = Address::Tcp(listener.local_addr()?);
    Ok((Listener::Tcp(listener), address))
}

async fn bind_unix(path: &Path) -> io::Result<(Listener, Address)> {
    clear_away(path).await?;
    let listener = UnixListener::bind(path)?;
    Ok((Listener::Unix(listener), Address::Unix(path.to_owned())))
}

/// Removes a socket that nobody listens on any more: a killed process leaves its own behind.
async fn clear_away(path: &Path) -> io::Result<()> {
    let is_socket =
        std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match tokio::net::UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));

    #[tokio::test]
    async fn port_0_is_a_real_port_and_a_taken_one_is_named() {
        let any = Endpoint::Tcp { address: LOOPBACK, port: 0, option: "port" };
        let (_listener, address) = bind(any).await.unwrap();
        let Address::Tcp(address) = address else { panic!("{address}") };
        assert_ne!(address.port(), 0);

        let taken = Endpoint::Tcp { address: LOOPBACK, port: address.port(), option: "ofrep-port" };
        let Err(error) = bind(taken).await else { panic!("bound twice") };
        let text = error.to_string();
        assert!(text.starts_with(&format!("--ofrep-port {}: another", address.port())), "{text}");
    }

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let home = tempfile::tempdir().unwrap();
        let endpoint = || Endpoint::Unix { path: home.path().join("s"), option: "socket-path" };
        let (listener, _) = bind(endpoint()).await.unwrap();
        assert!(matches!(bind(endpoint()).await, Err(BindError::InUse { .. })));
        drop(listener);
        bind(endpoint()).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_socket_is_never_removed() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("precious");
        std::fs::write(&path, "data").unwrap();
        let endpoint = Endpoint::Unix { path: path.clone(), option: "socket-path" };
        assert!(matches!(bind(endpoint).await, Err(BindError::InUse { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"data");
    }
}
