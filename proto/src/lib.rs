//! flagd's wire types, generated from the `.proto` files beside this crate. No logic.
#![forbid(unsafe_code)]

/// The flagd packages.
pub mod flagd {
    /// Evaluation over RPC.
    pub mod evaluation {
        /// The older generation, with `ResolveAll`; code defaults are errors here.
        pub mod v1 {
            tonic::include_proto!("flagd.evaluation.v1");
        }
        /// The newer generation: an absent value means "use the code default".
        pub mod v2 {
            tonic::include_proto!("flagd.evaluation.v2");
        }
    }
    /// Streaming of definitions to in-process evaluators.
    pub mod sync {
        /// The only generation that flagd serves.
        pub mod v1 {
            tonic::include_proto!("flagd.sync.v1");
        }
    }
}
