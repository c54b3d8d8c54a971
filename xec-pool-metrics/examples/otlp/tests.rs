//! What the example pushes, decoded by a receiver of the test's own.

use std::{
    collections::BTreeMap,
    error::Error,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    metrics::v1::metric::Data,
    trace::v1::Span,
};
use opentelemetry_sdk::error::OTelSdkError;
use prost::Message as _;

use super::{COMMANDS, run};

/// Takes whatever is pushed, and keeps it.
#[derive(Clone, Default)]
struct Receiver {
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Receiver {
    /// Listens until the test ends.
    fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let receiver = self.clone();
        std::thread::spawn(move || {
            for visitor in listener.incoming().map_while(Result::ok) {
                let receiver = receiver.clone();
                std::thread::spawn(move || receiver.serve(visitor));
            }
        });
        addr
    }

    /// One request after another, until the visitor goes.
    fn serve(&self, visitor: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(visitor.try_clone()?);
        let mut writer = visitor;
        loop {
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                if line == "\r\n" {
                    break;
                }
                head.push(line.trim_end().to_ascii_lowercase());
            }
            let header = |name: &str| head.iter().find_map(|line| line.strip_prefix(name)).map(str::trim);
            assert_eq!(header("content-type:"), Some("application/x-protobuf"));
            let mut body = vec![0; header("content-length:").unwrap().parse().unwrap()];
            reader.read_exact(&mut body)?;
            match &*head[0] {
                "post /v1/metrics http/1.1" => {
                    self.metrics.lock().unwrap().push(ExportMetricsServiceRequest::decode(&*body).unwrap());
                }
                "post /v1/traces http/1.1" => {
                    self.traces.lock().unwrap().push(ExportTraceServiceRequest::decode(&*body).unwrap());
                }
                other => panic!("{other}"),
            }
            // An empty message: all was taken.
            writer
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")?;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pushed_can_be_decoded_and_is_what_happened() -> Result<(), Box<dyn Error>> {
    let receiver = Receiver::default();
    run(&format!("http://{}", receiver.start())).await?;
    let pushed = receiver.metrics.lock().unwrap().clone();
    let scopes =
        pushed.iter().flat_map(|request| &request.resource_metrics).flat_map(|resource| &resource.scope_metrics);
    let ours = scopes.filter(|scope| scope.scope.as_ref().is_some_and(|scope| scope.name == "xec-pool"));
    let last: BTreeMap<_, _> = ours.flat_map(|scope| &scope.metrics).map(|metric| (&*metric.name, metric)).collect();
    for (name, unit) in [("xec.pool.connection.wait_time", "s"), ("xec.pool.connection.use_time", "s")] {
        let Some(Data::Histogram(histogram)) = &last[name].data else { panic!("{:?}", last[name]) };
        let (points, metric_unit) = (&histogram.data_points, &last[name].unit);
        assert_eq!((points.len(), points[0].count, &**metric_unit), (1, COMMANDS.into(), unit));
        assert!(points[0].explicit_bounds.len() >= 11, "its own buckets: {points:?}");
    }
    assert!(matches!(&last["xec.pool.connection.max"].data, Some(Data::Sum(sum)) if !sum.is_monotonic));

    let traces = receiver.traces.lock().unwrap().clone();
    let scopes = traces.iter().flat_map(|request| &request.resource_spans).flat_map(|resource| &resource.scope_spans);
    let spans: Vec<&Span> = scopes.flat_map(|scope| &scope.spans).collect();
    let named = |name: &str| spans.iter().filter(|span| span.name == name).count();
    let counts = ["request", "xec.pool.acquire", "xec.pool.connect", "xec.pool.lease", "xec.pool.command"].map(named);
    let commands = COMMANDS as usize;
    assert_eq!(counts, [commands, commands, 1, commands, commands]);
    let connect = spans.iter().find(|span| span.name == "xec.pool.connect").unwrap();
    let parent = spans.iter().find(|span| span.span_id == connect.parent_span_id).unwrap();
    assert_eq!(parent.name, "xec.pool.acquire");
    let phases: Vec<_> = connect.events.iter().map(|event| &*event.name).collect();
    assert_eq!(phases, ["resolve", "tcp", "kex", "auth"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_not_there_is_told_at_the_end() {
    // Bound and dropped: nobody listens there.
    let nobody = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let error = run(&format!("http://{nobody}")).await.unwrap_err();
    assert!(error.is::<OTelSdkError>(), "it is the push that failed, and no command: {error}");
}
