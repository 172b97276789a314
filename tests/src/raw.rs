//! HTTP as bytes on a socket, for requests that no client would send.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer as it came over the socket.
#[derive(Clone, Debug)]
pub struct RawReply {
    /// The status.
    pub status: u16,
    /// The content type; empty when there is none.
    pub content_type: String,
    /// The body; null when it is no JSON.
    pub body: Value,
}

/// Sends these bytes, which ask the server to close the connection; `None` when it closes without an
/// answer.
///
/// # Panics
/// When nothing listens there.
pub async fn exchange(address: &str, bytes: &[u8]) -> Option<RawReply> {
    let mut socket = TcpStream::connect(address).await.expect("a listener");
    // The server may close while the request is under way.
    let _ = socket.write_all(bytes).await;
    answer(socket).await
}

/// Sends these bytes and says that nothing more will come.
///
/// # Panics
/// When nothing listens there.
pub async fn exchange_cut_short(address: &str, bytes: &[u8]) -> Option<RawReply> {
    let mut socket = TcpStream::connect(address).await.expect("a listener");
    let _ = socket.write_all(bytes).await;
    let _ = socket.shutdown().await;
    answer(socket).await
}

async fn answer(mut socket: TcpStream) -> Option<RawReply> {
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let content_type = head.lines().find_map(|line| line.strip_prefix("content-type: "));
    Some(RawReply {
        status: head.split(' ').nth(1)?.parse().ok()?,
        content_type: content_type.unwrap_or_default().to_owned(),
        body: serde_json::from_str(body).unwrap_or_default(),
    })
}
