// Faults of a whole request, as RFC 9457 problem documents. The set of codes is closed: each has one status and
// one title, so that no two callers disagree, and each stands in docs/xfer-protocol.md (a test compares them).
// A problem says nothing about mail: what it names, the client keeps.

/** Status and title by code. */
export const PROBLEMS = {
  'empty-body': { status: 400, title: 'The request has no body' },
  'bad-frame': { status: 400, title: 'A frame does not begin with one line of JSON' },
  'frame-truncated': { status: 400, title: 'The body ends inside a frame' },
  'bad-id': { status: 400, title: 'A message has no usable id' },
  'bad-size': { status: 400, title: 'A frame has no usable sizeBytes' },
  'bad-upload': { status: 400, title: 'upload is neither true nor false' },
  'bad-json': { status: 400, title: 'The body is not one JSON object' },
  'bad-field': { status: 400, title: 'A field is missing, unknown or not usable' },
  'bad-gzip': { status: 400, title: 'The body does not inflate' },
  'missing-header': { status: 400, title: 'A request header is missing' },
  'bad-patience': { status: 400, title: 'X-Xfer-Patience-Ms is not usable' },
  unauthorized: { status: 401, title: 'Credentials are needed' },
  forbidden: { status: 403, title: 'These credentials may not do this' },
  'not-found': { status: 404, title: 'There is nothing at this path' },
  'method-not-allowed': { status: 405, title: 'This path does not take this method' },
  'not-withdrawn': { status: 409, title: 'The message can no longer be withdrawn' },
  'body-too-large': { status: 413, title: 'The body is too large' },
  'inflated-too-large': { status: 413, title: 'The inflated body is too large' },
  'header-line-too-long': { status: 413, title: 'A frame begins with a line that is too long' },
  'frame-too-large': { status: 413, title: 'A frame is larger than a request may be' },
  'message-too-large': { status: 413, title: 'The message is larger than is taken here' },
  'too-many-frames': { status: 413, title: 'The transfer has too many messages' },
  'too-many-deliveries': { status: 413, title: 'The transfer is for too many domains' },
  'unsupported-media-type': { status: 415, title: 'The body is in no format that is taken here' },
  'unsupported-encoding': { status: 415, title: 'The body is encoded in a way that is not taken here' },
  'all-refused': { status: 422, title: 'Every message was refused' },
  'too-busy': { status: 429, title: 'Too much at once; keep the messages and come back' },
  internal: { status: 500, title: 'Something broke here; keep the messages and come back' },
  unavailable: { status: 503, title: 'Not available now; keep the messages and come back' },
  'in-doubt': { status: 503, title: 'It is not known whether the messages were taken; send them again' },
} as const satisfies Readonly<Record<string, { status: number; title: string }>>;

export type ProblemCode = keyof typeof PROBLEMS;

export interface Problem {
  readonly code: ProblemCode;
  readonly status: number;
  readonly title: string;
  /** What exactly is wrong here and, where it is known, the mend; at most MAX_DETAIL_CHARACTERS. */
  readonly detail: string;
  /** Further members of the document (RFC 9457 §3.2). */
  readonly extra: Readonly<Record<string, unknown>>;
}

/** An HTTP answer, as the protocol forms it. Header names are in lower case. */
export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export const PROBLEM_CONTENT_TYPE = 'application/problem+json';

/** A problem's document stays under 2,048 bytes unless `extra` is large. */
export const MAX_DETAIL_CHARACTERS = 256;

export function problem(
  code: ProblemCode,
  detail: string,
  extra: Readonly<Record<string, unknown>> = {},
): Problem {
  const { status, title } = PROBLEMS[code];
  return { code, status, title, detail: detail.slice(0, MAX_DETAIL_CHARACTERS).toWellFormed(), extra };
}

/** The document's members, RFC 9457's first. */
export function problemMembers(fault: Problem): Readonly<Record<string, unknown>> {
  const { code, status, title, detail, extra } = fault;
  return { type: `urn:delay-xfer:problem:${code}`, title, status, detail, code, ...extra };
}

/** `retryAfterSeconds` goes into `Retry-After` (RFC 9110 §10.2.3): with 429 and 503. */
export function formatProblem(fault: Problem, retryAfterSeconds?: number): WireAnswer {
  return {
    status: fault.status,
    headers: {
      'content-type': PROBLEM_CONTENT_TYPE,
      ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(Math.ceil(retryAfterSeconds)) }),
      ...(fault.code === 'unauthorized'
        ? { 'www-authenticate': 'Basic realm="delay-xfer", charset="UTF-8"' }
        : {}),
    },
    body: JSON.stringify(problemMembers(fault)),
  };
}
