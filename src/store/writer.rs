//! The one writer.
//!
//! A single thread owns the single write connection. Jobs that wait together are committed in one
//! transaction, since a durable commit costs as much for one job as for two hundred; one that fails or
//! panics takes only its own effects along. A caller hears of success only after the commit is on disk.
//!
//! ```text
//! BEGIN IMMEDIATE
//!   job 1        ok
//!   job 2        failed, nothing changed yet → told its error
//!   job 3        ok
//!   job 4        failed                      → told its error; ROLLBACK, BEGIN, the changes of 1 and 3 again
//! COMMIT         → 1 and 3 are told; if it fails, both get the error
//! BEGIN IMMEDIATE
//!   job 5        …
//! ```
//!
//! Savepoints would do it too, at the cost of copying each page that a job changes, for every job; to
//! make changes again costs only when something is wrong. Some errors (a full disk) make SQLite end the
//! transaction by itself: that comes to the same. If the changes cannot be made again, those that had
//! gone well are told that nothing was kept.
//!
//! The database is called on the writer's own thread, where the jobs run too: handing each statement to
//! another thread costs several times what the statement does. So the futures of the jobs never wait, and
//! are asynchronous only because another database's would be.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::connect;
use super::error::StoreError;
use super::row::sql;
use super::tx::Tx;

/// Jobs that may wait. Beyond, `write` itself waits: a flood is held back at its source instead of
/// filling the memory, and at 2,000 jobs a second a full queue is half a second of work.
const QUEUE: usize = 1024;
/// Jobs of one transaction: enough that the commit no longer counts, few enough that the first
/// does not wait long for the last (about 50 ms).
const BATCH: usize = 256;
/// Transactions of jobs that may pass before one waiting low job gets its turn, so that retention
/// still goes on under a flood.
const PASSED_OVER: u32 = 16;

/// A cheap handle to the thread that writes.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Command>,
    low: mpsc::Sender<Box<dyn Job>>,
}

enum Command {
    Job(Box<dyn Job>),
    /// In this order, in one transaction as long as none of them fails.
    Jobs(Vec<Box<dyn Job>>),
    /// Work off what waits, then close; the answer tells whether the log went into the file.
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// A job with its result type erased.
trait Job: Send {
    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> BoxFuture<'t, Result<(), StoreError>>;
    fn settle(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Pending<T, F> {
    job: Option<F>,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Pending<T, F>
where
    T: Send + 'static,
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
{
    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> BoxFuture<'t, Result<(), StoreError>> {
        Box::pin(async move {
            if let Some(job) = self.job.take() {
                self.value = Some(job(tx).await?);
            }
            Ok(())
        })
    }

    fn settle(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { value, reply, .. } = *self;
        // Nobody may be waiting any more; the job counts all the same.
        let _ = reply.send(outcome.and_then(|()| value.ok_or(StoreError::Closed)));
    }
}

/// `job` as the writer takes it, and where its outcome will be told.
fn waiting<T, F>(job: F) -> (Box<dyn Job>, oneshot::Receiver<Result<T, StoreError>>)
where
    T: Send + 'static,
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
{
    let (reply, outcome) = oneshot::channel();
    (Box::new(Pending { job: Some(job), value: None, reply }), outcome)
}

impl Writer {
    /// Starts the thread with `connection`, which is made anew when it is lost; it ends when it is closed or
    /// its last handle is dropped.
    pub(super) fn start(connection: Connection, path: &Path, busy_timeout: Duration) -> Result<Self, StoreError> {
        let (jobs, jobs_rx) = mpsc::channel(QUEUE);
        let (low, low_rx) = mpsc::channel(QUEUE);
        let task = Task {
            tx: Some(Tx::new(connection)),
            path: path.to_owned(),
            busy_timeout,
            jobs: jobs_rx,
            low: low_rx,
            passed_over: 0,
            closing: None,
        };
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || futures_executor::block_on(task.run()))
            .map_err(StoreError::io("start the thread that writes", path))?;
        Ok(Self { jobs, low })
    }

    /// See [`Store::write`](super::Store::write).
    pub(super) async fn write<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
    {
        let (job, answer) = waiting(job);
        self.jobs.send(Command::Job(job)).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// See [`Store::write_all`](super::Store::write_all).
    pub(super) async fn write_all<T, F, U, G>(
        &self,
        first: F,
        then: Vec<G>,
    ) -> (Result<T, StoreError>, Vec<Result<U, StoreError>>)
    where
        T: Send + 'static,
        U: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
        G: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<U, StoreError>> + Send + 'static,
    {
        let (first, answer) = waiting(first);
        let mut jobs = vec![first];
        let mut answers = Vec::with_capacity(then.len());
        for job in then {
            let (job, answer) = waiting(job);
            jobs.push(job);
            answers.push(answer);
        }
        if self.jobs.send(Command::Jobs(jobs)).await.is_err() {
            return (Err(StoreError::Closed), Vec::new());
        }
        let first = answer.await.unwrap_or(Err(StoreError::Closed));
        let mut others = Vec::with_capacity(answers.len());
        for answer in answers {
            others.push(answer.await.unwrap_or(Err(StoreError::Closed)));
        }
        (first, others)
    }

    /// See [`Store::write_low`](super::Store::write_low).
    pub(super) async fn write_low<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
    {
        let (job, answer) = waiting(job);
        self.low.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Works off what waits, moves the log into the file and closes. What comes later is refused.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        if self.jobs.send(Command::Close(reply)).await.is_err() {
            return Ok(());
        }
        answer.await.unwrap_or(Ok(()))
    }
}

struct Task {
    /// None after the connection was lost and could not be made anew yet.
    tx: Option<Tx>,
    path: PathBuf,
    busy_timeout: Duration,
    jobs: mpsc::Receiver<Command>,
    low: mpsc::Receiver<Box<dyn Job>>,
    passed_over: u32,
    closing: Option<oneshot::Sender<Result<(), StoreError>>>,
}

impl Task {
    async fn run(mut self) {
        while let Some(mut waiting) = self.next().await {
            while !waiting.is_empty() {
                waiting = self.commit(waiting).await;
            }
        }
        let closed = self.finish();
        if let Some(reply) = self.closing.take() {
            let _ = reply.send(closed);
        }
    }

    /// The jobs of the next transaction; none when all handles are gone or it was closed.
    async fn next(&mut self) -> Option<Vec<Box<dyn Job>>> {
        loop {
            if self.passed_over >= PASSED_OVER
                && let Ok(job) = self.low.try_recv()
            {
                self.passed_over = 0;
                return Some(vec![job]);
            }
            let mut batch = Vec::new();
            tokio::select! {
                biased;
                Some(command) = self.jobs.recv() => self.take(command, &mut batch),
                Some(job) = self.low.recv() => {
                    self.passed_over = 0;
                    return Some(vec![job]);
                }
                else => return None,
            }
            while batch.len() < BATCH
                && let Ok(command) = self.jobs.try_recv()
            {
                self.take(command, &mut batch);
            }
            if !batch.is_empty() {
                self.passed_over = self.passed_over.saturating_add(1);
                return Some(batch);
            }
        }
    }

    fn take(&mut self, command: Command, batch: &mut Vec<Box<dyn Job>>) {
        match command {
            Command::Job(job) => batch.push(job),
            Command::Jobs(jobs) => batch.extend(jobs),
            Command::Close(reply) => {
                self.jobs.close();
                self.low.close();
                // A second one to close has its reply dropped, which it takes for "closed".
                self.closing.get_or_insert(reply);
            }
        }
    }

    /// Runs and commits `jobs`; returns those that are to begin anew, because one before them had to be
    /// taken back.
    async fn commit(&mut self, mut jobs: Vec<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
        let tx = match self.connected() {
            Ok(tx) => tx,
            Err(error) => {
                settle_all(jobs, error);
                return Vec::new();
            }
        };
        let alone = jobs.len() == 1;
        if let Err(error) = tx.begin(alone) {
            self.roll_back();
            settle_all(jobs, error);
            return Vec::new();
        }

        let mut done: Vec<Box<dyn Job>> = Vec::with_capacity(jobs.len());
        let mut left = jobs.drain(..);
        for mut job in left.by_ref() {
            match run_caught(&mut *job, tx).await {
                Ok(()) => {
                    done.push(job);
                    tx.next_job();
                }
                Err(error) => {
                    job.settle(Err(error));
                    if alone {
                        break;
                    }
                    if !tx.is_changed_by_job() {
                        tx.forget();
                        continue;
                    }
                    if let Err(error) = tx.undo_job() {
                        let left = left.collect();
                        self.roll_back();
                        settle_all(done, error);
                        return left;
                    }
                    // The others begin anew: so each failure makes the changes of a job again only once.
                    break;
                }
            }
        }
        let left = left.collect();

        if done.is_empty() {
            self.roll_back();
            return left;
        }
        fail_point!("store.before_commit");
        let committed = tx.commit();
        fail_point!("store.after_commit");
        match committed {
            Ok(()) => done.into_iter().for_each(|job| job.settle(Ok(()))),
            Err(error) => {
                self.roll_back();
                settle_all(done, error);
            }
        }
        left
    }

    /// The connection, made anew if it was lost.
    fn connected(&mut self) -> Result<&mut Tx, StoreError> {
        let tx = match self.tx.take() {
            Some(tx) => tx,
            None => Tx::new(connect::to_write(&self.path, self.busy_timeout)?),
        };
        Ok(self.tx.insert(tx))
    }

    /// Ends the transaction without keeping anything. A connection on which not even that works is
    /// dropped, which rolls back as well.
    fn roll_back(&mut self) {
        if let Some(tx) = self.tx.as_mut()
            && let Err(error) = tx.roll_back()
        {
            tracing::error!(%error, "rolling back failed; the store's connection is made anew");
            self.tx = None;
        }
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        let Some(connection) = self.tx.take().map(Tx::into_connection) else { return Ok(()) };
        let checkpointed = sql("PRAGMA wal_checkpoint(TRUNCATE)").run(&connection);
        connection.close().map_err(|(_, error)| error)?;
        checkpointed?;
        Ok(())
    }
}

/// Runs the job; a panic, in the making of its future or in the future, becomes an error. What it
/// has left in the transaction is rolled back by the caller.
async fn run_caught(job: &mut dyn Job, tx: &mut Tx) -> Result<(), StoreError> {
    let run = async {
        job.run(tx).await?;
        if tx.is_sound() {
            return Ok(());
        }
        let why = "the job went on after a statement had failed".to_owned();
        Err(StoreError::Invalid { table: "the store", row: "as a whole".into(), why })
    };
    let caught = AssertUnwindSafe(run).catch_unwind().await;
    caught.unwrap_or_else(|panic| Err(StoreError::panicked(&*panic)))
}

/// Tells all of `jobs` that the transaction they were in was not committed.
fn settle_all(jobs: Vec<Box<dyn Job>>, error: StoreError) {
    let error = Arc::new(error);
    for job in jobs {
        job.settle(Err(StoreError::NotCommitted(error.clone())));
    }
}
