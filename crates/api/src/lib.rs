//! The gRPC types of `proto/ross/v1`, generated; nothing else.
#![forbid(unsafe_code)]

/// Package `ross.v1`.
pub mod v1 {
    #![expect(clippy::all, missing_docs, reason = "generated code")]
    tonic::include_proto!("ross.v1");

    /// The encoded `FileDescriptorSet`, for server reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ross.v1.bin"));
}
