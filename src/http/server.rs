//! The server: takes an address at once, and serves until it is told to stop.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};

use super::connection::{ConnectionLimits, LimitedListener};
use super::pages::Pages;

/// A server that has its address and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    limits: ConnectionLimits,
}

impl Server {
    /// Takes `address`; with port 0 the system chooses one. An error says what to do about it.
    pub fn bind(address: SocketAddr) -> io::Result<Server> {
        let bound = || {
            let listener = TcpListener::bind(address)?;
            // As tokio wants it.
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Server {
                listener,
                address,
                limits: ConnectionLimits::default(),
            })
        };
        bound().map_err(|error| explained(address, error))
    }

    /// The address with the port that was chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves within other limits than the default.
    pub fn with_limits(mut self, limits: ConnectionLimits) -> Server {
        self.limits = limits;
        self
    }

    /// Answers until `shutdown` completes and the connections that are open then have ended,
    /// which takes as long as their limit at most. Dropping the future earlier stops accepting;
    /// open connections go on until their limit.
    pub async fn serve(
        self,
        pages: Pages,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let listener = LimitedListener::new(listener, self.limits);
        tracing::info!(address = %self.address, "answering over HTTP");
        axum::serve(listener, pages.router())
            .with_graceful_shutdown(shutdown)
            .await
    }
}

fn explained(address: SocketAddr, error: io::Error) -> io::Error {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another process listens there; end it, or set http.listen to a free port"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have the address; set http.listen to one that it has"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege; set http.listen to a higher port"
        }
        _ => "set http.listen to another address",
    };
    let text = format!("cannot listen on {address}: {error}: {advice}");
    io::Error::new(error.kind(), text)
}
