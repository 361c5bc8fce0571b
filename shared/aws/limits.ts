// Limits of AWS that our code relies on, each with its source. No account was reachable when this was
// written: what a real account must still confirm is listed in docs/testing.md. Infrastructure derives its
// settings from these, and the synth tests assert the derivation.

/** SQS developer guide, visibility timeout: 12 h in total since the receive; beyond it an error, not a clamp. */
export const SQS_MAX_VISIBILITY_SECONDS = 43_200;
/** SQS quotas: in-flight messages of a standard queue, approximate. */
export const SQS_MAX_IN_FLIGHT = 120_000;
/** SQS API, SendMessage: DelaySeconds. */
export const SQS_MAX_DELAY_SECONDS = 900;
/** SQS API: entries of SendMessageBatch, DeleteMessageBatch, ChangeMessageVisibilityBatch. */
export const SQS_MAX_BATCH_ENTRIES = 10;
/** SQS quotas: message retention. */
export const SQS_MAX_RETENTION_SECONDS = 1_209_600;
/** SQS developer guide, dead-letter queues: maxReceiveCount is 1 to 1,000. */
export const SQS_MAX_RECEIVE_COUNT = 1_000;

/** Lambda quotas: function timeout. */
export const LAMBDA_MAX_TIMEOUT_SECONDS = 900;
/** Lambda quotas: synchronous invocation payload, the whole event; binary bodies arrive as base64. */
export const LAMBDA_MAX_REQUEST_BYTES = 6_291_456;
/** Lambda with SQS: a batching window adds to the time a message stays received before the function runs. */
export const DELIVER_BATCH_WINDOW_SECONDS = 1;
export const DELIVER_BATCH_SIZE = 100;
/** API Gateway HTTP API quotas: integration timeout. */
export const HTTP_API_TIMEOUT_SECONDS = 30;

/** Room for the final dot's 600 s after a transaction started late in the invocation (design: deliver). */
export const DELIVER_TIMEOUT_SECONDS = LAMBDA_MAX_TIMEOUT_SECONDS;
/** A little under the API's own limit, so that our answer and not the API's reaches the client. */
export const RECEIVE_TIMEOUT_SECONDS = HTTP_API_TIMEOUT_SECONDS - 1;
export const RELEASE_TIMEOUT_SECONDS = 300;

/** Past the function's end by the lease's margin: a timer never surfaces while its lease is alive. */
export const LEASE_MARGIN_SECONDS = 60;
export const QUEUE_VISIBILITY_SECONDS =
  DELIVER_TIMEOUT_SECONDS + DELIVER_BATCH_WINDOW_SECONDS + LEASE_MARGIN_SECONDS;
/** The longest a received timer can be hidden: its first receive may be as old as the queue's visibility. */
export const MAX_HIDE_SECONDS = SQS_MAX_VISIBILITY_SECONDS - QUEUE_VISIBILITY_SECONDS;
/** A timer received this often is sent afresh, long before SQS would move it to the dead-letter queue. */
export const RESEND_RECEIVE_COUNT = SQS_MAX_RECEIVE_COUNT / 2;

/** S3 lifecycle of the spool, a backstop: longer than the longest expiry. */
export const SPOOL_LIFETIME_DAYS = 14;
/** S3 presigned URL of an upload. */
export const UPLOAD_URL_SECONDS = 900;
