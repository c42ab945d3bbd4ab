//! Writes the server half of the Spark Connect service; its messages come from `apache-spark-connect-proto`.
#![allow(clippy::print_stdout)]
use tonic_build::manual::{Builder, Method, Service};

/// name, route, whether requests stream in, whether responses stream out
const METHODS: &[(&str, &str, bool, bool)] = &[
    ("execute_plan", "ExecutePlan", false, true),
    ("analyze_plan", "AnalyzePlan", false, false),
    ("config", "Config", false, false),
    ("add_artifacts", "AddArtifacts", true, false),
    ("artifact_status", "ArtifactStatus", false, false),
    ("interrupt", "Interrupt", false, false),
    ("reattach_execute", "ReattachExecute", false, true),
    ("release_execute", "ReleaseExecute", false, false),
    ("release_session", "ReleaseSession", false, false),
    ("fetch_error_details", "FetchErrorDetails", false, false),
    ("clone_session", "CloneSession", false, false),
    ("get_status", "GetStatus", false, false),
];

fn main() {
    let mut service = Service::builder().name("SparkConnectService").package("spark.connect");
    for (name, route, streams_in, streams_out) in METHODS {
        // Two routes have messages that are not named after them.
        let (request, response) = match *route {
            "ArtifactStatus" => ("ArtifactStatuses", "ArtifactStatuses"),
            "ReattachExecute" => ("ReattachExecute", "ExecutePlan"),
            other => (other, other),
        };
        let mut method = Method::builder()
            .name(name)
            .route_name(route)
            .input_type(format!("spark_connect_proto::{request}Request"))
            .output_type(format!("spark_connect_proto::{response}Response"))
            .codec_path("crate::codec::DeepCodec");
        if *streams_in {
            method = method.client_streaming();
        }
        if *streams_out {
            method = method.server_streaming();
        }
        service = service.method(method.build());
    }
    Builder::new().build_client(false).compile(&[service.build()]);
    println!("cargo:rerun-if-changed=build.rs");
}
