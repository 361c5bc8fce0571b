// From an address to a session that may carry mail: connection, greeting, EHLO (HELO where it is refused), STARTTLS
// and EHLO again, within one bounded time. Nothing rejects; a failure says at which stage, in the peer's words or
// ours, and whether it was the TLS handshake that failed, so that the host may be called again in clear.
//
// What a peer says in clear behind its 220 to STARTTLS is never read as if it had come encrypted: it fails the
// handshake (CVE-2011-0411, response injection).

import { connect, isIP, type Socket, type TcpNetConnectOpts } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { letsGoOn, outOfTurn, silence } from './classify.ts';
import type { SmtpTarget, Stage, TlsDemand, TlsFacts, TlsResult } from './client.ts';
import { QUIT } from './commands.ts';
import { NO_EXTENSIONS, type PeerExtensions, parseEhlo } from './ehlo.ts';
import { formatReply, ownReply, type Reply } from './reply.ts';
import type { WireReply } from './reply-reader.ts';
import { checkDnsIdentity } from './tls-identity.ts';
import { certificateResult, handshakeResult, tlsErrorCode } from './tls-result.ts';
import { createWire, type Wire, type WireEnd } from './wire.ts';

/** A NAT gateway forgets a flow after 350 s of silence; the final dot may take 600 s. */
const KEEPALIVE_MS = 60_000;

/** Why an address must not be spoken to; undefined when it may. */
export type AddressPermit = (address: string, source: SmtpTarget['source']) => string | undefined;

/** Makes the socket: `connect` of node:net, or that of a test whose peer is in the same process. */
export type Dial = (options: TcpNetConnectOpts) => Socket;

export type Opening =
  | {
      readonly kind: 'opened';
      readonly wire: Wire;
      readonly extensions: PeerExtensions;
      readonly tls: TlsFacts | undefined;
      readonly tlsResult: TlsResult | undefined;
    }
  | {
      readonly kind: 'failed';
      readonly stage: Stage;
      readonly reply: Reply;
      readonly tlsResult: TlsResult | undefined;
      readonly handshakeFailed: boolean;
    };

type Failure = Extract<Opening, { kind: 'failed' }>;

export async function openOnce(
  target: SmtpTarget,
  mode: TlsDemand['mode'],
  permits: AddressPermit,
  dial: Dial = connect,
): Promise<Opening> {
  const { timeouts } = target;
  const startedAt = performance.now();
  const within = (ms: number): number =>
    Math.max(Math.min(ms, timeouts.openingMs - (performance.now() - startedAt)), 1);

  const tcp = await openTcp(target, within(timeouts.connectMs), dial);
  if (typeof tcp === 'string') {
    return failed('connect', unreachable(target, `cannot be reached: ${tcp}`));
  }
  // Invariant (I10): the address that the kernel connected to is asked about, whatever was resolved. Test: "an
  // address that the policy refuses is left before a word is said" in test/dialogs/smtp-opening.test.ts.
  const refusal = permits(tcp.remoteAddress ?? target.address, target.source);
  if (refusal !== undefined) {
    tcp.destroy();
    return failed('connect', unreachable(target, `is not spoken to: ${refusal}`));
  }
  const wire = createWire(tcp);
  const ask = (command: string, ms: number) => nextReply(wire, command, within(ms));

  const greeting = await ask('', timeouts.greetingMs);
  if (!isWelcome('greeting', greeting)) return refused(wire, 'greeting', greeting);
  const tooMuch = await unasked(wire, 'greeting', within(timeouts.quitMs));
  if (tooMuch !== undefined) return tooMuch;
  const clear = await greet(wire, target, ask);
  if (clear.kind === 'failed') return clear;
  if (mode === 'no') return opened(wire, clear.extensions);
  if (mode === 'ifavailable' && !clear.extensions.keywords.has('STARTTLS')) {
    return opened(wire, clear.extensions, 'starttls-not-supported');
  }

  const answer = await ask('STARTTLS\r\n', timeouts.ehloMs);
  if (!isWelcome('starttls', answer)) {
    return mode === 'ifavailable' && isMereRefusal(answer)
      ? opened(wire, clear.extensions, 'starttls-not-supported')
      : startTlsRefused(wire, mode, answer);
  }
  const secured = await secure(wire, target, within(timeouts.tlsMs));
  if (secured.kind === 'failed') return secured;
  const { tls, tlsResult } = secured;
  if (mode === 'required' && target.tls.verify && !tls.verified) {
    secured.wire.destroy();
    return { ...failed('starttls', unproved(target, tlsResult)), tlsResult };
  }
  const askSecurely = (command: string, ms: number) => nextReply(secured.wire, command, within(ms));
  const again = await greet(secured.wire, target, askSecurely);
  if (again.kind === 'failed') return { ...again, tlsResult };
  return { kind: 'opened', wire: secured.wire, extensions: again.extensions, tls, tlsResult };
}

/** A connected socket, or why there is none. */
function openTcp(target: SmtpTarget, timeoutMs: number, dial: Dial): Promise<Socket | string> {
  return new Promise((resolve) => {
    try {
      const socket = dial({
        host: target.address,
        port: target.port,
        keepAlive: true,
        keepAliveInitialDelay: KEEPALIVE_MS,
        ...(target.localAddress === undefined ? {} : { localAddress: target.localAddress }),
      });
      const timer = setTimeout(() => {
        socket.destroy();
        resolve(`no answer within ${Math.round(timeoutMs) / 1000} s`);
      }, timeoutMs);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.setNoDelay(true);
        resolve(socket);
      });
      socket.on('error', (error: NodeJS.ErrnoException) => {
        clearTimeout(timer);
        resolve(error.code ?? error.message);
      });
    } catch (error) {
      // Node throws for a source address or a port that cannot be.
      resolve(error instanceof Error ? error.message : String(error));
    }
  });
}

/** The next reply, or how the connection ended without one. */
function nextReply(wire: Wire, command: string, ms: number): Promise<WireReply | WireEnd> {
  return new Promise((resolve) => {
    if (command !== '') wire.write(command);
    wire.allow(ms);
    wire.hear((said) => {
      wire.lift();
      resolve(said);
    });
  });
}

type Ask = (command: string, ms: number) => Promise<WireReply | WireEnd>;

async function greet(
  wire: Wire,
  { ehloName, timeouts, protocol }: SmtpTarget,
  ask: Ask,
): Promise<{ readonly kind: 'greeted'; readonly extensions: PeerExtensions } | Failure> {
  const isLmtp = protocol === 'lmtp';
  const ehlo = await ask(`${isLmtp ? 'LHLO' : 'EHLO'} ${ehloName}\r\n`, timeouts.ehloMs);
  let extensions = NO_EXTENSIONS;
  if (typeof ehlo === 'object' && isWelcome('ehlo', ehlo)) extensions = parseEhlo(ehlo.lines.join('\n'));
  else if (!isLmtp && typeof ehlo === 'object' && ehlo.intelligible && ehlo.reply.code >= 500) {
    const helo = await ask(`HELO ${ehloName}\r\n`, timeouts.ehloMs);
    if (!isWelcome('ehlo', helo)) return refused(wire, 'ehlo', helo);
    if (typeof helo === 'object') extensions = offeredToHelo(helo);
  } else return refused(wire, 'ehlo', ehlo);
  return (await unasked(wire, 'ehlo', timeouts.quitMs)) ?? { kind: 'greeted', extensions };
}

/**
 * HELO is offered no extension. A reply that does so is EHLO's, late, behind words that nobody asked for. What would be
 * refused for want of these is not, then; nothing else is believed of a peer whose replies may be shifted.
 */
function offeredToHelo({ lines }: WireReply): PeerExtensions {
  const { keywords } = parseEhlo(lines.join('\n'));
  return { keywords: new Set(['8BITMIME', 'SMTPUTF8'].filter((word) => keywords.has(word))) };
}

/** Words behind a reply, and nothing was asked: the peer leaves, or has lost count. */
async function unasked(wire: Wire, stage: Stage, ms: number): Promise<Failure | undefined> {
  if (!wire.hasUnread) return wire.endedBy === undefined ? undefined : refused(wire, stage, wire.endedBy);
  const said = await nextReply(wire, '', ms);
  const failure = refused(wire, stage, said);
  return failure.reply.code < 400 ? { ...failure, reply: outOfTurn(failure.reply) } : failure;
}

type Secured =
  | { readonly kind: 'secured'; readonly wire: Wire; readonly tls: TlsFacts; readonly tlsResult: TlsResult }
  | Failure;

function secure(wire: Wire, { host, address, source, tls }: SmtpTarget, ms: number): Promise<Secured> {
  const { socket } = wire;
  if (wire.hasUnread) {
    wire.destroy();
    const reply = ownReply(421, '4.7.5', 'the TLS handshake failed: the peer spoke in clear behind its 220');
    return Promise.resolve(handshakeFailure(reply, 'validation-failure'));
  }
  wire.detach();
  return new Promise((resolve) => {
    const failWith = (error: unknown): void => {
      clearTimeout(timer);
      socket.destroy();
      const why = error === undefined ? '' : `: ${tlsErrorCode(error)}`;
      resolve(
        handshakeFailure(
          ownReply(421, '4.7.5', `the TLS handshake failed${why === ': UNKNOWN' ? '' : why}`),
          handshakeResult(error),
        ),
      );
    };
    const timer = setTimeout(() => failWith(undefined), ms);
    let secured: TLSSocket;
    try {
      secured = connectTls({
        socket,
        host: address,
        ...(isIP(host) === 0 ? { servername: host } : {}),
        // A relay of the operator's own may have an old certificate without DNS names.
        ...(source === 'mx' && isIP(host) === 0 ? { checkServerIdentity: checkDnsIdentity } : {}),
        ...(tls.ca === undefined ? {} : { ca: tls.ca }),
        ...(tls.versions === undefined
          ? {}
          : { minVersion: tls.versions.least, maxVersion: tls.versions.most }),
        ...(tls.ciphers === undefined ? {} : { ciphers: tls.ciphers }),
        // Whether the certificate is good is told by `authorized`, and judged where it is demanded.
        rejectUnauthorized: false,
      });
    } catch (error) {
      // Node throws for ciphers or versions that OpenSSL does not have.
      failWith(error);
      return;
    }
    socket.once('close', failWith);
    secured.on('error', failWith);
    secured.once('close', () => failWith(undefined));
    secured.once('secureConnect', () => {
      clearTimeout(timer);
      resolve({
        kind: 'secured',
        wire: createWire(secured),
        tls: {
          protocol: secured.getProtocol() ?? 'unknown',
          cipher: secured.getCipher().standardName,
          verified: secured.authorized,
        },
        tlsResult: certificateResult(secured.authorized ? undefined : secured.authorizationError),
      });
    });
  });
}

function isWelcome(stage: Stage, said: WireReply | WireEnd): boolean {
  return typeof said === 'object' && said.intelligible && letsGoOn(stage, said.reply);
}

/** The dialogue may go on without what was asked for. */
function isMereRefusal(said: WireReply | WireEnd): boolean {
  return typeof said === 'object' && said.intelligible && said.reply.code !== 421;
}

/** A peer that refuses waits for our QUIT (RFC 5321 §3.1); nobody waits for its reply to that. */
function refused(wire: Wire, stage: Stage, said: WireReply | WireEnd): Failure {
  if (typeof said === 'object' && said.intelligible && said.reply.code !== 421) wire.closeWith(QUIT);
  else wire.destroy();
  return failed(stage, typeof said === 'object' ? said.reply : silence(said, stage));
}

// RFC 3463: X.7.4, security features not supported.
function startTlsRefused(wire: Wire, mode: TlsDemand['mode'], said: WireReply | WireEnd): Failure {
  const { reply } = refused(wire, 'starttls', said);
  if (typeof said !== 'object') return handshakeFailure(reply, 'validation-failure');
  const demand = mode === 'required' ? 'TLS is required; ' : '';
  return {
    ...failed('starttls', ownReply(421, '4.7.4', `${demand}STARTTLS was answered: ${formatReply(reply)}`)),
    tlsResult: 'starttls-not-supported',
  };
}

function unproved({ host }: SmtpTarget, result: TlsResult): Reply {
  return ownReply(421, '4.7.5', `TLS must be verified, and the certificate of ${host} is not: ${result}`);
}

function unreachable({ host, address, port }: SmtpTarget, why: string): Reply {
  return ownReply(421, '4.4.1', `${host} [${address}]:${port} ${why}`);
}

function opened(wire: Wire, extensions: PeerExtensions, tlsResult?: TlsResult): Opening {
  return { kind: 'opened', wire, extensions, tls: undefined, tlsResult };
}

function failed(stage: Stage, reply: Reply): Failure {
  return { kind: 'failed', stage, reply, tlsResult: undefined, handshakeFailed: false };
}

function handshakeFailure(reply: Reply, tlsResult: TlsResult): Failure {
  return { kind: 'failed', stage: 'starttls', reply, tlsResult, handshakeFailed: true };
}
