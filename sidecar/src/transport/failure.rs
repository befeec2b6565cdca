//! The single error table: every way in which a request can fail, and how each protocol says so.
//!
//! GENERAL is INTERNAL on gRPC and not UNKNOWN as in flagd: providers map both to GENERAL, but they
//! retry UNKNOWN for seconds, and a broken variant does not mend itself in that time.

use std::time::Duration;

use http::StatusCode;
use outrigger_flags::ErrorCode;
use tonic::{Code, Status};

use crate::evaluation::EvaluationError;

/// Why a request got no answer of the ordinary kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Failure {
    /// The flag engine's word.
    Evaluation(EvaluationError),
    /// The bytes are not a request of this protocol.
    Malformed(String),
    /// The body is compressed in a way that is not understood.
    Compressed,
    /// The body is larger than this many bytes.
    BodyTooLarge(usize),
    /// The body did not arrive in this time.
    BodyTimeout(Duration),
    /// The client went away while sending.
    BodyAborted,
    /// A browser's request that no policy allows.
    Forbidden(&'static str),
    /// No such route.
    UnknownRoute,
    /// The route exists, but not for this method.
    WrongMethod,
    /// The route exists, but not for this content type.
    WrongMedia,
    /// gRPC needs HTTP/2.
    WrongVersion,
    /// A stream lived as long as the operator lets it.
    StreamDeadline,
    /// As many streams are open as this listener bears.
    TooManyStreams(usize),
    /// The process is about to end.
    Draining,
    /// A method that the operator turned off.
    TurnedOff(&'static str),
    /// A fault of ours.
    Internal,
}

impl From<EvaluationError> for Failure {
    fn from(error: EvaluationError) -> Self {
        Self::Evaluation(error)
    }
}

impl Failure {
    /// The gRPC code; Connect's code and HTTP status follow from it.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Evaluation(EvaluationError::Flag { code, .. }) => code_of(*code),
            Self::Evaluation(EvaluationError::Selector(_) | EvaluationError::Context(_))
            | Self::Malformed(_) => Code::InvalidArgument,
            Self::BodyTooLarge(_) | Self::TooManyStreams(_) => Code::ResourceExhausted,
            Self::BodyTimeout(_) | Self::StreamDeadline => Code::DeadlineExceeded,
            Self::BodyAborted => Code::Cancelled,
            Self::Forbidden(_) => Code::PermissionDenied,
            Self::Compressed
            | Self::UnknownRoute
            | Self::WrongMethod
            | Self::WrongMedia
            | Self::WrongVersion
            | Self::TurnedOff(_) => Code::Unimplemented,
            Self::Draining => Code::Unavailable,
            Self::Internal => Code::Internal,
        }
    }

    /// What an RPC client reads. flagd's texts, with the engine's detail where it has one.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Evaluation(EvaluationError::Selector(error)) => error.to_string(),
            Self::Evaluation(EvaluationError::Context(error)) => error.to_string(),
            Self::Evaluation(EvaluationError::Flag { code, detail, .. }) => {
                with_detail(text_of(*code), detail)
            }
            Self::Malformed(problem) => problem.clone(),
            Self::Compressed => "compressed messages are not supported".to_owned(),
            Self::BodyTooLarge(bytes) => format!("the request is larger than {bytes} bytes"),
            Self::BodyTimeout(limit) => {
                format!("the request did not arrive within {} s", limit.as_secs())
            }
            Self::BodyAborted => "the request ended before it was complete".to_owned(),
            Self::Forbidden(why) => (*why).to_owned(),
            Self::UnknownRoute => "no such method".to_owned(),
            Self::WrongMethod => "the HTTP method is not supported here".to_owned(),
            Self::WrongMedia => "the content type is not supported here".to_owned(),
            Self::WrongVersion => "gRPC needs HTTP/2".to_owned(),
            Self::StreamDeadline => "stream closed due to server-side timeout".to_owned(),
            Self::TooManyStreams(most) => format!("{most} streams are open already"),
            Self::Draining => "the server is shutting down".to_owned(),
            Self::TurnedOff(what) => format!("{what} endpoint disabled"),
            Self::Internal => "internal error".to_owned(),
        }
    }

    /// The gRPC status.
    pub(crate) fn status(&self) -> Status {
        Status::new(self.code(), self.message())
    }

    /// The HTTP status of a unary Connect answer: the code's own, but an unknown route is one to every
    /// HTTP client.
    pub(crate) fn connect_http(&self) -> StatusCode {
        match self {
            Self::UnknownRoute => StatusCode::NOT_FOUND,
            _ => connect(self.code()).1,
        }
    }

    /// The status of a plain HTTP answer.
    pub(crate) fn http(&self) -> StatusCode {
        match self {
            Self::UnknownRoute => StatusCode::NOT_FOUND,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout(_) => StatusCode::REQUEST_TIMEOUT,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::WrongMedia | Self::Compressed => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::WrongVersion => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Evaluation(EvaluationError::Flag { code, .. }) => match code {
                ErrorCode::FlagNotFound => StatusCode::NOT_FOUND,
                _ => StatusCode::BAD_REQUEST,
            },
            _ => connect(self.code()).1,
        }
    }

    /// OFREP's error code.
    pub(crate) fn ofrep_code(&self) -> ErrorCode {
        match self {
            Self::Evaluation(EvaluationError::Flag { code, .. }) => match code {
                ErrorCode::TypeMismatch => ErrorCode::General,
                code => *code,
            },
            Self::Evaluation(EvaluationError::Context(_))
            | Self::Malformed(_)
            | Self::BodyAborted => ErrorCode::InvalidContext,
            _ => ErrorCode::General,
        }
    }

    /// OFREP's `errorDetails`.
    pub(crate) fn ofrep_details(&self) -> String {
        match self {
            Self::Evaluation(EvaluationError::Selector(error)) => {
                format!("invalid selector: {error}")
            }
            Self::Evaluation(EvaluationError::Flag { code, key, detail, .. }) => match code {
                ErrorCode::FlagNotFound => format!("flag `{key}` does not exist"),
                ErrorCode::ParseError => {
                    with_detail(&format!("error parsing the flag `{key}`"), detail)
                }
                _ => with_detail("error processing the flag for evaluation", detail),
            },
            Self::Malformed(problem) => format!("Provider context is not valid: {problem}"),
            Self::BodyTooLarge(_) => "request body too large".to_owned(),
            _ => self.message(),
        }
    }
}

fn code_of(code: ErrorCode) -> Code {
    match code {
        ErrorCode::FlagNotFound => Code::NotFound,
        ErrorCode::TypeMismatch | ErrorCode::InvalidContext | ErrorCode::TargetingKeyMissing => {
            Code::InvalidArgument
        }
        ErrorCode::ParseError => Code::DataLoss,
        ErrorCode::ProviderNotReady => Code::Unavailable,
        ErrorCode::General => Code::Internal,
    }
}

fn text_of(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::FlagNotFound => "Flag not found",
        ErrorCode::TypeMismatch => "Type mismatch error",
        ErrorCode::ParseError => "Error parsing input or configuration",
        ErrorCode::InvalidContext => "Invalid context",
        ErrorCode::TargetingKeyMissing => "Targeting key missing",
        ErrorCode::ProviderNotReady => "Provider not ready",
        ErrorCode::General => "General error",
    }
}

fn with_detail(text: &str, detail: &str) -> String {
    if detail.is_empty() { text.to_owned() } else { format!("{text}: {detail}") }
}

/// Connect's name and HTTP status of a gRPC code.
pub(crate) fn connect(code: Code) -> (&'static str, StatusCode) {
    match code {
        Code::Ok => ("ok", StatusCode::OK),
        Code::Cancelled => ("canceled", StatusCode::REQUEST_TIMEOUT),
        Code::Unknown => ("unknown", StatusCode::INTERNAL_SERVER_ERROR),
        Code::InvalidArgument => ("invalid_argument", StatusCode::BAD_REQUEST),
        Code::DeadlineExceeded => ("deadline_exceeded", StatusCode::REQUEST_TIMEOUT),
        Code::NotFound => ("not_found", StatusCode::NOT_FOUND),
        Code::AlreadyExists => ("already_exists", StatusCode::CONFLICT),
        Code::PermissionDenied => ("permission_denied", StatusCode::FORBIDDEN),
        Code::ResourceExhausted => ("resource_exhausted", StatusCode::TOO_MANY_REQUESTS),
        Code::FailedPrecondition => ("failed_precondition", StatusCode::BAD_REQUEST),
        Code::Aborted => ("aborted", StatusCode::CONFLICT),
        Code::OutOfRange => ("out_of_range", StatusCode::BAD_REQUEST),
        Code::Unimplemented => ("unimplemented", StatusCode::NOT_IMPLEMENTED),
        Code::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
        Code::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
        Code::DataLoss => ("data_loss", StatusCode::INTERNAL_SERVER_ERROR),
        Code::Unauthenticated => ("unauthenticated", StatusCode::UNAUTHORIZED),
    }
}
