//! Who asks: the credentials the kernel has of the other end, logged with every change.

use tonic::Request;
use tonic::transport::server::UdsConnectInfo;

/// Logs a change that is about to be tried: which call, on what, by whom.
pub fn log_change<T>(request: &Request<T>, rpc: &'static str, object: &str) {
    let peer = request.extensions().get::<UdsConnectInfo>().and_then(|info| info.peer_cred);
    match peer {
        Some(peer) => tracing::info!(rpc, object, uid = peer.uid(), pid = peer.pid(), "change"),
        None => tracing::info!(rpc, object, "change"),
    }
}
