//! The seam to DataFusion: sessions under a job's limits, and registered data sets as tables with explicit schemas.
//! Another engine behind the same two words (session, registered set) needs nothing else from this folder.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use banyan_proto::job::Limits;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, TableReference};
use datafusion::error::Result as EngineResult;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::prelude::{SessionConfig, SessionContext};

use super::catalog::DataSet;
use super::error::DataError;
use super::filter::Filter;
use super::source::{self, BATCH_ROWS};
use crate::disk::create_private_dir;

/// Bytes that one session may spill: a disk fills slower than a runaway sort writes.
const SPILL_MAX: u64 = 64 << 30;

/// Batches between the reader and the engine: one being read while one is worked on.
const READ_AHEAD: usize = 2;

/// Makes sessions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    spill: PathBuf,
}

impl Engine {
    /// An engine that spills into `spill`, which is made if needed, readable by this user only, and emptied: what a
    /// crash left there are rows. One engine for one running daemon: a second one would empty the first one's.
    pub fn new(spill: &Path) -> Result<Self, DataError> {
        let failed = |error| DataError::io(format!("preparing {}", spill.display()), error);
        if spill.exists() {
            fs::remove_dir_all(spill).map_err(failed)?;
        }
        create_private_dir(spill).map_err(failed)?;
        Ok(Self { spill: spill.into() })
    }

    /// Where what does not fit memory goes.
    pub(crate) fn spill(&self) -> &Path {
        &self.spill
    }

    /// A session whose sorts and aggregates stay within the engine's part of the job's memory and spill beyond it.
    /// Measured resident memory is up to three times the pool (buffers in flight are not in it).
    pub fn session(&self, limits: &Limits) -> Result<Session, DataError> {
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![self.spill.clone()]))
            .with_max_temp_directory_size(SPILL_MAX);
        let limit_mb = u64::from(limits.memory_mb);
        let pool = usize::try_from((limit_mb << 20) - keys_share(limit_mb)).unwrap_or(usize::MAX);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(pool)))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(|error| DataError::engine("starting the engine", limit_mb, error))?;
        let mut config = config();
        // what a sort keeps back to merge its spills, a quarter of the pool where the default of 10 MiB is more
        let merge = &mut config.options_mut().execution.sort_spill_reservation_bytes;
        *merge = (*merge).min(pool / 4);
        Ok(Session { context: SessionContext::new_with_config_rt(config, runtime), limit_mb })
    }
}

/// The bytes of a job's memory limit that its keys may take. The engine has the last quarter: it streams, and what it
/// sorts it can spill, while keys are held.
pub(crate) fn keys_share(limit_mb: u64) -> u64 {
    (limit_mb << 20) / 4 * 3
}

/// The settings of every session.
pub(crate) fn config() -> SessionConfig {
    let mut config = SessionConfig::new().with_batch_size(BATCH_ROWS).with_information_schema(false);
    let options = config.options_mut();
    // string views drag whole buffers along when rows move: a sort of 0.6 GB wrote 42 GB
    options.execution.parquet.schema_force_view_types = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    // column names keep their capitals
    options.sql_parser.enable_ident_normalization = false;
    // a filter over one file keeps its row order
    options.optimizer.enable_round_robin_repartition = false;
    config
}

/// One job's view of the engine.
pub struct Session {
    context: SessionContext,
    limit_mb: u64,
}

impl Session {
    /// Makes `set` a table under its id, with the explicit schema of the catalogue.
    pub fn register(&self, set: &Arc<DataSet>) -> Result<(), DataError> {
        let table = Arc::new(Registered { schema: set.schema(), set: Arc::clone(set) });
        self.context
            .register_table(TableReference::bare(set.id.as_str()), table)
            .map_err(|error| DataError::engine("registering a data set", self.limit_mb, error))?;
        Ok(())
    }

    /// The columns of a registered set, in file order, where the filter holds.
    pub(crate) async fn select(
        &self,
        set: &DataSet,
        columns: &[&str],
        filter: &Filter,
    ) -> Result<SendableRecordBatchStream, DataError> {
        let failed = |error| self.error(&format!("reading data set {}", set.id), error);
        let frame = self.context.table(TableReference::bare(set.id.as_str())).await.map_err(failed)?;
        let frame = frame.filter(filter.expression()).map_err(failed)?;
        let columns: Vec<Expr> = columns.iter().map(|name| Expr::Column(Column::from_name(*name))).collect();
        frame.select(columns).map_err(failed)?.execute_stream().await.map_err(failed)
    }

    /// The engine itself, for plans over registered sets.
    #[cfg(test)]
    pub(crate) fn context(&self) -> &SessionContext {
        &self.context
    }

    /// An error of the engine in our words.
    pub(crate) fn error(&self, what: &str, error: datafusion::error::DataFusionError) -> DataError {
        DataError::engine(what, self.limit_mb, error)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({} MiB)", self.limit_mb)
    }
}

/// A data set as a table.
#[derive(Debug)]
struct Registered {
    set: Arc<DataSet>,
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for Registered {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn datafusion::catalog::Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&columns)?);
        let partition = Scan { set: Arc::clone(&self.set), columns, schema: Arc::clone(&schema) };
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![Arc::new(partition)], None, [], false, limit)?))
    }
}

/// One reading of some columns.
#[derive(Debug)]
struct Scan {
    set: Arc<DataSet>,
    columns: Vec<usize>,
    schema: SchemaRef,
}

impl PartitionStream for Scan {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), READ_AHEAD);
        let (set, columns, batches) = (Arc::clone(&self.set), self.columns.clone(), stream.tx());
        stream.spawn_blocking(move || {
            source::read(&set, &columns, &mut |batch| batches.blocking_send(Ok(batch)).is_ok()).map_err(Into::into)
        });
        stream.build()
    }
}
