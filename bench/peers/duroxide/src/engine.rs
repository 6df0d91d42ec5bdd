//! The provider at the durability asked for, and its runtime.

use std::sync::Arc;
use std::time::Duration;

use duroxide::Client;
use duroxide::providers::sqlite::SqliteProvider;
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::runtime::{Runtime, RuntimeOptions};
use peer_harness::{Durability, Pragmas, Run, Workload, payload};
use sqlx::sqlite::SqliteConnection;

use crate::orchestrations::orchestrations;

/// The pause of a dispatcher that found nothing.
///
/// Short where latency counts. Its default where the rate counts: dispatchers that look more often
/// get into each other's way on the lock of the file, and then back off for 200 ms and more.
pub fn poll(run: &Run) -> Duration {
    match run.workload {
        Workload::C => Duration::from_millis(1),
        Workload::A | Workload::B | Workload::D | Workload::E => Duration::from_millis(100),
    }
}

/// Connections in the provider's pool, which it fixes.
const POOL: usize = 5;

pub struct Engine {
    pub store: Arc<SqliteProvider>,
    pub client: Client,
}

impl Engine {
    /// Opens the file; nothing runs yet.
    pub async fn open(run: &Run) -> Self {
        let url = format!("sqlite:{}?mode=rwc", run.database().display());
        let store = SqliteProvider::new(&url, None).await;
        let store = Arc::new(store.expect("the provider should open"));
        set_synchronous(&store, run.durability).await;
        let client = Client::new(store.clone());
        Self { store, client }
    }

    /// Starts the dispatchers.
    pub async fn start(&self, run: &Run, activities: ActivityRegistry) -> Arc<Runtime> {
        let options = RuntimeOptions {
            dispatcher_min_poll_interval: poll(run),
            orchestration_concurrency: run.workers,
            worker_concurrency: run.workers,
            ..RuntimeOptions::default()
        };
        let store = self.store.clone();
        Runtime::start_with_options(store, activities, orchestrations(), options).await
    }

    /// Starts one orchestration, which is acknowledged when this returns.
    pub async fn schedule(&self, name: &str, id: u64) {
        let (instance, input) = (instance(id), payload().to_string());
        let started = self.client.start_orchestration(&instance, name, input);
        started.await.expect("the orchestration should start");
    }

    /// Waits until the orchestration has ended well.
    pub async fn wait_for(&self, id: u64) {
        let minute = Duration::from_secs(60);
        let ended = self
            .client
            .wait_for_orchestration(&instance(id), minute)
            .await;
        let ended = ended.expect("the orchestration should end within a minute");
        let completed = matches!(ended, duroxide::OrchestrationStatus::Completed { .. });
        assert!(completed, "the orchestration should end well: {ended:?}");
    }

    /// Orchestrations that are recorded as completed.
    pub async fn completed(&self) -> u64 {
        let metrics = self.client.get_system_metrics().await;
        let metrics = metrics.expect("the provider should count");
        assert!(
            metrics.failed_instances == 0,
            "no orchestration should fail"
        );
        metrics.completed_instances
    }

    /// Read back from a connection of the pool.
    pub async fn pragmas(&self) -> Pragmas {
        let pool = self.store.get_pool();
        let ask = async |sql: &'static str| {
            let answer = sqlx::query_scalar::<_, String>(sql).fetch_one(pool).await;
            answer.expect("SQLite should answer")
        };
        Pragmas::new(
            &ask("SELECT sqlite_version()").await,
            &ask("PRAGMA journal_mode").await,
            &ask("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous").await,
        )
    }
}

fn instance(id: u64) -> String {
    format!("run-{id}")
}

/// Holds all connections of the pool at once, so that none is left out.
async fn set_synchronous(store: &SqliteProvider, durability: Durability) {
    let set = format!("PRAGMA synchronous = {}", durability.synchronous());
    let mut held = Vec::new();
    for _ in 0..POOL {
        let connection = store.get_pool().acquire().await;
        held.push(connection.expect("the pool should have its connections"));
    }
    for connection in &mut held {
        let connection: &mut SqliteConnection = connection;
        let set = sqlx::query(&set).execute(connection).await;
        set.expect("synchronous should be settable");
    }
}
