//! What an error of the SDK means for the records of the request, and for whoever reads the log.

use std::error::Error as StdError;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use types::ErrorClass;

use super::lanes::Outcome;

/// A request that failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// The error's code, or what happened: one word for all of a kind.
    pub code: String,
    /// Everything that is known.
    pub detail: String,
    /// `Retry`: it may mend itself. `Refused`: somebody has to do something.
    pub class: ErrorClass,
    /// Nobody knows whether the request was carried out.
    pub lost: bool,
}

/// Codes of the API that mean "slower" for a whole request (API reference, errors of PutRecords and ListShards, common errors).
const THROTTLING: &[&str] = &[
    "ProvisionedThroughputExceededException",
    "LimitExceededException",
    "ThrottlingException",
    "Throttling",
    "KMSThrottlingException",
    "RequestLimitExceeded",
];

/// Code, and what somebody has to do.
const REMEDIES: &[(&str, &str)] = &[
    ("ResourceNotFoundException", "create the stream, or correct stream, region and endpoint_url"),
    ("AccessDeniedException", "allow these credentials kinesis:PutRecords and kinesis:ListShards on the stream"),
    (
        "NoCredentials",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, credentials_file, or a role of the instance",
    ),
    ("UnrecognizedClientException", "check the access key"),
    ("InvalidSignatureException", "check the secret key, and this machine's clock"),
    ("SignatureDoesNotMatch", "check the secret key, and this machine's clock"),
    ("IncompleteSignature", "check the access key"),
    ("MissingAuthenticationToken", "check the access key"),
    ("ExpiredTokenException", "renew the session token"),
    ("ValidationException", "check the stream's name, batch_bytes and max_record_bytes against the stream's settings"),
    ("InvalidArgumentException", "check batch_bytes and max_record_bytes against the stream's settings"),
    ("KMSAccessDeniedException", "allow these credentials the stream's key"),
    ("KMSDisabledException", "enable the stream's key"),
    ("KMSNotFoundException", "check the stream's key"),
    ("NoRegion", "set region"),
];

impl Trouble {
    pub fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let refused = find(error, |io: &io::Error| io.kind() == io::ErrorKind::ConnectionRefused);
        let without_credentials = find(error, |_: &CredentialsError| true);
        let (code, lost) = match error {
            SdkError::ServiceError(answer) => {
                let server_failed = answer.raw().status().is_server_error();
                (error.code().unwrap_or("UnknownError").to_owned(), server_failed)
            }
            SdkError::ConstructionFailure(_) => ("RequestNotBuilt".to_owned(), false),
            SdkError::DispatchFailure(_) if without_credentials => ("NoCredentials".to_owned(), false),
            SdkError::TimeoutError(_) => ("Timeout".to_owned(), true),
            SdkError::DispatchFailure(_) if refused => ("ConnectionRefused".to_owned(), false),
            SdkError::DispatchFailure(_) => ("ConnectionLost".to_owned(), true),
            SdkError::ResponseError(_) => ("AnswerNotUnderstood".to_owned(), true),
            _ => ("UnknownError".to_owned(), true),
        };
        let class = if !lost && remedy(&code).is_some() { ErrorClass::Refused } else { ErrorClass::Retry };
        Self { code, detail: DisplayErrorContext(error).to_string(), class, lost }
    }

    /// A task ended by a bug.
    pub fn panicked(error: &tokio::task::JoinError) -> Self {
        let (code, detail) = ("Panicked".to_owned(), error.to_string());
        Self { code, detail, class: ErrorClass::Retry, lost: true }
    }

    pub fn remedy(&self) -> Option<&'static str> {
        remedy(&self.code)
    }

    /// What became of the request's records.
    pub fn outcome(&self) -> Outcome {
        if THROTTLING.contains(&&*self.code) {
            Outcome::Throttled
        } else if self.lost {
            Outcome::Lost
        } else {
            Outcome::Rejected(self.class)
        }
    }
}

fn remedy(code: &str) -> Option<&'static str> {
    REMEDIES.iter().find(|(known, _)| *known == code).map(|(_, remedy)| *remedy)
}

/// Whether one of the causes is a `T` that fits.
fn find<T: StdError + 'static>(error: &(dyn StdError + 'static), fits: impl Fn(&T) -> bool) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<T>().is_some_and(&fits) {
            return true;
        }
        next = error.source();
    }
    false
}
