//! A developer's line to the coordinator: over TLS 1.3 to the one key that is pinned for it.

use std::sync::Arc;
use std::time::Duration;

use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::grant::Approval;
use banyan_proto::identity::{Identity, PublicKey, Signed};
use banyan_proto::job::Spec;
use banyan_proto::pinned::{Pins, SERVER_NAME, client_config};
use banyan_proto::wire::coordinator_client::CoordinatorClient;
use banyan_proto::wire::{self, Introduction};
use futures::{Stream, StreamExt, stream};
use hyper_util::rt::TokioIo;
use rustls::CertificateError;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

use super::answer::Failure;
use super::developer::Developer;
use super::text::plain;
use super::view::{JobView, Listing};

/// How long the coordinator may take to answer one call: a loaded machine on a bad line.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is said after that.
const SILENT: &str = "no answer in 60 s";
/// How often a line with an open call, such as a watch, is asked whether it is there, and how long the answer may take.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// A coordinator that showed the expected key.
#[derive(Clone)]
pub(crate) struct Client {
    url: String,
    calls: CoordinatorClient<Channel>,
}

impl Client {
    /// Dials the coordinator that `developer` joined.
    ///
    /// # Errors
    /// [`Failure::NotNow`] where it cannot be reached, [`Failure::Refused`] where somebody else answers.
    pub(crate) async fn of(developer: &Developer) -> Result<Self, Failure> {
        let coordinator = &developer.config.coordinator;
        Self::dial(&coordinator.url, &coordinator.key, &developer.identity).await
    }

    /// Dials `url` and believes only `key`.
    ///
    /// # Errors
    /// As [`Client::of`].
    pub(crate) async fn dial(url: &str, key: &PublicKey, me: &Identity) -> Result<Self, Failure> {
        let tls = TlsConnector::from(Arc::new(client_config(me, Pins::Only(*key)).map_err(Failure::not_now)?));
        let unreachable = |error: &dyn std::fmt::Display| {
            Failure::not_now(format!(
                "the coordinator at {url} cannot be reached: {error}; is `banyan serve` up, and may this machine dial it?"
            ))
        };
        let socket = tokio::time::timeout(PATIENCE, TcpStream::connect(url)).await;
        let socket = socket.map_err(|_| unreachable(&SILENT))?.map_err(|error| unreachable(&error))?;
        // calls are small, and somebody waits for each
        socket.set_nodelay(true).map_err(|error| unreachable(&error))?;
        let name = ServerName::try_from(SERVER_NAME).map_err(Failure::not_now)?;
        let secured = tokio::time::timeout(PATIENCE, tls.connect(name, socket)).await;
        let secured = secured.map_err(|_| unreachable(&SILENT))?.map_err(|error| match rustls_error(&error) {
            Some(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => {
                Failure::Refused(format!(
                    "{url} does not hold the coordinator's key {}: somebody else answers there, or the coordinator has a \
                     new key; ask the operator by phone, and for a new invite",
                    key.fingerprint()
                ))
            }
            _ => unreachable(&error),
        })?;
        let mut secured = Some(TokioIo::new(secured));
        // the one connection that was checked, and no second one
        let connector = tower::service_fn(move |_: Uri| {
            let secured = secured.take().ok_or_else(|| std::io::Error::from(std::io::ErrorKind::ConnectionAborted));
            std::future::ready(secured)
        });
        let endpoint =
            Endpoint::from_static("http://banyan").http2_keep_alive_interval(KEEPALIVE).keep_alive_timeout(KEEPALIVE);
        let channel = endpoint.connect_with_connector(connector).await.map_err(|error| unreachable(&error))?;
        let calls = CoordinatorClient::new(channel).max_decoding_message_size(wire::MESSAGE_MAX);
        Ok(Self { url: url.to_owned(), calls })
    }

    /// Redeems an invite.
    ///
    /// # Errors
    /// [`Failure`] with what the coordinator said.
    pub(crate) async fn join(&mut self, name: &str, secret: &[u8]) -> Result<(), Failure> {
        let request = wire::JoinRequest {
            version: wire::VERSION,
            name: name.to_owned(),
            secret: secret.to_vec().into(),
            url: String::new(),
        };
        let reply = timely(self.calls.join(request)).await;
        reply.map(|_| ()).map_err(|status| self.said(&status))
    }

    /// Proposes a job; a failed one of the same spec is tried again.
    ///
    /// # Errors
    /// As [`Client::join`].
    pub(crate) async fn propose(&mut self, spec: &Spec) -> Result<JobView, Failure> {
        let request = wire::ProposeRequest { spec: spec.to_bytes().into() };
        let reply = timely(self.calls.propose(request)).await;
        reply.map_err(|status| self.said(&status))?.into_inner().try_into()
    }

    /// The jobs that this developer may see.
    ///
    /// # Errors
    /// As [`Client::join`].
    pub(crate) async fn jobs(&mut self) -> Result<Listing, Failure> {
        let reply = timely(self.calls.jobs(wire::JobsRequest {})).await;
        Ok(reply.map_err(|status| self.said(&status))?.into_inner().into())
    }

    /// One job.
    ///
    /// # Errors
    /// As [`Client::join`].
    pub(crate) async fn job(&mut self, job: &Digest) -> Result<JobView, Failure> {
        let reply = timely(self.calls.job(request(job))).await;
        reply.map_err(|status| self.said(&status))?.into_inner().try_into()
    }

    /// Gives a review of a job's scenario.
    ///
    /// # Errors
    /// As [`Client::join`].
    pub(crate) async fn review(
        &mut self,
        job: &Digest,
        review: &Signed<Approval>,
        reason: &str,
    ) -> Result<JobView, Failure> {
        let (job, approval) = (job.0.to_vec().into(), review.to_bytes().into());
        let request = wire::ReviewRequest { job, approval, reason: reason.to_owned() };
        let reply = timely(self.calls.review(request)).await;
        reply.map_err(|status| self.said(&status))?.into_inner().try_into()
    }

    /// Stops a job.
    ///
    /// # Errors
    /// As [`Client::join`].
    pub(crate) async fn cancel(&mut self, job: &Digest, reason: &str) -> Result<JobView, Failure> {
        let request = wire::CancelRequest { job: job.0.to_vec().into(), reason: reason.to_owned() };
        let reply = timely(self.calls.cancel(request)).await;
        reply.map_err(|status| self.said(&status))?.into_inner().try_into()
    }

    /// Whom the coordinator knows.
    ///
    /// # Errors
    /// As [`Client::join`].
    pub(crate) async fn roster(&mut self) -> Result<Vec<Introduction>, Failure> {
        let reply = timely(self.calls.roster(wire::RosterRequest {})).await;
        Ok(reply.map_err(|status| self.said(&status))?.into_inner().parties)
    }

    /// Every change of a job from now on, its present state first. Ends when the coordinator ends it.
    ///
    /// # Errors
    /// As [`Client::join`]; later ones are items of the stream.
    pub(crate) async fn watch(
        &mut self,
        job: &Digest,
    ) -> Result<impl Stream<Item = Result<JobView, Failure>> + Unpin + use<>, Failure> {
        let changes = timely(self.calls.watch(request(job))).await.map_err(|status| self.said(&status))?.into_inner();
        let line = self.clone();
        Ok(stream::unfold(changes, |mut changes| async {
            let next = changes.message().await.transpose()?;
            Some((next, changes))
        })
        .map(move |change| change.map_err(|status| line.said(&status)).and_then(JobView::try_from))
        .boxed())
    }

    fn said(&self, status: &tonic::Status) -> Failure {
        use tonic::Code;
        let text = format!("the coordinator at {} said: {}", self.url, plain(status.message()));
        match status.code() {
            Code::PermissionDenied | Code::Unauthenticated => Failure::Refused(text),
            Code::InvalidArgument | Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition => {
                Failure::Input(text)
            }
            _ => Failure::NotNow(text),
        }
    }
}

fn request(job: &Digest) -> wire::JobRequest {
    wire::JobRequest { job: job.0.to_vec().into() }
}

async fn timely<T>(call: impl Future<Output = Result<T, tonic::Status>>) -> Result<T, tonic::Status> {
    let late = || tonic::Status::deadline_exceeded(SILENT);
    tokio::time::timeout(PATIENCE, call).await.unwrap_or_else(|_| Err(late()))
}

/// The TLS error inside an input-output error.
fn rustls_error(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|error| error.downcast_ref())
}

#[cfg(test)]
mod tests {
    use banyan_proto::pinned::server_config;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// What dialling says where `answer` is given to whoever dials, by a server that holds another key than is pinned.
    async fn said(with_tls: bool) -> Failure {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = listener.local_addr().unwrap().to_string();
        let (me, pinned, other) = (key(), key().public(), key());
        let any = Pins::Test(Arc::new(|_| true));
        let tls = TlsAcceptor::from(Arc::new(server_config(&other, any).unwrap()));
        tokio::spawn(async move {
            let (socket, _) = listener.accept().await.unwrap();
            if with_tls {
                let _ = tls.accept(socket).await;
            }
        });
        Client::dial(&url, &pinned, &me).await.map(|_| ()).unwrap_err()
    }

    fn key() -> Identity {
        Identity::generate().unwrap()
    }

    #[tokio::test]
    async fn only_another_key_is_somebody_else() {
        let other = said(true).await;
        assert!(matches!(&other, Failure::Refused(why) if why.contains("somebody else answers there")), "{other:?}");
        let broken = said(false).await;
        assert!(matches!(&broken, Failure::NotNow(why) if why.contains("cannot be reached")), "{broken:?}");
    }
}
