//! Connections that can be cut.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// A handler's hold on its connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    is_cut: Arc<AtomicBool>,
}

impl Line {
    /// Resets the connection instead of sending what is answered next.
    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
    }
}

/// A connection. Once it is cut, the first write fails and the socket is closed with RST.
pub(crate) struct Connection {
    tcp: TcpStream,
    line: Line,
}

impl Connection {
    fn check(&self) -> io::Result<()> {
        if !self.line.is_cut.load(Ordering::Acquire) {
            return Ok(());
        }
        // Without lingering, closing a socket sends RST (tcp(7), SO_LINGER).
        self.tcp.set_zero_linger()?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}

/// Accepts connections that can be cut.
pub(crate) struct Lines(pub(crate) TcpListener);

impl Listener for Lines {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (tcp, peer) = Listener::accept(&mut self.0).await;
        // Small answers go out at once; a socket that refuses the option is only slower.
        let _ = tcp.set_nodelay(true);
        (Connection { tcp, line: Line::default() }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Lines>> for Line {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Self {
        stream.io().line.clone()
    }
}
