// How a peer conducts itself in one session, held against what it announced: what it has proved, and what is noted
// of it for the next sessions. A connection that breaks is held against pipelining only until the peer has
// answered one group of commands whole, since connections break for every reason.

import type { PeerTrait } from './client.ts';

export interface Conduct {
  /** Every command of a group was answered, in order. */
  answeredGroup(): void;
  /** Commands that left with the final dot before them were understood. */
  answeredOverlap(): void;
  /** Its replies do not fit the commands. */
  misbehaved(isOverlapped: boolean): void;
  /** It asked for content that nobody was accepted for, or does not know a command that left in a group. */
  stumbled(): void;
  /** It took commands that overlapped for part of another transaction. */
  mixedUp(): void;
  /** It fell silent, or left, in the middle of a group. Whether the replies before that may be believed. */
  brokeOffGroup(): boolean;
  /** It fell silent, or left, with an overlapping envelope before it. */
  brokeOffOverlap(): void;
  /** Resolves when all is noted. */
  noted(): Promise<unknown>;
}

export function createConduct(isPipelined: boolean, note: (trait: PeerTrait) => Promise<void>): Conduct {
  let pipelines = false;
  let overlaps = false;
  const notes = new Map<PeerTrait, Promise<void>>();

  function tell(trait: PeerTrait): void {
    if (isPipelined && !notes.has(trait)) notes.set(trait, note(trait));
  }

  return {
    answeredGroup() {
      pipelines = true;
    },
    answeredOverlap() {
      overlaps = true;
    },
    misbehaved: (isOverlapped) => tell(isOverlapped && !overlaps ? 'no-overlap' : 'no-pipelining'),
    stumbled: () => tell('no-pipelining'),
    mixedUp: () => tell('no-overlap'),
    brokeOffGroup() {
      if (!pipelines) tell('no-pipelining');
      return pipelines || !isPipelined;
    },
    brokeOffOverlap() {
      if (!overlaps) tell('no-overlap');
    },
    noted: () => Promise.all(notes.values()),
  };
}
