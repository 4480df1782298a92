use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::connect::{self, Lent, Readers, off_the_runtime};
use super::error::StoreError;
use super::tx::{Read, Tx};
use super::writer::Writer;
use super::{place, schema};

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// How long to wait for a lock that another program (a backup tool, `sqlite3`) holds.
    pub busy_timeout: Duration,
    /// Connections that read: more answer more questions at once.
    pub readers: u32,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { busy_timeout: Duration::from_secs(5), readers: 2 }
    }
}

/// The truth: an open store, with its one writer and a few readers. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    reader: Reader,
    writer: Writer,
}

/// The reading half, and all that a command without a daemon gets.
#[derive(Clone)]
pub struct Reader {
    readers: Readers,
    path: PathBuf,
}

impl Store {
    /// Opens the store in the file `path`, makes it where there is none, and brings its schema up.
    ///
    /// The folder is made with mode 0700, the file with 0600. A symbolic link, another owner, a
    /// file that others can read, a folder that others can write to, and a store that a newer
    /// release has migrated are refused.
    pub async fn open(path: &Path, options: OpenOptions) -> Result<Self, StoreError> {
        place::prepare(path)?;
        let (file, busy_timeout) = (path.to_owned(), options.busy_timeout);
        let connection = off_the_runtime(move || {
            let mut connection = connect::to_write(&file, busy_timeout)?;
            schema::migrate(&mut connection, &file)?;
            Ok::<_, StoreError>(connection)
        })
        .await??;
        let writer = Writer::start(connection, path, busy_timeout)?;
        Ok(Self { reader: Reader::connect(path, &options).await?, writer })
    }

    /// Opens an existing store for reading only: the caller owns the file or is root.
    pub async fn open_read_only(path: &Path) -> Result<Reader, StoreError> {
        place::check_readable(path)?;
        let reader = Reader::connect(path, &OpenOptions::default()).await?;
        schema::check(&mut reader.readers.lend().await?, path)?;
        Ok(reader)
    }

    /// Runs `job` in a write transaction and returns its value once that is durable.
    ///
    /// Jobs that wait together share a transaction; one that fails or panics loses only its own
    /// effects and gets its error, a commit that fails gives all of them
    /// [`StoreError::NotCommitted`]. A job awaits nothing but the transaction. It is carried out
    /// even if the caller stops waiting.
    ///
    /// ```ignore
    /// let appended = store.write(|tx| Box::pin(async move { inbox::append(tx, &input).await })).await?;
    /// ```
    pub async fn write<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
    {
        self.writer.write(job).await
    }

    /// As [`Store::write`], for a job and others that go right behind it, in the same transaction: with
    /// one commit for all of them. Each fails for itself, as if it had come alone.
    pub async fn write_all<T, F, U, G>(
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
        self.writer.write_all(first, then).await
    }

    /// As [`Store::write`], but behind everything that `write` was asked: for retention and
    /// imports, in slices of [`SLICE`](super::SLICE) rows.
    pub async fn write_low<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
    {
        self.writer.write_low(job).await
    }

    /// A reader's transaction; its answers are of one moment.
    pub async fn read(&self) -> Result<Read, StoreError> {
        self.reader.read().await
    }

    /// The reading half alone.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.reader.path
    }

    /// Works off all jobs that wait, moves the write-ahead log into the file and closes. Reads
    /// under way have two seconds.
    pub async fn close(&self) -> Result<(), StoreError> {
        // The readers go first: the last connection to close should be one that can write, so that
        // it takes the log along.
        self.reader.close().await;
        self.writer.close().await
    }
}

impl Reader {
    async fn connect(path: &Path, options: &OpenOptions) -> Result<Self, StoreError> {
        Ok(Self { readers: Readers::connect(path, options).await?, path: path.to_owned() })
    }

    /// A reader's transaction; its answers are of one moment.
    pub async fn read(&self) -> Result<Read, StoreError> {
        let mut lent = self.readers.lend().await?;
        lent.begin()?;
        Ok(Read { lent })
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A connection outside of any transaction.
    pub(super) async fn lend(&self) -> Result<Lent, StoreError> {
        self.readers.lend().await
    }

    /// Closes the connections; reads under way have two seconds.
    pub async fn close(&self) {
        self.readers.close().await;
    }
}
