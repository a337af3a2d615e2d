//! [`SwitchedListener`]: a listener whose connections break while the host is meant to be down.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Whether a host works, and how it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// It works.
    None,
    /// Connections are closed as soon as they are made or used.
    Reset,
    /// Every request gets a 503 with HTML.
    Unavailable,
}

/// An [`Outage`] that can be switched while the server runs.
#[derive(Debug, Clone)]
pub(super) struct Switch(Arc<AtomicU8>);

impl Switch {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU8::new(0)))
    }

    pub(super) fn set(&self, outage: Outage) {
        let code = match outage {
            Outage::None => 0,
            Outage::Reset => 1,
            Outage::Unavailable => 2,
        };
        self.0.store(code, Ordering::SeqCst);
    }

    pub(super) fn get(&self) -> Outage {
        match self.0.load(Ordering::SeqCst) {
            0 => Outage::None,
            1 => Outage::Reset,
            _ => Outage::Unavailable,
        }
    }

    fn broken(&self) -> io::Result<()> {
        match self.get() {
            Outage::Reset => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
            Outage::None | Outage::Unavailable => Ok(()),
        }
    }
}

/// Accepts connections and closes them at once during a [`Outage::Reset`].
pub(super) struct SwitchedListener {
    pub(super) listener: TcpListener,
    pub(super) switch: Switch,
}

impl Listener for SwitchedListener {
    type Io = SwitchedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (SwitchedStream, SocketAddr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            if self.switch.broken().is_ok() {
                // Small answers go out at once; where the option is refused they are only slower.
                stream.set_nodelay(true).ok();
                return (SwitchedStream { stream, switch: self.switch.clone() }, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that breaks during a [`Outage::Reset`].
pub(super) struct SwitchedStream {
    stream: TcpStream,
    switch: Switch,
}

impl AsyncRead for SwitchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.switch.broken()?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for SwitchedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.switch.broken()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.switch.broken()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
