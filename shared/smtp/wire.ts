// A connected socket as the dialogue sees it: replies in order, one deadline, one end. Everything that Node tells
// of a socket in events passes through here, so that nothing is heard twice and no error goes unheard.

import type { Socket } from 'node:net';
import { createDeadline } from './deadline.ts';
import { createReplyReader, type WireReply } from './reply-reader.ts';

export type WireEnd = 'timed out' | 'connection lost';

export interface WireListener {
  /** A reply, in the order in which it came. */
  replied(said: WireReply): void;
  /** Once: no reply follows. */
  ended(why: WireEnd): void;
}

export interface Wire {
  readonly socket: Socket;
  /** Hands what was not yet heard to the listener, and from then on everything. */
  listen(listener: WireListener): void;
  /** The next reply alone, or the end that comes instead; what follows stays unheard. */
  hear(next: (said: WireReply | WireEnd) => void): void;
  /** Counts what came off the socket: a reply cannot answer what was written in the same turn. */
  readonly turn: number;
  /** Whether the peer said more than was taken, be it a part of a reply. */
  readonly hasUnread: boolean;
  readonly endedBy: WireEnd | undefined;
  write(octets: string | Uint8Array): void;
  /** How long the peer may keep the next word to itself; then the wire ends. */
  allow(ms: number): void;
  /** Nothing is waited for. */
  lift(): void;
  /** Leaves the socket to somebody else: TLS. */
  detach(): void;
  /** Says these last words, waits for no answer, and closes. */
  closeWith(words: string): void;
  /** Destroys the socket at once. */
  destroy(): void;
}

export function createWire(socket: Socket): Wire {
  const reader = createReplyReader();
  let listener: WireListener | undefined;
  let unheard: WireReply[] = [];
  let endedBy: WireEnd | undefined;
  let turn = 0;
  const deadline = createDeadline(() => end('timed out'));

  function took(said: WireReply): void {
    if (endedBy !== undefined) return;
    if (listener === undefined) unheard.push(said);
    else listener.replied(said);
  }

  function end(why: WireEnd): void {
    if (endedBy !== undefined) return;
    endedBy = why;
    deadline.stop();
    socket.destroy();
    listener?.ended(why);
  }

  const onData = (octets: Buffer): void => {
    turn += 1;
    reader.push(octets, took);
  };
  const onEnd = (): void => {
    const last = endedBy === undefined ? reader.end() : undefined;
    if (last !== undefined) took(last);
    end('connection lost');
  };
  socket.on('data', onData);
  socket.on('end', onEnd);
  socket.on('close', onEnd);
  // 'close' follows and is what counts; unheard, this event would end the process.
  socket.on('error', ignore);

  return {
    socket,
    listen(to) {
      listener = to;
      const said = unheard;
      unheard = [];
      for (const reply of said) to.replied(reply);
      if (endedBy !== undefined) to.ended(endedBy);
    },
    hear(next) {
      const said = unheard.shift() ?? endedBy;
      if (said !== undefined) return next(said);
      const once = (word: WireReply | WireEnd): void => {
        listener = undefined;
        next(word);
      };
      listener = { replied: once, ended: once };
    },
    get turn() {
      return turn;
    },
    get hasUnread() {
      return unheard.length > 0 || reader.isMidway;
    },
    get endedBy() {
      return endedBy;
    },
    write(octets) {
      socket.write(octets);
    },
    allow: deadline.allow,
    lift: deadline.lift,
    detach() {
      deadline.stop();
      socket.off('data', onData);
      socket.off('end', onEnd);
      socket.off('close', onEnd);
    },
    closeWith(words) {
      endedBy ??= 'connection lost';
      deadline.stop();
      socket.end(words, () => socket.destroy());
    },
    destroy: () => end('connection lost'),
  };
}

function ignore(): void {}
