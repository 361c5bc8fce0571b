// What a dialogue looked like from its client's side: messages, round trips, time. SMTP in clear, without CHUNKING.
//
// A message counts with the reply to its final dot. A round trip counts when the client speaks and the last who
// spoke before was the server: it waited for that word. What it sends without a pause is one speech, whatever
// number of pieces it comes in. Counting begins with the final reply of message `warm`, so that connecting, EHLO
// and what a client must learn first are left out, and it ends with the last final reply: what lies between are
// whole messages.

import type { Observer } from '../distance.ts';

export interface Course {
  /** Messages that were taken after the first `warm`. */
  readonly messages: number;
  readonly roundTrips: number;
  /** From the final reply of message `warm` to the last one. */
  readonly elapsedMs: number;
  readonly connections: number;
  /** Final replies other than 250: such a run says nothing. */
  readonly refused: number;
}

export interface CourseCounter {
  /** One more connection; courses over several are added up in the order of their final replies. */
  connect(): Observer;
  read(): Course;
}

const CR_LF = '\r\n';

/** `nowMs` is a clock that never goes back. */
export function createCourseCounter(nowMs: () => number, warm: number): CourseCounter {
  let connections = 0;
  let turns = 0;
  let taken = 0;
  let refused = 0;
  let begun = { atMs: 0, turns: 0 };
  let last = { atMs: 0, turns: 0 };

  const finalReply = (line: string) => {
    if (!line.startsWith('250')) {
      refused += 1;
      return;
    }
    taken += 1;
    last = { atMs: nowMs(), turns };
    if (taken === warm) begun = last;
  };

  return {
    connect() {
      connections += 1;
      let serverSpokeLast = false;
      /** A line of a reply that is not whole yet. */
      let begunLine = '';
      let contentAsked = false;
      return {
        clientSaid() {
          if (serverSpokeLast) turns += 1;
          serverSpokeLast = false;
        },
        serverSaid(octets) {
          serverSpokeLast = true;
          const lines = (begunLine + octets.toString('latin1')).split(CR_LF);
          begunLine = lines.pop() ?? '';
          for (const line of lines) {
            if (/^\d{3}-/.test(line)) continue;
            if (contentAsked) finalReply(line);
            contentAsked = line.startsWith('354');
          }
        },
      };
    },
    read: () => ({
      messages: Math.max(0, taken - warm),
      roundTrips: last.turns - begun.turns,
      elapsedMs: last.atMs - begun.atMs,
      connections,
      refused,
    }),
  };
}
