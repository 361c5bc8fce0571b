// The receiver behind the API: routes, identity, parsing, and the answers of XFER/1. What happens to a message
// is decided in shared/queue; a failure here never says yes.

import middy from '@middy/core';
import type {
  APIGatewayProxyEventV2WithIAMAuthorizer,
  APIGatewayProxyStructuredResultV2,
  Context,
} from 'aws-lambda';
import { basicIdentity, type Identity, iamIdentity } from '../../shared/access/identity.ts';
import type { PasswordVerifier } from '../../shared/access/password.ts';
import { UPLOAD_URL_SECONDS } from '../../shared/aws/limits.ts';
import { patienceUntil } from '../../shared/queue/patience.ts';
import { StoreError } from '../../shared/queue/ports.ts';
import { type ReceiveDeps, receiveTransfer } from '../../shared/queue/receive.ts';
import { uploadKey } from '../../shared/queue/spool-object.ts';
import { MAX_DELIVERIES_PER_TRANSFER } from '../../shared/queue/store-transfer.ts';
import { withdrawMessage } from '../../shared/queue/withdraw.ts';
import { parseTransferBody, type TransferFormat } from '../../shared/xfer/body.ts';
import { formatKumoAnswer, KUMOMTA_PATH } from '../../shared/xfer/kumo.ts';
import type { TransferLimits } from '../../shared/xfer/limits.ts';
import { ID_PATTERN, type Verdict } from '../../shared/xfer/message.ts';
import { parsePatience } from '../../shared/xfer/patience.ts';
import { formatProblem, problem, type WireAnswer } from '../../shared/xfer/problem.ts';
import { formatUploadTicket, parseUploadRequest } from '../../shared/xfer/upload.ts';
import { formatVerdicts } from '../../shared/xfer/verdict.ts';
import { formatNotWithdrawn, formatWithdrawn } from '../../shared/xfer/withdrawal.ts';

export type ReceiveEvent = Omit<APIGatewayProxyEventV2WithIAMAuthorizer, 'requestContext'> & {
  readonly requestContext: Omit<APIGatewayProxyEventV2WithIAMAuthorizer['requestContext'], 'authorizer'> & {
    readonly authorizer?: { readonly iam?: { readonly userArn?: string } };
  };
};

export type Authentication =
  | { readonly kind: 'iam' }
  | { readonly kind: 'basic'; readonly verifier: PasswordVerifier }
  /** Loopback only: everybody is this credential. */
  | { readonly kind: 'open'; readonly credential: string };

export interface ReceiveHandlerDeps extends ReceiveDeps {
  readonly authentication: Authentication;
  readonly transferLimits: TransferLimits;
}

export type ReceiveHandler = (
  event: ReceiveEvent,
  context: Context,
) => Promise<APIGatewayProxyStructuredResultV2>;

const DELAY_MESSAGE_PATH = '/delay_message';
const UPLOADS_PATH = `${DELAY_MESSAGE_PATH}/uploads`;
const RETRY_AFTER_SECONDS = 5;

export function createReceiveHandler(deps: ReceiveHandlerDeps): ReceiveHandler {
  return middy<ReceiveEvent, APIGatewayProxyStructuredResultV2>()
    .use({
      onError: (request) => {
        const error = request.error ?? new Error('unknown');
        deps.log.notice({
          level: 'error',
          code: 'bug',
          message: error.message,
          detail: { stack: error.stack },
        });
        const answer = problem('internal', 'keep the messages and send them again');
        request.response = toResult(formatProblem(answer, RETRY_AFTER_SECONDS));
      },
    })
    .handler(async (event, context) => toResult(await answerTo(deps, event, context)));
}

async function answerTo(
  deps: ReceiveHandlerDeps,
  event: ReceiveEvent,
  context: Context,
): Promise<WireAnswer> {
  const { method } = event.requestContext.http;
  const route = routeOf(event.rawPath, method);
  if (route === undefined) {
    return formatProblem(
      problem('not-found', `there is nothing at this path; transfers go to ${DELAY_MESSAGE_PATH}`),
    );
  }
  if (method !== route.method) {
    const answer = formatProblem(problem('method-not-allowed', `this path takes ${route.method}`));
    return { ...answer, headers: { ...answer.headers, allow: route.method } };
  }
  if (route.kind === 'health') return json(200, { status: 'up' });
  const identity = await identityOf(deps, event);
  if (identity.kind === 'unknown') {
    deps.log.notice({ level: 'warn', code: 'bad-credentials', message: identity.detail });
    return formatProblem(problem('unauthorized', identity.detail));
  }
  const body = Buffer.from(event.body ?? '', event.isBase64Encoded ? 'base64' : 'utf8');
  if (route.kind === 'upload') return upload(deps, identity.credential, body);

  const asked = parsePatience(event.headers['x-xfer-patience-ms']);
  if (!asked.ok) return formatProblem(asked.problem);
  const deadlineMs = Math.min(
    event.requestContext.timeEpoch + asked.patienceMs,
    deps.clock.nowMs() + context.getRemainingTimeInMillis(),
  );
  const patience = patienceUntil(deadlineMs, deps.clock);
  if (route.kind === 'withdraw') {
    const outcome = await withdrawMessage(deps, { credential: identity.credential, id: route.id }, patience);
    switch (outcome.kind) {
      case 'withdrawn':
        return formatWithdrawn(route.id);
      case 'too-late':
        return formatNotWithdrawn(route.id, outcome.state);
      case 'busy':
        return busy(true, 'the withdrawal is not settled: ask again');
    }
  }
  const parsed = parseTransferBody(
    { endpoint: route.endpoint, headers: event.headers, body },
    {
      limits: deps.transferLimits,
      nowMs: deps.clock.nowMs(),
      makeId: () => `${deps.random.name()}${deps.random.name()}`,
    },
  );
  if (!parsed.ok) return formatProblem(parsed.problem);
  const { credential } = identity;
  const outcome = await receiveTransfer(deps, { credential, messages: parsed.messages, patience });
  switch (outcome.kind) {
    case 'verdicts':
      return formatAnswer(parsed.format, outcome.verdicts);
    case 'busy':
      return busy(outcome.inDoubt, outcome.detail);
    case 'too-many': {
      const most = `at most ${MAX_DELIVERIES_PER_TRANSFER} are taken: send fewer messages at once`;
      return formatProblem(problem('too-many-deliveries', `${outcome.deliveries} deliveries; ${most}`));
    }
  }
}

async function upload(deps: ReceiveHandlerDeps, credential: string, body: Buffer): Promise<WireAnswer> {
  const parsed = parseUploadRequest(body, deps.transferLimits);
  if (!parsed.ok) return formatProblem(parsed.problem);
  const { id, sizeBytes, sha256 } = parsed.request;
  try {
    const put = await deps.spool.presignPut(uploadKey({ credential, id }, sha256), sizeBytes, sha256);
    const expiresAtMs = deps.clock.nowMs() + UPLOAD_URL_SECONDS * 1_000;
    return formatUploadTicket({ ...put, method: 'PUT', expiresAtMs });
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return busy(false, 'no place for the upload could be made');
  }
}

type Route =
  | { readonly kind: 'health'; readonly method: 'GET' }
  | { readonly kind: 'transfer'; readonly method: 'POST'; readonly endpoint: 'xfer' | 'kumomta' }
  | { readonly kind: 'upload'; readonly method: 'POST' }
  | { readonly kind: 'withdraw'; readonly method: 'DELETE'; readonly id: string };

function routeOf(path: string, method: string): Route | undefined {
  switch (path) {
    case '/health':
      return { kind: 'health', method: 'GET' };
    case DELAY_MESSAGE_PATH:
      return { kind: 'transfer', method: 'POST', endpoint: 'xfer' };
    case KUMOMTA_PATH:
      return { kind: 'transfer', method: 'POST', endpoint: 'kumomta' };
    case UPLOADS_PATH:
      // A message may be called "uploads" as well: only DELETE can mean it.
      if (method !== 'DELETE') return { kind: 'upload', method: 'POST' };
  }
  const id = path.startsWith(`${DELAY_MESSAGE_PATH}/`) ? path.slice(DELAY_MESSAGE_PATH.length + 1) : '';
  return ID_PATTERN.test(id) ? { kind: 'withdraw', method: 'DELETE', id } : undefined;
}

async function identityOf(deps: ReceiveHandlerDeps, event: ReceiveEvent): Promise<Identity> {
  const { authentication } = deps;
  switch (authentication.kind) {
    case 'open':
      return { kind: 'known', credential: authentication.credential };
    case 'basic':
      return basicIdentity(event.headers['authorization'], authentication.verifier);
    case 'iam': {
      const userArn = event.requestContext.authorizer?.iam?.userArn;
      return userArn === undefined
        ? { kind: 'unknown', detail: 'the request is not signed (AWS Signature Version 4)' }
        : iamIdentity(userArn);
    }
  }
}

function formatAnswer(format: TransferFormat, verdicts: readonly Verdict[]): WireAnswer {
  const [only] = verdicts;
  return format === 'kumomta' && only !== undefined ? formatKumoAnswer(only) : formatVerdicts(verdicts);
}

function busy(inDoubt: boolean, detail: string): WireAnswer {
  return formatProblem(problem(inDoubt ? 'in-doubt' : 'unavailable', detail), RETRY_AFTER_SECONDS);
}

function json(status: number, body: unknown): WireAnswer {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

function toResult(answer: WireAnswer): APIGatewayProxyStructuredResultV2 {
  return { statusCode: answer.status, headers: { ...answer.headers }, body: answer.body };
}
