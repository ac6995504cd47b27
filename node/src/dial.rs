//! One connection to one pinned key: TCP, TLS 1.3, HTTP/2. Nobody else can answer, and nothing else is believed.

use std::sync::Arc;
use std::time::Duration;

use banyan_proto::identity::{Identity, PublicKey};
use banyan_proto::pinned::{Pins, SERVER_NAME, client_config};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError};
use tokio::io::AsyncBufReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use crate::peer::limits::{CONNECTION_WINDOW, HANDSHAKE_WAIT, HEADERS_MAX, STREAM_WINDOW};

/// How long a connection may take, from the first packet to the first word of the other end.
const PATIENCE: Duration = HANDSHAKE_WAIT;
/// How often an idle connection to a coordinator is asked whether it is there: one that went away is noticed in twice this
/// time.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(10);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// Nobody answers there.
    #[error("{url} cannot be reached: {why}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why not.
        why: String,
    },
    /// Somebody else answers there.
    #[error("{url} does not hold the pinned key {}", .key.fingerprint())]
    OtherKey {
        /// Where.
        url: String,
        /// The key it should hold.
        key: PublicKey,
    },
    /// The right key answers, and does not know this node's.
    #[error("{url} does not know this node's key")]
    Stranger {
        /// Where.
        url: String,
    },
}

/// Connects to `key` at `url`, or fails. A connection that breaks stays broken: the caller dials again.
pub(crate) async fn pinned(
    url: &str,
    key: &PublicKey,
    me: &Identity,
    keepalive: Duration,
) -> Result<Channel, DialError> {
    let unreachable = |why: &dyn std::fmt::Display| DialError::Unreachable { url: url.into(), why: why.to_string() };
    let config = client_config(me, Pins::Only(*key)).map_err(|error| unreachable(&error))?;
    let name = ServerName::try_from(SERVER_NAME).map_err(|error| unreachable(&error))?;
    let connection = async {
        let tcp = TcpStream::connect(url).await?;
        tcp.set_nodelay(true)?;
        let mut tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        // A TLS 1.3 client is done before the server has looked at the client's certificate. What the server says first,
        // its HTTP/2 settings or a refusal, is awaited here and left to be read: later, HTTP/2 may lose the refusal.
        if tls.fill_buf().await?.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(tls)
    };
    let tls = match timeout(PATIENCE, connection).await {
        Ok(connected) => connected.map_err(|error: std::io::Error| match rustls_error(&error) {
            Some(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => {
                DialError::OtherKey { url: url.into(), key: *key }
            }
            Some(rustls::Error::AlertReceived(AlertDescription::AccessDenied)) => {
                DialError::Stranger { url: url.into() }
            }
            _ => unreachable(&error),
        })?,
        Err(_) => return Err(unreachable(&format_args!("no answer within {} s", PATIENCE.as_secs()))),
    };
    let mut stream = Some(TokioIo::new(tls));
    // the one connection that was checked, and no second one
    let connector = tower::service_fn(move |_: tonic::transport::Uri| {
        std::future::ready(stream.take().ok_or_else(|| std::io::Error::from(std::io::ErrorKind::ConnectionAborted)))
    });
    Endpoint::from_static("http://banyan")
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_header_list_size(HEADERS_MAX)
        .http2_keep_alive_interval(keepalive)
        .keep_alive_timeout(keepalive)
        .keep_alive_while_idle(true)
        .connect_with_connector(connector)
        .await
        .map_err(|error| unreachable(&error))
}

/// The TLS error inside an input-output error.
fn rustls_error(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|error| error.downcast_ref())
}
