//! Compute: heavy local work on a pool, behind an awaitable. A panic becomes an error; dropping the future stops work that
//! has not started, and long work that asks its [`Stop`]. Kernels use `par_iter` inside; they never block, await, log or
//! lock.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::channel::oneshot;
use futures::future::BoxFuture;

use crate::error::{Bug, Error, Result};

/// Local work, ready to run once.
pub type Job = Box<dyn FnOnce() + Send + 'static>;

/// Where local work runs: the rayon pool of a process, or the gated clock of [`crate::sim::World`].
pub trait Compute: Send + Sync {
    /// Runs `job` and resolves when it has ended. The job never panics.
    fn run(&self, job: Job) -> BoxFuture<'static, ()>;
}

/// What a job that works on a whole set asks at each element: whether anybody still waits for it.
pub struct Stop<'a>(pub(crate) &'a (dyn Fn() -> bool + Sync));

impl Stop<'_> {
    /// Goes on, or gives the thread back.
    ///
    /// # Errors
    /// [`Error::Cancelled`] where nobody waits any more: the run was stopped.
    pub fn check(&self) -> Result<()> {
        if (self.0)() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// Runs `local` on `compute` and gives its value back.
pub(crate) async fn run_on<T: Send + 'static>(
    compute: &dyn Compute,
    local: impl FnOnce(&Stop<'_>) -> T + Send + 'static,
) -> Result<T> {
    let (answer, value) = oneshot::channel();
    let span = tracing::Span::current();
    let job: Job = Box::new(move || {
        let stopped = || answer.is_canceled();
        if stopped() {
            return;
        }
        let local = || local(&Stop(&stopped));
        let outcome = span.in_scope(|| catch_unwind(AssertUnwindSafe(local)));
        let _ = answer.send(outcome);
    });
    compute.run(job).await;
    match value.await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(_panic)) => Err(Error::Bug(Bug("local computation panicked"))),
        Err(oneshot::Canceled) => Err(Error::Cancelled),
    }
}

/// The rayon pool of a process. Jobs start in the order they come. It admits all of them: what bounds them is that a session
/// has a few chunks per stream under way at most (see [`crate::session::CHUNKS_IN_FLIGHT`]), so many sessions share the
/// cores fairly, but for the few jobs of each over a whole set: padding, shuffling, matching, and reading off the rows.
pub struct Pool(rayon::ThreadPool);

impl Pool {
    /// A pool of `threads` threads; 0 takes one per core.
    ///
    /// # Errors
    /// [`Error::Bug`] where the system gives no threads.
    pub fn new(threads: usize) -> Result<Self> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|n| format!("banyan-compute-{n}"))
            .build()
            .map(Self)
            .map_err(|_| Error::Bug(Bug("the system gave no threads for the compute pool")))
    }
}

impl Compute for Pool {
    fn run(&self, job: Job) -> BoxFuture<'static, ()> {
        let (done, ended) = oneshot::channel::<()>();
        self.0.spawn_fifo(move || {
            job();
            let _ = done.send(());
        });
        Box::pin(async move {
            let _ = ended.await;
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::executor::block_on;

    use super::*;

    #[test]
    fn a_panic_is_an_error_and_the_pool_lives_on() {
        let pool = Pool::new(1).unwrap();
        let failed = block_on(run_on(&pool, |_| -> u8 { panic!("inside a kernel") }));
        assert_eq!(failed, Err(Error::Bug(Bug("local computation panicked"))));
        assert_eq!(block_on(run_on(&pool, |_| 7)), Ok(7));
    }

    #[test]
    fn a_long_job_nobody_waits_for_any_more_gives_its_thread_back() {
        let pool = Pool::new(1).unwrap();
        let (started, running) = std::sync::mpsc::channel();
        let endless = run_on(&pool, move |stop| -> Result<()> {
            started.send(()).unwrap();
            loop {
                stop.check()?;
            }
        });
        let mut endless = Box::pin(endless);
        assert_eq!(endless.as_mut().now_or_never(), None);
        running.recv().unwrap();
        drop(endless);
        assert_eq!(block_on(run_on(&pool, |_| 7)), Ok(7));
    }
}
