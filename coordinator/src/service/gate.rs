//! The gate before the calls: a key that is not registered may send the few bytes of a join and nothing else. It is
//! turned away by the headers of its request, before anything of its body is held in memory.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{Either, Ready, ready};
use http_body_util::Limited;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response};
use tonic::server::NamedService;

use super::desk::Desk;
use super::door::Caller;
use super::limits::JOIN_MAX;

/// The one call that is open to every key.
const JOIN: &str = "/banyan.v1.Coordinator/Join";

/// The calls behind the gate.
#[derive(Clone)]
pub(crate) struct Gate<S> {
    desk: Arc<Desk>,
    calls: S,
}

impl<S> Gate<S> {
    pub(crate) fn before(calls: S, desk: Arc<Desk>) -> Self {
        Self { desk, calls }
    }

    fn admit(&self, request: Request<Body>) -> Result<Request<Body>, Status> {
        let caller = request.extensions().get::<Caller>().ok_or_else(|| Status::unauthenticated("no key"))?;
        match request.uri().path() {
            JOIN if caller.may_join() => Ok(request.map(|body| Body::new(Limited::new(body, JOIN_MAX)))),
            JOIN => Err(Status::resource_exhausted("too many attempts to join on one connection")),
            _ => self.desk.who(&caller.key).map(|_| request),
        }
    }
}

impl<S: NamedService> NamedService for Gate<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.calls.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.admit(request) {
            Ok(request) => Either::Left(self.calls.call(request)),
            Err(status) => Either::Right(ready(Ok(status.into_http()))),
        }
    }
}
