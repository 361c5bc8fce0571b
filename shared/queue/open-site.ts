// A session with any host of a site: one after the other in the router's order, within a budget of time.

import type { Hop } from '../routing/router.ts';
import type { Opening } from '../routing/session-terms.ts';
import type { OpenOutcome, SmtpClient, SmtpSession, SmtpTarget, Stage } from '../smtp/client.ts';
import { ownReply, type Reply } from '../smtp/reply.ts';
import type { Clock } from './ports.ts';

export interface Opener {
  readonly clock: Clock;
  readonly smtp: SmtpClient;
}

/** After this long no further host is tried for a session; the one being tried has `openingMs` at most. */
const OPENING_BUDGET_MS = 90_000;

export interface SiteFailure {
  readonly kind: 'failed';
  readonly stage: Stage;
  readonly reply: Reply;
  readonly hop: Hop | undefined;
}

/** The host that answered first, then the others. */
export function hopsFrom(hops: readonly Hop[], { target }: SmtpSession): readonly Hop[] {
  const answered = (hop: Hop) => hop.host === target.host && hop.address === target.address;
  return [...hops.filter(answered), ...hops.filter((hop) => !answered(hop))];
}

export interface Openable extends Pick<SmtpTarget, 'tls' | 'mxAuthenticated'> {
  readonly hops: readonly Hop[];
  readonly opening: Opening;
}

type Opened = Extract<OpenOutcome, { kind: 'opened' }>;

/** In the router's order; a host that fails at connect, greeting or EHLO leaves the word to the next. */
export async function openAny(
  deps: Opener,
  { hops, tls, mxAuthenticated, opening }: Openable,
  signal: AbortSignal,
  onTried: (hop: Hop, outcome: OpenOutcome) => void,
): Promise<Opened | SiteFailure> {
  const startedAtMs = deps.clock.nowMs();
  let failure: SiteFailure = {
    kind: 'failed',
    stage: 'connect',
    reply: ownReply(421, '4.4.1', 'no host of the site could be reached'),
    hop: undefined,
  };
  const { localAddress } = opening;
  const reachable = hops.filter(
    ({ address }) => localAddress === undefined || address.includes(':') === localAddress.includes(':'),
  );
  if (reachable.length === 0 && localAddress !== undefined) {
    const text = `no host of the site has an address that ${localAddress} (Bind_Address) can reach`;
    failure = { ...failure, reply: ownReply(421, '4.4.1', text) };
  }
  for (const hop of reachable) {
    if (signal.aborted || deps.clock.nowMs() - startedAtMs > OPENING_BUDGET_MS) break;
    const opened = await deps.smtp.open({ ...hop, ...opening, tls, mxAuthenticated });
    onTried(hop, opened);
    if (opened.kind === 'opened') return opened;
    failure = { ...opened, hop };
  }
  return failure;
}
